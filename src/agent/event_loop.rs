//! The loop itself: sources in, one closed enum of inputs, effects out.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use providers::DomainName;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::jobs::jobs;
use super::ledger::Ledger;
use super::reload::{Reload, Waiting};
use super::restore::saved;
use super::round::Round;
use super::servers::Servers;
use super::zones::Zones;
use super::{World, systemd};
use crate::api::{Command, Explained, Metrics, Source, Status, Tally};
use crate::clock::Clock;
use crate::config::Config;
use crate::decision::{ChannelId, Decision, Event, EventKind, Input, Moment, Now, Options, Report};
use crate::live::{ASKS_AT_ONCE, FewAtOnce};
use crate::notify::{ChannelKind, Outbox};
use crate::probe::{Finding, Scheduler};
use crate::store::{Batch, ChangeRow, StoreError};

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
/// How long a stopping agent waits for the disk, beside the time above.
const STOP_DISK: Duration = Duration::from_millis(300);
/// How often everything is kept, changed or not: bounds what a lost machine forgets.
const KEEP_ALL: Duration = Duration::from_mins(1);

/// The agent.
pub struct Agent {
    pub(super) config: Arc<Config>,
    pub(super) mode: Mode,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) started: Now,
    pub(super) decision: Decision,
    pub(super) ledger: Ledger,
    pub(super) zones: Zones,
    pub(super) servers: Servers,
    pub(super) scheduler: Option<Scheduler>,
    pub(super) tasks: JoinSet<()>,
    pub(super) findings: mpsc::Receiver<Vec<Finding>>,
    pub(super) results: mpsc::Receiver<Vec<Input>>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) commander: mpsc::Sender<Command>,
    pub(super) stop_outbox: watch::Sender<bool>,
    /// Changes begun and not closed, as they are kept.
    pub(super) open: BTreeMap<String, Arc<ChangeRow>>,
    /// Writes under way.
    pub(super) writing: BTreeSet<DomainName>,
    /// Are those many?
    pub(super) crowd: watch::Sender<bool>,
    pub(super) next_looks: BTreeMap<DomainName, Moment>,
    /// The first of them: asked for in each turn, of thousands of records.
    pub(super) next_look: Option<Moment>,
    pub(super) next_keep: Moment,
    pub(super) round: Round,
    /// Does some channel write to the log already?
    pub(super) log_channels: BTreeSet<ChannelId>,
    /// What is counted for `/metrics`.
    pub(super) tally: Tally,
    /// Word of the files of the configuration.
    reloads: mpsc::Receiver<Reload>,
    /// A configuration that is taken over as soon as nothing stands in its way.
    pub(super) waiting: Option<Waiting>,
}

