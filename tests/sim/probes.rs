//! Probes: when, and what they find. The way of a job mirrors `src/probe/scheduler.rs`, over the real cadence.

use failover::decision::{Endpoint, Input, Moment, Observation, Outcome, Sighting, Timings, WitnessId};
use failover::probe::{Cadence, Pace};

use crate::cast::MILLI;
use crate::plan::{Line, Link};
use crate::world::{Mine, World};

/// `JobKey` of the scheduler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum JobKey {
    Endpoint(Endpoint),
    Witness(WitnessId),
}

pub(crate) struct Job {
    pub(crate) key: JobKey,
    cadence: Cadence,
    running: bool,
    nudged: bool,
    token: u64,
}

impl Job {
    pub(crate) fn new(key: JobKey, cadence: Cadence) -> Job {
        Job { key, cadence, running: false, nudged: false, token: 0 }
    }
}

impl World {
    pub(crate) fn set_pace(&mut self, agent: usize, key: &JobKey, pace: Pace) {
        let now = self.now_of(agent).moment;
        let this = self.process(agent);
        let Some(job) = this.by_key.get(key).copied() else { return };
        this.jobs[job].cadence.set_pace(pace, now);
        self.plan_probe(agent, job);
    }

    pub(crate) fn nudge(&mut self, agent: usize, key: &JobKey) {
        let Some(job) = self.process(agent).by_key.get(key).copied() else { return };
        self.nudge_job(agent, job);
    }

    fn nudge_job(&mut self, agent: usize, job: usize) {
        let this = &mut self.process(agent).jobs[job];
        if this.running {
            this.nudged = true;
        } else {
            this.cadence.nudge();
            self.plan_probe(agent, job);
        }
    }

    pub(crate) fn nudge_all(&mut self, agent: usize, targets: bool) {
        for job in 0..self.process(agent).jobs.len() {
            let witness = matches!(self.process(agent).jobs[job].key, JobKey::Witness(_));
            // `ProbeTargets` nudges every job, the witnesses among them.
            if targets || witness {
                self.nudge_job(agent, job);
            }
        }
    }

    pub(crate) fn plan_probe(&mut self, agent: usize, job: usize) {
        let (now, started) = (self.now, self.process(agent).started);
        let this = &mut self.process(agent).jobs[job];
        if this.running {
            return;
        }
        this.token += 1;
        let (token, due) = (this.token, this.cadence.due());
        let at = if due == Moment::from_micros(i64::MIN) { now } else { (started + due.micros()).max(now) };
        self.mine(at, agent, Mine::Probe { job, token });
    }

    pub(crate) fn begin_probe(&mut self, agent: usize, job: usize, token: u64) {
        let now = self.now_of(agent).moment;
        let this = &mut self.process(agent).jobs[job];
        if this.token != token || this.running {
            return;
        }
        this.running = true;
        this.cadence.started(now);
        let key = this.key.clone();
        let (outcome, took) = self.look_at(agent, &key);
        let started = self.now;
        self.mine(self.now + took, agent, Mine::Probed { job, started, outcome });
    }

    /// What a probe that begins now will find, and how long it takes.
    fn look_at(&mut self, agent: usize, key: &JobKey) -> (Outcome, i64) {
        let timeout = crate::cast::seconds(self.setup.check_policy().timeout);
        let late = || (Outcome::Fail("no answer in time".into()), timeout);
        if !self.own_trouble.is_empty() && self.own_trouble.contains(&agent) {
            return (Outcome::Unknown("too many open files".into()), MILLI);
        }
        let link = match key {
            JobKey::Endpoint(endpoint) => Link::Place(endpoint.address.clone()),
            JobKey::Witness(witness) => Link::Witness(witness.as_str()[1..].parse().unwrap()),
        };
        let mut took = self.rng.range(2 * MILLI, 80 * MILLI);
        match self.line(agent, link) {
            Some(Line::Cut) => return late(),
            Some(Line::Lossy(percent)) if self.rng.percent(percent) => return late(),
            Some(Line::Slow) => {
                took += self.rng.range(0, timeout * 5 / 4);
                if took >= timeout {
                    return late();
                }
            }
            _ => {}
        }
        let JobKey::Endpoint(endpoint) = key else { return (Outcome::Pass, took) };
        let host = self.hosts[&endpoint.address];
        if host.down && host.silent {
            late()
        } else if host.down || (host.half && endpoint.check.as_str() == "web") {
            (Outcome::Fail("connection refused".into()), took)
        } else {
            (Outcome::Pass, took)
        }
    }

    pub(crate) fn end_probe(&mut self, agent: usize, job: usize, started: i64, outcome: Outcome) {
        let now = self.now_of(agent).moment;
        let this = self.process(agent);
        let begun = Moment::from_micros(started - this.started);
        let finding = match this.jobs[job].key.clone() {
            JobKey::Endpoint(endpoint) => Input::Observed(Observation {
                endpoint,
                started: begun,
                ended: now,
                outcome,
                timings: Timings::default(),
                certificate: None,
            }),
            JobKey::Witness(witness) => {
                Input::Witnessed(Sighting { witness, started: begun, ended: now, outcome })
            }
        };
        let entry = &mut this.jobs[job];
        entry.running = false;
        entry.cadence.ended(now);
        if std::mem::take(&mut entry.nudged) {
            entry.cadence.nudge();
        }
        self.plan_probe(agent, job);
        self.take(agent, vec![finding]);
    }
}
