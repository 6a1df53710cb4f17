//! Who plays: settings, providers and agents, drawn from the seed. Times are short, so that a schedule holds much.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use failover::decision::{
    AllDown, Answer, CheckId, CheckPolicy, Coordination, Endpoint, FailbackMode, Flapping, Place, Policy,
    ProviderId, RecordPolicy, Require, Serve, Severity, TargetId, TargetPolicy, Thresholds, Velocity,
};
use failover::notify::{NotifySettings, Route, Service};
use failover::probe::Rhythm;
use providers::{DomainName, RecordSet, RecordType, Ttl};

use crate::rng::Rng;

pub(crate) type Sets = BTreeMap<RecordType, RecordSet>;

pub(crate) const MILLI: i64 = 1000;
pub(crate) const SECOND: i64 = 1000 * MILLI;

/// Nobody's addresses; the second may be taken over by some records.
pub(crate) const FOREIGN: [&str; 2] = ["192.0.2.99", "192.0.2.77"];
/// A name beside the records, which nobody may touch.
pub(crate) const BYSTANDER: &str = "mail.example.com";

/// How a provider swaps: see `providers::SwapTier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// The server compares and swaps in one step.
    T1,
    /// By the ids of records: whatever was written since is another record.
    T2,
    /// The adapter looks and compares; a moment later it replaces, whatever is there by then.
    T3,
    /// Value by value, after a look.
    T4,
}

#[derive(Clone, Debug)]
pub(crate) struct Vendor {
    pub(crate) id: ProviderId,
    pub(crate) tier: Tier,
    pub(crate) atomic_name: bool,
    pub(crate) names_per_swap: usize,
    pub(crate) ttl_min: u32,
    pub(crate) servers: usize,
}

/// Everything that is fixed before the first event.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) policy: Policy,
    pub(crate) rhythm: Rhythm,
    pub(crate) vendors: Vec<Vendor>,
    pub(crate) initial: BTreeMap<DomainName, Sets>,
    pub(crate) agents: usize,
    pub(crate) live_interval: i64,
    pub(crate) notify: NotifySettings,
    pub(crate) services: Vec<Service>,
    /// When the faults are over.
    pub(crate) calm_from: i64,
}

pub(crate) fn sets_of<'a>(places: impl IntoIterator<Item = &'a Place>, ttl: u32) -> Sets {
    let answer = Answer::of(places);
    let sets = answer.map(|a| a.sets(Ttl(ttl)).iter().map(|s| (s.record_type(), s.clone())).collect());
    sets.unwrap_or_default()
}

pub(crate) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap()
}

fn secs(rng: &mut Rng, low: i64, high: i64) -> Duration {
    Duration::from_secs(u64::try_from(rng.range(low, high + 1)).unwrap())
}

fn threshold(rng: &mut Rng, most: i64) -> u32 {
    u32::try_from(rng.range(1, most + 1)).unwrap()
}

impl Vendor {
    /// Does it swap a marker in the same transaction, and compare it?
    pub(crate) fn marker(&self) -> bool {
        matches!(self.tier, Tier::T1 | Tier::T2)
    }
}

impl Setup {
    pub(crate) fn draw(seed: u64) -> Setup {
        let mut rng = Rng::new(seed ^ 0x5e7);
        let rng = &mut rng;
        let check = CheckPolicy {
            thresholds: Thresholds {
                fall: threshold(rng, 3),
                rise: threshold(rng, 3),
                clear: threshold(rng, 6),
            },
            interval: secs(rng, 4, 10),
            fast_interval: Duration::from_secs(1),
            timeout: secs(rng, 1, 3),
            min_tls_days: None,
        };
        let named = rng.percent(10);
        let targets: BTreeMap<TargetId, TargetPolicy> =
            (0..2 + rng.below(3)).map(|n| (target(n), draw_target(rng, n, named, check))).collect();
        // What changes one record set at a time is refused both families at once (guard `capability`): nothing would move.
        let one_family = targets.values().all(|target| target.places.len() == 1);
        let tiers: &[Tier] = &[Tier::T1, Tier::T1, Tier::T2, Tier::T3, Tier::T4];
        let tiers = if one_family { tiers } else { &tiers[..4] };
        let vendors = vec![draw_vendor(rng, tiers, 0), draw_vendor(rng, tiers, 1)];
        let agents = if rng.percent(80) { 1 } else { *rng.pick(&[2, 2, 2, 3, 3, 4, 5]) };
        let most = 2 + usize::from(rng.percent(30));
        let limited = rng.percent(12);
        // A bound on what is changed in a minute says nothing of one record.
        let count = if limited { 2 + rng.below(2) } else { 1 + rng.below(most) };
        let at = if limited { &vendors[..1] } else { &vendors[..] };
        let mut velocity = BTreeMap::new();
        if limited {
            let most = *rng.pick(&[Velocity::Records(1), Velocity::Records(2), Velocity::Percent(50)]);
            velocity.insert(vendors[0].id.clone(), most);
        }
        let stage = Stage { targets: &targets, vendors: at, named, agents };
        let records: Vec<RecordPolicy> = (0..count).map(|n| draw_record(rng, n, &stage)).collect();
        let initial = records.iter().map(|r| (r.name.clone(), draw_initial(rng, r, &targets))).collect();
        let policy = Policy {
            startup_grace: secs(rng, 3, 12),
            witnesses: (0..rng.below(3)).map(|n| format!("w{n}").as_str().into()).collect(),
            targets,
            records: records.into_iter().map(|r| (r.name.clone(), r)).collect(),
            velocity,
            agent: "agent-0".into(),
        };
        let (notify, services) = draw_channels(rng);
        Setup {
            seed,
            rhythm: Rhythm {
                interval: check.interval,
                fast_interval: check.fast_interval,
                jitter_percent: 10,
            },
            vendors,
            initial,
            agents,
            live_interval: seconds(secs(rng, 8, 15)),
            notify,
            services,
            calm_from: rng.range(40, 130) * SECOND,
            policy,
        }
    }

