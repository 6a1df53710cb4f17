//! What an earlier run left behind, in the terms of the decision. PURE, so that the simulation in `tests/sim` runs this.

use providers::{Snapshot, Swap, Version};

use crate::decision::{EventKind, Motive, Now, Options, Saved, SavedRecord, Work};
use crate::store::{ChangeRow, Loaded, RecordRow};

/// What an earlier run left behind, as the decision wants it.
pub fn saved(loaded: Loaded, now: &Now, options: Options) -> Saved {
    let records = loaded.records.into_iter().map(|(name, row)| {
        let RecordRow { current, last_change, incident, said, penalty, .. } = row;
        let last_change = last_change.map(|t| now.moment_of(t));
        (name, SavedRecord { current, last_change, incident, said, penalty })
    });
    // A dry run has no business with somebody else's open change: it reads what is there.
    let open = if options.dry { Vec::new() } else { loaded.open_changes };
    let unconfirmed = open.into_iter().map(|row| (row.record.clone(), work_of(row, now)));
    Saved {
        trackers: loaded.trackers,
        records: records.collect(),
        unconfirmed: unconfirmed.collect(),
        certificates: loaded.certificates,
    }
}

/// A change that was begun by an earlier run, to be proved by a reading.
fn work_of(row: ChangeRow, now: &Now) -> Work {
    let before = Snapshot {
        marker: None,
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
        swap: Swap::new(before, row.after),
        targets: row.targets,
        motive,
        decided: now.moment_of(row.started),
        completed: row.completed_event.event,
    }
}
