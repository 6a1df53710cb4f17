//! The turns of an agent: they mirror `src/agent/event_loop.rs` (turn, wake), `turn.rs` (take, play) and `effects.rs` (keep) step
//! by step; what they come to is the real `Agenda` and `Books`.

use std::collections::BTreeMap;
use std::time::Duration;

use failover::agent::{Agenda, Ask, Desk, Entry, Told, whole};
use failover::decision::{Effect, Event, Input, Moment, Now, Outcome};
use failover::probe::Pace;
use failover::store::{Batch, Delivery};
use providers::DomainName;

use crate::agent::KEEP_ALL;
use crate::cast::MILLI;
use crate::plan::Point;
use crate::probes::JobKey;
use crate::sabotage::Sabotage;
use crate::world::{Mine, Watching, World, note};

impl World {
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
    pub(crate) fn set_alarm(&mut self, agent: usize) {
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
            let targets = &self.setup.policy.targets;
            let (first, last) = (targets.keys().next(), targets.keys().next_back());
            if let Input::Observed(seen) = &mut input
                && (self.sabotage == Sabotage::StuckPeer
                    && agent == 1
                    && first == Some(&seen.endpoint.target))
            {
                seen.outcome = Outcome::Fail("stuck".into());
            }
            self.court.heard(agent, self.now, &self.setup, &input);
            if let Input::Observed(seen) = &mut input {
                let last = last == Some(&seen.endpoint.target);
                match self.sabotage {
                    Sabotage::LyingProbe if last => seen.outcome = Outcome::Pass,
                    Sabotage::LyingPeer if agent == 1 => seen.outcome = Outcome::Pass,
                    _ => {}
                }
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
            && batch.overrides.is_empty()
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
                let mut again = again?;
                let this = self.process(agent);
                let mut all = this.unsaved.all_deliveries();
                all.retain(|delivery| !this.moved.contains(&delivery.id));
                again.deliveries.clone_from(&all);
                if let Err(why) = self.write_disk(agent, again) {
                    self.process(agent).books.still_refused(why, now);
                    return None;
                }
                self.handed_over(agent, &all);
                self.wake_lanes(agent);
                self.process(agent).books.recovered(now)
            }
        }
    }

    /// `HandOver::done` in `src/notify/unsaved.rs`.
    fn handed_over(&mut self, agent: usize, all: &[Delivery]) {
        for delivery in all {
            self.court.handed_over(agent, delivery);
            let this = self.process(agent);
            if this.lanes.iter().any(|lane| lane.has_in_flight(delivery.id)) {
                this.moved.insert(delivery.id);
            } else {
                this.unsaved.forget(delivery.id);
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
