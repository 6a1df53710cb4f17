//! Where the time of a change went: how long after the first failure each step was done.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Moment;

/// Milliseconds since the first failure that led to a change. Steps that have not come, or whose time is not known, are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// The target was Down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_ms: Option<u64>,
    /// What to write was decided, the record having been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_ms: Option<u64>,
    /// The provider had acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_ms: Option<u64>,
    /// It was read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_ms: Option<u64>,
    /// The first authoritative server was seen to serve it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_served_ms: Option<u64>,
    /// The last was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_served_ms: Option<u64>,
}

impl Phases {
    /// Of a change that is decided now.
    pub(super) fn decided(first_failure: Moment, down: Option<Moment>, now: Moment) -> Phases {
        let after = |moment: Moment| Some(millis(moment.since(first_failure)));
        Phases { down_ms: down.and_then(after), decided_ms: after(now), ..Phases::default() }
    }

    /// The steps in their order, each by its key in JSON without the unit, with its milliseconds.
    pub fn steps(&self) -> [(&'static str, Option<u64>); 6] {
        [
            ("down", self.down_ms),
            ("decided", self.decided_ms),
            ("written", self.written_ms),
            ("confirmed", self.confirmed_ms),
            ("first_served", self.first_served_ms),
            ("all_served", self.all_served_ms),
        ]
    }

    /// The time of a step by how long after the decision it was.
    pub(super) fn at(&self, decided: Moment, step: Moment) -> Option<u64> {
        self.decided_ms.map(|ms| ms.saturating_add(millis(step.since(decided))))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `down 200 ms, decided 203 ms, written 206 ms`.
impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = ["down", "decided", "written", "read back", "first served", "served by all"];
        let known = words.into_iter().zip(self.steps()).filter_map(|(word, (_, ms))| Some((word, ms?)));
        for (n, (step, ms)) in known.enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            if ms < 10_000 {
                write!(f, "{comma}{step} {ms} ms")?;
            } else {
                write!(f, "{comma}{step} {}.{} s", ms / 1000, ms % 1000 / 100)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::at;
    use super::*;

    #[test]
    fn each_step_counts_from_the_first_failure() {
        let mut phases = Phases::decided(at(10), Some(at(12)), at(13));
        assert_eq!((phases.down_ms, phases.decided_ms), (Some(2000), Some(3000)));
        phases.written_ms = phases.at(at(13), at(14));
        phases.all_served_ms = phases.at(at(13), at(73));
        assert_eq!(
            phases.to_string(),
            "down 2000 ms, decided 3000 ms, written 4000 ms, served by all 63.0 s"
        );
        assert_eq!(
            serde_json::to_string(&phases).unwrap(),
            r#"{"down_ms":2000,"decided_ms":3000,"written_ms":4000,"all_served_ms":63000}"#
        );
        assert_eq!(
            Phases::default().at(at(1), at(2)),
            None,
            "without a first failure there is nothing to count from"
        );
    }
}
