//! The checked configuration: what the rest of the program works with.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use providers::{DomainName, ProviderConfig};

use super::Marks;
use super::fault::Finding;
use crate::decision::{
    CheckId, CheckPolicy, Coordination, Place, Places, Policy, ProviderId, RecordPolicy, Require, Shared,
    TargetId, TargetPolicy, Thresholds, Velocity, WitnessId,
};
use crate::notify::NotifySettings;
use crate::probe::Check;
use crate::resolve::Resolvers;

/// Everything that was configured, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent itself.
    pub agent: AgentSettings,
    /// Where the local command line talks to the agent; `None` for nowhere.
    pub socket: Option<PathBuf>,
    /// The checks, as they are where no target changes them.
    pub checks: BTreeMap<CheckId, (Arc<Check>, Thresholds)>,
    /// The targets.
    pub targets: BTreeMap<TargetId, Target>,
    /// The providers.
    pub providers: BTreeMap<ProviderId, ProviderConfig>,
    /// How many of its records a provider may be asked to change within a minute; any number where it is not named.
    pub velocity: BTreeMap<ProviderId, Velocity>,
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
    /// Who is asked where a host name leads.
    pub resolvers: Resolvers,
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
    /// Its addresses; or its host name, alone.
    pub places: Places,
    /// The checks of each place, with what this target changes of them.
    pub checks: Shared<BTreeMap<CheckId, (Arc<Check>, Thresholds)>>,
    /// How they combine.
    pub require: Require,
}

impl Target {
    /// Its host name, if it has one and no addresses.
    pub fn host_name(&self) -> Option<&DomainName> {
        self.places.first().and_then(Place::name)
    }

    /// Has it a check of this name that is not the one that everybody shares?
    pub fn changes(&self, check: &CheckId, config: &Config) -> bool {
        let own = self.checks.get(check).zip(config.checks.get(check));
        own.is_some_and(|((own, at), (shared, shared_at))| !Arc::ptr_eq(own, shared) || at != shared_at)
    }

    /// What the decision is told of its checks.
    fn checks_policy(&self) -> Shared<BTreeMap<CheckId, CheckPolicy>> {
        let checks = self.checks.iter().map(|(id, (check, thresholds))| {
            let policy = CheckPolicy {
                thresholds: *thresholds,
                interval: check.interval,
                fast_interval: check.fast_interval,
                timeout: check.timeout,
                min_tls_days: check.kind.tls().and_then(|tls| tls.min_days).map(|min| min.days),
            };
            (id.clone(), policy)
        });
        checks.collect()
    }
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
    /// Is this record's answer a CNAME, because its targets have host names?
    pub fn is_alias(&self, record: &DomainName) -> bool {
        let targets = self.records.get(record).into_iter().flat_map(|record| record.policy.targets());
        targets.filter_map(|id| self.targets.get(id)).any(|target| target.host_name().is_some())
    }

    /// Has this record a marker beside it?
    pub fn has_marker(&self, record: &DomainName) -> bool {
        self.records.get(record).is_some_and(|record| record.policy.coordination == Coordination::Zone)
    }

    /// What the decision is told.
    pub fn policy(&self) -> Policy {
        // Targets that share their checks here share them there.
        let mut known: BTreeMap<*const _, Shared<_>> = BTreeMap::new();
        let targets = self.targets.iter().map(|(id, target)| {
            let checks = known.entry(&raw const *target.checks).or_insert_with(|| target.checks_policy());
            let (places, checks) = (target.places.clone(), checks.clone());
            (id.clone(), TargetPolicy { places, checks, require: target.require })
        });
        Policy {
            startup_grace: self.agent.startup_grace,
            witnesses: self.agent.witnesses.keys().cloned().collect(),
            targets: targets.collect(),
            records: self.records.iter().map(|(name, r)| (name.clone(), r.policy.clone())).collect(),
            velocity: self.velocity.clone(),
            agent: self.agent.id.clone(),
        }
    }
}
