//! PURE: what an authoritative server's answer says that the name holds.
//!
//! Deliberately absent: following a CNAME (the record is the alias, not what it leads to).

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as WireType};
use providers::{DomainName, NonEmpty, RecordSet, RecordType, Ttl, Values};

use super::Soa;
use crate::dns::{self, Question};

/// Asks for one type at `name`: the server itself, and nobody behind it.
///
/// `Err` says why the name cannot be written to the wire.
pub(super) fn question(name: &DomainName, kind: WireType) -> Result<Question, String> {
    let name = Name::from_ascii(name.fqdn()).map_err(|error| error.to_string())?;
    Question::new(name, kind, false)
}

/// What the name holds of the type that was asked for, or the CNAME that stands in its place: the record set in the
/// answer whose owner is the name; what else is there does not count. `Err`: nothing can be learned, and why.
pub(super) fn held(question: &Question, message: &Message) -> Result<Option<RecordSet>, String> {
    by_authority(message)?;
    let query = question.query();
    let mut ttl = Ttl::MAX;
    let (mut v4, mut v6, mut aliases) = (Vec::<Ipv4Addr>::new(), Vec::<Ipv6Addr>::new(), Vec::new());
    for record in &message.answers {
        if record.name != query.name || record.dns_class != DNSClass::IN {
            continue;
        }
        match &record.data {
            RData::A(a) if query.query_type == WireType::A => v4.push(a.0),
            RData::AAAA(aaaa) if query.query_type == WireType::AAAA => v6.push(aaaa.0),
            RData::CNAME(alias) => aliases.push(domain_name(&alias.0)?),
            _ => continue,
        }
        // RFC 2181 section 5.2: where the TTLs of one set differ, the lowest counts.
        ttl = ttl.min(wire_ttl(record.ttl));
    }
    let addresses = NonEmpty::new(v4).map(Values::A).or(NonEmpty::new(v6).map(Values::Aaaa));
    match (addresses, aliases.as_slice()) {
        (Some(_), [_, ..]) => Err("it answers an address and a CNAME for one name".into()),
        (None, [one]) => Ok(Some(RecordSet::new(ttl, Values::Cname(one.clone())))),
        (None, [_, _, ..]) => Err("it answers more than one CNAME for one name".into()),
        (addresses, []) => Ok(addresses.map(|values| RecordSet::new(ttl, values))),
    }
}

/// What the answer to a question for the SOA of a zone says.
pub(super) fn soa(question: &Question, message: &Message) -> Result<Soa, String> {
    by_authority(message)?;
    let own = message.answers.iter().filter(|record| record.name == question.query().name);
    let mut soas = own.filter_map(|record| match &record.data {
        RData::SOA(soa) => {
            let negative_ttl = wire_ttl(record.ttl).min(wire_ttl(soa.minimum));
            Some(Soa { serial: soa.serial, negative_ttl })
        }
        _ => None,
    });
    soas.next().ok_or_else(|| "it has no SOA there: it does not serve that zone".into())
}

/// How many records of the type that was asked for the name holds.
pub(super) fn count(question: &Question, message: &Message) -> Result<usize, String> {
    by_authority(message)?;
    let query = question.query();
    let is_it = |record: &&Record| record.name == query.name && record.record_type() == query.query_type;
    Ok(message.answers.iter().filter(is_it).count())
}

/// Is it an answer at all, from one who knows? `Err` says why not.
fn by_authority(message: &Message) -> Result<(), String> {
    match message.metadata.response_code {
        // RFC 6604 section 3: with a CNAME in the answer, NXDOMAIN speaks of where the alias leads.
        ResponseCode::NoError | ResponseCode::NXDomain if message.metadata.authoritative => Ok(()),
        ResponseCode::NoError | ResponseCode::NXDomain => Err("it answers without authority".into()),
        other => Err(format!("it answers {}", dns::mnemonic(other))),
    }
}

/// The type on the wire.
pub(super) fn wire_type(kind: RecordType) -> WireType {
    match kind {
        RecordType::A => WireType::A,
        RecordType::Aaaa => WireType::AAAA,
        RecordType::Cname => WireType::CNAME,
        RecordType::Txt => WireType::TXT,
    }
}

/// RFC 2181 section 8: a TTL with the highest bit set is zero.
fn wire_ttl(ttl: u32) -> Ttl {
    if ttl > Ttl::MAX.seconds() { Ttl(0) } else { Ttl(ttl) }
}

