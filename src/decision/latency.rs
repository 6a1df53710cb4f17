//! How long probes took: the last ones of each endpoint as they were, all of them as sums by the minute.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Endpoint, Moment, Now, Outcome};

/// The last probes that are remembered of each endpoint.
const REMEMBERED: usize = 64;
/// Minutes that wait to be fetched, of each endpoint; older ones are dropped where nobody fetches them.
const MINUTES: usize = 10;
/// A minute, in seconds.
const MINUTE: i64 = 60;

/// Upper ends of the classes of a [`Rollup`], milliseconds; what takes longer is in one class more.
pub(super) const CLASSES_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/// What a probe said, without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Letter {
    /// It passed.
    Pass,
    /// It failed.
    Fail,
    /// No word about the endpoint.
    Unknown,
}

impl Letter {
    pub(super) fn of(outcome: &Outcome) -> Letter {
        match outcome {
            Outcome::Pass => Letter::Pass,
            Outcome::Fail(_) => Letter::Fail,
            Outcome::Unknown(_) => Letter::Unknown,
        }
    }

    /// `P`, `F`, `u`.
    pub fn letter(self) -> char {
        match self {
            Letter::Pass => 'P',
            Letter::Fail => 'F',
            Letter::Unknown => 'u',
        }
    }
}

/// One probe, as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastProbe {
    /// When it ended.
    pub at: Moment,
    /// What it said.
    pub said: Letter,
    /// How long it took.
    pub took: Duration,
}

/// A [`PastProbe`] in twelve octets: agents watch a hundred thousand endpoints.
///
/// The moment in microseconds has 62 bits, what it said the two below them; a time longer than 71 minutes is that.
#[derive(Clone, Copy, Debug)]
struct Packed([u32; 3]);

impl Packed {
    fn new(past: PastProbe) -> Packed {
        let said = match past.said {
            Letter::Pass => 0,
            Letter::Fail => 1,
            Letter::Unknown => 2,
        };
        let word = (past.at.micros() << 2 | said).cast_unsigned();
        let took = u32::try_from(past.took.as_micros()).unwrap_or(u32::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "its two halves")]
        Packed([word as u32, (word >> 32) as u32, took])
    }

    fn unpack(self) -> PastProbe {
        let [low, high, took] = self.0;
        let word = (u64::from(high) << 32 | u64::from(low)).cast_signed();
        let said = match word & 3 {
            0 => Letter::Pass,
            1 => Letter::Fail,
            _ => Letter::Unknown,
        };
        PastProbe { at: Moment::from_micros(word >> 2), said, took: Duration::from_micros(took.into()) }
    }
}

/// Probes of one endpoint over some time, added up. Times are those of passes and failures alike: a time-out is slow.
///
/// It may come from a damaged file: whatever its numbers, it can be added to and looked at, and stays at the largest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Probes.
    pub count: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Those of them that said nothing of the endpoint; their times are not counted.
    pub unknown: u64,
    /// The shortest, microseconds; 0 when there is none.
    pub min_us: u64,
    /// The longest, microseconds.
    pub max_us: u64,
    /// All times together, microseconds.
    pub sum_us: u64,
    /// How many took up to 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000 ms, and longer, each class
    /// without those before.
    pub classes: [u64; CLASSES_MS.len() + 1],
}

impl Rollup {
    /// Counts one probe.
    pub fn add(&mut self, said: Letter, took: Duration) {
        self.count = self.count.saturating_add(1);
        self.failures = self.failures.saturating_add(u64::from(said == Letter::Fail));
        if said == Letter::Unknown {
            self.unknown = self.unknown.saturating_add(1);
            return;
        }
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.min_us = if self.timed() == 1 { took } else { self.min_us.min(took) };
        self.max_us = self.max_us.max(took);
        self.sum_us = self.sum_us.saturating_add(took);
        let class = CLASSES_MS.iter().position(|end| took <= end * 1000);
        let class = &mut self.classes[class.unwrap_or(CLASSES_MS.len())];
        *class = class.saturating_add(1);
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Rollup) {
        self.min_us = match (self.timed(), other.timed()) {
            (0, _) => other.min_us,
            (_, 0) => self.min_us,
            _ => self.min_us.min(other.min_us),
        };
        self.count = self.count.saturating_add(other.count);
        self.failures = self.failures.saturating_add(other.failures);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.max_us = self.max_us.max(other.max_us);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.classes.iter_mut().zip(other.classes).for_each(|(own, more)| *own = own.saturating_add(more));
    }

