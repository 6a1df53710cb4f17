//! What goes wrong, and when: a list drawn from the seed, of which the shrinker can leave out one after the other.

use failover::decision::{Place, What};
use providers::DomainName;

use crate::cast::{FOREIGN, MILLI, SECOND, Setup};
use crate::disk::Mood;
use crate::marks::{Spoil, marked};
use crate::provider::Mode;
use crate::rng::Rng;

/// One end of an agent's network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Link {
    Place(Place),
    Witness(usize),
    Vendor(usize),
    Channel(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Cut,
    /// So many percent are lost, each way.
    Lossy(usize),
    Slow,
    /// Requests come twice.
    Twice,
}

/// Where an agent dies, or stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    Now,
    BeforeCommit,
    AfterCommit,
    AfterSend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChatMood {
    Dead,
    Throttles,
    /// Says yes in a way that is no yes.
    Html,
    /// Takes the message, and the answer is lost.
    Forgetful,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    Target(usize),
    Foreign(usize),
    Delete,
    Ttl,
    Cname,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// These places do not work; `silent`: they do not even refuse. `flaps`: on and off, with this half period.
    Host {
        places: Vec<Place>,
        silent: bool,
        flaps: Option<i64>,
    },
    /// One check fails, the others pass.
    HalfHost {
        place: Place,
    },
    Net {
        agent: usize,
        links: Vec<Link>,
        line: Line,
    },
    /// No probe of this agent can be made.
    OwnTrouble {
        agent: usize,
    },
    Provider {
        vendor: usize,
        mode: Mode,
    },
    StaleReads {
        vendor: usize,
        lag: i64,
    },
    SlowServers {
        vendor: usize,
        by: i64,
    },
    Clock {
        agent: usize,
        by: i64,
    },
    /// At the given point of the so-manieth turn from now on that keeps or writes something.
    Freeze {
        agent: usize,
        point: Point,
        skip: u32,
        lasts: i64,
    },
    Crash {
        agent: usize,
        point: Point,
        skip: u32,
        down: i64,
        disk_lost: bool,
        asked: bool,
    },
    Human {
        record: DomainName,
        edit: Edit,
    },
    Chat {
        channel: usize,
        mood: ChatMood,
    },
    Disk {
        agent: usize,
        mood: Mood,
    },
    /// A person's order, at one agent or at all of them; `cleared`: ended by a person, and not by itself.
    Order {
        agent: Option<usize>,
        what: What,
        cleared: bool,
    },
    Marker {
        record: DomainName,
        how: Spoil,
    },
    /// A person says that the record may be changed again.
    Ack {
        agent: Option<usize>,
        record: DomainName,
    },
}

impl Fault {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Fault::Host { flaps: Some(_), .. } => "target flaps",
            Fault::Host { places, .. } if places.len() > 2 => "targets fail together",
            Fault::Host { .. } => "target fails",
            Fault::HalfHost { .. } => "one check fails",
            Fault::Net { line: Line::Cut, .. } => "network cut",
            Fault::Net { line: Line::Lossy(_), .. } => "network lossy (requests, replies)",
            Fault::Net { line: Line::Slow, .. } => "network slow",
            Fault::Net { line: Line::Twice, .. } => "requests duplicated",
            Fault::OwnTrouble { .. } => "own trouble",
            Fault::Provider { mode, .. } => match mode {
                Mode::Busy | Mode::Well => "provider busy",
                Mode::Throttled => "provider throttles",
                Mode::Locked => "provider refuses credentials",
                Mode::FailsAfter => "provider fails after applying",
                Mode::BreaksOff => "provider breaks off",
            },
            Fault::StaleReads { .. } => "stale reads",
            Fault::SlowServers { .. } => "slow propagation",
            Fault::Clock { .. } => "clock step",
            Fault::Freeze { .. } => "freeze",
            Fault::Crash { disk_lost: true, .. } => "crash, disk lost",
            Fault::Crash { asked: true, .. } => "stop and start",
            Fault::Crash { .. } => "crash",
            Fault::Human { .. } => "human edit",
            Fault::Chat { .. } => "dead chat",
            Fault::Disk { mood: Mood::Full, .. } => "disk full",
            Fault::Disk { .. } => "disk late",
            Fault::Order { what: What::Drain { .. }, .. } => "drain",
            Fault::Order { what: What::Pin { .. }, .. } => "pin",
            Fault::Order { .. } => "pause",
            Fault::Marker { .. } => "marker spoilt",
            Fault::Ack { .. } => "ack",
        }
    }
}

