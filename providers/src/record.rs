//! What a name holds: record sets (RFC 9499, "RRset"), snapshots of them, and the swap from one to another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::DomainName;

/// Seconds that a resolver may keep a record set; 0 to 2^31 - 1 (RFC 2181 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ttl(pub u32);

impl Ttl {
    /// The largest TTL the DNS knows (RFC 2181 section 8).
    pub const MAX: Ttl = Ttl(i32::MAX as u32);

    /// The TTL in seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

/// The types of record set that this program reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name for this name.
    Cname,
    /// Text; only for markers of our own, never part of an answer.
    Txt,
}

impl RecordType {
    /// The types of which an answer is made, in the order in which they are listed everywhere.
    pub const ANSWER: [RecordType; 3] = [RecordType::A, RecordType::Aaaa, RecordType::Cname];

    /// The mnemonic of RFC 1035 and RFC 3596.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
            RecordType::Cname => "CNAME",
            RecordType::Txt => "TXT",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A sorted set with at least one member: what makes an empty record set impossible to say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<T>", into = "BTreeSet<T>")]
#[serde(bound(serialize = "T: Ord + Clone + Serialize", deserialize = "T: Ord + Clone + Deserialize<'de>"))]
pub struct NonEmpty<T: Ord + Clone>(BTreeSet<T>);

impl<T: Ord + Clone> NonEmpty<T> {
    /// The set of these members; `None` when there is none.
    pub fn new(members: impl IntoIterator<Item = T>) -> Option<Self> {
        let set: BTreeSet<T> = members.into_iter().collect();
        if set.is_empty() { None } else { Some(NonEmpty(set)) }
    }

    /// The set of one member.
    pub fn one(member: T) -> Self {
        NonEmpty(BTreeSet::from([member]))
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// The members as a plain set.
    pub fn as_set(&self) -> &BTreeSet<T> {
        &self.0
    }
}

impl<T: Ord + Clone> TryFrom<BTreeSet<T>> for NonEmpty<T> {
    type Error = &'static str;

    fn try_from(set: BTreeSet<T>) -> Result<Self, Self::Error> {
        if set.is_empty() { Err("a record set has at least one value") } else { Ok(NonEmpty(set)) }
    }
}

impl<T: Ord + Clone> From<NonEmpty<T>> for BTreeSet<T> {
    fn from(set: NonEmpty<T>) -> Self {
        set.0
    }
}

/// The values of one record set; never empty, by type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "values", rename_all = "UPPERCASE")]
pub enum Values {
    /// IPv4 addresses (RFC 1035 section 3.4.1).
    A(NonEmpty<Ipv4Addr>),
    /// IPv6 addresses (RFC 3596).
    Aaaa(NonEmpty<Ipv6Addr>),
    /// One canonical name (RFC 1035 section 3.3.1); a second one beside it is not allowed.
    Cname(DomainName),
    /// Texts, one a record (RFC 1035 section 3.3.14): a single string of printable ASCII without `"` and `\` as it is, at
    /// most 255 octets; anything else as in a zone file, quoted.
    Txt(NonEmpty<String>),
}

impl Values {
    /// The type of record set that holds such values.
    pub fn record_type(&self) -> RecordType {
        match self {
            Values::A(_) => RecordType::A,
            Values::Aaaa(_) => RecordType::Aaaa,
            Values::Cname(_) => RecordType::Cname,
            Values::Txt(_) => RecordType::Txt,
        }
    }

    /// The values as a person reads them, in order: addresses, a name without final dot, texts unquoted.
    pub fn to_strings(&self) -> Vec<String> {
        match self {
            Values::A(set) => set.iter().map(ToString::to_string).collect(),
            Values::Aaaa(set) => set.iter().map(ToString::to_string).collect(),
            Values::Cname(name) => vec![name.to_string()],
            Values::Txt(set) => set.iter().cloned().collect(),
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_strings().join(", "))
    }
}

/// A record set (RFC 9499 "RRset"): values of one type at one name, which share a TTL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordSet {
    /// How long resolvers may keep it.
    pub ttl: Ttl,
    /// What it holds; this also says its type.
    #[serde(flatten)]
    pub values: Values,
}

impl RecordSet {
    /// A record set of these values.
    pub fn new(ttl: Ttl, values: Values) -> Self {
        RecordSet { ttl, values }
    }

