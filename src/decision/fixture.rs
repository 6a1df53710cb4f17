//! A small stage for the tests of this room: `a` (both families) before `b` (IPv4).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use providers::{RecordSet, RecordType, Snapshot, Ttl, Version};

use super::*;

pub(super) const A4: &str = "203.0.113.10";
pub(super) const A6: &str = "2001:db8::10";
pub(super) const B4: &str = "198.51.100.5";

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn ips(texts: &[&str]) -> BTreeSet<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

pub(super) fn places(texts: &[&str]) -> BTreeSet<Place> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn place(text: &str) -> Place {
    text.parse().unwrap()
}

pub(super) fn answer(texts: &[&str]) -> Answer {
    Answer::of(&places(texts)).unwrap()
}

pub(super) fn at(second: i64) -> Moment {
    Moment::from_micros(second * 1_000_000)
}

pub(super) fn record() -> RecordPolicy {
    RecordPolicy {
        name: "www.example.com".parse().unwrap(),
        provider: "zone".into(),
        ttl: Ttl(60),
        tiers: vec![vec!["a".into()], vec!["b".into()]],
        serve: Serve::First,
        failback: FailbackMode::Auto,
        failback_after: Duration::from_mins(5),
        hold_down: Duration::from_mins(1),
        adopt: BTreeSet::new(),
        adopt_names: BTreeSet::new(),
        create: false,
        all_down: AllDown::default(),
        flapping: Flapping::default(),
        coordination: Coordination::default(),
    }
}

/// One failure makes a target Down, one pass Up.
pub(super) fn policy() -> Policy {
    let check = CheckPolicy {
        thresholds: Thresholds { fall: 1, rise: 1, clear: 1 },
        interval: Duration::from_secs(10),
        fast_interval: Duration::from_secs(1),
        timeout: Duration::from_secs(3),
        min_tls_days: None,
    };
    let target = |all: &[&str]| TargetPolicy {
        places: places(all).into(),
        checks: BTreeMap::from([("web".into(), check)]).into(),
        require: Require::All,
    };
    Policy {
        targets: BTreeMap::from([("a".into(), target(&[A4, A6])), ("b".into(), target(&[B4]))]),
        records: ByName::from([(record().name, record())]),
        velocity: BTreeMap::new(),
        agent: "here-1".into(),
        ..Policy::default()
    }
}

/// One probe by one check, begun and ended at these seconds.
pub(super) fn observation(
    check: &str,
    address: &str,
    (started, ended): (i64, i64),
    passed: Option<bool>,
) -> Observation {
    let policy = policy();
    let owner = policy.targets.iter().find(|(_, target)| target.places.contains(&place(address))).unwrap().0;
    let outcome = match passed {
        Some(true) => Outcome::Pass,
        Some(false) => Outcome::Fail("connection refused".into()),
        None => Outcome::Unknown("no route to host".into()),
    };
    let endpoint = Endpoint { target: owner.clone(), check: check.into(), address: place(address) };
    Observation {
        endpoint,
        started: at(started),
        ended: at(ended),
        outcome,
        timings: Timings::default(),
        certificate: None,
    }
}

/// The targets after these probes: second, address, and whether it passed; `None` for trouble of our own.
pub(super) fn probed(policy: &Policy, probes: &[(i64, &str, Option<bool>)]) -> Targets {
    let start = Now { moment: Moment::ZERO, wall: jiff::Timestamp::UNIX_EPOCH };
    let mut targets = Targets::new(policy, &BTreeMap::new(), &start);
    for (second, address, passed) in probes {
        targets.count(&observation("web", address, (*second, *second), *passed), Duration::ZERO);
    }
    targets
}

pub(super) fn holding(addresses: &[&str]) -> Snapshot {
    let sets: BTreeMap<RecordType, RecordSet> = Answer::of(&places(addresses))
        .map(|all| all.sets(Ttl(60)).iter().map(|set| (set.record_type(), set.clone())).collect())
        .unwrap_or_default();
    Snapshot {
        name: record().name,
        sets,
        version: Version::Values,
        marker: None,
        native: serde_json::Value::Null,
    }
}
