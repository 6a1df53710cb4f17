//! One agent: a process that lives and dies, and the disk that stays. What a start finds is the real `saved`; `turn.rs` has
//! what the process does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use failover::agent::{Books, Scribe, saved, whole};
use failover::decision::{
    AllDown, Decision, Event, EventKind, Moment, Now, Options, Policy, ProviderFace, ProviderId,
};
use failover::probe::Cadence;
use failover::store::ChangeRow;
use jiff::Timestamp;
use providers::{AnswerSets, DomainName, RecordSet, Ttl};

use crate::cast::{SECOND, Setup};
use crate::disk::Disk;
use crate::lanes::Lane;
use crate::plan::Point;
use crate::probes::{Job, JobKey};
use crate::sabotage::Sabotage;
use crate::world::{Happening, Mine, World, note};

/// `KEEP_ALL` in `event_loop.rs`.
pub(crate) const KEEP_ALL: Duration = Duration::from_mins(1);

pub(crate) struct Agent {
    pub(crate) number: usize,
    pub(crate) disk: Disk,
    /// How far its wall clock is off.
    pub(crate) wall_offset: i64,
    pub(crate) process: Option<Box<Process>>,
    /// Grows with every start and crash: what belonged to another life is dropped.
    pub(crate) epoch: u64,
    pub(crate) frozen_until: Option<i64>,
    pub(crate) deferred: Vec<Mine>,
    pub(crate) doom: Option<Doom>,
}

/// What waits for the agent at a point of one of its next turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doom {
    pub(crate) point: Point,
    pub(crate) skip: u32,
    pub(crate) fate: Fate,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Freeze { lasts: i64 },
    Crash { down: i64, disk_lost: bool, asked: bool },
}

pub(crate) struct Process {
    pub(crate) started: i64,
    pub(crate) decision: Decision,
    pub(crate) books: Books,
    pub(crate) scribe: Scribe,
    pub(crate) open: BTreeMap<String, Arc<ChangeRow>>,
    pub(crate) next_looks: BTreeMap<DomainName, Moment>,
    pub(crate) next_keep: Moment,
    pub(crate) alarm: (i64, u64),
    pub(crate) jobs: Vec<Job>,
    pub(crate) by_key: BTreeMap<JobKey, usize>,
    pub(crate) found: BTreeSet<DomainName>,
    pub(crate) lanes: Vec<Lane>,
    /// What could not be put into the file is told from here.
    pub(crate) unsaved: Disk,
    /// What was handed over to the file while it was in flight.
    pub(crate) moved: BTreeSet<i64>,
}

impl Agent {
    pub(crate) fn new(number: usize, sabotage: Sabotage) -> Agent {
        Agent {
            number,
            disk: Disk::default(),
            wall_offset: if sabotage == Sabotage::SecretClocks && number > 0 { -3600 * SECOND } else { 0 },
            process: None,
            epoch: 0,
            frozen_until: None,
            deferred: Vec::new(),
            doom: None,
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("agent-{}", self.number)
    }
}

pub(crate) fn wall_at(micros: i64) -> Timestamp {
    // 2026-11-22T12:00:00Z
    Timestamp::from_microsecond(1_795_348_800 * SECOND + micros).unwrap()
}

pub(crate) fn faces(setup: &Setup) -> BTreeMap<ProviderId, ProviderFace> {
    let face = |vendor: &crate::cast::Vendor| {
        let floor = Ttl(vendor.ttl_min);
        let normalize = move |sets: AnswerSets| sets.map(|set| RecordSet { ttl: set.ttl.max(floor), ..set });
        let face = ProviderFace {
            atomic_name: vendor.atomic_name,
            marker: vendor.marker(),
            normalize: Arc::new(normalize),
        };
        (vendor.id.clone(), face)
    };
    setup.vendors.iter().map(face).collect()
}

impl World {
    pub(crate) fn now_of(&self, agent: usize) -> Now {
        let this = &self.agents[agent];
        let started = this.process.as_ref().map_or(self.now, |process| process.started);
        Now { moment: Moment::from_micros(self.now - started), wall: wall_at(self.now + this.wall_offset) }
    }

    pub(crate) fn process(&mut self, agent: usize) -> &mut Process {
        self.agents[agent].process.as_mut().expect("only the living have turns")
    }

    /// The settings, the same for every agent but for its name.
    pub(crate) fn policy_of(&self, agent: usize) -> Policy {
        let mut policy = Policy { agent: self.agents[agent].name(), ..self.setup.policy.clone() };
        match self.sabotage {
            Sabotage::NoLimit => policy.velocity.clear(),
            Sabotage::ServesAll => {
                policy.records.values_mut().for_each(|record| record.all_down = AllDown::ServeAll);
            }
            _ => {}
        }
        policy
    }