    /// The type of the values.
    pub fn record_type(&self) -> RecordType {
        self.values.record_type()
    }
}

/// The record sets of one name that make up its answer: at least one, one of a type at most,
/// and a CNAME only alone (RFC 1034 section 3.6.2). Cannot be empty, by type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<RecordSet>", into = "Vec<RecordSet>")]
pub struct AnswerSets(BTreeMap<RecordType, RecordSet>);

impl AnswerSets {
    /// The answer made of these record sets.
    ///
    /// `None` when there are none, when one type occurs twice, when a CNAME has company, or when a
    /// TXT set is among them.
    pub fn new(sets: impl IntoIterator<Item = RecordSet>) -> Option<Self> {
        let mut map = BTreeMap::new();
        for set in sets {
            let kind = set.record_type();
            if kind == RecordType::Txt || map.insert(kind, set).is_some() {
                return None;
            }
        }
        let cname_in_company = map.contains_key(&RecordType::Cname) && map.len() > 1;
        if map.is_empty() || cname_in_company { None } else { Some(AnswerSets(map)) }
    }

    /// The record set of this type, if the answer has one.
    pub fn get(&self, kind: RecordType) -> Option<&RecordSet> {
        self.0.get(&kind)
    }

    /// The record sets, sorted by type.
    pub fn iter(&self) -> impl Iterator<Item = &RecordSet> {
        self.0.values()
    }

    /// Every address, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.iter().flat_map(|set| addresses_of(&set.values)).collect()
    }

    /// The same record sets, each passed through `f`, which must keep the type.
    #[must_use]
    pub fn map(self, f: impl Fn(RecordSet) -> RecordSet) -> Self {
        AnswerSets(self.0.into_iter().map(|(kind, set)| (kind, f(set))).collect())
    }
}

impl TryFrom<Vec<RecordSet>> for AnswerSets {
    type Error = &'static str;

    fn try_from(sets: Vec<RecordSet>) -> Result<Self, Self::Error> {
        AnswerSets::new(sets).ok_or("an answer is one CNAME, or an A set, an AAAA set, or both")
    }
}

impl From<AnswerSets> for Vec<RecordSet> {
    fn from(sets: AnswerSets) -> Self {
        sets.0.into_values().collect()
    }
}

impl fmt::Display for AnswerSets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.iter().flat_map(|set| set.values.to_strings()).collect();
        f.write_str(&all.join(", "))
    }
}

fn addresses_of(values: &Values) -> impl Iterator<Item = IpAddr> {
    let (v4, v6) = match values {
        Values::A(set) => (Some(set), None),
        Values::Aaaa(set) => (None, Some(set)),
        Values::Cname(_) | Values::Txt(_) => (None, None),
    };
    let v4 = v4.into_iter().flat_map(NonEmpty::iter).map(|a| IpAddr::V4(*a));
    v4.chain(v6.into_iter().flat_map(NonEmpty::iter).map(|a| IpAddr::V6(*a)))
}

/// A zone as its provider knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Zone {
    /// The apex.
    pub name: DomainName,
    /// The provider's own key for it, where it differs from the name (an id, a path); else the name.
    pub id: String,
}

/// What a provider compares when it swaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// The values themselves are compared (RFC 2136 prerequisites).
    Values,
    /// A number that grows with every change (a zone's serial, a revision).
    Number(u64),
    /// Something only the provider understands (an `ETag`, record ids).
    Opaque(String),
}

/// What a provider holds at one name now, with the version it can be compared and swapped by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The name that was read.
    pub name: DomainName,
    /// The record sets of answer types found there, one of a type, sorted; empty when there is none.
    /// TXT sets are listed only where the name is a marker's.
    pub sets: BTreeMap<RecordType, RecordSet>,
    /// The TXT set at the name's marker ([`DomainName::marker`]), where whoever read both put it beside; `None` when there
    /// is none or nobody asked. A provider leaves it out: to read a marker is to read its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<RecordSet>,
    /// What the provider will compare.
    pub version: Version,
    /// What it stores beside the values (comments, disabled, tags), to be echoed, never interpreted.
    pub native: serde_json::Value,
}

impl Snapshot {
    /// Is there nothing at the name that an answer could be made of?
    pub fn is_missing(&self) -> bool {
        self.sets.is_empty()
    }

    /// Every address found, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.sets.values().flat_map(|set| addresses_of(&set.values)).collect()
    }

    /// The canonical name, if the name is an alias.
    pub fn cname(&self) -> Option<&DomainName> {
        match self.sets.get(&RecordType::Cname).map(|set| &set.values) {
            Some(Values::Cname(name)) => Some(name),
            _ => None,
        }
    }

    /// The longest TTL found: old answers can live in caches that long. `None` when nothing is there.
    pub fn longest_ttl(&self) -> Option<Ttl> {
        self.sets.values().map(|set| set.ttl).max()
    }

    /// Does the name hold exactly this answer, TTLs included?
    pub fn holds(&self, answer: &AnswerSets) -> bool {
        self.sets == answer.0
    }

    /// The values as a person reads them, comma separated; `nothing` when the name is missing.
    pub fn summary(&self) -> String {
        if self.sets.is_empty() {
            return "nothing".into();
        }
        self.sets.values().flat_map(|set| set.values.to_strings()).collect::<Vec<_>>().join(", ")
    }
}

