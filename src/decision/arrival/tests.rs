//! What is told of the authoritative servers, and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use providers::{RecordSet, RecordType, Ttl};

use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
use super::super::{Event, EventKind, Input, Options, ProviderFace, Saved, SavedRecord};
use super::*;

const SERVER: [&str; 2] = ["ns1", "ns2"];

fn wall(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(second)
}

fn now(second: i64) -> Now {
    Now { moment: at(second), wall: wall(second) }
}

/// Nothing is probed yet, and the first reading is under way.
fn begun(saved: Saved) -> Decision {
    let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
    let faces = BTreeMap::from([("zone".into(), face)]);
    let mut decision = Decision::new(policy(), faces, Options::default(), saved, &now(0));
    let _ = decision.start(&now(0));
    decision
}

fn read(decision: &mut Decision, second: i64, holds: &[&str]) -> Vec<Effect> {
    decision.handle(&now(second), Input::Read { record: record().name, result: Ok(holding(holds)) })
}

fn probe(decision: &mut Decision, second: i64, address: &str, passed: bool) -> Vec<Effect> {
    let seen = observation("web", address, (second, second), Some(passed));
    decision.handle(&now(second), Input::Observed(seen))
}

/// `a` serves and is well.
fn at_rest() -> Decision {
    let mut decision = begun(Saved::default());
    for address in [A4, A6, B4] {
        let _ = probe(&mut decision, 1, address, true);
    }
    let _ = read(&mut decision, 1, &[A4, A6]);
    decision
}

/// What is told of what the two servers serve.
fn look(decision: &mut Decision, second: i64, seen: [Seen; 2]) -> Vec<Event> {
    let servers = SERVER.into_iter().map(str::to_owned).zip(seen).collect();
    let out = decision.handle(&now(second), Input::Looked { record: record().name, servers });
    told(out)
}

/// The events, each of which is kept with the record.
fn told(out: Vec<Effect>) -> Vec<Event> {
    let kept = out.iter().any(|effect| matches!(effect, Effect::KeepRecord(_)));
    let event = |effect| match effect {
        Effect::Say(event, _) => Some(*event),
        _ => None,
    };
    let events: Vec<Event> = out.into_iter().filter_map(event).collect();
    assert_eq!(kept, !events.is_empty(), "{events:?}");
    events
}

#[expect(clippy::unnecessary_wraps, reason = "a server may also be silent")]
fn ours() -> Seen {
    Ok(holding(&[A4, A6]).sets)
}

#[expect(clippy::unnecessary_wraps, reason = "a server may also be silent")]
fn another() -> Seen {
    Ok(holding(&[B4]).sets)
}

#[test]
fn a_server_that_goes_its_own_way_is_told_at_the_second_look_and_once() {
    let mut decision = at_rest();
    assert_eq!(look(&mut decision, 2, [ours(), another()]), []);
    let told = look(&mut decision, 3, [ours(), another()]);
    let [drift] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(drift.kind, EventKind::DriftDetected);
    assert!(drift.summary.starts_with("ns2 serves 198.51.100.5 (TTL 60s) for www.example.com"), "{drift:?}");
    assert_eq!(look(&mut decision, 4, [ours(), another()]), [], "it was told");

    let told = look(&mut decision, 5, [ours(), ours()]);
    let [again] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(again.summary, "ns1 and ns2 again serve what the provider holds for www.example.com");
    assert_eq!(look(&mut decision, 6, [ours(), ours()]), []);
}

#[test]
fn a_server_that_is_right_in_between_begins_anew() {
    let mut decision = at_rest();
    for second in [2, 4, 6] {
        assert_eq!(look(&mut decision, second, [another(), ours()]), []);
        assert_eq!(look(&mut decision, second + 1, [ours(), ours()]), []);
    }
}

#[test]
fn another_ttl_is_no_other_answer() {
    let mut decision = at_rest();
    let counted_down = || {
        let sets = holding(&[A4, A6]).sets.into_values();
        let down = |set: RecordSet| (set.record_type(), RecordSet::new(Ttl(7), set.values));
        Ok(sets.map(down).collect::<BTreeMap<RecordType, RecordSet>>())
    };
    for second in [2, 3, 4] {
        assert_eq!(look(&mut decision, second, [ours(), counted_down()]), []);
    }
}

#[test]
fn a_server_that_does_not_answer_neither_strays_nor_agrees() {
    let mut decision = at_rest();
    let silent = || Err("no answer".to_owned());
    for second in [2, 3, 4] {
        assert_eq!(look(&mut decision, second, [ours(), silent()]), []);
    }
    let _ = look(&mut decision, 5, [ours(), another()]);
    assert_eq!(look(&mut decision, 6, [ours(), another()]).len(), 1);
    assert_eq!(look(&mut decision, 7, [ours(), silent()]), [], "nobody knows what it serves");
    assert_eq!(look(&mut decision, 8, [ours(), ours()]).len(), 1);
}

#[test]
fn what_an_earlier_run_told_is_not_over_before_the_record_was_read() {
    let said = BTreeMap::from([("stray".to_owned(), "ns2".to_owned())]);
    let records = BTreeMap::from([(record().name, SavedRecord { said, ..SavedRecord::default() })]);
    let mut decision = begun(Saved { records, ..Saved::default() });
    assert_eq!(look(&mut decision, 1, [ours(), ours()]), []);
    let _ = read(&mut decision, 2, &[A4, A6]);
    assert_eq!(look(&mut decision, 3, [ours(), ours()]).len(), 1);
}

