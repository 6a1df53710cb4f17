//! Guards: pure functions that may refuse a change, each by its name and with the remedy.

use std::collections::BTreeSet;

use providers::{AnswerSets, RecordType, Snapshot};
use serde::Serialize;

use super::velocity::Turn;
use super::{Moment, Motive, Penalty, Place, RecordPolicy, TargetId, Verdict, Wish, counted, human};

/// The guards, by their stable names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The name holds a value that is none of its targets', or does not exist.
    Foreign,
    /// The last change was too short a time ago.
    HoldDown,
    /// It changed too often.
    Flapping,
    /// Too many records of its provider were changed within the last minute.
    Velocity,
    /// The marker in the zone is not what this agent can follow.
    StaleGeneration,
    /// A place that would be added is not known to work.
    UnverifiedTarget,
    /// What would be left of the name does not work in any family.
    Family,
    /// The provider cannot do it in one transaction.
    Capability,
}

impl Guard {
    /// Every guard, in the order in which they are asked.
    pub const ALL: &'static [Guard] = &[
        Guard::Foreign,
        Guard::Capability,
        Guard::StaleGeneration,
        Guard::UnverifiedTarget,
        Guard::Family,
        Guard::Flapping,
        Guard::HoldDown,
        Guard::Velocity,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Guard::Foreign => "foreign",
            Guard::HoldDown => "hold_down",
            Guard::Flapping => "flapping",
            Guard::Velocity => "velocity",
            Guard::StaleGeneration => "stale_generation",
            Guard::UnverifiedTarget => "unverified_target",
            Guard::Family => "family",
            Guard::Capability => "capability",
        }
    }
}

/// A change that was computed and withheld, and the guard that withheld it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The guard.
    pub guard: Guard,
    /// What it saw.
    pub text: String,
    /// What a person can do.
    pub remedy: String,
    /// When it will let the change through by itself, if it will.
    #[serde(skip)]
    pub until: Option<Moment>,
}

/// What the guards look at.
pub(super) struct Case<'a> {
    /// The time.
    pub(super) now: Moment,
    /// The settings of the record.
    pub(super) record: &'a RecordPolicy,
    /// What the name holds.
    pub(super) snapshot: &'a Snapshot,
    /// Where that leads.
    pub(super) published: BTreeSet<Place>,
    /// What it should hold.
    pub(super) wish: &'a Wish,
    /// The same as record sets, as the provider would store them.
    pub(super) after: &'a AnswerSets,
    /// Whose place it is, among the record's targets.
    pub(super) owner: &'a dyn Fn(&Place) -> Option<TargetId>,
    /// The verdict of a place of the record's targets.
    pub(super) verdict: &'a dyn Fn(&TargetId, &Place) -> Verdict,
    /// When the record was last changed by us.
    pub(super) last_change: Option<Moment>,
    /// What its changes add up to.
    pub(super) penalty: Option<Penalty>,
    /// Whose turn it is at the provider; `None` where that has no such bound.
    pub(super) turn: Option<Turn>,
    /// Does the provider change all record sets of a name in one transaction?
    pub(super) atomic_name: bool,
}

/// Asks every guard; those that need a person come before those that only need time.
pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    foreign(case)?;
    capability(case)?;
    unverified_target(case)?;
    family(case)?;
    flapping(case)?;
    hold_down(case)?;
    velocity(case)
}

/// `foreign`: never touch what is not ours, never make what is not asked for.
fn foreign(case: &Case<'_>) -> Result<(), Refusal> {
    let name = &case.record.name;
    if case.snapshot.is_missing() {
        if case.record.create {
            return Ok(());
        }
        return Err(Refusal {
            guard: Guard::Foreign,
            text: format!("{name} does not exist at the provider, and this record may not be created"),
            remedy: format!("make the record by hand, or add `create: true` to the record {name}"),
            until: None,
        });
    }
    let strangers = strangers_among(case.record, &case.published, case.owner);
    if strangers.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        guard: Guard::Foreign,
        text: format!("{name} holds {}, which is no target of this record", strangers.join(", ")),
        remedy: format!(
            "if it may be replaced, add `adopt: [{}]` to the record {name}; else correct the record by hand",
            strangers.iter().map(|v| format!("\"{v}\"")).collect::<Vec<_>>().join(", ")
        ),
        until: None,
    })
}

/// The values at a name that are none of its targets' and not named in `adopt`, sorted.
pub fn foreign_values(
    record: &RecordPolicy,
    snapshot: &Snapshot,
    owner: &dyn Fn(&Place) -> Option<TargetId>,
) -> Vec<String> {
    strangers_among(record, &Place::published(snapshot), owner)
}

fn strangers_among(
    record: &RecordPolicy,
    published: &BTreeSet<Place>,
    owner: &dyn Fn(&Place) -> Option<TargetId>,
) -> Vec<String> {
    let adopted = |place: &Place| match place {
        Place::Address(address) => record.adopt.contains(address),
        Place::Name(name) => record.adopt_names.contains(name),
    };
    let strangers = published.iter().filter(|place| owner(place).is_none() && !adopted(place));
    strangers.map(ToString::to_string).collect()
}

