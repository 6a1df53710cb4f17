//! Zones as values, and the compare-and-swap over them: pure.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::rr::{RData, RecordType as WireType};

use crate::{
    AnswerSets, Change, DomainName, Fault, NonEmpty, RecordSet, RecordType, Snapshot, Swap, Ttl, Values,
    Version,
};

/// A record set of any type as it stands in the file, in the presentation format of RFC 1035 section 5.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSet {
    /// Its TTL.
    pub ttl: Ttl,
    /// Its type in capitals: `MX`, `TXT`.
    pub record_type: String,
    /// Its values: names with or without the final dot are absolute, texts are quoted.
    pub values: Vec<String>,
}

/// What stands at one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// The sets that answers are made of.
    pub(super) answer: BTreeMap<RecordType, RecordSet>,
    /// Everything else, untouched and in its order.
    pub(super) others: Vec<StoredSet>,
}

impl Node {
    pub(super) fn is_empty(&self) -> bool {
        self.answer.is_empty() && self.others.is_empty()
    }

    /// The node made of these sets.
    ///
    /// # Errors
    /// A sentence, when a type occurs twice, a value cannot be read, or an alias has company (RFC 1034 section 3.6.2).
    pub(super) fn of(sets: Vec<StoredSet>) -> Result<Node, String> {
        let mut node = Node::default();
        let mut seen = BTreeSet::new();
        let count = sets.len();
        for set in sets {
            if !seen.insert(set.record_type.clone()) {
                return Err(format!("two {} sets at one name; put their values into one", set.record_type));
            }
            match answer_set(&set)? {
                Some(parsed) => drop(node.answer.insert(parsed.record_type(), parsed)),
                None => node.others.push(set),
            }
        }
        if node.answer.contains_key(&RecordType::Cname) && count > 1 {
            return Err("a CNAME stands alone at its name (RFC 1034 section 3.6.2)".into());
        }
        Ok(node)
    }

    /// The node's sets, answers first.
    pub(super) fn stored(&self) -> Vec<StoredSet> {
        let answers = self.answer.values().map(|set| StoredSet {
            ttl: set.ttl,
            record_type: set.record_type().as_str().to_owned(),
            values: set.values.to_strings(),
        });
        answers.chain(self.others.iter().cloned()).collect()
    }
}

/// The set as one of an answer; `None` for other types.
pub(super) fn answer_set(set: &StoredSet) -> Result<Option<RecordSet>, String> {
    fn parsed<T: std::str::FromStr + Ord + Clone>(set: &StoredSet) -> Result<NonEmpty<T>, String> {
        let read = |text: &String| {
            text.parse().map_err(|_| format!("{text:?} is no value of type {}", set.record_type))
        };
        let values = set.values.iter().map(read).collect::<Result<Vec<T>, _>>()?;
        NonEmpty::new(values).ok_or_else(|| format!("the {} set has no values", set.record_type))
    }
    let values = match set.record_type.as_str() {
        "A" => Values::A(parsed(set)?),
        "AAAA" => Values::Aaaa(parsed(set)?),
        "CNAME" => match set.values.as_slice() {
            [target] => Values::Cname(target.parse().map_err(|error| format!("{target:?}: {error}"))?),
            _ => return Err("a CNAME has exactly one value".into()),
        },
        _ => return Ok(None),
    };
    Ok(Some(RecordSet::new(set.ttl, values)))
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ZoneState {
    pub(super) serial: u32,
    /// No node in here is empty.
    pub(super) nodes: BTreeMap<DomainName, Node>,
}

impl Default for ZoneState {
    fn default() -> Self {
        ZoneState { serial: 1, nodes: BTreeMap::new() }
    }
}

impl ZoneState {
    /// Puts a node in its place, or removes it when it is empty.
    pub(super) fn put(&mut self, name: &DomainName, node: Node) {
        if node.is_empty() {
            self.nodes.remove(name);
        } else {
            self.nodes.insert(name.clone(), node);
        }
    }
}

/// All zones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Zones(pub(super) BTreeMap<DomainName, ZoneState>);

/// How the mock bends what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TtlRule {
    pub(super) min: Ttl,
    pub(super) max: Ttl,
    /// Stored whatever was asked, and not foretold by `normalize`.
    pub(super) silent: Option<Ttl>,
}

impl TtlRule {
    pub(super) fn normalize(self, wish: AnswerSets) -> AnswerSets {
        wish.map(|set| RecordSet { ttl: set.ttl.clamp(self.min, self.max), ..set })
    }

    fn store(self, wish: AnswerSets) -> AnswerSets {
        let normal = self.normalize(wish);
        match self.silent {
            Some(ttl) => normal.map(|set| RecordSet { ttl, ..set }),
            None => normal,
        }
    }
}

impl Zones {
    /// The zone that holds `name`: the longest suffix.
    pub(super) fn find(&self, name: &DomainName) -> Option<(&DomainName, &ZoneState)> {
        self.0.iter().filter(|(zone, _)| name.is_within(zone)).max_by_key(|(zone, _)| zone.label_count())
    }

    /// The zone of that name, if `name` belongs to it and to no zone below it.
    pub(super) fn zone_of(&self, zone: &DomainName, name: &DomainName) -> Result<&ZoneState, Fault> {
        match self.find(name) {
            Some((found, state)) if found == zone => Ok(state),
            _ => Err(Fault::Config(format!("{name} is not in the zone {zone} of the mock"))),
        }
    }

