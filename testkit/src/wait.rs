//! Waiting for a condition.

use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "a deadline against real servers is real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks `condition` again every 20 ms until it gives a value; panics with `what` after `limit`.
#[track_caller]
pub fn wait_until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