/// `capability`: a change of several record sets needs a provider that makes it in one transaction.
fn capability(case: &Case<'_>) -> Result<(), Refusal> {
    let differing = RecordType::ANSWER
        .into_iter()
        .filter(|kind| case.snapshot.sets.get(kind) != case.after.get(*kind))
        .count();
    if case.atomic_name || differing <= 1 {
        return Ok(());
    }
    Err(Refusal {
        guard: Guard::Capability,
        text: format!(
            "{} needs {differing} record sets changed together, and its provider changes them one by one",
            case.record.name
        ),
        remedy: "use targets of one family only, or a provider that is atomic over several record sets"
            .into(),
        until: None,
    })
}

/// `unverified_target`: never to a place that is not known to work. What is published already may stay.
fn unverified_target(case: &Case<'_>) -> Result<(), Refusal> {
    for place in case.wish.answer.each().filter(|place| !case.published.contains(place)) {
        let owner = (case.owner)(&place);
        let verdict = owner.as_ref().map_or(Verdict::Unknown, |target| (case.verdict)(target, &place));
        // When nothing works, `all_down` may say that something is published all the same: a target's, and no other.
        let as_ordered = case.wish.motive == Motive::AllDown && owner.is_some();
        if verdict != Verdict::Up && !as_ordered {
            let whose = owner.map_or_else(|| "nobody's".to_owned(), |target| format!("{target}'s"));
            let what = if place.name().is_some() { "host name" } else { "address" };
            return Err(Refusal {
                guard: Guard::UnverifiedTarget,
                text: format!("{whose} {what} {place} is {}, not up", verdict.as_str()),
                remedy: "the change follows when the target passes its checks".into(),
                until: None,
            });
        }
    }
    Ok(())
}

/// `family`: a family may go only while something that stays, or that comes in its place, is known to work.
fn family(case: &Case<'_>) -> Result<(), Refusal> {
    let loses = |kind| case.snapshot.sets.contains_key(&kind) && case.after.get(kind).is_none();
    let lost = [RecordType::A, RecordType::Aaaa].into_iter().find(|kind| loses(*kind));
    let works = |place: &Place| {
        (case.owner)(place).is_some_and(|target| (case.verdict)(&target, place) == Verdict::Up)
    };
    match lost {
        Some(kind) if case.wish.motive != Motive::AllDown && !case.wish.answer.places().iter().any(works) => {
            Err(Refusal {
                guard: Guard::Family,
                text: format!(
                    "{} would lose its {kind} record set, and nothing that stays is known to work",
                    case.record.name
                ),
                remedy: "the change follows when an address that stays passes its checks".into(),
                until: None,
            })
        }
        _ => Ok(()),
    }
}

/// `flapping`: what changes again and again is left where it is until it has been calm, or a person has looked (RFC 2439).
fn flapping(case: &Case<'_>) -> Result<(), Refusal> {
    let settings = &case.record.flapping;
    let Some(penalty) = case.penalty else { return Ok(()) };
    let Some(until) = penalty.suppressed_until(case.now, settings) else { return Ok(()) };
    let name = &case.record.name;
    Err(Refusal {
        guard: Guard::Flapping,
        text: format!(
            "{name} changed too often: its penalty was {1} at the last change, is {0}, and no change is made until \
             it is below {2}",
            penalty.left_at(case.now, settings.half_life),
            penalty.value,
            settings.reuse
        ),
        remedy: format!(
            "find out why it changes so often; the agent changes it again in {}, or at once after `failover ack {name}`",
            human(until.since(case.now))
        ),
        until: Some(until),
    })
}

/// `velocity`: a mistake, ours or of what we watch, does not move everything at once.
fn velocity(case: &Case<'_>) -> Result<(), Refusal> {
    let Some(turn) = case.turn.filter(|turn| case.now < turn.at) else { return Ok(()) };
    let (name, provider) = (&case.record.name, &case.record.provider);
    let before = if turn.ahead == 0 {
        "it is the next".to_owned()
    } else {
        format!(
            "{} before it",
            if turn.ahead == 1 { "1 comes".into() } else { format!("{} come", turn.ahead) }
        )
    };
    Err(Refusal {
        guard: Guard::Velocity,
        text: format!(
            "{name} waits for its turn: {provider} may change {} a minute, {} changed within the last one, and {before}",
            counted(turn.allowed, "record"),
            if turn.used == 1 { "1 was".into() } else { format!("{} were", turn.used) },
        ),
        remedy: format!("the change follows in {}", human(turn.at.since(case.now))),
        until: Some(turn.at),
    })
}