    pub(super) fn snapshot(&self, zone: &DomainName, name: &DomainName) -> Result<Snapshot, Fault> {
        let node = self.zone_of(zone, name)?.nodes.get(name).cloned().unwrap_or_default();
        let mut sets = node.answer;
        if name.as_str().starts_with("_failover.") {
            let texts = node.others.iter().filter(|set| set.record_type == "TXT");
            sets.extend(texts.filter_map(text_set).map(|set| (RecordType::Txt, set)));
        }
        Ok(Snapshot {
            name: name.clone(),
            sets,
            version: Version::Values,
            marker: None,
            native: serde_json::Value::Null,
        })
    }

    /// The zones after all these swaps, or a fault and nothing.
    ///
    /// Compared are the types and the values found at the name, not the TTLs, as RFC 2136 section 2.4.2 does.
    pub(super) fn swapped(&self, zone: &DomainName, swaps: &[Swap], rule: TtlRule) -> Result<Zones, Fault> {
        let mut next = self.clone();
        let mut names = BTreeSet::new();
        for swap in swaps.iter().filter(|swap| !swap.changes().is_empty()) {
            let name = swap.name();
            if !names.insert(name) {
                return Err(Fault::Invalid(format!("{name} is swapped twice in one call")));
            }
            let mut node = self.zone_of(zone, name)?.nodes.get(name).cloned().unwrap_or_default();
            if !same_values(&node.answer, &swap.before.sets) {
                let now = self.snapshot(zone, name)?.summary();
                return Err(Fault::Conflict(format!(
                    "{name} now holds {now}, not {}",
                    swap.before.summary()
                )));
            }
            let is_alias = swap.after.get(RecordType::Cname).is_some();
            if let (true, Some(other)) = (is_alias, node.others.first()) {
                let kind = &other.record_type;
                return Err(Fault::Unsupported(format!(
                    "{name} has a {kind} set, beside which no CNAME can stand"
                )));
            }
            node.answer =
                rule.store(swap.after.clone()).iter().map(|set| (set.record_type(), set.clone())).collect();
            next.zone_mut(zone).put(name, node);
        }
        next.count_from(self);
        Ok(next)
    }

    /// The zones after the first set of the first swap that adds something, and nothing else: half a job.
    pub(super) fn half_swapped(
        &self,
        zone: &DomainName,
        swaps: &[Swap],
        rule: TtlRule,
    ) -> Result<Zones, Fault> {
        self.swapped(zone, swaps, rule)?;
        let mut next = self.clone();
        let first_added = swaps.iter().find_map(|swap| {
            let change = swap.changes().into_iter().find(|change| change.after.is_some())?;
            let set = rule.store(swap.after.clone()).get(change.record_type)?.clone();
            Some((change.name, set))
        });
        if let Some((name, set)) = first_added {
            let mut node = self.zone_of(zone, &name)?.nodes.get(&name).cloned().unwrap_or_default();
            let is_alias = |kind: RecordType| kind == RecordType::Cname;
            node.answer.retain(|kind, _| is_alias(*kind) == is_alias(set.record_type()));
            node.answer.insert(set.record_type(), set);
            next.zone_mut(zone).put(&name, node);
        }
        next.count_from(self);
        Ok(next)
    }

    /// The zones after somebody's edit: the name holds exactly these sets.
    pub(super) fn edited(&self, name: &DomainName, node: Node) -> Result<Zones, Fault> {
        let Some((zone, _)) = self.find(name) else {
            return Err(Fault::Config(format!("no zone of the mock holds {name}")));
        };
        let mut next = self.clone();
        next.zone_mut(zone).put(name, node);
        next.count_from(self);
        Ok(next)
    }

    fn zone_mut(&mut self, zone: &DomainName) -> &mut ZoneState {
        self.0.entry(zone.clone()).or_default()
    }

    /// A zone that changed gets the next serial (RFC 1982 arithmetic: it wraps).
    fn count_from(&mut self, before: &Zones) {
        for (name, zone) in &mut self.0 {
            if before.0.get(name).is_some_and(|old| old.nodes != zone.nodes) {
                zone.serial = zone.serial.wrapping_add(1);
            }
        }
    }
}

/// The same types with the same values?
fn same_values(now: &BTreeMap<RecordType, RecordSet>, before: &BTreeMap<RecordType, RecordSet>) -> bool {
    let values = |sets: &BTreeMap<RecordType, RecordSet>| -> Vec<Values> {
        let answers = sets.iter().filter(|(kind, _)| RecordType::ANSWER.contains(kind));
        answers.map(|(_, set)| set.values.clone()).collect()
    };
    values(now) == values(before)
}

/// What changed at a name, for the journal.
pub(super) fn changes_between(name: &DomainName, before: &Node, after: &Node) -> Vec<Change> {
    let change = |record_type| {
        let (before, after) = (before.answer.get(&record_type), after.answer.get(&record_type));
        let (before, after) = (before.cloned(), after.cloned());
        (before != after).then(|| Change { name: name.clone(), record_type, before, after })
    };
    RecordType::ANSWER.into_iter().filter_map(change).collect()
}

/// A TXT set as texts; `None` when a value cannot be read.
fn text_set(set: &StoredSet) -> Option<RecordSet> {
    let text = |value: &String| match RData::try_from_str(WireType::TXT, value).ok()? {
        RData::TXT(txt) => Some(txt.to_string()),
        _ => None,
    };
    let texts = set.values.iter().map(text).collect::<Option<Vec<_>>>()?;
    Some(RecordSet::new(set.ttl, Values::Txt(NonEmpty::new(texts)?)))
}
