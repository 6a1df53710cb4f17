//! Questions and updates, unsigned. Pure but for the random id.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::{Class, Opcode};
use domain::base::message_builder::{
    AdditionalBuilder, AnswerBuilder, AuthorityBuilder, PushError, RecordSectionBuilder, TreeCompressor,
};
use domain::base::{MessageBuilder, Name, Record, Rtype, UnknownRecordData};
use domain::rdata::{A, Aaaa, Cname, Txt};

use crate::{DomainName, Fault, NonEmpty, RecordSet, RecordType, Snapshot, Swap, Ttl, Values};

/// A message that can still be signed. Names are compressed, so that a hundred of them fit.
pub(super) type Request = AdditionalBuilder<TreeCompressor<Vec<u8>>>;

type Target = TreeCompressor<Vec<u8>>;

/// What is left of 65,535 octets for a TSIG record: two names of 255 octets, a MAC of 64, and the fixed fields.
const LARGEST: usize = 65_535 - 640;

/// The types that must not stand beside a CNAME and that a server would keep in silence (RFC 2136 section 3.4.2.2).
/// There is no prerequisite "nothing else is here", so each is named.
pub(super) const NO_COMPANY: [Rtype; 18] = [
    Rtype::SOA,
    Rtype::NS,
    Rtype::MX,
    Rtype::TXT,
    Rtype::SRV,
    Rtype::CAA,
    Rtype::HTTPS,
    Rtype::SVCB,
    Rtype::TLSA,
    Rtype::SSHFP,
    Rtype::NAPTR,
    Rtype::PTR,
    Rtype::DNAME,
    Rtype::DS,
    Rtype::LOC,
    Rtype::HINFO,
    Rtype::RP,
    Rtype::URI,
];

/// The number of one of our types.
pub(super) fn rtype(kind: RecordType) -> Rtype {
    match kind {
        RecordType::A => Rtype::A,
        RecordType::Aaaa => Rtype::AAAA,
        RecordType::Cname => Rtype::CNAME,
        RecordType::Txt => Rtype::TXT,
    }
}

/// Does the name become an alias that was none?
pub(super) fn becomes_alias(swap: &Swap) -> bool {
    swap.after.get(RecordType::Cname).is_some() && !swap.before.sets.contains_key(&RecordType::Cname)
}

/// A question with RD=0. Questions sent together need different ids: their answers are told apart by it.
pub(super) fn question(name: &DomainName, rtype: Rtype, id: u16) -> Request {
    let mut message = builder();
    message.header_mut().set_id(id);
    let mut question = message.question();
    question.push((wire(name), rtype)).expect("one question fits a message");
    question.additional()
}

/// One UPDATE for all these swaps: what was read as prerequisites, then the changes.
///
/// # Errors
/// [`Fault::Unsupported`] when it would not fit a message of 64 KiB.
pub(super) fn update(zone: &DomainName, swaps: &[&Swap]) -> Result<Request, Fault> {
    let too_large = |_| {
        Fault::Unsupported(format!(
            "an update of {} names does not fit one DNS message of 64 KiB",
            swaps.len()
        ))
    };
    build_update(zone, swaps).map_err(too_large)
}

fn build_update(zone: &DomainName, swaps: &[&Swap]) -> Result<Request, PushError> {
    let mut message = builder();
    message.set_push_limit(LARGEST);
    message.header_mut().set_opcode(Opcode::UPDATE);
    message.header_mut().set_random_id();
    let mut question = message.question();
    question.push((wire(zone), Rtype::SOA))?;
    let mut prerequisites = question.answer();
    // CNAME first: that is one record for each name, and a name is compressed only if it was written within the
    // first 16 KiB (RFC 1035 section 4.1.4).
    for kind in [RecordType::Cname, RecordType::A, RecordType::Aaaa] {
        for swap in swaps {
            require(&mut prerequisites, &swap.before, kind)?;
        }
    }
    for swap in swaps.iter().filter(|swap| becomes_alias(swap)) {
        require_no_company(&mut prerequisites, swap)?;
    }
    let markers = || swaps.iter().filter_map(|swap| Some((swap, marker_of(swap)?)));
    for (swap, (owner, _)) in markers() {
        require_set(&mut prerequisites, &owner, RecordType::Txt, swap.before.marker.as_ref())?;
    }
    let mut updates = prerequisites.authority();
    for swap in swaps {
        rewrite(&mut updates, swap)?;
    }
    for (swap, (owner, new)) in markers() {
        if swap.before.marker.is_some() {
            updates.push(empty(&owner, Class::ANY, Rtype::TXT))?;
        }
        push_values(&mut updates, &owner, &new.values, new.ttl, Class::IN)?;
    }
    let mut request = updates.additional();
    request.clear_push_limit();
    Ok(request)
}

