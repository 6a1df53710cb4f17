//! Virtual time, the queue of what happens next, and everything that is no agent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use failover::decision::{Outcome, Place, Watch, What};
use failover::notify::SendResult;
use failover::store::Delivery;
use jiff::Timestamp;
use providers::{DomainName, RecordSet};

use crate::agent::Agent;
use crate::cast::{MILLI, SECOND, Sets, Setup};
use crate::court::{Court, Violation};
use crate::plan::{ChatMood, Line, Link, Planned};
use crate::provider::Provider;
use crate::rng::Rng;
use crate::sabotage::Sabotage;
use crate::wire::Call;

/// What can happen.
pub(crate) enum Happening {
    Begin(usize),
    End(usize),
    /// Something that belongs to a process, and dies with it.
    Mine {
        agent: usize,
        epoch: u64,
        what: Mine,
    },
    /// A request reaches a provider; with the second step of an adapter that looks first.
    Arrive(Box<Call>),
    Apply(Box<Call>),
    Start {
        agent: usize,
    },
    Thaw {
        agent: usize,
        until: i64,
    },
    Toggle {
        fault: usize,
        down: bool,
    },
}

pub(crate) enum Mine {
    Wake { token: u64 },
    Probe { job: usize, token: u64 },
    Probed { job: usize, started: i64, outcome: Outcome },
    Send(Box<Call>),
    Answered { call: Box<Call>, result: crate::wire::Answer },
    Look { record: DomainName },
    Watch(Box<Watching>),
    Lane { lane: usize, token: u64 },
    Sent { lane: usize, delivery: Box<Delivery>, begun: i64, result: SendResult },
}

/// See `Servers::watch` in `src/agent/servers.rs`.
pub(crate) struct Watching {
    pub(crate) order: Watch,
    pub(crate) begun: i64,
    pub(crate) told_slow: bool,
    pub(crate) arrived: BTreeMap<usize, Timestamp>,
}

struct Entry {
    at: i64,
    number: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) down: bool,
    pub(crate) silent: bool,
    /// One check of several fails.
    pub(crate) half: bool,
}

/// What came of a schedule.
pub(crate) struct Ended {
    pub(crate) steps: u64,
    pub(crate) writes: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) violation: Option<Violation>,
    pub(crate) story: Vec<String>,
}

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) plan: Vec<Planned>,
    pub(crate) sabotage: Sabotage,
    pub(crate) rng: Rng,
    pub(crate) now: i64,
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
    pub(crate) agents: Vec<Agent>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) hosts: BTreeMap<Place, Host>,
    pub(crate) lines: BTreeMap<(usize, Link), Line>,
    pub(crate) own_trouble: BTreeSet<usize>,
    pub(crate) chats: BTreeMap<usize, ChatMood>,
    pub(crate) court: Court,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) telling: bool,
    pub(crate) story: Vec<String>,
    pub(crate) steps: u64,
    /// Markers that a person has spoilt: what was there before, and what is there now.
    pub(crate) spoilt: BTreeMap<DomainName, (Option<RecordSet>, Sets)>,
    /// What people have ordered for good, once the faults are over.
    pub(crate) standing: Vec<What>,
    /// Faults are over.
    pub(crate) calm: bool,
    /// Nothing but messages goes on.
    pub(crate) draining: bool,
}

/// Adds a line to the story, if somebody listens.
macro_rules! note {
    ($world:expr, $($arg:tt)*) => {
        if $world.telling {
            let line = format!($($arg)*);
            $world.add_line(&line);
        }
    };
}
pub(crate) use note;

/// A schedule that is not over by so many steps of an agent does not end at all.
const MOST_STEPS: u64 = 60_000;

impl World {
    pub(crate) fn new(setup: Setup, plan: Vec<Planned>, sabotage: Sabotage, telling: bool) -> World {
        let mut world = World {
            rng: Rng::new(setup.seed ^ 0x2027),
            providers: setup.vendors.iter().map(|vendor| Provider::new(&setup, vendor)).collect(),
            agents: (0..setup.agents).map(|number| Agent::new(number, sabotage)).collect(),
            hosts: setup
                .policy
                .targets
                .values()
                .flat_map(|t| t.places.iter())
                .map(|place| (place.clone(), Host::default()))
                .collect(),
            court: Court::default(),
            plan,
            sabotage,
            setup,
            now: 0,
            queue: BinaryHeap::new(),
            number: 0,
            lines: BTreeMap::new(),
            own_trouble: BTreeSet::new(),
            chats: BTreeMap::new(),
            faults: BTreeMap::new(),
            telling,
            story: Vec::new(),
            steps: 0,
            spoilt: BTreeMap::new(),
            standing: Vec::new(),
            calm: false,
            draining: false,
        };
        world.tell_setup();
        for agent in 0..world.agents.len() {
            let at = world.rng.range(0, SECOND);
            world.at(at, Happening::Start { agent });
        }
        for index in 0..world.plan.len() {
            world.at(world.plan[index].at, Happening::Begin(index));
        }
        world
    }

