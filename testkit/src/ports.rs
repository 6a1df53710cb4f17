//! Ports that nobody else uses, nor will.
//!
//! A port that is free now is taken by another test a moment later, before the server that was to have it listens: on a
//! loaded machine that moment is seconds long. And a target that is made to refuse connections sets its port free. So
//! whole blocks of ports belong to one test process, and each port of them is given out once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as Name, UnixListener};
use std::sync::{Mutex, PoisonError};

/// Below the ephemeral range (32768 and up), so that no outgoing connection takes one.
const FIRST: u16 = 15_000;
const BLOCK: u16 = 100;
const BLOCKS: u16 = 177;

/// What belongs to this process.
struct Ports {
    /// Of the block taken last: those that were not given out yet.
    left: Range<u16>,
    /// One for each block: a socket of this name in the abstract namespace (unix(7)), which ends with the process.
    held: Vec<UnixListener>,
}

static PORTS: Mutex<Ports> = Mutex::new(Ports { left: 0..0, held: Vec::new() });

/// A port that is free for TCP and UDP on loopback, IPv4 and IPv6, and that this function gives to nobody else, in
/// this process or in another one on this machine.
pub fn free_port() -> u16 {
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        // Some other program may have it.
        if let Some(port) = ports.left.find(|port| !is_in_use(*port)) {
            return port;
        }
        let (left, held) = take_block();
        ports.left = left;
        ports.held.push(held);
    }
}

/// So many of them, for a script: `15001 15002`.
pub(crate) fn free_ports(count: usize) -> String {
    (0..count).map(|_| free_port().to_string()).collect::<Vec<_>>().join(" ")
}

fn take_block() -> (Range<u16>, UnixListener) {
    // The keys of a `RandomState` differ in each process and each call: random enough, without a dependency.
    let any = u16::try_from(RandomState::new().build_hasher().finish() % u64::from(BLOCKS)).expect("< 177");
    let starts = (0..BLOCKS).map(|n| FIRST + (any + n) % BLOCKS * BLOCK);
    let mut taken = starts.filter_map(|start| {
        let name = Name::from_abstract_name(format!("failover-testkit-ports-{start}")).expect("a short name");
        Some((start..start + BLOCK, UnixListener::bind_addr(&name).ok()?))
    });
    taken.next().expect("a block of ports is free: how many tests are running?")
}

fn is_in_use(port: u16) -> bool {
    // A machine without IPv6 (AddrNotAvailable) is no reason to refuse the port.
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].into_iter().any(|ip| {
        let address = SocketAddr::new(ip, port);
        let errors = [TcpListener::bind(address).err(), UdpSocket::bind(address).err()];
        errors.iter().flatten().any(|why| why.kind() == ErrorKind::AddrInUse)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_out_twice_and_no_block() {
        let all: Vec<u16> = std::thread::scope(|scope| {
            let some = || (0..usize::from(BLOCK)).map(|_| free_port()).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(some)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("ports")).collect()
        });
        let different: BTreeSet<u16> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len());
        assert!(different.iter().all(|port| (FIRST..32_768).contains(port)), "{different:?}");
        let ((one, _one), (other, _other)) = (take_block(), take_block());
        assert_ne!(one, other, "as if another process asked");
    }
}