/// One record set before and after. Never two `None`s; made only by [`Swap::changes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The name it stands at.
    pub name: DomainName,
    /// Its type.
    pub record_type: RecordType,
    /// What is there now; `None` when the record set is new.
    pub before: Option<RecordSet>,
    /// What shall be there; `None` when the record set goes (never the last one of its name).
    pub after: Option<RecordSet>,
}

/// One name rewritten, all its record sets together: what was read, and what shall stand there.
///
/// There is no way to say "delete the name": `after` holds at least one record set, by type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// The precondition: nothing is written unless the name still holds this.
    pub before: Snapshot,
    /// What the name shall hold, complete.
    pub after: AnswerSets,
    /// What the name's marker ([`DomainName::marker`]) shall hold, in the same transaction, with `before.marker` as a further
    /// precondition. `None` leaves the marker alone: it is neither compared nor written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<RecordSet>,
}

impl Swap {
    /// From what was read to this answer; the marker is left alone.
    pub fn new(before: Snapshot, after: AnswerSets) -> Self {
        Swap { before, after, marker: None }
    }

    /// The name that is rewritten.
    pub fn name(&self) -> &DomainName {
        &self.before.name
    }

    /// The record sets of the name that differ, sorted by type. Empty when there is nothing to do: a marker is never
    /// written for its own sake.
    pub fn changes(&self) -> Vec<Change> {
        RecordType::ANSWER
            .into_iter()
            .filter_map(|record_type| {
                let before = self.before.sets.get(&record_type).cloned();
                let after = self.after.get(record_type).cloned();
                (before != after).then(|| Change { name: self.name().clone(), record_type, before, after })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(ttl: u32, addresses: &[&str]) -> RecordSet {
        let set = addresses.iter().map(|a| a.parse().expect("IPv4"));
        RecordSet::new(Ttl(ttl), Values::A(NonEmpty::new(set).expect("not empty")))
    }

    fn cname(target: &str) -> RecordSet {
        RecordSet::new(Ttl(60), Values::Cname(target.parse().expect("a name")))
    }

    #[test]
    fn an_answer_is_never_empty_and_an_alias_stands_alone() {
        assert!(AnswerSets::new([]).is_none());
        assert!(AnswerSets::new([a(60, &["192.0.2.1"]), a(60, &["192.0.2.2"])]).is_none());
        assert!(AnswerSets::new([a(60, &["192.0.2.1"]), cname("x.example")]).is_none());
        assert!(AnswerSets::new([cname("x.example")]).is_some());
        assert!(serde_json::from_str::<AnswerSets>("[]").is_err());
    }

    #[test]
    fn a_record_set_is_written_as_a_person_would() {
        let text = serde_json::to_string(&a(60, &["192.0.2.2", "192.0.2.1"])).expect("JSON");
        assert_eq!(text, r#"{"ttl":60,"type":"A","values":["192.0.2.1","192.0.2.2"]}"#);
        assert_eq!(
            serde_json::from_str::<RecordSet>(&text).expect("back"),
            a(60, &["192.0.2.1", "192.0.2.2"])
        );
        assert!(serde_json::from_str::<RecordSet>(r#"{"ttl":60,"type":"A","values":[]}"#).is_err());
    }

    #[test]
    fn a_swap_lists_what_differs() {
        let before = Snapshot {
            name: "www.example.com".parse().expect("a name"),
            sets: BTreeMap::from([
                (RecordType::A, a(60, &["192.0.2.1"])),
                (
                    RecordType::Aaaa,
                    RecordSet::new(
                        Ttl(60),
                        Values::Aaaa(NonEmpty::one("2001:db8::1".parse().expect("IPv6"))),
                    ),
                ),
            ]),
            version: Version::Values,
            native: serde_json::Value::Null,
            marker: None,
        };
        let swap = Swap {
            marker: None,
            before,
            after: AnswerSets::new([a(60, &["192.0.2.2"])]).expect("an answer"),
        };
        let changes = swap.changes();
        assert_eq!(changes.len(), 2);
        assert_eq!(changes[0].record_type, RecordType::A);
        assert_eq!(changes[1].after, None, "the family that the new target lacks goes in the same swap");
    }
}
