//! What a person or a program may be told. One flat form for all kinds: what happened, from where to
//! where, why, since when, effective by when, what next. The message of every channel is made of it.

use std::fmt;

use jiff::Timestamp;
use providers::DomainName;
use serde::{Deserialize, Serialize};

use super::{Phases, TargetId};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident;)*) => {
        /// The kinds of event, by their stable names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$name),*];

            /// The stable name, as in routes and JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(EventKind::$name => $text),* }
            }

            /// How much a person should care, unless the event itself says otherwise.
            pub fn severity(self) -> Severity {
                match self { $(EventKind::$name => Severity::$severity),* }
            }
        }
    };
}

kinds! {
    /// A target, or one family of its addresses, no longer works.
    TargetDown = "target.down", Warning;
    /// It works again, or for the first time.
    TargetUp = "target.up", Info;
    /// Nothing has been heard of it for too long.
    TargetUnknown = "target.unknown", Warning;
    /// A change away from a failed target is about to be written.
    FailoverStarted = "failover.started", Debug;
    /// It was written and read back.
    FailoverCompleted = "failover.completed", Critical;
    /// It could not be written; the agent goes on trying where that can help.
    FailoverFailed = "failover.failed", Critical;
    /// A change back to a better target is about to be written.
    FailbackStarted = "failback.started", Debug;
    /// It was written and read back.
    FailbackCompleted = "failback.completed", Warning;
    /// It could not be written.
    FailbackFailed = "failback.failed", Warning;
    /// Any other change of a record (a pool's member, a TTL, drift put right, a new record) is about to be written.
    AdjustStarted = "adjust.started", Debug;
    /// It was written and read back.
    AdjustCompleted = "adjust.completed", Info;
    /// It could not be written.
    AdjustFailed = "adjust.failed", Warning;
    /// A change was due and a guard withheld it.
    ChangeWithheld = "change.withheld", Warning;
    /// A person knows that a record changed too often: `failover ack`.
    RecordAcknowledged = "record.acknowledged", Info;
    /// Every authoritative server serves the change.
    PropagationCompleted = "propagation.completed", Info;
    /// Some authoritative server still does not serve the change.
    PropagationSlow = "propagation.slow", Warning;
    /// The record was changed by somebody else, or a server serves something else.
    DriftDetected = "drift.detected", Warning;
    /// Another agent changed the record, as its marker tells.
    ChangeByPeer = "change.by_peer", Info;
    /// The marker of a record is gone, cannot be followed, or says something that cannot be.
    MarkerSuspect = "marker.suspect", Warning;
    /// Every target of a record is down; it says whether the record stays or what is published instead.
    AllDown = "all_down", Critical;
    /// The agent is cut off: none of its witnesses answers.
    AgentBlind = "agent.blind", Warning;
    /// A witness answers again, or the agent goes on after it stood still: verdicts are formed anew.
    AgentSighted = "agent.sighted", Info;
    /// The agent started.
    AgentStarted = "agent.started", Info;
    /// The agent was asked to stop and stopped.
    AgentStopped = "agent.stopped", Info;
    /// Another configuration was taken over; `reason` says what changed.
    ConfigReloaded = "config.reloaded", Info;
    /// A changed configuration was refused; the old one goes on.
    ConfigRefused = "config.refused", Warning;
    /// A certificate that a target shows ends soon, or has ended.
    CertificateExpiring = "certificate.expiring", Warning;
    /// A person drained a target, pinned a record, or paused one or everything.
    OverrideSet = "override.set", Info;
    /// A person, or a configuration without its subject, ended an override.
    OverrideCleared = "override.cleared", Info;
    /// An override has come to its end: the usual rules hold again.
    OverrideExpired = "override.expired", Warning;
    /// The state cannot be written; the agent goes on from memory.
    StateUnwritable = "state.unwritable", Critical;
    /// The state can be written again.
    StateRecovered = "state.recovered", Info;
    /// Something that an earlier run kept cannot be true; it was put right.
    StateCorrected = "state.corrected", Warning;
    /// A provider cannot be read or written.
    ProviderUnavailable = "provider.unavailable", Warning;
    /// It can again.
    ProviderRecovered = "provider.recovered", Info;
    /// A message was given up after many attempts.
    DeliveryExhausted = "delivery.exhausted", Warning;
    /// A test message asked for by a person.
    NotifyTest = "notify.test", Info;
}

impl EventKind {
    /// The highest severity that an event of this kind can have.
    pub fn highest_severity(self) -> Severity {
        match self {
            // A member that fails leaves a pool by an adjustment.
            EventKind::AdjustCompleted => Severity::Warning,
            // When only a person can put it right.
            EventKind::ProviderUnavailable => Severity::Critical,
            other => other.severity(),
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much a person should care, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record only.
    Debug,
    /// Good to know.
    Info,
    /// Something wants attention in working hours.
    Warning,
    /// Something wants attention now.
    Critical,
}

impl Severity {
    /// The stable name, as in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// One side of a change: who was served, and by which values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The targets, in order of priority; empty when the values are nobody's.
    pub targets: Vec<TargetId>,
    /// The published values, sorted.
    pub values: Vec<String>,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = if self.values.is_empty() { "nothing".into() } else { self.values.join(", ") };
        if self.targets.is_empty() {
            return f.write_str(&values);
        }
        let names: Vec<&str> = self.targets.iter().map(TargetId::as_str).collect();
        write!(f, "{} ({values})", names.join(" + "))
    }
}

/// What one authoritative server was seen to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSeen {
    /// The server's name and address.
    pub server: String,
    /// When it was first seen to serve the change; `None` if it was not.
    pub at: Option<Timestamp>,
    /// What it served last, or why that is not known.
    pub serves: String,
}

/// One event. Fields that do not apply are `None` or empty and left out of the JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// How much a person should care.
    pub severity: Severity,
    /// When.
    pub time: Timestamp,
    /// The incident it belongs to: events of one outage share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// The record concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<DomainName>,
    /// The target concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetId>,
    /// One line that a person understands.
    pub summary: String,
    /// What was published before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Side>,
    /// What is published now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Side>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when the reason holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the last cache that holds an old answer will have dropped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_by: Option<Timestamp>,
    /// What the authoritative servers were seen to serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerSeen>,
    /// How long after the first failure each step of a change was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<Phases>,
    /// The guard that withheld a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// What the agent will do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Event {
    /// An event with the usual severity of its kind and nothing but a summary.
    pub fn new(kind: EventKind, time: Timestamp, summary: impl Into<String>) -> Self {
        Event {
            kind,
            severity: kind.severity(),
            time,
            incident: None,
            record: None,
            target: None,
            summary: summary.into(),
            before: None,
            after: None,
            reason: None,
            since: None,
            effective_by: None,
            servers: Vec::new(),
            phases: None,
            guard: None,
            remedy: None,
            next: None,
        }
    }
}

/// An event as it is kept and sent: with its identity and the agent that saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Unique for ever; the same over every retry, so that a receiver can drop what it has.
    pub id: String,
    /// The agent.
    pub agent: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
