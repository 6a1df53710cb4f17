//! Runs the probes: each job on its own cadence, a bounded number at a time, findings out by a bounded channel.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::bounded::bounded;
use super::cadence::{Cadence, Pace, spread};
use super::engine::{EngineJob, descriptors_needed};
use super::{Check, Engine, Prober, Report};
use crate::clock::Clock;
use crate::decision::{Delay, Endpoint, Moment, Observation, Place, Sighting, WitnessId};

/// How many probes run at a time unless told otherwise.
pub const DEFAULT_CONCURRENCY: usize = 512;
/// How long [`Scheduler::stop`] waits for tasks that were told to end.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// What a job is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKey {
    /// A target's place under one of its checks.
    Endpoint(Endpoint),
    /// A witness.
    Witness(WitnessId),
}

impl JobKey {
    /// What a probe of it found.
    pub(super) fn finding(&self, started: Moment, ended: Moment, report: Report) -> Finding {
        let Report { outcome, timings, certificate } = report;
        match self {
            JobKey::Endpoint(endpoint) => {
                let endpoint = endpoint.clone();
                Finding::Observation(Observation { endpoint, started, ended, outcome, timings, certificate })
            }
            JobKey::Witness(witness) => {
                Finding::Sighting(Sighting { witness: witness.clone(), started, ended, outcome })
            }
        }
    }
}

/// One thing to be probed again and again.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it is about. Of two jobs with one key the later counts.
    pub key: JobKey,
    /// Where.
    pub place: Place,
    /// How, and how often.
    pub check: Arc<Check>,
}

/// What a probe found, on its way to the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Of an endpoint.
    Observation(Observation),
    /// Of a witness.
    Sighting(Sighting),
}

/// Probes its jobs until it is stopped or dropped.
///
/// - The first probes of few jobs come at once, those of many within a second, or ten thousand a second (within the
///   interval, where that is shorter), later ones on a fixed grid: planned + interval, never end + interval. A probe that
///   outlasts its slot skips slots.
/// - Every job waits for itself alone: a slow one delays nobody. At most so many probes run at a time; waiting for
///   a turn is no part of a probe's time.
/// - No finding is dropped: while the channel is full, the jobs that have something to say wait.
/// - A probe that does not end within its timeout and a second is cut off and says `Outcome::Unknown`.
pub struct Scheduler {
    jobs: BTreeMap<JobKey, Handle>,
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
    seed: u64,
    /// How many jobs were ever started: each has a jitter of its own.
    started: u64,
}

/// The scheduler's end of a job.
struct Handle {
    place: Place,
    check: Arc<Check>,
    pace: Cell<Pace>,
    runner: RunBy,
}

/// Who makes a job's probes.
enum RunBy {
    /// A task of its own, whatever the check.
    Task { orders: watch::Sender<Orders>, task: AbortHandle },
    /// The prober's engine, under this name.
    Engine(Arc<Engine>, u64),
}

impl Drop for RunBy {
    fn drop(&mut self) {
        match self {
            RunBy::Task { task, .. } => task.abort(),
            RunBy::Engine(engine, id) => engine.retire(*id),
        }
    }
}

/// What a job was told last.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    pace: Pace,
    /// How often it was told to probe now.
    nudges: u64,
}

impl Scheduler {
    /// Starts with at most [`DEFAULT_CONCURRENCY`] probes at a time. Must be called within a tokio runtime.
    pub fn start(
        jobs: Vec<Job>,
        prober: Arc<dyn Prober>,
        clock: Arc<dyn Clock>,
        out: mpsc::Sender<Vec<Finding>>,
        seed: u64,
    ) -> Scheduler {
        Scheduler::start_bounded(jobs, prober, clock, out, seed, DEFAULT_CONCURRENCY)
    }

