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
//! | `connect.rs` | a TCP connection to the target's own address |
//! | `tls/` | TLS with verified certificates, and what is said when one is wrong |
//! | `http.rs`, `request.rs`, `response.rs`, `body.rs`, `json.rs` | one HTTP/1.1 exchange |
//! | `icmp.rs`, `echo.rs` | echo requests: the sockets; the packets |
//! | `dns.rs` | a question to the target, if it is a DNS server |
//! | `tcp.rs` + `smtp.rs`, `tls_check.rs`, `exec.rs` | the other kinds |
//! | `search.rs` | finding what was expected |
//! | `bounded.rs` | one probe that is certain to end |
//! | `scheduler.rs`, `cadence.rs` | when each probe runs |
//!
//! Deliberately absent: following redirects, names resolved by DNS, connections kept for the next probe, resumed
//! TLS sessions. Each of them would let a probe see something else than the target as a new visitor finds it.

mod body;
mod bounded;
mod cadence;
mod connect;
mod dns;
mod echo;
mod exec;
mod http;
mod icmp;
mod json;
mod progress;
mod request;
mod response;
mod scheduler;
mod search;
mod smtp;
mod spec;
mod system;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod tls_check;
mod trouble;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::decision::{Certificate, Outcome, Timings};

pub use bounded::look;
pub use scheduler::{DEFAULT_CONCURRENCY, Finding, Job, JobKey, Pace, Scheduler};
pub use spec::{
    Auth, Authorities, BodyMatch, Check, CheckKind, Comparison, DnsCheck, ExecCheck, HttpCheck, IcmpCheck,
    Identity, IdentityFault, JsonTest, JsonWish, MinDays, PemFault, StartTls, StartTlsProtocol, StatusRange,
    TcpCheck, TlsCheck, TlsSettings, Transport, Wanted,
};
pub use system::SystemProber;
pub use tls::Roots;

/// A part of a probe: `Err` is the outcome that ends it.
type Step<T> = Result<T, Outcome>;

/// Executes probes. The real one opens sockets; tests and virtual time script one.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Probes `address` once as `check` says and returns within the check's timeout.
    ///
    /// Trouble of our own (no socket, no route out, no permission, a broken configuration) is
    /// [`Outcome::Unknown`], never a failure. Cancel-safe: a dropped probe leaves no process and no socket behind.
    async fn probe(&self, address: IpAddr, check: &Arc<Check>) -> Report;
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