/// The channels that write to the program's own log.
pub(super) fn log_channels(config: &Config) -> BTreeSet<ChannelId> {
    let channels = config.notify.channels.iter();
    channels
        .filter(|(_, channel)| matches!(channel.kind, ChannelKind::Log))
        .map(|(id, _)| id.clone())
        .collect()
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
            let (settings, agent) = (config.notify.clone(), config.agent.id.clone());
            (!dry).then(|| Outbox::new(store, senders, settings, Arc::clone(&clock), agent, seed))
        };
        let mut ledger = Ledger::new(config.agent.id.clone(), config.notify.clone(), state, outbox, seed)?;
        let age_limit = match mode {
            Mode::Run => None,
            Mode::Once { max_age, .. } | Mode::Plan { max_age, .. } => Some(max_age),
        };
        let loaded = ledger.load(age_limit, &now).await;
        let open = loaded.open_changes.iter().map(|row| (row.id.clone(), Arc::new(row.clone()))).collect();
        let options =
            Options { dry, one_shot: !matches!(mode, Mode::Run), stale_floor: age_limit.unwrap_or_default() };
        let decision =
            Decision::new(config.policy(), hands.faces(), options, saved(loaded, &now, options), &now);
        let scheduler = Scheduler::start(jobs(&config), prober, Arc::clone(&clock), findings_in, seed);
        let (stop_outbox, _) = watch::channel(false);
        let log_channels = log_channels(&config);
        let zones = Zones::new(hands, Arc::clone(&clock), results_in.clone());
        let live = Arc::new(FewAtOnce::new(live, ASKS_AT_ONCE));
        let (crowd, is_crowd) = watch::channel(false);
        let servers = Servers {
            live,
            clock: Arc::clone(&clock),
            known: Arc::new(nameservers),
            out: results_in,
            crowd: is_crowd,
        };
        let next_looks: BTreeMap<DomainName, Moment> =
            config.records.keys().map(|n| (n.clone(), now.moment + config.agent.live_interval)).collect();
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
            crowd,
            next_look: next_looks.values().copied().min(),
            next_looks,
            next_keep: now.moment + KEEP_ALL,
            round: Round::default(),
            log_channels,
            tally: Tally::default(),
            // Until somebody watches them: see `Agent::reloads`.
            reloads: mpsc::channel(1).1,
            waiting: None,
            clock,
        })
    }

    /// Has word of the files of the configuration come from here: see [`super::Reloader`].
    pub fn reloads(&mut self, reloads: mpsc::Receiver<Reload>) {
        self.reloads = reloads;
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
        let why = self.turn(&mut stop).await;
        self.end(why).await
    }

    /// Turns until there is a reason to stop.
    async fn turn(&mut self, stop: &mut (impl Future<Output = ()> + Unpin)) -> Why {
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
                if self.has_nothing_to_do() {
                    // A record may still be held for a reason that has passed without news: it is looked at once more.
                    self.take(vec![Input::Tick]).await;
                    if self.has_nothing_to_do() {
                        return Why::Settled;
                    }
                }
                if now.moment >= deadline {
                    return Why::Deadline;
                }
            }
            let wake = self.next_wakeup(now.moment, deadline, watchdog.map(|_| next_alive));
            // A turn of at least a millisecond: a wake-up in the past must not spin.
            let pause = wake.since(now.moment).max(Duration::from_millis(1));
            tokio::select! {
                biased;
                () = &mut *stop => return Why::Asked,
                Some(results) = self.results.recv() => self.take_results(results).await,
                Some(found) = self.findings.recv() => self.take_findings(found).await,
                Some(command) = self.commands.recv() => self.obey(command).await,
                Some(reload) = self.reloads.recv() => self.hear_of_files(reload).await,
                () = sleep(pause) => self.wake().await,
            }
            if self.waiting.is_some() {
                self.take_over().await;
            }
        }
    }

    fn has_nothing_to_do(&self) -> bool {
        self.decision.is_quiescent() && self.writing.is_empty()
    }

    fn next_wakeup(&mut self, now: Moment, deadline: Option<Moment>, alive: Option<Moment>) -> Moment {
        let state = self.ledger.next_try().filter(|_| !matches!(self.mode, Mode::Plan { .. }));
        [self.next_look, deadline, alive, self.waits_until(), Some(self.next_keep), self.round.next(), state]
            .into_iter()
            .flatten()
            .fold(self.decision.next_wakeup(now), Moment::min)
    }

    async fn wake(&mut self) {
        let now = self.clock.now();
        let mut inputs = vec![Input::Tick];
        if self.next_look.is_some_and(|at| at <= now.moment) {
            let next = now.moment + self.config.agent.live_interval;
            for (name, at) in self.next_looks.iter_mut().filter(|(_, at)| **at <= now.moment) {
                *at = next;
                inputs.push(Input::LookDue { record: name.clone() });
            }
            self.next_look = self.next_looks.values().copied().min();
        }
        self.take(inputs).await;
        let keep = self.ledger.next_try().map_or(self.next_keep, |again| again.min(self.next_keep));
        if now.moment >= keep {
            self.next_keep = now.moment + KEEP_ALL;
            self.keep_all(&now).await;
        } else if self.round.next().is_some_and(|at| at <= now.moment) {
            self.keep_share(&now).await;
        }
    }

    /// What is known now; so many messages wait for their delivery.
    fn status(&self, pending_deliveries: u64) -> Status {
        Status {
            source: Source::Agent,
            agent: self.config.agent.id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            started: Some(self.started.wall),
            age_s: 0,
            state_trouble: self.ledger.trouble().map(str::to_owned),
            pending_deliveries,
            probe_delays: self.scheduler.as_ref().map(Scheduler::delays).unwrap_or_default(),
            report: self.decision.report(&self.clock.now()),
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Status(answer) => {
                let pending = self.ledger.pending().await;
                // Whoever asked may have gone.
                let _ = answer.send(self.status(pending));
            }
            Command::Metrics(answer) => {
                let pending = self.ledger.pending().await;
                let _ = answer.send(Metrics { status: self.status(pending), tally: self.tally.clone() });
            }
            Command::Explain(record, answer) => {
                let explanation = self.decision.explain(&self.clock.now(), &record);
                let agent = self.config.agent.id.clone();
                // Whoever asked may have gone.
                let _ = answer.send(explanation.map(|explanation| Explained {
                    source: Source::Agent,
                    agent,
                    age_s: 0,
                    explanation,
                }));
            }
            Command::Order(request, answer) => {
                let _ = answer.send(self.order(&request).await);
            }
            Command::EndOrder(key, by, answer) => {
                let _ = answer.send(self.end_order(key, &by).await);
            }
            Command::Failback(record, answer) => {
                self.wanted(record.clone(), Input::Failback { record }, answer).await;
            }
            Command::Ack(record, answer) => self.wanted(record.clone(), Input::Ack { record }, answer).await,
        }
    }

    /// What a person wants of one record, if there is such a record.
    async fn wanted(&mut self, record: DomainName, input: Input, answer: oneshot::Sender<bool>) {
        let known = self.config.records.contains_key(&record);
        let _ = answer.send(known);
        if known {
            self.take(vec![input]).await;
        }
    }

    /// The end: no more probes; what is being written may end and be proved; everything is kept; messages get a
    /// moment, and what is left of them is delivered after the next start.
    async fn end(mut self, why: Why) -> Ending {
        systemd::stopping();
        let hurried = why == Why::Asked;
        // Dropping it ends every probe, and the programs of exec checks with them.
        drop(self.scheduler.take());
        if hurried {
            // A message in flight gets its moment while the writes get theirs, not after them.
            self.stop_outbox.send_replace(true);
        }
        let limit = if hurried { STOP_WRITES } else { ONCE_TAIL };
        let _ = timeout(limit, self.finish_changes(!hurried)).await;
        let now = self.clock.now();
        self.ledger.closing(hurried.then_some(STOP_DISK), &now);
        self.keep_everything(&now).await;
        if let Some(kept) = self.latency_kept(&now) {
            let _ = timeout(if hurried { STOP_DISK } else { ONCE_TAIL }, kept).await;
        }
        if matches!(self.mode, Mode::Run) {
            let event = Event::new(
                EventKind::AgentStopped,
                now.wall,
                "the agent was asked to stop; records stay as they are",
            );
            let recorded = self.ledger.record(event, None);
            let mut batch = Batch::default();
            self.say(recorded, &mut batch);
            self.keep(batch, &now).await;
        }
        self.stop_outbox.send_replace(true);
        let limit = if hurried { STOP_OUTBOX } else { ONCE_TAIL };
        if let Some(outbox) = self.ledger.outbox()
            && let Err(error) = outbox.drain(limit).await
        {
            tracing::error!(%error, "messages could not be delivered; they wait for the next start");
        }
        self.tasks.shutdown().await;
        Ending {
            report: self.decision.report(&self.clock.now()),
            settled: why == Why::Settled,
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
                Some(results) = self.results.recv() => self.take_results(results).await,
                () = sleep(Duration::from_millis(20)) => self.take(vec![Input::Tick]).await,
            }
        }
    }
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Nothing was left to do.
    Settled,
    /// The deadline of a one-shot run came first.
    Deadline,
    /// Somebody asked it to stop.
    Asked,
}