    /// Starts with at most `concurrency` probes at a time, 1 at least. The same `seed` gives the same jitter to the
    /// same jobs.
    pub fn start_bounded(
        jobs: Vec<Job>,
        prober: Arc<dyn Prober>,
        clock: Arc<dyn Clock>,
        out: mpsc::Sender<Vec<Finding>>,
        seed: u64,
        concurrency: usize,
    ) -> Scheduler {
        let turns = Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS));
        let shared = Arc::new(Shared { prober, clock, out, turns });
        let mut scheduler =
            Scheduler { jobs: BTreeMap::new(), tasks: JoinSet::new(), shared, seed, started: 0 };
        scheduler.begin(jobs.into_iter().map(|job| (job.key.clone(), job)).collect());
        scheduler
    }

    /// Probes these jobs from now on. One whose key and place are among them goes on as it is where `same` says that
    /// its check is the same; with another check it begins anew at the pace that it had. All others end, and what they
    /// are probing is not told.
    pub fn replace(&mut self, jobs: Vec<Job>, same: impl Fn(&JobKey, &Check, &Check) -> bool) {
        let mut jobs: BTreeMap<JobKey, Job> = jobs.into_iter().map(|job| (job.key.clone(), job)).collect();
        let mut paces = Vec::new();
        self.jobs.retain(|key, handle| {
            let stays = jobs
                .get(key)
                .is_some_and(|job| job.place == handle.place && same(key, &handle.check, &job.check));
            if stays {
                jobs.remove(key);
            } else {
                paces.push((key.clone(), handle.pace.get()));
            }
            stays
        });
        self.begin(jobs);
        for (key, pace) in paces {
            self.set_pace(&key, pace);
        }
        while self.tasks.try_join_next().is_some() {}
    }

    fn begin(&mut self, jobs: BTreeMap<JobKey, Job>) {
        let now = self.shared.clock.now().moment;
        let spread = spread(jobs.len());
        let engine = self.shared.prober.engine();
        if let Some(engine) = &engine {
            engine.tell(self.shared.out.clone());
        }
        for (key, job) in jobs {
            let (place, check) = (job.place.clone(), Arc::clone(&job.check));
            let cadence = Cadence::new(check.rhythm(), spread, now, self.seed.wrapping_add(self.started));
            self.started = self.started.wrapping_add(1);
            let runner = if let (Some(engine), Some(address)) = (&engine, Engine::makes(&place, &check)) {
                let id = engine.id();
                let (key, check) = (key.clone(), Arc::clone(&check));
                engine.begin(EngineJob { id, key, address, check, cadence });
                RunBy::Engine(Arc::clone(engine), id)
            } else {
                let (sender, orders) = watch::channel(Orders::default());
                let runner = Runner { cadence, job, orders, obeyed: 0, shared: Arc::clone(&self.shared) };
                RunBy::Task { orders: sender, task: self.tasks.spawn(runner.run()) }
            };
            self.jobs.insert(key, Handle { place, check, pace: Cell::default(), runner });
        }
        self.say_too_few(engine.as_deref());
    }

    /// Says so when not all probes can run at a time: whatever hangs then keeps others waiting.
    fn say_too_few(&self, engine: Option<&Engine>) {
        let limit = engine.map_or(usize::MAX, Engine::limit);
        let by_engine = self.jobs.values().filter(|job| matches!(job.runner, RunBy::Engine(..))).count();
        if by_engine > limit {
            tracing::warn!(
                "the limit of open files allows {limit} probes at a time, and there are {by_engine}: should many hang, \
                 the others wait for their turn; raise LimitNOFILE= (ulimit -Hn) to {}",
                descriptors_needed(self.jobs.len())
            );
            return;
        }
        let by_engine_with =
            |handle: &&Handle| matches!(handle.runner, RunBy::Engine(..)) && handle.check.tripwire;
        let tripwires = self.jobs.values().filter(by_engine_with).count();
        if by_engine + tripwires > limit {
            tracing::warn!(
                "the limit of open files does not allow all of {tripwires} tripwires beside {by_engine} probes: some are \
                 given up; raise LimitNOFILE= (ulimit -Hn) to {}",
                descriptors_needed(self.jobs.len() + tripwires)
            );
        }
    }

    /// Changes the pace of a job and never blocks. [`Pace::Fast`] plans the next probe one fast interval after the
    /// last start; [`Pace::Steady`] returns to the grid. Unknown keys, and the pace it has already, change nothing.
    pub fn set_pace(&self, key: &JobKey, pace: Pace) {
        let Some(handle) = self.jobs.get(key) else { return };
        if handle.pace.replace(pace) == pace {
            return;
        }
        match &handle.runner {
            RunBy::Task { orders, .. } => orders.send_modify(|orders| orders.pace = pace),
            RunBy::Engine(engine, id) => engine.set_pace(*id, pace),
        }
    }

    /// Probes a job now, besides its plan, and never blocks. If a probe of it is running, another follows: the
    /// running one may have looked before whatever happened. Unknown keys change nothing.
    pub fn probe_now(&self, key: &JobKey) {
        match self.jobs.get(key).map(|handle| &handle.runner) {
            Some(RunBy::Task { orders, .. }) => {
                orders.send_modify(|orders| orders.nudges = orders.nudges.wrapping_add(1));
            }
            Some(RunBy::Engine(engine, id)) => engine.probe_now(*id),
            None => {}
        }
    }

    /// How late the steady probes over TCP began since the start, by rising bounds: whether the cadence is kept.
    pub fn delays(&self) -> Vec<Delay> {
        self.shared.prober.engine().map(|engine| engine.delays()).unwrap_or_default()
    }

    /// Stops: running probes are dropped, with their sockets and processes, and their findings are not sent.
    /// Returns within a second.
    pub async fn stop(mut self) {
        self.jobs.clear();
        self.tasks.abort_all();
        let _ = timeout(STOP_LIMIT, async { while self.tasks.join_next().await.is_some() {} }).await;
    }
}

