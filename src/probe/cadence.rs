//! When the probes of one job are due. Pure: the time is an argument, the jitter comes from a seeded generator.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::decision::Moment;

/// First probes are spread over this time for each job ...
const SPREAD_PER_JOB: Duration = Duration::from_millis(1);
/// ... and this time at most: a thousand targets do not start in one tick, and two do not wait for each other ...
pub(super) const SPREAD: Duration = Duration::from_secs(1);
/// ... unless that were more than ten thousand a second: so it goes on at each interval, and no machine does it in time.
const LEAST_PER_JOB: Duration = Duration::from_micros(100);
/// Steady probes begin at multiples of this where they are moved about anyway, those of many targets together: the processor
/// is given up and taken again for all of them at once, which costs a fifth of a probe.
const COMPANY: Duration = Duration::from_millis(4);
/// No two starts are planned closer than this, whatever a configuration says.
const MIN_INTERVAL: Duration = Duration::from_millis(10);
/// A probe is late when it takes so many times what was usual.
const LATE: u32 = 2;
/// Each pass forgets this share of the slowest answer so far.
const FORGETS: u32 = 8;

/// How often a job is probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Every `interval`, on a fixed grid with jitter.
    #[default]
    Steady,
    /// Every `fast_interval`.
    Fast,
}

/// How often a check wants to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// Time between two probes when all is calm.
    pub interval: Duration,
    /// Time between two probes while something is under way.
    pub fast_interval: Duration,
    /// Each probe is moved by up to this share of the interval, 0 to 50 percent, around a fixed grid.
    pub jitter_percent: u8,
}

/// The plan of one job.
///
/// Steady, probes are due on a fixed grid, each moved by its own jitter; the grid never moves, so nothing drifts.
/// Fast, each is due one fast interval after the last start, or at once when the last one took longer. A slot that
/// passed while a probe was running is skipped.
#[derive(Debug)]
pub struct Cadence {
    interval: Duration,
    fast: Duration,
    /// The largest deviation from the grid.
    jitter: Duration,
    pace: Pace,
    /// The next slot of the grid.
    slot: Moment,
    /// When the next probe is due, a nudge aside.
    planned: Moment,
    /// A probe out of turn: when it is due at the latest.
    early: Option<Moment>,
    last_start: Option<Moment>,
    /// The follow-up that was last considered, made or not.
    followed: Option<Moment>,
    /// How many microseconds an answer took at the most, of late.
    usual_us: u32,
    /// The last probe told of trouble.
    troubled: bool,
    seed: u64,
}

/// Over which time the first probes of so many jobs are spread.
pub(super) fn spread(jobs: usize) -> Duration {
    let jobs = u32::try_from(jobs).unwrap_or(u32::MAX);
    SPREAD_PER_JOB.saturating_mul(jobs).min(SPREAD).max(LEAST_PER_JOB.saturating_mul(jobs))
}

impl Cadence {
    /// A plan whose first probe is due within the first interval from `now`, and within `spread`.
    pub fn new(rhythm: Rhythm, spread: Duration, now: Moment, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let seed = random.random();
        let interval = rhythm.interval.max(MIN_INTERVAL);
        let first =
            now + random.random_range(Duration::ZERO..interval.min(spread).max(Duration::from_micros(1)));
        Cadence {
            interval,
            fast: rhythm.fast_interval.clamp(MIN_INTERVAL, interval),
            jitter: interval * u32::from(rhythm.jitter_percent.min(50)) / 100,
            pace: Pace::Steady,
            slot: first,
            planned: first,
            early: None,
            last_start: None,
            followed: None,
            usual_us: 0,
            troubled: false,
            seed,
        }
    }

    /// When the next probe is due. A moment in the past means now.
    pub fn due(&self) -> Moment {
        self.early.map_or(self.planned, |early| early.min(self.planned))
    }

    /// When the next probe is due if it is one of the plan, and nothing hurries it.
    pub fn steady_due(&self) -> Option<Moment> {
        (self.pace == Pace::Steady && self.early.is_none()).then_some(self.planned)
    }

