//! The court: what must never happen, each by its name. It believes nobody: only what providers held, agents were handed and
//! chats received.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use failover::decision::{Coordination, OverrideKey, Place, TargetId, What, Work};
use failover::store::ChangeRow;
use providers::{AnswerSets, DomainName};

use crate::cast::{FOREIGN, Sets, Setup, sets_of};
use crate::changes::Applied;
use crate::heard::Heard;
use crate::provider::{bystander, snapshot_of, words};
use crate::told::Said;
use crate::wire::Zone;

/// Which promise was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) text: String,
}

pub(crate) const INVARIANTS: [&str; 13] = [
    "never_empty",
    "never_to_down",
    "never_another_key",
    "never_foreign",
    "chain",
    "marker",
    "bound",
    "velocity",
    "orders",
    "all_down",
    "quiet",
    "messages",
    "converged",
];

#[derive(Default)]
pub(crate) struct Court {
    pub(crate) violation: Option<Violation>,
    pub(crate) applied: Vec<Applied>,
    pub(crate) edits: Vec<(DomainName, i64, Sets)>,
    pub(crate) heard: BTreeMap<usize, Heard>,
    /// Failures handed to an agent, ever, by target.
    pub(crate) failures: BTreeMap<(usize, TargetId), u32>,
    pub(crate) said: Vec<Said>,
    /// When an agent forgot something that it should have kept, or could not know how old it was.
    pub(crate) amnesia: Vec<(usize, i64)>,
    /// Agents whose wall clock was stepped in this life, and ever.
    stepped: BTreeSet<usize>,
    pub(crate) wrong_clocks: BTreeSet<usize>,
    /// When a person put back an older marker of a record, or deleted it, and the records of which a person touched the
    /// marker at all.
    pub(crate) put_back: Vec<(DomainName, i64)>,
    pub(crate) touched: BTreeSet<DomainName>,
    /// What a person ordered of an agent, as far as it must know of it: until when.
    pub(crate) orders: BTreeMap<(usize, OverrideKey), (What, i64)>,
    /// Agent, record, when: what counted against a change began anew.
    pub(crate) acknowledged: Vec<(usize, DomainName, i64)>,
    /// Agents that may obey orders which they may as well have forgotten.
    pub(crate) murky: BTreeSet<usize>,
    /// Agent, channel, event: kept in a file that outlives the process, or in its memory.
    pub(crate) owed: BTreeMap<(usize, String, String), bool>,
    pub(crate) arrived: BTreeMap<(usize, String, String), u32>,
    pub(crate) words: BTreeMap<(usize, String), String>,
    last_sent: BTreeMap<(usize, DomainName), Work>,
    /// What was ever asked for, by its id.
    asked: BTreeMap<String, AnswerSets>,
    /// Changes that an agent found open when it started.
    left_open: BTreeMap<(usize, DomainName), String>,
    /// Attempts of a change which an earlier life of the agent left open, and that change.
    tried_again: BTreeMap<String, String>,
    /// When a record was last asked to be written.
    pub(crate) last_requests: BTreeMap<DomainName, i64>,
}

impl Court {
    pub(crate) fn accuse(&mut self, invariant: &'static str, text: String) {
        debug_assert!(INVARIANTS.contains(&invariant));
        self.violation.get_or_insert(Violation { invariant, text });
    }

    pub(crate) fn effective(&self) -> u64 {
        self.applied.len().try_into().unwrap()
    }

    pub(crate) fn born(&mut self, agent: usize, at: i64, open: &BTreeMap<String, Arc<ChangeRow>>) {
        self.left_open.retain(|(whose, _), _| *whose != agent);
        let rows = open.values().map(|row| ((agent, row.record.clone()), row.id.clone()));
        self.left_open.extend(rows);
        // Ages of what was kept are told by the wall clock.
        if self.stepped.remove(&agent) {
            self.amnesia.push((agent, at));
            self.forget_orders(agent);
        }
        self.heard.insert(agent, Heard::default());
    }

    pub(crate) fn died(&mut self, agent: usize, at: i64, disk_lost: bool, in_trouble: bool) {
        if disk_lost || in_trouble {
            self.amnesia.push((agent, at));
            self.forget_orders(agent);
        }
        self.owed.retain(|(whose, ..), kept| *whose != agent || (*kept && !disk_lost));
    }

    /// It stood still: what failed before may have been forgotten since.
    pub(crate) fn thawed(&mut self, agent: usize) {
        for streak in self.heard.entry(agent).or_default().endpoints.values_mut() {
            streak.failures = 0;
        }
    }

    pub(crate) fn stepped(&mut self, agent: usize) {
        self.stepped.insert(agent);
        self.wrong_clocks.insert(agent);
    }

    pub(crate) fn sent(&mut self, agent: usize, now: i64, work: &Work) {
        self.last_requests.insert(work.swap.name().clone(), now);
        self.last_sent.insert((agent, work.swap.name().clone()), work.clone());
        let open = self.left_open.remove(&(agent, work.swap.name().clone()));
        if let Some(open) = open.filter(|open| self.asked.get(open) == Some(&work.swap.after)) {
            self.tried_again.insert(work.id.clone(), self.change_of(&open).to_owned());
        }
        self.asked.insert(work.id.clone(), work.swap.after.clone());
    }

    /// Who asks for the same after this asks for another change.
    pub(crate) fn was_closed(&mut self, work: &str) {
        self.left_open.retain(|_, open| *open != work);
    }

    /// What this is an attempt of.
    pub(crate) fn change_of<'a>(&'a self, work: &'a str) -> &'a str {
        self.tried_again.get(work).map_or(work, String::as_str)
    }

    pub(crate) fn last_sent(&self, agent: usize, record: &DomainName) -> Option<Work> {
        self.last_sent.get(&(agent, record.clone())).cloned()
    }

    pub(crate) fn marker_edited(&mut self, record: &DomainName, at: i64, put_back: bool) {
        self.touched.insert(record.clone());
        self.put_back.extend(put_back.then(|| (record.clone(), at)));
    }

    pub(crate) fn edited(&mut self, record: &DomainName, at: i64, sets: &Sets) {
        self.edits.push((record.clone(), at, sets.clone()));
    }

    /// Nothing beside the records was touched.
    pub(crate) fn whole_zone(&mut self, setup: &Setup, zone: &Zone) {
        let untouched = sets_of(&["192.0.2.25".parse().unwrap()], 300);
        let zone_records = setup.policy.records.values().filter(|r| r.coordination == Coordination::Zone);
        let markers: BTreeSet<DomainName> = zone_records.filter_map(|r| r.name.marker()).collect();
        for (name, sets) in zone {
            if *name == bystander() && *sets != untouched {
                self.accuse("never_another_key", format!("{name} holds {}", words(sets)));
            } else if *name != bystander()
                && !markers.contains(name)
                && !setup.policy.records.contains_key(name)
            {
                self.accuse("never_another_key", format!("{name} was made"));
            }
        }
    }
}

/// The values at a name that are none of its targets' and may not be taken over.
pub(crate) fn strangers(setup: &Setup, name: &DomainName, sets: &Sets) -> Vec<Place> {
    let record = &setup.policy.records[name];
    let ours = |place: &Place| {
        record.targets().any(|t| setup.policy.targets[t].places.contains(place))
            || (FOREIGN.contains(&place.to_string().as_str())
                && place.address().is_some_and(|address| record.adopt.contains(&address)))
    };
    Place::published(&snapshot_of(name, sets.clone())).into_iter().filter(|place| !ours(place)).collect()
}
