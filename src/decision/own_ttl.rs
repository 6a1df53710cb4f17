//! A provider that keeps another TTL than it is given, although its `normalize` does not say so.
//!
//! Its records would be written for ever. So what two writes in a row left in the place of our TTL counts as in sync. It is
//! never written: each write carries the configured TTL, and one that is there as it was written ends this.

use std::collections::{BTreeMap, BTreeSet};

use providers::{AnswerSets, RecordSet, RecordType, Ttl};
use serde::{Deserialize, Serialize};

/// Writes in a row that must end so: one may have met a person who changed the TTL meanwhile, or a reader that lags.
const WRITES: u32 = 2;

/// What was found in the place of a TTL that a provider said it had written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnTtl {
    /// What was written.
    pub asked: Ttl,
    /// What was found.
    pub found: Ttl,
    /// After so many writes in a row.
    pub writes: u32,
}

impl OwnTtl {
    /// What is known after a write that the provider acknowledged, and a reading that shows its values.
    pub(super) fn after_write(
        known: Option<OwnTtl>,
        asked: &AnswerSets,
        held: &BTreeMap<RecordType, RecordSet>,
    ) -> Option<OwnTtl> {
        let differing = asked.iter().filter_map(|set| {
            let found = held.get(&set.record_type())?;
            (found.ttl != set.ttl).then_some((set.ttl, found.ttl))
        });
        let differing: BTreeSet<(Ttl, Ttl)> = differing.collect();
        let (asked, found) = differing.first().copied().filter(|_| differing.len() == 1)?;
        let again = known.filter(|known| (known.asked, known.found) == (asked, found));
        Some(OwnTtl { asked, found, writes: again.map_or(1, |known| known.writes.saturating_add(1)) })
    }

    /// Is this the answer as such a provider stores it?
    pub(super) fn accepts(self, answer: &AnswerSets, held: &BTreeMap<RecordType, RecordSet>) -> bool {
        let same = |set: &RecordSet| {
            held.get(&set.record_type()).is_some_and(|found| {
                let own = (set.ttl, found.ttl) == (self.asked, self.found);
                found.values == set.values && (found.ttl == set.ttl || own)
            })
        };
        self.writes >= WRITES && answer.iter().count() == held.len() && answer.iter().all(same)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{A4, A6, B4, answer, holding};
    use super::*;

    fn held(addresses: &[&str], ttl: u32) -> BTreeMap<RecordType, RecordSet> {
        let mut sets = holding(addresses).sets;
        for set in sets.values_mut() {
            set.ttl = Ttl(ttl);
        }
        sets
    }

    fn after(known: Option<OwnTtl>, addresses: &[&str], ttl: u32) -> Option<OwnTtl> {
        OwnTtl::after_write(known, &answer(addresses).sets(Ttl(60)), &held(addresses, ttl))
    }

    #[test]
    fn two_writes_in_a_row_tell_and_hold_for_every_answer() {
        let once = after(None, &[A4, A6], 300);
        let of_b = answer(&[B4]).sets(Ttl(60));
        assert!(!once.unwrap().accepts(&of_b, &held(&[B4], 300)), "it may have been a person");
        let twice = after(once, &[B4], 300).unwrap();
        assert!(twice.accepts(&of_b, &held(&[B4], 300)));
        assert!(!twice.accepts(&of_b, &held(&[B4], 120)), "somebody else's");
        assert!(!twice.accepts(&of_b, &held(&[A4], 300)) && !twice.accepts(&of_b, &held(&[B4, A6], 300)));
        assert!(!twice.accepts(&answer(&[B4]).sets(Ttl(30)), &held(&[B4], 300)), "another TTL is configured");
    }

    #[test]
    fn anything_else_begins_anew() {
        let once = after(None, &[A4], 300);
        assert_eq!(after(once, &[A4], 120).unwrap().writes, 1);
        assert_eq!(after(once, &[A4], 60), None, "it is there as it was written");
    }
}
