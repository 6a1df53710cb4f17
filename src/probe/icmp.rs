//! ICMP echo requests and their replies.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use tokio::net::UdpSocket;

use super::echo::{Echo, Socket};
use super::progress::{Phase, Progress};
use super::trouble::classify;
use super::{IcmpCheck, Step};
use crate::decision::Outcome;

/// The longest pause between two requests of one probe.
const PAUSE: Duration = Duration::from_millis(200);
/// Room for one packet: the largest payload, ICMP and the longest IPv4 header.
const BUFFER: usize = IcmpCheck::MAX_SIZE as usize + 8 + 60;

/// Sends the requests one after another, all within the first half of `timeout`, and passes as soon as enough of them
/// are answered. What the way back says (destination unreachable ...) fails at once, as far as Linux tells it.
///
/// | socket | needs | tried |
/// |---|---|---|
/// | `SOCK_DGRAM` (`icmp(7)`) | a group in `net.ipv4.ping_group_range`, which rules IPv6 as well | first |
/// | `SOCK_RAW` (`raw(7)`) | `CAP_NET_RAW` | where the first is forbidden |
///
/// Where both are, the outcome is `Unknown` and names what to allow. Linux tells a socket without `IP_RECVERR` of the
/// errors that RFC 1122 section 4.2.3.9 calls hard (port, protocol and host prohibited ...); a host or a network that
/// is merely unreachable shows as silence, and is a failure when the time is up.
pub(super) async fn probe(
    address: IpAddr,
    check: IcmpCheck,
    timeout: Duration,
    progress: &mut Progress<'_>,
) -> Step<()> {
    let count = check.count.clamp(1, IcmpCheck::MAX_COUNT);
    let wanted = check.wanted();
    progress.phase = Phase::Echo { address, count, wanted };
    let (echo, socket) = open(address, check)?;

    let pause = PAUSE.min(timeout / (2 * u32::from(count)));
    let mut replies = Replies { answered: vec![false; usize::from(count)], wanted: usize::from(wanted) };
    progress.begin_waiting();
    for sequence in 0..count {
        send(&socket, &echo.request(u16::from(sequence)), address, sequence == 0).await?;
        let hearing = replies.hear(&socket, &echo, address, progress);
        if sequence + 1 == count {
            // The deadline of the probe ends this.
            return hearing.await;
        }
        if let Ok(ended) = tokio::time::timeout(pause, hearing).await {
            return ended;
        }
    }
    Ok(())
}

/// Which requests are answered.
struct Replies {
    answered: Vec<bool>,
    wanted: usize,
}

impl Replies {
    /// Ends when enough are, or when the way says that there will be none. Whatever else comes is ignored.
    async fn hear(
        &mut self,
        socket: &UdpSocket,
        echo: &Echo,
        address: IpAddr,
        progress: &mut Progress<'_>,
    ) -> Step<()> {
        let mut buffer = [0; BUFFER];
        while progress.received < self.wanted {
            let length = match receive(socket, &mut buffer, address).await {
                Ok(length) => length,
                Err(error) => match told(&error, address) {
                    Some(outcome) => return Err(outcome),
                    None => continue,
                },
            };
            let Some(sequence) = echo.answered(&buffer[..length]) else { continue };
            // A second reply to one request counts for nothing, nor does one to a request that was never sent.
            if let Some(answered @ false) = self.answered.get_mut(usize::from(sequence)) {
                *answered = true;
                progress.received(1);
            }
        }
        Ok(())
    }
}

/// A socket that speaks with `address`, and what is to be sent over it.
fn open(address: IpAddr, check: IcmpCheck) -> Step<(Echo, UdpSocket)> {
    let (family, protocol) = match address {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let of = |kind| rustix::net::socket_with(family, kind, flags, Some(protocol));
    let forbidden = |errno| matches!(errno, Errno::ACCESS | Errno::PERM);
    let peer = SocketAddr::new(address, 0);
    let trouble = |errno: Errno, doing| classify(&errno.into(), doing, peer);
    let (kind, socket) = match of(SocketType::DGRAM) {
        Ok(socket) => (Socket::Datagram, socket),
        // A kernel without datagram sockets for ICMP does not know the pair.
        Err(errno) if forbidden(errno) || errno == Errno::PROTONOSUPPORT => match of(SocketType::RAW) {
            Ok(socket) => (Socket::Raw, socket),
            Err(errno) if forbidden(errno) => return Err(Outcome::Unknown(remedy(errno))),
            Err(errno) => return Err(trouble(errno, "opening a raw ICMP socket")),
        },
        Err(errno) => return Err(trouble(errno, "opening an ICMP socket")),
    };
    if address.is_ipv4() {
        // What is too long for a link on the way is cut by the router, as `ping` without -M lets it be.
        let _ = set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DONT);
    }
    // Only a connected socket is told of errors (`icmp(7)`), and the routing table is asked before anything is sent.
    rustix::net::connect(&socket, &peer).map_err(|errno| trouble(errno, "sending an echo request"))?;
    // To tokio and std this is any socket of datagrams; nothing that UDP has and ICMP has not is asked of it.
    let socket = UdpSocket::from_std(socket.into())
        .map_err(|error| classify(&error, "opening an ICMP socket", peer))?;
    let echo = Echo {
        v6: address.is_ipv6(),
        socket: kind,
        identifier: rand::random(),
        token: rand::random(),
        size: usize::from(check.size.clamp(IcmpCheck::MIN_SIZE, IcmpCheck::MAX_SIZE)),
    };
    Ok((echo, socket))
}

