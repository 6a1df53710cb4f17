//! Providers of every tier: what they hold, what they held (for readers that lag and servers that follow), and how they
//! swap. The only place where a record changes.

use std::collections::{BTreeMap, BTreeSet};

use failover::decision::Place;
use providers::{DomainName, Fault, RecordSet, RecordType, Snapshot, Swap, Version};

use crate::cast::{BYSTANDER, Sets, Setup, Tier, Vendor, sets_of};
use crate::marks::{Standing, standing};
use crate::sabotage::Sabotage;

/// What went wrong with a call that reached the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Well,
    Busy,
    Throttled,
    Locked,
    /// Applies, then says that it failed.
    FailsAfter,
    /// Breaks off between two values (T4), or before anything is written.
    BreaksOff,
}

pub(crate) struct Provider {
    pub(crate) vendor: Vendor,
    pub(crate) mode: Mode,
    /// How far readers are behind.
    pub(crate) lag: i64,
    /// How far each authoritative server is behind.
    pub(crate) behind: Vec<i64>,
    names: BTreeMap<DomainName, Name>,
}

#[derive(Clone, Default)]
struct Name {
    /// Grows with every write, so that what was deleted and made again is something else (T2).
    number: u64,
    history: Vec<(i64, Sets)>,
}

impl Provider {
    pub(crate) fn new(setup: &Setup, vendor: &Vendor) -> Self {
        let mut provider = Provider {
            vendor: vendor.clone(),
            mode: Mode::Well,
            lag: 0,
            behind: vec![0; vendor.servers],
            names: BTreeMap::new(),
        };
        for record in setup.policy.records.values().filter(|record| record.provider == vendor.id) {
            provider.put(&record.name, setup.initial[&record.name].clone(), i64::MIN);
        }
        provider.put(&bystander(), sets_of(&["192.0.2.25".parse().unwrap()], 300), i64::MIN);
        provider
    }

    /// What the name holds.
    pub(crate) fn truth(&self, name: &DomainName) -> &Sets {
        &self.names[name].history.last().unwrap().1
    }

    /// Every name and what it holds.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&DomainName, &Sets)> {
        self.names.iter().map(|(name, held)| (name, &held.history.last().unwrap().1))
    }

    /// What it held so long ago.
    pub(crate) fn held(&self, name: &DomainName, at: i64) -> &Sets {
        let history = &self.names[name].history;
        &history.iter().rev().find(|(since, _)| *since <= at).unwrap_or(&history[0]).1
    }

    pub(crate) fn put(&mut self, name: &DomainName, sets: Sets, at: i64) {
        let entry = self.names.entry(name.clone()).or_default();
        entry.number += 1;
        entry.history.push((at, sets));
    }

    pub(crate) fn read(&self, name: &DomainName, now: i64, sabotage: Sabotage) -> Snapshot {
        let mut snapshot = snapshot_of(name, self.held(name, now - self.lag).clone());
        if self.vendor.tier == Tier::T2 {
            // A reader that lags shows ids that are gone.
            snapshot.version = Version::Number(if self.lag == 0 { self.names[name].number } else { 0 });
        }
        snapshot.marker = self.marker(name, now - self.lag).cloned();
        if sabotage == Sabotage::MarkerBlind && standing(snapshot.marker.as_ref()) == Standing::Spoilt {
            snapshot.marker = None;
        }
        snapshot
    }

    /// What the record's marker held so long ago.
    fn marker(&self, name: &DomainName, at: i64) -> Option<&RecordSet> {
        let marker = name.marker()?;
        let history = &self.names.get(&marker)?.history;
        history.iter().rev().find(|(since, _)| *since <= at)?.1.get(&RecordType::Txt)
    }

    /// What the record's marker holds.
    pub(crate) fn marker_now(&self, name: &DomainName) -> Option<&RecordSet> {
        self.marker(name, i64::MAX)
    }

    /// What it held before that.
    pub(crate) fn marker_before(&self, name: &DomainName) -> Option<&RecordSet> {
        let history = &self.names.get(&name.marker()?)?.history;
        history.iter().rev().nth(1)?.1.get(&RecordType::Txt)
    }

    /// Does every name still hold what the swaps were made of?
    pub(crate) fn compare(&self, swaps: &[&Swap], now: i64, sabotage: Sabotage) -> Result<(), Fault> {
        if sabotage == Sabotage::BlindProvider {
            return Ok(());
        }
        let spoilt = |swap: &&&Swap| match (self.vendor.tier, &swap.before.version) {
            (Tier::T1, _) => self.truth(swap.name()) != &swap.before.sets,
            (Tier::T2, Version::Number(number)) => self.names[swap.name()].number != *number,
            _ => self.held(swap.name(), now - self.lag) != &swap.before.sets,
        };
        let moved = |swap: &&&Swap| {
            if sabotage == Sabotage::MarkerBlind {
                return false;
            }
            let seen_at = if matches!(self.vendor.tier, Tier::T1 | Tier::T2) { now } else { now - self.lag };
            swap.marker.is_some() && self.marker(swap.name(), seen_at) != swap.before.marker.as_ref()
        };
        match swaps.iter().find(|swap| spoilt(swap) || moved(swap)) {
            Some(swap) => Err(Fault::Conflict(format!("{} holds something else", swap.name()))),
            None => Ok(()),
        }
    }

    /// What a write makes of the name, step by step; all but the last are seen only by those who look in between.
    pub(crate) fn steps(&self, swap: &Swap, sabotage: Sabotage) -> Vec<Sets> {
        let after: Sets = swap.after.iter().map(|set| (set.record_type(), set.clone())).collect();
        if self.vendor.tier != Tier::T4 && sabotage != Sabotage::EmptyingProvider {
            return vec![after];
        }
        if sabotage == Sabotage::EmptyingProvider {
            return vec![Sets::new(), after];
        }
        // What is new comes before what is old goes: never nothing.
        let places = |sets: &Sets| Place::published(&snapshot_of(swap.name(), sets.clone()));
        let both: BTreeSet<Place> =
            places(self.truth(swap.name())).into_iter().chain(places(&after)).collect();
        let ttl = after.values().map(|set| set.ttl.seconds()).max().unwrap_or(60);
        let at_once = both == places(&after) || both.iter().any(|place| place.name().is_some());
        if at_once { vec![after] } else { vec![sets_of(&both, ttl), after] }
    }
}

pub(crate) fn snapshot_of(name: &DomainName, sets: Sets) -> Snapshot {
    Snapshot {
        name: name.clone(),
        sets,
        version: Version::Values,
        marker: None,
        native: serde_json::Value::Null,
    }
}

pub(crate) fn bystander() -> DomainName {
    BYSTANDER.parse().unwrap()
}

pub(crate) fn words(sets: &Sets) -> String {
    if sets.is_empty() {
        return "nothing".into();
    }
    let values: Vec<String> = sets.values().flat_map(|set| set.values.to_strings()).collect();
    let ttl = sets.values().map(|set| set.ttl.to_string()).max().unwrap_or_default();
    format!("{} ({ttl})", values.join(", "))
}
