//! What a probe needs of the engine that drives it: readiness of sockets, and a time at which to be driven again.
//!
//! There is one for each engine, and it belongs to the engine's thread: futures find it there. A future is driven when one
//! of its sockets is ready, or the time has come that it asked for; it need not know which.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mio::{Registry, Token};

use crate::clock::Clock;
use crate::decision::Moment;

thread_local! {
    static HERE: RefCell<Option<Rc<Reactor>>> = const { RefCell::new(None) };
}

/// See the module.
pub(super) struct Reactor {
    pub(super) registry: Registry,
    pub(super) clock: Arc<dyn Clock>,
    /// Whose future is being driven: what its sockets are registered under.
    driven: Cell<Token>,
    /// When that future wants to be driven at the latest.
    wake: Cell<Option<Moment>>,
}

impl Reactor {
    /// Makes this the thread's reactor.
    pub(super) fn begin(registry: Registry, clock: Arc<dyn Clock>) -> Rc<Reactor> {
        let reactor = Reactor { registry, clock, driven: Cell::new(Token(0)), wake: Cell::new(None) };
        let reactor = Rc::new(reactor);
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

    /// Drives something under `token`. Returns what it gave and when it wants to be driven again at the latest.
    pub(super) fn drive<T>(&self, token: Token, with: impl FnOnce() -> T) -> (T, Option<Moment>) {
        self.driven.set(token);
        self.wake.set(None);
        let result = with();
        (result, self.wake.get())
    }

    pub(super) fn driven(&self) -> Token {
        self.driven.get()
    }

    fn wake_at(&self, at: Moment) {
        self.wake.set(Some(self.wake.get().map_or(at, |wake| wake.min(at))));
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
    Timeout { due: reactor.clock.moment() + limit, reactor, future }
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
        if self.reactor.clock.moment() >= self.due {
            return Poll::Ready(Err(Elapsed));
        }
        self.reactor.wake_at(self.due);
        Poll::Pending
    }
}
