//! Random settings: up to four targets of up to two addresses or a host name each, under one check or several, in tiers,
//! with or without a witness.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use failover::decision::{
    AllDown, Answer, CheckId, CheckPolicy, Coordination, Endpoint, FailbackMode, Flapping, Place, Policy,
    RecordPolicy, Require, Serve, TargetId, TargetPolicy, Thresholds,
};
use proptest::prelude::*;
use providers::{DomainName, RecordSet, RecordType, Snapshot, Ttl, Version};

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

pub(crate) fn sets_of<'a>(places: impl IntoIterator<Item = &'a Place>, ttl: u32) -> Sets {
    let answer = Answer::of(places);
    let sets = answer.map(|a| a.sets(Ttl(ttl)).iter().map(|s| (s.record_type(), s.clone())).collect());
    sets.unwrap_or_default()
}

pub(crate) fn snapshot(sets: Sets) -> Snapshot {
    Snapshot { name: name(), sets, version: Version::Values, marker: None, native: serde_json::Value::Null }
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
    let shape = proptest::collection::vec((0..3u8, 1..4usize, 0..4u32), 1..5);
    let named = prop::bool::weighted(0.25);
    // How many targets each tier takes, at most.
    let tiers = proptest::collection::vec(1..3usize, 4);
    let record = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (shape, named, tiers, record, any::<bool>()).prop_map(|(shape, named, tiers, record, witness)| {
        let mut policy = Policy { startup_grace: Duration::from_secs(30), ..Policy::default() };
        if witness {
            policy.witnesses.insert("w".into());
        }
        for (number, (family, checks, require)) in shape.iter().enumerate() {
            let v4 = format!("203.0.113.{}", number + 1).parse().unwrap();
            let v6 = format!("2001:db8::{}", number + 1).parse().unwrap();
            let name = format!("h{number}.example.net").parse().unwrap();
            let places: BTreeSet<Place> = match family {
                _ if named => [name].into(),
                0 => [v4].into(),
                1 => [v6].into(),
                _ => [v4, v6].into(),
            };
            let checks = ["web", "ssh", "db"][..*checks].iter().map(|check| (CheckId::from(*check), CHECK));
            let require = match require {
                0 | 1 => Require::All,
                2 => Require::Any,
                _ => Require::AtLeast(2),
            };
            let settings = TargetPolicy { places: places.into(), checks: checks.collect(), require };
            policy.targets.insert(target(number), settings);
        }
        let mut all: Vec<TargetId> = (0..shape.len()).map(target).collect();
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
            serve: if all_serve && !named { Serve::All } else { Serve::First },
            failback: if manual { FailbackMode::Manual } else { FailbackMode::Auto },
            failback_after: Duration::from_secs(40),
            hold_down: Duration::from_secs(20),
            adopt: adopts.then(|| FOREIGN[1].parse().unwrap()).into_iter().collect(),
            adopt_names: BTreeSet::new(),
            create,
            all_down: AllDown::default(),
            flapping: Flapping::default(),
            coordination: Coordination::default(),
        };
        policy.records.insert(name(), record);
        policy
    })
}

/// Everything that is probed.
pub(crate) fn endpoints(policy: &Policy) -> Vec<Endpoint> {
    let of = |(id, target): (&TargetId, &TargetPolicy)| {
        let at = |place: &Place| {
            let endpoint = |check: &CheckId| Endpoint {
                target: id.clone(),
                check: check.clone(),
                address: place.clone(),
            };
            target.checks.keys().map(endpoint).collect::<Vec<_>>()
        };
        target.places.iter().flat_map(at).collect::<Vec<_>>()
    };
    policy.targets.iter().flat_map(of).collect()
}

/// Places that may be found at the name: those of the targets, and strangers.
pub(crate) fn pool(policy: &Policy) -> Vec<Place> {
    let own = policy.targets.values().flat_map(|target| target.places.iter().cloned());
    own.chain(FOREIGN.iter().map(|address| address.parse().unwrap())).collect()
}

/// The members of the pool whose bits are set.
pub(crate) fn picked(pool: &[Place], bits: u16) -> BTreeSet<Place> {
    pool.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, place)| place.clone()).collect()
}
