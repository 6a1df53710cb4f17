//! Who may begin when more probes are due than may run: each needs a descriptor, and those are few.
//!
//! Three queues. Whoever waits in person comes first. A probe that the last time took most of its time-out waits in the slow
//! one, and all slow ones together run on half of the turns: a thousand targets that hang keep none that answers from its
//! cadence. Nor do those that answer keep the slow ones from theirs: of so many turns one is offered to them first.
//!
//! A connection that is kept for the next probe needs a descriptor as well, and has no turn. So those count with the turns,
//! and of these a quarter is never theirs. Spare sockets (`spares.rs`) have what is left of all that, and give way at once.

use std::collections::VecDeque;

use rustix::process::{Resource, getrlimit};

use crate::probe::DEFAULT_CONCURRENCY;

/// Descriptors that are for everything else: the state, the providers, the socket, the log.
const RESERVE: usize = 256;
/// More probes than this under way help nobody, whatever the limit of descriptors is.
const MOST: usize = 65_536;
/// No limit of descriptors above this is of any use.
pub const MOST_DESCRIPTORS: u64 = (MOST + RESERVE) as u64;
/// No more spare sockets than this, whatever the limit of descriptors is.
const MOST_SPARES: usize = 8192;
/// After so many quick ones a slow one that waits comes first.
const PATIENCE: u32 = 8;
/// Of what else the agent keeps open: the state, the socket, the log, questions to servers, deliveries.
const OWN: u64 = 128;

/// How many probes may run at a time, by the limit of descriptors that this process has now.
pub(super) fn limit() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    limit_of(usize::try_from(descriptors).unwrap_or(usize::MAX))
}

fn limit_of(descriptors: usize) -> usize {
    descriptors.saturating_sub(RESERVE).max(descriptors / 2).clamp(1, MOST)
}

/// How many descriptors an agent needs so that none of so many endpoints ever waits for another, whatever hangs: one for each
/// probe, another for the pipes of those that are programs or packets, and its own.
pub fn descriptors_needed(endpoints: usize) -> u64 {
    let endpoints = u64::try_from(endpoints).unwrap_or(u64::MAX);
    OWN.saturating_add(endpoints).saturating_add(endpoints.min(DEFAULT_CONCURRENCY as u64))
}

/// How many connections may be kept where so many probes may run.
pub(super) fn most_kept(limit: usize) -> usize {
    limit - limit.div_ceil(4)
}

/// How many spare sockets there may be, at all times: of an idle one some 4 KiB are the kernel's.
pub(super) fn most_spares(limit: usize) -> usize {
    (limit / 4).min(MOST_SPARES)
}

/// Which queue a probe stands in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lane {
    /// Somebody waits for this one probe.
    Asked,
    #[default]
    Quick,
    Slow,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    limit: usize,
    running: [usize; 3],
    waiting: [VecDeque<u32>; 3],
    /// How many quick ones began since a slow one waits.
    passed_over: u32,
}

impl Turns {
    pub(super) fn new(limit: usize) -> Self {
        Turns { limit: limit.max(1), running: [0; 3], waiting: Default::default(), passed_over: 0 }
    }

    /// For how many more there is room while so many connections are kept.
    pub(super) fn room(&self, kept: usize) -> usize {
        self.limit.saturating_sub(self.running.iter().sum::<usize>() + kept)
    }

    /// Whether nothing is under way but one probe at the most.
    pub(super) fn is_calm(&self) -> bool {
        self.running.iter().sum::<usize>() <= 1
    }

    /// Whether one more of this lane may begin while so many connections are kept.
    fn has_room(&self, lane: Lane, kept: usize) -> bool {
        let all = self.running.iter().sum::<usize>();
        let kept = kept.min(most_kept(self.limit));
        all + kept < self.limit
            && (lane != Lane::Slow || self.running[Lane::Slow as usize] < (self.limit / 2).max(1))
    }

    /// Whether a slow one comes before the next quick one.
    fn is_slow_first(&self, kept: usize) -> bool {
        self.passed_over >= PATIENCE
            && !self.waiting[Lane::Slow as usize].is_empty()
            && self.has_room(Lane::Slow, kept)
    }

