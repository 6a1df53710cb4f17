//! A TCP relay before a provider that knows which of its requests write, and can hold or lose just those.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use crate::agent::PATIENCE;

/// What is spoken through a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The `PowerDNS` API.
    Http,
    /// DNS over TCP, each message in one piece.
    Dns,
}

impl Protocol {
    /// Does this request write?
    pub(crate) fn writes(self, request: &[u8]) -> bool {
        match self {
            Protocol::Http => request.starts_with(b"PATCH "),
            // RFC 1035 section 4.2.2: two octets of length; section 4.1.1: the opcode. UPDATE is 5 (RFC 2136 section 1.3).
            Protocol::Dns => request.get(4).is_some_and(|octet| octet >> 3 & 0b1111 == 5),
        }
    }

    /// Is this the request with which the adapter begins its swap, what it was told to replace long decided?
    fn begins_swap(self, request: &[u8]) -> bool {
        match self {
            // It lists the whole zone and compares; the readings before ask for one name (`?rrset_name=`).
            Protocol::Http => {
                let line = request.split(|octet| *octet == b'\r').next().unwrap_or_default();
                let line = String::from_utf8_lossy(line);
                line.starts_with("GET ") && line.contains("/zones/") && !line.contains('?')
            }
            Protocol::Dns => self.writes(request),
        }
    }
}

/// What happens to the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// The swap is stopped before its first request reaches the server.
    HoldRequest,
    /// The server has written and answered; the answer is stopped.
    HoldAnswer,
    /// The server has written and answered; the connection breaks before the answer arrives.
    LoseAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    No,
    Yes,
    Passed,
    Dropped,
}

struct State {
    next: Option<Trick>,
    held: Held,
    writes: u32,
}

struct Shared {
    protocol: Protocol,
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

/// A relay; its threads end with their connections, the listening one with the test.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What the answering half of a connection must do with the next answer.
const PASS: u8 = 0;
const HOLD: u8 = 1;
const LOSE: u8 = 2;

impl Relay {
    pub(crate) fn start(protocol: Protocol, upstream: SocketAddr) -> Relay {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Mutex::new(State { next: None, held: Held::No, writes: 0 });
        let shared = Arc::new(Shared { protocol, upstream, state, changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                serving.serve(client);
            }
        });
        Relay { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Plays this trick on the next write.
    pub(crate) fn next(&self, trick: Trick) {
        let mut state = self.shared.lock();
        state.next = Some(trick);
        state.held = Held::No;
    }

    /// Waits until the write is held.
    #[track_caller]
    pub(crate) fn wait_until_held(&self) {
        testkit::wait_until("a write is held", PATIENCE, || {
            (self.shared.lock().held == Held::Yes).then_some(())
        });
    }

    /// Lets what is held go on.
    pub(crate) fn pass(&self) {
        self.shared.decide(Held::Passed);
    }

    /// Breaks the connection that is held; what was not sent is never sent.
    pub(crate) fn drop_it(&self) {
        self.shared.decide(Held::Dropped);
    }

    /// Has the trick been played?
    pub(crate) fn is_played(&self) -> bool {
        self.shared.lock().next.is_none()
    }

    /// Requests that write, as they were sent to the server.
    pub(crate) fn writes(&self) -> u32 {
        self.shared.lock().writes
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }

    fn decide(&self, held: Held) {
        self.lock().held = held;
        self.changed.notify_all();
    }

    /// Holds the caller; may it go on?
    fn hold(&self) -> bool {
        let mut state = self.lock();
        state.held = Held::Yes;
        let state =
            self.changed.wait_while(state, |state| state.held == Held::Yes).expect("no thread panics");
        state.held != Held::Dropped
    }

    fn serve(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.upstream) else { return };
        let answers = Arc::new(AtomicU8::new(PASS));
        let (from, to) = (client.try_clone().expect("a handle"), server.try_clone().expect("a handle"));
        let (relay, next) = (Arc::clone(self), Arc::clone(&answers));
        thread::spawn(move || pump(from, to, |request| relay.request(request, &next)));
        let relay = Arc::clone(self);
        thread::spawn(move || pump(server, client, |_| relay.answer(&answers)));
    }

    /// May this part of a request go on?
    fn request(&self, part: &[u8], answers: &AtomicU8) -> bool {
        let mut state = self.lock();
        let due = match state.next {
            Some(Trick::HoldRequest) => self.protocol.begins_swap(part),
            Some(_) => self.protocol.writes(part),
            None => false,
        };
        match state.next.filter(|_| due) {
            Some(Trick::HoldRequest) => {
                state.next = None;
                drop(state);
                if !self.hold() {
                    return false;
                }
                state = self.lock();
            }
            Some(trick) => {
                state.next = None;
                answers.store(if trick == Trick::HoldAnswer { HOLD } else { LOSE }, Ordering::SeqCst);
            }
            None => {}
        }
        state.writes += u32::from(self.protocol.writes(part));
        true
    }

    /// May this part of an answer go on?
    fn answer(&self, answers: &AtomicU8) -> bool {
        match answers.swap(PASS, Ordering::SeqCst) {
            HOLD => self.hold(),
            LOSE => false,
            _ => true,
        }
    }
}

/// Carries one direction until it ends or `goes_on` says no; then both directions end.
fn pump(mut from: TcpStream, mut to: TcpStream, goes_on: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !goes_on(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // One side may have gone already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