/// One job that has a task and a timer of its own.
struct Runner {
    job: Job,
    cadence: Cadence,
    orders: watch::Receiver<Orders>,
    /// How many nudges were obeyed.
    obeyed: u64,
    shared: Arc<Shared>,
}

/// What all jobs use.
struct Shared {
    prober: Arc<dyn Prober>,
    clock: Arc<dyn Clock>,
    out: mpsc::Sender<Vec<Finding>>,
    turns: Semaphore,
}

/// The job is over, by whatever way.
impl Drop for Runner {
    fn drop(&mut self) {
        self.shared.prober.forget(&self.job.place, &self.job.check);
    }
}

impl Runner {
    async fn run(mut self) {
        while self.due().await {
            let Ok(turn) = self.shared.turns.acquire().await else { return };
            let started = self.now();
            self.cadence.started(started);
            let report = self.probe().await;
            let ended = self.now();
            drop(turn);
            if self.shared.out.send(vec![self.job.key.finding(started, ended, report)]).await.is_err() {
                return;
            }
            self.cadence.ended(self.now());
        }
    }

    fn now(&self) -> Moment {
        self.shared.clock.now().moment
    }

    /// Waits until the next probe is due; false when nobody gives orders any more.
    async fn due(&mut self) -> bool {
        loop {
            let orders = *self.orders.borrow_and_update();
            let now = self.now();
            self.cadence.set_pace(orders.pace, now);
            if orders.nudges != self.obeyed {
                self.obeyed = orders.nudges;
                self.cadence.nudge();
            }
            let due = self.cadence.due();
            if due <= now {
                return true;
            }
            tokio::select! {
                changed = self.orders.changed() => if changed.is_err() { return false },
                () = sleep(due.since(now)) => {}
            }
        }
    }

    async fn probe(&self) -> Report {
        let Job { place, check, .. } = &self.job;
        bounded(&*self.shared.prober, &*self.shared.clock, place, check).await
    }
}
