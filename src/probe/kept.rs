//! Connections that are kept for the next probe of the same address by the same check.
//!
//! What a kept connection says is believed only when it answers: see [`super::http`]. What it does not see is that
//! nobody can connect any more, or that the certificate was replaced; so none lives longer than [`LONGEST`] or
//! [`MOST_USES`] probes, and none is used once its certificate has ended.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
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
    places: RefCell<HashMap<Key, Place>>,
    /// How many are kept.
    count: Cell<usize>,
    /// How many are kept at most; one more is closed instead.
    most: usize,
    /// When is looked next for connections to close; `None` while there is no place for any.
    next_close: Cell<Option<Moment>>,
}

/// An address, and the place of a check in memory. As each place here holds its check weakly, no other check can come to
/// that one in memory while the place is there.
type Key = (IpAddr, usize);

/// Where a connection is kept. It stays while a probe uses the connection: mostly it comes back at once.
struct Place {
    kept: Option<Kept>,
    check: Weak<Check>,
    /// When it is closed unless it is used.
    closes: Moment,
}

impl Shelf {
    pub(super) fn new(clock: Arc<dyn Clock>, most: usize) -> Self {
        let (places, count, next_close) = (RefCell::default(), Cell::default(), Cell::new(None));
        Shelf { clock, places, count, most, next_close }
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.count.get()
    }

    /// A connection that was just made.
    pub(super) fn new_line(&self, line: Line, certificate: Option<Arc<Certificate>>) -> Kept {
        Kept { line, past: Past { certificate, made: self.clock.moment(), uses: 0 } }
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
        let (mut kept, closes) = {
            let mut places = self.places.borrow_mut();
            let place = places.get_mut(&key(address, check))?;
            (place.kept.take()?, place.closes)
        };
        self.count.set(self.count.get() - 1);
        let now = self.clock.moment();
        let Past { certificate, made, uses } = &kept.past;
        let in_time = now < closes && *uses < MOST_USES && now.since(*made) < LONGEST;
        let lasts =
            certificate.as_deref().is_none_or(|certificate| lasts(certificate, self.clock.now().wall));
        (in_time && lasts && kept.line.is_open()).then_some(kept)
    }

    /// Keeps a connection for the next probe, unless too many are kept.
    pub(super) fn put(&self, address: IpAddr, check: &Arc<Check>, mut kept: Kept) {
        kept.past.uses += 1;
        let mut places = self.places.borrow_mut();
        let is_full = self.count.get() >= self.most;
        let place = match places.entry(key(address, check)) {
            Occupied(place) if !is_full || place.get().kept.is_some() => place.into_mut(),
            Vacant(place) if !is_full => {
                place.insert(Place { kept: None, check: Arc::downgrade(check), closes: Moment::ZERO })
            }
            Occupied(_) | Vacant(_) => return,
        };
        let now = self.clock.moment();
        place.closes = now + check.interval.saturating_mul(IDLE_INTERVALS);
        let before = place.kept.replace(kept);
        self.count.set(self.count.get() + usize::from(before.is_none()));
        drop((places, before));
        if self.next_close.get().is_none() {
            self.next_close.set(Some(now + SWEEP));
        }
    }

    /// Closes what was kept for this.
    pub(super) fn forget(&self, address: IpAddr, check: &Arc<Check>) {
        let forgotten = self.places.borrow_mut().remove(&key(address, check));
        self.closed(forgotten.iter());
    }

    /// Closes whatever was kept for this check, wherever.
    pub(super) fn forget_all(&self, check: &Arc<Check>) {
        let this = Arc::as_ptr(check).addr();
        let forgotten: Vec<_> = self.places.borrow_mut().extract_if(|(_, of), _| *of == this).collect();
        self.closed(forgotten.iter().map(|(_, place)| place));
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
        let mut places = self.places.borrow_mut();
        let is_over = |place: &Place| place.closes <= now || place.check.strong_count() == 0;
        let over: Vec<_> = places.extract_if(|_, place| place.kept.is_none() || is_over(place)).collect();
        self.next_close.set((!places.is_empty()).then(|| now + SWEEP));
        drop(places);
        self.closed(over.iter().map(|(_, place)| place));
    }

    /// These are off the shelf.
    fn closed<'p>(&self, places: impl Iterator<Item = &'p Place>) {
        let kept = places.filter(|place| place.kept.is_some()).count();
        self.count.set(self.count.get() - kept);
    }
}

fn key(address: IpAddr, check: &Arc<Check>) -> Key {
    (address, Arc::as_ptr(check).addr())
}
