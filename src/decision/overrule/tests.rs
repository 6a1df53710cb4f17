//! Orders put into force and ended: what is told, what follows, and what is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use providers::Fault;

use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
use super::super::{
    AllDown, Input, MOST_OVERRIDES, Options, Policy, ProviderFace, ProviderId, RecordPolicy, Saved,
};
use super::*;

/// The wall clock is this many seconds ahead of where it began.
fn stepped(second: i64, ahead: i64) -> Now {
    let start: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    Now { moment: at(second), wall: start + jiff::SignedDuration::from_secs(second + ahead) }
}

fn now(second: i64) -> Now {
    stepped(second, 0)
}

fn faces() -> BTreeMap<ProviderId, ProviderFace> {
    let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
    BTreeMap::from([("zone".into(), face)])
}

/// Both hosts work, and the record points at the better one.
fn well(saved: Saved) -> Decision {
    let mut decision = Decision::new(policy(), faces(), Options::default(), saved, &now(0));
    let _ = decision.start(&now(0));
    let result = Ok(holding(&[A4, A6]));
    let _ = decision.handle(&now(0), Input::Read { record: record().name, result });
    for address in [A4, A6, B4] {
        let _ = decision.handle(&now(1), Input::Observed(observation("web", address, (1, 1), Some(true))));
    }
    decision
}

fn order(what: What, from: i64, seconds: u64) -> Override {
    let until = at(from) + Duration::from_secs(seconds);
    Override::new(what, at(from), until, "new kernel", "alice").unwrap()
}

fn drain(target: &str) -> What {
    What::Drain { target: target.into() }
}

fn events(effects: &[Effect]) -> Vec<Event> {
    let event = |effect: &Effect| match effect {
        Effect::Say(event, _) => Some((**event).clone()),
        _ => None,
    };
    effects.iter().filter_map(event).collect()
}

#[test]
fn an_order_is_kept_told_with_what_follows_and_acted_upon_at_once() {
    let mut decision = well(Saved::default());
    let order = order(drain("a"), 2, 7200);
    let out = decision.handle(&now(2), Input::Override(Order::Set(order.clone())));
    assert!(out.contains(&Effect::KeepOverride(order.clone())), "{out:?}");
    assert!(out.contains(&Effect::Read(record().name)), "{out:?}");
    let told = events(&out);
    assert_eq!(told.len(), 1, "{told:?}");
    let until = "2026-11-22 14:00:02 UTC";
    assert_eq!(told[0].summary, format!("alice drained a for 2 h, until {until}: new kernel"));
    assert_eq!(told[0].next.as_deref(), Some("www.example.com moves to b"));
    assert_eq!(told[0].remedy.as_deref(), Some("to end it sooner: failover undrain a"));
    let report = decision.report(&now(2)).overrides;
    assert_eq!((report.len(), report[0].left_s, report[0].end.as_str()), (1, 7200, "failover undrain a"));
    let why = decision.explain(&now(2), &record().name).unwrap();
    assert_eq!(why.overrides, report);
    assert!(why.next.iter().any(|step| step.text.contains("the drain of a ends in 2 h")), "{why:?}");
    // The words of the change itself: planned, and by whom.
    let result = Ok(holding(&[A4, A6]));
    let out = decision.handle(&now(2), Input::Read { record: record().name, result });
    let Some(Effect::Write(work)) = out.iter().find(|effect| matches!(effect, Effect::Write(_))) else {
        panic!("{out:?}");
    };
    assert_eq!(work.completed.summary, "www.example.com was moved from a to b");
    assert_eq!(work.completed.reason, Some(format!("a is drained by alice until {until}: new kernel")));
    assert_eq!(work.completed.severity, super::super::Severity::Warning, "planned work wakes nobody");
    let next =
        format!("the drain of a ends at {until}, or with `failover undrain a`; then the usual rules hold");
    assert_eq!(work.completed.next, Some(next));
}

