//! From outcomes to a verdict: gdnsd's leaky rule (`gdnsd_mon_state_updater`), not "N in a row", because a
//! target that fails every other probe must go down.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Moment, Now, Outcome, Thresholds};

/// What is held of an endpoint, a family or a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No verdict yet, or nothing heard for too long.
    #[default]
    Unknown,
    /// It works.
    Up,
    /// It does not.
    Down,
}

impl Verdict {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Unknown => "unknown",
            Verdict::Up => "up",
            Verdict::Down => "down",
        }
    }
}

/// Counts outcomes of one endpoint.
///
/// | verdict | outcome | effect |
/// |---|---|---|
/// | Unknown | Pass | Up |
/// | Unknown | Fail | failures + 1; Down at `fall` |
/// | Up | Fail | failures + 1, passes = 0; Down at `fall` |
/// | Up | Pass | passes + 1; at `clear` in a row failures = 0 |
/// | Down | Pass | passes + 1; Up at `rise` in a row |
/// | Down | Fail | passes = 0 |
/// | any | Unknown | nothing counted |
///
/// Silence is no outcome: see [`Tracker::expire`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracker {
    verdict: Verdict,
    failures: u32,
    passes: u32,
    /// When the verdict was formed.
    since: Option<Moment>,
    /// When the first of the failures now counted was seen.
    first_failure: Option<Moment>,
    /// When something was last counted.
    last: Option<Moment>,
}

/// A tracker as it is kept between two runs, with times that mean something to another process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTracker {
    /// The verdict.
    pub verdict: Verdict,
    /// Failures counted.
    pub failures: u32,
    /// Passes in a row.
    pub passes: u32,
    /// Since when the verdict holds.
    pub since: Option<Timestamp>,
    /// When the first of the failures was seen.
    pub first_failure: Option<Timestamp>,
    /// When something was last counted.
    pub last: Option<Timestamp>,
}

impl Tracker {
    /// Counts one outcome, seen at `at`. Returns the new verdict if it changed.
    pub fn count(&mut self, at: Moment, outcome: &Outcome, thresholds: Thresholds) -> Option<Verdict> {
        let before = self.verdict;
        match (self.verdict, outcome) {
            (_, Outcome::Unknown(_)) => return None,
            (Verdict::Unknown, Outcome::Pass) => self.enter(Verdict::Up, at),
            (Verdict::Unknown | Verdict::Up, Outcome::Fail(_)) => {
                self.passes = 0;
                self.failures = self.failures.saturating_add(1);
                self.first_failure.get_or_insert(at);
                if self.failures >= thresholds.fall {
                    self.enter(Verdict::Down, at);
                }
            }
            (Verdict::Up, Outcome::Pass) => {
                self.passes = self.passes.saturating_add(1);
                if self.passes >= thresholds.clear {
                    self.failures = 0;
                    self.first_failure = None;
                }
            }
            (Verdict::Down, Outcome::Pass) => {
                self.passes = self.passes.saturating_add(1);
                if self.passes >= thresholds.rise {
                    self.enter(Verdict::Up, at);
                    self.failures = 0;
                    self.first_failure = None;
                }
            }
            (Verdict::Down, Outcome::Fail(_)) => self.passes = 0,
        }
        self.last = Some(at);
        (self.verdict != before).then_some(self.verdict)
    }

    fn enter(&mut self, verdict: Verdict, at: Moment) {
        self.verdict = verdict;
        self.passes = 0;
        self.since = Some(at);
    }

    /// Forgets everything: what comes next is judged anew.
    pub fn forget(&mut self) {
        *self = Tracker::default();
    }

    /// Forgets everything when nothing was counted for longer than `stale_after`. Returns whether a verdict was lost.
    pub fn expire(&mut self, now: Moment, stale_after: std::time::Duration) -> bool {
        match self.last {
            Some(last) if now.since(last) > stale_after => {
                let lost = self.verdict != Verdict::Unknown;
                self.forget();
                lost
            }
            _ => false,
        }
    }

    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Failures counted so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Passes in a row so far, counted towards `rise` when Down and towards `clear` when Up.
    pub fn passes(&self) -> u32 {
        self.passes
    }

    /// Since when the verdict holds.
    pub fn since(&self) -> Option<Moment> {
        self.since
    }

    /// When the first of the failures now counted was seen.
    pub fn first_failure(&self) -> Option<Moment> {
        self.first_failure
    }

    /// When something was last counted.
    pub fn last(&self) -> Option<Moment> {
        self.last
    }

    /// Is nothing under way? An unsettled endpoint is probed at the fast interval.
    pub fn is_settled(&self) -> bool {
        match self.verdict {
            Verdict::Unknown | Verdict::Up => self.failures == 0,
            Verdict::Down => self.passes == 0,
        }
    }

    /// For keeping between two runs.
    pub fn save(&self, now: &Now) -> SavedTracker {
        SavedTracker {
            verdict: self.verdict,
            failures: self.failures,
            passes: self.passes,
            since: self.since.map(|m| now.wall_of(m)),
            first_failure: self.first_failure.map(|m| now.wall_of(m)),
            last: self.last.map(|m| now.wall_of(m)),
        }
    }

