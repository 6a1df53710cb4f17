//! Connections that are kept for the next probe of the same address by the same check.
//!
//! What a kept connection says is believed only when it answers: see [`super::http`]. What it does not see is that
//! nobody can connect any more, or that the certificate was replaced; so none lives longer than [`LONGEST`] or
//! [`MOST_USES`] probes, and none is used once its certificate has ended.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::Check;
use super::http2::Http2;
use super::stream::Stream;
use crate::clock::Clock;
use crate::decision::{Certificate, Moment};

/// How long a connection is used at most.
const LONGEST: Duration = Duration::from_hours(1);
/// How many probes use one connection at most.
const MOST_USES: u32 = 1000;
/// How many connections are kept at most; one more is closed instead.
const MOST_KEPT: usize = 256;
/// A connection that was not used for so many intervals of its check is closed.
const IDLE_INTERVALS: u32 = 3;
/// The sweeper never wakes more often.
const SWEEP: Duration = Duration::from_millis(10);

/// A connection and what is spoken on it.
pub(super) enum Line {
    Http1(Stream),
    Http2(Box<Http2>),
}

impl Line {
    /// Whether it stands, as far as can be seen without asking.
    fn is_open(&mut self) -> bool {
        match self {
            Line::Http1(stream) => stream.is_quiet(),
            Line::Http2(connection) => connection.is_open(),
        }
    }
}

/// A connection that may serve more than one probe.
pub(super) struct Kept {
    pub(super) line: Line,
    pub(super) past: Past,
}

/// What is known of a connection since it was made.
pub(super) struct Past {
    /// What the server showed when the connection was made.
    pub(super) certificate: Option<Arc<Certificate>>,
    made: Moment,
    uses: u32,
}

/// The connections of all checks. They are closed when this is dropped.
pub(super) struct Shelf {
    clock: Arc<dyn Clock>,
    places: Arc<Mutex<Places>>,
}

/// An address, and the place of a check in memory. As each entry holds its check weakly, no other check can come to
/// that place while the entry is there.
type Key = (IpAddr, usize);

#[derive(Default)]
struct Places {
    kept: BTreeMap<Key, Entry>,
    sweeper: Option<AbortHandle>,
}

struct Entry {
    kept: Kept,
    check: Weak<Check>,
    /// When it is closed unless it is used.
    closes: Moment,
}

impl Shelf {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Shelf { clock, places: Arc::default() }
    }

    /// A connection that was just made.
    pub(super) fn new_line(&self, line: Line, certificate: Option<Arc<Certificate>>) -> Kept {
        Kept { line, past: Past { certificate, made: self.clock.now().moment, uses: 0 } }
    }

    /// The connection that was kept for this, if it still may be used and stands. It is off the shelf then.
    ///
    /// `lasts` says whether a certificate would still do in a new handshake.
    pub(super) fn take(
        &self,
        address: IpAddr,
        check: &Arc<Check>,
        lasts: impl FnOnce(&Certificate, Timestamp) -> bool,
    ) -> Option<Kept> {
        let Entry { mut kept, closes, .. } = self.places().kept.remove(&key(address, check))?;
        let now = self.clock.now();
        let Past { certificate, made, uses } = &kept.past;
        let in_time = now.moment < closes && *uses < MOST_USES && now.moment.since(*made) < LONGEST;
        let lasts = certificate.as_deref().is_none_or(|certificate| lasts(certificate, now.wall));
        (in_time && lasts && kept.line.is_open()).then_some(kept)
    }

    /// Keeps a connection for the next probe, unless too many are kept. Must be called within a tokio runtime.
    pub(super) fn put(&self, address: IpAddr, check: &Arc<Check>, mut kept: Kept) {
        kept.past.uses += 1;
        let key = key(address, check);
        let mut places = self.places();
        if places.kept.len() >= MOST_KEPT && !places.kept.contains_key(&key) {
            return;
        }
        let closes = self.clock.now().moment + check.interval.saturating_mul(IDLE_INTERVALS);
        let check = Arc::downgrade(check);
        let before = places.kept.insert(key, Entry { kept, check, closes });
        if places.sweeper.is_none() {
            let task = tokio::spawn(sweep(Arc::clone(&self.clock), Arc::downgrade(&self.places)));
            places.sweeper = Some(task.abort_handle());
        }
        drop((places, before));
    }

    /// Closes what was kept for this.
    pub(super) fn forget(&self, address: IpAddr, check: &Arc<Check>) {
        let forgotten = self.places().kept.remove(&key(address, check));
        drop(forgotten);
    }

    /// Closes whatever was kept for this check, wherever.
    pub(super) fn forget_all(&self, check: &Arc<Check>) {
        let this = Arc::as_ptr(check).addr();
        let forgotten: Vec<_> = self.places().kept.extract_if(.., |(_, of), _| *of == this).collect();
        drop(forgotten);
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        lock(&self.places)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if let Some(sweeper) = self.places().sweeper.take() {
            sweeper.abort();
        }
    }
}

fn key(address: IpAddr, check: &Arc<Check>) -> Key {
    (address, Arc::as_ptr(check).addr())
}

/// A broken promise elsewhere does not make a map of sockets wrong.
fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes what is idle for too long or whose check is gone. Ends when nothing is kept.
async fn sweep(clock: Arc<dyn Clock>, places: Weak<Mutex<Places>>) {
    while let Some(next) = places.upgrade().and_then(|places| lock(&places).close_idle(clock.now().moment)) {
        sleep(next.since(clock.now().moment).max(SWEEP)).await;
    }
}

impl Places {
    /// Closes what is idle, and says when the next is; when there is none, the sweeper is done.
    fn close_idle(&mut self, now: Moment) -> Option<Moment> {
        self.kept.retain(|_, entry| entry.closes > now && entry.check.strong_count() > 0);
        let next = self.kept.values().map(|entry| entry.closes).min();
        if next.is_none() {
            self.sweeper = None;
        }
        next
    }
}