#[test]
fn the_end_comes_by_the_agents_own_clock_whatever_the_wall_clock_does_meanwhile() {
    for ahead in [-7200, 7200] {
        let mut decision = well(Saved::default());
        let _ = decision.handle(&now(2), Input::Override(Order::Set(order(drain("b"), 2, 5))));
        assert_eq!(events(&decision.handle(&stepped(6, ahead), Input::Tick)), [], "{ahead}");
        assert_eq!(decision.report(&stepped(6, ahead)).overrides[0].left_s, 1);
        let overrides = Overrides::new([order(drain("b"), 2, 5)]);
        assert_eq!(overrides.next_end(), Some(at(7)));
        let out = decision.handle(&stepped(7, ahead), Input::Tick);
        let told = events(&out);
        assert_eq!((told.len(), told[0].kind), (1, EventKind::OverrideExpired), "{ahead}: {told:?}");
        assert!(out.contains(&Effect::DropOverride(OverrideKey::Drain("b".into()))), "{out:?}");
        assert_eq!(events(&decision.handle(&stepped(8, ahead), Input::Tick)), [], "once");
    }
}

#[test]
fn the_decision_wakes_itself_for_the_end() {
    let mut decision = well(Saved::default());
    let soon = order(drain("b"), 1, 1);
    let _ = decision.handle(&now(1), Input::Override(Order::Set(soon.clone())));
    assert!(decision.next_wakeup(at(1)) <= soon.until);
}

#[test]
fn what_is_not_configured_is_refused() {
    let decision = well(Saved::default());
    let fault = |what: What| decision.may_set(&order(what, 2, 60)).unwrap_err().to_string();
    let (www, mail) = (record().name, "mail.example.com".parse::<DomainName>().unwrap());
    assert!(fault(drain("c")).contains("no target c"));
    assert!(fault(What::Pin { record: www, target: "c".into() }).contains("which has a, b"));
    assert!(fault(What::Pin { record: mail.clone(), target: "a".into() }).contains("no record mail"));
    assert!(fault(What::Pause { record: Some(mail) }).contains("no record mail"));
    let fault = decision.may_clear(at(2), &OverrideKey::Pause(None)).unwrap_err().to_string();
    assert_eq!(fault, "nothing to end: there is no pause of everything");
    let mut decision = decision;
    let pause = What::Pause { record: Some(record().name) };
    let _ = decision.handle(&now(2), Input::Override(Order::Set(order(pause, 2, 60))));
    let fault = decision.may_clear(at(2), &OverrideKey::Pause(None)).unwrap_err().to_string();
    assert!(fault.ends_with("; there is: failover resume www.example.com"), "{fault}");
}

#[test]
fn there_is_a_limit_and_the_same_one_can_be_ordered_anew_at_it() {
    let all = (0..MOST_OVERRIDES).map(|number| order(drain(&format!("t{number}")), 0, 60));
    let mut overrides = Overrides::new(all);
    assert_eq!(overrides.has_room(&OverrideKey::Drain("other".into())), Err(OverrideFault::TooMany));
    assert_eq!(overrides.has_room(&OverrideKey::Drain("t7".into())), Ok(()));
    overrides.set(order(drain("t7"), 0, 90));
    assert_eq!(overrides.iter(at(60)).count(), 1, "the longer one is in the place of the shorter");
}

#[test]
fn a_reload_keeps_orders_and_ends_those_of_what_is_gone() {
    let pause = What::Pause { record: Some(record().name) };
    let all = [drain("a"), drain("b"), pause, What::Pause { record: None }];
    let overrides = Overrides::new(all.into_iter().map(|what| order(what, 0, 600)));
    let mut decision = well(Saved { overrides, ..Saved::default() });
    let mut without = policy();
    without.records.clear();
    without.targets.remove(&"b".into());
    let out = decision.reconfigure(&now(3), without.clone(), faces());
    let dropped: Vec<&Effect> =
        out.iter().filter(|effect| matches!(effect, Effect::DropOverride(_))).collect();
    let gone = [OverrideKey::Drain("b".into()), OverrideKey::Pause(Some(record().name))];
    assert_eq!(dropped, gone.map(Effect::DropOverride).iter().collect::<Vec<_>>());
    assert!(events(&out).iter().all(|event| event.summary.contains("no longer configured")), "{out:?}");
    assert_eq!(decision.report(&now(3)).overrides.len(), 2);
    // The same between two runs.
    let overrides = Overrides::new([order(drain("b"), 0, 600)]);
    let saved = Saved { overrides, ..Saved::default() };
    let mut next = Decision::new(without, faces(), Options::default(), saved, &now(3));
    assert_eq!(events(&next.start(&now(3)))[0].kind, EventKind::OverrideCleared);
}