    /// How many times were counted.
    fn timed(&self) -> u64 {
        self.count.saturating_sub(self.unknown)
    }

    /// The mean; `None` when no time was counted.
    pub fn mean(&self) -> Option<Duration> {
        self.sum_us.checked_div(self.timed()).map(Duration::from_micros)
    }

    /// A time that this share of the probes did not exceed, 0 to 100 percent: the upper end of its class, and no more
    /// than the longest. `None` when no time was counted.
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let wanted = (u128::from(self.timed()) * u128::from(percent.min(100))).div_ceil(100).max(1);
        let mut so_far = 0;
        for (class, count) in self.classes.iter().enumerate() {
            so_far += u128::from(*count);
            if so_far >= wanted {
                let end = CLASSES_MS.get(class).map_or(self.max_us, |end| end * 1000);
                return Some(Duration::from_micros(end.min(self.max_us)));
            }
        }
        None
    }
}

/// A minute of one endpoint, ready to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyRow {
    /// Of what.
    pub endpoint: Endpoint,
    /// When the minute began.
    pub start: Timestamp,
    /// What was counted in it; in a part of it, when it is fetched before it is over.
    pub rollup: Rollup,
}

/// What is remembered of the probes of one endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    last: VecDeque<Packed>,
    /// By the second in which each minute began, oldest first.
    minutes: VecDeque<(i64, Rollup)>,
}

impl Times {
    /// Counts one probe.
    pub(super) fn count(&mut self, past: PastProbe, now: &Now) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(Packed::new(past));
        let minute = now.wall_of(past.at).as_second().div_euclid(MINUTE) * MINUTE;
        if self.minutes.back().is_none_or(|(start, _)| *start != minute) {
            if self.minutes.len() == MINUTES {
                self.minutes.pop_front();
            }
            // Mostly there is one: what is kept is fetched every minute.
            self.minutes.reserve_exact(1);
            self.minutes.push_back((minute, Rollup::default()));
        }
        if let Some((_, rollup)) = self.minutes.back_mut() {
            rollup.add(past.said, past.took);
        }
    }

    /// The last probes, oldest first.
    pub(super) fn last(&self) -> impl DoubleEndedIterator<Item = PastProbe> {
        self.last.iter().map(|packed| packed.unpack())
    }

    /// Everything that was counted since the last call, as rows of this endpoint. A minute that is not over may come in
    /// several parts.
    pub(super) fn fetch(&mut self, endpoint: &Endpoint) -> impl Iterator<Item = LatencyRow> {
        self.minutes.drain(..).filter_map(|(start, rollup)| {
            let start = Timestamp::from_second(start).ok()?;
            Some(LatencyRow { endpoint: endpoint.clone(), start, rollup })
        })
    }
}

