//! The engine: one thread that makes all probes over TCP, on sockets of its own.
//!
//! | file | what it does |
//! |---|---|
//! | `run.rs` | the loop: commands, timers, ready sockets; drives the probes under way |
//! | `slots.rs` | what is probed, or was asked for once, and where it stands |
//! | `turns.rs` | who may begin when more are due than there are descriptors |
//! | `followers.rs` | probes that follow one that is not answered, and do not wait for its end |
//! | `tripwire.rs`, `wires.rs` | idle connections that break when a target dies |
//! | `handover.rs` | findings on their way out, many at a time |
//! | `wheel.rs` | timers |
//! | `spares.rs` | sockets that wait to be used again |
//! | `reactor.rs`, `socket.rs` | what a probe sees of all that: sockets and time-outs |
//!
//! Probes are ordinary futures, driven here and by nobody else: no task, no channel and no timer of its own for each, no
//! system call that does not belong to the exchange. [`Scheduler`](super::Scheduler) gives its jobs here where it can.

mod followers;
mod handover;
mod reactor;
mod run;
mod slots;
mod socket;
mod spares;
mod tripwire;
mod turns;
mod wheel;
mod wires;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::{Poll, Token, Waker};
use tokio::sync::{mpsc, oneshot};

use super::cadence::{Cadence, Pace};
use super::delays::Delays;
use super::tls::Roots;
use super::{Check, CheckKind, Finding, JobKey, Report};
use crate::clock::Clock;
use crate::decision::{Delay, Outcome, Place, Timings};

pub(super) use reactor::timeout;
pub(super) use socket::Socket;
pub use turns::{MOST_DESCRIPTORS, descriptors_needed};

/// What wakes the loop for commands; no socket has this token.
const COMMANDS: Token = Token(usize::MAX);

/// A job, or a single look, of one engine.
pub(super) type Id = u64;

/// One thing to be probed again and again.
pub(super) struct EngineJob {
    pub(super) id: Id,
    pub(super) key: JobKey,
    pub(super) address: IpAddr,
    pub(super) check: Arc<Check>,
    pub(super) cadence: Cadence,
}

/// What an engine is told. Of jobs that it does not know nothing is done.
enum Command {
    /// Findings go there from now on.
    Tell(mpsc::Sender<Vec<Finding>>),
    Begin(Box<EngineJob>),
    Retire(Id),
    Pace(Id, Pace),
    ProbeNow(Id),
    Look(Box<Look>),
    Forget(Weak<Check>),
    Stop,
}

/// A single probe for somebody who waits for it.
struct Look {
    id: Id,
    address: IpAddr,
    check: Arc<Check>,
    /// How much of the check's time is left for it.
    time: Duration,
    answer: oneshot::Sender<Report>,
}

/// Commands that wait for the loop. As many as there are jobs and looks, a few times over: it takes all of them each turn.
struct Mailbox {
    commands: Mutex<VecDeque<Command>>,
    waker: Waker,
}

impl Mailbox {
    fn send(&self, command: Command) {
        let first = {
            // Nothing that could panic leaves the list half changed.
            let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
            commands.push_back(command);
            commands.len() == 1
        };
        if first {
            // It can only fail for want of memory in the kernel, and then the loop looks soon anyway.
            let _ = self.waker.wake();
        }
    }

    /// Gives all commands, after those that were not done.
    fn take(&self, into: &mut VecDeque<Command>) {
        into.append(&mut self.commands.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// See the module. Stops when it is dropped.
pub struct Engine {
    mailbox: Arc<Mailbox>,
    next: AtomicU64,
    /// How many probes it makes at a time.
    limit: usize,
    delays: Arc<Delays>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the thread. It reads the system's roots now, if these are wanted; where there are none, probes with TLS say so.
    ///
    /// # Errors
    /// When the system has no descriptor or no thread left.
    pub(super) fn start(clock: Arc<dyn Clock>, roots: Roots) -> io::Result<Engine> {
        Engine::start_bounded(clock, roots, turns::limit())
    }

    /// Starts the thread, with at most `limit` probes at a time.
    pub(super) fn start_bounded(clock: Arc<dyn Clock>, roots: Roots, limit: usize) -> io::Result<Engine> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(poll.registry(), COMMANDS)?;
        let mailbox = Arc::new(Mailbox { commands: Mutex::default(), waker });
        let (theirs, delays) = (Arc::clone(&mailbox), Arc::new(Delays::default()));
        let counted = Arc::clone(&delays);
        let thread = std::thread::Builder::new().name("probes".into());
        let thread =
            thread.spawn(move || run::run((poll, registry), &theirs, counted, clock, roots, limit))?;
        Ok(Engine { mailbox, next: AtomicU64::new(0), limit, delays, thread: Some(thread) })
    }

    /// How many probes it makes at a time; others wait for their turn.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How late the steady probes of all jobs began, since the start.
    pub(super) fn delays(&self) -> Vec<Delay> {
        self.delays.told()
    }

    /// Does it make such probes?
    pub(super) fn makes(place: &Place, check: &Check) -> Option<IpAddr> {
        match check.kind {
            CheckKind::Http(_) | CheckKind::Grpc(_) | CheckKind::Tcp(_) | CheckKind::Tls(_) => {
                place.address()
            }
            CheckKind::Icmp(_) | CheckKind::Dns(_) | CheckKind::Exec(_) => None,
        }
    }

    /// A name for a job.
    pub(super) fn id(&self) -> Id {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Findings of jobs go there from now on; what is not told yet of other jobs goes there as well.
    pub(super) fn tell(&self, out: mpsc::Sender<Vec<Finding>>) {
        self.mailbox.send(Command::Tell(out));
    }

    /// Probes it from now on.
    pub(super) fn begin(&self, job: EngineJob) {
        self.mailbox.send(Command::Begin(Box::new(job)));
    }

    /// Probes it no more: what is under way is dropped, with what was kept for the next probe.
    pub(super) fn retire(&self, job: Id) {
        self.mailbox.send(Command::Retire(job));
    }

    pub(super) fn set_pace(&self, job: Id, pace: Pace) {
        self.mailbox.send(Command::Pace(job, pace));
    }

    pub(super) fn probe_now(&self, job: Id) {
        self.mailbox.send(Command::ProbeNow(job));
    }

    /// Closes whatever is kept for the next probes of this check.
    pub(super) fn forget(&self, check: &Arc<Check>) {
        self.mailbox.send(Command::Forget(Arc::downgrade(check)));
    }

    /// Probes once, in `time` of the check's time. Cancel-safe: a probe that nobody waits for any more is dropped.
    pub(super) async fn look(&self, address: IpAddr, check: &Arc<Check>, time: Duration) -> Report {
        let (answer, report) = oneshot::channel();
        let id = self.id();
        let _guard = Unwanted { engine: self, id };
        let look = Look { id, address, check: Arc::clone(check), time, answer };
        self.mailbox.send(Command::Look(Box::new(look)));
        report.await.unwrap_or_else(|_| Report {
            outcome: Outcome::Unknown("the agent's own probing has stopped; restart it".to_owned()),
            timings: Timings::default(),
            certificate: None,
        })
    }
}

/// Drops a look when whoever waited for it has gone.
struct Unwanted<'e> {
    engine: &'e Engine,
    id: Id,
}

impl Drop for Unwanted<'_> {
    fn drop(&mut self) {
        self.engine.retire(self.id);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.mailbox.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // It never waits for anything but its sockets and timers, so it ends at once.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
