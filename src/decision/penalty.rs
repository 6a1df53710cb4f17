//! The flap penalty of a record: each change adds to it, time halves it. The arithmetic of RFC 2439 sections 4.2 and 4.4, with a
//! change of the record for the "flap".

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Flapping, Moment, Now};

/// What one change adds.
pub const PER_CHANGE: u32 = 1000;

/// A figure of merit at a moment. It only falls after it, so two numbers say everything about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// Its height at `at`.
    pub value: u32,
    /// When the record was changed last.
    pub at: Moment,
}

/// A penalty as it is kept over runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPenalty {
    /// Its height at `at`.
    pub value: u32,
    /// When the record was changed last, by the wall clock.
    pub at: Timestamp,
}

/// Clocks differ by no more than this without anybody having set them.
const CLOCKS_DIFFER: Duration = Duration::from_secs(1);

impl Penalty {
    /// As it is kept.
    pub fn keep(&self, now: &Now) -> KeptPenalty {
        KeptPenalty { value: self.value, at: now.wall_of(self.at) }
    }

    /// As it was kept, and what of that cannot be true and was put right: a time in the future counts as now, because a
    /// clock that was set back must not prolong it, and none is higher than its ceiling.
    pub fn restore(kept: &KeptPenalty, now: &Now, flapping: &Flapping) -> (Penalty, Option<String>) {
        let penalty = Penalty { value: kept.value.min(flapping.ceiling()), at: now.moment_of(kept.at) };
        let ahead = now.moment_ahead(kept.at).since(now.moment);
        let wrong = if ahead > CLOCKS_DIFFER {
            Some(format!("its time, {}, is still to come; it counts as of now", kept.at))
        } else if kept.value > flapping.ceiling() {
            let (value, ceiling) = (kept.value, flapping.ceiling());
            Some(format!("its height, {value}, is above what it can reach; it counts as {ceiling}"))
        } else {
            None
        };
        (penalty, wrong)
    }

    /// What is left of it now, rounded up: rounding down would let a change through a moment too early.
    pub fn left_at(&self, now: Moment, half_life: Duration) -> u32 {
        let halvings = now.since(self.at).as_secs_f64() / half_life.as_secs_f64().max(f64::MIN_POSITIVE);
        let left = (f64::from(self.value) * (-halvings).exp2()).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a u32")]
        let left = left as u32;
        left
    }

    /// The penalty right after a change at `now`. It cannot grow beyond one change above `suppress`: a change is made only
    /// below it, and what is read elsewhere is not to hold a record for ever (RFC 2439 section 4.2, "ceiling").
    #[must_use]
    pub fn after_change(before: Option<Penalty>, now: Moment, flapping: &Flapping) -> Penalty {
        let left = before.map_or(0, |penalty| penalty.left_at(now, flapping.half_life));
        // A change is proved after it was made, and others may have been counted meanwhile.
        let at = before.map_or(now, |penalty| now.max(penalty.at));
        Penalty { value: left.saturating_add(PER_CHANGE).min(flapping.ceiling()), at }
    }

    /// Until when the record is left alone: from the change that took the penalty to `suppress` until it has fallen below
    /// `reuse`. `None` when it is not, or no longer.
    ///
    /// Nothing but these two numbers is needed, because a penalty rises at changes only, and none is made meanwhile.
    pub fn suppressed_until(&self, now: Moment, flapping: &Flapping) -> Option<Moment> {
        if self.value < flapping.suppress {
            return None;
        }
        // Below `reuse`, not at it.
        let below = flapping.reuse.saturating_sub(1).max(1);
        let halvings = (f64::from(self.value) / f64::from(below)).log2();
        let lasts = flapping.half_life.mul_f64(halvings.max(0.0)) + Duration::from_millis(1);
        Some(self.at + lasts).filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::at;
    use super::*;

    #[test]
    fn it_halves_and_never_rises_by_itself() {
        let penalty = Penalty { value: 4000, at: at(0) };
        let half_life = Duration::from_mins(15);
        let left: Vec<u32> =
            [0, 900, 1800, 36_000_000].into_iter().map(|s| penalty.left_at(at(s), half_life)).collect();
        assert_eq!(left, [4000, 2000, 1000, 0]);
        assert_eq!(penalty.left_at(at(-5), half_life), 4000, "a moment before it");
    }

    #[test]
    fn four_changes_in_a_row_suppress_and_two_half_lives_and_a_bit_let_go() {
        let flapping = Flapping::default();
        let mut penalty = None;
        let mut suppressed = Vec::new();
        for second in [0, 1, 2, 3, 4] {
            let next = Penalty::after_change(penalty, at(second), &flapping);
            suppressed.push(next.suppressed_until(at(second), &flapping).is_some());
            penalty = Some(next);
        }
        assert_eq!(suppressed, [false, false, false, false, true], "a hair below 4000 after the fourth");
        let last = penalty.expect("five changes");
        let until = last.suppressed_until(at(4), &flapping).expect("suppressed");
        assert!(
            last.left_at(until, flapping.half_life) < flapping.reuse,
            "{}",
            last.left_at(until, flapping.half_life)
        );
        assert!(last.left_at(until - Duration::from_secs(3), flapping.half_life) >= flapping.reuse);
        assert_eq!(last.suppressed_until(until, &flapping), None);
    }

    #[test]
    fn what_was_kept_and_cannot_be_true_is_put_right() {
        let now = Now { moment: at(0), wall: "2026-11-22T12:00:00Z".parse().unwrap() };
        let flapping = Flapping::default();
        let restore = |value, second: i64| {
            let kept = KeptPenalty { value, at: now.wall_of(at(second)) };
            let (penalty, wrong) = Penalty::restore(&kept, &now, &flapping);
            (penalty.value, penalty.at, wrong.is_some())
        };
        assert_eq!(restore(3000, -900), (3000, at(-900), false));
        assert_eq!(restore(3000, 3600), (3000, at(0), true), "no credit for a clock that was set back");
        assert_eq!(restore(4_000_000_000, -900), (5000, at(-900), true));
        assert_eq!(restore(5000, -900), (5000, at(-900), false), "as high as it can be");
        let penalty = Penalty { value: 3000, at: at(-900) };
        assert_eq!(Penalty::restore(&penalty.keep(&now), &now, &flapping), (penalty, None));
    }

    #[test]
    fn it_has_a_ceiling_whatever_is_read_elsewhere() {
        let flapping = Flapping::default();
        let absurd = Penalty { value: u32::MAX, at: at(0) };
        assert_eq!(Penalty::after_change(Some(absurd), at(0), &flapping).value, flapping.ceiling());
    }

    #[test]
    fn clocks_may_differ_by_a_second() {
        let now = Now { moment: at(0), wall: Timestamp::UNIX_EPOCH };
        let wrong = |seconds| {
            let kept = KeptPenalty { value: 1000, at: Timestamp::from_second(seconds).unwrap() };
            Penalty::restore(&kept, &now, &Flapping::default()).1.is_some()
        };
        assert_eq!([-60, 0, 1, 2].map(wrong), [false, false, false, true]);
    }
}
