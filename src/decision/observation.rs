//! What a probe found out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CheckId, Moment, Place, TargetId, WitnessId};

/// One thing that is probed and counted by itself: a target's place under one of its checks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The target.
    pub target: TargetId,
    /// The check.
    pub check: CheckId,
    /// The target's own address that the probe connects to, or its host name.
    pub address: Place,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) by {}", self.target, self.address, self.check)
    }
}

/// What one probe says of its endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum Outcome {
    /// The endpoint did what the check asks.
    Pass,
    /// The endpoint did not. The text says what was seen and what was wanted.
    Fail(String),
    /// Our own resolver, socket or configuration is in trouble: no word about the endpoint.
    Unknown(String),
}

impl Outcome {
    /// Why it is no pass; empty for a pass.
    pub fn reason(&self) -> &str {
        match self {
            Outcome::Pass => "",
            Outcome::Fail(reason) | Outcome::Unknown(reason) => reason,
        }
    }
}

/// How long the parts of a probe took, each from the end of the part before; `None` for a part that was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// The target's host name resolved, where it has one. What a cache knew took no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<Duration>,
    /// TCP connection set up.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// From the request sent to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// The whole probe.
    pub total: Duration,
}

/// The certificate that a server showed for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 over its DER, lower-case hex: another certificate has another one.
    pub fingerprint: String,
    /// What it is for, as a person reads it: its first names.
    pub names: String,
    /// When it ends.
    pub not_after: Timestamp,
}

/// One probe's result on its way into the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What was probed.
    pub endpoint: Endpoint,
    /// When the probe began.
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
    /// What it says.
    pub outcome: Outcome,
    /// Where its time went.
    pub timings: Timings,
    /// The certificate that was shown, where the check came so far as to see one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Arc<Certificate>>,
}

/// One probe of a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The witness.
    pub witness: WitnessId,
    /// When the probe began.
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
    /// Whether the witness was seen. `Unknown` counts as not seen: we look for ourselves here.
    pub outcome: Outcome,
}
