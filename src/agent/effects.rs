//! Doing what the decision asks, in the order that a crash at any instruction survives.

use std::collections::BTreeMap;

use providers::DomainName;

use super::event_loop::{Agent, Mode};
use super::log;
use super::restore::jobs;
use super::systemd;
use crate::decision::{
    Effect, Event, EventKind, Now, ProviderId, Recorded, SavedRecord, Severity, Work, counted,
};
use crate::probe::{JobKey, Pace};
use crate::store::{Batch, ChangeRow, ChangeState, RecordRow};

impl Agent {
    /// Does what the decision asks. First what only looks; then everything that must outlive us is kept, in one
    /// transaction; only then is anything written.
    pub(super) async fn play(&mut self, effects: Vec<Effect>) {
        let now = self.clock.now();
        let mut batch = Batch::default();
        let mut reads: BTreeMap<ProviderId, Vec<DomainName>> = BTreeMap::new();
        let mut writes: BTreeMap<ProviderId, Vec<Work>> = BTreeMap::new();
        let mut watches = Vec::new();
        for effect in effects {
            match effect {
                Effect::Pace(endpoint, pace) => self.pace(&JobKey::Endpoint(endpoint), pace),
                Effect::WitnessPace(witness, pace) => self.pace(&JobKey::Witness(witness), pace),
                Effect::Probe(endpoint) => self.probe(&JobKey::Endpoint(endpoint)),
                Effect::ProbeWitnesses => {
                    for witness in self.config.agent.witnesses.keys() {
                        self.probe(&JobKey::Witness(witness.clone()));
                    }
                }
                Effect::ProbeTargets => jobs(&self.config).iter().for_each(|job| self.probe(&job.key)),
                Effect::Read(record) => {
                    let provider = self.config.records[&record].policy.provider.clone();
                    reads.entry(provider).or_default().push(record);
                }
                Effect::Look(record) => self.look(record),
                Effect::Watch(watch) => watches.push(*watch),
                Effect::Say(event, key) => {
                    let recorded = self.ledger.record(*event, key);
                    self.say(recorded, &mut batch);
                }
                Effect::KeepTarget(target) => {
                    batch.trackers.extend(self.decision.saved_target(&target, &now));
                }
                Effect::KeepRecord(record) => batch.records.extend(self.record_row(&record, &now)),
                Effect::Write(work) => {
                    let row = self.change_row(&work, &now);
                    self.open.insert(row.id.clone(), row.clone());
                    batch.changes.push(row);
                    batch.records.extend(self.record_row(work.swap.name(), &now));
                    let provider = self.config.records[work.swap.name()].policy.provider.clone();
                    writes.entry(provider).or_default().push(*work);
                }
                Effect::Close { change, happened } => {
                    if let Some(mut row) = self.open.remove(&change) {
                        row.state = if happened { ChangeState::Completed } else { ChangeState::Failed };
                        row.ended = Some(now.wall);
                        batch.changes.push(row);
                    }
                }
            }
        }
        for (provider, records) in reads {
            let configured = records
                .iter()
                .filter_map(|name| Some((name.clone(), self.config.records[name].zone.clone()?)))
                .collect();
            let aliases = records.iter().filter(|name| self.config.is_alias(name)).cloned().collect();
            self.tasks.spawn(self.zones.clone().read(provider, records, configured, aliases));
        }
        self.keep(batch, &now).await;
        for (provider, works) in writes {
            self.writing.extend(works.iter().map(|work| work.swap.name().clone()));
            self.tasks.spawn(self.zones.clone().write(provider, works));
        }
        for watch in watches {
            if let Some(zone) = self.zones.zone_of(&watch.record) {
                self.tasks.spawn(self.servers.clone().watch(watch, zone.name));
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Puts an event into the batch and into the log.
    pub(super) fn say(&mut self, recorded: Recorded, batch: &mut Batch) {
        let channels = self.ledger.channels_for(&recorded.event);
        let logged_by_channel = channels.iter().any(|channel| self.log_channels.contains(channel));
        if matches!(self.mode, Mode::Plan { .. }) {
            return;
        }
        if !logged_by_channel {
            log::event(&recorded);
        }
        if recorded.event.severity >= Severity::Info
            && let Some(record) = &recorded.event.record
        {
            systemd::status(&format!("{record}: {}", recorded.event.summary));
        }
        batch.events.push((recorded, channels));
    }

    /// Tells one event that is the agent's own.
    pub(super) async fn tell(&mut self, event: Event) {
        let now = self.clock.now();
        let recorded = self.ledger.record(event, None);
        let mut batch = Batch::default();
        self.say(recorded, &mut batch);
        self.keep(batch, &now).await;
    }

    pub(super) async fn keep(&mut self, batch: Batch, now: &Now) {
        let nothing = batch.trackers.is_empty()
            && batch.records.is_empty()
            && batch.changes.is_empty()
            && batch.events.is_empty()
            // What was not kept before may be due.
            && self.ledger.next_try().is_none();
        if nothing || matches!(self.mode, Mode::Plan { .. }) {
            return;
        }
        if let Some(event) = self.ledger.commit(batch, now).await {
            self.say_of_state(event, now).await;
        }
    }

    /// What is to be said of the state goes the same way as everything else.
    async fn say_of_state(&mut self, event: Event, now: &Now) {
        let recorded = self.ledger.record(event, None);
        let mut batch = Batch::default();
        self.say(recorded, &mut batch);
        // That it still cannot be written is what was just said.
        let _ = self.ledger.commit(batch, now).await;
    }

    pub(super) async fn keep_all(&mut self, now: &Now) {
        let batch = Batch {
            trackers: self.decision.saved_trackers(now),
            records: self.config.records.keys().filter_map(|name| self.record_row(name, now)).collect(),
            ..Batch::default()
        };
        self.keep(batch, now).await;
        if !matches!(self.mode, Mode::Plan { .. }) {
            let latency = self.decision.fetch_latency();
            // Nothing waits for it: a change that is due in the meantime waits for the disk as ever, and no longer.
            let (kept, pruned) = (self.ledger.keep_latency(latency), self.ledger.prune(now.wall));
            self.tasks.spawn(async move {
                kept.await;
                pruned.await;
            });
        }
    }

    pub(super) async fn announce_start(&mut self) {
        let now = self.clock.now();
        if let (Mode::Plan { .. }, Some(why)) = (self.mode, self.ledger.trouble()) {
            tracing::warn!("planning without what earlier runs found out: {why}");
        }
        if !matches!(self.mode, Mode::Run) {
            if self.ledger.trouble().is_some() && matches!(self.mode, Mode::Once { .. }) {
                let event = self.ledger.unwritable(&now);
                self.say_of_state(event, &now).await;
            }
            return;
        }
        let records = self.config.records.len();
        let targets = self.config.targets.len();
        let mut event = Event::new(
            EventKind::AgentStarted,
            now.wall,
            format!(
                "watching {} for {} (failover {})",
                counted(targets, "target"),
                counted(records, "record"),
                env!("CARGO_PKG_VERSION")
            ),
        );
        if self.config.agent.witnesses.is_empty() {
            event.reason = Some(
                "no witnesses are configured: this agent cannot tell a dead primary from its own dead uplink"
                    .into(),
            );
        }
        let trouble_before = self.ledger.trouble().is_some();
        let recorded = self.ledger.record(event, None);
        let mut batch = Batch::default();
        self.say(recorded, &mut batch);
        self.keep(batch, &now).await;
        // Trouble that shows only now has just been told.
        if trouble_before {
            let event = self.ledger.unwritable(&now);
            self.say_of_state(event, &now).await;
        }
    }

    fn pace(&self, key: &JobKey, pace: crate::decision::Pace) {
        let pace = match pace {
            crate::decision::Pace::Fast => Pace::Fast,
            crate::decision::Pace::Steady => Pace::Steady,
        };
        if let Some(scheduler) = &self.scheduler {
            scheduler.set_pace(key, pace);
        }
    }

    fn probe(&self, key: &JobKey) {
        if let Some(scheduler) = &self.scheduler {
            scheduler.probe_now(key);
        }
    }

    fn look(&mut self, record: DomainName) {
        // A one-shot run has just read the provider; it looks at the servers only after a change.
        if matches!(self.mode, Mode::Run)
            && let Some(zone) = self.zones.zone_of(&record)
        {
            self.tasks.spawn(self.servers.clone().look(record, zone.name));
        }
    }

    fn record_row(&self, name: &DomainName, now: &Now) -> Option<RecordRow> {
        let SavedRecord { current, last_change, incident, said, penalty } =
            self.decision.saved_record(name, now)?;
        let last_change = last_change.map(|moment| now.wall_of(moment));
        Some(RecordRow { name: name.clone(), current, last_change, incident, said, penalty })
    }

    fn change_row(&mut self, work: &Work, now: &Now) -> ChangeRow {
        ChangeRow {
            id: work.id.clone(),
            record: work.swap.name().clone(),
            state: ChangeState::Started,
            started: now.wall,
            ended: None,
            completed_event: self
                .ledger
                .record(work.completed.clone(), Some(format!("{}-completed", work.id))),
            targets: work.targets.clone(),
            before: work.swap.before.sets.clone(),
            after: work.swap.after.clone(),
        }
    }
}
