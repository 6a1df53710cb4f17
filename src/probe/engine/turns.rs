//! Who may begin when more probes are due than may run: each needs a descriptor, and those are few.
//!
//! Two queues. A probe that the last time took most of its time-out waits in the slow one, and all slow ones together run
//! on half of the turns: a thousand targets that hang keep none that answers from its cadence.

use std::collections::VecDeque;

use rustix::process::{Resource, getrlimit};

/// Descriptors that are for everything else: the state, the providers, the socket, the log.
const RESERVE: usize = 256;
/// More probes than this under way help nobody, whatever the limit of descriptors is.
const MOST: usize = 65_536;

/// How many probes may run at a time, by the limit of descriptors that this process has now.
pub(super) fn limit() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    descriptors.saturating_sub(RESERVE).max(descriptors / 2).clamp(1, MOST)
}

/// Which queue a job stands in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lane {
    #[default]
    Quick,
    Slow,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    limit: usize,
    running: [usize; 2],
    waiting: [VecDeque<u32>; 2],
}

impl Turns {
    pub(super) fn new(limit: usize) -> Self {
        Turns { limit: limit.max(1), running: [0, 0], waiting: [VecDeque::new(), VecDeque::new()] }
    }

    /// Whether one more of this lane may begin.
    fn has_room(&self, lane: Lane) -> bool {
        let all = self.running.iter().sum::<usize>();
        all < self.limit
            && (lane == Lane::Quick || self.running[Lane::Slow as usize] < (self.limit / 2).max(1))
    }

    /// Takes a turn if there is one and nobody waits for it.
    pub(super) fn take(&mut self, lane: Lane) -> bool {
        let takes = self.waiting[lane as usize].is_empty() && self.has_room(lane);
        if takes {
            self.running[lane as usize] += 1;
        }
        takes
    }

    /// Gives a turn back.
    pub(super) fn give_back(&mut self, lane: Lane) {
        let running = &mut self.running[lane as usize];
        *running = running.saturating_sub(1);
    }

    /// Waits for a turn.
    pub(super) fn wait(&mut self, lane: Lane, slot: u32) {
        self.waiting[lane as usize].push_back(slot);
    }

    /// Who has waited longest, of those for whom there is a turn; it is theirs then.
    pub(super) fn next(&mut self) -> Option<(u32, Lane)> {
        for lane in [Lane::Quick, Lane::Slow] {
            if self.has_room(lane)
                && let Some(slot) = self.waiting[lane as usize].pop_front()
            {
                self.running[lane as usize] += 1;
                return Some((slot, lane));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_hang_never_take_more_than_half() {
        let mut turns = Turns::new(4);
        assert!(turns.take(Lane::Slow) && turns.take(Lane::Slow));
        assert!(!turns.take(Lane::Slow), "half are taken");
        turns.wait(Lane::Slow, 7);
        assert!(turns.take(Lane::Quick) && turns.take(Lane::Quick));
        assert!(!turns.take(Lane::Quick), "all are taken");
        turns.wait(Lane::Quick, 8);
        assert_eq!(turns.next(), None);
        turns.give_back(Lane::Quick);
        assert_eq!(turns.next(), Some((8, Lane::Quick)), "a slow one may not have it");
        turns.give_back(Lane::Slow);
        assert_eq!(turns.next(), Some((7, Lane::Slow)));
        assert_eq!(turns.next(), None);
    }

    #[test]
    fn even_with_one_turn_all_get_theirs() {
        let mut turns = Turns::new(1);
        assert!(turns.take(Lane::Slow) && !turns.take(Lane::Quick));
        turns.give_back(Lane::Slow);
        assert!(turns.take(Lane::Quick) && !turns.take(Lane::Slow));
    }
}
