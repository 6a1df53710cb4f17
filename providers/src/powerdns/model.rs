//! The JSON of the API, and what a name holds in it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{OWN_ADDRESSES, answer_type};
use crate::{DomainName, Fault, NonEmpty, RecordSet, RecordType, Swap, Ttl, Values};

/// A zone, with or without its record sets. Fields that are not needed are not read.
#[derive(Debug, Deserialize)]
pub(super) struct ZoneDocument {
    pub(super) id: String,
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    pub(super) serial: u32,
    #[serde(default)]
    pub(super) soa_edit_api: String,
    /// By their names in lower case: of a listing of ten thousand sets a swap looks for a thousand names.
    #[serde(default, deserialize_with = "by_name")]
    rrsets: HashMap<String, Vec<RrSet>>,
}

fn by_name<'de, D: Deserializer<'de>>(listing: D) -> Result<HashMap<String, Vec<RrSet>>, D::Error> {
    let mut found: HashMap<String, Vec<RrSet>> = HashMap::new();
    for set in Vec::<RrSet>::deserialize(listing)? {
        found.entry(set.name.to_ascii_lowercase()).or_default().push(set);
    }
    Ok(found)
}

/// A record set as the API has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RrSet {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    pub(super) ttl: u32,
    #[serde(default)]
    pub(super) records: Vec<Record>,
    /// Never interpreted.
    #[serde(default)]
    pub(super) comments: Vec<Value>,
}

/// One record; a disabled one is stored and not served.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Record {
    pub(super) content: String,
    #[serde(default)]
    pub(super) disabled: bool,
}

impl ZoneDocument {
    pub(super) fn is_called(&self, apex: &DomainName) -> bool {
        self.name.eq_ignore_ascii_case(&apex.fqdn())
    }

    /// Is it copied from elsewhere, so that a write here would be lost?
    pub(super) fn is_copy(&self) -> bool {
        ["slave", "secondary", "consumer"].iter().any(|kind| self.kind.eq_ignore_ascii_case(kind))
    }

    /// Does it send NOTIFY to secondaries? A native zone does not: its database is replicated.
    pub(super) fn notifies(&self) -> bool {
        ["master", "primary", "producer"].iter().any(|kind| self.kind.eq_ignore_ascii_case(kind))
    }

    /// What a name holds. A set without enabled records holds nothing, but may have comments and disabled records.
    pub(super) fn holding(&self, name: &DomainName) -> Result<Holding, Fault> {
        let ours = self.rrsets.get(&name.fqdn()).cloned().unwrap_or_default();
        let mut sets = BTreeMap::new();
        for set in &ours {
            let Some(kind) = answer_type(&set.kind) else { continue };
            if let Some(values) = set.values(kind)? {
                sets.insert(kind, RecordSet::new(Ttl(set.ttl).min(Ttl::MAX), values));
            }
        }
        Ok(Holding { sets, ours })
    }
}

impl RrSet {
    fn enabled(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter(|record| !record.disabled).map(|record| record.content.as_str())
    }

    fn values(&self, kind: RecordType) -> Result<Option<Values>, Fault> {
        Ok(match kind {
            RecordType::A => NonEmpty::new(self.parsed::<Ipv4Addr>()?).map(Values::A),
            RecordType::Aaaa => NonEmpty::new(self.parsed::<Ipv6Addr>()?).map(Values::Aaaa),
            RecordType::Cname => self.parsed::<DomainName>()?.into_iter().next().map(Values::Cname),
            RecordType::Txt => None,
        })
    }

    fn parsed<T: FromStr<Err: Display>>(&self) -> Result<Vec<T>, Fault> {
        let parse = |content: &str| {
            content.parse().map_err(|why| {
                Fault::Unsupported(format!(
                    "{} {} {content:?} cannot be handled here: {why}",
                    self.name, self.kind
                ))
            })
        };
        self.enabled().map(parse).collect()
    }
}

/// What one name holds: the answer, and everything stored beside it.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) sets: BTreeMap<RecordType, RecordSet>,
    ours: Vec<RrSet>,
}

impl Holding {
    /// The record set of this type as the API has it.
    pub(super) fn set(&self, kind: RecordType) -> Option<&RrSet> {
        self.ours.iter().find(|set| answer_type(&set.kind) == Some(kind))
    }

    /// May the name hold what the swap wants?
    ///
    /// # Errors
    /// [`Fault::Unsupported`] when it has addresses of another making, or other types where an alias is to stand.
    pub(super) fn may_become(&self, swap: &Swap) -> Result<(), Fault> {
        let (name, alias) = (swap.name(), swap.after.get(RecordType::Cname).is_some());
        for set in self.ours.iter().filter(|set| set.enabled().next().is_some()) {
            let kind = set.kind.to_ascii_uppercase();
            if OWN_ADDRESSES.contains(&kind.as_str()) {
                return Err(Fault::Unsupported(format!(
                    "{name} holds {kind}, which makes addresses of its own: remove it"
                )));
            }
            if alias && answer_type(&kind).is_none() && !is_of_dnssec(&kind) {
                return Err(Fault::Unsupported(format!(
                    "{name} also holds {kind}, and a CNAME must stand alone (RFC 1034 section 3.6.2): \
                     use addresses, or remove the {kind}"
                )));
            }
        }
        Ok(())
    }

    /// Comments and disabled records by type; null where there are none.
    pub(super) fn native(&self) -> Value {
        let beside = |set: &RrSet| {
            let disabled: Vec<&str> = set
                .records
                .iter()
                .filter(|record| record.disabled)
                .map(|record| record.content.as_str())
                .collect();
            let any = !disabled.is_empty() || !set.comments.is_empty();
            any.then(|| json!({ "comments": set.comments, "disabled": disabled }))
        };
        let sets = self.ours.iter().filter(|set| answer_type(&set.kind).is_some());
        let native: serde_json::Map<String, Value> =
            sets.filter_map(|set| Some((set.kind.clone(), beside(set)?))).collect();
        if native.is_empty() { Value::Null } else { Value::Object(native) }
    }
}

/// The types that may stand beside a CNAME (RFC 4034 sections 3 and 4, RFC 2181 section 10.1).
fn is_of_dnssec(kind: &str) -> bool {
    matches!(kind, "RRSIG" | "NSEC" | "NSEC3" | "KEY" | "SIG")
}

/// The values as a person reads them.
pub(super) fn summary(sets: &BTreeMap<RecordType, RecordSet>) -> String {
    let one = |set: &RecordSet| format!("{} {} {}", set.ttl, set.record_type(), set.values);
    let all: Vec<String> = sets.values().map(one).collect();
    if all.is_empty() { "nothing".into() } else { all.join(", ") }
}
