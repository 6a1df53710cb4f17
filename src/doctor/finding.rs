//! What the doctor says: one line each.

use clap::ValueEnum;
use serde::Serialize;

/// What is looked at, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// What the configuration warns of.
    Config,
    /// The state file, its folder and its lock.
    State,
    /// The socket of the running agent.
    Socket,
    /// Open files allowed to a process.
    Descriptors,
    /// The permission to send ICMP echo requests, where a check does.
    Icmp,
    /// The certificate authorities that this machine trusts.
    Roots,
    /// The witnesses answer.
    Witnesses,
    /// Each provider: reachable, credentials, zones.
    Provider,
    /// The clock of each provider against ours.
    Clock,
    /// Each record: there, ours, its TTL.
    Record,
    /// The record may be changed.
    Permission,
    /// The zone's authoritative servers answer and agree.
    Servers,
    /// There is a healthy target to fail over to.
    Standby,
    /// Somebody is told.
    Channels,
}

impl Topic {
    /// The word of `--only` and of the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Topic::Config => "config",
            Topic::State => "state",
            Topic::Socket => "socket",
            Topic::Descriptors => "descriptors",
            Topic::Icmp => "icmp",
            Topic::Roots => "roots",
            Topic::Witnesses => "witnesses",
            Topic::Provider => "provider",
            Topic::Clock => "clock",
            Topic::Record => "record",
            Topic::Permission => "permission",
            Topic::Servers => "servers",
            Topic::Standby => "standby",
            Topic::Channels => "channels",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Not tested, and why: nothing is wrong that is known.
    Skip,
    /// It works today.
    Warn,
    /// It does not work, or will not when it must.
    Fail,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Topic,
    /// Of what: a record, a provider, a path; empty where there is one only.
    pub subject: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub text: String,
    /// What to do, where there is something.
    pub remedy: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: Topic, subject: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding { check, subject: subject.into(), level: Level::Ok, text: text.into(), remedy: None }
    }

    /// Not tested, and why.
    pub fn skip(check: Topic, subject: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding { level: Level::Skip, ..Finding::ok(check, subject, text) }
    }

    /// It works today.
    pub fn warn(
        check: Topic,
        subject: impl Into<String>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Warn, remedy: Some(remedy.into()), ..Finding::ok(check, subject, text) }
    }

    /// It does not work.
    pub fn fail(
        check: Topic,
        subject: impl Into<String>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Fail, remedy: Some(remedy.into()), ..Finding::ok(check, subject, text) }
    }
}