async fn send(socket: &UdpSocket, packet: &[u8], address: IpAddr, first: bool) -> Step<()> {
    socket.send(packet).await.map(drop).map_err(|error| {
        // Before the first request nobody on the way can have said anything: the trouble is our own.
        let theirs = if first { None } else { told(&error, address) };
        theirs.unwrap_or_else(|| classify(&error, "sending an echo request", SocketAddr::new(address, 0)))
    })
}

/// The next packet from `address`; what others send is dropped here. A datagram socket hears everybody who knows its
/// identifier, connected or not.
async fn receive(socket: &UdpSocket, buffer: &mut [u8], address: IpAddr) -> io::Result<usize> {
    loop {
        let (length, from) = socket.recv_from(buffer).await?;
        if from.ip() == address {
            return Ok(length);
        }
    }
}

/// What an error that came back for a request says; `None` for one that says nothing about the target.
///
/// The errors are those into which Linux translates ICMP (`icmp_err_convert` in net/ipv4/icmp.c, `icmpv6_err_convert`
/// in net/ipv6/icmp.c).
fn told(error: &io::Error, address: IpAddr) -> Option<Outcome> {
    let ours = || classify(error, "waiting for an echo reply", SocketAddr::new(address, 0));
    let errno = Errno::from_io_error(error);
    let said = match errno {
        Some(Errno::CONNREFUSED) => "port unreachable",
        Some(Errno::NOPROTOOPT | Errno::PROTO) => "protocol unreachable",
        Some(Errno::NETUNREACH) => "network unreachable",
        Some(Errno::HOSTUNREACH) => "host unreachable, or prohibited by a filter",
        Some(Errno::HOSTDOWN | Errno::NONET) => "host unknown or isolated",
        Some(Errno::ACCESS) => "prohibited by a filter",
        Some(Errno::OPNOTSUPP) => "source route failed",
        // Too big for a link on the way: the kernel has learned the size, this request counts as lost.
        Some(Errno::MSGSIZE) => return None,
        _ => return Some(ours()),
    };
    // The very same error for a route of our own that went while we waited.
    if let unknown @ Outcome::Unknown(_) = ours()
        && matches!(errno, Some(Errno::NETUNREACH | Errno::HOSTUNREACH))
    {
        return Some(unknown);
    }
    Some(Outcome::Fail(format!("an ICMP error came back for {address}: {said}")))
}

fn remedy(errno: Errno) -> String {
    let group = rustix::process::getegid().as_raw();
    format!(
        "this machine forbids echo requests ({}): let group {group} send them by the sysctl \
         net.ipv4.ping_group_range=\"{group} {group}\" (IPv6 goes by it too), or give this process CAP_NET_RAW",
        io::Error::from(errno)
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock, SystemClock};

    /// What a datagram socket for ICMP would hand on, over sockets of UDP.
    fn reply(echo: &Echo, sequence: u16) -> Vec<u8> {
        let mut packet = echo.request(sequence);
        packet[0] = 0;
        packet
    }

    #[tokio::test]
    async fn duplicates_and_the_replies_of_others_count_for_nothing() {
        let echo = Echo {
            v6: false,
            socket: Socket::Datagram,
            identifier: 1,
            token: *b"sixteen bytes ok",
            size: 56,
        };
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let (target, stranger) = (
            UdpSocket::bind("127.0.0.2:0").await.expect("a socket"),
            UdpSocket::bind("127.0.0.3:0").await.expect("a socket"),
        );
        let us = socket.local_addr().expect("an address");
        let send = async |from: &UdpSocket, packet: Vec<u8>| from.send_to(&packet, us).await.expect("sent");

        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let mut progress = Progress::begin(&*clock);
        let mut replies = Replies { answered: vec![false; 2], wanted: 2 };
        let address: IpAddr = "127.0.0.2".parse().expect("an address");
        let short = Duration::from_millis(300);

        send(&target, reply(&echo, 0)).await;
        send(&target, reply(&echo, 0)).await;
        send(&target, reply(&echo, 2)).await;
        send(&target, b"garbage".to_vec()).await;
        send(&stranger, reply(&echo, 1)).await;
        let waits = tokio::time::timeout(short, replies.hear(&socket, &echo, address, &mut progress)).await;
        assert!(waits.is_err(), "one request of two is answered");
        assert_eq!((progress.received, replies.answered.as_slice()), (1, [true, false].as_slice()));

        send(&target, reply(&echo, 1)).await;
        assert_eq!(replies.hear(&socket, &echo, address, &mut progress).await, Ok(()));
    }

    #[test]
    fn every_error_that_icmp_becomes_is_the_target_s_and_all_others_are_looked_at() {
        let address: IpAddr = "127.0.0.1".parse().expect("an address");
        let of = |errno: Errno| told(&errno.into(), address);
        for errno in [
            Errno::CONNREFUSED,
            Errno::NOPROTOOPT,
            Errno::PROTO,
            Errno::NETUNREACH,
            Errno::HOSTUNREACH,
            Errno::HOSTDOWN,
            Errno::NONET,
            Errno::ACCESS,
            Errno::OPNOTSUPP,
        ] {
            assert!(matches!(of(errno), Some(Outcome::Fail(_))), "{errno:?}");
        }
        assert_eq!(of(Errno::MSGSIZE), None, "the next request is cut");
        for errno in [Errno::NETDOWN, Errno::NOBUFS, Errno::PERM] {
            assert!(matches!(of(errno), Some(Outcome::Unknown(_))), "{errno:?}");
        }
    }
}
