//! Many schedules, on every core; and one that failed, told so that a person can follow it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cast::Setup;
use crate::court::Violation;
use crate::plan::{Planned, draw};
use crate::sabotage::Sabotage;
use crate::world::{Ended, World};

/// Lines of a story that are printed of one that failed.
const LAST_LINES: usize = 150;
/// So many invariants broken are enough.
const ENOUGH: usize = 4;
/// Schedules that a thread takes at a time.
const SHARE: u64 = 50;

/// What came of many schedules.
#[derive(Default)]
pub(crate) struct Season {
    pub(crate) schedules: u64,
    pub(crate) steps: u64,
    short: u64,
    writes: u64,
    /// How many schedules had so many agents.
    agents: BTreeMap<usize, u64>,
    faults: BTreeMap<&'static str, u64>,
    /// By invariant: how often it was broken, and by which seed first.
    broken: BTreeMap<&'static str, (u64, u64, Violation)>,
}

/// One schedule; `plan` instead of the one that is drawn.
pub(crate) fn play(setup: Setup, plan: Option<Vec<Planned>>, sabotage: Sabotage, telling: bool) -> Ended {
    let plan = plan.unwrap_or_else(|| draw(&setup));
    World::new(setup, plan, sabotage, telling).run()
}

impl Season {
    pub(crate) fn play(from: u64, count: u64, sabotage: Sabotage) -> Season {
        let next = AtomicU64::new(from);
        let total = Mutex::new(Season::default());
        let work = || {
            let mut own = Season::default();
            loop {
                let begin = next.fetch_add(SHARE, Ordering::Relaxed);
                if begin >= from + count || own.broken.len() >= ENOUGH {
                    break;
                }
                for seed in begin..(begin + SHARE).min(from + count) {
                    let setup = Setup::draw(seed);
                    *own.agents.entry(setup.agents).or_default() += 1;
                    own.add(seed, play(setup, None, sabotage, false));
                }
            }
            total.lock().unwrap().join(own);
        };
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        total.into_inner().unwrap()
    }

    fn add(&mut self, seed: u64, ended: Ended) {
        self.schedules += 1;
        self.steps += ended.steps;
        self.short += u64::from(ended.steps < 200);
        self.writes += ended.writes;
        for (kind, count) in ended.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        if let Some(violation) = ended.violation {
            self.broke(1, seed, violation);
        }
    }

    fn broke(&mut self, times: u64, seed: u64, violation: Violation) {
        let known = self.broken.entry(violation.invariant).or_insert((0, seed, violation.clone()));
        known.0 += times;
        if seed < known.1 {
            (known.1, known.2) = (seed, violation);
        }
    }

    /// The lowest seed that broke something, and what.
    pub(crate) fn first_violation(&self) -> Option<(u64, Violation)> {
        self.broken.values().map(|(_, seed, what)| (*seed, what.clone())).min_by_key(|(seed, _)| *seed)
    }

    fn join(&mut self, other: Season) {
        self.schedules += other.schedules;
        self.steps += other.steps;
        self.short += other.short;
        self.writes += other.writes;
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (agents, count) in other.agents {
            *self.agents.entry(agents).or_default() += count;
        }
        for (times, seed, violation) in other.broken.into_values() {
            self.broke(times, seed, violation);
        }
    }
}

impl fmt::Display for Season {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} schedules, {} steps ({} of fewer than 200), {} changes of records",
            self.schedules, self.steps, self.short, self.writes
        )?;
        self.agents
            .iter()
            .try_for_each(|(agents, count)| writeln!(f, "{count:>10}  with {agents} agent(s)"))?;
        self.faults.iter().try_for_each(|(kind, count)| writeln!(f, "{count:>10}  {kind}"))?;
        self.broken.iter().try_for_each(|(invariant, (times, seed, what))| {
            writeln!(f, "{invariant} BROKEN {times} times, first by seed {seed}: {}", what.text)
        })
    }
}

/// The story of a seed that failed, with as few faults as still break the same invariant.
pub(crate) fn tell(seed: u64, violation: &Violation) -> String {
    let breaks = |plan: &[Planned]| {
        let ended = play(Setup::draw(seed), Some(plan.to_vec()), Sabotage::None, false);
        ended.violation.is_some_and(|found| found.invariant == violation.invariant)
    };
    let mut plan = draw(&Setup::draw(seed));
    let mut index = plan.len();
    while index > 0 {
        index -= 1;
        let mut fewer = plan.clone();
        fewer.remove(index);
        if breaks(&fewer) {
            plan = fewer;
            index = index.min(plan.len());
        }
    }
    let story = play(Setup::draw(seed), Some(plan.clone()), Sabotage::None, true).story;
    let settings = story.iter().take_while(|line| !line.contains("agent 0 starts"));
    let rest = settings.clone().count();
    let last = &story[rest.max(story.len().saturating_sub(LAST_LINES))..];
    format!(
        "{} broken: {}\nseed {seed}, with the {} fault(s) that it takes; all of it: just sim {seed}\n{}\n  ...\n{}",
        violation.invariant,
        violation.text,
        plan.len(),
        settings.cloned().collect::<Vec<_>>().join("\n"),
        last.join("\n")
    )
}
