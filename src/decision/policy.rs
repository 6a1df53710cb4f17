//! What the operator wants, as checked values: the settings that judgement needs and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use providers::{DomainName, Ttl};
use serde::Serialize;

use super::{CheckId, ProviderId, TargetId, WitnessId};

/// Everything the decision is told of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How long after the start, and after sight returns, records are held while a target has no verdict.
    pub startup_grace: Duration,
    /// The witnesses; none means that the agent cannot know whether it is cut off itself.
    pub witnesses: BTreeSet<WitnessId>,
    /// The targets.
    pub targets: BTreeMap<TargetId, TargetPolicy>,
    /// The records.
    pub records: BTreeMap<DomainName, RecordPolicy>,
}

/// A target: its addresses and how they are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Its addresses, at least one.
    pub addresses: BTreeSet<IpAddr>,
    /// The checks that each address must pass, at least one.
    pub checks: BTreeMap<CheckId, CheckPolicy>,
}

/// What the tracker needs to know of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckPolicy {
    /// When verdicts change.
    pub thresholds: Thresholds,
    /// Time between two probes when all is calm.
    pub interval: Duration,
    /// Time between two probes from the first failure until the tracker is calm again.
    pub fast_interval: Duration,
    /// The longest a probe may take.
    pub timeout: Duration,
    /// So many days before its end, or fewer, a certificate is warned of; the usual times when `None`.
    pub min_tls_days: Option<u32>,
}

impl CheckPolicy {
    /// Silence longer than this makes a verdict worthless: three intervals, and the probe that may still run.
    pub fn stale_after(&self) -> Duration {
        self.interval * 3 + self.timeout
    }
}

/// gdnsd's three thresholds: see the table in [`Tracker`](super::Tracker).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures that make it Down, 1 or more; they add up until `clear` passes in a row forgive them.
    pub fall: u32,
    /// Passes in a row that make it Up again, 1 or more.
    pub rise: u32,
    /// Passes in a row that forgive earlier failures, 1 or more.
    pub clear: u32,
}

/// Which of a tier's `Up` targets are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Serve {
    /// One of them, and that one as long as it works.
    #[default]
    First,
    /// All of them: a pool.
    All,
}

/// Who says when a recovered, better target is served again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailbackMode {
    /// The agent, after [`RecordPolicy::failback_after`].
    #[default]
    Auto,
    /// A person, with `failover failback RECORD`.
    Manual,
}

/// A record: one name that is managed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPolicy {
    /// The name.
    pub name: DomainName,
    /// Where it is written.
    pub provider: ProviderId,
    /// The TTL to publish.
    pub ttl: Ttl,
    /// Targets by priority: the first tier with an `Up` target serves. No tier is empty, no target occurs twice.
    pub tiers: Vec<Vec<TargetId>>,
    /// One target of the tier, or all.
    pub serve: Serve,
    /// Who says when to go back.
    pub failback: FailbackMode,
    /// How long a better target must have been Up before the agent goes back to it.
    pub failback_after: Duration,
    /// The shortest time between two changes.
    pub hold_down: Duration,
    /// Values that are no target's and may be replaced all the same.
    pub adopt: BTreeSet<IpAddr>,
    /// Canonical names that may be replaced.
    pub adopt_names: BTreeSet<DomainName>,
    /// May the record be made if it does not exist?
    pub create: bool,
}

impl RecordPolicy {
    /// Every target, in order of priority.
    pub fn targets(&self) -> impl Iterator<Item = &TargetId> {
        self.tiers.iter().flatten()
    }

    /// The tier a target is in, 0 for the best; `None` if it is none of this record's.
    pub fn tier_of(&self, target: &TargetId) -> Option<usize> {
        self.tiers.iter().position(|tier| tier.contains(target))
    }
}
