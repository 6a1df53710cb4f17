//! Configurations of any size, and probes of them, for the benchmarks of judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use failover::decision::{
    AllDown, CheckPolicy, Coordination, Decision, Effect, Endpoint, FailbackMode, Flapping, Input, Moment,
    Now, Observation, Options, Outcome, Place, Policy, ProviderFace, RecordPolicy, Saved, Serve, TargetId,
    TargetPolicy, Thresholds, Timings,
};
use providers::{DomainName, RecordSet, RecordType, Snapshot, Ttl, Values, Version};

/// A decision over some targets and records, and the clock that it is told.
pub(crate) struct Stage {
    /// What is measured.
    decision: Decision,
    endpoints: Vec<Endpoint>,
    names: Vec<DomainName>,
    micros: i64,
    /// Microseconds between two probes: each endpoint is probed every 10 s.
    step: i64,
    next: usize,
    /// From one target that is probed to the next: in an order that has nothing to do with their names, as jitter makes it.
    stride: usize,
}

/// A step by which all of so many are visited before one of them again, far from each other.
fn stride(count: usize) -> usize {
    let coprime = |step: &usize| {
        let (mut a, mut b) = (count, *step);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    (count * 5 / 8 + 1..=count + 1).find(coprime).expect("two numbers side by side have no divisor in common")
}

fn address(number: usize) -> Place {
    let number = u32::try_from(number).expect("fewer than 2^32 targets");
    Place::Address(IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number)))
}

fn target(number: usize) -> TargetPolicy {
    let check = CheckPolicy {
        thresholds: Thresholds { fall: 3, rise: 3, clear: 6 },
        interval: Duration::from_secs(10),
        fast_interval: Duration::from_secs(1),
        timeout: Duration::from_secs(3),
        min_tls_days: None,
    };
    TargetPolicy {
        places: BTreeSet::from([address(number)]).into(),
        checks: BTreeMap::from([("web".into(), check)]).into(),
        ..TargetPolicy::default()
    }
}

fn record(number: usize, first: &TargetId, second: &TargetId) -> RecordPolicy {
    RecordPolicy {
        name: format!("r{number:07}.example.com").parse().expect("a name"),
        provider: "zone".into(),
        ttl: Ttl(60),
        tiers: vec![vec![first.clone()], vec![second.clone()]],
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

impl Stage {
    /// So many targets with one endpoint each; so many records that take them by turns, two each. All of them were probed
    /// and passed, and every record was read and points at its first target.
    pub(crate) fn new(targets: usize, records: usize) -> Stage {
        let ids: Vec<TargetId> = (0..targets).map(|number| format!("t{number:07}").as_str().into()).collect();
        let pair = |number: usize| (&ids[2 * number % targets], &ids[(2 * number + 1) % targets]);
        let records: Vec<RecordPolicy> = (0..records)
            .map(|number| {
                let (first, second) = pair(number);
                record(number, first, second)
            })
            .collect();
        let policy = Policy {
            targets: ids.iter().enumerate().map(|(number, id)| (id.clone(), target(number))).collect(),
            records: records.iter().map(|record| (record.name.clone(), record.clone())).collect(),
            agent: "bench".into(),
            ..Policy::default()
        };
        let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
        let faces = BTreeMap::from([("zone".into(), face)]);
        let start = Now { moment: Moment::ZERO, wall: jiff::Timestamp::UNIX_EPOCH };
        let mut decision = Decision::new(policy, faces, Options::default(), Saved::default(), &start);
        let _ = decision.start(&start);
        let endpoints = ids.iter().enumerate().map(|(number, id)| Endpoint {
            target: id.clone(),
            check: "web".into(),
            address: address(number),
        });
        let step = 10_000_000 / i64::try_from(targets).expect("fewer than 2^63 targets");
        let names = records.iter().map(|record| record.name.clone()).collect();
        let mut stage = Stage {
            decision,
            endpoints: endpoints.collect(),
            names,
            micros: 1,
            step,
            next: 0,
            stride: stride(targets),
        };
        // Nobody asks for the next wake-up here: each first verdict moves it, and then every record is asked for its own.
        for number in 0..targets {
            let input = stage.probed(number, Outcome::Pass);
            let _ = stage.take(input);
        }
        let _ = stage.take(Input::Tick);
        for number in 0..stage.names.len() {
            let first = address(2 * number % targets);
            let read = stage.read(number, &first);
            let _ = stage.take(read);
        }
        stage
    }

    fn now(&self) -> Now {
        let wall = jiff::Timestamp::from_microsecond(self.micros).expect("near its beginning");
        Now { moment: Moment::from_micros(self.micros), wall }
    }

    /// Hands one input to the decision.
    pub(crate) fn take(&mut self, input: Input) -> Vec<Effect> {
        let now = self.now();
        self.decision.handle(&now, input)
    }

    fn probed(&mut self, number: usize, outcome: Outcome) -> Input {
        self.micros += self.step;
        let at = self.now().moment;
        Input::Observed(Observation {
            endpoint: self.endpoints[number].clone(),
            started: at,
            ended: at,
            outcome,
            timings: Timings { total: Duration::from_micros(300), ..Timings::default() },
            certificate: None,
        })
    }

    /// The next endpoint in turn passes, and the shell wakes up when it is time.
    pub(crate) fn pass(&mut self) {
        let number = self.next;
        self.next = (number + self.stride) % self.endpoints.len();
        let input = self.probed(number, Outcome::Pass);
        let _ = self.take(input);
        let now = self.now().moment;
        if self.decision.next_wakeup(now) <= now {
            let _ = self.take(Input::Tick);
        }
    }

    /// One target fails once.
    pub(crate) fn fail(&mut self, number: usize) -> Vec<Effect> {
        let input = self.probed(number, Outcome::Fail("connection refused".into()));
        self.take(input)
    }

    /// What a record is read to hold.
    pub(crate) fn read(&self, record: usize, place: &Place) -> Input {
        let Place::Address(IpAddr::V4(address)) = place else {
            unreachable!("every target has an IPv4 address")
        };
        let set = RecordSet::new(Ttl(60), Values::A(providers::NonEmpty::one(*address)));
        let name = self.names[record].clone();
        let snapshot = Snapshot {
            name: name.clone(),
            sets: BTreeMap::from([(RecordType::A, set)]),
            version: Version::Values,
            marker: None,
            native: serde_json::Value::Null,
        };
        Input::Read { record: name, result: Ok(snapshot) }
    }

    /// The target with this number has failed twice, and all others passed a probe after each time: with the next
    /// failure it is Down, and nothing has to be waited for.
    pub(crate) fn site_is_about_to_fail(&mut self, number: usize) {
        for _ in 0..2 {
            let _ = self.fail(number);
            for other in (0..self.endpoints.len()).filter(|other| *other != number) {
                let input = self.probed(other, Outcome::Pass);
                let _ = self.take(input);
            }
        }
    }

    /// Every record is read and found to point at this target.
    pub(crate) fn reads(&self, target: usize) -> Vec<Input> {
        let place = address(target);
        (0..self.names.len()).map(|record| self.read(record, &place)).collect()
    }
}
