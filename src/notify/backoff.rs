//! When the next attempt is made. PURE.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::store::Next;

/// The waits after the first, second, ... failure; the last one goes on.
const WAITS: [u64; 7] = [1, 5, 30, 120, 600, 1800, 3600];

/// How long a delivery is tried after its first attempt.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// The longest wait that a service can ask for.
pub(super) const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// The shortest wait, whatever a service asks for.
const SHORTEST: Duration = Duration::from_secs(1);

/// What follows from a failed attempt: the wait the service asked for, else the usual one; the end after 24 hours.
///
/// `failures` counts this one; `random` is any number, the same for the same attempt.
pub(super) fn after_failure(
    now: Timestamp,
    first_attempt: Timestamp,
    failures: u32,
    asked: Option<Duration>,
    random: u64,
) -> Next {
    let wait = asked.map_or_else(|| usual(failures, random), |asked| asked.clamp(SHORTEST, LONGEST_ASKED));
    match now.checked_add(wait) {
        Ok(at) if at.duration_since(first_attempt) <= LIFETIME => Next::RetryAt(at),
        _ => Next::Dead,
    }
}

/// The usual wait, spread by 20 % either way so that many agents do not come back at once.
fn usual(failures: u32, random: u64) -> Duration {
    let step = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX).min(WAITS.len() - 1);
    let per_mille = 800 + random % 401;
    Duration::from_millis(WAITS[step] * per_mille)
}

/// A number that looks random and is the same for the same three: `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>).
/// No state, so that the order in which channels are served changes nothing.
pub(super) fn mix(seed: u64, delivery: i64, attempt: u32) -> u64 {
    let mut z = seed;
    for word in [delivery.unsigned_abs(), u64::from(attempt)] {
        z = z.wrapping_add(word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(failures: u32, asked: Option<u64>, random: u64) -> f64 {
        let now = Timestamp::UNIX_EPOCH;
        match after_failure(now, now, failures, asked.map(Duration::from_secs), random) {
            Next::RetryAt(at) => at.duration_since(now).as_secs_f64(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_waits_grow_to_an_hour_and_are_spread() {
        for (failures, seconds) in
            [(1, 1.0), (2, 5.0), (3, 30.0), (4, 120.0), (5, 600.0), (6, 1800.0), (7, 3600.0), (99, 3600.0)]
        {
            let (low, high) = (wait(failures, None, 0), wait(failures, None, 400));
            assert!(
                (low - seconds * 0.8).abs() < 1e-6 && (high - seconds * 1.2).abs() < 1e-6,
                "{low} {high}"
            );
        }
        let spread: std::collections::BTreeSet<_> = (0..100).map(|n| mix(1, n, 1) % 401).collect();
        assert!(spread.len() > 50, "seed 1: {spread:?}");
        assert_eq!(mix(7, 3, 2), mix(7, 3, 2));
    }

    #[test]
    fn a_service_is_waited_for_as_it_asks_within_reason() {
        for (asked, seconds) in [(0, 1.0), (7, 7.0), (86_400, 3600.0)] {
            assert!((wait(1, Some(asked), 0) - seconds).abs() < f64::EPSILON, "{asked}");
        }
    }

    #[test]
    fn a_day_after_the_first_attempt_it_ends() {
        let first = Timestamp::UNIX_EPOCH;
        let at = |hours: i64| first + SignedDuration::from_hours(hours);
        assert!(matches!(after_failure(at(22), first, 30, None, 400), Next::RetryAt(_)));
        assert_eq!(after_failure(at(23), first, 30, None, 400), Next::Dead);
        let mut now = first;
        let mut failures = 1;
        while let Next::RetryAt(next) = after_failure(now, first, failures, None, 200) {
            (now, failures) = (next, failures + 1);
        }
        assert!((25..=32).contains(&failures), "{failures} attempts in a day");
    }
}
