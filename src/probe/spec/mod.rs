//! What is probed and how: checked settings, no YAML.

mod dns;
mod exec;
mod grpc;
mod http;
mod icmp;
mod json;
mod tcp;
mod tls;
mod tls_check;

use std::time::Duration;

use regex::Regex;

pub use dns::{DnsCheck, Transport, Wanted};
pub use exec::ExecCheck;
pub use grpc::GrpcCheck;
pub use http::{Auth, HttpCheck, StatusRange};
pub use icmp::IcmpCheck;
pub use json::{Comparison, JsonTest, JsonWish};
pub use tcp::{StartTls, StartTlsProtocol, TcpCheck};
pub(super) use tls::Fingerprint;
pub use tls::{Authorities, Identity, IdentityFault, MinDays, PemFault, TlsSettings};
pub use tls_check::TlsCheck;

use super::cadence::Rhythm;

/// One check: how a target is probed, and how often.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is done.
    pub kind: CheckKind,
    /// Time between two probes when all is calm.
    pub interval: Duration,
    /// Time between two probes while something is under way.
    pub fast_interval: Duration,
    /// The longest a probe may take, all parts together.
    pub timeout: Duration,
    /// Each probe is moved by up to this share of the interval, 0 to 50 percent, around a fixed grid.
    pub jitter_percent: u8,
    /// Between two probes a connection is held, and when it breaks a probe comes at once.
    pub tripwire: bool,
    /// Failures that make a target Down, 1 or more: so many probes of one place may wait for an answer together.
    pub fall: u32,
}

impl Check {
    /// How often it is made.
    pub(super) fn rhythm(&self) -> Rhythm {
        let Check { interval, fast_interval, jitter_percent, .. } = *self;
        Rhythm { interval, fast_interval, jitter_percent }
    }
}

/// The kinds of check.
#[derive(Clone, Debug)]
pub enum CheckKind {
    /// An HTTP request, with or without TLS.
    Http(HttpCheck),
    /// A question by the gRPC health protocol.
    Grpc(GrpcCheck),
    /// A TCP connection, with something to send and something to expect.
    Tcp(TcpCheck),
    /// A TLS handshake.
    Tls(TlsCheck),
    /// ICMP echo requests.
    Icmp(IcmpCheck),
    /// A question to a DNS server.
    Dns(DnsCheck),
    /// A program that obeys the rules of Nagios plugins.
    Exec(ExecCheck),
}

impl CheckKind {
    /// The port of the target to which a connection is made, if one is.
    pub fn tcp_port(&self) -> Option<u16> {
        match self {
            CheckKind::Http(http) => Some(http.port),
            CheckKind::Grpc(grpc) => Some(grpc.port),
            CheckKind::Tcp(tcp) => Some(tcp.port),
            CheckKind::Tls(tls) => Some(tls.port),
            CheckKind::Icmp(_) | CheckKind::Dns(_) | CheckKind::Exec(_) => None,
        }
    }

    /// How it speaks TLS, if it does.
    pub fn tls(&self) -> Option<&TlsSettings> {
        match self {
            CheckKind::Http(http) => http.tls.then_some(&http.tls_settings),
            CheckKind::Grpc(grpc) => grpc.tls.then_some(&grpc.tls_settings),
            CheckKind::Tcp(tcp) => tcp.starttls.as_ref().map(|starttls| &starttls.settings),
            CheckKind::Tls(tls) => Some(&tls.settings),
            CheckKind::Icmp(_) | CheckKind::Dns(_) | CheckKind::Exec(_) => None,
        }
    }
}

/// What must be found in a body or in what a server sends.
#[derive(Clone, Debug)]
pub enum BodyMatch {
    /// This text, byte for byte.
    Contains(String),
    /// A match of this expression.
    Regex(Regex),
}
