//! Sockets that were used and wait to be used again: most of what a short probe costs is the making and closing of its socket.
//!
//! On Linux `connect(2)` with `AF_UNSPEC` dissolves a connection: it is reset, as by closing without lingering, its port is free
//! and whatever came or was to go is gone (`tcp_disconnect` of the kernel). Then the socket connects anew, from another port,
//! and is still registered. So a socket whose connection would be reset, and only that, is kept where such a probe is
//! made again soon. One that failed is closed: the next probe of that target is made on a fresh one.
//!
//! A spare serves the peer that it had, and no other. The kernel goes on with its sequence numbers where the last connection
//! ended; whoever was its peer knows the next first one, and could forge an answer of somebody else's (RFC 6528).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;

use super::reactor::{Reactor, Seat};
use super::socket::Options;
use crate::decision::Moment;

/// For what is probed less often no socket is kept.
const OFTEN: Duration = Duration::from_secs(5);
/// A spare that is not used for so many intervals is closed.
const IDLE_INTERVALS: u32 = 2;
/// How often is looked for spares to close ...
const SWEEP: Duration = Duration::from_secs(1);
/// ... and how many are closed then between two looks at the sockets.
const CLOSINGS: usize = 128;

/// Whom a spare may serve: the peer that it had, with the options that it has.
pub(super) type Key = (SocketAddr, Options);

/// A socket without a connection.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) stream: TcpStream,
    /// Where it is registered, if it is.
    pub(super) seat: Option<Seat>,
}

/// The spare sockets of an engine, one for each peer.
#[derive(Debug)]
pub(super) struct Spares {
    all: HashMap<Key, (Spare, Moment)>,
    most: usize,
    /// When is looked next for spares to close; `None` while there is none.
    next_close: Option<Moment>,
}

impl Spares {
    pub(super) fn new(most: usize) -> Spares {
        Spares { all: HashMap::new(), most, next_close: None }
    }
}

impl Reactor {
    /// Whether a socket of what is driven will be wanted again.
    pub(super) fn wants_spare(&self) -> bool {
        let spares = self.spares.borrow();
        cfg!(target_os = "linux") && self.again() <= OFTEN && spares.all.len() < spares.most
    }

    /// Keeps a socket of what is driven, whose connection was dissolved. If there is another one for this, that is closed.
    pub(super) fn keep_spare(&self, key: Key, spare: Spare) {
        let now = self.now();
        if let Some(seat) = spare.seat {
            self.rest(seat);
        }
        let until = now + self.again().saturating_mul(IDLE_INTERVALS);
        let mut spares = self.spares.borrow_mut();
        let before = spares.all.insert(key, (spare, until));
        spares.next_close.get_or_insert(now + SWEEP);
        drop(spares);
        self.close_spares(before);
    }

    /// The spare socket for this, if there is one. It is registered for what is driven.
    pub(super) fn take_spare(&self, key: &Key) -> Option<Spare> {
        let (spare, _) = self.spares.borrow_mut().all.remove(key)?;
        if let Some(seat) = spare.seat {
            self.renew(seat);
        }
        Some(spare)
    }

    /// When [`close_old_spares`](Self::close_old_spares) is due.
    pub(super) fn next_close(&self) -> Option<Moment> {
        self.spares.borrow().next_close
    }

    /// Closes what waits for too long, if it is time to look.
    pub(super) fn close_old_spares(&self, now: Moment) {
        let mut spares = self.spares.borrow_mut();
        if spares.next_close.is_none_or(|due| due > now) {
            return;
        }
        let old: Vec<_> = spares.all.extract_if(|_, (_, until)| *until <= now).take(CLOSINGS).collect();
        let next = if old.len() == CLOSINGS { now } else { now + SWEEP };
        spares.next_close = (!spares.all.is_empty()).then_some(next);
        drop(spares);
        self.close_spares(old.into_iter().map(|(_, entry)| entry));
    }

    /// Closes as many as there are above `most`; whether there were any.
    pub(super) fn most_spares(&self, most: usize) -> bool {
        let mut spares = self.spares.borrow_mut();
        let above = spares.all.len().saturating_sub(most);
        if above == 0 {
            return false;
        }
        let some: Vec<_> = spares.all.extract_if(|_, _| true).take(above).collect();
        drop(spares);
        self.close_spares(some.into_iter().map(|(_, entry)| entry));
        true
    }

    fn close_spares(&self, closed: impl IntoIterator<Item = (Spare, Moment)>) {
        for (spare, _) in closed {
            if let Some(seat) = spare.seat {
                self.leave(seat);
            }
        }
    }
}

#[cfg(test)]
mod tests;
