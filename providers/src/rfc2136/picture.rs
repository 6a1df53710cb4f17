//! What a transfer of the zone says of the names that are asked for. Pure.
//!
//! It must mean what questions find, since a name is read in a crowd now and alone then:
//!
//! | in the zone | a question finds | the transfer tells |
//! |---|---|---|
//! | A, AAAA, CNAME (TXT at a marker) | the set | the set; other types at the name, DNSSEC among them, change nothing |
//! | nothing at the name | nothing | nothing |
//! | a delegation at or above the name | no answer with authority | nothing is said: it is asked |
//! | a DNAME above the name | an alias that is made up | nothing is said: it is asked |
//! | a wildcard above a name that is not there | the wildcard's values | nothing is said: it is asked |
//! | a type for private use at the name (ALIAS and LUA of PowerDNS) | addresses of its making | nothing is said: it is asked |
//! | an alias that cannot be handled here, or with company | a fault, or what the server makes of it | nothing is said: it is asked |
//!
//! Of a name under a wildcard the transfer knows more than a question: that it is not there, and so the prerequisites of a swap
//! (RFC 2136 section 3.2 looks at the zone, not at its answers) would let it be made. But then one record would read as missing
//! in a crowd and as present alone, and be made or not by how many others were read with it. Both ways say the wildcard's
//! values, and a person is told by the conflict.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::Class;
use domain::base::name::ToName;
use domain::base::{Message, ParsedName, ParsedRecord, Rtype};
use domain::rdata::{A, Aaaa, Cname, Soa, Txt};

use super::message::wire;
use super::records::alias;
use crate::{DomainName, NonEmpty, RecordSet, RecordType, Snapshot, Ttl, Values, Version};

/// A name in the form in which two are compared: on the wire, lower case, with the root.
type Canonical = Vec<u8>;

/// The types for private use (RFC 6895 section 3.1): what a server makes of them is its own affair.
const PRIVATE_USE: std::ops::RangeInclusive<u16> = 65_280..=65_534;

/// The names that are asked for, and what the messages of a transfer have said so far.
pub(super) struct Picture {
    apex: Canonical,
    wanted: HashMap<Canonical, usize>,
    found: Vec<Found>,
    /// Where a delegation stands: the name itself and all below it are another's.
    cuts: HashSet<Canonical>,
    /// Where a DNAME stands: all below it are aliases.
    trees: HashSet<Canonical>,
    /// The names right above a wildcard.
    wilds: HashSet<Canonical>,
    /// The serial of the first record.
    serial: Option<u32>,
    ended: bool,
    records: usize,
}

/// What one name holds.
#[derive(Default)]
struct Found {
    is_marker: bool,
    /// Is there any record, so that no wildcard answers for it?
    is_there: bool,
    /// Is there something of which only the server knows what it answers?
    is_odd: bool,
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    target: Option<Values>,
    texts: Vec<String>,
    /// The least TTL of each type (RFC 2181 section 5.2 forbids that they differ).
    ttls: BTreeMap<RecordType, Ttl>,
}