    /// What was kept by an earlier run.
    pub fn restore(saved: &SavedTracker, now: &Now) -> Self {
        Tracker {
            verdict: saved.verdict,
            failures: saved.failures,
            passes: saved.passes,
            since: saved.since.map(|t| now.moment_of(t)),
            first_failure: saved.first_failure.map(|t| now.moment_of(t)),
            last: saved.last.map(|t| now.moment_of(t)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const USUAL: Thresholds = Thresholds { fall: 3, rise: 3, clear: 6 };

    /// The state file may be damaged in a way that SQLite does not notice.
    #[test]
    fn counters_from_a_damaged_file_go_no_further() {
        let now = Now { moment: Moment::ZERO, wall: "2026-11-22T12:00:00Z".parse().unwrap() };
        for (verdict, letter, then) in [(Verdict::Up, '-', Verdict::Down), (Verdict::Down, '+', Verdict::Up)]
        {
            let saved =
                SavedTracker { verdict, failures: u32::MAX, passes: u32::MAX, ..SavedTracker::default() };
            let mut tracker = Tracker::restore(&saved, &now);
            assert_eq!(tracker.count(now.moment, &outcome(letter), USUAL), Some(then));
        }
    }

    fn outcome(letter: char) -> Outcome {
        match letter {
            '+' => Outcome::Pass,
            '-' => Outcome::Fail("refused".into()),
            '?' => Outcome::Unknown("no route".into()),
            _ => panic!("no outcome is written {letter:?}"),
        }
    }

    fn letter(verdict: Verdict) -> char {
        match verdict {
            Verdict::Unknown => '.',
            Verdict::Up => 'U',
            Verdict::Down => 'D',
        }
    }

    /// One letter per probe, one a second; the verdict after each.
    fn told(outcomes: &str, thresholds: Thresholds) -> (Tracker, String) {
        let mut tracker = Tracker::default();
        let story = outcomes
            .chars()
            .zip(0..)
            .map(|(c, second)| {
                tracker.count(Moment::from_micros(second * 1_000_000), &outcome(c), thresholds);
                letter(tracker.verdict())
            })
            .collect();
        (tracker, story)
    }

    #[track_caller]
    fn check(outcomes: &str, verdicts: &str) {
        assert_eq!(told(outcomes, USUAL).1, verdicts, "{outcomes}");
    }

    #[test]
    fn a_calm_target_goes_down_at_the_third_failure_and_up_at_the_third_pass() {
        check("+++---", "UUUUUD");
        check("+---+++", "UUUDDDU");
        check("+---++-+++", "UUUDDDDDDU");
    }

    #[test]
    fn every_other_probe_failing_takes_it_down() {
        check("+-+-+-+", "UUUUUDD");
    }

    #[test]
    fn six_passes_in_a_row_forgive() {
        check("+--++++++--", "UUUUUUUUUUU");
        check("+--+++++--", "UUUUUUUUDD");
    }

    #[test]
    fn the_first_verdict_takes_one_pass_or_three_failures() {
        check("+", "U");
        check("---", "..D");
        check("--+-", "..UD");
    }

    #[test]
    fn our_own_trouble_counts_for_nothing() {
        check("+--?-", "UUUUD");
        check("???", "...");
        check("---++?+", "..DDDDU");
    }

    #[test]
    fn a_threshold_of_one_acts_at_once() {
        let eager = Thresholds { fall: 1, rise: 1, clear: 1 };
        assert_eq!(told("+-+-", eager).1, "UDUD");
    }

    #[test]
    fn unsettled_from_the_first_failure_until_calm() {
        for (outcomes, settled) in [
            ("+", true),
            ("+-", false),
            ("+-+++++", false),
            ("+-++++++", true),
            ("+---", true),
            ("+---+", false),
            ("+---+++", true),
            ("-", false),
        ] {
            assert_eq!(told(outcomes, USUAL).0.is_settled(), settled, "{outcomes}");
        }
    }

    #[test]
    fn silence_ends_a_verdict() {
        let (mut tracker, _) = told("+", USUAL);
        assert!(!tracker.expire(Moment::from_micros(33_000_000), Duration::from_secs(33)));
        assert!(tracker.expire(Moment::from_micros(33_000_001), Duration::from_secs(33)));
        assert_eq!(tracker, Tracker::default());
    }

    #[test]
    fn the_first_failure_is_remembered_until_forgiven() {
        assert_eq!(told("++-+-", USUAL).0.first_failure(), Some(Moment::from_micros(2_000_000)));
        assert_eq!(told("+-++++++", USUAL).0.first_failure(), None);
        assert_eq!(told("+---++", USUAL).0.first_failure(), Some(Moment::from_micros(1_000_000)));
    }

    #[test]
    fn counters_survive_from_run_to_run() {
        let (tracker, _) = told("+--", USUAL);
        let then =
            Now { moment: Moment::from_micros(3_000_000), wall: "2026-11-22T12:00:03Z".parse().unwrap() };
        let later = Now { moment: Moment::ZERO, wall: "2026-11-22T12:01:00Z".parse().unwrap() };
        let restored = Tracker::restore(&tracker.save(&then), &later);
        assert_eq!((restored.verdict(), restored.failures()), (Verdict::Up, 2));
        assert_eq!(restored.last(), Some(Moment::from_micros(-58_000_000)));
    }
}