impl super::Decision {
    /// The times of all probes since the last call, by the minute: to be kept.
    pub fn fetch_latency(&mut self) -> Vec<LatencyRow> {
        self.targets.fetch_latency()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Targets;
    use super::super::fixture::{A4, A6, B4, at, observation, policy};
    use super::*;

    fn now(second: i64) -> Now {
        Now { moment: at(second), wall: Timestamp::from_second(second).unwrap() }
    }

    fn nothing_heard() -> Targets {
        Targets::new(&policy(), &BTreeMap::new(), &now(0))
    }

    fn count(targets: &mut Targets, address: &str, second: i64, passed: Option<bool>, millis: u64) {
        let mut seen = observation("web", address, (second, second), passed);
        seen.timings.total = Duration::from_millis(millis);
        assert!(targets.hear(&now(second), &seen, Duration::ZERO).is_some());
    }

    /// The state file may be damaged in a way that SQLite does not notice.
    #[test]
    fn sums_from_a_damaged_file_stay_at_the_largest() {
        let most = u64::MAX;
        let classes = [most; CLASSES_MS.len() + 1];
        let all = Rollup {
            count: most,
            failures: most,
            unknown: 0,
            min_us: 0,
            max_us: most,
            sum_us: most,
            classes,
        };
        let mut rollup = all.clone();
        rollup.merge(&all);
        rollup.add(Letter::Fail, Duration::MAX);
        assert_eq!(rollup, all);
        assert_eq!(
            (rollup.mean(), rollup.percentile(50)),
            (Some(Duration::from_micros(1)), Some(Duration::from_millis(1)))
        );
        let mut odd = Rollup { unknown: 7, ..Rollup::default() };
        odd.add(Letter::Unknown, Duration::ZERO);
        assert_eq!((odd.mean(), odd.percentile(100)), (None, None), "more said nothing than were asked");
    }

    #[test]
    fn what_is_packed_comes_out_the_same() {
        let hours = |hours| Duration::from_hours(hours);
        for at in [-1, 0, 1, 86_400_000_000 * 365 * 100, -86_400_000_000 * 365 * 100] {
            for (said, took, shown) in [
                (Letter::Pass, hours(0), hours(0)),
                (Letter::Fail, hours(1), hours(1)),
                (Letter::Unknown, hours(9), Duration::from_micros(u32::MAX.into())),
            ] {
                let past = PastProbe { at: Moment::from_micros(at), said, took };
                assert_eq!(Packed::new(past).unpack(), PastProbe { took: shown, ..past });
            }
        }
        assert_eq!(size_of::<Packed>(), 12);
    }

    #[test]
    fn minutes_of_each_endpoint() {
        let mut targets = nothing_heard();
        for (second, passed, millis) in
            [(1, Some(true), 4), (30, Some(false), 3000), (59, None, 9999), (60, Some(true), 7)]
        {
            count(&mut targets, A4, second, passed, millis);
        }
        count(&mut targets, B4, 61, Some(true), 1);
        let rows = targets.fetch_latency();
        let of = |row: &LatencyRow| {
            (row.start.as_second(), row.rollup.count, row.rollup.failures, row.rollup.unknown)
        };
        assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), [(0, 3, 1, 1), (60, 1, 0, 0), (60, 1, 0, 0)]);
        let first = &rows[0].rollup;
        assert_eq!((first.min_us, first.max_us), (4000, 3_000_000));
        assert_eq!(first.mean(), Some(Duration::from_millis(1502)));
        assert_eq!(targets.fetch_latency(), []);
        count(&mut targets, A4, 62, Some(true), 7);
        assert_eq!(targets.fetch_latency().len(), 1, "the rest of that minute comes by itself");
    }

    #[test]
    fn memory_is_bounded() {
        let mut times = Times::default();
        (0..100_000).for_each(|second| {
            let past = PastProbe { at: at(second), said: Letter::Pass, took: Duration::from_millis(1) };
            times.count(past, &now(second));
        });
        assert_eq!((times.last.len(), times.minutes.len()), (REMEMBERED, MINUTES));
    }

    #[test]
    fn merged_or_counted_at_once_is_the_same() {
        let times = [(Letter::Pass, 3), (Letter::Unknown, 1), (Letter::Fail, 700), (Letter::Pass, 20_000)];
        let mut whole = Rollup::default();
        for (said, ms) in times {
            whole.add(said, Duration::from_millis(ms));
        }
        for cut in 0..=times.len() {
            let mut parts = [Rollup::default(), Rollup::default()];
            for (number, (said, ms)) in times.iter().enumerate() {
                parts[usize::from(number >= cut)].add(*said, Duration::from_millis(*ms));
            }
            let [mut first, second] = parts;
            first.merge(&second);
            assert_eq!(first, whole, "cut at {cut}");
        }
        assert_eq!(whole.percentile(50), Some(Duration::from_secs(1)));
        assert_eq!(whole.percentile(95), Some(Duration::from_secs(20)), "no more than the longest");
        assert_eq!(Rollup::default().percentile(50), None);
    }

    #[test]
    fn a_reload_forgets_the_times_of_what_is_gone_and_gives_the_others_out() {
        let (now, saved) = (now(0), super::super::Saved::default());
        let mut policy = policy();
        let options = super::super::Options::default();
        let mut decision = super::super::Decision::new(policy.clone(), BTreeMap::new(), options, saved, &now);
        let _ = decision.start(&now);
        for address in [A4, A6, B4] {
            let seen = observation("web", address, (0, 0), Some(true));
            let _ = decision.handle(&now, super::super::Input::Observed(seen));
        }
        policy.targets.remove(&"b".into());
        policy.records.clear();
        let _ = decision.reconfigure(&now, policy, BTreeMap::new());
        let of: Vec<String> =
            decision.fetch_latency().iter().map(|row| row.endpoint.address.to_string()).collect();
        assert_eq!(of, [A4, A6]);
    }
}