/// An UPDATE that cannot change anything and needs the permission of one that could: that the name holds what was read
/// is its prerequisite, and what it deletes is not there.
///
/// A record to be deleted that does not exist is ignored in silence (RFC 2136 section 3.4.2.4), so neither the zone nor
/// its serial moves; it must be allowed all the same. An added record that is there already would do as well, but for
/// one that came between the reading and this: its TTL would be put back (section 3.4.2.2).
pub(super) fn question_of_permission(
    zone: &DomainName,
    now: &Snapshot,
    types: &BTreeSet<RecordType>,
) -> Request {
    let build = || -> Result<Request, PushError> {
        let mut message = builder();
        message.header_mut().set_opcode(Opcode::UPDATE);
        message.header_mut().set_random_id();
        let mut question = message.question();
        question.push((wire(zone), Rtype::SOA))?;
        let mut prerequisites = question.answer();
        let answer = [RecordType::Cname, RecordType::A, RecordType::Aaaa];
        for kind in if now.name.is_marker() { &[RecordType::Txt][..] } else { &answer } {
            require(&mut prerequisites, now, *kind)?;
        }
        let mut updates = prerequisites.authority();
        let owner = wire(&now.name);
        for values in types.iter().filter_map(|kind| absent_from(now, *kind)) {
            push_values(&mut updates, &owner, &values, Ttl(0), Class::NONE)?;
        }
        Ok(updates.additional())
    };
    build().expect("three small sets that one message held before, and three records, fit 64 KiB")
}

/// A value of this type that the name does not hold. Addresses for documentation (RFC 5737, RFC 3849).
fn absent_from(now: &Snapshot, kind: RecordType) -> Option<Values> {
    let held = now.addresses();
    match kind {
        RecordType::A => {
            let mut free = (0..=255).map(|last| Ipv4Addr::new(192, 0, 2, last));
            free.find(|address| !held.contains(&(*address).into())).map(|one| Values::A(NonEmpty::one(one)))
        }
        RecordType::Aaaa => {
            let mut free = (0..=255).map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
            free.find(|address| !held.contains(&(*address).into()))
                .map(|one| Values::Aaaa(NonEmpty::one(one)))
        }
        RecordType::Cname => {
            let mut free =
                ["nothing.invalid", "nobody.invalid"].into_iter().filter_map(|name| name.parse().ok());
            free.find(|name| now.cname() != Some(name)).map(Values::Cname)
        }
        RecordType::Txt => {
            let mut free = ["v=failover0", "v=failover0; "].into_iter().map(str::to_owned);
            let held = now.sets.get(&kind).map(|set| set.values.to_strings()).unwrap_or_default();
            free.find(|text| !held.contains(text)).map(|text| Values::Txt(NonEmpty::one(text)))
        }
    }
}

fn builder() -> MessageBuilder<Target> {
    MessageBuilder::from_target(TreeCompressor::new(Vec::new())).expect("a header fits a vector")
}

/// The name in wire format (RFC 1035 section 3.1). Its labels hold nothing that is escaped in text.
pub(super) fn wire(name: &DomainName) -> Name<Vec<u8>> {
    let mut octets = Vec::with_capacity(name.as_str().len() + 2);
    for label in name.as_str().split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("a label has 63 octets at most"));
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    Name::from_octets(octets).expect("a DomainName obeys the limits of RFC 1035")
}

