//! Are we cut off ourselves? Witnesses are references that have nothing to do with the targets.

use std::collections::{BTreeMap, BTreeSet};

use super::{Moment, Outcome, Sighting, WitnessId};

/// What the witnesses say of our own sight.
///
/// | last word of the witnesses | state |
/// |---|---|
/// | none configured | sighted; nothing can be known, and the agent says so at start |
/// | one of them has not been probed yet | sighted |
/// | one of them passed | sighted |
/// | all of them failed | blind: nothing is counted, nothing is written |
#[derive(Clone, Debug, Default)]
pub struct Sight {
    last: BTreeMap<WitnessId, Option<bool>>,
    last_seen: Option<Moment>,
    blind_since: Option<Moment>,
    /// What was begun before this is not counted: it may have been seen through closed eyes.
    counts_from: Option<Moment>,
}

/// What a sighting changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SightChange {
    /// The last witness was lost.
    WentBlind,
    /// A witness answers again; blind since the moment given.
    Sighted {
        /// Since when we were blind.
        since: Moment,
    },
}

impl Sight {
    /// Nothing seen yet of these witnesses.
    pub fn new(witnesses: &BTreeSet<WitnessId>) -> Self {
        Sight { last: witnesses.iter().map(|w| (w.clone(), None)).collect(), ..Sight::default() }
    }

    /// Other witnesses from now on; what those that stay said last goes on to count. While blind a new witness counts as
    /// one that does not answer until it was seen: a line in a file gives nobody sight.
    pub(super) fn reshape(&mut self, witnesses: &BTreeSet<WitnessId>, now: Moment) -> Option<SightChange> {
        let unseen = self.blind_since.map(|_| false);
        let word = |w: &WitnessId| (w.clone(), self.last.get(w).copied().unwrap_or(unseen));
        self.last = witnesses.iter().map(word).collect();
        if !self.last.is_empty() {
            return None;
        }
        // Without witnesses nobody can say that we are blind.
        self.last_seen = None;
        let since = self.blind_since.take()?;
        self.counts_from = Some(now);
        Some(SightChange::Sighted { since })
    }

    /// Counts one sighting.
    pub fn count(&mut self, sighting: &Sighting) -> Option<SightChange> {
        let seen = sighting.outcome == Outcome::Pass;
        *self.last.get_mut(&sighting.witness)? = Some(seen);
        if seen {
            self.last_seen = self.last_seen.max(Some(sighting.ended));
        }
        let blind = self.last.values().all(|word| *word == Some(false));
        match (self.blind_since, blind) {
            (None, true) => {
                self.blind_since = Some(sighting.ended);
                Some(SightChange::WentBlind)
            }
            (Some(since), false) => {
                self.blind_since = None;
                self.counts_from = Some(sighting.ended);
                Some(SightChange::Sighted { since })
            }
            _ => None,
        }
    }

    /// Since when we are blind, if we are.
    pub fn blind_since(&self) -> Option<Moment> {
        self.blind_since
    }

    /// May a probe that began at `started` be counted?
    pub fn counts(&self, started: Moment) -> bool {
        self.blind_since.is_none() && self.counts_from.is_none_or(|from| started >= from)
    }

    /// Was a witness seen alive at or after `moment`? Always true where there are none.
    pub fn vouches_since(&self, moment: Moment) -> bool {
        self.last.is_empty() || self.last_seen.is_some_and(|seen| seen >= moment)
    }

    /// Is some witness's last word that it was not seen?
    pub fn is_doubtful(&self) -> bool {
        self.last.values().any(|word| *word == Some(false))
    }

    /// Every witness and whether it was seen last; `None` before its first probe.
    pub fn witnesses(&self) -> impl Iterator<Item = (&WitnessId, Option<bool>)> {
        self.last.iter().map(|(id, word)| (id, *word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Moment {
        Moment::from_micros(second * 1_000_000)
    }

    fn sighting(witness: &str, second: i64, seen: bool) -> Sighting {
        let outcome = if seen { Outcome::Pass } else { Outcome::Fail("no answer".into()) };
        Sighting { witness: witness.into(), started: at(second), ended: at(second), outcome }
    }

    #[test]
    fn blind_only_when_every_witness_is_lost() {
        let mut sight = Sight::new(&BTreeSet::from(["a".into(), "b".into()]));
        assert_eq!(sight.count(&sighting("a", 1, false)), None, "b has not been asked yet");
        assert_eq!(sight.count(&sighting("b", 2, true)), None);
        assert_eq!(sight.count(&sighting("b", 3, false)), Some(SightChange::WentBlind));
        assert!(!sight.counts(at(2)));
        assert_eq!(sight.count(&sighting("a", 9, true)), Some(SightChange::Sighted { since: at(3) }));
        assert!(!sight.counts(at(8)), "begun while blind");
        assert!(sight.counts(at(9)));
    }

    #[test]
    fn a_witness_vouches_from_the_moment_it_was_seen() {
        let mut sight = Sight::new(&BTreeSet::from(["a".into()]));
        assert!(!sight.vouches_since(at(0)));
        sight.count(&sighting("a", 5, true));
        assert!(sight.vouches_since(at(5)));
        assert!(!sight.vouches_since(at(6)));
        assert!(
            Sight::new(&BTreeSet::new()).vouches_since(at(6)),
            "without witnesses nobody can vouch or doubt"
        );
    }

    #[test]
    fn a_stranger_is_no_witness() {
        let mut sight = Sight::new(&BTreeSet::from(["a".into()]));
        assert_eq!(sight.count(&sighting("x", 1, false)), None);
        assert!(sight.blind_since().is_none());
    }

    #[test]
    fn each_witness_is_known_by_its_last_word() {
        let mut sight = Sight::new(&BTreeSet::from(["a".into(), "b".into(), "c".into()]));
        for (witness, second, seen) in [("a", 1, false), ("a", 2, true), ("b", 3, false)] {
            sight.count(&sighting(witness, second, seen));
        }
        let words: Vec<(&str, Option<bool>)> =
            sight.witnesses().map(|(witness, word)| (witness.as_str(), word)).collect();
        assert_eq!(words, [("a", Some(true)), ("b", Some(false)), ("c", None)]);
    }
}
