//! The loop itself: sources in, one closed enum of inputs, effects out.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use providers::{DomainName, RecordSet, RecordType, Snapshot, Swap, Version};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::ledger::Ledger;
use super::servers::Servers;
use super::zones::Zones;
use super::{World, log, systemd};
use crate::api::{Command, Source, Status};
use crate::clock::Clock;
use crate::config::Config;
use crate::decision::{
    ChannelId, Decision, Effect, Event, EventKind, Input, Moment, Motive, Now, Options, ProviderId, Recorded, Report,
    Saved, SavedRecord, Severity, Work,
};
use crate::notify::{ChannelKind, Outbox};
use crate::probe::{Finding, Job, JobKey, Pace, Scheduler};
use crate::store::{Batch, ChangeRow, ChangeState, Loaded, RecordRow, StoreError};

/// How the agent is used.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Until it is stopped.
    Run,
    /// Until nothing is left to do, at most `deadline`; verdicts of earlier runs count if no older than `max_age`.
    Once {
        /// The longest it may take.
        deadline: Duration,
        /// The age limit of what earlier runs found out.
        max_age: Duration,
    },
    /// As `Once`, and writes nothing, keeps nothing, tells nobody.
    Plan {
        /// The longest it may take.
        deadline: Duration,
        /// The age limit of what earlier runs found out.
        max_age: Duration,
    },
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// What was known at the end.
    pub report: Report,
    /// Nothing was left to do; else the deadline or a signal ended it.
    pub settled: bool,
    /// Why the state could not be written, if it could not.
    pub state_trouble: Option<String>,
}

/// Why an agent cannot start at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not even a state in memory can be had.
    #[error("cannot set up the state: {0}")]
    State(#[from] StoreError),
}

/// Findings under way from the scheduler; more make the probes wait.
const FINDINGS: usize = 4096;
/// Results under way from providers and servers.
const RESULTS: usize = 256;
/// Commands waiting.
const COMMANDS: usize = 64;
/// How long a stopping agent lets a write end.
const STOP_WRITES: Duration = Duration::from_millis(1200);
/// How long a stopping agent tries to get rid of messages; what is left is delivered after the next start.
const STOP_OUTBOX: Duration = Duration::from_millis(400);
/// How long a one-shot run goes on delivering messages and watching its change arrive.
const ONCE_TAIL: Duration = Duration::from_secs(10);
/// How often everything is kept, changed or not: bounds what a lost machine forgets.
const KEEP_ALL: Duration = Duration::from_mins(1);

/// The agent.
pub struct Agent {
    config: Arc<Config>,
    mode: Mode,
    clock: Arc<dyn Clock>,
    started: Now,
    decision: Decision,
    ledger: Ledger,
    zones: Zones,
    servers: Servers,
    scheduler: Option<Scheduler>,
    tasks: JoinSet<()>,
    findings: mpsc::Receiver<Finding>,
    results: mpsc::Receiver<Vec<Input>>,
    commands: mpsc::Receiver<Command>,
    commander: mpsc::Sender<Command>,
    stop_outbox: watch::Sender<bool>,
    /// Changes begun and not closed, as they are kept.
    open: BTreeMap<String, ChangeRow>,
    /// Writes under way.
    writing: BTreeSet<DomainName>,
    next_looks: BTreeMap<DomainName, Moment>,
    next_keep: Moment,
    /// Does some channel write to the log already?
    log_channels: BTreeSet<ChannelId>,
}