/// A fault, from when to when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) at: i64,
    pub(crate) until: i64,
    pub(crate) fault: Fault,
}

pub(crate) fn draw(setup: &Setup) -> Vec<Planned> {
    let mut rng = Rng::new(setup.seed ^ 0xfa017);
    let rng = &mut rng;
    // A few schedules of every hundred are quiet, and a few are wild.
    let count = match rng.below(20) {
        0 => 1,
        1 => 16,
        _ => 2 + rng.below(8),
    };
    let mut plan: Vec<Planned> = (0..count)
        .map(|_| {
            let at = rng.range(SECOND, setup.calm_from);
            let lasts = *rng.pick(&[2, 5, 8, 15, 30, 60]) * SECOND + rng.range(0, SECOND);
            Planned { at, until: (at + lasts).min(setup.calm_from), fault: draw_one(rng, setup) }
        })
        .collect();
    if setup.agents > 1 {
        let more = (0..setup.agents).map(|_| {
            let at = rng.range(SECOND, setup.calm_from);
            let until = rng.range(at, setup.calm_from);
            Planned { at, until, fault: draw_one(rng, setup) }
        });
        plan.extend(more.collect::<Vec<_>>());
        if rng.percent(60) {
            plan.extend(draw_opposite_views(rng, setup));
        }
    }
    // Without trouble at a target nothing ever moves.
    let at = rng.range(5 * SECOND, setup.calm_from / 2);
    let until = if rng.percent(50) { setup.calm_from } else { rng.range(at, setup.calm_from) };
    plan.push(Planned { at, until, fault: draw_host(rng, setup) });
    plan.sort_by_key(|planned| planned.at);
    plan
}

fn draw_host(rng: &mut Rng, setup: &Setup) -> Fault {
    let targets: Vec<_> = setup.policy.targets.values().collect();
    let mut places: Vec<Place> = rng.pick(&targets).places.iter().cloned().collect();
    match rng.below(25) {
        0..=4 => {
            places =
                targets.iter().flat_map(|t| t.places.iter().cloned()).filter(|_| rng.percent(70)).collect();
        }
        5..=8 => places.truncate(1),
        _ => {}
    }
    let flaps = rng.percent(35).then(|| rng.range(SECOND / 2, 25 * SECOND));
    Fault::Host { places, silent: rng.percent(50), flaps }
}

fn draw_links(rng: &mut Rng, setup: &Setup) -> Vec<Link> {
    let mut all: Vec<Link> = (0..setup.vendors.len()).map(Link::Vendor).collect();
    all.extend(setup.policy.targets.values().flat_map(|t| t.places.iter().cloned().map(Link::Place)));
    all.extend((0..setup.policy.witnesses.len()).map(Link::Witness));
    all.extend((0..setup.services.len()).map(Link::Channel));
    match rng.below(4) {
        0 => all,
        1 => vec![all.swap_remove(rng.below(all.len()))],
        2 => vec![Link::Vendor(rng.below(setup.vendors.len()))],
        _ => all.into_iter().filter(|_| rng.percent(50)).collect(),
    }
}

/// Two agents, each of which can reach what the other cannot: both are right, and they fight as long as that lasts.
fn draw_opposite_views(rng: &mut Rng, setup: &Setup) -> Vec<Planned> {
    let targets: Vec<_> = setup.policy.targets.values().collect();
    let (one, first) = (rng.below(setup.agents), rng.below(targets.len()));
    let other = (one + 1 + rng.below(setup.agents - 1)) % setup.agents;
    let second = (first + 1 + rng.below(targets.len() - 1)) % targets.len();
    let at = rng.range(SECOND, setup.calm_from / 2);
    let until = rng.range(i64::midpoint(at, setup.calm_from), setup.calm_from);
    let cut = |agent: usize, target: usize| {
        let links = targets[target].places.iter().cloned().map(Link::Place).collect();
        Planned { at, until, fault: Fault::Net { agent, links, line: Line::Cut } }
    };
    vec![cut(one, first), cut(other, second)]
}

