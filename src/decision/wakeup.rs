//! When the decision wants to be woken though nothing happens.

use super::record::Phase;
use super::select::failback_due_at;
use super::targets::FOREVER;
use super::{Decision, Moment};

impl Decision {
    /// When [`Input::Tick`](super::Input::Tick) is due next.
    pub fn next_wakeup(&mut self, now: Moment) -> Moment {
        let due = match self.wakeup.filter(|at| *at > now) {
            Some(known) => known,
            None => *self.wakeup.insert(self.search_wakeup(now)),
        };
        due.min(self.swept + self.sweep)
    }

    /// When a record or a queue has something to do, or an override ends.
    fn search_wakeup(&self, now: Moment) -> Moment {
        let view = self.view(now);
        // Both have the same names.
        let records =
            self.policy.records.values().zip(self.records.values()).filter_map(|(record, state)| {
                let failback = (state.phase == Phase::Idle)
                    .then(|| failback_due_at(&view, record, &state.current))
                    .flatten()
                    .filter(|due| *due > now);
                state.retry_at.into_iter().chain(failback).min()
            });
        let grace = (!self.settled_reviewed).then_some(self.settles_until);
        let queues = self.next_queue_news();
        let ends = self.overrides.next_end();
        records.chain(grace).chain(queues).chain(ends).fold(FOREVER, Moment::min)
    }
}
