//! Sockets that are used again, against servers on loopback. Nobody else is at this address.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mio::{Events, Poll as Asking};
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::probe::engine::socket::Socket;

/// How long anything is waited for before the test fails.
const DEADLINE: Duration = Duration::from_mins(1);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 90, 0, 1));
const INTERVAL: Duration = Duration::from_secs(1);

/// What an engine is to its sockets, step by step.
struct Stage {
    clock: Arc<dyn Clock>,
    asking: Asking,
    news: Events,
    reactor: Rc<Reactor>,
    interval: Duration,
}

impl Stage {
    fn new() -> Stage {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let asking = Asking::new().unwrap();
        let registry = asking.registry().try_clone().unwrap();
        let reactor = Reactor::begin(registry, Arc::clone(&clock), 4);
        Stage { clock, asking, news: Events::with_capacity(64), reactor, interval: INTERVAL }
    }

    fn ask(&mut self, pause: Duration) {
        self.reactor.asks();
        self.asking.poll(&mut self.news, Some(pause)).unwrap();
    }

    fn hear(&mut self) {
        for event in &self.news {
            self.reactor.note(event);
        }
        self.news.clear();
    }

    fn drive<T>(&self, with: impl FnOnce() -> T) -> T {
        self.reactor.drive(0, self.interval, with).0
    }

    fn poll<F: Future + Unpin>(&self, future: &mut F) -> Poll<F::Output> {
        self.drive(|| std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())))
    }

    /// What comes of it.
    fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        let (mut future, begun) = (pin!(future), self.clock.moment());
        loop {
            if let Poll::Ready(result) = self.poll(&mut future) {
                return result;
            }
            assert!(self.clock.moment().since(begun) < DEADLINE, "nothing comes of it");
            self.ask(Duration::from_millis(20));
            self.hear();
        }
    }

    fn connect(&mut self, peer: SocketAddr) -> Socket {
        self.run(Socket::connect(peer)).unwrap()
    }

    fn reset(&self, socket: Socket) {
        self.drive(|| socket.reset());
    }

    fn spares(&self) -> usize {
        self.reactor.spares.borrow().all.len()
    }

    /// A connection over which both have talked, and the other end of it.
    fn in_use(&mut self, listener: &TcpListener, peer: SocketAddr, word: &str) -> (Socket, TcpStream) {
        let mut socket = self.connect(peer);
        let mut server = accept(listener);
        self.talk(&mut socket, &mut server, word);
        (socket, server)
    }

    /// Says something and hears the same, no more and no less, and not the end.
    fn talk(&mut self, socket: &mut Socket, server: &mut TcpStream, word: &str) {
        self.run(socket.write_all(word.as_bytes())).unwrap();
        let mut heard = vec![0; word.len()];
        server.read_exact(&mut heard).unwrap();
        assert_eq!(heard, word.as_bytes());
        server.write_all(&heard).unwrap();
        let mut back = vec![0; word.len()];
        self.run(socket.read_exact(&mut back)).unwrap();
        assert_eq!(back, word.as_bytes());
        assert!(self.is_quiet(socket), "nothing else was said");
    }

    fn is_quiet(&mut self, socket: &mut Socket) -> bool {
        self.ask(Duration::ZERO);
        self.hear();
        let has_not_ended = self.poll(&mut pin!(socket.until_ended())).is_pending();
        has_not_ended && self.poll(&mut pin!(socket.read(&mut [0]))).is_pending()
    }
}

/// The same socket has the same, and no two have it at a time.
fn inode(socket: &impl AsFd) -> u64 {
    rustix::fs::fstat(socket).unwrap().st_ino
}

fn listen(at: impl Into<SocketAddr>) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(at.into()).unwrap();
    let peer = listener.local_addr().unwrap();
    (listener, peer)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Nobody accepts, and no more may wait: the system drops what else comes.
fn fill(listener: &TcpListener, peer: SocketAddr) -> TcpStream {
    rustix::net::listen(listener, 0).unwrap();
    let waiting = TcpStream::connect(peer).unwrap();
    let (mut asking, mut news) = (Asking::new().unwrap(), Events::with_capacity(1));
    let mut source = mio::net::TcpListener::from_std(listener.try_clone().unwrap());
    asking.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).unwrap();
    asking.poll(&mut news, Some(DEADLINE)).unwrap();
    assert!(!news.is_empty(), "it waits");
    waiting
}