    /// `Agent::new` and the beginning of `Agent::run`.
    pub(crate) fn start(&mut self, agent: usize) {
        let now = Now { moment: Moment::ZERO, wall: wall_at(self.now + self.agents[agent].wall_offset) };
        let loaded = self.agents[agent].disk.load(None, now.wall);
        let open = loaded.open_changes.iter().map(|row| (row.id.clone(), Arc::new(row.clone()))).collect();
        let options = Options::default();
        let decision = Decision::new(
            self.policy_of(agent),
            faces(&self.setup),
            options,
            saved(loaded, &now, options),
            &now,
        );
        let endpoints = self.setup.endpoints().into_iter().map(JobKey::Endpoint);
        let witnesses = self.setup.policy.witnesses.iter().cloned().map(JobKey::Witness);
        let keys: Vec<JobKey> = endpoints.chain(witnesses).collect();
        let spread = Duration::from_millis(keys.len().try_into().unwrap());
        let nonce = self.rng.next();
        let (rhythm, mut count) = (self.setup.rhythm, 0u64);
        let jobs: Vec<Job> = keys
            .into_iter()
            .map(|key| {
                count += 1;
                Job::new(key, Cadence::new(rhythm, spread, now.moment, nonce.wrapping_add(count)))
            })
            .collect();
        let live = Duration::from_micros(self.setup.live_interval.try_into().unwrap());
        let names = self.setup.policy.records.keys();
        let process = Process {
            started: self.now,
            decision,
            books: Books::default(),
            scribe: Scribe::new(self.agents[agent].name(), nonce),
            open,
            next_looks: names.map(|n| (n.clone(), now.moment + live)).collect(),
            next_keep: now.moment + KEEP_ALL,
            alarm: (i64::MAX, 0),
            by_key: jobs.iter().enumerate().map(|(n, job)| (job.key.clone(), n)).collect(),
            jobs,
            found: BTreeSet::new(),
            lanes: Lane::all(self.setup.services.len()),
            unsaved: Disk::default(),
            moved: BTreeSet::new(),
        };
        note!(self, "agent {agent} starts");
        self.court.born(agent, self.now, &process.open);
        self.agents[agent].epoch += 1;
        self.agents[agent].process = Some(Box::new(process));
        for job in 0..self.process(agent).jobs.len() {
            self.plan_probe(agent, job);
        }
        self.wake_lanes(agent);
        self.tell(agent, Event::new(EventKind::AgentStarted, now.wall, "watching"));
        let first = self.process(agent).decision.start(&now);
        self.play(agent, first);
        // The first turn may be the last.
        if self.agents[agent].process.is_some() {
            self.set_alarm(agent);
            if self.calm {
                self.settle_orders(agent);
            }
        }
    }

    pub(crate) fn crash(&mut self, agent: usize, down: i64, disk_lost: bool, asked: bool) {
        if self.agents[agent].process.is_none() {
            return;
        }
        let this = self.process(agent);
        // What is told from memory dies with it.
        let in_trouble = this.books.trouble().is_some();
        if asked {
            note!(self, "agent {agent} is asked to stop");
            let now = self.now_of(agent);
            let this = self.process(agent);
            this.books.hurry(&now);
            let batch = whole(&this.decision, &now);
            self.keep(agent, batch);
        }
        note!(
            self,
            "agent {agent} {}",
            match (disk_lost, asked) {
                (true, _) => "dies, and its disk is lost",
                (_, true) => "ends",
                _ => "dies",
            }
        );
        let this = &mut self.agents[agent];
        this.process = None;
        this.epoch += 1;
        this.frozen_until = None;
        this.deferred.clear();
        if disk_lost || self.sabotage == Sabotage::SecretClocks {
            this.disk = this.disk.replaced();
        }
        self.court.died(agent, self.now, disk_lost, in_trouble);
        self.at(self.now + down, Happening::Start { agent });
    }

    pub(crate) fn freeze(&mut self, agent: usize, lasts: i64) {
        if self.agents[agent].process.is_none() || self.agents[agent].frozen_until.is_some() {
            return;
        }
        note!(self, "agent {agent} is frozen");
        let until = self.now + lasts;
        self.agents[agent].frozen_until = Some(until);
        self.at(until, Happening::Thaw { agent, until });
    }

    /// What came meanwhile is taken as the event loop takes it: results first, then findings in one go, then the rest.
    pub(crate) fn thaw(&mut self, agent: usize, until: i64) {
        if self.agents[agent].frozen_until != Some(until) {
            return;
        }
        note!(self, "agent {agent} goes on");
        self.court.thawed(agent);
        self.agents[agent].frozen_until = None;
        let epoch = self.agents[agent].epoch;
        let mut waiting = std::mem::take(&mut self.agents[agent].deferred);
        let order = |mine: &Mine| match mine {
            Mine::Answered { .. } | Mine::Send(_) => 0,
            Mine::Probed { .. } => 1,
            _ => 2,
        };
        waiting.sort_by_key(order);
        for what in waiting {
            if self.agents[agent].epoch != epoch || self.agents[agent].process.is_none() {
                return;
            }
            if self.agents[agent].frozen_until.is_some() {
                self.agents[agent].deferred.push(what);
            } else {
                self.turn(agent, what);
            }
        }
    }
}