    pub(crate) fn check_policy(&self) -> CheckPolicy {
        *self.policy.targets.values().flat_map(|t| t.checks.values()).next().unwrap()
    }

    pub(crate) fn vendor_of(&self, record: &DomainName) -> usize {
        let provider = &self.policy.records[record].provider;
        self.vendors.iter().position(|vendor| vendor.id == *provider).unwrap()
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        let mut all = Vec::new();
        for (id, target) in &self.policy.targets {
            for check in target.checks.keys() {
                let at = |place: &Place| Endpoint {
                    target: id.clone(),
                    check: check.clone(),
                    address: place.clone(),
                };
                all.extend(target.places.iter().map(at));
            }
        }
        all
    }

    /// Within this time after the last fault every record must hold what the rules say: what an earlier verdict needs
    /// to grow stale or to be counted anew, the grace, the way back with its patience, a hold-down before each of two
    /// changes, the longest pause after a provider's fault, and one call that is given up.
    pub(crate) fn converges_within(&self) -> i64 {
        let check = self.check_policy();
        let counting =
            check.interval * (3 + check.thresholds.fall + check.thresholds.rise) + check.timeout * 4;
        let slowest = |of: fn(&RecordPolicy) -> Duration| self.policy.records.values().map(of).max().unwrap();
        let pauses = Duration::from_secs(32 + 30);
        seconds(counting + self.policy.startup_grace + pauses)
            + self.live_interval * 2
            + seconds(slowest(|r| r.failback_after) + slowest(|r| r.hold_down) * 2)
            // A minute for each record that waits for its turn, and one for what was changed before.
            + if self.policy.velocity.is_empty() { 0 } else { self.queue_drains_within() }
            // From the highest penalty to the point where a record may move again.
            + seconds(slowest(|r| r.flapping.half_life) * 3)
    }
}

impl Setup {
    /// Several agents look after it without a marker, and by the rules it may stand at more than one place: each takes the
    /// others' choice for drift and puts it right, for ever. `coordination: none` is for one agent.
    pub(crate) fn is_contested(&self, record: &DomainName) -> bool {
        let record = &self.policy.records[record];
        let choice = record.serve == Serve::First && record.tiers.iter().any(|tier| tier.len() > 1);
        let choice = choice || record.failback == FailbackMode::Manual;
        self.agents > 1 && record.coordination == Coordination::None && choice
    }

    fn queue_drains_within(&self) -> i64 {
        let records = i64::try_from(self.policy.records.len()).unwrap();
        60 * SECOND * (records + 1)
    }
}

fn target(number: usize) -> TargetId {
    ["alpha", "bravo", "charlie", "delta"][number].into()
}

fn draw_target(rng: &mut Rng, number: usize, named: bool, check: CheckPolicy) -> TargetPolicy {
    let mut places = BTreeSet::new();
    if named {
        places.insert(format!("{}.example.net", target(number)).parse().unwrap());
    } else {
        places.insert(format!("203.0.113.{}", 10 + number).parse().unwrap());
        if rng.percent(35) {
            places.insert(format!("2001:db8::{}", 10 + number).parse().unwrap());
        }
    }
    let several = rng.percent(15);
    let checks: &[&str] = if several { &["ssh", "web"] } else { &["web"] };
    let require = if several && rng.percent(50) { Require::Any } else { Require::All };
    let checks = checks.iter().map(|id| (CheckId::from(*id), check)).collect();
    TargetPolicy { places: places.into(), checks, require }
}

