//! What was seen on the stage: plain values for the verdict, filled by all who look on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use providers::DomainName;

use super::cast::Cast;
use super::timeline::Entry;
use crate::clock::Clock;
use crate::decision::{ChannelId, EventKind, Moment, Place, TargetId};

/// So many entries are kept; beyond that only those that matter.
const ENTRIES: usize = 10_000;

/// An entry waits so long before it is shown, so that what came in late still stands in its place.
const SETTLE: Duration = Duration::from_millis(250);

/// What one name leads to: addresses of both families, or one host name.
pub(super) type Addresses = BTreeSet<Place>;

/// One write at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) at: Duration,
    pub(super) record: DomainName,
    pub(super) after: Addresses,
    /// Addresses that it added and whose last probe was no pass.
    pub(super) unproven: Addresses,
}

/// The same answer, from the first time it was seen to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) answer: Addresses,
    pub(super) first: Duration,
    pub(super) asked: u64,
}

/// One event of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happened {
    pub(super) at: Duration,
    pub(super) kind: EventKind,
    pub(super) record: Option<DomainName>,
    pub(super) target: Option<TargetId>,
}

/// What an outage must do to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It published a dead address and has another target: it must move.
    Moves,
    /// It published a dead address and has nothing else: it must stay.
    Stays,
    /// It published no dead address: nothing must happen.
    Untouched,
}

/// One outage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) killed: BTreeSet<TargetId>,
    pub(super) dead: Addresses,
    pub(super) began: Duration,
    pub(super) returned: Option<Duration>,
    /// What each record published when it began.
    pub(super) published: BTreeMap<DomainName, Addresses>,
    pub(super) fates: BTreeMap<DomainName, Fate>,
    /// Records that must be changed a second time when the dead are back.
    pub(super) come_back: BTreeSet<DomainName>,
    /// What should have happened within its time and did not.
    pub(super) late: Vec<String>,
}

/// What a second run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SecondRun {
    pub(super) writes: u64,
    pub(super) events: usize,
    pub(super) settled: bool,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) homes: BTreeMap<DomainName, Addresses>,
    pub(super) scenes: Vec<Scene>,
    pub(super) writes: Vec<Write>,
    pub(super) runs: BTreeMap<DomainName, Vec<Run>>,
    /// Questions without a usable answer.
    pub(super) unanswered: u64,
    pub(super) events: Vec<Happened>,
    /// How often each channel was told each event.
    pub(super) told: BTreeMap<ChannelId, BTreeMap<String, u32>>,
    pub(super) second_runs: Vec<SecondRun>,
    /// What was done to records that are not ours, by the mock's own account and by ours.
    pub(super) trespasses: Vec<String>,
    /// Did the last probe of an address by a check pass?
    pub(super) passed: BTreeMap<(Place, usize), bool>,
    /// How many of its checks a place must pass.
    pub(super) needed: BTreeMap<Place, usize>,
    /// Addresses of which the turn of the present scene was told.
    pub(super) turns_told: Addresses,
    pub(super) waiting: Vec<Entry>,
    pub(super) shown: Vec<Entry>,
}

impl Facts {
    /// When DNS first answered without any dead address after the outage began.
    pub(super) fn served_at(&self, name: &DomainName, scene: &Scene) -> Option<Duration> {
        let runs = self.runs.get(name)?.iter();
        runs.filter(|run| run.first >= scene.began && run.answer.is_disjoint(&scene.dead))
            .map(|r| r.first)
            .next()
    }

    /// What DNS answered last.
    pub(super) fn answer(&self, name: &DomainName) -> Option<&Addresses> {
        Some(&self.runs.get(name)?.last()?.answer)
    }

    /// Was there such an event since then?
    pub(super) fn has_event(&self, kinds: &[EventKind], name: &DomainName, since: Duration) -> bool {
        self.events
            .iter()
            .any(|e| e.at >= since && kinds.contains(&e.kind) && e.record.as_ref() == Some(name))
    }

    /// Everything that was told, in order.
    pub(super) fn timeline(&self) -> &[Entry] {
        &self.shown
    }
}

/// The facts, shared, with the clock by which they are noted.
#[derive(Clone)]
pub(super) struct Book {
    clock: Arc<dyn Clock>,
    facts: Arc<Mutex<Facts>>,
}

impl Book {
    pub(super) fn new(clock: Arc<dyn Clock>, cast: &Cast) -> Self {
        let (homes, needed) = (cast.homes.clone(), cast.needed());
        Book { clock, facts: Arc::new(Mutex::new(Facts { homes, needed, ..Facts::default() })) }
    }

    /// The time since the start.
    pub(super) fn now(&self) -> Duration {
        self.clock.now().moment.since(Moment::ZERO)
    }

    /// The time since the start at which the wall clock showed `wall`.
    pub(super) fn time_of(&self, wall: jiff::Timestamp) -> Duration {
        self.clock.now().moment_ahead(wall).since(Moment::ZERO)
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an entry for the timeline.
    pub(super) fn tell(&self, entry: Entry) {
        let mut facts = self.facts();
        if !entry.minor || facts.shown.len() + facts.waiting.len() < ENTRIES {
            facts.waiting.push(entry);
        }
    }

    /// The entries that are due, in order; with `all` every one.
    pub(super) fn due(&self, all: bool) -> Vec<Entry> {
        let now = self.now();
        let mut facts = self.facts();
        let mut waiting = std::mem::take(&mut facts.waiting);
        // Stable: what happened at the same time stays in the order in which it was noted.
        waiting.sort_by_key(|entry| entry.at);
        let end = if all { waiting.len() } else { waiting.partition_point(|entry| entry.at + SETTLE <= now) };
        facts.waiting = waiting.split_off(end);
        facts.shown.extend(waiting.iter().cloned());
        if all {
            // What came in later than anybody waited for it is shown late, and kept in its place.
            facts.shown.sort_by_key(|entry| entry.at);
        }
        waiting
    }
}