impl Picture {
    pub(super) fn new(apex: &DomainName, names: &[DomainName]) -> Picture {
        let canonical = |name: &DomainName| wire(name).to_canonical_name::<Vec<u8>>().into_octets();
        // A name may be asked for twice.
        let mut wanted = HashMap::with_capacity(names.len());
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            wanted.entry(canonical(name)).or_insert_with(|| {
                found.push(Found { is_marker: name.is_marker(), ..Found::default() });
                found.len() - 1
            });
        }
        Picture {
            apex: canonical(apex),
            wanted,
            found,
            cuts: HashSet::new(),
            trees: HashSet::new(),
            wilds: HashSet::new(),
            serial: None,
            ended: false,
            records: 0,
        }
    }

    /// How many records have come.
    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Has the record come that ends a transfer?
    pub(super) fn is_whole(&self) -> bool {
        self.ended
    }

    /// One message of the transfer.
    ///
    /// # Errors
    /// What is wrong with it: it cannot be read, or the SOA records do not frame the zone (RFC 5936 section 2.2).
    pub(super) fn take(&mut self, message: &Message<Vec<u8>>) -> Result<(), String> {
        let section = message.answer().map_err(|why| why.to_string())?;
        let mut owner = Canonical::new();
        for record in section {
            let record = record.map_err(|why| why.to_string())?;
            if self.ended {
                return Err("records behind the end of the zone".into());
            }
            owner.clear();
            record.owner().compose_canonical(&mut owner).map_err(|_| "a name without end")?;
            self.records += 1;
            if record.rtype() == Rtype::SOA && owner == self.apex {
                self.frame(&record)?;
            } else if self.serial.is_none() {
                return Err("it does not begin with the zone's SOA record".into());
            }
            if record.class() == Class::IN {
                self.put(&owner, &record)?;
            }
        }
        Ok(())
    }

    fn frame(&mut self, record: &ParsedRecord<'_, Vec<u8>>) -> Result<(), String> {
        let soa = record.to_record::<Soa<ParsedName<_>>>().map_err(|why| why.to_string())?;
        let serial = soa.ok_or("its SOA record cannot be read")?.data().serial().into_int();
        match self.serial {
            None => self.serial = Some(serial),
            Some(first) if first == serial => self.ended = true,
            Some(first) => return Err(format!("it begins with the serial {first} and ends with {serial}")),
        }
        Ok(())
    }

    fn put(&mut self, owner: &[u8], record: &ParsedRecord<'_, Vec<u8>>) -> Result<(), String> {
        match record.rtype() {
            Rtype::NS if owner != self.apex => drop(self.cuts.insert(owner.to_vec())),
            Rtype::DNAME => drop(self.trees.insert(owner.to_vec())),
            _ => {}
        }
        if let Some(above) = owner.strip_prefix(b"\x01*") {
            self.wilds.insert(above.to_vec());
        }
        if let Some(place) = self.wanted.get(owner) {
            self.found[*place].put(record)?;
        }
        Ok(())
    }

    /// What the name holds; `None` where only a question can tell.
    pub(super) fn snapshot(&self, name: &DomainName) -> Option<Snapshot> {
        let own = wire(name).to_canonical_name::<Vec<u8>>().into_octets();
        let found = self.found.get(*self.wanted.get(&own)?)?;
        let above = || std::iter::successors(parent(&own), |name| parent(name));
        let is_cut = self.cuts.contains(&own) || above().any(|name| self.cuts.contains(name));
        let in_a_tree = || above().any(|name| self.trees.contains(name));
        let is_wild = || !found.is_there && above().any(|name| self.wilds.contains(name));
        if !self.ended || found.is_odd || is_cut || in_a_tree() || is_wild() {
            return None;
        }
        let (name, native) = (name.clone(), serde_json::Value::Null);
        Some(Snapshot { name, sets: found.sets()?, version: Version::Values, marker: None, native })
    }
}

/// The name one label up; `None` for the root.
fn parent(name: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*name.first()?);
    if length == 0 { None } else { name.get(1 + length..) }
}

impl Found {
    fn put(&mut self, record: &ParsedRecord<'_, Vec<u8>>) -> Result<(), String> {
        self.is_there = true;
        macro_rules! data {
            ($data:ty) => {
                match record.to_record::<$data>().map_err(|why| why.to_string())? {
                    Some(record) => record,
                    None => return Err(format!("a record of type {} that is none", record.rtype())),
                }
            };
        }
        let kind = match record.rtype() {
            Rtype::TXT if self.is_marker => {
                let text = data!(Txt<_>);
                self.texts.push(crate::text::text_of(&text.data().iter().collect::<Vec<&[u8]>>()));
                RecordType::Txt
            }
            // A marker's name holds texts only.
            _ if self.is_marker => return Ok(()),
            Rtype::A => {
                self.v4.push(data!(A).data().addr());
                RecordType::A
            }
            Rtype::AAAA => {
                self.v6.push(data!(Aaaa).data().addr());
                RecordType::Aaaa
            }
            Rtype::CNAME => {
                self.is_odd |= self.target.is_some();
                self.target = alias(&data!(Cname<ParsedName<_>>).data().cname().to_string()).ok();
                self.is_odd |= self.target.is_none();
                RecordType::Cname
            }
            other => {
                self.is_odd |= PRIVATE_USE.contains(&other.to_int());
                return Ok(());
            }
        };
        let ttl = Ttl(record.ttl().as_secs()).min(Ttl::MAX);
        let least = self.ttls.entry(kind).or_insert(ttl);
        *least = ttl.min(*least);
        Ok(())
    }

    /// `None` for an alias with company: what is answered then is the server's affair.
    fn sets(&self) -> Option<BTreeMap<RecordType, RecordSet>> {
        if self.target.is_some() && self.ttls.len() > 1 {
            return None;
        }
        let values = [
            NonEmpty::new(self.v4.iter().copied()).map(Values::A),
            NonEmpty::new(self.v6.iter().copied()).map(Values::Aaaa),
            self.target.clone(),
            NonEmpty::new(self.texts.iter().cloned()).map(Values::Txt),
        ];
        let set = |values: Values| {
            let kind = values.record_type();
            Some((kind, RecordSet::new(*self.ttls.get(&kind)?, values)))
        };
        values.into_iter().flatten().map(set).collect()
    }
}