#[test]
fn a_key_is_read_as_it_is_written() {
    for text in ["drain/a", "pin/www.example.com", "pause", "pause/www.example.com"] {
        assert_eq!(text.parse::<OverrideKey>().unwrap().to_string(), text);
    }
    for text in ["", "drain", "drain/", "pin/a b", "pause/", "melt/a"] {
        assert!(text.parse::<OverrideKey>().is_err(), "{text}");
    }
}

#[test]
fn an_order_that_meets_a_change_under_way_says_that_it_is_finished_first() {
    let mut decision = well(Saved::default());
    let _ = decision.handle(&now(2), Input::Override(Order::Set(order(drain("a"), 2, 7200))));
    let record = record().name;
    let read = Input::Read { record: record.clone(), result: Ok(holding(&[A4, A6])) };
    let out = decision.handle(&now(2), read);
    assert!(out.iter().any(|effect| matches!(effect, Effect::Write(_))), "{out:?}");
    let finished_first = format!("a change of {record} is being written, and is finished first");
    let cleared = Order::Clear { key: OverrideKey::Drain("a".into()), by: "alice".into() };
    let told = events(&decision.handle(&now(3), Input::Override(cleared)));
    assert_eq!(told[0].next.as_ref(), Some(&finished_first), "while it is sent");
    let _ = decision.handle(&now(4), Input::Written { record: record.clone(), result: Ok(()) });
    let all = decision.consequences(&now(4), &OverrideKey::Pause(None));
    assert_eq!(all, [Consequence { record, moves: false, text: finished_first }], "while it is proved");
}

/// The same as [`policy`], and `mail.example.com` at the same two hosts.
fn two_records() -> (Policy, DomainName) {
    let mut policy = policy();
    let mail: DomainName = "mail.example.com".parse().unwrap();
    policy.records.insert(mail.clone(), RecordPolicy { name: mail.clone(), ..record() });
    (policy, mail)
}

#[test]
fn the_words_of_a_record_name_the_orders_that_concern_it_and_no_others() {
    let (policy, mail) = two_records();
    let www = record().name;
    let all = [
        drain("a"),
        What::Pin { record: www.clone(), target: "a".into() },
        What::Pause { record: Some(mail.clone()) },
        What::Pause { record: None },
    ];
    let overrides = Overrides::new(all.into_iter().map(|what| order(what, 0, 600)));
    let saved = Saved { overrides, ..Saved::default() };
    let decision = Decision::new(policy, faces(), Options::default(), saved, &now(0));
    let ends = |name: &DomainName| -> Vec<String> {
        decision.explain(&now(1), name).unwrap().overrides.into_iter().map(|order| order.end).collect()
    };
    let (drained, paused) = ("failover undrain a", "failover resume");
    assert_eq!(ends(&www), [drained, "failover unpin www.example.com", paused]);
    assert_eq!(ends(&mail), [drained, paused, "failover resume mail.example.com"]);
}

#[test]
fn that_all_is_down_under_a_pause_is_told_when_it_is_known_what_is_published() {
    let overrides = Overrides::new([order(What::Pause { record: None }, 0, 600)]);
    let saved = Saved { overrides, ..Saved::default() };
    let mut decision = Decision::new(policy(), faces(), Options::default(), saved, &now(0));
    let _ = decision.start(&now(0));
    let all_down =
        |effects: &[Effect]| events(effects).iter().filter(|event| event.kind == EventKind::AllDown).count();
    let name = record().name;
    let result = Err(Fault::Unavailable("refused".into()));
    let _ = decision.handle(&now(1), Input::Read { record: name.clone(), result });
    for address in [A4, A6, B4] {
        let seen = observation("web", address, (1, 1), Some(false));
        assert_eq!(all_down(&decision.handle(&now(1), Input::Observed(seen))), 0, "{address}: not read yet");
    }
    let _ = decision.handle(&now(3), Input::Tick);
    let out = decision.handle(&now(3), Input::Read { record: name, result: Ok(holding(&[A4, A6])) });
    assert_eq!(all_down(&out), 1, "{out:?}");
}

