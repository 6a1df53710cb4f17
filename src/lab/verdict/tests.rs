//! Fabricated rehearsals: each promise is seen to be kept, and to be broken.

use super::super::facts::{Addresses, SecondRun};
use super::*;
use crate::decision::EventKind;

fn at(tenths: u64) -> Duration {
    Duration::from_millis(tenths * 100)
}

fn name() -> DomainName {
    "www.example.com".parse().unwrap()
}

fn set(list: &[&str]) -> Addresses {
    list.iter().map(|a| a.parse().unwrap()).collect()
}

const HOME: &[&str] = &["192.0.2.1", "2001:db8::1"];
const AWAY: &[&str] = &["192.0.2.2"];

fn run(first: u64, answer: &[&str]) -> Run {
    Run { answer: set(answer), first: at(first), asked: 100 }
}

fn write(when: u64, after: &[&str]) -> Write {
    Write { at: at(when), record: name(), after: set(after), unproven: Addresses::new() }
}

fn event(when: u64, kind: EventKind) -> Happened {
    Happened { at: at(when), kind, record: Some(name()), target: None }
}

/// An outage at 2 s, a move at 3 s, the return at 5 s, and back at 9 s.
fn good() -> Facts {
    let scene = Scene {
        killed: ["a".into()].into(),
        dead: set(HOME),
        began: at(20),
        returned: Some(at(50)),
        published: [(name(), set(HOME))].into(),
        fates: [(name(), Fate::Moves)].into(),
        come_back: [name()].into(),
        late: Vec::new(),
    };
    let rerun = SecondRun { writes: 0, events: 0, settled: true };
    Facts {
        homes: [(name(), set(HOME))].into(),
        scenes: vec![scene],
        writes: vec![write(30, AWAY), write(90, HOME)],
        runs: [(name(), vec![run(0, HOME), run(31, AWAY), run(91, HOME)])].into(),
        events: vec![event(30, EventKind::FailoverCompleted), event(90, EventKind::FailbackCompleted)],
        told: [("team".into(), [("evt-1".to_owned(), 1), ("evt-2".to_owned(), 1)].into())].into(),
        second_runs: vec![rerun, rerun],
        ..Facts::default()
    }
}

/// The one promise that is broken when `doctor` has been at the facts, and what is said of it.
fn broken(doctor: impl FnOnce(&mut Facts)) -> (&'static str, String) {
    let mut facts = good();
    doctor(&mut facts);
    let broken: Vec<Promise> = judge(&facts).into_iter().filter(|promise| !promise.kept).collect();
    let [promise] = broken.as_slice() else { panic!("{broken:#?}") };
    (promise.name, promise.seen.clone())
}

fn runs(facts: &mut Facts) -> &mut Vec<Run> {
    facts.runs.get_mut(&name()).unwrap()
}

#[test]
fn a_good_rehearsal_keeps_every_promise() {
    let promises = judge(&good());
    assert!(promises.iter().all(|promise| promise.kept), "{promises:#?}");
    assert_eq!(expected_writes(&good(), &name()), 2);
}

#[test]
fn an_empty_answer_is_seen() {
    let (promise, seen) = broken(|facts| runs(facts).insert(1, run(30, &[])));
    assert_eq!((promise, seen.as_str()), ("never_empty", "www.example.com had no address at 3.00 s"));
    let (promise, seen) = broken(|facts| facts.runs.clear());
    assert_eq!((promise, seen.as_str()), ("never_empty", "www.example.com was never answered"));
}

#[test]
fn half_a_change_is_seen() {
    let half = run(30, &["192.0.2.2", "2001:db8::1"]);
    let (promise, seen) = broken(|facts| runs(facts).insert(1, half));
    assert_eq!(promise, "never_mixed");
    assert!(seen.contains("192.0.2.2, 2001:db8::1 at 3.00 s"), "{seen}");
}

#[test]
fn a_dead_host_that_comes_back_into_dns_is_seen() {
    let (promise, seen) =
        broken(|facts| runs(facts).splice(2..2, [run(35, HOME), run(36, AWAY)]).for_each(drop));
    assert_eq!(promise, "never_dead");
    assert!(seen.contains("again at 3.50 s"), "{seen}");
}

#[test]
fn a_leap_in_the_dark_is_seen() {
    let (promise, seen) = broken(|facts| facts.writes[0].unproven = set(AWAY));
    assert_eq!(promise, "never_unproven");
    assert!(seen.contains("192.0.2.2 at 3.00 s"), "{seen}");
}

#[test]
fn somebody_else_s_record_is_somebody_else_s() {
    let (promise, seen) = broken(|facts| facts.trespasses.push("x.example.com changed".into()));
    assert_eq!((promise, seen.as_str()), ("never_foreign", "x.example.com changed"));
}

#[test]
fn a_flip_flop_is_seen_and_a_family_that_follows_is_none() {
    let (promise, seen) =
        broken(|facts| facts.writes.splice(1..1, [write(35, HOME), write(36, AWAY)]).for_each(drop));
    assert_eq!(promise, "never_flip_flop");
    assert!(seen.contains("written 4 times, 2 were due"), "{seen}");

    let mut facts = good();
    facts.writes[1] = write(90, &HOME[..1]);
    facts.writes.push(write(100, HOME));
    runs(&mut facts).insert(2, run(91, &HOME[..1]));
    facts.events.push(event(100, EventKind::FailbackCompleted));
    let promises = judge(&facts);
    assert!(promises.iter().all(|promise| promise.kept), "{promises:#?}");
}

#[test]
fn coming_late_or_not_at_all_is_seen() {
    let (promise, _) = broken(|facts| facts.scenes[0].late.push("www did not come back".into()));
    assert_eq!(promise, "moved");
}

#[test]
fn a_second_run_that_does_something_is_seen() {
    assert_eq!(broken(|facts| facts.second_runs[1].writes = 1).0, "idempotent");
    assert_eq!(broken(|facts| facts.second_runs[0].events = 1).0, "idempotent");
    assert_eq!(broken(|facts| facts.second_runs[0].settled = false).0, "idempotent");
    assert_eq!(broken(|facts| facts.second_runs.truncate(1)).0, "idempotent");
}

#[test]
fn a_message_told_twice_is_seen() {
    let again = |facts: &mut Facts| {
        facts.told.get_mut(&"team".into()).unwrap().insert("evt-1".into(), 2);
    };
    assert_eq!(broken(again), ("told_once", "team was told evt-1 2 times".into()));
    let (promise, seen) = broken(|facts| facts.events.push(event(31, EventKind::FailoverCompleted)));
    assert_eq!(
        (promise, seen.as_str()),
        ("told_once", "failover.completed www.example.com was told 2 times")
    );
}

#[test]
fn a_record_with_nowhere_to_go_must_not_be_written() {
    let stays = |facts: &mut Facts| {
        facts.scenes[0].fates.insert(name(), Fate::Stays);
        facts.scenes[0].come_back.clear();
        facts.writes.clear();
        runs(facts).truncate(1);
    };
    let mut facts = good();
    stays(&mut facts);
    assert!(judge(&facts).iter().all(|promise| promise.kept), "{:#?}", judge(&facts));
    let (promise, _) = broken(|facts| {
        stays(facts);
        facts.writes.push(write(30, HOME));
    });
    assert_eq!(promise, "never_flip_flop");
}
