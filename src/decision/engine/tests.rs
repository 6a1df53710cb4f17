//! What the state machine does beside judging: who is probed, how often it wakes, what it is not moved by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use providers::{DomainName, Fault};

use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
use super::super::{
    EventKind, FailbackMode, Input, Options, Outcome, Override, Pace, ProviderFace, Saved, SavedRecord,
    Sighting, Thresholds, What,
};
use super::*;

fn now(second: i64) -> Now {
    let start: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    Now { moment: at(second), wall: start + jiff::SignedDuration::from_secs(second) }
}

fn faces() -> BTreeMap<ProviderId, ProviderFace> {
    let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
    BTreeMap::from([("zone".into(), face)])
}

fn started(policy: Policy, saved: Saved) -> Decision {
    let mut decision = Decision::new(policy, faces(), Options::default(), saved, &now(0));
    let _ = decision.start(&now(0));
    decision
}

fn witnessed_policy() -> Policy {
    Policy { witnesses: ["w".into()].into(), startup_grace: Duration::from_secs(20), ..policy() }
}

fn reads(decision: &mut Decision, second: i64, held: &[&str]) -> Vec<Effect> {
    decision.handle(&now(second), Input::Read { record: record().name, result: Ok(holding(held)) })
}

fn probe(decision: &mut Decision, second: i64, address: &str, passed: bool) -> Vec<Effect> {
    let seen = observation("web", address, (second, second), Some(passed));
    decision.handle(&now(second), Input::Observed(seen))
}

fn witness(decision: &mut Decision, second: i64, seen: bool) -> Vec<Effect> {
    let outcome = if seen { Outcome::Pass } else { Outcome::Fail("no answer".into()) };
    let sighting = Sighting { witness: "w".into(), started: at(second), ended: at(second), outcome };
    decision.handle(&now(second), Input::Witnessed(sighting))
}

/// All works, the record points at `a`, and the witness was seen.
fn well(policy: Policy) -> Decision {
    let mut decision = started(policy, Saved::default());
    let _ = reads(&mut decision, 0, &[A4, A6]);
    for address in [A4, A6, B4] {
        let _ = probe(&mut decision, 1, address, true);
    }
    let _ = witness(&mut decision, 1, true);
    decision
}

fn events(effects: &[Effect]) -> Vec<Event> {
    let event = |effect: &Effect| match effect {
        Effect::Say(event, _) => Some((**event).clone()),
        _ => None,
    };
    effects.iter().filter_map(event).collect()
}

fn probed(effects: &[Effect]) -> Vec<String> {
    let address = |effect: &Effect| match effect {
        Effect::Probe(endpoint) => Some(endpoint.address.to_string()),
        _ => None,
    };
    effects.iter().filter_map(address).collect()
}

fn hold(decision: &Decision) -> Option<&Hold> {
    decision.records[&record().name].hold.as_ref()
}

#[test]
fn a_first_failure_asks_whoever_could_take_over_and_the_witnesses_at_once() {
    let mut decision = well(witnessed_policy());
    let out = probe(&mut decision, 2, A4, false);
    assert_eq!(probed(&out), [A6, B4], "all but the one that has just answered");
    assert!(out.contains(&Effect::ProbeWitnesses));
    let out = probe(&mut decision, 3, A4, false);
    assert_eq!((probed(&out), out.contains(&Effect::ProbeWitnesses)), (vec![], false), "the first one only");
    let mut alone = well(policy());
    assert!(!probe(&mut alone, 2, A4, false).contains(&Effect::ProbeWitnesses), "nobody to ask");
}

#[test]
fn witnesses_are_asked_fast_while_anything_is_in_doubt_and_told_so_once() {
    let paces = |effects: &[Effect]| {
        let pace = |effect: &Effect| match effect {
            Effect::WitnessPace(_, pace) => Some(*pace),
            _ => None,
        };
        effects.iter().filter_map(pace).collect::<Vec<_>>()
    };
    let mut slow = witnessed_policy();
    let calm_after_two = Thresholds { fall: 3, rise: 1, clear: 2 };
    slow.targets.values_mut().for_each(|t| t.checks.values_mut().for_each(|c| c.thresholds = calm_after_two));
    let mut decision = well(slow);
    assert_eq!(paces(&probe(&mut decision, 2, A4, false)), [Pace::Fast], "a failure is counted");
    assert_eq!(paces(&probe(&mut decision, 3, B4, false)), [], "they are fast already");
    let _ = probe(&mut decision, 4, A4, true);
    assert_eq!(paces(&probe(&mut decision, 5, A4, true)), [], "the other one is still in doubt");
    let _ = probe(&mut decision, 6, B4, true);
    assert_eq!(paces(&probe(&mut decision, 7, B4, true)), [Pace::Steady]);
    assert_eq!(paces(&witness(&mut decision, 8, false)), [Pace::Fast], "the witness itself was not seen");
    assert_eq!(paces(&witness(&mut decision, 9, true)), [Pace::Steady]);
}