/// A name from the wire as this program writes names.
pub(super) fn domain_name(name: &Name) -> Result<DomainName, String> {
    name.to_ascii().parse().map_err(|error| format!("it answers a name that cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;

    use super::*;

    type Held = Result<Option<RecordSet>, String>;

    fn question(kind: WireType) -> Question {
        super::question(&"www.example.test".parse().expect("a name"), kind).expect("a question")
    }

    fn answer(question: &Question, change: impl FnOnce(&mut Message)) -> Held {
        let mut message = Message::response(question.id(), OpCode::Query);
        message.metadata.authoritative = true;
        message.add_query(question.query().clone());
        change(&mut message);
        held(question, &message)
    }

    fn record(name: &str, ttl: u32, data: &str, kind: WireType) -> Record {
        let data = RData::try_from_str(kind, data).expect("record data");
        Record::from_rdata(Name::from_ascii(name).expect("a name"), ttl, data)
    }

    fn set(ttl: u32, values: Values) -> RecordSet {
        RecordSet::new(Ttl(ttl), values)
    }

    #[test]
    fn only_the_owner_s_records_count_and_the_lowest_ttl() {
        let reply = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", 60, "192.0.2.2", WireType::A));
            message.add_answer(record("WWW.example.test.", 30, "192.0.2.1", WireType::A));
            message.add_answer(record("www.example.test.", 5, "2001:db8::1", WireType::AAAA));
            message.add_answer(record("other.example.test.", 1, "192.0.2.9", WireType::A));
        });
        let addresses = ["192.0.2.1", "192.0.2.2"].map(|a| a.parse().expect("IPv4"));
        assert_eq!(reply, Ok(Some(set(30, Values::A(NonEmpty::new(addresses).expect("two"))))));
    }

    #[test]
    fn an_alias_is_reported_and_not_followed() {
        for code in [ResponseCode::NoError, ResponseCode::NXDomain] {
            let reply = answer(&question(WireType::A), |message| {
                message.metadata.response_code = code;
                message.add_answer(record("www.example.test.", 60, "a.example.net.", WireType::CNAME));
                message.add_answer(record("a.example.net.", 60, "192.0.2.1", WireType::A));
            });
            assert_eq!(
                reply,
                Ok(Some(set(60, Values::Cname("a.example.net".parse().expect("a name"))))),
                "{code}"
            );
        }
    }

    #[test]
    fn a_loop_of_aliases_is_one_alias() {
        let reply = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", 60, "b.example.test.", WireType::CNAME));
            message.add_answer(record("b.example.test.", 60, "www.example.test.", WireType::CNAME));
        });
        assert_eq!(reply, Ok(Some(set(60, Values::Cname("b.example.test".parse().expect("a name"))))));
    }

    #[test]
    fn what_contradicts_itself_teaches_nothing() {
        let two = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", 60, "a.example.test.", WireType::CNAME));
            message.add_answer(record("www.example.test.", 60, "b.example.test.", WireType::CNAME));
        });
        assert_eq!(two, Err("it answers more than one CNAME for one name".into()));
        let both = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", 60, "a.example.test.", WireType::CNAME));
            message.add_answer(record("www.example.test.", 60, "192.0.2.1", WireType::A));
        });
        assert_eq!(both, Err("it answers an address and a CNAME for one name".into()));
    }

    #[test]
    fn nothing_with_authority_is_an_answer_and_without_it_is_none() {
        for code in [ResponseCode::NoError, ResponseCode::NXDomain] {
            let clear = answer(&question(WireType::A), |message| message.metadata.response_code = code);
            assert_eq!(clear, Ok(None));
            let referral = answer(&question(WireType::A), |message| {
                message.metadata.response_code = code;
                message.metadata.authoritative = false;
            });
            assert_eq!(referral, Err("it answers without authority".into()));
        }
    }

    #[test]
    fn an_error_code_is_told_by_its_mnemonic() {
        for (code, text) in [(ResponseCode::ServFail, "SERVFAIL"), (ResponseCode::Refused, "REFUSED")] {
            let reply = answer(&question(WireType::A), |message| {
                message.metadata.response_code = code;
                message.queries.clear();
            });
            assert_eq!(reply, Err(format!("it answers {text}")));
        }
    }

    #[test]
    fn a_ttl_with_the_highest_bit_is_zero() {
        let reply = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", u32::MAX, "192.0.2.1", WireType::A));
        });
        assert_eq!(reply, Ok(Some(set(0, Values::A(NonEmpty::one("192.0.2.1".parse().expect("IPv4")))))));
    }
}