impl Agent {
    /// Sets everything up and reads what an earlier run left behind; nothing is probed, read or written before
    /// [`Agent::run`]. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; a state file that cannot be used is none: the agent goes on from memory.
    pub async fn new(config: Arc<Config>, world: World, mode: Mode) -> Result<Self, StartError> {
        let World { clock, prober, live, hands, nameservers, senders, state, seed } = world;
        let now = clock.now();
        let (results_in, results) = mpsc::channel(RESULTS);
        let (findings_in, findings) = mpsc::channel(FINDINGS);
        let (commander, commands) = mpsc::channel(COMMANDS);
        let dry = matches!(mode, Mode::Plan { .. });
        let outbox = |store| {
            if dry {
                return Ok(None);
            }
            let (settings, agent) = (config.notify.clone(), config.agent.id.clone());
            Outbox::new(store, senders, settings, Arc::clone(&clock), agent, seed).map(Some)
        };
        let mut ledger =
            Ledger::new(config.agent.id.clone(), config.notify.clone(), state, outbox, &now, seed)?;
        let age_limit = match mode {
            Mode::Run => None,
            Mode::Once { max_age, .. } | Mode::Plan { max_age, .. } => Some(max_age),
        };
        let loaded = ledger.load(age_limit, &now).await;
        let open = loaded.open_changes.iter().map(|row| (row.id.clone(), row.clone())).collect();
        let options = Options {
            dry,
            one_shot: !matches!(mode, Mode::Run),
            stale_floor: age_limit.unwrap_or_default(),
        };
        let decision = Decision::new(config.policy(), hands.faces(), options, saved(loaded, &now, options), &now);
        let scheduler = Scheduler::start(jobs(&config), prober, Arc::clone(&clock), findings_in, seed);
        let (stop_outbox, _) = watch::channel(false);
        let log_channels = config
            .notify
            .channels
            .iter()
            .filter(|(_, channel)| matches!(channel.kind, ChannelKind::Log))
            .map(|(id, _)| id.clone())
            .collect();
        let zones = Zones::new(hands, results_in.clone());
        let servers = Servers { live, clock: Arc::clone(&clock), known: Arc::new(nameservers), out: results_in };
        let next_looks = config.records.keys().map(|n| (n.clone(), now.moment + config.agent.live_interval)).collect();
        Ok(Agent {
            config,
            mode,
            started: now,
            decision,
            ledger,
            zones,
            servers,
            scheduler: Some(scheduler),
            tasks: JoinSet::new(),
            findings,
            results,
            commands,
            commander,
            stop_outbox,
            open,
            writing: BTreeSet::new(),
            next_looks,
            next_keep: now.moment + KEEP_ALL,
            log_channels,
            clock,
        })
    }

    /// Where commands are sent while the agent runs.
    pub fn commander(&self) -> mpsc::Sender<Command> {
        self.commander.clone()
    }