    fn begins(&mut self, lane: Lane) {
        self.running[lane as usize] += 1;
        self.passed_over = match lane {
            Lane::Quick if !self.waiting[Lane::Slow as usize].is_empty() => {
                self.passed_over.saturating_add(1)
            }
            Lane::Asked => self.passed_over,
            Lane::Quick | Lane::Slow => 0,
        };
    }

    /// Takes a turn if there is one and nobody waits for it.
    pub(super) fn take(&mut self, lane: Lane, kept: usize) -> bool {
        let is_theirs = lane == Lane::Quick && self.is_slow_first(kept);
        let takes = self.waiting[lane as usize].is_empty() && self.has_room(lane, kept) && !is_theirs;
        if takes {
            self.begins(lane);
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
    pub(super) fn next(&mut self, kept: usize, is_for: impl Fn(Lane) -> bool) -> Option<(u32, Lane)> {
        let mut order = [Lane::Asked, Lane::Quick, Lane::Slow];
        if self.is_slow_first(kept) {
            order.swap(1, 2);
        }
        for lane in order {
            if is_for(lane)
                && self.has_room(lane, kept)
                && let Some(slot) = self.waiting[lane as usize].pop_front()
            {
                self.begins(lane);
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
        assert!(turns.take(Lane::Slow, 0) && turns.take(Lane::Slow, 0));
        assert!(!turns.take(Lane::Slow, 0), "half are taken");
        turns.wait(Lane::Slow, 7);
        assert!(turns.take(Lane::Quick, 0) && turns.take(Lane::Quick, 0));
        assert!(!turns.take(Lane::Quick, 0), "all are taken");
        turns.wait(Lane::Quick, 8);
        assert_eq!(turns.next(0, |_| true), None);
        turns.give_back(Lane::Quick);
        assert_eq!(turns.next(0, |_| true), Some((8, Lane::Quick)), "a slow one may not have it");
        turns.give_back(Lane::Slow);
        assert_eq!(turns.next(0, |_| true), Some((7, Lane::Slow)));
        assert_eq!(turns.next(0, |_| true), None);
    }

    #[test]
    fn even_with_one_turn_all_get_theirs() {
        let mut turns = Turns::new(1);
        assert!(turns.take(Lane::Slow, 0) && !turns.take(Lane::Quick, 0));
        turns.give_back(Lane::Slow);
        assert!(turns.take(Lane::Quick, 0) && !turns.take(Lane::Slow, 0));
    }

    #[test]
    fn whoever_waits_in_person_comes_first_and_no_lane_waits_forever() {
        let mut turns = Turns::new(1);
        assert!(turns.take(Lane::Quick, 0));
        turns.wait(Lane::Slow, 1);
        turns.wait(Lane::Asked, 2);
        turns.give_back(Lane::Quick);
        assert!(turns.take(Lane::Quick, 0), "whoever comes at the right moment");
        turns.give_back(Lane::Quick);
        assert_eq!(turns.next(0, |_| true), Some((2, Lane::Asked)));
        turns.give_back(Lane::Asked);
        let quick = (0..100).take_while(|_| {
            let takes = turns.take(Lane::Quick, 0);
            turns.give_back(Lane::Quick);
            takes
        });
        assert!(quick.count() <= PATIENCE as usize);
        assert_eq!(turns.next(0, |_| true), Some((1, Lane::Slow)));
    }

    #[test]
    fn what_is_kept_leaves_a_quarter_for_probes() {
        for limit in 1..100 {
            let (mut turns, kept) = (Turns::new(limit), most_kept(limit));
            let mut begun = 0;
            while turns.take(Lane::Quick, kept) {
                begun += 1;
            }
            assert_eq!(begun + kept, limit);
            assert!(begun * 4 >= limit, "{limit}: {begun}");
        }
    }

    #[test]
    fn with_what_is_needed_none_waits() {
        for endpoints in [1, 10, 128, 130, 500, 512, 1000, 10_000, 60_000] {
            let needed = usize::try_from(descriptors_needed(endpoints)).unwrap();
            assert!(limit_of(needed) >= endpoints, "{endpoints}");
        }
    }
}
