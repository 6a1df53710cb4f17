//! Time as a value. Nothing here reads a clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A point on the agent's own clock, which only goes forward; steps of the wall clock do not move it.
///
/// Counted in microseconds from the agent's start; what was restored from an earlier run is negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(i64);

impl Moment {
    /// The agent's start.
    pub const ZERO: Moment = Moment(0);

    /// The moment this many microseconds after the start; negative for before.
    pub const fn from_micros(micros: i64) -> Self {
        Moment(micros)
    }

    /// Microseconds since the start; negative for before.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "for people; 2^53 microseconds are 285 years")]
        let seconds = self.0 as f64 / 1e6;
        write!(f, "{seconds}s")
    }
}

/// The time now on both clocks, as the agent hands it to the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For every duration and deadline.
    pub moment: Moment,
    /// For what people and files are told, and for nothing else.
    pub wall: Timestamp,
}

impl Now {
    /// What the wall clock showed, or will show, at `moment`, going by what it shows now.
    pub fn wall_of(&self, moment: Moment) -> Timestamp {
        let offset = SignedDuration::from_micros(moment.0.saturating_sub(self.moment.0));
        self.wall.saturating_add(offset).unwrap_or(self.wall)
    }

    /// The moment at which the wall clock will show, or showed, `wall`.
    pub fn moment_ahead(&self, wall: Timestamp) -> Moment {
        Moment(self.moment.0.saturating_add(wall.as_microsecond().saturating_sub(self.wall.as_microsecond())))
    }

    /// The moment at which the wall clock showed `wall`. A time in the future counts as now: a stored
    /// age must not become a credit when the wall clock was set back.
    pub fn moment_of(&self, wall: Timestamp) -> Moment {
        let age = self.wall.duration_since(wall).max(SignedDuration::ZERO);
        self.moment - age.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_tell_the_same_distance() {
        let now =
            Now { moment: Moment::from_micros(60_000_000), wall: "2026-11-22T12:01:00Z".parse().unwrap() };
        assert_eq!(now.wall_of(Moment::ZERO), "2026-11-22T12:00:00Z".parse().unwrap());
        assert_eq!(now.moment_of("2026-11-22T11:59:00Z".parse().unwrap()), Moment::from_micros(-60_000_000));
    }

    #[test]
    fn a_time_from_the_future_is_now() {
        let now = Now { moment: Moment::ZERO, wall: "2026-11-22T12:00:00Z".parse().unwrap() };
        assert_eq!(now.moment_of("2026-11-22T13:00:00Z".parse().unwrap()), Moment::ZERO);
    }
}