/// How a server may leave a connection behind.
const ENDINGS: [fn(TcpStream) -> Option<TcpStream>; 6] = [
    // It says nothing.
    Some,
    // Half an answer, and it stays.
    |mut server| {
        server.write_all(b"HTTP/1.1 200 OK\r\nContent-").unwrap();
        Some(server)
    },
    // An answer and the end.
    |mut server| {
        server.write_all(b"bye").unwrap();
        None
    },
    // The end.
    |server| {
        drop(server);
        None
    },
    // The end of its side.
    |server| {
        server.shutdown(std::net::Shutdown::Write).unwrap();
        Some(server)
    },
    // A reset.
    |server| {
        sockopt::set_socket_linger(&server, Some(Duration::ZERO)).unwrap();
        None
    },
];

fn whatever_the_last_server_did(here: IpAddr, is_heard: bool) {
    let mut stage = Stage::new();
    let (listener, peer) = listen((here, 0));
    let (mut socket, mut server) = stage.in_use(&listener, peer, "first");
    let first = inode(&socket);
    for ends in ENDINGS {
        let left = ends(server);
        if is_heard {
            stage.ask(Duration::from_millis(20));
            stage.hear();
        }
        stage.reset(socket);
        if let Some(mut left) = left {
            let reset = || left.take_error().unwrap().is_some();
            let begun = stage.clock.moment();
            while !reset() {
                assert!(stage.clock.moment().since(begun) < DEADLINE, "it was reset");
            }
            // What it says now is said to nobody.
            let _ = left.write_all(b"late");
        }
        socket = stage.connect(peer);
        assert_eq!(inode(&socket), first, "it is used again");
        server = accept(&listener);
        stage.talk(&mut socket, &mut server, "another");
    }
}

#[test]
fn nothing_of_the_last_connection_is_left() {
    whatever_the_last_server_did(HERE, true);
    whatever_the_last_server_did(Ipv6Addr::LOCALHOST.into(), true);
}

#[test]
fn nothing_of_it_is_left_that_was_never_looked_at() {
    whatever_the_last_server_did(HERE, false);
    whatever_the_last_server_did(Ipv6Addr::LOCALHOST.into(), false);
}

/// News of many sockets come together; while those of one are looked at, another begins anew whose news are next.
#[test]
fn news_of_the_use_before_are_not_taken_for_this_ones() {
    let mut stage = Stage::new();
    let (listener, peer) = listen((HERE, 0));
    let (socket, _server) = stage.in_use(&listener, peer, "first");
    let first = inode(&socket);
    stage.reset(socket);
    stage.ask(DEADLINE);
    assert!(!stage.news.is_empty(), "its end is told");
    let mut connecting = pin!(Socket::connect(peer));
    let begun = stage.poll(&mut connecting);
    stage.hear();
    let mut socket = match begun {
        Poll::Ready(socket) => socket.unwrap(),
        Poll::Pending => stage.run(connecting).unwrap(),
    };
    assert_eq!(inode(&socket), first);
    let mut server = accept(&listener);
    assert!(stage.poll(&mut pin!(socket.until_ended())).is_pending(), "the end was that of another");
    stage.talk(&mut socket, &mut server, "second");
    drop(server);
    stage.run(socket.until_ended()).unwrap();
}

/// The next first sequence number of a socket is known to the peer that it had: it serves no other.
#[test]
fn a_spare_serves_its_own_peer_alone_and_its_own_purpose() {
    let mut stage = Stage::new();
    let (one, at_one) = listen((HERE, 0));
    let (two, at_two) = listen((Ipv6Addr::LOCALHOST, 0));
    let of_one = stage.connect(at_one);
    let (first, _) = (inode(&of_one), accept(&one));
    stage.reset(of_one);
    let of_two = stage.connect(at_two);
    let (second, _) = (inode(&of_two), accept(&two));
    assert_ne!(first, second);
    let half = stage.run(Socket::connect_half(at_one)).unwrap();
    assert!(inode(&half) != first && inode(&half) != second);
    stage.reset(of_two);
    stage.reset(half);
    assert_eq!(stage.spares(), 3);
    for _ in 0..3 {
        let (of_one, of_two) = (stage.connect(at_one), stage.connect(at_two));
        assert_eq!((inode(&of_one), inode(&of_two)), (first, second), "each has its own");
        stage.reset(of_one);
        stage.reset(of_two);
    }
}

