//! `dns:` of a check.

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};

use super::super::keys;
use super::super::read::{Item, Map, Noted, Optional, Read};
use crate::probe::{DnsCheck, Transport, Wanted};

/// Where DNS servers listen.
const PORT: u16 = 53;
/// More values than this are no check any more.
const MAX_VALUES: usize = 64;
const TRANSPORTS: &[(&str, Transport)] = &[("udp", Transport::Udp), ("tcp", Transport::Tcp)];

/// A dns check.
pub(super) fn read(item: Item<'_>) -> Read<DnsCheck> {
    let map = item.map(&keys::DNS)?;
    let name = map.need("name", name);
    let kind = map.get("type", |item| item.choice(DnsCheck::TYPES, &[])).otherwise(RecordType::A);
    let port = map.get("port", Item::port).otherwise(PORT);
    let transport = map.get("transport", |item| item.choice(TRANSPORTS, &[])).otherwise(Transport::Udp);
    let rcode = map.get("rcode", rcode).otherwise(ResponseCode::NoError);
    let wanted = kind.and_then(|kind| wanted(&map, kind));
    let authoritative = map.get("authoritative", Item::flag);
    let recursion = map.get("recursion", Item::flag).otherwise(false);
    if let (Ok(Some(_)), Ok(rcode)) = (&wanted, rcode)
        && rcode != ResponseCode::NoError
        && let Some(item) = map.item("rcode")
    {
        let remedy = "remove `values` and `contains`, or wait for NOERROR";
        return Err(item.fault(format!("an answer with {} holds no values", item.shown()), remedy));
    }
    Ok(DnsCheck {
        port: port?,
        transport: transport?,
        name: name?,
        kind: kind?,
        rcode: Some(rcode?),
        wanted: wanted?,
        authoritative: authoritative?,
        recursion: recursion?,
    })
}

fn name(item: Item<'_>) -> Read<Name> {
    if item.text()? == "." {
        return Ok(Name::root());
    }
    let name = item.domain()?;
    Name::from_ascii(name.fqdn()).map_err(|error| {
        let message = format!("`{}` cannot be asked for{}", item.shown(), item.because(error));
        item.fault(message, "write a name like www.example.com")
    })
}

fn rcode(item: Item<'_>) -> Read<ResponseCode> {
    let codes: Vec<(&'static str, &'static str)> =
        keys::DNS_CODES.iter().map(|code| (*code, *code)).collect();
    let mnemonic = item.choice(&codes, &[])?;
    Ok(DnsCheck::rcode(mnemonic).expect("a test asks for every code of the table"))
}

/// `values` or `contains`, one of them.
fn wanted(map: &Map<'_>, kind: RecordType) -> Read<Option<Wanted>> {
    let values = map.get("values", |item| values(item, kind));
    let contains = map.get("contains", |item| self::values(item, kind));
    match (values?, contains?) {
        (None, None) => Ok(None),
        (Some(exactly), None) => Ok(Some(Wanted::Exactly(exactly))),
        (None, Some(at_least)) => Ok(Some(Wanted::AtLeast(at_least))),
        (Some(_), Some(_)) => Err(map.fault(
            "`values` and `contains` at once",
            "keep `values` for these and no others, or `contains` for these and perhaps others",
        )),
    }
}

fn values(item: Item<'_>, kind: RecordType) -> Read<BTreeSet<String>> {
    let values = item.one_or_list(|item| value(item, kind))?;
    match values.len() {
        0 => Err(item.fault(format!("an empty `{}` list asks for nothing", item.name), "remove it")),
        1..=MAX_VALUES => Ok(values.into_iter().collect()),
        _ => Err(item.fault(
            format!("`{}` has more than {MAX_VALUES} values", item.name),
            "ask for those that matter by `contains`",
        )),
    }
}

fn value(item: Item<'_>, kind: RecordType) -> Read<String> {
    DnsCheck::value(kind, &item.text()?).map_err(|error| -> Noted {
        let message = format!("`{}` is no value of type {kind}{}", item.shown(), item.because(error));
        item.fault(message, format!("write it like {}", example(kind)))
    })
}

/// A value of this type, as in a zone file.
fn example(kind: RecordType) -> &'static str {
    match kind {
        RecordType::A => "192.0.2.1",
        RecordType::AAAA => "\"2001:db8::1\"",
        RecordType::CNAME | RecordType::NS | RecordType::PTR => "host.example.com",
        RecordType::MX => "`10 mail.example.com`",
        RecordType::SRV => "`0 5 5060 sip.example.com`",
        RecordType::CAA => "`0 issue \"ca.example.net\"`",
        _ => "the data of such a record in a zone file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_keys_know_every_type_and_every_code() {
        let types: Vec<&str> = DnsCheck::TYPES.iter().map(|(name, _)| *name).collect();
        assert_eq!(types, keys::DNS_TYPES);
        assert!(keys::DNS_CODES.iter().all(|code| DnsCheck::rcode(code).is_some()));
    }
}
