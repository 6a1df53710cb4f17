//! Probing: one file per kind of check, and the scheduler.
//!
//! A probe always connects to the target's own address, with Host and SNI of the service, never through the
//! record it may change. It finds out and makes no choices.
//!
//! | file | what it does |
//! |---|---|
//! | `spec.rs` | what is probed and how: settings |
//! | `system.rs` | the [`Prober`] of real sockets and processes; the deadline over all parts of a probe |
//! | `progress.rs` | how far a probe came, its timings, and what is said when its time is up |
//! | `trouble.rs` | whose trouble an I/O error is: the target's or our own |
//! | `named.rs` | the addresses of a host name, tried in turn |
//! | `connect.rs` | a TCP connection to the target's own address |
//! | `tls/` | TLS with verified certificates, and what is said when one is wrong |
//! | `stream.rs`, `tap.rs` | a connection as one type, and one that remembers how it broke |
//! | `http.rs`, `request.rs`, `judge.rs`, `json.rs` | one HTTP exchange: asked, judged, the connection closed or kept |
//! | `http1.rs`, `response.rs`, `body.rs` | how it looks in HTTP/1.1 |
//! | `http2.rs` | how it looks in HTTP/2 |
//! | `engine/` | the thread that makes all probes over TCP: sockets, timers, turns |
//! | `kept.rs` | the connections that are kept for the next probe |
//! | `grpc.rs`, `grpc/message.rs` | the gRPC health protocol |
//! | `icmp.rs`, `echo.rs` | echo requests: the sockets; the packets |
//! | `dns.rs` | a question to the target, if it is a DNS server |
//! | `tcp.rs` + `smtp.rs`, `tls_check.rs`, `exec.rs` | the other kinds |
//! | `search.rs` | finding what was expected |
//! | `hush.rs` | outcomes without the secrets of their checks |
//! | `bounded.rs` | one probe that is certain to end |
//! | `scheduler.rs`, `cadence.rs` | when each probe runs |
//!
//! Deliberately absent: following redirects, resolving any name but the target's own, resumed TLS sessions. Each of them
//! would let a probe see something else than the target as a new visitor finds it. So does a kept connection, and only
//! a check that asks for it has one.

mod body;
mod bounded;
mod cadence;
mod connect;
mod delays;
mod dns;
mod echo;
mod engine;
mod exec;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod grpc;
mod http;
mod http1;
mod http2;
mod hush;
mod icmp;
mod json;
mod judge;
mod kept;
mod named;
mod progress;
mod request;
mod response;
mod scheduler;
mod search;
mod smtp;
mod spec;
mod stream;
mod system;
mod tap;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod tls_check;
mod trouble;

use std::sync::Arc;

use async_trait::async_trait;

use crate::decision::{Certificate, Outcome, Place, Timings};

pub use bounded::look;
pub use cadence::{Cadence, Pace, Rhythm};
pub use engine::{Engine, MOST_DESCRIPTORS, descriptors_needed};
pub(crate) use hush::{announces, is_secret, told};
pub use request::is_of_http2;
pub use scheduler::{DEFAULT_CONCURRENCY, Finding, Job, JobKey, Scheduler};
pub use spec::{
    Auth, Authorities, BodyMatch, Check, CheckKind, Comparison, DnsCheck, ExecCheck, GrpcCheck, HttpCheck,
    IcmpCheck, Identity, IdentityFault, JsonTest, JsonWish, MinDays, PemFault, StartTls, StartTlsProtocol,
    StatusRange, TcpCheck, TlsCheck, TlsSettings, Transport, Wanted,
};
pub use system::SystemProber;
pub use tls::Roots;

/// A part of a probe: `Err` is the outcome that ends it.
type Step<T> = Result<T, Outcome>;

/// Executes probes. The real one opens sockets; tests and virtual time script one.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Probes `place` once as `check` says and returns within the check's timeout.
    ///
    /// Trouble of our own (no socket, no route out, no permission, a broken configuration) is
    /// [`Outcome::Unknown`], never a failure. Cancel-safe: a dropped probe leaves no process and no socket behind.
    async fn probe(&self, place: &Place, check: &Arc<Check>) -> Report;

    /// This is not probed any more: what was kept for its next probe is closed.
    fn forget(&self, _place: &Place, _check: &Arc<Check>) {}

    /// Who makes scheduled probes itself, if somebody does: see [`Engine`].
    fn engine(&self) -> Option<Arc<Engine>> {
        None
    }
}

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it says.
    pub outcome: Outcome,
    /// Where its time went.
    pub timings: Timings,
    /// The certificate that was shown.
    pub certificate: Option<Arc<Certificate>>,
}
