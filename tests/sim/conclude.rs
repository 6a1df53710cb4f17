//! The end of a schedule: the faults are over, and everything must come to rest where the rules say, stay there, and have
//! been told.

use std::collections::BTreeSet;
use std::time::Duration;

use failover::agent::saved;
use failover::decision::{
    Decision, Effect, FailbackMode, Input, Moment, Now, Observation, Options, Outcome, Place, RecordPolicy,
    Serve, Sighting, TargetId, Timings,
};
use providers::RecordType;

use crate::agent::{faces, wall_at};
use crate::cast::{SECOND, Sets, sets_of};
use crate::court::strangers;
use crate::provider::{snapshot_of, words};
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
            let wrong = self.what_is_wrong(self.now > deadline);
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

    fn what_is_wrong(&self, late: bool) -> Option<String> {
        for (name, record) in &self.setup.policy.records {
            let held = self.providers[self.setup.vendor_of(name)].truth(name);
            let allowed = self.allowed(record, held);
            // A person who is quicker than the proof of a write passes for the provider's own taste (a finding that is
            // told in docs/verification.md): only the TTL may differ then.
            let addresses = |sets: &Sets| Place::published(&snapshot_of(name, sets.clone()));
            let taste =
                |sets: &Sets| late && addresses(sets) == addresses(held) && self.court.edited_unproved(name);
            if let Some(allowed) = allowed
                && !allowed.iter().any(|sets| sets == held || taste(sets))
            {
                let due: Vec<String> = allowed.iter().map(words).collect();
                return Some(format!("{name} holds {} and should hold {}", words(held), due.join(" or ")));
            }
        }
        for agent in &self.agents {
            match &agent.process {
                None => return Some(format!("agent {} is not back", agent.number)),
                Some(process) if !process.decision.is_quiescent() => {
                    return Some(format!("agent {} is busy", agent.number));
                }
                // After an edit by hand it may be that only hold_down keeps it from being put right.
                Some(process)
                    if self.setup.policy.records.values().any(|r| r.failback == FailbackMode::Manual) =>
                {
                    let report = process.decision.report(&self.now_of(agent.number));
                    let waits = report.records.iter().find(|r| r.guard.as_deref() == Some("hold_down"));
                    if let Some(record) = waits {
                        return Some(format!("{} waits for hold_down", record.name));
                    }
                }
                Some(_) => {}
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
        let up = |target: &TargetId| -> Vec<&Place> {
            let places = &self.setup.policy.targets[target].places;
            places.iter().filter(|place| !self.hosts[*place].down).collect()
        };
        let best = record.tiers.iter().position(|tier| tier.iter().any(|t| !up(t).is_empty()))?;
        let vendor = &self.setup.vendors[self.setup.vendor_of(name)];
        let ttl = record.ttl.seconds().max(vendor.ttl_min);
        let of_tier = |tier: &Vec<TargetId>| -> Vec<Sets> {
            match record.serve {
                Serve::All => vec![sets_of(tier.iter().flat_map(up), ttl)],
                Serve::First => tier.iter().map(|t| sets_of(up(t), ttl)).collect(),
            }
        };
        let mut allowed = of_tier(&record.tiers[best]);
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
        if record.failback == FailbackMode::Manual {
            allowed.extend(record.tiers[best + 1..].iter().flat_map(of_tier).filter(|sets| !sets.is_empty()));
        }
        Some(allowed)
    }

    fn stays_quiet(&mut self) -> bool {
        let from = self.now;
        note!(self, "everything is at rest");
        if !self.run_until(from + self.setup.live_interval * 2 + 10 * SECOND) {
            return false;
        }
        let asked = self.court.last_request.as_ref().filter(|(at, _)| *at > from);
        if asked.is_some_and(|(_, record)| !self.court.edited_unproved(record)) {
            self.court.accuse("quiet", "something was written though nothing had happened".into());
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
                            let snapshot =
                                self.providers[self.setup.vendor_of(&record)].read(&record, self.now);
                            effects
                                .extend(decision.handle(&now, Input::Read { record, result: Ok(snapshot) }));
                        }
                        Effect::Write(work) if self.court.edited_unproved(work.swap.name()) => {}
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
        let end = self.now + 3 * 3600 * SECOND;
        self.run_until(end);
        let waiting: BTreeSet<usize> =
            self.agents.iter().filter(|agent| agent.disk.is_pending()).map(|agent| agent.number).collect();
        if !waiting.is_empty() {
            self.court.accuse("messages", format!("messages of agents {waiting:?} still wait"));
        }
        self.court.hear_everyone();
    }
}
