//! The end of a schedule: the faults are over, and everything must come to rest where the rules say, stay there, and have
//! been told.

use std::collections::BTreeSet;
use std::time::Duration;

use failover::agent::saved;
use failover::decision::{
    AllDown, Decision, Effect, FailbackMode, Input, Moment, Now, Observation, Options, Outcome, Place,
    RecordPolicy, Serve, Sighting, TargetId, Timings, What,
};
use providers::{DomainName, RecordType};

use crate::agent::{faces, wall_at};
use crate::cast::{SECOND, Sets, sets_of};
use crate::court::strangers;
use crate::provider::words;
use crate::world::{World, note};

/// How often it is looked whether everything is at rest, and how often in a row it must be. Not in step with anything that
/// happens every so many seconds.
const LOOK_EVERY: i64 = 2 * SECOND + 137_011;
const LOOKS: u32 = 4;

impl World {
    pub(crate) fn conclude(&mut self) {
        if !self.comes_to_rest() || !self.stays_quiet() {
            return;
        }
        self.second_run();
        if self.court.violation.is_none() {
            self.drain();
        }
    }

    fn comes_to_rest(&mut self) -> bool {
        let deadline = self.now + self.setup.converges_within();
        // What a person did last is seen at the next reading.
        if !self.run_until(self.now + self.setup.live_interval + 3 * SECOND) {
            return false;
        }
        let mut looks = 0;
        while looks < LOOKS {
            if !self.run_until(self.now + LOOK_EVERY) {
                return false;
            }
            let wrong = self.what_is_wrong();
            looks = if wrong.is_none() { looks + 1 } else { 0 };
            if let Some(wrong) = wrong
                && self.now > deadline + 20 * SECOND
            {
                let seconds = self.setup.converges_within() / SECOND;
                self.court.accuse("converged", format!("{wrong}, {seconds} s after the last fault"));
                return false;
            }
        }
        true
    }

    fn what_is_wrong(&self) -> Option<String> {
        for (name, record) in self.setup.policy.records.iter() {
            let held = self.providers[self.setup.vendor_of(name)].truth(name);
            let allowed = self.allowed(record, held);
            if let Some(allowed) = allowed
                && !allowed.iter().any(|sets| sets == held)
            {
                let due: Vec<String> = allowed.iter().map(words).collect();
                return Some(format!("{name} holds {} and should hold {}", words(held), due.join(" or ")));
            }
        }
        let contested = self.setup.policy.records.keys().any(|record| self.setup.is_contested(record));
        for agent in &self.agents {
            // What was edited while the provider could not be read is seen when its pause is over.
            let seen =
                |name: &&DomainName| self.court.has_read_since(agent.number, name, self.setup.calm_from);
            if let Some(name) = self.setup.policy.records.keys().find(|name| !seen(name)) {
                return Some(format!("{name} has not been read by agent {}", agent.number));
            }
            match &agent.process {
                None => return Some(format!("agent {} is not back", agent.number)),
                Some(process) if !contested && !process.decision.is_quiescent() => {
                    return Some(format!("agent {} is busy", agent.number));
                }
                // What waits for its time is not at rest.
                Some(process) => {
                    let report = process.decision.report(&self.now_of(agent.number));
                    let time = |guard: &str| ["hold_down", "flapping", "velocity"].contains(&guard);
                    let waits = report
                        .records
                        .iter()
                        .find(|r| r.guard.as_deref().is_some_and(time) && !self.setup.is_contested(&r.name));
                    if let Some(record) = waits {
                        return Some(format!(
                            "{} waits at agent {}: {:?}",
                            record.name, agent.number, record.guard
                        ));
                    }
                }
            }
        }
        None
    }

