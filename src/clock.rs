//! The one place where a clock is read. Everybody else is handed the time, or this trait by the agent.

use std::time::Duration;

use jiff::Timestamp;

use crate::decision::{Moment, Now};

/// Tells the time. The agent owns one; those who measure durations at the edge are handed it.
pub trait Clock: Send + Sync {
    /// The time now, on both clocks.
    fn now(&self) -> Now;

    /// The time now on the agent's own clock alone, for those who measure often.
    fn moment(&self) -> Moment {
        self.now().moment
    }
}

/// The machine's clocks: the wall clock, and the one that only goes forward and goes on in suspend.
#[derive(Debug)]
pub struct SystemClock {
    origin: Duration,
}

impl SystemClock {
    /// A clock whose [`Moment::ZERO`] is now.
    pub fn start() -> Self {
        SystemClock { origin: boot_time() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
    fn now(&self) -> Now {
        Now { moment: self.moment(), wall: Timestamp::now() }
    }

    fn moment(&self) -> Moment {
        Moment::ZERO + boot_time().saturating_sub(self.origin)
    }
}

/// `CLOCK_BOOTTIME` and not `CLOCK_MONOTONIC`: the latter stands still while the machine is suspended,
/// and a verdict from before the suspension must be seen to be old.
fn boot_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// The clock of tokio's timers, so that paused time moves it. For tests and virtual time.
#[derive(Debug)]
pub struct TokioClock {
    origin: tokio::time::Instant,
    wall: Timestamp,
}

impl TokioClock {
    /// A clock whose [`Moment::ZERO`] is now, at which the wall clock shows `wall`.
    #[expect(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
    pub fn start_at(wall: Timestamp) -> Self {
        TokioClock { origin: tokio::time::Instant::now(), wall }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let elapsed = self.origin.elapsed();
        Now { moment: Moment::ZERO + elapsed, wall: self.wall + elapsed }
    }
}
