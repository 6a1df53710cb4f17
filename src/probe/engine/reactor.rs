//! What a probe needs of the engine that drives it: readiness of sockets, and a time at which to be driven again.
//!
//! There is one for each engine, and it belongs to the engine's thread: futures find it there. A future is driven when one
//! of its sockets is ready, or the time has come that it asked for; it need not know which.
//!
//! What the system said of a socket is kept until the socket has used it up, so that no call is made only to hear that it
//! would block. The system tells each change once (`EPOLLET`), and whatever it tells is noted, wanted just then or not.
//!
//! It tells how a socket stands when it is asked (epoll(7)), and of many sockets at once. So news are of this use of a socket
//! if they were asked for after it began, and else of the use before: those are not noted.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mio::event::{Event, Source};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;

use super::spares::Spares;
use crate::clock::Clock;
use crate::decision::Moment;

thread_local! {
    static HERE: RefCell<Option<Rc<Reactor>>> = const { RefCell::new(None) };
}

/// See the module.
pub(super) struct Reactor {
    registry: Registry,
    clock: Arc<dyn Clock>,
    /// When the clock was last read.
    now: Cell<Moment>,
    /// Whose future is being driven.
    driven: Cell<u32>,
    /// In how long the next of its kind is due.
    again: Cell<Duration>,
    /// How often the system was asked for news.
    asked: Cell<u64>,
    /// When that future wants to be driven at the latest.
    wake: Cell<Option<Moment>>,
    seats: RefCell<Vec<Entry>>,
    free: RefCell<Vec<usize>>,
    pub(super) spares: RefCell<Spares>,
}

/// Where a registered socket is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    index: usize,
}

struct Entry {
    /// A seat is given again with another one: what the system says of a socket that is closed says nothing of the next.
    generation: usize,
    /// Whose future is driven when there is news; nobody's while the socket is a spare one.
    place: Option<u32>,
    /// How often the system had been asked when the socket came into this use.
    since: u64,
    ready: Ready,
}

/// What the system said of a socket and nobody has used up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    pub(super) read: bool,
    pub(super) write: bool,
    /// The peer says no more: reading never blocks again.
    pub(super) ended: bool,
    /// The connection broke, or never stood.
    pub(super) broken: bool,
}

/// A token is an index in its lower half, a generation in its upper.
const HALF: u32 = usize::BITS / 2;
const LOWER: usize = usize::MAX >> HALF;

impl Reactor {
    /// Makes this the thread's reactor. It keeps so many spare sockets at most.
    pub(super) fn begin(registry: Registry, clock: Arc<dyn Clock>, most_spares: usize) -> Rc<Reactor> {
        let reactor = Rc::new(Reactor {
            registry,
            now: Cell::new(clock.moment()),
            clock,
            driven: Cell::new(0),
            again: Cell::new(Duration::MAX),
            asked: Cell::new(0),
            wake: Cell::new(None),
            seats: RefCell::default(),
            free: RefCell::default(),
            spares: RefCell::new(Spares::new(most_spares)),
        });
        HERE.set(Some(Rc::clone(&reactor)));
        reactor
    }

    /// The reactor of this thread.
    ///
    /// # Panics
    /// On a thread that is no engine's. Sockets and time-outs of this room are only ever driven by an engine.
    pub(super) fn here() -> Rc<Reactor> {
        HERE.with_borrow(|here| here.as_ref().map(Rc::clone)).expect("only an engine drives this")
    }

    /// The time now, for what is measured or begins.
    pub(super) fn read_clock(&self) -> Moment {
        self.now.set(self.clock.moment());
        self.now.get()
    }

    /// The time when the clock was last read: at the beginning of a turn, or of a probe since. For whatever need not be told
    /// from that: half of the readings that a probe would take.
    pub(super) fn now(&self) -> Moment {
        self.now.get()
    }

    /// Drives something of `place`, the next of which is due in `again`. Returns what it gave and when it wants to be driven
    /// again at the latest.
    pub(super) fn drive<T>(
        &self,
        place: u32,
        again: Duration,
        with: impl FnOnce() -> T,
    ) -> (T, Option<Moment>) {
        self.driven.set(place);
        self.again.set(again);
        self.wake.set(None);
        let result = with();
        (result, self.wake.get())
    }

    /// In how long the next is due of what is driven.
    pub(super) fn again(&self) -> Duration {
        self.again.get()
    }

    /// The system is asked for news: what it tells now is of all uses of sockets that have begun.
    pub(super) fn asks(&self) {
        self.asked.set(self.asked.get().wrapping_add(1));
    }

