//! The court: what must never happen, each by its name. It believes nobody: only what providers held, agents were handed and
//! chats received.

use std::collections::{BTreeMap, BTreeSet};

use failover::decision::{Endpoint, EventKind, Input, Outcome, Place, TargetId, Work};
use failover::store::Delivery;
use failover::{agent::Told, decision::Require};
use providers::{DomainName, RecordType};

use crate::cast::{FOREIGN, SECOND, Sets, Setup, sets_of};
use crate::provider::{bystander, snapshot_of, words};
use crate::wire::Zone;

/// Which promise was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) text: String,
}

pub(crate) const INVARIANTS: [&str; 9] = [
    "never_empty",
    "never_to_down",
    "never_another_key",
    "never_foreign",
    "chain",
    "bound",
    "quiet",
    "messages",
    "converged",
];

/// A change that took effect.
struct Applied {
    at: i64,
    record: DomainName,
    agent: usize,
    work: String,
    decided: i64,
    after: Sets,
    late: bool,
}

/// A write at the provider.
pub(crate) struct Applying<'a> {
    pub(crate) at: i64,
    pub(crate) agent: usize,
    pub(crate) work: &'a Work,
    pub(crate) decided: i64,
    pub(crate) before: &'a Sets,
    pub(crate) after: &'a Sets,
    /// The provider compares in the same step as it writes.
    pub(crate) compared: bool,
    /// More of the same write follows.
    pub(crate) partial: bool,
    /// The agent no longer waited for it, or it is the second copy.
    pub(crate) late: bool,
    pub(crate) setup: &'a Setup,
}

/// What an agent was handed in this life.
#[derive(Default)]
struct Heard {
    endpoints: BTreeMap<Endpoint, Streak>,
    witnesses: BTreeMap<String, bool>,
    witness_seen: Option<i64>,
    /// What was begun before this says nothing.
    counts_from: i64,
}

#[derive(Clone, Copy, Default)]
struct Streak {
    /// Failures in a row, and since when.
    failures: u32,
    since: i64,
    last_pass: bool,
    at: i64,
}

struct Said {
    agent: usize,
    at: i64,
    kind: EventKind,
    record: Option<DomainName>,
}

pub(crate) struct Court {
    pub(crate) violation: Option<Violation>,
    applied: Vec<Applied>,
    edits: Vec<(DomainName, i64, Sets)>,
    heard: BTreeMap<usize, Heard>,
    /// Failures handed to an agent, ever, by target.
    failures: BTreeMap<(usize, TargetId), u32>,
    said: Vec<Said>,
    /// When an agent forgot something that it should have kept, or could not know how old it was.
    amnesia: Vec<(usize, i64)>,
    stepped: BTreeSet<usize>,
    /// Records of which an old picture was shown: with what each held at the start.
    pub(crate) stale: BTreeMap<DomainName, Sets>,
    /// Agent, channel, event: kept in a file that outlives the process, or in its memory.
    owed: BTreeMap<(usize, String, String), bool>,
    arrived: BTreeMap<(usize, String, String), u32>,
    words: BTreeMap<String, String>,
    last_sent: BTreeMap<(usize, DomainName), Work>,
    /// When something was last asked to be written, and what.
    pub(crate) last_request: Option<(i64, DomainName)>,
}

impl Court {
    pub(crate) fn new() -> Court {
        Court {
            violation: None,
            applied: Vec::new(),
            edits: Vec::new(),
            heard: BTreeMap::new(),
            failures: BTreeMap::new(),
            said: Vec::new(),
            amnesia: Vec::new(),
            stepped: BTreeSet::new(),
            stale: BTreeMap::new(),
            owed: BTreeMap::new(),
            arrived: BTreeMap::new(),
            words: BTreeMap::new(),
            last_sent: BTreeMap::new(),
            last_request: None,
        }
    }

    pub(crate) fn accuse(&mut self, invariant: &'static str, text: String) {
        debug_assert!(INVARIANTS.contains(&invariant));
        self.violation.get_or_insert(Violation { invariant, text });
    }

    pub(crate) fn effective(&self) -> u64 {
        self.applied.len().try_into().unwrap()
    }

    pub(crate) fn born(&mut self, agent: usize, at: i64) {
        // Ages of what was kept are told by the wall clock.
        if self.stepped.remove(&agent) {
            self.amnesia.push((agent, at));
        }
        self.heard.insert(agent, Heard::default());
    }

