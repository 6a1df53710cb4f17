//! From a wish and what was read to the change that is due, if any.

use std::collections::BTreeSet;

use providers::{AnswerSets, Snapshot, Swap};

use super::guard::{self, Case, Refusal};
use super::velocity::Turn;
use super::{Moment, Penalty, Place, Policy, RecordPolicy, Sight, TargetId, Targets, Wish};

/// What is to be done about one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The name holds the wish.
    InSync,
    /// This must be written.
    Write(Swap),
    /// It must be written, and a guard withholds it.
    Refused {
        /// The guard and the remedy.
        refusal: Refusal,
        /// What would have been written.
        withheld: Swap,
    },
}

/// What [`judge`] looks at beside the wish and the snapshot.
pub struct Bench<'a> {
    /// The time.
    pub now: Moment,
    /// The settings.
    pub policy: &'a Policy,
    /// The record's.
    pub record: &'a RecordPolicy,
    /// The verdicts.
    pub targets: &'a Targets,
    /// Our own sight.
    pub sight: &'a Sight,
    /// When the record was last changed by us.
    pub last_change: Option<Moment>,
    /// What its changes add up to.
    pub penalty: Option<Penalty>,
    /// When it is its turn at its provider.
    pub turn: Option<Turn>,
    /// Does the provider change all record sets of a name in one transaction?
    pub atomic_name: bool,
}

/// Compares, then asks the guards. `after` is the wish as the provider would store it
/// ([`ReadProvider::normalize`](providers::ReadProvider::normalize)).
pub fn judge(bench: &Bench<'_>, wish: &Wish, snapshot: &Snapshot, after: AnswerSets) -> Judgement {
    if snapshot.holds(&after) {
        return Judgement::InSync;
    }
    let verdict = guard::check(&Case {
        now: bench.now,
        record: bench.record,
        snapshot,
        published: Place::published(snapshot),
        wish,
        after: &after,
        owner: &|place| owner_of(bench.policy, bench.record, place),
        verdict: &|target, place| bench.targets.address(target, place, bench.sight),
        last_change: bench.last_change,
        penalty: bench.penalty,
        turn: bench.turn,
        atomic_name: bench.atomic_name,
    });
    let swap = Swap::new(snapshot.clone(), after);
    match verdict {
        Ok(()) => Judgement::Write(swap),
        Err(refusal) => Judgement::Refused { refusal, withheld: swap },
    }
}

/// Whose place it is among a record's targets; the best one's where several have it.
pub fn owner_of(policy: &Policy, record: &RecordPolicy, place: &Place) -> Option<TargetId> {
    let has = |target: &&TargetId| policy.targets.get(*target).is_some_and(|t| t.places.contains(place));
    record.targets().find(has).cloned()
}

/// The targets whose places are among these, in order of priority.
pub fn owners(policy: &Policy, record: &RecordPolicy, places: &BTreeSet<Place>) -> Vec<TargetId> {
    let published: BTreeSet<TargetId> =
        places.iter().filter_map(|place| owner_of(policy, record, place)).collect();
    record.targets().filter(|target| published.contains(*target)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::Motive;
    use super::super::fixture::{A4, A6, B4, answer, at, holding, places, policy, probed, record};
    use super::*;

    #[test]
    fn a_name_that_holds_the_wish_needs_nothing_whatever_the_guards_would_say() {
        let (policy, record, sight) = (policy(), record(), Sight::default());
        let targets = probed(&policy, &[]);
        let bench = Bench {
            now: at(0),
            policy: &policy,
            record: &record,
            targets: &targets,
            sight: &sight,
            last_change: Some(at(0)),
            penalty: None,
            turn: None,
            atomic_name: false,
        };
        let answer = answer(&[B4]);
        let after = answer.sets(record.ttl);
        let wish = Wish { answer, targets: vec!["b".into()], motive: Motive::Failover };
        assert_eq!(judge(&bench, &wish, &holding(&[B4]), after.clone()), Judgement::InSync);
        let Judgement::Refused { withheld, .. } = judge(&bench, &wish, &holding(&[A4]), after.clone()) else {
            panic!("b is not known to work");
        };
        assert_eq!(withheld.after, after, "and what was withheld is told");
    }

    #[test]
    fn owners_in_order_of_priority() {
        let (policy, record) = (policy(), record());
        let names = |published: &[&str]| owners(&policy, &record, &places(published));
        assert_eq!(names(&[B4, A6]), ["a".into(), "b".into()]);
        assert_eq!(names(&["192.0.2.99"]), []);
    }
}
