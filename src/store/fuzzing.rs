//! What may stand in the columns of the state file: it was written by another version, or by a disk that lies.

use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ChangeRow, RecordRow};
use crate::decision::{
    Endpoint, Letter, Moment, Now, Outcome, Recorded, Rollup, SavedTracker, Thresholds, Tracker,
};

/// A value that is read from a column is the same when it is written and read again. A tracker with any times can be
/// restored, goes on counting and knows nothing of the future; sums with any numbers can be added to and looked at.
pub(crate) fn state_row(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    same::<Endpoint>(&text);
    same::<RecordRow>(&text);
    same::<ChangeRow>(&text);
    same::<Recorded>(&text);
    if let Some(mut rollup) = same::<Rollup>(&text) {
        rollup.merge(&rollup.clone());
        rollup.add(Letter::Pass, Duration::from_millis(7));
        let (mean, middle) = (rollup.mean(), rollup.percentile(50));
        assert!(mean.is_none() || mean <= Some(Duration::from_micros(u64::MAX)));
        assert!(middle.is_none_or(|middle| middle <= Duration::from_micros(rollup.max_us)));
    }
    let Some(saved) = same::<SavedTracker>(&text) else { return };
    let now = Now {
        moment: Moment::ZERO + Duration::from_hours(1),
        wall: "2026-11-22T12:00:00Z".parse().expect("a time"),
    };
    let restored = Tracker::restore(&saved, &now).save(&now);
    for time in [restored.since, restored.first_failure, restored.last].into_iter().flatten() {
        assert!(time <= now.wall, "{time} is in the future");
    }
    let mut tracker = Tracker::restore(&saved, &now);
    let thresholds = Thresholds { fall: 3, rise: 3, clear: 6 };
    let outcomes = [Outcome::Fail("refused".into()), Outcome::Pass, Outcome::Unknown("no route".into())];
    for outcome in outcomes.iter().cycle().take(12).chain(outcomes.iter().flat_map(|one| [one; 6])) {
        tracker.count(now.moment, outcome, thresholds);
    }
    assert_eq!(Tracker::restore(&restored, &now).save(&now), restored, "kept twice it is another");
}

fn same<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = serde_json::from_str(text).ok()?;
    let written = serde_json::to_string(&value).expect("what was read can be written");
    let again: T = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(again, value, "{written}");
    Some(value)
}