fn draw_order(rng: &mut Rng, setup: &Setup) -> Fault {
    let records: Vec<&DomainName> = setup.policy.records.keys().collect();
    let targets: Vec<_> = setup.policy.targets.keys().collect();
    let record = (*rng.pick(&records)).clone();
    let target = (*rng.pick(&targets)).clone();
    let what = match rng.below(5) {
        0..=1 => What::Drain { target },
        2..=3 => What::Pin { record, target },
        _ => What::Pause { record: rng.percent(60).then_some(record) },
    };
    let agent = draw_asked(rng, setup);
    Fault::Order { agent, what, cleared: rng.percent(50) }
}

/// Most people ask all agents for the same.
fn draw_asked(rng: &mut Rng, setup: &Setup) -> Option<usize> {
    (setup.agents > 1 && rng.percent(25)).then(|| rng.below(setup.agents))
}

fn draw_point(rng: &mut Rng) -> Point {
    *rng.pick(&[Point::Now, Point::BeforeCommit, Point::AfterCommit, Point::AfterCommit, Point::AfterSend])
}

fn draw_one(rng: &mut Rng, setup: &Setup) -> Fault {
    let agent = rng.below(setup.agents);
    let vendor = rng.below(setup.vendors.len());
    let records: Vec<&DomainName> = setup.policy.records.keys().collect();
    match rng.below(28) {
        0..=3 => draw_host(rng, setup),
        4 => {
            let targets: Vec<_> = setup.policy.targets.values().collect();
            Fault::HalfHost { place: rng.pick(&targets).places.first().unwrap().clone() }
        }
        5..=7 => {
            let line =
                *rng.pick(&[Line::Cut, Line::Cut, Line::Lossy(30), Line::Lossy(70), Line::Slow, Line::Twice]);
            Fault::Net { agent, links: draw_links(rng, setup), line }
        }
        8 => Fault::OwnTrouble { agent },
        9..=11 => {
            let modes = [
                Mode::Busy,
                Mode::Throttled,
                Mode::Locked,
                Mode::FailsAfter,
                Mode::FailsAfter,
                Mode::BreaksOff,
            ];
            Fault::Provider { vendor, mode: *rng.pick(&modes) }
        }
        12 => Fault::StaleReads { vendor, lag: rng.range(200 * MILLI, 15 * SECOND) },
        13 => Fault::SlowServers { vendor, by: rng.range(SECOND, 60 * SECOND) },
        14 => {
            let by = *rng.pick(&[-3600, -60, -5, 5, 60, 3600]) * SECOND;
            Fault::Clock { agent, by }
        }
        15 => {
            let lasts = *rng.pick(&[1, 5, 20, 120, 600]) * SECOND;
            Fault::Freeze { agent, point: draw_point(rng), skip: u32::try_from(rng.below(3)).unwrap(), lasts }
        }
        16..=18 => Fault::Crash {
            agent,
            point: draw_point(rng),
            skip: u32::try_from(rng.below(4)).unwrap(),
            down: rng.range(10 * MILLI, 25 * SECOND),
            disk_lost: rng.percent(15),
            asked: rng.percent(20),
        },
        19..=20 => {
            let edit = match rng.below(10) {
                0..=4 => Edit::Target(rng.below(setup.policy.targets.len())),
                5 => Edit::Foreign(rng.below(FOREIGN.len())),
                6 => Edit::Delete,
                7 => Edit::Cname,
                _ => Edit::Ttl,
            };
            Fault::Human { record: (*rng.pick(&records)).clone(), edit }
        }
        21 => {
            let moods = [ChatMood::Dead, ChatMood::Throttles, ChatMood::Html, ChatMood::Forgetful];
            Fault::Chat { channel: rng.below(setup.services.len()), mood: *rng.pick(&moods) }
        }
        22..=23 => draw_order(rng, setup),
        25 => Fault::Ack { agent: draw_asked(rng, setup), record: (*rng.pick(&records)).clone() },
        24 => {
            let records = marked(setup);
            if records.is_empty() {
                return draw_order(rng, setup);
            }
            let all = [
                Spoil::Foreign,
                Spoil::Several,
                Spoil::Newer,
                Spoil::Damaged,
                Spoil::Older,
                Spoil::Ahead,
                Spoil::Gone,
            ];
            Fault::Marker { record: rng.pick(&records).clone(), how: *rng.pick(&all) }
        }
        _ => {
            let mood = if rng.percent(70) { Mood::Full } else { Mood::Late };
            Fault::Disk { agent, mood }
        }
    }
}