#[test]
fn what_was_begun_while_blind_counts_for_nothing() {
    let mut decision = well(witnessed_policy());
    let _ = witness(&mut decision, 2, false);
    assert_eq!(hold(&decision), Some(&Hold::Blind));
    let out = witness(&mut decision, 10, true);
    assert!(out.contains(&Effect::ProbeTargets), "{out:?}");
    let waits = vec!["a".into(), "b".into()];
    assert_eq!(hold(&decision), Some(&Hold::Settling { waiting_for: waits.clone() }), "judged anew");
    for address in [A4, A6] {
        let seen = observation("web", address, (9, 11), Some(false));
        assert_eq!(decision.handle(&now(11), Input::Observed(seen)), []);
    }
    assert_eq!(decision.verdict(&"a".into()), Verdict::Unknown);
    let _ = decision.handle(&now(29), Input::Tick);
    assert_eq!(hold(&decision), Some(&Hold::Settling { waiting_for: waits }), "the grace counts from now");
    let _ = decision.handle(&now(30), Input::Tick);
    assert_eq!(hold(&decision), Some(&Hold::NoneUp));
}

#[test]
fn what_waited_in_a_queue_until_it_was_old_counts_for_nothing() {
    let mut decision = started(policy(), Saved::default());
    let late = observation("web", B4, (5, 6), Some(true));
    let _ = decision.handle(&now(600), Input::Observed(late));
    assert_eq!(decision.verdict(&"b".into()), Verdict::Unknown);
}

/// A reload may take a record away while something for it is under way.
#[test]
fn what_comes_late_for_a_record_that_is_gone_does_nothing() {
    let mut decision = well(policy());
    let gone: DomainName = "gone.example.com".parse().unwrap();
    let (record, change) = (|| gone.clone(), "chg-1".to_owned());
    let late = [
        Input::Read { record: record(), result: Err(Fault::Unavailable("no answer".into())) },
        Input::Written { record: record(), result: Ok(()) },
        Input::Unsent { record: record() },
        Input::LookDue { record: record() },
        Input::Looked { record: record(), servers: vec![] },
        Input::Propagated { record: record(), change, servers: vec![], given_up: true },
        Input::Failback { record: record() },
        Input::Ack { record: record() },
    ];
    for input in late {
        assert_eq!(decision.handle(&now(1), input), []);
    }
}

#[test]
fn one_outage_is_one_incident_and_the_next_is_another() {
    let mut manual = policy();
    let change = manual.records.get_mut(&record().name).unwrap();
    (change.failback, change.hold_down) = (FailbackMode::Manual, Duration::ZERO);
    let mut decision = well(manual);
    let mut outage = |second: i64, up: i64| {
        let mut told = Vec::new();
        for address in [A4, A6] {
            told.extend(events(&probe(&mut decision, second, address, false)));
        }
        told.extend(events(&probe(&mut decision, second + 1, A4, false)));
        for address in [A4, A6] {
            told.extend(events(&probe(&mut decision, up, address, true)));
        }
        told
    };
    let names = |told: &[Event]| {
        told.iter().map(|event| (event.kind, event.incident.clone().unwrap_or_default())).collect::<Vec<_>>()
    };
    let (first, second) = ("a-20261122T120002Z".to_owned(), "a-20261122T120020Z".to_owned());
    let pair = |id: &String| [(EventKind::TargetDown, id.clone()), (EventKind::TargetUp, id.clone())];
    assert_eq!(names(&outage(2, 8)), pair(&first));
    assert_eq!(names(&outage(20, 26)), pair(&second));
}

/// Each wake-up takes the agent further: it never asks to be woken at once, again and again.
#[test]
fn it_never_spins() {
    let held_down =
        SavedRecord { current: vec!["b".into()], last_change: Some(at(-1)), ..SavedRecord::default() };
    let saved =
        || Saved { records: BTreeMap::from([(record().name, held_down.clone())]), ..Saved::default() };
    // A failback that is due after 20 s, and may not be made before 59.
    let mut waiting = policy();
    waiting.records.get_mut(&record().name).unwrap().failback_after = Duration::from_secs(20);
    waiting.startup_grace = Duration::from_secs(7);
    let mut decision = started(waiting, saved());
    let _ = reads(&mut decision, 0, &[B4]);
    let (mut second, mut wakeups) = (0, Vec::new());
    let mut next = decision.next_wakeup(at(0));
    while next < at(50) {
        // A probe every second, so that the sweep is not all that wakes.
        while at(second) < next {
            second += 1;
        }
        for address in [A4, A6, B4] {
            let _ = probe(&mut decision, second, address, true);
        }
        for effect in decision.handle(&now(second), Input::Tick) {
            if let Effect::Read(_) = effect {
                let _ = reads(&mut decision, second, &[B4]);
            }
        }
        wakeups.push(second);
        let then = decision.next_wakeup(at(second));
        assert!(then > at(second), "woken at {second} s, and again at {then:?}");
        next = then;
    }
    assert!(wakeups.len() <= 50, "{wakeups:?}");
}

