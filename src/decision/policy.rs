//! What the operator wants, as checked values: the settings that judgement needs and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use providers::{DomainName, Ttl};
use serde::Serialize;

use super::{ByName, CheckId, Places, ProviderId, Require, Shared, TargetId, WitnessId};

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
    pub records: ByName<DomainName, RecordPolicy>,
    /// How many changes a minute a provider may be asked for; a provider that is not named has no such bound.
    pub velocity: BTreeMap<ProviderId, Velocity>,
    /// Who we are, for the markers of records with [`Coordination::Zone`].
    pub agent: String,
}

/// How many records of one provider may be changed within a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Velocity {
    /// So many, 1 or more.
    Records(u32),
    /// This share of the records configured at the provider, 1 to 100, rounded up.
    Percent(u8),
}

/// What is published when every target of a record is Down and a witness answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AllDown {
    /// What was published stays.
    #[default]
    Hold,
    /// Every address of every target: some resolver or client may still reach one.
    ServeAll,
    /// This target of the record, whether it works or not: a host with an apology, for instance.
    Fallback(TargetId),
}

/// How the agents that look after one record agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Coordination {
    /// There is one agent.
    #[default]
    None,
    /// By a marker in the zone, swapped together with the record.
    Zone,
}

/// When a record that changes too often is left alone (RFC 2439): see [`Penalty`](super::Penalty).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// In this time the penalty halves; more than zero.
    pub half_life: Duration,
    /// From a penalty of this height on the record is left alone.
    pub suppress: u32,
    /// Until it has fallen below this; 2 or more, at most `suppress`.
    pub reuse: u32,
}

impl Default for Flapping {
    /// Five changes in a row are made, then the record is left alone for about half an hour.
    fn default() -> Self {
        Flapping { half_life: Duration::from_mins(15), suppress: 4000, reuse: 1000 }
    }
}

impl Flapping {
    /// A penalty is never higher: one change above `suppress`.
    pub fn ceiling(&self) -> u32 {
        self.suppress.saturating_add(super::PER_CHANGE)
    }
}

/// A target: where it is and how it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Its addresses, at least one; or its host name, alone.
    pub places: Places,
    /// The checks of each place, at least one.
    pub checks: Shared<BTreeMap<CheckId, CheckPolicy>>,
    /// How they combine.
    pub require: Require,
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
    /// What is published when every target is Down.
    pub all_down: AllDown,
    /// When a record that changes too often is left alone.
    pub flapping: Flapping,
    /// How several agents agree.
    pub coordination: Coordination,
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
