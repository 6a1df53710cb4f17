//! What an agent was handed, and whether what it decides follows from that.

use std::collections::{BTreeMap, BTreeSet};

use failover::decision::{AllDown, Endpoint, Input, Motive, Outcome, Place, Require, TargetId, Work};
use providers::DomainName;

use crate::cast::{SECOND, Sets, Setup};
use crate::court::Court;
use crate::marks::{Standing, standing};
use crate::provider::snapshot_of;

/// What an agent was handed in this life.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) endpoints: BTreeMap<Endpoint, Streak>,
    witnesses: BTreeMap<String, bool>,
    witness_seen: Option<i64>,
    /// What was begun before this says nothing.
    counts_from: i64,
    /// When each record was first and last read, and the highest generation that was shown.
    first_read: BTreeMap<DomainName, i64>,
    last_read: BTreeMap<DomainName, i64>,
    pub(crate) generations: BTreeMap<DomainName, u64>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Streak {
    /// Failures in a row, and since when.
    pub(crate) failures: u32,
    since: i64,
    last_pass: bool,
    at: i64,
}

impl Court {
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
            Input::Read { record, result: Ok(snapshot) } => {
                heard.first_read.entry(record.clone()).or_insert(now);
                heard.last_read.insert(record.clone(), now);
                if let Standing::Marker { generation } = standing(snapshot.marker.as_ref()) {
                    let known = heard.generations.entry(record.clone()).or_default();
                    *known = generation.max(*known);
                }
            }
            _ => {}
        }
    }

    /// Had this process read the record by then?
    pub(crate) fn had_read(&self, agent: usize, record: &DomainName, at: i64) -> bool {
        self.heard.get(&agent).and_then(|heard| heard.first_read.get(record)).is_some_and(|first| *first < at)
    }

    /// Has it read the record since then?
    pub(crate) fn has_read_since(&self, agent: usize, record: &DomainName, at: i64) -> bool {
        self.heard.get(&agent).and_then(|heard| heard.last_read.get(record)).is_some_and(|last| *last > at)
    }

    /// An agent has made up its mind to write.
    pub(crate) fn decided(&mut self, agent: usize, now: i64, setup: &Setup, work: &Work) {
        self.obeys(agent, now, setup, work);
        if work.motive == Motive::AllDown {
            self.nothing_works(agent, now, setup, work);
        }
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
            let added = !published.contains(&place) && work.motive != Motive::AllDown;
            if added && !heard.passed(setup, owner, &place, now, stale) {
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
            // Where nothing works and nothing is added, one of them may be about to recover.
            let stays = work.motive == Motive::AllDown;
            if down
                && !stays
                && let Some(other) = another_up()
            {
                let text = format!("{place} is written to {}, and is down while {other} is up", record.name);
                accusation = Some(("never_to_down", text));
            }
        }
        let seen = heard.generations.get(&record.name).copied();
        if let Standing::Marker { generation } = standing(work.swap.marker.as_ref())
            && seen.is_some_and(|seen| generation <= seen)
        {
            let text = format!("{} is given generation {generation} after {seen:?} was seen", record.name);
            accusation = Some(("marker", text));
        }
        if let Some((invariant, text)) = accusation {
            self.accuse(invariant, format!("agent {agent}: {text}"));
        }
    }
}

impl Court {
    /// A change that `all_down` asks for: it serves what the record's setting says, every target has failed here, and none
    /// of those that it adds to the record passed its last probes.
    fn nothing_works(&mut self, agent: usize, now: i64, setup: &Setup, work: &Work) {
        let record = &setup.policy.records[work.swap.name()];
        let places = |target: &TargetId| setup.policy.targets[target].places.iter().cloned();
        let due: BTreeSet<Place> = match &record.all_down {
            AllDown::Hold => BTreeSet::new(),
            AllDown::ServeAll => record.targets().flat_map(places).collect(),
            AllDown::Fallback(target) => places(target).collect(),
        };
        let held = |sets: &Sets| Place::published(&snapshot_of(work.swap.name(), sets.clone()));
        let after = held(&work.swap.after.iter().map(|set| (set.record_type(), set.clone())).collect());
        if after != due {
            let text = format!("{} is to hold {after:?} when all is down, and should {due:?}", record.name);
            return self.accuse("all_down", format!("agent {agent}: {text}"));
        }
        if let Some(well) = record.targets().find(|t| !self.failures.contains_key(&(agent, (*t).clone()))) {
            let text = format!("{} is changed as if all were down, and {well} never failed", record.name);
            return self.accuse("all_down", format!("agent {agent}: {text}"));
        }
        let stale = crate::cast::seconds(setup.check_policy().stale_after()) + SECOND;
        let heard = self.heard.entry(agent).or_default();
        let works = |target: &&TargetId| places(target).all(|p| heard.passed(setup, target, &p, now, stale));
        let well = record.targets().find(works).cloned();
        if let Some(well) = well.filter(|_| after != held(&work.swap.before.sets)) {
            let text = format!("{} is changed as if all were down, and {well} passes", record.name);
            self.accuse("all_down", format!("agent {agent}: {text}"));
        }
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