#[test]
fn it_wakes_when_a_failback_is_due_and_not_while_a_change_is_under_way() {
    let mut soon = policy();
    let change = soon.records.get_mut(&record().name).unwrap();
    (change.failback_after, change.hold_down) = (Duration::from_millis(500), Duration::ZERO);
    let mut decision = started(soon, Saved::default());
    let _ = reads(&mut decision, 0, &[B4]);
    for address in [B4, A4, A6] {
        let _ = probe(&mut decision, 1, address, true);
    }
    let _ = decision.handle(&now(1), Input::Tick);
    let due = at(1) + Duration::from_millis(500);
    assert_eq!(decision.next_wakeup(at(1)), due);
    decision.begin_read(&record().name, &mut Vec::new());
    assert!(decision.next_wakeup(at(1)) > due, "a reading comes by itself");
}

#[test]
fn the_grace_ends_with_a_wake_up_of_its_own() {
    let mut decision =
        started(Policy { startup_grace: Duration::from_millis(2500), ..policy() }, Saved::default());
    let _ = decision.handle(&now(2), Input::Tick);
    assert_eq!(decision.next_wakeup(at(2)), at(2) + Duration::from_millis(500));
}

#[test]
fn a_pause_does_not_wake_the_failback_that_it_keeps_away() {
    let mut manual = policy();
    manual.records.get_mut(&record().name).unwrap().failback = FailbackMode::Manual;
    let by = |policy: Policy, orders: Vec<Override>| {
        let mut decision = started(policy, Saved { overrides: Overrides::new(orders), ..Saved::default() });
        let _ = reads(&mut decision, 0, &[B4]);
        for address in [B4, A4, A6] {
            let _ = probe(&mut decision, 1, address, true);
        }
        let record = decision.record(&record().name);
        super::super::select::failback_due_at(&decision.view(at(2)), record, &["b".into()])
    };
    let pause = What::Pause { record: None };
    let pause = Override::new(pause, at(0), at(900), "new kernel", "alice").unwrap();
    assert_eq!(by(policy(), vec![]), Some(at(301)));
    assert_eq!(by(policy(), vec![pause.clone()]), None, "nobody goes back while everything is paused");
    assert_eq!(by(manual, vec![]), None, "nor where a person decides that");
}

/// Its families fell one after the other, and the witness was seen between the two: the first one is a real Down, and so
/// is the target.
#[test]
fn a_witness_that_was_seen_between_two_failures_lets_the_record_go() {
    let mut decision = started(witnessed_policy(), Saved::default());
    let _ = reads(&mut decision, 0, &[A4, A6]);
    let _ = probe(&mut decision, 5, A4, false);
    let _ = probe(&mut decision, 9, A6, false);
    assert_eq!(hold(&decision), Some(&Hold::AwaitingWitness { target: "a".into() }));
    let sighting = Sighting { witness: "w".into(), started: at(6), ended: at(7), outcome: Outcome::Pass };
    let _ = decision.handle(&now(10), Input::Witnessed(sighting));
    assert_eq!(decision.verdict(&"a".into()), Verdict::Down);
    assert_eq!(hold(&decision), Some(&Hold::Settling { waiting_for: vec!["b".into()] }));
}

#[test]
fn whoever_must_prove_itself_is_probed_at_once_and_not_again_and_again() {
    let mut patient = policy();
    for target in patient.targets.values_mut() {
        target.checks.values_mut().for_each(|check| check.thresholds.fall = 2);
    }
    let mut decision = well(patient);
    for (second, address) in [(2, A4), (2, A6), (3, A4)] {
        let _ = probe(&mut decision, second, address, false);
    }
    let out = probe(&mut decision, 3, A6, false);
    assert_eq!(hold(&decision), Some(&Hold::Verifying { target: "b".into() }));
    assert_eq!(probed(&out), [B4]);
    let out = decision.handle(&now(4), Input::Tick);
    assert_eq!((hold(&decision), probed(&out)), (Some(&Hold::Verifying { target: "b".into() }), vec![]));
}