    pub(crate) fn at(&mut self, at: i64, what: Happening) {
        self.number += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), number: self.number, what }));
    }

    pub(crate) fn mine(&mut self, at: i64, agent: usize, what: Mine) {
        let epoch = self.agents[agent].epoch;
        self.at(at, Happening::Mine { agent, epoch, what });
    }

    /// The whole schedule.
    pub(crate) fn run(mut self) -> Ended {
        let calm_from = self.setup.calm_from;
        if self.run_until(calm_from) {
            self.calm_down();
            self.conclude();
        }
        let violation = self.court.violation.take();
        if let Some(violation) = &violation {
            let words = format!("BROKEN {}: {}", violation.invariant, violation.text);
            note!(self, "{words}");
        }
        Ended {
            steps: self.steps,
            writes: self.court.effective(),
            faults: self.faults,
            violation,
            story: self.story,
        }
    }

    /// Whether it got there without a violation.
    pub(crate) fn run_until(&mut self, end: i64) -> bool {
        while let Some(Reverse(next)) = self.queue.peek() {
            if next.at > end {
                break;
            }
            let Reverse(entry) = self.queue.pop().expect("it was there a moment ago");
            self.now = entry.at;
            self.steps += 1;
            self.happen(entry.what);
            if self.steps > MOST_STEPS * self.agents.len() as u64 {
                self.court.accuse("converged", "the schedule does not end".into());
            }
            if self.court.violation.is_some() {
                return false;
            }
        }
        self.now = self.now.max(end);
        true
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Begin(index) => self.begin_fault(index),
            Happening::End(index) => self.end_fault(index),
            Happening::Toggle { fault, down } => self.toggle(fault, down),
            Happening::Arrive(call) => self.arrive(call),
            Happening::Apply(call) => self.apply(call),
            Happening::Start { agent } => self.start(agent),
            Happening::Thaw { agent, until } => self.thaw(agent, until),
            Happening::Mine { agent, epoch, what } => {
                let this = &mut self.agents[agent];
                let message = matches!(what, Mine::Lane { .. } | Mine::Sent { .. });
                if this.epoch != epoch || this.process.is_none() || (self.draining && !message) {
                    return;
                }
                if this.frozen_until.is_some() {
                    this.deferred.push(what);
                } else {
                    self.turn(agent, what);
                }
            }
        }
    }

    /// How long something takes to get there.
    pub(crate) fn latency(&mut self) -> i64 {
        if self.rng.percent(3) {
            self.rng.range(50 * MILLI, 900 * MILLI)
        } else {
            self.rng.range(2 * MILLI, 60 * MILLI)
        }
    }

    pub(crate) fn line(&self, agent: usize, link: Link) -> Option<Line> {
        if self.lines.is_empty() { None } else { self.lines.get(&(agent, link)).copied() }
    }

    pub(crate) fn count(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub(crate) fn add_line(&mut self, line: &str) {
        let (seconds, rest) = (self.now / SECOND, self.now % SECOND / MILLI);
        self.story.push(format!("{seconds:>5}.{rest:03}  {line}"));
    }

    fn tell_setup(&mut self) {
        if !self.telling {
            return;
        }
        let check = self.setup.check_policy();
        let mut lines = vec![format!(
            "seed {}: {} agent(s), probes every {:?}, {:?}, grace {:?}, {} witness(es)",
            self.setup.seed,
            self.setup.agents,
            check.interval,
            check.thresholds,
            self.setup.policy.startup_grace,
            self.setup.policy.witnesses.len()
        )];
        lines.extend(self.setup.policy.targets.iter().map(|(id, t)| {
            format!(
                "target {id}: {:?}, checks {:?} {:?}",
                t.places,
                t.checks.keys().collect::<Vec<_>>(),
                t.require
            )
        }));
        lines.extend(
            self.setup
                .vendors
                .iter()
                .map(|v| format!("provider {}: {:?}, TTL floor {}", v.id, v.tier, v.ttl_min)),
        );
        lines.extend(self.setup.policy.records.values().map(|r| {
            format!(
                "record {} at {}: {:?}, {:?}, failback {:?} after {:?}, hold_down {:?}, create {}, adopt {:?}, all_down {:?}, \
                 coordination {:?}, suppress {} half-life {:?}; holds {}",
                r.name,
                r.provider,
                r.tiers,
                r.serve,
                r.failback,
                r.failback_after,
                r.hold_down,
                r.create,
                r.adopt,
                r.all_down,
                r.coordination,
                r.flapping.suppress,
                r.flapping.half_life,
                crate::provider::words(&self.setup.initial[&r.name])
            )
        }));
        lines.extend(
            self.setup.policy.velocity.iter().map(|(id, velocity)| format!("velocity at {id}: {velocity:?}")),
        );
        for planned in &self.plan {
            let (from, to) = (planned.at / SECOND, planned.until / SECOND);
            lines.push(format!("fault {from}..{to} s: {:?}", planned.fault));
        }
        self.story.extend(lines);
    }
}
