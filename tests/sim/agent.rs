//! One agent: a process that lives and dies, and the disk that stays. Its turns mirror `src/agent/event_loop.rs` (turn,
//! wake, take) and `src/agent/effects.rs` (play, keep) step by step; what they come to is the real `Agenda`, `Books` and
//! `saved`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use failover::agent::{Agenda, Ask, Books, Desk, Entry, Scribe, Told, saved, whole};
use failover::decision::{
    Decision, Effect, Event, EventKind, Input, Moment, Now, Options, Outcome, ProviderFace, ProviderId,
};
use failover::probe::{Cadence, Pace};
use failover::store::{Batch, ChangeRow};
use jiff::Timestamp;
use providers::{AnswerSets, DomainName, RecordSet, Ttl};

use crate::cast::{MILLI, SECOND, Setup};
use crate::disk::Disk;
use crate::lanes::Lane;
use crate::plan::Point;
use crate::probes::{Job, JobKey};
use crate::sabotage::Sabotage;
use crate::world::{Happening, Mine, Watching, World, note};

/// `KEEP_ALL` in `event_loop.rs`.
const KEEP_ALL: Duration = Duration::from_mins(1);

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
    scribe: Scribe,
    open: BTreeMap<String, ChangeRow>,
    next_looks: BTreeMap<DomainName, Moment>,
    next_keep: Moment,
    alarm: (i64, u64),
    pub(crate) jobs: Vec<Job>,
    pub(crate) by_key: BTreeMap<JobKey, usize>,
    pub(crate) found: BTreeSet<DomainName>,
    pub(crate) lanes: Vec<Lane>,
    /// What could not be put into the file is told from here.
    pub(crate) unsaved: Disk,
}