/// RFC 2136 sections 2.4.2 and 2.4.3: the set of this type is as it was read.
fn require(
    section: &mut AnswerBuilder<Target>,
    before: &Snapshot,
    kind: RecordType,
) -> Result<(), PushError> {
    require_set(section, &wire(&before.name), kind, before.sets.get(&kind))
}

fn require_set(
    section: &mut AnswerBuilder<Target>,
    owner: &Name<Vec<u8>>,
    kind: RecordType,
    set: Option<&RecordSet>,
) -> Result<(), PushError> {
    match set {
        Some(set) => push_values(section, owner, &set.values, Ttl(0), Class::IN),
        None => section.push(empty(owner, Class::NONE, rtype(kind))),
    }
}

/// Where the marker of a swap stands, and what it shall hold; `None` when the swap has none.
fn marker_of(swap: &Swap) -> Option<(Name<Vec<u8>>, &RecordSet)> {
    Some((wire(&swap.name().marker()?), swap.marker.as_ref()?))
}

/// What would keep the server from making it an alias, without a word, is not there.
fn require_no_company(section: &mut AnswerBuilder<Target>, swap: &Swap) -> Result<(), PushError> {
    let owner = wire(swap.name());
    NO_COMPANY.into_iter().try_for_each(|rtype| section.push(empty(&owner, Class::NONE, rtype)))
}

/// RFC 2136 sections 2.5.1 and 2.5.2: the old sets go first, then the new ones come.
fn rewrite(section: &mut AuthorityBuilder<Target>, swap: &Swap) -> Result<(), PushError> {
    let owner = wire(swap.name());
    let changes = swap.changes();
    for change in changes.iter().filter(|change| change.before.is_some()) {
        section.push(empty(&owner, Class::ANY, rtype(change.record_type)))?;
    }
    for RecordSet { ttl, values } in changes.iter().filter_map(|change| change.after.as_ref()) {
        push_values(section, &owner, values, *ttl, Class::IN)?;
    }
    Ok(())
}

/// The record that has this text. One that no record has is written as if it were one string, cut: as a prerequisite it
/// then fits nothing.
fn txt(text: &str) -> Txt<Vec<u8>> {
    let strings = crate::text::strings_of(text)
        .unwrap_or_else(|| vec![text.as_bytes().iter().copied().take(255).collect()]);
    let mut wire = Vec::new();
    for string in strings {
        wire.push(u8::try_from(string.len()).expect("at most 255"));
        wire.extend(string);
    }
    Txt::from_octets(wire).expect("whole strings, at least one")
}

/// A record without data: "all records of this type", by its class to be absent or to be deleted.
fn empty(
    owner: &Name<Vec<u8>>,
    class: Class,
    rtype: Rtype,
) -> Record<Name<Vec<u8>>, UnknownRecordData<[u8; 0]>> {
    let nothing = UnknownRecordData::from_octets(rtype, []).expect("nothing is short enough");
    Record::new(owner.clone(), class, domain::base::Ttl::ZERO, nothing)
}

fn push_values(
    section: &mut impl RecordSectionBuilder<Target>,
    owner: &Name<Vec<u8>>,
    values: &Values,
    ttl: Ttl,
    class: Class,
) -> Result<(), PushError> {
    let ttl = domain::base::Ttl::from_secs(ttl.seconds());
    match values {
        Values::A(set) => {
            set.iter().try_for_each(|address| section.push((owner, class, ttl, A::new(*address))))
        }
        Values::Aaaa(set) => {
            set.iter().try_for_each(|address| section.push((owner, class, ttl, Aaaa::new(*address))))
        }
        Values::Cname(target) => section.push((owner, class, ttl, Cname::new(wire(target)))),
        Values::Txt(set) => set.iter().try_for_each(|text| section.push((owner, class, ttl, txt(text)))),
    }
}