    pub(crate) fn died(&mut self, agent: usize, at: i64, disk_lost: bool, in_trouble: bool) {
        if disk_lost || in_trouble {
            self.amnesia.push((agent, at));
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
    }

    /// What an agent is handed.
    pub(crate) fn heard(&mut self, agent: usize, now: i64, setup: &Setup, input: &Input) {
        let heard = self.heard.entry(agent).or_default();
        let stale = crate::cast::seconds(setup.check_policy().stale_after());
        match input {
            Input::Observed(seen) => {
                let blind = heard.is_blind(setup);
                let took = seen.ended.since(seen.started);
                let begun = now - i64::try_from(took.as_micros()).unwrap();
                let counts = !blind
                    && begun >= heard.counts_from
                    && took <= setup.check_policy().timeout + std::time::Duration::from_secs(2);
                let streak = heard.endpoints.entry(seen.endpoint.clone()).or_default();
                if now - streak.at > stale {
                    *streak = Streak::default();
                }
                match &seen.outcome {
                    Outcome::Pass if counts => {
                        *streak = Streak { last_pass: true, at: now, ..Streak::default() }
                    }
                    Outcome::Fail(_) if counts => {
                        if streak.failures == 0 {
                            streak.since = now;
                        }
                        (streak.failures, streak.last_pass, streak.at) = (streak.failures + 1, false, now);
                    }
                    _ => {}
                }
                if let Outcome::Fail(_) = seen.outcome {
                    *self.failures.entry((agent, seen.endpoint.target.clone())).or_default() += 1;
                }
            }
            Input::Witnessed(seen) => {
                let blind = heard.is_blind(setup);
                let passed = seen.outcome == Outcome::Pass;
                heard.witnesses.insert(seen.witness.as_str().to_owned(), passed);
                if passed {
                    heard.witness_seen = Some(now);
                }
                if blind && !heard.is_blind(setup) {
                    heard.endpoints.clear();
                    heard.counts_from = now;
                }
            }
            _ => {}
        }
    }

    /// An agent has made up its mind to write.
    pub(crate) fn decided(&mut self, agent: usize, now: i64, setup: &Setup, work: &Work) {
        let record = &setup.policy.records[work.swap.name()];
        let heard = self.heard.entry(agent).or_default();
        let stale = crate::cast::seconds(setup.check_policy().stale_after()) + SECOND;
        let after: Sets = work.swap.after.iter().map(|set| (set.record_type(), set.clone())).collect();
        let places = |sets: &Sets| Place::published(&snapshot_of(work.swap.name(), sets.clone()));
        let published = places(&work.swap.before.sets);
        let mut accusation = None;
        for place in places(&after) {
            let owner = record.targets().find(|t| setup.policy.targets[*t].places.contains(&place));
            let Some(owner) = owner else {
                accusation = Some(("never_another_key", format!("{place} is no target of {}", record.name)));
                break;
            };
            if !published.contains(&place) && !heard.passed(setup, owner, &place, now, stale) {
                let text = format!("{place} is added to {}, and its last probe did not pass", record.name);
                accusation = Some(("never_to_down", text));
            }
            let down = heard.is_down(setup, owner, &place, now - stale + 2 * SECOND);
            let another_up = || {
                let mut others = record.targets().filter(|other| *other != owner);
                others.find(|o| {
                    setup.policy.targets[*o].places.iter().all(|p| heard.passed(setup, o, p, now, stale))
                })
            };
            if down && let Some(other) = another_up() {
                let text = format!("{place} is written to {}, and is down while {other} is up", record.name);
                accusation = Some(("never_to_down", text));
            }
        }
        if let Some((invariant, text)) = accusation {
            self.accuse(invariant, format!("agent {agent}: {text}"));
        }
    }

    pub(crate) fn sent(&mut self, agent: usize, now: i64, work: &Work) {
        self.last_request = Some((now, work.swap.name().clone()));
        self.last_sent.insert((agent, work.swap.name().clone()), work.clone());
    }

    pub(crate) fn last_sent(&self, agent: usize, record: &DomainName) -> Option<Work> {
        self.last_sent.get(&(agent, record.clone())).cloned()
    }

    pub(crate) fn edited(&mut self, record: &DomainName, at: i64, sets: &Sets) {
        self.edits.push((record.clone(), at, sets.clone()));
    }

    pub(crate) fn applied(&mut self, write: &Applying<'_>) {
        let (name, setup) = (write.work.swap.name(), write.setup);
        if write.after.is_empty() {
            return self.accuse("never_empty", format!("{name} holds nothing"));
        }
        if write.after.keys().any(|kind| *kind == RecordType::Txt) {
            self.accuse("never_another_key", format!("{name} was given a TXT record set"));
        }
        let record = &setup.policy.records[name];
        let strangers = strangers(setup, name, write.before);
        if write.compared && !strangers.is_empty() {
            self.accuse("never_foreign", format!("{name} held {strangers:?}, and was overwritten"));
        }
        if write.compared && write.before.is_empty() && !record.create {
            self.accuse("never_foreign", format!("{name} did not exist, and was made"));
        }
        if write.compared && *write.before != write.work.swap.before.sets {
            let text =
                format!("{name} held {}, and the change was made of something else", words(write.before));
            self.accuse("chain", text);
        }
        if write.partial || write.before == write.after {
            return;
        }
        let before =
            self.applied.iter().rev().find(|a| a.record == *name && a.decided <= write.decided && !a.late);
        if let Some(before) = before
            && !write.late
            && !self.stale.contains_key(name)
        {
            let gap = write.decided - before.decided;
            let forgot =
                self.amnesia.iter().any(|(agent, at)| *agent == write.agent && *at >= before.decided);
            // A second attempt of one change, of which the first was believed lost, is no other change.
            let again = before.work == write.work.id;
            if gap < crate::cast::seconds(record.hold_down)
                && !forgot
                && !again
                && before.agent == write.agent
            {
                let text = format!(
                    "{name} was changed twice within {} ms (hold_down {:?}): {} and {}",
                    gap / 1000,
                    record.hold_down,
                    before.work,
                    write.work.id
                );
                self.accuse("bound", text);
            }
        }
        self.applied.push(Applied {
            at: write.at,
            record: name.clone(),
            agent: write.agent,
            work: write.work.id.clone(),
            decided: write.decided,
            after: write.after.clone(),
            late: write.late,
        });
    }

    /// Nothing beside the records was touched.
    pub(crate) fn whole_zone(&mut self, setup: &Setup, zone: &Zone) {
        let untouched = sets_of(&["192.0.2.25".parse().unwrap()], 300);
        for (name, sets) in zone {
            if *name == bystander() && *sets != untouched {
                self.accuse("never_another_key", format!("{name} holds {}", words(sets)));
            } else if *name != bystander() && !name.is_marker() && !setup.policy.records.contains_key(name) {
                self.accuse("never_another_key", format!("{name} was made"));
            }
        }
    }

    /// Was the record edited, or an old picture of it shown, while a write of it waited for its proof?
    pub(crate) fn edited_unproved(&self, record: &DomainName) -> bool {
        let soon = |edit: i64| {
            self.applied.iter().any(|a| a.record == *record && a.at <= edit && edit < a.at + 60 * SECOND)
        };
        self.stale.contains_key(record) || self.edits.iter().any(|(name, at, _)| name == record && soon(*at))
    }

    pub(crate) fn said(&mut self, agent: usize, at: i64, events: &Told) {
        for (recorded, _) in events {
            let event = &recorded.event;
            self.said.push(Said { agent, at, kind: event.kind, record: event.record.clone() });
        }
    }

    /// Events that an agent owes to channels from now on.
    pub(crate) fn kept(&mut self, agent: usize, events: &Told, on_disk: bool) {
        for (recorded, channels) in events {
            for channel in channels {
                let key = (agent, channel.as_str().to_owned(), recorded.id.clone());
                *self.owed.entry(key).or_default() |= on_disk;
            }
        }
    }

    /// A message came through.
    pub(crate) fn arrived(&mut self, _channel: usize, delivery: &Delivery) {
        let (recorded, event) = (&delivery.event, &delivery.event.event);
        let agent: usize = recorded.agent["agent-".len()..].parse().unwrap();
        let channel = delivery.channel.as_str().to_owned();
        *self.arrived.entry((agent, channel, recorded.id.clone())).or_default() += 1;
        // A second attempt of one change may have another motive: the fact is the same.
        let kind = if recorded.id.ends_with("-started") { "" } else { event.kind.as_str() };
        let words = format!("{kind} {:?} {}", event.record, event.summary);
        let known = self.words.entry(recorded.id.clone()).or_insert_with(|| words.clone());
        if *known != words {
            let text = format!("{} is told as \"{known}\" and as \"{words}\"", recorded.id);
            return self.accuse("messages", text);
        }
        if let Some(work) = recorded.id.strip_suffix("-completed")
            && !self.happened(work, event.record.as_ref(), event.after.as_ref())
        {
            self.accuse("messages", format!("told, and never happened: {}", event.summary));
        }
        if event.kind == EventKind::TargetDown
            && let Some(target) = &event.target
            && !self.failures.contains_key(&(agent, target.clone()))
        {
            self.accuse("messages", format!("{target} is told to be down, and never failed"));
        }
    }

    /// Did this change take effect, or did somebody else bring about the same?
    fn happened(
        &self,
        work: &str,
        record: Option<&DomainName>,
        after: Option<&failover::decision::Side>,
    ) -> bool {
        let values = after.map(|side| side.values.clone()).unwrap_or_default();
        let same = |sets: &Sets| {
            let held: Vec<String> = sets.values().flat_map(|set| set.values.to_strings()).collect();
            held.iter().collect::<BTreeSet<_>>() == values.iter().collect::<BTreeSet<_>>()
        };
        self.applied.iter().any(|a| a.work == work || (Some(&a.record) == record && same(&a.after)))
            || self.edits.iter().any(|(name, _, sets)| Some(name) == record && same(sets))
            || record.and_then(|record| self.stale.get(record)).is_some_and(same)
    }

    /// Once every chat works again and every lane is empty.
    pub(crate) fn hear_everyone(&mut self) {
        let lost = self.owed.keys().find(|key| !self.arrived.contains_key(*key)).cloned();
        if let Some((agent, channel, id)) = lost {
            self.accuse("messages", format!("agent {agent} never told {channel} of {id}"));
        }
        let untold = self.applied.iter().find(|a| !self.was_told(a));
        if let Some(a) = untold {
            let text = format!("nobody was told that {} became {} ({})", a.record, words(&a.after), a.work);
            self.accuse("messages", text);
        }
    }

    fn was_told(&self, change: &Applied) -> bool {
        let id = format!("{}-completed", change.work);
        let of_it = |said: &Said| {
            said.agent == change.agent
                && said.at >= change.at
                && said.record.as_ref() == Some(&change.record)
                && matches!(
                    said.kind,
                    EventKind::FailoverFailed
                        | EventKind::FailbackFailed
                        | EventKind::AdjustFailed
                        | EventKind::DriftDetected
                        | EventKind::ChangeWithheld
                )
        };
        // What came late and was undone by a person before anybody looked is seen by nobody.
        let covered = || {
            let soon = |at: i64| at >= change.at && at < change.at + 60 * SECOND;
            self.edits.iter().any(|(name, at, _)| *name == change.record && soon(*at))
        };
        self.arrived.keys().any(|(agent, _, told)| *agent == change.agent && *told == id)
            || self.said.iter().any(of_it)
            || self.amnesia.iter().any(|(agent, at)| *agent == change.agent && *at >= change.decided)
            || covered()
    }
}

impl Heard {
    fn is_blind(&self, setup: &Setup) -> bool {
        let all = &setup.policy.witnesses;
        !all.is_empty() && all.iter().all(|w| self.witnesses.get(w.as_str()) == Some(&false))
    }

