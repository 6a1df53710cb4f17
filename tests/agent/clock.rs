//! Time on the stage: tokio's, with a wall clock that can be set wrong.

use std::sync::{Arc, Mutex};

use failover::clock::{Clock, TokioClock};
use failover::decision::Now;
use jiff::{SignedDuration, Timestamp};

/// How far the wall clock is off; shared by everybody on one machine.
pub(crate) type Offset = Arc<Mutex<SignedDuration>>;

/// One process's clock.
pub(crate) struct StageClock {
    true_time: TokioClock,
    offset: Offset,
}

impl StageClock {
    pub(crate) fn start_at(wall: Timestamp, offset: Offset) -> Self {
        StageClock { true_time: TokioClock::start_at(wall), offset }
    }

    /// What a clock that was never set wrong shows.
    pub(crate) fn true_wall(&self) -> Timestamp {
        self.true_time.now().wall
    }
}

impl Clock for StageClock {
    fn now(&self) -> Now {
        let now = self.true_time.now();
        Now { wall: now.wall + *self.offset.lock().unwrap(), ..now }
    }
}
