//! What is kept for the next run.

use providers::DomainName;

use super::{Decision, Endpoint, Now, SavedRecord, SavedTracker, TargetId};

impl Decision {
    /// Every target's name.
    pub fn target_names(&self) -> impl Iterator<Item = &TargetId> {
        self.policy.targets.keys()
    }

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::fixture::{A4, A6, B4, at, observation, policy};
    use super::super::{Input, Options, Saved, Verdict};
    use super::*;

    #[test]
    fn every_endpoint_is_kept_with_its_verdict_and_those_of_one_target_by_themselves() {
        let now = Now { moment: at(1), wall: jiff::Timestamp::UNIX_EPOCH };
        let mut decision =
            Decision::new(policy(), BTreeMap::new(), Options::default(), Saved::default(), &now);
        let _ = decision.start(&now);
        for (address, passed) in [(A4, true), (A6, false), (B4, true)] {
            let seen = observation("web", address, (1, 1), Some(passed));
            let _ = decision.handle(&now, Input::Observed(seen));
        }
        let all = decision.saved_trackers(&now);
        let verdicts: Vec<(String, Verdict)> =
            all.iter().map(|(endpoint, saved)| (endpoint.address.to_string(), saved.verdict)).collect();
        let expected = [(A4, Verdict::Up), (A6, Verdict::Down), (B4, Verdict::Up)];
        assert_eq!(verdicts, expected.map(|(address, verdict)| (address.to_owned(), verdict)));
        for (target, its) in [("a", &all[..2]), ("b", &all[2..])] {
            assert_eq!(decision.saved_target(&target.into(), &now).collect::<Vec<_>>(), its);
        }
    }
}
