//! What the DNS server says about the zones: pure, from a question to an answer (RFC 1034 section 4.3.2).
//!
//! Deliberately absent: delegations (an NS set below the apex is data here), DNSSEC, zone transfers.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::NS;
use hickory_proto::rr::{Name, RData, Record, RecordType as WireType};

use super::zone::{Node, StoredSet, ZoneState, Zones};
use crate::{DomainName, Ttl};

/// An alias that leads further than this is a mistake in the file.
const ALIASES: usize = 8;
/// For how long a resolver may remember that something is not there (RFC 2308), in seconds.
const NEGATIVE_TTL: u32 = 5;
/// The TTL of the SOA and NS sets that the file does not have, in seconds.
const OWN_TTL: u32 = 60;

/// The sections of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: ResponseCode,
    pub(super) authoritative: bool,
    pub(super) answers: Vec<Record>,
    pub(super) soa: Vec<Record>,
}

impl Answer {
    fn bare(code: ResponseCode) -> Self {
        Answer { code, authoritative: false, answers: Vec::new(), soa: Vec::new() }
    }
}

/// The answer for one question of class IN.
pub(super) fn answer(zones: &Zones, question: &Name, kind: WireType) -> Answer {
    let Some((apex, zone)) = enclosing(zones, question) else { return Answer::bare(ResponseCode::Refused) };
    if matches!(kind, WireType::AXFR | WireType::IXFR) {
        return Answer::bare(ResponseCode::Refused);
    }
    let mut answers = Vec::new();
    let mut owner = question.clone();
    for _ in 0..ALIASES {
        let Some(node) = node_of(apex, zone, &owner) else {
            // NXDOMAIN is about the last name of an alias chain (RFC 6604).
            return negative(ResponseCode::NXDomain, answers, apex, zone);
        };
        let Some(found) = sets_of(&node, kind) else { return Answer::bare(ResponseCode::NotImp) };
        if !found.is_empty() {
            answers.extend(found.into_iter().map(|(ttl, data)| Record::from_rdata(owner.clone(), ttl, data)));
            return Answer { code: ResponseCode::NoError, authoritative: true, answers, soa: Vec::new() };
        }
        let aliases = sets_of(&node, WireType::CNAME).unwrap_or_default();
        let Some((ttl, RData::CNAME(target))) = aliases.into_iter().next() else {
            return negative(ResponseCode::NoError, answers, apex, zone);
        };
        answers.push(Record::from_rdata(owner, ttl, RData::CNAME(target.clone())));
        owner = target.0;
        if enclosing(zones, &owner).is_none_or(|(other, _)| other != apex) {
            return Answer { code: ResponseCode::NoError, authoritative: true, answers, soa: Vec::new() };
        }
    }
    Answer::bare(ResponseCode::ServFail)
}

/// The zone that a name of the wire is in, also when it has characters that we would not write.
fn enclosing<'a>(zones: &'a Zones, name: &Name) -> Option<(&'a DomainName, &'a ZoneState)> {
    let mut name = name.clone();
    loop {
        if let Some(found) = plain(&name).and_then(|plain| zones.find(&plain)) {
            return Some(found);
        }
        if name.is_root() {
            return None;
        }
        name = name.base_name();
    }
}

fn plain(name: &Name) -> Option<DomainName> {
    name.to_ascii().parse().ok()
}

/// What stands at a name, or is made for it by a wildcard (RFC 4592); `None` when the name does not exist.
fn node_of(apex: &DomainName, zone: &ZoneState, owner: &Name) -> Option<Node> {
    let name = plain(owner)?;
    let mut node = zone.nodes.get(&name).cloned();
    if name == *apex {
        node = Some(with_own_sets(node.unwrap_or_default(), apex, zone.serial));
    }
    let has_children = |parent: &DomainName| zone.nodes.keys().any(|other| other.is_within(parent));
    if node.is_some() || has_children(&name) {
        return Some(node.unwrap_or_default());
    }
    let mut encloser = name.parent()?;
    while encloser != *apex && !has_children(&encloser) {
        encloser = encloser.parent()?;
    }
    let wildcard: DomainName = format!("*.{encloser}").parse().ok()?;
    zone.nodes.get(&wildcard).cloned()
}

/// The apex has an SOA with our serial, and an NS set even when the file has none.
fn with_own_sets(mut node: Node, apex: &DomainName, serial: u32) -> Node {
    let below =
        |label: &str| if apex.is_root() { format!("{label}.") } else { format!("{label}.{}", apex.fqdn()) };
    let own = |record_type: &str, value: String| StoredSet {
        ttl: Ttl(OWN_TTL),
        record_type: record_type.into(),
        values: vec![value],
    };
    node.others.retain(|set| set.record_type != "SOA");
    if !node.others.iter().any(|set| set.record_type == "NS") {
        node.others.push(own("NS", below("ns1")));
    }
    let timers = format!("{serial} 60 30 604800 {NEGATIVE_TTL}");
    node.others.push(own("SOA", format!("{} {} {timers}", below("ns1"), below("hostmaster"))));
    node
}

/// The records of one type (or of every type) at a node; `None` when a value of it cannot be put on the wire.
fn sets_of(node: &Node, kind: WireType) -> Option<Vec<(u32, RData)>> {
    let mut records = Vec::new();
    for set in node.stored() {
        let Ok(of_set) = set.record_type.parse::<WireType>() else {
            if kind != WireType::ANY {
                return None;
            }
            continue;
        };
        if of_set != kind && kind != WireType::ANY {
            continue;
        }
        for value in &set.values {
            records.push((set.ttl.seconds(), data(of_set, value)?));
        }
    }
    Some(records)
}

fn data(kind: WireType, value: &str) -> Option<RData> {
    let mut data = RData::try_from_str(kind, value).ok()?;
    // Names in the file are absolute, with or without the final dot.
    match &mut data {
        RData::CNAME(name) => name.0.set_fqdn(true),
        RData::NS(NS(name)) => name.set_fqdn(true),
        RData::PTR(name) => name.0.set_fqdn(true),
        RData::MX(mx) => mx.exchange.set_fqdn(true),
        RData::SRV(srv) => srv.target.set_fqdn(true),
        _ => {}
    }
    Some(data)
}

/// Nothing of that type, or nothing at all, with the SOA that says for how long to believe it (RFC 2308 section 3).
fn negative(code: ResponseCode, answers: Vec<Record>, apex: &DomainName, zone: &ZoneState) -> Answer {
    let node = with_own_sets(Node::default(), apex, zone.serial);
    let owner = Name::from_ascii(apex.fqdn()).unwrap_or_default();
    let data = sets_of(&node, WireType::SOA).unwrap_or_default();
    let soa = data.into_iter().map(|(_, data)| Record::from_rdata(owner.clone(), NEGATIVE_TTL, data));
    Answer { code, authoritative: true, answers, soa: soa.collect() }
}
