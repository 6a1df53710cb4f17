//! What a turn comes to, done: what is said, what is kept, what is asked of others.

use providers::DomainName;

use super::agenda::Ask;
use super::event_loop::{Agent, Mode};
use super::jobs::jobs;
use super::log;
use super::round::Round;
use super::systemd;
use crate::decision::{ChannelId, Event, EventKind, Now, Recorded, Severity, counted};
use crate::probe::{JobKey, Pace};
use crate::store::Batch;

impl Agent {
    /// Puts an event into the batch and into the log.
    pub(super) fn say(&mut self, recorded: Recorded, batch: &mut Batch) {
        if matches!(self.mode, Mode::Plan { .. }) {
            return;
        }
        let channels = self.ledger.channels_for(&recorded.event);
        self.log(&recorded, &channels);
        batch.events.push((recorded, channels));
    }

    pub(super) fn log(&self, recorded: &Recorded, channels: &[ChannelId]) {
        self.tally.count(&recorded.event);
        let logged_by_channel = channels.iter().any(|channel| self.log_channels.contains(channel));
        if !logged_by_channel {
            log::event(recorded);
        }
        if recorded.event.severity >= Severity::Info
            && let Some(record) = &recorded.event.record
        {
            systemd::status(&format!("{record}: {}", recorded.event.summary));
        }
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
        if self.is_to_be_kept(&batch)
            && let Some(event) = self.ledger.commit(batch, now).await
        {
            self.say_of_state(event, now).await;
        }
    }

    pub(super) fn is_to_be_kept(&self, batch: &Batch) -> bool {
        let nothing = batch.trackers.is_empty()
            && batch.records.is_empty()
            && batch.changes.is_empty()
            && batch.events.is_empty()
            && batch.overrides.is_empty()
            // What was not kept before may be due.
            && self.ledger.next_try().is_none();
        !nothing && !matches!(self.mode, Mode::Plan { .. })
    }

    /// What is to be said of the state goes the same way as everything else.
    pub(super) async fn say_of_state(&mut self, event: Event, now: &Now) {
        let recorded = self.ledger.record(event, None);
        let mut batch = Batch::default();
        self.say(recorded, &mut batch);
        // That it still cannot be written is what was just said.
        let _ = self.ledger.commit(batch, now).await;
    }

    /// Keeps the next share of everything.
    pub(super) async fn keep_share(&mut self, now: &Now) {
        let share = self.round.share(&self.decision, now);
        self.keep(share, now).await;
    }

    /// Keeps everything, at the end. However much it is, a disk that does not answer is waited for once.
    pub(super) async fn keep_everything(&mut self, now: &Now) {
        self.round = Round::default();
        self.round.begin(&self.decision);
        loop {
            self.keep_share(now).await;
            if self.round.next().is_none() || self.ledger.trouble().is_some() {
                return;
            }
        }
    }

    /// Keeps everything, so that a lost machine forgets little; the first share of it at once.
    pub(super) async fn keep_all(&mut self, now: &Now) {
        self.round.begin(&self.decision);
        self.keep_share(now).await;
        // Nothing waits for it: a change that is due in the meantime waits for the disk as ever, and no longer.
        if let Some(kept) = self.latency_kept(now) {
            self.tasks.spawn(kept);
        }
    }

    /// Keeps how long the probes took since the last time, and forgets what is too old.
    pub(super) fn latency_kept(&mut self, now: &Now) -> Option<impl Future<Output = ()> + Send + use<>> {
        if matches!(self.mode, Mode::Plan { .. }) {
            return None;
        }
        let latency = self.decision.fetch_latency();
        let (kept, pruned) = (self.ledger.keep_latency(latency), self.ledger.prune(now.wall));
        Some(async move {
            kept.await;
            pruned.await;
        })
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

    pub(super) fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Pace(endpoint, pace) => self.pace(&JobKey::Endpoint(endpoint), pace),
            Ask::WitnessPace(witness, pace) => self.pace(&JobKey::Witness(witness), pace),
            Ask::Probe(endpoint) => self.probe(&JobKey::Endpoint(endpoint)),
            Ask::ProbeWitnesses => {
                for witness in self.config.agent.witnesses.keys() {
                    self.probe(&JobKey::Witness(witness.clone()));
                }
            }
            Ask::ProbeTargets => jobs(&self.config).iter().for_each(|job| self.probe(&job.key)),
            Ask::Look(record) => self.look(record),
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
}
