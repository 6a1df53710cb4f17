//! What the results of a race must add up to: pure values, so that the judge itself can be tested.
//!
//! Each writer swaps the number it read for a number that nobody else ever uses. Where the server compares
//! (T1, T2), the successes are then edges of one path from the first number to the last:
//!
//! ```text
//! 0 -> 17 -> 203 -> 4 -> ...        no number left twice, none skipped, as many edges as the serial grew
//! ```
//!
//! Where the last writer wins (T3), writes can overlap. What is still promised: two successes never start from
//! the same number, and a success that was lost is paid for by somebody who was told `Unknown`.

use std::collections::{BTreeMap, BTreeSet};

use crate::SwapTier;

/// One write: the number that was read, and the number that was written in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// What the name held, as the writer read it.
    pub before: u32,
    /// What the writer wrote.
    pub after: u32,
}

/// All that is known after a race.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What the name held before.
    pub first: u32,
    /// What it holds now.
    pub last: u32,
    /// Writes that the provider confirmed.
    pub successes: Vec<Edge>,
    /// Writes whose outcome the provider did not know.
    pub unknown: Vec<Edge>,
    /// Swaps refused as conflicts; only told.
    pub conflicts: u32,
    /// By how much the serial grew, where the server counts writes.
    pub growth: Option<u32>,
}

impl Ledger {
    /// Does it add up?
    ///
    /// # Errors
    /// What does not, in a sentence.
    pub fn judge(&self, tier: SwapTier) -> Result<(), String> {
        if self.successes.is_empty() {
            return Err(format!("no writer succeeded ({} conflicts)", self.conflicts));
        }
        let mut left: BTreeMap<u32, u32> = BTreeMap::new();
        for edge in &self.successes {
            if let Some(other) = left.insert(edge.before, edge.after) {
                let Edge { before, after } = edge;
                return Err(format!(
                    "two successes started from {before}: {other} and {after}; one was overwritten"
                ));
            }
        }
        let writes = if tier <= SwapTier::RecordIds { self.one_path(&left)? } else { self.accounted(&left)? };
        match self.growth {
            Some(growth) if !writes.contains(&growth) => {
                Err(format!("the serial grew by {growth}, but {writes:?} writes are accounted for"))
            }
            _ => Ok(()),
        }
    }

    /// T1 and T2: one path through all successes; an unknown write counts where the path needs it.
    fn one_path(&self, left: &BTreeMap<u32, u32>) -> Result<std::ops::RangeInclusive<u32>, String> {
        let perhaps: BTreeMap<u32, Vec<u32>> = self.unknown.iter().fold(BTreeMap::new(), |mut map, edge| {
            map.entry(edge.before).or_insert_with(Vec::new).push(edge.after);
            map
        });
        let (mut at, mut confirmed, mut writes) = (self.first, 0, 0_u32);
        let mut seen = BTreeSet::from([at]);
        while at != self.last || left.contains_key(&at) {
            let next = left.get(&at).copied();
            confirmed += usize::from(next.is_some());
            // Where several unknown writes start here, at most one was applied: the one that somebody went on from.
            let went_on = |after: &&u32| {
                **after == self.last || left.contains_key(after) || perhaps.contains_key(after)
            };
            let guessed = || perhaps.get(&at).and_then(|all| all.iter().find(went_on)).copied();
            at = next.or_else(guessed).ok_or_else(|| {
                format!("the chain breaks at {at}: nobody wrote what came next, the last is {}", self.last)
            })?;
            writes += 1;
            if !seen.insert(at) {
                return Err(format!("the chain comes back to {at}"));
            }
        }
        if confirmed != self.successes.len() {
            return Err(format!(
                "{} of {} successes are not on the chain: their values were lost",
                self.successes.len() - confirmed,
                self.successes.len()
            ));
        }
        Ok(writes..=writes)
    }

    /// T3: each success that nobody saw and that is not the last must have been lost to an unknown write.
    fn accounted(&self, left: &BTreeMap<u32, u32>) -> Result<std::ops::RangeInclusive<u32>, String> {
        let read_by_somebody: BTreeSet<u32> =
            left.keys().copied().chain(self.unknown.iter().map(|edge| edge.before)).collect();
        let afters = self.successes.iter().map(|edge| edge.after);
        let lost: Vec<u32> =
            afters.filter(|after| *after != self.last && !read_by_somebody.contains(after)).collect();
        if lost.len() > self.unknown.len() {
            return Err(format!(
                "the successes {lost:?} were overwritten by somebody who had not seen them, but only {} writers were told so",
                self.unknown.len()
            ));
        }
        let count = |edges: &[Edge]| u32::try_from(edges.len()).expect("a race has fewer than 2^32 writes");
        Ok(count(&self.successes)..=count(&self.successes) + count(&self.unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(first: u32, last: u32, successes: &[(u32, u32)], unknown: &[(u32, u32)]) -> Ledger {
        let edges =
            |pairs: &[(u32, u32)]| pairs.iter().map(|&(before, after)| Edge { before, after }).collect();
        Ledger { first, last, successes: edges(successes), unknown: edges(unknown), ..Ledger::default() }
    }

    const T1: SwapTier = SwapTier::ServerCompared;
    const T3: SwapTier = SwapTier::AtomicReplace;

    #[test]
    fn one_chain_passes_in_any_order_of_reporting() {
        let good = ledger(0, 3, &[(2, 3), (0, 1), (1, 2)], &[]);
        assert_eq!(good.judge(T1), Ok(()));
        assert_eq!(good.judge(T3), Ok(()));
        assert_eq!(Ledger { growth: Some(3), ..good.clone() }.judge(T1), Ok(()));
        assert!(Ledger { growth: Some(4), ..good }.judge(T1).is_err(), "a write that nobody made");
    }

    #[test]
    fn a_fork_a_gap_and_a_ring_are_found() {
        assert!(ledger(0, 2, &[(0, 1), (0, 2)], &[]).judge(T1).is_err());
        assert!(ledger(0, 2, &[(0, 1), (0, 2)], &[]).judge(T3).is_err());
        assert!(ledger(0, 9, &[(0, 1), (8, 9)], &[]).judge(T1).is_err());
        assert!(ledger(0, 1, &[(0, 1), (7, 8)], &[]).judge(T1).is_err(), "a success beside the chain");
        assert!(ledger(0, 5, &[(0, 1), (1, 0)], &[]).judge(T1).is_err());
        assert!(ledger(0, 0, &[], &[]).judge(T1).is_err(), "nobody succeeded");
    }

    #[test]
    fn an_unknown_write_may_stand_in_the_chain_or_not() {
        assert_eq!(ledger(0, 3, &[(0, 1), (2, 3)], &[(1, 2)]).judge(T1), Ok(()));
        assert_eq!(ledger(0, 1, &[(0, 1)], &[(1, 2)]).judge(T1), Ok(()));
        assert_eq!(ledger(0, 3, &[(0, 1), (2, 3)], &[(1, 7), (1, 2)]).judge(T1), Ok(()));
    }

    #[test]
    fn where_the_last_writer_wins_a_lost_success_is_paid_for() {
        assert!(ledger(0, 2, &[(0, 1), (7, 2)], &[]).judge(T3).is_err(), "1 was overwritten unseen");
        assert_eq!(ledger(0, 2, &[(0, 1)], &[(0, 2)]).judge(T3), Ok(()), "the one who did it knows");
    }
}