/// `hold_down`: resolvers cache for the TTL, so faster changes only add confusion.
fn hold_down(case: &Case<'_>) -> Result<(), Refusal> {
    let Some(last) = case.last_change else { return Ok(()) };
    let until = last + case.record.hold_down;
    if case.now >= until {
        return Ok(());
    }
    Err(Refusal {
        guard: Guard::HoldDown,
        text: format!(
            "{} was changed {} ago; hold_down allows the next change {} after the last one",
            case.record.name,
            human(case.now.since(last)),
            human(case.record.hold_down)
        ),
        remedy: format!("the change follows in {}", human(until.since(case.now))),
        until: Some(until),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::{A4, A6, B4, answer, at, holding, ips, places, policy, record};
    use super::super::{Motive, owner_of};
    use super::*;

    /// One case: what is held, what is wished for, which addresses are Up, seconds since the last change.
    fn asked(
        held: &[&str],
        wished: &[&str],
        up: &[&str],
        changed: Option<u64>,
        change: impl FnOnce(&mut RecordPolicy, &mut bool),
    ) -> Result<(), Refusal> {
        let (mut record, policy, mut atomic_name) = (record(), policy(), true);
        change(&mut record, &mut atomic_name);
        let snapshot = holding(held);
        let answer = answer(wished);
        let after = answer.sets(record.ttl);
        let wish = Wish { answer, targets: vec!["b".into()], motive: Motive::Failover };
        let up = places(up);
        check(&Case {
            now: at(1000),
            record: &record,
            snapshot: &snapshot,
            published: Place::published(&snapshot),
            wish: &wish,
            after: &after,
            owner: &|place| owner_of(&policy, &record, place),
            verdict: &|_, place| if up.contains(place) { Verdict::Up } else { Verdict::Down },
            last_change: changed.map(|seconds| at(1000) - Duration::from_secs(seconds)),
            penalty: None,
            turn: None,
            atomic_name,
        })
    }

    fn guard_of(result: Result<(), Refusal>) -> Option<&'static str> {
        result.err().map(|refusal| refusal.guard.as_str())
    }

    #[test]
    fn what_is_ours_and_works_may_be_written() {
        assert_eq!(asked(&[A4], &[B4], &[B4], None, |_, _| {}), Ok(()));
        assert_eq!(asked(&[A4], &[B4], &[B4], Some(60), |_, _| {}), Ok(()), "hold_down is over");
    }

    #[test]
    fn foreign() {
        let refusal = asked(&[A4, "192.0.2.99"], &[B4], &[B4], None, |_, _| {}).unwrap_err();
        assert_eq!(refusal.guard, Guard::Foreign);
        assert!(refusal.remedy.contains("add `adopt: [\"192.0.2.99\"]` to the record www.example.com"));
        let adopts = |record: &mut RecordPolicy, _: &mut bool| record.adopt = ips(&["192.0.2.99"]);
        assert_eq!(asked(&[A4, "192.0.2.99"], &[B4], &[B4], None, adopts), Ok(()));
        assert_eq!(guard_of(asked(&[], &[B4], &[B4], None, |_, _| {})), Some("foreign"), "missing");
        assert_eq!(asked(&[], &[B4], &[B4], None, |record, _| record.create = true), Ok(()));
        let stranger = |_: &mut RecordPolicy, _: &mut bool| {};
        assert_eq!(guard_of(asked(&[A4], &["192.0.2.1"], &[], None, stranger)), Some("unverified_target"));
    }

    #[test]
    fn unverified_target_for_what_is_added_and_not_for_what_stays() {
        assert_eq!(guard_of(asked(&[A4], &[B4], &[], None, |_, _| {})), Some("unverified_target"));
        assert_eq!(asked(&[A4], &[A4, A6], &[A6], None, |_, _| {}), Ok(()));
    }

    #[test]
    fn family_never_goes_when_nothing_that_stays_works() {
        assert_eq!(guard_of(asked(&[A4, A6], &[A4], &[], None, |_, _| {})), Some("family"));
        assert_eq!(asked(&[A4, A6], &[A4], &[A4], None, |_, _| {}), Ok(()));
        assert_eq!(asked(&[A4], &[A4], &[], None, |_, _| {}), Ok(()), "none goes, though nothing works");
    }

    #[test]
    fn capability_for_two_sets_that_cannot_change_together() {
        let one_by_one = |_: &mut RecordPolicy, atomic: &mut bool| *atomic = false;
        assert_eq!(guard_of(asked(&[A4, A6], &[B4], &[B4], None, one_by_one)), Some("capability"));
        assert_eq!(asked(&[A4], &[B4], &[B4], None, one_by_one), Ok(()), "one set");
    }

    #[test]
    fn hold_down_says_when() {
        let refusal = asked(&[A4], &[B4], &[B4], Some(12), |_, _| {}).unwrap_err();
        assert_eq!((refusal.guard, refusal.until), (Guard::HoldDown, Some(at(1048))));
        assert_eq!(refusal.remedy, "the change follows in 48 s");
    }

    #[test]
    fn those_that_need_a_person_speak_first() {
        let both = asked(&["192.0.2.99"], &[B4], &[], Some(1), |_, _| {});
        assert_eq!(guard_of(both), Some("foreign"));
    }
}
