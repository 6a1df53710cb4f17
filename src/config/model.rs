//! The checked configuration: what the rest of the program works with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use providers::{DomainName, ProviderConfig};

use super::Marks;
use super::fault::Finding;
use crate::decision::{
    CheckId, CheckPolicy, Policy, ProviderId, RecordPolicy, TargetId, TargetPolicy, Thresholds, WitnessId,
};
use crate::notify::NotifySettings;
use crate::probe::Check;

/// Everything that was configured, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent itself.
    pub agent: AgentSettings,
    /// Where the local command line talks to the agent; `None` for nowhere.
    pub socket: Option<PathBuf>,
    /// The checks.
    pub checks: BTreeMap<CheckId, (Arc<Check>, Thresholds)>,
    /// The targets.
    pub targets: BTreeMap<TargetId, Target>,
    /// The providers.
    pub providers: BTreeMap<ProviderId, ProviderConfig>,
    /// The records, by name.
    pub records: BTreeMap<DomainName, RecordSettings>,
    /// Channels and routes.
    pub notify: NotifySettings,
    /// What is no fault and yet deserves a word (no witnesses, for one).
    pub warnings: Vec<Finding>,
    /// To tell which entries another configuration has changed.
    pub marks: Marks,
}

/// See `agent:` in the YAML.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// Who speaks in events.
    pub id: String,
    /// The state file.
    pub state: PathBuf,
    /// How long to hold while a target has no verdict.
    pub startup_grace: Duration,
    /// Time between two looks at the live record.
    pub live_interval: Duration,
    /// The witnesses.
    pub witnesses: BTreeMap<WitnessId, Witness>,
}

/// Something that has nothing to do with the targets. Its id is its address as written.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Where it is.
    pub address: IpAddr,
    /// How it is probed.
    pub check: Arc<Check>,
}

/// A target.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// The checks each address must pass.
    pub checks: BTreeSet<CheckId>,
}

/// A record.
#[derive(Clone, Debug)]
pub struct RecordSettings {
    /// What judgement needs to know.
    pub policy: RecordPolicy,
    /// The zone, where it is not to be found at the provider.
    pub zone: Option<DomainName>,
    /// The authoritative servers, where they are not to be found by the zone's NS set.
    pub nameservers: Vec<SocketAddr>,
}

impl Config {
    /// What the decision is told.
    pub fn policy(&self) -> Policy {
        Policy {
            startup_grace: self.agent.startup_grace,
            witnesses: self.agent.witnesses.keys().cloned().collect(),
            targets: self
                .targets
                .iter()
                .map(|(id, target)| (id.clone(), self.target_policy(target)))
                .collect(),
            records: self.records.iter().map(|(name, r)| (name.clone(), r.policy.clone())).collect(),
        }
    }

    fn target_policy(&self, target: &Target) -> TargetPolicy {
        let checks = target.checks.iter().filter_map(|id| {
            let (check, thresholds) = self.checks.get(id)?;
            let policy = CheckPolicy {
                thresholds: *thresholds,
                interval: check.interval,
                fast_interval: check.fast_interval,
                timeout: check.timeout,
                min_tls_days: check.kind.tls().and_then(|tls| tls.min_days).map(|min| min.days),
            };
            Some((id.clone(), policy))
        });
        TargetPolicy { addresses: target.addresses.clone(), checks: checks.collect() }
    }
}
