//! What an earlier run left behind, in the terms of the decision. PURE, so that the simulation in `tests/sim` runs this.

use jiff::SignedDuration;
use providers::{Snapshot, Swap, Version};

use crate::decision::{EventKind, Motive, Now, Options, Override, Overrides, Saved, SavedRecord, Work};
use crate::store::{ChangeRow, Loaded, OverrideRow, RecordRow};

/// What an earlier run left behind, as the decision wants it.
pub fn saved(loaded: Loaded, now: &Now, options: Options) -> Saved {
    let records = loaded.records.into_iter().map(|(name, row)| {
        let RecordRow { current, last_change, incident, said, penalty, marker, own_ttl, .. } = row;
        let last_change = last_change.map(|t| now.moment_of(t));
        let marker = marker.map(|row| row.known(now));
        (name, SavedRecord { current, last_change, incident, said, penalty, marker, own_ttl })
    });
    // A dry run has no business with somebody else's open change: it reads what is there.
    let open = if options.dry { Vec::new() } else { loaded.open_changes };
    let unconfirmed = open.into_iter().map(|row| (row.record.clone(), work_of(row, now)));
    Saved {
        trackers: loaded.trackers,
        records: records.collect(),
        unconfirmed: unconfirmed.collect(),
        certificates: loaded.certificates,
        overrides: overrides(loaded.overrides, now),
    }
}

/// What a person ordered in an earlier run. Its end is that of the wall clock, but one that was set back since makes no
/// override longer than it was.
pub fn overrides(kept: Vec<OverrideRow>, now: &Now) -> Overrides {
    Overrides::new(kept.into_iter().map(|row| {
        let length = row.until.duration_since(row.set).max(SignedDuration::ZERO).unsigned_abs();
        let until = now.moment_ahead(row.until).min(now.moment + length);
        let OverrideRow { what, reason, by, set, .. } = row;
        Override { what, until, reason, by, set: now.moment_of(set) }
    }))
}

/// An override as it is kept.
pub(super) fn override_row(order: &Override, now: &Now) -> OverrideRow {
    OverrideRow {
        what: order.what.clone(),
        until: now.wall_of(order.until),
        reason: order.reason.clone(),
        by: order.by.clone(),
        set: now.wall_of(order.set),
    }
}

/// A change that was begun by an earlier run, to be proved by a reading.
fn work_of(row: ChangeRow, now: &Now) -> Work {
    let before = Snapshot {
        marker: row.marker_before,
        name: row.record,
        sets: row.before,
        version: Version::Values,
        native: serde_json::Value::Null,
    };
    let motive = match row.completed_event.event.kind {
        EventKind::FailoverCompleted => Motive::Failover,
        EventKind::FailbackCompleted => Motive::Failback,
        _ => Motive::Stay,
    };
    Work {
        id: row.id,
        swap: Swap { before, after: row.after, marker: row.marker },
        targets: row.targets,
        motive,
        decided: now.moment_of(row.started),
        // It was sent, or never will be.
        send_by: now.moment_of(row.started),
        completed: row.completed_event.event,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::decision::{Moment, What};

    /// What is left of a drain from 12:00 to 14:00 in a run that begins when the wall clock shows this.
    fn left(wall: &str) -> Duration {
        let time = |text: &str| -> Timestamp { format!("2026-11-22T{text}:00Z").parse().unwrap() };
        let what = What::Drain { target: "toronto".into() };
        let (reason, by) = ("new kernel".into(), "alice".into());
        let row = OverrideRow { what, until: time("14:00"), reason, by, set: time("12:00") };
        let now = Now { moment: Moment::ZERO, wall: time(wall) };
        let kept = overrides(vec![row.clone()], &now);
        let next_end = kept.next_end().unwrap();
        if wall > "12:00" && wall < "14:00" {
            let order = kept.iter(now.moment).next().unwrap();
            assert_eq!(override_row(order, &now), row, "kept again it is the same");
        }
        next_end.since(now.moment)
    }

    #[test]
    fn a_restart_goes_by_the_wall_clock_but_one_set_back_makes_no_order_longer() {
        assert_eq!(left("12:30"), Duration::from_mins(90));
        assert_eq!(left("15:00"), Duration::ZERO, "over");
        assert_eq!(left("09:00"), Duration::from_hours(2), "not five hours");
    }
}
