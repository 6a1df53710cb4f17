//! Whose trouble an I/O error is: the target's or our own.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;

use crate::decision::Outcome;

/// What an I/O error on the way to `peer` says. `doing` is what was being done, for the reader.
///
/// | error | outcome | because |
/// |---|---|---|
/// | `ECONNREFUSED`, `ECONNRESET`, `ECONNABORTED`, `EPIPE`, end of stream | `Fail` | the target, or a firewall before it, said no |
/// | `ETIMEDOUT`, `EHOSTUNREACH`, `EHOSTDOWN` | `Fail` | somebody on the way says that the target is not there |
/// | `ENETUNREACH`, `EHOSTUNREACH` with no route in our own table | `Unknown` | this machine has no way out |
/// | `ENETUNREACH` from a router on the way | `Fail` | the target's network is gone |
/// | `ENETDOWN` | `Unknown` | our own interface is down |
/// | `EADDRNOTAVAIL`, `EADDRINUSE` | `Unknown` | no local port is free |
/// | `EMFILE`, `ENFILE` | `Unknown` | no file descriptor is free |
/// | `ENOBUFS`, `ENOMEM` | `Unknown` | no memory |
/// | `EACCES`, `EPERM` | `Unknown` | a firewall or sandbox of our own |
/// | `EAFNOSUPPORT`, `EINVAL` | `Unknown` | the address family is switched off here |
/// | anything else | `Unknown` | never a failure that is not known to be the target's |
///
/// Linux reports an ICMP "network unreachable" from a router with the same error as a missing route (`icmp(7)`,
/// `tcp(7)`); the two are told apart by asking the local routing table, which sends nothing.
pub(super) fn classify(error: &io::Error, doing: &str, peer: SocketAddr) -> Outcome {
    let shown = shown(peer);
    let Some(errno) = Errno::from_io_error(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => Outcome::Fail(format!("{doing}: {shown} closed the connection")),
            _ => Outcome::Unknown(format!("{doing}: {error}")),
        };
    };
    match errno {
        Errno::NETUNREACH | Errno::HOSTUNREACH if !has_route(peer) => {
            Outcome::Unknown(with_remedy(Errno::NETUNREACH, doing))
        }
        Errno::NETUNREACH => Outcome::Fail(format!(
            "{doing}: a router on the way says that the network of {shown} is unreachable"
        )),
        _ => match refusal(errno) {
            Some(said) => Outcome::Fail(format!("{doing}: {shown} {said}")),
            None => Outcome::Unknown(with_remedy(errno, doing)),
        },
    }
}

/// A peer without a port, as ICMP knows them, by its address alone.
fn shown(peer: SocketAddr) -> String {
    if peer.port() == 0 { peer.ip().to_string() } else { peer.to_string() }
}

/// What the target, or the way to it, did; `None` for an error that is not known to be theirs.
fn refusal(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::CONNREFUSED => "refused the connection",
        Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE => "reset the connection",
        Errno::TIMEDOUT => "did not answer (the system gave up)",
        Errno::HOSTUNREACH | Errno::HOSTDOWN => "is unreachable (nobody there, or a router says so)",
        _ => return None,
    })
}

fn with_remedy(errno: Errno, doing: &str) -> String {
    let remedy = match errno {
        Errno::NETUNREACH => {
            "this machine has no route there; see `ip route`, for an IPv6 address `ip -6 route`"
        }
        Errno::NETDOWN => "this machine's network interface is down",
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => {
            "no local port is free, or no local address fits; see `ss -s` and net.ipv4.ip_local_port_range"
        }
        Errno::MFILE => "this process has no file descriptor left; raise LimitNOFILE (ulimit -n)",
        Errno::NFILE => "this machine has no file descriptor left; raise fs.file-max",
        Errno::NOBUFS | Errno::NOMEM => "this machine is out of memory",
        Errno::ACCESS | Errno::PERM => {
            "forbidden here; see this machine's own firewall and the unit's sandbox"
        }
        Errno::AFNOSUPPORT | Errno::INVAL => "this address family is not available on this machine",
        _ => return format!("{doing}: {}", io::Error::from(errno)),
    };
    format!("{doing}: {remedy} ({})", io::Error::from(errno))
}

/// Whether this machine's own routing table knows a way to `peer`. Connecting a UDP socket sends nothing (`udp(7)`).
fn has_route(peer: SocketAddr) -> bool {
    let local: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    UdpSocket::bind(local).and_then(|socket| socket.connect(peer)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errno: Errno, peer: &str) -> Outcome {
        classify(&io::Error::from(errno), "connecting", peer.parse().unwrap())
    }

    #[test]
    fn what_the_target_said_is_a_failure() {
        for errno in [Errno::CONNREFUSED, Errno::CONNRESET, Errno::PIPE, Errno::TIMEDOUT, Errno::HOSTUNREACH]
        {
            assert!(matches!(of(errno, "127.0.0.1:80"), Outcome::Fail(_)), "{errno:?}");
        }
    }

    #[test]
    fn our_own_trouble_is_never_a_failure() {
        let ours = [
            Errno::NETDOWN,
            Errno::ADDRNOTAVAIL,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::ACCESS,
            Errno::PERM,
            Errno::AFNOSUPPORT,
            Errno::INVAL,
            Errno::TXTBSY,
        ];
        for errno in ours {
            assert!(matches!(of(errno, "127.0.0.1:80"), Outcome::Unknown(_)), "{errno:?}");
        }
        let Outcome::Unknown(text) = of(Errno::MFILE, "127.0.0.1:80") else { panic!() };
        assert!(text.contains("LimitNOFILE"), "{text}");
    }

    /// Loopback always has a route, so the word can only have come from the way. Whether a documentation address
    /// has one depends on the machine's default route; the judgement must go with it.
    #[test]
    fn an_unreachable_network_is_ours_only_without_a_route() {
        assert!(matches!(of(Errno::NETUNREACH, "127.0.0.1:80"), Outcome::Fail(_)));
        let peer: SocketAddr = "[2001:db8::5]:80".parse().unwrap();
        let expected_ours = !has_route(peer);
        assert_eq!(matches!(of(Errno::NETUNREACH, "[2001:db8::5]:80"), Outcome::Unknown(_)), expected_ours);
    }
}
