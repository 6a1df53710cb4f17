//! The running agent's door: HTTP over a local socket, for the command line. Only the owner may open it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/records/NAME/explain` | [`Explained`], or 404 when there is no such record |
//! | `POST /v1/records/NAME/failback` | 202, or 404 when there is no such record |
//! | `GET /v1/overrides` | what a person orders, as `overrides` in [`Status`] |
//! | `POST /v1/overrides` with an [`OverrideRequest`], 4 KiB at most | [`Ordered`]; 400, 404, 409 or 413 with the reason in words |
//! | `DELETE /v1/overrides/KEY?by=NAME` | [`Ordered`], or 404 when it is not in force; KEY: `drain/TARGET`, `pin/RECORD`, `pause`, `pause/RECORD` |
//! | `POST /v1/records/NAME/ack` | 202, or 404 when there is no such record |
//! | `GET /metrics` | [`Metrics`], as OpenMetrics text |

mod client;
mod doubt;
mod metrics;
mod overrides;
mod server;

use std::path::PathBuf;

use jiff::Timestamp;
use providers::DomainName;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::decision::{Delay, Explanation, OverrideFault, OverrideKey, Report};

pub use client::Client;
pub use metrics::{Metrics, Tally};
pub use overrides::{Ordered, OverrideRequest};
pub use server::serve;

/// What can be asked of a running agent.
#[derive(Debug)]
pub enum Command {
    /// What is known now.
    Status(oneshot::Sender<Status>),
    /// The same, with what was counted.
    Metrics(oneshot::Sender<Metrics>),
    /// Why is this record where it is? Answers nothing when there is no such record.
    Explain(DomainName, oneshot::Sender<Option<Explained>>),
    /// Take a record back to its best target now; answers whether there is such a record.
    Failback(DomainName, oneshot::Sender<bool>),
    /// Put an override into force.
    Order(OverrideRequest, oneshot::Sender<Result<Ordered, OverrideFault>>),
    /// End one; with the name of whoever says so.
    EndOrder(OverrideKey, String, oneshot::Sender<Result<Ordered, OverrideFault>>),
    /// A person knows that the record changed too often; answers whether there is such a record.
    Ack(DomainName, oneshot::Sender<bool>),
}

/// What an agent says of itself, of its targets and of its records. The form of `status -o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `agent` when a running agent told it, `state` when it was read from the state file.
    pub source: Source,
    /// Who.
    pub agent: String,
    /// The program's version.
    pub version: String,
    /// When the agent started; absent without a running agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// How old this knowledge is, seconds.
    pub age_s: u64,
    /// Why the state cannot be written, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_trouble: Option<String>,
    /// Messages that wait for their delivery.
    pub pending_deliveries: u64,
    /// How late the steady probes over TCP began since the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probe_delays: Vec<Delay>,
    /// Everything else.
    #[serde(flatten)]
    pub report: Report,
}

/// Why a record is where it is, and who says so. The form of `explain -o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// `agent` when a running agent told it, `state` when it was read from the state file.
    pub source: Source,
    /// Who.
    pub agent: String,
    /// How old this knowledge is, seconds.
    pub age_s: u64,
    /// Everything else.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// Where a [`Status`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A running agent.
    Agent,
    /// The state file that a run left behind.
    State,
}

/// Why a running agent cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Another agent listens on the socket. **Next:** this one must not start: one of the two would be out of reach.
    #[error("another agent listens on the socket {path}; give each its own `api.socket` and `agent.state`")]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be made. **Next:** do without; the agent does its work, and nobody can ask it.
    #[error("cannot listen on the socket {path}: {why}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why not, and what to do.
        why: String,
    },
    /// Nobody answers there.
    #[error("no agent answers at {path}: {why}")]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The agent does not know what was asked.
    #[error("the agent says: {0}")]
    Refused(String),
}
