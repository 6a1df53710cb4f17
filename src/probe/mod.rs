//! Probing: one file per kind of check, and the scheduler.
//!
//! A probe always connects to the target's own address, with Host and SNI of the service, never through the
//! record it may change. It finds out and makes no choices.

mod spec;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::decision::{Outcome, Timings};

pub use spec::{BodyMatch, Check, CheckKind, ExecCheck, HttpCheck, StatusRange, TcpCheck};

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
}