fn draw_vendor(rng: &mut Rng, tiers: &[Tier], number: usize) -> Vendor {
    let tier = *rng.pick(tiers);
    Vendor {
        id: ["north", "south"][number].into(),
        tier,
        atomic_name: tier != Tier::T4,
        names_per_swap: if tier == Tier::T1 || tier == Tier::T3 { 100 } else { 1 },
        ttl_min: *rng.pick(&[0, 0, 0, 120]),
        servers: 1 + rng.below(2),
    }
}

/// What a record is drawn for.
struct Stage<'a> {
    targets: &'a BTreeMap<TargetId, TargetPolicy>,
    vendors: &'a [Vendor],
    named: bool,
    agents: usize,
}

fn draw_all_down(rng: &mut Rng, stage: &Stage<'_>) -> AllDown {
    let all: Vec<&TargetId> = stage.targets.keys().collect();
    match rng.below(10) {
        // Several host names cannot stand together: that is refused with the configuration.
        0..=1 if !stage.named => AllDown::ServeAll,
        0..=2 => AllDown::Fallback((*rng.pick(&all)).clone()),
        _ => AllDown::Hold,
    }
}

fn draw_record(rng: &mut Rng, number: usize, stage: &Stage<'_>) -> RecordPolicy {
    let Stage { targets, vendors, named, agents } = *stage;
    let mut order: Vec<TargetId> = targets.keys().cloned().collect();
    for n in (1..order.len()).rev() {
        order.swap(n, rng.below(n + 1));
    }
    let serve = if !named && rng.percent(35) { Serve::All } else { Serve::First };
    let mut tiers: Vec<Vec<TargetId>> = Vec::new();
    for target in order {
        match tiers.last_mut() {
            Some(tier) if rng.percent(30) => tier.push(target),
            _ => tiers.push(vec![target]),
        }
    }
    let vendor = rng.pick(vendors);
    let marked = vendor.marker() && rng.percent(if agents > 1 { 80 } else { 12 });
    // Some records move as fast as they like, until the penalty ends it.
    let hasty = rng.percent(12);
    let suppress = if hasty { 2000 } else { *rng.pick(&[2000, 4000, 4000]) };
    let adopt: &[&str] = if rng.percent(20) { &FOREIGN[1..] } else { &[] };
    RecordPolicy {
        name: format!("{}.example.com", ["www", "api", "ftp"][number]).parse().unwrap(),
        provider: vendor.id.clone(),
        ttl: Ttl(60),
        tiers,
        serve,
        failback: if rng.percent(75) { FailbackMode::Auto } else { FailbackMode::Manual },
        failback_after: secs(rng, 5, 30),
        hold_down: if hasty { secs(rng, 1, 4) } else { secs(rng, 8, 40) },
        adopt: adopt.iter().map(|a| a.parse::<IpAddr>().unwrap()).collect(),
        adopt_names: BTreeSet::new(),
        create: rng.percent(30),
        all_down: draw_all_down(rng, stage),
        flapping: Flapping { half_life: secs(rng, 8, 25), suppress, ..Flapping::default() },
        coordination: if marked { Coordination::Zone } else { Coordination::None },
    }
}

fn draw_initial(rng: &mut Rng, record: &RecordPolicy, targets: &BTreeMap<TargetId, TargetPolicy>) -> Sets {
    let first = &record.tiers[0][0];
    let of = |target: &TargetId| sets_of(&targets[target].places, 60);
    match rng.below(20) {
        0 => Sets::new(),
        1 => sets_of(&[FOREIGN[rng.below(2)].parse().unwrap()], 300),
        2..=5 => of(rng.pick(&record.tiers.concat())),
        6 => sets_of(&targets[first].places, 300),
        _ => of(first),
    }
}

fn draw_channels(rng: &mut Rng) -> (NotifySettings, Vec<Service>) {
    let count = 1 + rng.below(2);
    let route = |rng: &mut Rng, number: usize| {
        let (events, min_severity): (&[&str], _) = match rng.below(3) {
            0 => (&["*"], Severity::Debug),
            1 => (&["*"], Severity::Info),
            _ => (&["failover.*", "failback.*", "adjust.*", "drift.*", "all_down"], Severity::Info),
        };
        let events = events.iter().map(|e| (*e).to_owned()).collect();
        Route { channel: channel(number).into(), events, min_severity }
    };
    let mut routes: Vec<Route> = (0..count).map(|number| route(rng, number)).collect();
    // One channel hears everything, so that what is told can be held against what happened.
    routes[0] = Route { channel: channel(0).into(), events: vec!["*".into()], min_severity: Severity::Debug };
    let services = (0..count).map(|_| *rng.pick(&[Service::Slack, Service::RocketChat, Service::Webhook]));
    (NotifySettings { channels: BTreeMap::new(), routes }, services.collect())
}

pub(crate) fn channel(number: usize) -> &'static str {
    ["ops", "audit"][number]
}