    fn wake_at(&self, at: Moment) {
        self.wake.set(Some(self.wake.get().map_or(at, |wake| wake.min(at))));
    }

    /// Has the system tell whatever happens to a socket of the future that is driven.
    pub(super) fn register(&self, source: &mut impl Source) -> io::Result<Seat> {
        let mut seats = self.seats.borrow_mut();
        let (place, since) = (Some(self.driven.get()), self.asked.get());
        let index = self.free.borrow_mut().pop().unwrap_or(seats.len());
        if index == seats.len() {
            if index >= LOWER {
                return Err(Errno::MFILE.into());
            }
            seats.push(Entry { generation: 0, place, since, ready: Ready::default() });
        }
        let entry = &mut seats[index];
        (entry.place, entry.since, entry.ready) = (place, since, Ready::default());
        let token = Token(entry.generation << HALF | index);
        let registered = self.registry.register(source, token, Interest::READABLE.add(Interest::WRITABLE));
        if let Err(error) = registered {
            self.free.borrow_mut().push(index);
            return Err(error);
        }
        Ok(Seat { index })
    }

    /// A registered socket is closed.
    pub(super) fn leave(&self, seat: Seat) {
        if let Some(entry) = self.seats.borrow_mut().get_mut(seat.index) {
            entry.generation = (entry.generation + 1) & LOWER;
            self.free.borrow_mut().push(seat.index);
        }
    }

    /// A registered socket is in no use any more, and stays registered.
    pub(super) fn rest(&self, seat: Seat) {
        if let Some(entry) = self.seats.borrow_mut().get_mut(seat.index) {
            entry.place = None;
        }
    }

    /// A registered socket comes into another use. Of the last one nothing is known any more.
    pub(super) fn renew(&self, seat: Seat) {
        if let Some(entry) = self.seats.borrow_mut().get_mut(seat.index) {
            (entry.place, entry.since) = (Some(self.driven.get()), self.asked.get());
            entry.ready = Ready::default();
        }
    }

    /// A registered socket has room for what is to be written: that is known without the system's word.
    pub(super) fn has_room(&self, seat: Seat) {
        if let Some(entry) = self.seats.borrow_mut().get_mut(seat.index) {
            entry.ready.write = true;
        }
    }

    /// Notes what the system says, and tells whom to drive for it.
    pub(super) fn note(&self, event: &Event) -> Option<u32> {
        let Token(token) = event.token();
        let mut seats = self.seats.borrow_mut();
        let entry = seats.get_mut(token & LOWER).filter(|entry| entry.generation == token >> HALF)?;
        if entry.since == self.asked.get() {
            return None;
        }
        let ready = &mut entry.ready;
        ready.broken |= event.is_error() || event.is_write_closed();
        ready.ended |= event.is_read_closed() || ready.broken;
        ready.read |= event.is_readable() || ready.ended;
        ready.write |= event.is_writable() || ready.broken;
        entry.place
    }

    /// What is known of a socket. News of it go to the future that is driven now.
    pub(super) fn ready(&self, seat: Seat) -> Ready {
        self.seats.borrow_mut().get_mut(seat.index).map_or_else(Ready::default, |entry| {
            entry.place = Some(self.driven.get());
            entry.ready
        })
    }

    /// There is no more to read, or no more room to write, until the system says otherwise.
    pub(super) fn used_up(&self, seat: Seat, read: bool, write: bool) {
        if let Some(entry) = self.seats.borrow_mut().get_mut(seat.index) {
            entry.ready.read &= !read || entry.ready.ended;
            entry.ready.write &= !write || entry.ready.broken;
        }
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").finish_non_exhaustive()
    }
}

/// Ends what the thread's futures find.
pub(super) fn end() {
    HERE.set(None);
}

/// The time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) struct Elapsed;

/// Waits for `future`, `limit` at most. What is ready at the same moment goes before the time.
///
/// The future is lent (`pin!`): taken, it would stand twice in the memory of whoever waits.
///
/// # Panics
/// When it is not an engine that drives it.
pub(in crate::probe) fn timeout<F: Future + Unpin>(limit: Duration, future: F) -> Timeout<F> {
    let reactor = Reactor::here();
    Timeout { due: reactor.now() + limit, reactor, future }
}

/// See [`timeout`].
#[derive(Debug)]
pub(in crate::probe) struct Timeout<F> {
    reactor: Rc<Reactor>,
    due: Moment,
    future: F,
}

impl<F: Future + Unpin> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(result) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Ok(result));
        }
        if self.reactor.now() >= self.due {
            return Poll::Ready(Err(Elapsed));
        }
        self.reactor.wake_at(self.due);
        Poll::Pending
    }
}
