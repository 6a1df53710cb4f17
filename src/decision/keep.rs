//! What is kept for the next run.

use providers::DomainName;

use super::{Decision, Endpoint, Now, SavedRecord, SavedTracker, TargetId};

impl Decision {
    /// What should be kept of a target's endpoints.
    pub fn saved_target<'a>(
        &'a self,
        target: &'a TargetId,
        now: &'a Now,
    ) -> impl Iterator<Item = (Endpoint, SavedTracker)> + 'a {
        self.targets.endpoints(target).map(move |(endpoint, tracker)| (endpoint.clone(), tracker.save(now)))
    }

    /// What should be kept of every endpoint.
    pub fn saved_trackers(&self, now: &Now) -> Vec<(Endpoint, SavedTracker)> {
        self.targets.iter().map(|(endpoint, tracker)| (endpoint.clone(), tracker.save(now))).collect()
    }

    /// What should be kept of a record.
    pub fn saved_record(&self, name: &DomainName, now: &Now) -> Option<SavedRecord> {
        self.records.get(name).map(|state| SavedRecord {
            current: state.current.clone(),
            last_change: state.last_change,
            incident: state.incident.clone(),
            said: state.said.clone(),
            penalty: state.penalty.map(|penalty| penalty.keep(now)),
            marker: state.marker.clone(),
            own_ttl: state.own_ttl,
        })
    }
}