    /// The next probe is due now, besides the plan.
    pub fn nudge(&mut self) {
        self.early = Some(Moment::from_micros(i64::MIN));
    }

    /// Something happened: the next probe is due now, besides the plan, but no sooner after the last than a fast one.
    pub fn hasten(&mut self, now: Moment) {
        let due = self.last_start.map_or(now, |start| now.max(start + self.fast));
        self.early = Some(self.early.map_or(due, |early| early.min(due)));
    }

    /// A probe begins.
    pub fn started(&mut self, now: Moment) {
        self.early = None;
        self.last_start = Some(now);
    }

    /// When another probe should follow one that is not answered yet, and does not wait for its end: as long after the last
    /// start as a fast one would, and not before the answer is late by what was usual.
    ///
    /// None while it would change nothing: what was in trouble at the last steady probe is in the same trouble.
    pub fn follow_up(&self) -> Option<Moment> {
        let last = self.last_start?.max(self.followed.unwrap_or(Moment::from_micros(i64::MIN)));
        let news = self.pace == Pace::Fast || !self.troubled;
        let late = Duration::from_micros(self.usual_us.into()) * LATE;
        news.then(|| last + self.fast.max(late))
    }

    /// A follow-up was considered; whether it begins.
    pub fn followed(&mut self, now: Moment, begins: bool) {
        self.followed = Some(now);
        if begins {
            self.last_start = Some(now);
        }
    }

    /// A probe said something; how long it took if it passed.
    pub fn told(&mut self, passed: Option<Duration>) {
        self.troubled = passed.is_none();
        if let Some(took) = passed {
            let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            self.usual_us = took.max(self.usual_us - self.usual_us / FORGETS);
        }
    }

    /// The probe is done with; plans the next.
    pub fn ended(&mut self, now: Moment) {
        match self.pace {
            Pace::Steady if self.planned <= now => {
                self.slot = self.slot + self.interval;
                self.back_to_grid(now);
            }
            Pace::Steady => {}
            Pace::Fast => self.plan_fast(now),
        }
    }

    /// Changes the pace and plans anew; nothing happens when it is the pace already.
    pub fn set_pace(&mut self, pace: Pace, now: Moment) {
        if self.pace == pace {
            return;
        }
        self.pace = pace;
        // Before its first probe a job has nothing to hurry after, and its first slot is soon.
        if self.last_start.is_none() {
            return;
        }
        match pace {
            Pace::Fast => self.plan_fast(now),
            Pace::Steady => self.back_to_grid(now),
        }
    }

    fn plan_fast(&mut self, now: Moment) {
        if let Some(start) = self.last_start {
            self.planned = now.max(start + self.fast);
        }
    }

    /// A moment near this one at which others begin, too, as far as the jitter leaves the choice.
    fn in_company(&self, planned: Moment) -> Moment {
        if self.jitter < COMPANY {
            return planned;
        }
        let step = i64::try_from(COMPANY.as_micros()).expect("a few milliseconds");
        let before = planned.micros().div_euclid(step) * step;
        let earliest = (self.slot - self.jitter).micros();
        Moment::from_micros(if before < earliest { before + step } else { before })
    }

    /// The first unused slot after `now`.
    fn back_to_grid(&mut self, now: Moment) {
        if self.slot <= now {
            let behind = now.since(self.slot).as_micros() / self.interval.as_micros();
            let steps = u32::try_from(behind).unwrap_or(u32::MAX - 1) + 1;
            self.slot = self.slot + self.interval.saturating_mul(steps);
        }
        // From the seed and the slot, so that no generator is kept for each of a crowd.
        let mut random = SmallRng::seed_from_u64(self.seed ^ self.slot.micros().cast_unsigned());
        let moved = random.random_range(Duration::ZERO..=self.jitter * 2);
        self.planned = self.in_company(self.slot - self.jitter + moved);
    }
}
