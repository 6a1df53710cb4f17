//! Random settings: up to four targets of up to two addresses, in tiers, with or without a witness.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use failover::decision::{
    CheckPolicy, FailbackMode, Policy, RecordPolicy, Serve, TargetId, TargetPolicy, Thresholds, answer_sets,
};
use proptest::prelude::*;
use providers::{DomainName, NonEmpty, RecordSet, RecordType, Snapshot, Ttl, Version};

pub(crate) type Sets = BTreeMap<RecordType, RecordSet>;

pub(crate) const CHECK: CheckPolicy = CheckPolicy {
    thresholds: Thresholds { fall: 3, rise: 3, clear: 6 },
    interval: Duration::from_secs(10),
    fast_interval: Duration::from_secs(1),
    timeout: Duration::from_secs(3),
    min_tls_days: None,
};
/// Nobody's addresses; the second may be taken over.
pub(crate) const FOREIGN: [&str; 2] = ["192.0.2.99", "192.0.2.77"];

pub(crate) fn name() -> DomainName {
    "www.example.com".parse().unwrap()
}

pub(crate) fn target(number: usize) -> TargetId {
    format!("t{number}").into()
}

pub(crate) fn sets_of(addresses: impl IntoIterator<Item = IpAddr>, ttl: u32) -> Sets {
    let all = NonEmpty::new(addresses);
    let sets =
        all.map(|all| answer_sets(&all, Ttl(ttl)).iter().map(|s| (s.record_type(), s.clone())).collect());
    sets.unwrap_or_default()
}

pub(crate) fn snapshot(sets: Sets) -> Snapshot {
    Snapshot { name: name(), sets, version: Version::Values, native: serde_json::Value::Null }
}

/// So many random cases, or as many as `PROPTEST_CASES` says. What fails is kept beside its source and tried first
/// from then on.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let more = std::env::var_os("PROPTEST_CASES").is_some();
    let config = if more { ProptestConfig::default() } else { ProptestConfig::with_cases(usual) };
    let kept = proptest::test_runner::FileFailurePersistence::WithSource("regressions");
    ProptestConfig { failure_persistence: Some(Box::new(kept)), ..config }
}

/// The settings of one story.
pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    let families = proptest::collection::vec(0..3u8, 1..5);
    // How many targets each tier takes, at most.
    let tiers = proptest::collection::vec(1..3usize, 4);
    let record = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (families, tiers, record, any::<bool>()).prop_map(|(families, tiers, record, witness)| {
        let mut policy = Policy { startup_grace: Duration::from_secs(30), ..Policy::default() };
        if witness {
            policy.witnesses.insert("w".into());
        }
        for (number, family) in families.iter().enumerate() {
            let v4 = format!("203.0.113.{}", number + 1).parse().unwrap();
            let v6 = format!("2001:db8::{}", number + 1).parse().unwrap();
            let addresses: BTreeSet<IpAddr> = match family {
                0 => [v4].into(),
                1 => [v6].into(),
                _ => [v4, v6].into(),
            };
            let checks = BTreeMap::from([("web".into(), CHECK)]);
            policy.targets.insert(target(number), TargetPolicy { addresses, checks });
        }
        let mut all: Vec<TargetId> = (0..families.len()).map(target).collect();
        let mut chosen = Vec::new();
        for size in tiers {
            let tier: Vec<TargetId> = all.drain(..size.min(all.len())).collect();
            chosen.extend(Some(tier).filter(|tier| !tier.is_empty()));
        }
        let (all_serve, manual, create, adopts) = record;
        let record = RecordPolicy {
            name: name(),
            provider: "zone".into(),
            ttl: Ttl(60),
            tiers: chosen,
            serve: if all_serve { Serve::All } else { Serve::First },
            failback: if manual { FailbackMode::Manual } else { FailbackMode::Auto },
            failback_after: Duration::from_secs(40),
            hold_down: Duration::from_secs(20),
            adopt: adopts.then(|| FOREIGN[1].parse().unwrap()).into_iter().collect(),
            adopt_names: BTreeSet::new(),
            create,
        };
        policy.records.insert(name(), record);
        policy
    })
}

/// Addresses that may be found at the name: those of the targets, and strangers.
pub(crate) fn pool(policy: &Policy) -> Vec<IpAddr> {
    let own = policy.targets.values().flat_map(|target| target.addresses.iter().copied());
    own.chain(FOREIGN.iter().map(|address| address.parse().unwrap())).collect()
}

/// The members of the pool whose bits are set.
pub(crate) fn picked(pool: &[IpAddr], bits: u16) -> BTreeSet<IpAddr> {
    pool.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, address)| *address).collect()
}
