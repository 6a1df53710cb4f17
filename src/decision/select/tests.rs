//! What selection makes of pictures without orders; those with orders are in `ordered.rs`.

use super::super::fixture::{A4, A6, B4, at, places, policy, probed, record};
use super::super::{Outcome, Sighting};
use super::*;

type Probes<'a> = &'a [(i64, &'a str, Option<bool>)];

const WELL: Probes<'_> = &[(1, A4, Some(true)), (1, A6, Some(true)), (1, B4, Some(true))];
const A_DEAD: Probes<'_> = &[(1, A4, Some(false)), (1, A6, Some(false)), (2, B4, Some(true))];

fn chosen(probes: Probes<'_>, current: &str, published: &[&str], now: i64) -> Selection {
    chosen_with(probes, current, published, now, &Sight::default())
}

fn chosen_with(probes: Probes<'_>, current: &str, published: &[&str], now: i64, sight: &Sight) -> Selection {
    let policy = policy();
    let targets = probed(&policy, probes);
    let (now, settles_until) = (at(now), at(0));
    let (policy, targets) = (&policy, &targets);
    let overrides = Overrides::NONE;
    let view = View { now, policy, targets, sight, settles_until, overrides, one_shot: false };
    let current: Vec<TargetId> = current.split_whitespace().map(Into::into).collect();
    let places = places(published);
    select(&view, &record(), Current { targets: &current, places: &places, failback_asked: false })
}

#[track_caller]
fn serves(selection: Selection) -> (Vec<String>, Motive) {
    match selection {
        Selection::Serve(wish) => {
            (wish.answer.places().iter().map(ToString::to_string).collect(), wish.motive)
        }
        Selection::Hold(hold) => panic!("held: {hold:?}"),
    }
}

#[test]
fn the_best_tier_that_works() {
    assert_eq!(serves(chosen(WELL, "", &[], 2)), (vec![A4.into(), A6.into()], Motive::Stay));
    assert_eq!(serves(chosen(A_DEAD, "a", &[A4, A6], 3)), (vec![B4.into()], Motive::Failover));
}

#[test]
fn back_only_after_its_time() {
    assert_eq!(serves(chosen(WELL, "b", &[B4], 300)), (vec![B4.into()], Motive::Stay));
    assert_eq!(serves(chosen(WELL, "b", &[B4], 301)), (vec![A4.into(), A6.into()], Motive::Failback));
}

#[test]
fn no_move_on_a_pass_that_is_older_than_the_trouble() {
    let old: Probes<'_> = &[(1, B4, Some(true)), (2, A4, Some(false)), (2, A6, Some(false))];
    let verifying = Hold::Verifying { target: "b".into() };
    assert_eq!(chosen(old, "a", &[A4, A6], 3), Selection::Hold(verifying));
}

#[test]
fn every_hold_has_its_reason() {
    let dead: Probes<'_> = &[(1, A4, Some(false)), (1, A6, Some(false)), (1, B4, Some(false))];
    assert_eq!(chosen(dead, "a", &[A4], 2), Selection::Hold(Hold::AllDown));
    assert_eq!(chosen(&[(1, B4, Some(false))], "a", &[A4], 2), Selection::Hold(Hold::NoneUp));
    assert!(matches!(chosen(&[], "a", &[A4], -1), Selection::Hold(Hold::Settling { .. })));
    let mut sight = Sight::new(&BTreeSet::from(["w".into()]));
    let waits = Hold::AwaitingWitness { target: "a".into() };
    assert_eq!(chosen_with(A_DEAD, "a", &[A4, A6], 3, &sight), Selection::Hold(waits));
    let outcome = Outcome::Fail("no answer".into());
    sight.count(&Sighting { witness: "w".into(), started: at(2), ended: at(2), outcome });
    assert_eq!(chosen_with(A_DEAD, "a", &[A4, A6], 3, &sight), Selection::Hold(Hold::Blind));
}

#[test]
fn what_nothing_is_known_of_is_neither_added_nor_removed() {
    let unknown: Probes<'_> = &[(1, A4, Some(true)), (1, A6, None)];
    assert_eq!(serves(chosen(unknown, "a", &[A4, A6], 2)).0, [A4, A6]);
    assert_eq!(serves(chosen(unknown, "a", &[A4], 2)).0, [A4]);
}

/// An operator who looks why a record does not move is told whom it waits for.
#[test]
fn a_hold_names_whom_it_waits_for() {
    let target = || "db-7".into();
    let waiting_for = vec!["a".into(), "db-7".into()];
    let paused = Hold::Paused { by: "alice".into(), reason: "new kernel".into() };
    for (hold, words) in [
        (Hold::Settling { waiting_for }, "a, db-7"),
        (Hold::AwaitingWitness { target: target() }, "db-7 fails"),
        (Hold::Verifying { target: target() }, "db-7 must first pass"),
        (Hold::Recovering { target: target() }, "db-7 passes"),
        (Hold::Remembered { target: target() }, "db-7 was down"),
        (Hold::Pinned { target: target() }, "pinned to db-7"),
        (Hold::Drained { target: target() }, "only db-7"),
        (paused, "alice: new kernel"),
    ] {
        assert!(hold.text().contains(words), "{}", hold.text());
    }
}

#[test]
fn one_failure_of_what_serves_is_no_trouble_yet() {
    let mut patient = policy();
    for target in patient.targets.values_mut() {
        target.checks.values_mut().for_each(|check| check.thresholds.fall = 3);
    }
    let targets = probed(
        &patient,
        &[(1, A4, Some(true)), (1, A6, Some(true)), (1, B4, Some(true)), (2, A4, Some(false))],
    );
    let (policy, targets, sight, overrides) = (&patient, &targets, &Sight::default(), Overrides::NONE);
    let view = View { now: at(3), policy, targets, sight, settles_until: at(0), overrides, one_shot: false };
    let places = places(&[A4, A6]);
    let current = Current { targets: &["a".into()], places: &places, failback_asked: false };
    assert_eq!(serves(select(&view, &record(), current)), (vec![A4.into(), A6.into()], Motive::Stay));
}

#[test]
fn it_waits_for_those_who_may_still_answer_and_no_longer() {
    let held = |probes, one_shot, now| {
        let (policy, sight, overrides) = (&policy(), &Sight::default(), Overrides::NONE);
        let targets = &probed(policy, probes);
        let view = View { now: at(now), policy, targets, sight, settles_until: at(5), overrides, one_shot };
        let places = places(&[A4]);
        select(&view, &record(), Current { targets: &["a".into()], places: &places, failback_asked: false })
    };
    let settling = |waits: &[&str]| {
        Selection::Hold(Hold::Settling { waiting_for: waits.iter().map(|id| (*id).into()).collect() })
    };
    let no_route: Probes<'_> = &[(1, A4, None), (1, A6, None), (1, B4, None)];
    assert_eq!(held(&[], false, 4), settling(&["a", "b"]));
    assert_eq!(held(&[], false, 5), Selection::Hold(Hold::NoneUp), "the grace is over");
    assert_eq!(held(no_route, false, 4), settling(&["a", "b"]), "who goes on asks again");
    assert_eq!(held(&[], true, 4), settling(&["a", "b"]), "one look is not done yet");
    assert_eq!(held(no_route, true, 4), Selection::Hold(Hold::NoneUp), "another look would tell no more");
}
