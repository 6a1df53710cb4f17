//! Connections that are kept for the next probe of the same address by the same check.
//!
//! What a kept connection says is believed only when it answers: see [`super::http`]. What it does not see is that
//! nobody can connect any more, or that the certificate was replaced; so none lives longer than [`LONGEST`] or
//! [`MOST_USES`] probes, and none is used once its certificate has ended.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;

use super::Check;
use super::http2::Http2;
use super::stream::Stream;
use crate::clock::Clock;
use crate::decision::{Certificate, Moment};

/// How long a connection is used at most.
const LONGEST: Duration = Duration::from_hours(1);
/// How many probes use one connection at most.
const MOST_USES: u32 = 1000;
/// A connection that was not used for so many intervals of its check is closed.
const IDLE_INTERVALS: u32 = 3;
/// How often is looked for connections to close.
const SWEEP: Duration = Duration::from_millis(500);

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

/// The connections of all checks of one engine. They are closed when this is dropped.
pub(super) struct Shelf {
    clock: Arc<dyn Clock>,
    kept: RefCell<BTreeMap<Key, Entry>>,
    /// How many are kept at most; one more is closed instead.
    most: usize,
    /// When is looked next for connections to close; `None` while none is kept.
    next_close: Cell<Option<Moment>>,
}

/// An address, and the place of a check in memory. As each entry holds its check weakly, no other check can come to
/// that place while the entry is there.
type Key = (IpAddr, usize);

struct Entry {
    kept: Kept,
    check: Weak<Check>,
    /// When it is closed unless it is used.
    closes: Moment,
}

impl Shelf {
    pub(super) fn new(clock: Arc<dyn Clock>, most: usize) -> Self {
        Shelf { clock, kept: RefCell::default(), most, next_close: Cell::new(None) }
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.kept.borrow().len()
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
        let Entry { mut kept, closes, .. } = self.kept.borrow_mut().remove(&key(address, check))?;
        let now = self.clock.now();
        let Past { certificate, made, uses } = &kept.past;
        let in_time = now.moment < closes && *uses < MOST_USES && now.moment.since(*made) < LONGEST;
        let lasts = certificate.as_deref().is_none_or(|certificate| lasts(certificate, now.wall));
        (in_time && lasts && kept.line.is_open()).then_some(kept)
    }

    /// Keeps a connection for the next probe, unless too many are kept.
    pub(super) fn put(&self, address: IpAddr, check: &Arc<Check>, mut kept: Kept) {
        kept.past.uses += 1;
        let key = key(address, check);
        let mut all = self.kept.borrow_mut();
        if all.len() >= self.most && !all.contains_key(&key) {
            return;
        }
        let now = self.clock.moment();
        let closes = now + check.interval.saturating_mul(IDLE_INTERVALS);
        let before = all.insert(key, Entry { kept, check: Arc::downgrade(check), closes });
        drop((all, before));
        if self.next_close.get().is_none() {
            self.next_close.set(Some(now + SWEEP));
        }
    }

    /// Closes what was kept for this.
    pub(super) fn forget(&self, address: IpAddr, check: &Arc<Check>) {
        let forgotten = self.kept.borrow_mut().remove(&key(address, check));
        drop(forgotten);
    }

    /// Closes whatever was kept for this check, wherever.
    pub(super) fn forget_all(&self, check: &Arc<Check>) {
        let this = Arc::as_ptr(check).addr();
        let forgotten: Vec<_> = self.kept.borrow_mut().extract_if(.., |(_, of), _| *of == this).collect();
        drop(forgotten);
    }

    /// When [`close_idle`](Self::close_idle) is due.
    pub(super) fn next_close(&self) -> Option<Moment> {
        self.next_close.get()
    }

    /// Closes what is idle for too long or whose check is gone, if it is time to look.
    pub(super) fn close_idle(&self, now: Moment) {
        if self.next_close.get().is_none_or(|due| due > now) {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        kept.retain(|_, entry| entry.closes > now && entry.check.strong_count() > 0);
        self.next_close.set((!kept.is_empty()).then(|| now + SWEEP));
    }
}

fn key(address: IpAddr, check: &Arc<Check>) -> Key {
    (address, Arc::as_ptr(check).addr())
}
