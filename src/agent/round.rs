//! What is kept of everything from time to time, some at a time: a hundred thousand counters in one transaction would hold
//! up the loop, and a change that is due, for as long as the disk takes.
//!
//! Each share is what is known when it is kept, not when the round began. Nothing hangs on the shares being of one moment:
//! what must be kept together with a change or a verdict is kept with it, at once, and a start after a kill takes
//! counters of any age, as long as they are no older than a round.

use std::collections::VecDeque;
use std::time::Duration;

use providers::DomainName;

use super::agenda::record_row;
use crate::decision::{Decision, Moment, Now, TargetId};
use crate::store::Batch;

/// Rows of one share.
const ROWS: usize = 1000;
/// Between two shares: the loop has other things to do.
const PAUSE: Duration = Duration::from_millis(100);

/// What is still to be kept.
#[derive(Debug, Default)]
pub(super) struct Round {
    targets: VecDeque<TargetId>,
    records: VecDeque<DomainName>,
    next: Option<Moment>,
}

impl Round {
    /// Begins with everything, unless there is something left of the round before.
    pub(super) fn begin(&mut self, decision: &Decision) {
        if self.next.is_none() {
            self.targets = decision.target_names().cloned().collect();
            self.records = decision.record_names().cloned().collect();
        }
    }

    /// When the next share is to be kept; `None` when nothing is left.
    pub(super) fn next(&self) -> Option<Moment> {
        self.next
    }

    /// The next share. What is gone since the round began is left out.
    pub(super) fn share(&mut self, decision: &Decision, now: &Now) -> Batch {
        let mut batch = Batch::default();
        while batch.trackers.len() < ROWS
            && let Some(target) = self.targets.pop_front()
        {
            batch.trackers.extend(decision.saved_target(&target, now));
        }
        while batch.trackers.len() + batch.records.len() < ROWS
            && let Some(name) = self.records.pop_front()
        {
            batch.records.extend(record_row(decision, &name, now));
        }
        let more = !(self.targets.is_empty() && self.records.is_empty());
        self.next = more.then(|| now.moment + PAUSE);
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::decision::{CheckPolicy, Endpoint, Options, Policy, Saved, TargetPolicy, Thresholds};

    #[test]
    fn everything_is_kept_once_a_round_and_never_more_than_a_share_at_a_time() {
        let second = Duration::from_secs(1);
        let check = CheckPolicy {
            thresholds: Thresholds { fall: 3, rise: 3, clear: 6 },
            interval: second,
            fast_interval: second,
            timeout: second,
            min_tls_days: None,
        };
        let target = TargetPolicy {
            places: ["192.0.2.1", "2001:db8::1"]
                .into_iter()
                .map(|address| address.parse().unwrap())
                .collect(),
            checks: BTreeMap::from([("web".into(), check)]).into(),
            ..TargetPolicy::default()
        };
        let targets = (0..1200).map(|number| (format!("t{number}").as_str().into(), target.clone()));
        let policy = Policy { targets: targets.collect(), ..Policy::default() };
        let now = Now { moment: Moment::ZERO, wall: jiff::Timestamp::UNIX_EPOCH };
        let decision = Decision::new(policy, BTreeMap::new(), Options::default(), Saved::default(), &now);
        let mut round = Round::default();
        for _ in 0..2 {
            round.begin(&decision);
            let mut kept: Vec<Endpoint> = Vec::new();
            let shares = [ROWS, ROWS, 400].map(|rows| {
                let trackers = round.share(&decision, &now).trackers;
                kept.extend(trackers.iter().map(|(endpoint, _)| endpoint.clone()));
                // One that is begun in the middle of another goes on with it.
                if round.next().is_some() {
                    round.begin(&decision);
                }
                (trackers.len(), rows)
            });
            assert!(shares.iter().all(|(kept, rows)| kept == rows), "{shares:?}");
            assert_eq!(round.next(), None);
            assert_eq!((kept.len(), kept.iter().collect::<BTreeSet<_>>().len()), (2400, 2400));
        }
    }
}
