//! What is told while the rehearsal runs: one line per thing that happened.

use std::time::Duration;

use providers::DomainName;
use serde::Serialize;

use super::shorten::seconds;
use crate::decision::{ChannelId, EventKind, Phases, TargetId};

/// What kind of thing happened; the name in JSON is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Every target was found to work; the play begins.
    Ready,
    /// Targets were killed.
    Killed,
    /// They were brought back.
    Returned,
    /// A person asked for a failback, as `failback: {mode: manual}` wants it.
    Asked,
    /// A probe said something new.
    Probed,
    /// The agent made an event.
    Event,
    /// The agent wrote at the provider.
    Written,
    /// The provider refused a write.
    Refused,
    /// The DNS server answered something new.
    Served,
    /// Every authoritative server has a change away from a failed target: where its time went.
    Phases,
    /// A second run ended.
    SecondRun,
    /// What should have happened did not, in good time.
    Late,
}

impl Kind {
    /// Who speaks, in one short word.
    pub fn voice(self) -> &'static str {
        match self {
            Kind::Ready | Kind::Killed | Kind::Returned | Kind::Late => "stage",
            Kind::Asked => "person",
            Kind::Probed => "probe",
            Kind::Event => "agent",
            Kind::Written | Kind::Refused => "write",
            Kind::Served => "dns",
            Kind::Phases => "time",
            Kind::SecondRun => "once",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// When, since the start.
    #[serde(rename = "at_s", serialize_with = "seconds")]
    pub at: Duration,
    /// What kind of thing.
    pub kind: Kind,
    /// The kind of event, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventKind>,
    /// The record concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<DomainName>,
    /// The targets concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetId>,
    /// Where the time of the change went, if that is what is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phases: Option<Phases>,
    /// In plain words, one line.
    pub text: String,
    /// The channels that would hear of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heard_by: Vec<ChannelId>,
    /// The whole message that they would be sent.
    #[serde(skip)]
    pub message: Option<String>,
    /// Of interest only to those who look closely.
    #[serde(skip)]
    pub minor: bool,
}

impl Entry {
    /// An entry of nothing but words.
    pub(super) fn new(at: Duration, kind: Kind, text: impl Into<String>) -> Self {
        Entry {
            at,
            kind,
            event: None,
            record: None,
            targets: Vec::new(),
            phases: None,
            text: text.into(),
            heard_by: Vec::new(),
            message: None,
            minor: false,
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [many @ .., last] => format!("{} and {last}", many.join(", ")),
    }
}