#[test]
fn the_word_of_a_dead_target_says_who_moves_beside_whom_an_order_holds() {
    let (policy, mail) = two_records();
    let overrides = Overrides::new([order(What::Pause { record: Some(mail) }, 0, 600)]);
    let saved = Saved { overrides, ..Saved::default() };
    let mut decision = Decision::new(policy, faces(), Options::default(), saved, &now(0));
    let _ = decision.start(&now(0));
    for record in decision.record_names().cloned().collect::<Vec<_>>() {
        let result = Ok(providers::Snapshot { name: record.clone(), ..holding(&[A4, A6]) });
        let _ = decision.handle(&now(0), Input::Read { record, result });
    }
    let mut told = Vec::new();
    for (second, address, passed) in
        [(1, A4, true), (1, A6, true), (1, B4, true), (2, A4, false), (2, A6, false), (3, B4, true)]
    {
        let seen = observation("web", address, (second, second), Some(passed));
        told.extend(events(&decision.handle(&now(second), Input::Observed(seen))));
    }
    let down = told.iter().find(|event| event.kind == EventKind::TargetDown).unwrap();
    let next = down.next.as_deref().unwrap();
    assert!(next.starts_with("mail.example.com does not follow, the pause of mail.example.com"), "{next}");
    assert!(next.ends_with("; www.example.com moves to a target that works, if there is one"), "{next}");
}

#[test]
fn that_all_is_down_is_no_news_while_one_is_on_its_way_back() {
    let mut policy = policy();
    policy.records.values_mut().for_each(|record| record.all_down = AllDown::ServeAll);
    for check in policy.targets.values_mut().flat_map(|target| target.checks.values_mut()) {
        check.thresholds.rise = 2;
    }
    let mut decision = Decision::new(policy, faces(), Options::default(), Saved::default(), &now(0));
    let _ = decision.start(&now(0));
    let result = Ok(holding(&[A4, A6]));
    let _ = decision.handle(&now(0), Input::Read { record: record().name, result });
    let mut told = |probes: &[(i64, &str, bool)]| {
        let mut told = Vec::new();
        for (second, address, passed) in probes {
            let seen = observation("web", address, (*second, *second), Some(*passed));
            told.extend(events(&decision.handle(&now(*second), Input::Observed(seen))));
        }
        let hold = decision.records[&record().name].hold.clone();
        (hold, told.into_iter().any(|event| event.kind == EventKind::AllDown))
    };
    let well = [A4, A6, B4].map(|address| [(1, address, true), (2, address, true)]);
    assert_eq!(told(well.as_flattened()), (None, false));
    let back = [(3, A4, false), (3, A6, false), (4, A4, true), (4, A6, true), (5, B4, false)];
    assert_eq!(told(&back), (Some(Hold::Recovering { target: "a".into() }), false));
    assert!(told(&[(6, A4, false), (6, A6, false)]).1, "now it is");
}

#[test]
fn three_records_are_named_and_more_are_counted() {
    let words = |count: usize| {
        let mut policy = policy();
        policy.records = (0..count)
            .map(|number| format!("r{number}.example.com").parse::<DomainName>().unwrap())
            .map(|name| (name.clone(), RecordPolicy { name, ..record() }))
            .collect();
        let mut decision = Decision::new(policy, faces(), Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        let pause = Order::Set(order(What::Pause { record: None }, 0, 60));
        events(&decision.handle(&now(0), Input::Override(pause)))[0].next.clone().unwrap()
    };
    assert_eq!(words(3).matches("example.com stays").count(), 3, "{}", words(3));
    assert!(!words(3).contains("more records"), "{}", words(3));
    assert!(words(5).ends_with("; 2 more records, of which 0 move"), "{}", words(5));
}