/// The look and the reading that comes with it are under way together.
#[test]
fn a_reading_under_way_is_no_reason_not_to_count() {
    let mut decision = at_rest();
    let out = decision.handle(&now(10), Input::LookDue { record: record().name });
    assert!(out.contains(&Effect::Read(record().name)), "{out:?}");
    assert_eq!(look(&mut decision, 10, [ours(), another()]), []);
    assert_eq!(look(&mut decision, 11, [ours(), another()]).len(), 1);
}

/// The primary has died, and the change is written: its name.
fn changed(decision: &mut Decision) -> String {
    let _ = probe(decision, 2, A4, false);
    let _ = probe(decision, 2, A6, false);
    let _ = probe(decision, 3, B4, true);
    let out = read(decision, 3, &[A4, A6]);
    assert!(out.iter().any(|effect| matches!(effect, Effect::Write(_))), "{out:?}");
    for second in [3, 4, 5] {
        assert_eq!(look(decision, second, [ours(), another()]), [], "while it is written");
    }
    let _ = decision.handle(&now(5), Input::Written { record: record().name, result: Ok(()) });
    let out = read(decision, 5, &[B4]);
    let watch = out.iter().find_map(|effect| match effect {
        Effect::Watch(watch) => Some(watch.change.clone()),
        _ => None,
    });
    watch.expect("the servers are asked")
}

/// What is told when the servers serve a change since these seconds.
fn arrive(
    decision: &mut Decision,
    change: &str,
    since: &[Option<i64>],
    given_up: bool,
) -> Vec<(Event, Option<String>)> {
    let seen = |(server, at): (&str, &Option<i64>)| ServerSeen {
        server: server.to_owned(),
        at: at.map(wall),
        serves: "what it serves".into(),
    };
    let servers = SERVER.into_iter().zip(since).map(seen).collect();
    let (record, change) = (record().name, change.to_owned());
    let out = decision.handle(&now(30), Input::Propagated { record, change, servers, given_up });
    let event = |effect| match effect {
        Effect::Say(event, id) => Some((*event, id)),
        _ => None,
    };
    out.into_iter().filter_map(event).collect()
}

#[test]
fn a_change_has_arrived_when_all_servers_serve_it_and_the_caches_know_a_ttl_later() {
    let mut decision = at_rest();
    let change = changed(&mut decision);
    let told = arrive(&mut decision, &change, &[Some(6), Some(9)], false);
    let [(event, id)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (event.kind, id.as_deref()),
        (EventKind::PropagationCompleted, Some(&*format!("{change}-all")))
    );
    assert_eq!(event.effective_by, Some(wall(9 + 60)), "a resolver may have asked the last one just before");
    assert!(event.incident.is_some(), "{event:?}");
    assert_eq!(arrive(&mut decision, &change, &[Some(6), Some(9)], false), [], "it was told");
}

#[test]
fn while_the_change_is_on_its_way_no_server_goes_its_own() {
    let mut decision = at_rest();
    let change = changed(&mut decision);
    for second in [6, 7, 8] {
        assert_eq!(look(&mut decision, second, [another(), ours()]), [], "the old answer");
    }
    assert_eq!(arrive(&mut decision, &change, &[Some(6), Some(9)], false).len(), 1);
    assert_eq!(look(&mut decision, 31, [another(), ours()]), []);
    assert_eq!(look(&mut decision, 32, [another(), ours()]).len(), 1);
}

#[test]
fn a_slow_server_is_told_and_then_that_it_came() {
    let mut decision = at_rest();
    let change = changed(&mut decision);
    let told = arrive(&mut decision, &change, &[Some(6), None], false);
    let [(slow, id)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((slow.kind, id.as_deref()), (EventKind::PropagationSlow, Some(&*format!("{change}-slow"))));
    assert_eq!(slow.effective_by, None, "nobody knows");
    let told = arrive(&mut decision, &change, &[Some(6), Some(20)], false);
    assert_eq!(
        told.iter().map(|(event, _)| event.kind).collect::<Vec<_>>(),
        [EventKind::PropagationCompleted]
    );
}

#[test]
fn what_nobody_waits_for_any_longer_was_told_before() {
    let mut decision = at_rest();
    let change = changed(&mut decision);
    assert_eq!(arrive(&mut decision, &change, &[Some(6), None], true), []);
    assert_eq!(arrive(&mut decision, &change, &[Some(6), Some(20)], false), [], "it is over");
}

#[test]
fn word_of_another_change_says_nothing_of_this_one() {
    let mut decision = at_rest();
    let change = changed(&mut decision);
    assert_eq!(arrive(&mut decision, "chg-older", &[Some(6), Some(9)], false), []);
    assert_eq!(arrive(&mut decision, &change, &[Some(6), Some(9)], false).len(), 1);
}

#[test]
fn a_provider_without_servers_has_nothing_to_tell() {
    let mut decision = at_rest();
    let change = changed(&mut decision);
    assert_eq!(arrive(&mut decision, &change, &[], false), []);
    assert_eq!(arrive(&mut decision, &change, &[Some(6), Some(9)], false), [], "it is over");
}
