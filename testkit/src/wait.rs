//! Waiting for a condition, and ports nobody uses.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "a deadline against real servers is real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks `condition` again every 20 ms until it gives a value; panics with `what` after `limit`.
#[track_caller]
pub fn wait_until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that is free for TCP and UDP on loopback, IPv4 and IPv6.
///
/// It lies below the ephemeral range (32768 and up), so that no outgoing connection takes it meanwhile.
pub fn free_port() -> u16 {
    // A machine without IPv6 (AddrNotAvailable) is no reason to refuse the port.
    let in_use = |port| {
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].into_iter().any(|ip| {
            let address = SocketAddr::new(ip, port);
            let errors = [TcpListener::bind(address).err(), UdpSocket::bind(address).err()];
            errors.iter().flatten().any(|why| why.kind() == ErrorKind::AddrInUse)
        })
    };
    // The keys of a `RandomState` differ in each process and each call: random enough, without a dependency.
    let any =
        || 15_000 + u16::try_from(RandomState::new().build_hasher().finish() % 17_000).expect("< 17000");
    (0..200).map(|_| any()).find(|port| !in_use(*port)).expect("one of 200 ports is free")
}
