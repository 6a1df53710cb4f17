//! What could not be kept, until it can be.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use providers::DomainName;

use crate::decision::{Endpoint, OverrideKey, Recorded, SavedTracker};
use crate::store::{Batch, ChangeRow, OverrideRow, RecordRow};

/// Changes and events that are remembered; of more the oldest are forgotten.
const MOST: usize = 1000;

/// The newest state of everything in the batches that were not taken, and their events. Those are told from memory:
/// here they are history alone, so that nothing is told again from the file. What of them has not reached its channel
/// when the file can be written goes into the same batch as [`Batch::deliveries`].
#[derive(Default)]
pub(super) struct Backlog {
    trackers: BTreeMap<Endpoint, SavedTracker>,
    records: BTreeMap<DomainName, RecordRow>,
    changes: BTreeMap<String, Arc<ChangeRow>>,
    overrides: BTreeMap<OverrideKey, Option<OverrideRow>>,
    events: VecDeque<Recorded>,
}

impl Backlog {
    pub(super) fn add(&mut self, batch: Batch) {
        self.trackers.extend(batch.trackers);
        self.records.extend(batch.records.into_iter().map(|row| (row.name.clone(), row)));
        self.changes.extend(batch.changes.into_iter().map(|row| (row.id.clone(), row)));
        self.events.extend(batch.events.into_iter().map(|(recorded, _)| recorded));
        self.overrides.extend(batch.overrides);
        // Ids of changes begin with their time.
        while self.changes.len() > MOST {
            self.changes.pop_first();
        }
        self.events.drain(..self.events.len().saturating_sub(MOST));
    }

    /// All of it, for one transaction.
    pub(super) fn batch(&self) -> Batch {
        Batch {
            at: None,
            trackers: self.trackers.clone().into_iter().collect(),
            records: self.records.values().cloned().collect(),
            changes: self.changes.values().cloned().collect(),
            overrides: self.overrides.clone().into_iter().collect(),
            events: self.events.iter().map(|recorded| (recorded.clone(), Vec::new())).collect(),
            deliveries: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Event, EventKind};

    #[test]
    fn it_is_bounded_and_tells_nobody() {
        let mut backlog = Backlog::default();
        for number in 0..MOST + 5 {
            let event = Event::new(EventKind::TargetDown, "2026-11-22T12:00:00Z".parse().unwrap(), "down");
            let recorded = Recorded { id: format!("evt-{number}"), agent: "a".into(), event };
            backlog.add(Batch { events: vec![(recorded, vec!["chat".into()])], ..Batch::default() });
        }
        let events = backlog.batch().events;
        assert_eq!((events.len(), events[0].0.id.as_str()), (MOST, "evt-5"));
        assert!(events.iter().all(|(_, channels)| channels.is_empty()));
    }
}