    /// What the record may hold by the rules, with the hosts as they are; `None`: whatever it holds is left alone.
    fn allowed(&self, record: &RecordPolicy, held: &Sets) -> Option<Vec<Sets>> {
        let name = &record.name;
        if !strangers(&self.setup, name, held).is_empty() || (held.is_empty() && !record.create) {
            return None;
        }
        let works = |target: &TargetId| -> Vec<&Place> {
            let places = &self.setup.policy.targets[target].places;
            places.iter().filter(|place| !self.hosts[*place].down).collect()
        };
        let ordered = |what: What| self.standing.contains(&what);
        if ordered(What::Pause { record: None }) || ordered(What::Pause { record: Some(name.clone()) }) {
            return None;
        }
        let up = |target: &TargetId| {
            if ordered(What::Drain { target: target.clone() }) { Vec::new() } else { works(target) }
        };
        let vendor = &self.setup.vendors[self.setup.vendor_of(name)];
        let ttl = record.ttl.seconds().max(vendor.ttl_min);
        let pinned = |what: &What| match what {
            What::Pin { record, target } if record == name => Some(target.clone()),
            _ => None,
        };
        let best = record.tiers.iter().position(|tier| tier.iter().any(|t| !up(t).is_empty()));
        let mut allowed = if let Some(target) = self.standing.iter().find_map(pinned) {
            // While it is not up the record stays as it is.
            vec![sets_of(works(&target), ttl)]
        } else if let Some(best) = best {
            let mut tiers = vec![&record.tiers[best]];
            if record.failback == FailbackMode::Manual {
                tiers.extend(&record.tiers[best + 1..]);
            }
            let of_tier = |tier: &Vec<TargetId>| match record.serve {
                Serve::All => vec![sets_of(tier.iter().flat_map(up), ttl)],
                Serve::First => tier.iter().map(|t| sets_of(up(t), ttl)).collect(),
            };
            tiers.into_iter().flat_map(of_tier).collect()
        } else if record.targets().any(|target| !works(target).is_empty()) {
            // A drain takes nobody's last target away.
            return None;
        } else {
            let places = |target: &TargetId| self.setup.policy.targets[target].places.iter();
            match &record.all_down {
                AllDown::Hold => return None,
                AllDown::ServeAll => vec![sets_of(record.targets().flat_map(places), ttl)],
                AllDown::Fallback(target) => vec![sets_of(places(target), ttl)],
            }
        };
        allowed.retain(|sets| !sets.is_empty());
        // A provider that changes one record set at a time is refused what takes two (from one family to the other).
        let differing =
            |sets: &Sets| RecordType::ANSWER.iter().filter(|kind| sets.get(kind) != held.get(kind)).count();
        if !vendor.atomic_name && allowed.iter().all(|sets| differing(sets) > 1) {
            return None;
        }
        if allowed.is_empty() {
            return None;
        }
        Some(allowed)
    }

    fn stays_quiet(&mut self) -> bool {
        let from = self.now;
        note!(self, "everything is at rest");
        if !self.run_until(from + self.setup.live_interval * 2 + 10 * SECOND) {
            return false;
        }
        let unasked = |(record, at): &(&DomainName, &i64)| **at > from && !self.setup.is_contested(record);
        if let Some((record, _)) = self.court.last_requests.iter().find(unasked) {
            let text = format!("{record} was written though nothing had happened");
            self.court.accuse("quiet", text);
            return false;
        }
        true
    }

    /// `failover once` over what each agent has kept, with nothing new to see, writes nothing.
    fn second_run(&mut self) {
        let options = Options { one_shot: true, stale_floor: Duration::from_mins(10), dry: false };
        for agent in 0..self.agents.len() {
            let wall = wall_at(self.now + self.agents[agent].wall_offset);
            let mut now = Now { moment: Moment::ZERO, wall };
            let loaded = self.agents[agent].disk.load(Some(options.stale_floor), wall);
            let faces = faces(&self.setup);
            let mut decision =
                Decision::new(self.setup.policy.clone(), faces, options, saved(loaded, &now, options), &now);
            let mut effects = decision.start(&now);
            for _ in 0..12 {
                effects.extend(self.show_all(&mut decision, &now));
                while let Some(effect) = effects.pop() {
                    match effect {
                        Effect::Read(record) => {
                            let snapshot = self.providers[self.setup.vendor_of(&record)].read(
                                &record,
                                self.now,
                                self.sabotage,
                            );
                            effects
                                .extend(decision.handle(&now, Input::Read { record, result: Ok(snapshot) }));
                        }
                        Effect::Write(work) if self.setup.is_contested(work.swap.name()) => {}
                        Effect::Write(work) => {
                            let text =
                                format!("a second run would write {}: {}", work.swap.name(), work.swap.after);
                            return self.court.accuse("quiet", text);
                        }
                        _ => {}
                    }
                }
                now = Now {
                    moment: now.moment + Duration::from_secs(1),
                    wall: now.wall + Duration::from_secs(1),
                };
            }
        }
    }

    fn show_all(&self, decision: &mut Decision, now: &Now) -> Vec<Effect> {
        let outcome = |up: bool| if up { Outcome::Pass } else { Outcome::Fail("connection refused".into()) };
        let mut effects = Vec::new();
        for witness in self.setup.policy.witnesses.clone() {
            let seen = Sighting { witness, started: now.moment, ended: now.moment, outcome: Outcome::Pass };
            effects.extend(decision.handle(now, Input::Witnessed(seen)));
        }
        for endpoint in self.setup.endpoints() {
            let outcome = outcome(!self.hosts[&endpoint.address].down);
            let seen = Observation {
                endpoint,
                started: now.moment,
                ended: now.moment,
                outcome,
                timings: Timings::default(),
                certificate: None,
            };
            effects.extend(decision.handle(now, Input::Observed(seen)));
        }
        effects
    }

    /// Time passes for messages alone, until none waits.
    fn drain(&mut self) {
        self.draining = true;
        let from = self.now;
        let end = from + 3 * 3600 * SECOND;
        self.run_until(end);
        let waiting: BTreeSet<usize> =
            self.agents.iter().filter(|agent| agent.disk.is_pending()).map(|agent| agent.number).collect();
        if !waiting.is_empty() {
            self.court.accuse("messages", format!("messages of agents {waiting:?} still wait"));
        }
        self.court.hear_everyone(&self.setup, from - 60 * SECOND);
    }
}