    /// Runs until `stop` resolves, or, in a one-shot mode, until nothing is left to do.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Ending {
        tokio::pin!(stop);
        if let Some(outbox) = self.ledger.outbox() {
            let (outbox, stopped) = (outbox.clone(), self.stop_outbox.subscribe());
            self.tasks.spawn(async move { outbox.run(stopped).await });
        }
        self.announce_start().await;
        let now = self.clock.now();
        let first = self.decision.start(&now);
        self.play(first).await;
        systemd::ready();
        let settled = self.turn(&mut stop).await;
        self.end(settled).await
    }

    /// Turns until it is told to stop. Returns whether nothing was left to do.
    async fn turn(&mut self, stop: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        let deadline = match self.mode {
            Mode::Run => None,
            Mode::Once { deadline, .. } | Mode::Plan { deadline, .. } => Some(self.started.moment + deadline),
        };
        let watchdog = systemd::watchdog_interval();
        let mut next_alive = self.started.moment;
        loop {
            let now = self.clock.now();
            if let Some(interval) = watchdog
                && now.moment >= next_alive
            {
                systemd::alive();
                next_alive = now.moment + interval;
            }
            if let Some(deadline) = deadline {
                if self.decision.is_quiescent() && self.writing.is_empty() {
                    return true;
                }
                if now.moment >= deadline {
                    return false;
                }
            }
            let wake = self.next_wakeup(now.moment, deadline, watchdog.map(|_| next_alive));
            // A turn of at least a millisecond: a wake-up in the past must not spin.
            let pause = wake.since(now.moment).max(Duration::from_millis(1));
            tokio::select! {
                biased;
                () = &mut *stop => return false,
                Some(inputs) = self.results.recv() => self.take(inputs).await,
                Some(finding) = self.findings.recv() => {
                    let mut inputs = vec![input_of(finding)];
                    while inputs.len() < 256 && let Ok(finding) = self.findings.try_recv() {
                        inputs.push(input_of(finding));
                    }
                    self.take(inputs).await;
                }
                Some(command) = self.commands.recv() => self.obey(command).await,
                () = sleep(pause) => self.wake().await,
            }
        }
    }

    fn next_wakeup(&self, now: Moment, deadline: Option<Moment>, alive: Option<Moment>) -> Moment {
        let look = self.next_looks.values().copied().min();
        [look, deadline, alive, Some(self.next_keep)]
            .into_iter()
            .flatten()
            .fold(self.decision.next_wakeup(now), Moment::min)
    }

    async fn wake(&mut self) {
        let now = self.clock.now();
        let mut inputs = vec![Input::Tick];
        let due: Vec<DomainName> =
            self.next_looks.iter().filter(|(_, at)| **at <= now.moment).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.next_looks.insert(name.clone(), now.moment + self.config.agent.live_interval);
            inputs.push(Input::LookDue { record: name });
        }
        self.take(inputs).await;
        if now.moment >= self.next_keep {
            self.next_keep = now.moment + KEEP_ALL;
            self.keep_all(&now).await;
        }
    }

    /// Hands inputs to the decision and does what it asks, all of it together.
    async fn take(&mut self, inputs: Vec<Input>) {
        let now = self.clock.now();
        let mut effects = Vec::new();
        for input in inputs {
            if let Input::Written { record, .. } = &input {
                self.writing.remove(record);
            }
            if let Input::Observed(observation) = &input {
                tracing::debug!(endpoint = %observation.endpoint, outcome = ?observation.outcome, took = ?observation.timings.total, "probed");
            }
            effects.extend(self.decision.handle(&now, input));
        }
        self.play(effects).await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Status(answer) => {
                let pending = self.ledger.store().pending().await.unwrap_or(0);
                // Whoever asked may have gone.
                let _ = answer.send(Status {
                    source: Source::Agent,
                    agent: self.config.agent.id.clone(),
                    version: env!("CARGO_PKG_VERSION").into(),
                    started: Some(self.started.wall),
                    age_s: 0,
                    state_trouble: self.ledger.trouble().map(str::to_owned),
                    pending_deliveries: pending,
                    report: self.decision.report(&self.clock.now()),
                });
            }
            Command::Failback(record, answer) => {
                let known = self.config.records.contains_key(&record);
                let _ = answer.send(known);
                if known {
                    self.take(vec![Input::Failback { record }]).await;
                }
            }
        }
    }

    /// Does what the decision asks. First what only looks; then everything that must outlive us is kept, in one
    /// transaction; only then is anything written.
    async fn play(&mut self, effects: Vec<Effect>) {
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
                    self.config.agent.witnesses.keys().for_each(|w| self.probe(&JobKey::Witness(w.clone())));
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
                Effect::KeepTarget(target) => batch.trackers.extend(self.decision.saved_target(&target, &now)),
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
            self.tasks.spawn(self.zones.clone().read(provider, records, configured));
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
    fn say(&mut self, recorded: Recorded, batch: &mut Batch) {
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

    async fn keep(&mut self, batch: Batch, now: &Now) {
        let nothing = batch.trackers.is_empty()
            && batch.records.is_empty()
            && batch.changes.is_empty()
            && batch.events.is_empty();
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

    async fn keep_all(&mut self, now: &Now) {
        let batch = Batch {
            trackers: self.decision.saved_trackers(now),
            records: self
                .config
                .records
                .keys()
                .filter_map(|name| self.record_row(name, now))
                .collect(),
            ..Batch::default()
        };
        self.keep(batch, now).await;
        if matches!(self.mode, Mode::Plan { .. }) {
            return;
        }
        if let Err(error) = self.ledger.store().prune(now.wall).await {
            tracing::debug!(%error, "old history could not be dropped");
        }
    }

    async fn announce_start(&mut self) {
        let now = self.clock.now();
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
            format!("watching {targets} targets for {records} records (failover {})", env!("CARGO_PKG_VERSION")),
        );
        if self.config.agent.witnesses.is_empty() {
            event.reason = Some(
                "no witnesses are configured: this agent cannot tell a dead primary from its own dead uplink".into(),
            );
        }
        let recorded = self.ledger.record(event, None);
        let mut batch = Batch::default();
        self.say(recorded, &mut batch);
        self.keep(batch, &now).await;
        if self.ledger.trouble().is_some() {
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
        let SavedRecord { current, last_change, incident, said } = self.decision.saved_record(name)?;
        let last_change = last_change.map(|moment| now.wall_of(moment));
        Some(RecordRow { name: name.clone(), current, last_change, incident, said })
    }

    fn change_row(&mut self, work: &Work, now: &Now) -> ChangeRow {
        ChangeRow {
            id: work.id.clone(),
            record: work.swap.name().clone(),
            state: ChangeState::Started,
            started: now.wall,
            ended: None,
            completed_event: self.ledger.record(work.completed.clone(), Some(format!("{}-completed", work.id))),
            targets: work.targets.clone(),
            after: work.swap.after.clone(),
        }
    }

    /// The end: no more probes; what is being written may end and be proved; everything is kept; messages get a
    /// moment, and what is left of them is delivered after the next start.
    async fn end(mut self, settled: bool) -> Ending {
        systemd::stopping();
        let one_shot = !matches!(self.mode, Mode::Run);
        if let Some(scheduler) = self.scheduler.take() {
            scheduler.stop().await;
        }
        let limit = if one_shot { ONCE_TAIL } else { STOP_WRITES };
        let _ = timeout(limit, self.finish_changes(one_shot)).await;
        let now = self.clock.now();
        self.keep_all(&now).await;
        if !one_shot {
            let event = Event::new(EventKind::AgentStopped, now.wall, "the agent was asked to stop; records stay as they are");
            let recorded = self.ledger.record(event, None);
            let mut batch = Batch::default();
            self.say(recorded, &mut batch);
            self.keep(batch, &now).await;
        }
        self.stop_outbox.send_replace(true);
        let limit = if one_shot { ONCE_TAIL } else { STOP_OUTBOX };
        if let Some(outbox) = self.ledger.outbox()
            && let Err(error) = outbox.drain(limit).await
        {
            tracing::error!(%error, "messages could not be delivered; they wait for the next start");
        }
        self.tasks.shutdown().await;
        Ending {
            report: self.decision.report(&self.clock.now()),
            settled,
            state_trouble: self.ledger.trouble().map(str::to_owned),
        }
    }

    /// Waits for writes under way and their proof; a one-shot run also for the servers to serve its change.
    async fn finish_changes(&mut self, watch_too: bool) {
        loop {
            let report = self.decision.report(&self.clock.now());
            let changing = report.records.iter().any(|r| r.status == crate::decision::RecordStatus::Changing);
            let busy = !self.writing.is_empty() || changing || (watch_too && self.decision.is_propagating());
            if !busy {
                return;
            }
            tokio::select! {
                Some(inputs) = self.results.recv() => self.take(inputs).await,
                () = sleep(Duration::from_millis(20)) => self.take(vec![Input::Tick]).await,
            }
        }
    }
}

fn input_of(finding: Finding) -> Input {
    match finding {
        Finding::Observation(observation) => Input::Observed(observation),
        Finding::Sighting(sighting) => Input::Witnessed(sighting),
    }
}

/// Everything that is probed.
fn jobs(config: &Config) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (id, target) in &config.targets {
        for check_id in &target.checks {
            let Some((check, _)) = config.checks.get(check_id) else { continue };
            for address in &target.addresses {
                let endpoint = crate::decision::Endpoint {
                    target: id.clone(),
                    check: check_id.clone(),
                    address: *address,
                };
                jobs.push(Job { key: JobKey::Endpoint(endpoint), address: *address, check: Arc::clone(check) });
            }
        }
    }
    for (id, witness) in &config.agent.witnesses {
        let key = JobKey::Witness(id.clone());
        jobs.push(Job { key, address: witness.address, check: Arc::clone(&witness.check) });
    }
    jobs
}

/// What an earlier run left behind, as the decision wants it.
fn saved(loaded: Loaded, now: &Now, options: Options) -> Saved {
    let records = loaded.records.into_iter().map(|(name, row)| {
        let RecordRow { current, last_change, incident, said, .. } = row;
        (name, SavedRecord { current, last_change: last_change.map(|t| now.moment_of(t)), incident, said })
    });
    // A dry run has no business with somebody else's open change: it reads what is there.
    let open = if options.dry { Vec::new() } else { loaded.open_changes };
    let unconfirmed = open.into_iter().map(|row| (row.record.clone(), work_of(row, now)));
    Saved { trackers: loaded.trackers, records: records.collect(), unconfirmed: unconfirmed.collect() }
}

/// A change that was begun by an earlier run, to be proved by a reading.
fn work_of(row: ChangeRow, now: &Now) -> Work {
    let before = Snapshot {
        name: row.record,
        sets: BTreeMap::<RecordType, RecordSet>::new(),
        version: Version::Values,
        native: serde_json::Value::Null,
    };
    let motive = match row.completed_event.event.kind {
        EventKind::FailoverCompleted => Motive::Failover,
        EventKind::FailbackCompleted => Motive::Failback,
        _ => Motive::Stay,
    };
    Work {
        id: row.id,
        swap: Swap { before, after: row.after },
        targets: row.targets,
        motive,
        decided: now.moment_of(row.started),
        completed: row.completed_event.event,
    }
}