/// What failed is closed, and the next one is as if there had been none.
#[test]
fn one_that_is_refused_or_hangs_is_not_used_again() {
    let mut stage = Stage::new();
    let (listener, peer) = listen((HERE, 0));
    let socket = stage.connect(peer);
    let first = inode(&socket);
    stage.reset(socket);
    drop(listener);
    for _ in 0..2 {
        let refused = stage.run(Socket::connect(peer)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(stage.spares(), 0);
    }
    let (listener, _) = listen(peer);
    let (socket, _server) = stage.in_use(&listener, peer, "open again");
    let second = inode(&socket);
    assert_ne!(first, second, "an inode of a socket is not given again soon");
    stage.reset(socket);

    let waiting = fill(&listener, peer);
    {
        let mut hangs = pin!(Socket::connect(peer));
        for _ in 0..3 {
            assert!(stage.poll(&mut hangs).is_pending());
            stage.ask(Duration::from_millis(5));
            stage.hear();
        }
        assert_eq!(stage.spares(), 0, "it was taken");
    }
    drop((waiting, accept(&listener)));
    let (socket, _server) = stage.in_use(&listener, peer, "room again");
    assert_ne!(inode(&socket), second);
}

/// The connection of a used socket stands only once it does, though its last one stood.
#[test]
fn a_used_socket_that_waits_for_its_peer_stands_when_it_does() {
    let mut stage = Stage::new();
    let (listener, peer) = listen((HERE, 0));
    let (socket, _server) = stage.in_use(&listener, peer, "first");
    let first = inode(&socket);
    let waiting = fill(&listener, peer);
    stage.reset(socket);
    stage.ask(DEADLINE);
    {
        let mut hangs = pin!(Socket::connect(peer));
        for _ in 0..3 {
            assert!(stage.poll(&mut hangs).is_pending());
            stage.hear();
            stage.ask(Duration::from_millis(5));
        }
        // The system tries again within seconds.
        drop((waiting, accept(&listener)));
        let mut socket = stage.run(hangs).unwrap();
        assert_eq!(inode(&socket), first);
        let mut server = accept(&listener);
        stage.talk(&mut socket, &mut server, "second");
    }
}

/// A listener that never accepts: of what waits for it, used sockets and fresh ones, little is ever a connection.
#[test]
fn half_open_is_heard_of_by_the_system_alone_again_and_again() {
    let mut stage = Stage::new();
    let (listener, peer) = listen((HERE, 0));
    listener.set_nonblocking(true).unwrap();
    let mut inodes = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let half = stage.run(Socket::connect_half(peer)).unwrap();
        inodes.insert(inode(&half));
        stage.reset(half);
    }
    assert_eq!(inodes.len(), 1);
    // The delayed acknowledgement may win the race on a busy machine, but hardly nineteen times.
    let heard = std::iter::from_fn(|| listener.accept().ok()).count();
    assert!(heard < 19, "{heard}");
}

#[test]
fn few_are_kept_and_none_for_long() {
    let mut stage = Stage::new();
    let listeners: Vec<_> = (0..6).map(|_| listen((HERE, 0))).collect();
    let connect_all = |stage: &mut Stage| {
        let sockets: Vec<_> = listeners.iter().map(|(_, peer)| stage.connect(*peer)).collect();
        for socket in sockets {
            stage.reset(socket);
        }
    };
    connect_all(&mut stage);
    assert_eq!(stage.spares(), 4, "as many as there may be");
    assert!(stage.reactor.most_spares(1) && stage.spares() == 1, "others need descriptors");
    assert!(!stage.reactor.most_spares(1));
    connect_all(&mut stage);
    let now = stage.clock.moment();
    assert!(stage.reactor.next_close().is_some_and(|due| due <= now + SWEEP));
    stage.reactor.close_old_spares(now + SWEEP);
    assert_eq!(stage.spares(), 4, "the next probe comes soon");
    stage.reactor.close_old_spares(now + SWEEP + INTERVAL * IDLE_INTERVALS);
    assert_eq!((stage.spares(), stage.reactor.next_close()), (0, None), "it did not come");
    stage.interval = OFTEN * 2;
    connect_all(&mut stage);
    assert_eq!(stage.spares(), 0, "the next one is far");
}

/// A socket of another purpose is closed, and its connection is reset all the same.
#[test]
fn one_with_options_of_its_own_is_closed() {
    let mut stage = Stage::new();
    let (listener, peer) = listen((HERE, 0));
    let mut socket = stage.connect(peer);
    let mut server = accept(&listener);
    socket.send_at_once();
    stage.talk(&mut socket, &mut server, "hello");
    stage.reset(socket);
    assert_eq!(stage.spares(), 0);
    assert!(server.read(&mut [0]).is_err(), "it was reset");
}

/// Whatever is wrong with a spare, another socket is as good.
#[test]
fn a_spare_that_cannot_connect_is_no_failure_of_the_peer() {
    let mut stage = Stage::new();
    let (listener, peer) = listen((HERE, 0));
    let none = TcpStream::from(OwnedFd::from(File::open("/dev/null").unwrap()));
    let spare = Spare { stream: mio::net::TcpStream::from_std(none), seat: None };
    stage.drive(|| stage.reactor.keep_spare((peer, Options::Usual), spare));
    let _both = stage.in_use(&listener, peer, "hello");
}