    fn streaks<'a>(
        &'a self,
        setup: &'a Setup,
        target: &'a TargetId,
        place: &'a Place,
    ) -> impl Iterator<Item = Streak> + 'a {
        setup.policy.targets[target].checks.keys().map(move |check| {
            let endpoint = Endpoint { target: target.clone(), check: check.clone(), address: place.clone() };
            self.endpoints.get(&endpoint).copied().unwrap_or_default()
        })
    }

    /// Did the last probes of a place pass, so many as are required, and not too long ago?
    fn passed(&self, setup: &Setup, target: &TargetId, place: &Place, now: i64, stale: i64) -> bool {
        let mut fresh = self.streaks(setup, target, place).map(|s| s.last_pass && now - s.at <= stale);
        match setup.policy.targets[target].require {
            Require::Any => fresh.any(|passed| passed),
            _ => fresh.all(|passed| passed),
        }
    }

    /// Did a place fail so often in a row that it is down, with a witness seen since?
    fn is_down(&self, setup: &Setup, target: &TargetId, place: &Place, heard_since: i64) -> bool {
        let vouched =
            |since: i64| setup.policy.witnesses.is_empty() || self.witness_seen.is_some_and(|at| at >= since);
        let fall = setup.check_policy().thresholds.fall;
        let mut down = self
            .streaks(setup, target, place)
            .map(|s| s.failures >= fall && s.at >= heard_since && vouched(s.since));
        match setup.policy.targets[target].require {
            Require::Any => down.all(|down| down),
            _ => down.any(|down| down),
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