impl Agent {
    pub(crate) fn new(number: usize, _setup: &Setup) -> Agent {
        Agent {
            number,
            disk: Disk::default(),
            wall_offset: 0,
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
        let face =
            ProviderFace { atomic_name: vendor.atomic_name, marker: true, normalize: Arc::new(normalize) };
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

    /// `Agent::new` and the beginning of `Agent::run`.
    pub(crate) fn start(&mut self, agent: usize) {
        let now = Now { moment: Moment::ZERO, wall: wall_at(self.now + self.agents[agent].wall_offset) };
        let loaded = self.agents[agent].disk.load(None, now.wall);
        let open = loaded.open_changes.iter().map(|row| (row.id.clone(), row.clone())).collect();
        let options = Options::default();
        let decision = Decision::new(
            self.setup.policy.clone(),
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
        };
        note!(self, "agent {agent} starts");
        self.agents[agent].epoch += 1;
        self.agents[agent].process = Some(Box::new(process));
        self.court.born(agent, self.now);
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
        }
    }

    pub(crate) fn crash(&mut self, agent: usize, down: i64, disk_lost: bool, asked: bool) {
        if self.agents[agent].process.is_none() {
            return;
        }
        let this = self.process(agent);
        // What is told from memory dies with it.
        let in_trouble = this.books.trouble().is_some() || this.unsaved.is_pending();
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
        if disk_lost {
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

    /// One turn of the event loop, or of one of its tasks.
    pub(crate) fn turn(&mut self, agent: usize, what: Mine) {
        match what {
            Mine::Wake { token } => {
                if self.process(agent).alarm.1 != token {
                    return;
                }
                self.process(agent).alarm.0 = i64::MAX;
                if self.sabotage != Sabotage::Sleeper || self.calm {
                    self.wake(agent);
                }
            }
            Mine::Probe { job, token } => return self.begin_probe(agent, job, token),
            Mine::Probed { job, started, outcome } => self.end_probe(agent, job, started, outcome),
            Mine::Send(call) => return self.send(call),
            Mine::Answered { call, result } => self.answered(agent, call, result),
            Mine::Look { record } => self.look(agent, record),
            Mine::Watch(watching) => self.watch(agent, watching),
            Mine::Lane { lane, token } => return self.step_lane(agent, lane, token),
            Mine::Sent { lane, delivery, begun, result } => {
                return self.message_sent(agent, lane, &delivery, begun, result);
            }
        }
        if self.agents[agent].process.is_some() {
            self.set_alarm(agent);
        }
    }

    /// `next_wakeup` of the event loop.
    fn set_alarm(&mut self, agent: usize) {
        let now = self.now_of(agent).moment;
        let this = self.process(agent);
        let look = this.next_looks.values().copied().min();
        let wake = [look, Some(this.next_keep), this.books.next_try()]
            .into_iter()
            .flatten()
            .fold(this.decision.next_wakeup(now), Moment::min);
        let at = this.started + wake.micros().max(now.micros() + MILLI);
        if at == this.alarm.0 {
            return;
        }
        this.alarm = (at, this.alarm.1 + 1);
        let token = this.alarm.1;
        self.mine(at, agent, Mine::Wake { token });
    }

    fn wake(&mut self, agent: usize) {
        let now = self.now_of(agent);
        let live = Duration::from_micros(self.setup.live_interval.try_into().unwrap());
        let this = self.process(agent);
        let mut inputs = vec![Input::Tick];
        for (name, at) in this.next_looks.iter_mut().filter(|(_, at)| **at <= now.moment) {
            *at = now.moment + live;
            inputs.push(Input::LookDue { record: name.clone() });
        }
        self.take(agent, inputs);
        let Some(this) = self.agents[agent].process.as_mut() else { return };
        let keep = this.books.next_try().map_or(this.next_keep, |again| again.min(this.next_keep));
        if now.moment >= keep {
            this.next_keep = now.moment + KEEP_ALL;
            let batch = whole(&this.decision, &now);
            let _ = this.decision.fetch_latency();
            self.keep(agent, batch);
        }
    }

    pub(crate) fn take(&mut self, agent: usize, inputs: Vec<Input>) {
        let now = self.now_of(agent);
        let mut effects = Vec::new();
        for mut input in inputs {
            if let (Sabotage::LyingProbe, Input::Observed(seen)) = (self.sabotage, &mut input)
                && self.setup.policy.targets.keys().next_back() == Some(&seen.endpoint.target)
            {
                self.court.heard(agent, self.now, &self.setup, &input);
                let Input::Observed(seen) = &mut input else { continue };
                seen.outcome = Outcome::Pass;
            } else {
                self.court.heard(agent, self.now, &self.setup, &input);
            }
            effects.extend(self.process(agent).decision.handle(&now, input));
        }
        self.play(agent, effects);
    }

    /// `Agent::play`: the real agenda, and the world's hands.
    pub(crate) fn play(&mut self, agent: usize, effects: Vec<Effect>) {
        if effects.is_empty() {
            return;
        }
        let now = self.now_of(agent);
        let records = &self.setup.policy.records;
        let provider_of = |record: &DomainName| records[record].provider.clone();
        let this = self.agents[agent].process.as_mut().expect("only the living have turns");
        let desk = Desk {
            decision: &this.decision,
            scribe: &mut this.scribe,
            notify: &self.setup.notify,
            open: &mut this.open,
            provider_of: &provider_of,
        };
        let Agenda { asks, reads, batch, writes, watches } = Agenda::of(effects, &now, desk);
        for ask in asks {
            self.ask(agent, ask);
        }
        for (provider, names) in reads {
            self.begin_read(agent, &provider, names);
        }
        self.court.said(agent, self.now, &batch.events);
        if self.telling {
            for (recorded, _) in &batch.events {
                note!(self, "agent {agent} says {}: {}", recorded.event.kind, recorded.event.summary);
            }
        }
        for work in writes.values().flatten() {
            self.court.decided(agent, self.now, &self.setup, work);
        }
        let weighty = !batch.changes.is_empty() || !batch.events.is_empty() || !writes.is_empty();
        let doom = if weighty { self.doom_of(agent) } else { None };
        if self.sabotage == Sabotage::ActsFirst {
            for (provider, works) in &writes {
                self.begin_write(agent, provider, works, false);
            }
        }
        if self.befalls(agent, doom, Point::BeforeCommit) {
            return;
        }
        self.keep(agent, batch);
        let crashed = self.befalls(agent, doom, Point::AfterCommit);
        if crashed {
            return;
        }
        let frozen = self.agents[agent].frozen_until.is_some();
        if self.sabotage != Sabotage::ActsFirst {
            for (provider, works) in writes {
                self.begin_write(agent, &provider, &works, frozen);
            }
        }
        for watch in watches {
            if self.process(agent).found.contains(&watch.record) {
                let arrived = BTreeMap::new();
                let watching = Watching { order: watch, begun: self.now, told_slow: false, arrived };
                self.mine(self.now + 50 * MILLI, agent, Mine::Watch(Box::new(watching)));
            }
        }
        self.befalls(agent, doom, Point::AfterSend);
    }

    fn ask(&mut self, agent: usize, ask: Ask) {
        let pace = |pace| match pace {
            failover::decision::Pace::Fast => Pace::Fast,
            failover::decision::Pace::Steady => Pace::Steady,
        };
        match ask {
            Ask::Pace(endpoint, to) => self.set_pace(agent, &JobKey::Endpoint(endpoint), pace(to)),
            Ask::WitnessPace(witness, to) => self.set_pace(agent, &JobKey::Witness(witness), pace(to)),
            Ask::Probe(endpoint) => self.nudge(agent, &JobKey::Endpoint(endpoint)),
            Ask::ProbeWitnesses => self.nudge_all(agent, false),
            Ask::ProbeTargets => self.nudge_all(agent, true),
            Ask::Look(record) => {
                if self.process(agent).found.contains(&record) {
                    let at = self.now + self.latency();
                    self.mine(at, agent, Mine::Look { record });
                }
            }
        }
    }

    /// `Agent::tell`.
    pub(crate) fn tell(&mut self, agent: usize, event: Event) {
        let channels = self.setup.notify.channels_for(event.kind, event.severity);
        let recorded = self.process(agent).scribe.record(event, None);
        let batch = Batch { events: vec![(recorded, channels)], ..Batch::default() };
        self.court.said(agent, self.now, &batch.events);
        self.keep(agent, batch);
    }

    /// `Agent::keep`.
    pub(crate) fn keep(&mut self, agent: usize, batch: Batch) {
        let nothing = batch.trackers.is_empty()
            && batch.records.is_empty()
            && batch.changes.is_empty()
            && batch.events.is_empty()
            && self.process(agent).books.next_try().is_none();
        if nothing {
            return;
        }
        let now = self.now_of(agent);
        if let Some(event) = self.commit(agent, batch, &now) {
            let channels = self.setup.notify.channels_for(event.kind, event.severity);
            let recorded = self.process(agent).scribe.record(event, None);
            let batch = Batch { events: vec![(recorded, channels)], ..Batch::default() };
            let _ = self.commit(agent, batch, &now);
        }
    }

    /// `Ledger::commit`, with the real books.
    fn commit(&mut self, agent: usize, batch: Batch, now: &Now) -> Option<Event> {
        match self.process(agent).books.enter(batch, now) {
            Entry::Write(batch) => {
                let Err(why) = self.write_disk(agent, batch.clone()) else {
                    self.wake_lanes(agent);
                    return None;
                };
                let (events, word) = self.process(agent).books.refused(batch, why, now);
                self.tell_from_memory(agent, events, now);
                Some(word)
            }
            Entry::Remember { events, again } => {
                self.tell_from_memory(agent, events, now);
                if let Err(why) = self.write_disk(agent, again?) {
                    self.process(agent).books.still_refused(why, now);
                    return None;
                }
                self.wake_lanes(agent);
                self.process(agent).books.recovered(now)
            }
        }
    }

    fn write_disk(&mut self, agent: usize, batch: Batch) -> Result<(), String> {
        let mut events = batch.events.clone();
        events.retain(|(recorded, _)| !self.agents[agent].disk.knows(&recorded.id));
        let result = self.agents[agent].disk.commit(batch);
        if result.is_ok() {
            self.court.kept(agent, &events, true);
        } else {
            self.count("transactions refused");
        }
        if self.sabotage == Sabotage::ForgetfulStore {
            self.agents[agent].disk.forget_records();
        }
        result
    }

    fn tell_from_memory(&mut self, agent: usize, events: Told, now: &Now) {
        if events.is_empty() {
            return;
        }
        self.court.kept(agent, &events, false);
        let batch = Batch { at: Some(now.wall), events, ..Batch::default() };
        self.process(agent).unsaved.commit(batch).expect("memory takes everything");
        self.wake_lanes(agent);
    }
}
