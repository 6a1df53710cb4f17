//! Tests of all guards together: each refusal is told once, by its guard's name and with what can be done; and what
//! `flapping` and `velocity` promise over a long time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use providers::{DomainName, RecordSet, RecordType, Snapshot};

use super::fixture::{A4, A6, B4, answer, at, holding, observation, policy, probed, record};
use super::*;

fn now(second: i64) -> Now {
    let start: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    Now { moment: at(second), wall: start + jiff::SignedDuration::from_secs(second) }
}

fn decision(policy: Policy, saved: Saved, atomic_name: bool) -> Decision {
    let face = ProviderFace { atomic_name, marker: true, normalize: Arc::new(|sets| sets) };
    let faces = BTreeMap::from([("zone".into(), face)]);
    let mut decision = Decision::new(policy, faces, Options::default(), saved, &now(0));
    let _ = decision.start(&now(0));
    decision
}

fn events(effects: Vec<Effect>) -> Vec<Event> {
    let said = |effect| match effect {
        Effect::Say(event, _) => Some(*event),
        _ => None,
    };
    effects.into_iter().filter_map(said).collect()
}

/// `a` dies; what is told of withheld changes in the minute after it, with a reading every five seconds.
fn withheld(decision: Decision, holds: &[&str]) -> Vec<Event> {
    withheld_from(decision, &holding(holds))
}

fn withheld_from(mut decision: Decision, snapshot: &Snapshot) -> Vec<Event> {
    let name = record().name;
    let read = || Input::Read { record: name.clone(), result: Ok(snapshot.clone()) };
    let mut told = events(decision.handle(&now(0), read()));
    for (second, address, passed) in
        [(1, A4, true), (1, A6, true), (1, B4, true), (2, A4, false), (2, A6, false), (3, B4, true)]
    {
        let seen = observation("web", address, (second, second), Some(passed));
        told.extend(events(decision.handle(&now(second), Input::Observed(seen))));
    }
    for second in (4..14).step_by(2) {
        told.extend(events(decision.handle(&now(second), read())));
        told.extend(events(decision.handle(&now(second), Input::Tick)));
        told.extend(events(decision.handle(&now(second), Input::LookDue { record: name.clone() })));
    }
    assert!(told.iter().all(|event| event.kind != EventKind::FailoverStarted), "{told:?}");
    told.into_iter().filter(|event| event.kind == EventKind::ChangeWithheld).collect()
}

fn kept(change: impl FnOnce(&mut SavedRecord)) -> Saved {
    let mut kept = SavedRecord { current: vec!["a".into()], ..SavedRecord::default() };
    change(&mut kept);
    Saved { records: BTreeMap::from([(record().name, kept)]), ..Saved::default() }
}

#[test]
fn every_refusal_is_told_once_with_its_guard_and_what_can_be_done() {
    let usual = || decision(policy(), Saved::default(), true);
    let one_by_one = decision(policy(), Saved::default(), false);
    let flapping = kept(|kept| kept.penalty = Some(KeptPenalty { value: 5000, at: now(0).wall }));
    let hold_down = kept(|kept| kept.last_change = Some(at(-5)));
    let mut slow = policy();
    let mut other = record();
    other.name = "api.example.com".parse().unwrap();
    slow.velocity.insert("zone".into(), Velocity::Percent(50));
    let changed = SavedRecord { last_change: Some(at(-5)), ..SavedRecord::default() };
    let saved = Saved { records: BTreeMap::from([(other.name.clone(), changed)]), ..Saved::default() };
    slow.records.insert(other.name.clone(), other);

    let stranger = [A4, A6, "192.0.2.99"];
    let table: [(Guard, Decision, &[&str], Severity); 5] = [
        (Guard::Foreign, usual(), &stranger, Severity::Warning),
        (Guard::Capability, one_by_one, &[A4, A6], Severity::Warning),
        (Guard::Flapping, decision(policy(), flapping, true), &[A4, A6], Severity::Warning),
        (Guard::HoldDown, decision(policy(), hold_down, true), &[A4, A6], Severity::Info),
        (Guard::Velocity, decision(slow, saved, true), &[A4, A6], Severity::Warning),
    ];
    for (guard, decision, holds, severity) in table {
        told_once(guard, &withheld(decision, holds), severity);
    }
}

fn told_once(guard: Guard, told: &[Event], severity: Severity) {
    let [event] = told else { panic!("{guard:?}: {told:?}") };
    assert_eq!((event.guard.as_deref(), event.severity), (Some(guard.as_str()), severity));
    let by_itself = matches!(guard, Guard::HoldDown | Guard::UnverifiedTarget | Guard::Family);
    assert!(event.remedy.is_some() || by_itself, "{event:?}");
    assert!(event.next.is_some(), "{event:?}");
    assert_eq!(event.reason.is_some(), guard != Guard::Foreign, "why a change is due: {event:?}");
}

#[test]
fn a_marker_that_went_back_is_told_once_as_well() {
    let mut shared = policy();
    shared.records.values_mut().for_each(|record| record.coordination = Coordination::Zone);
    let changed = at(-500);
    let known = KnownMarker { generation: 9, writer: "other".into(), written: now(-500).wall, changed };
    let decision = decision(shared, kept(|kept| kept.marker = Some(known)), true);
    let marker = Marker::new(3, "other", now(-900).wall, &["a".into()], 0).unwrap();
    let marker = Some(marker.record_set(record().ttl));
    let told = withheld_from(decision, &Snapshot { marker, ..holding(&[A4, A6]) });
    told_once(Guard::StaleGeneration, &told, Severity::Warning);
}

/// Selection wishes for no such thing as far as we know; the guards are there for what we do not.
#[test]
fn what_only_the_guards_know_to_be_wrong_is_told_once_as_well() {
    let table: [(Guard, &[&str], &[&str]); 2] =
        [(Guard::UnverifiedTarget, &[A4, A6], &[B4]), (Guard::Family, &[A4, A6], &[A4])];
    for (guard, holds, wished) in table {
        let mut decision = decision(policy(), Saved::default(), true);
        let (name, snapshot) = (record().name, holding(holds));
        let _ = decision.handle(&now(0), Input::Read { record: name.clone(), result: Ok(snapshot.clone()) });
        let wish = Wish { answer: answer(wished), targets: vec!["b".into()], motive: Motive::Failover };
        let (record, policy, sight) = (record(), policy(), Sight::default());
        let targets = probed(&policy, &[(1, A4, Some(false)), (1, A6, Some(false))]);
        let bench = Bench {
            now: at(4),
            policy: &policy,
            record: &record,
            targets: &targets,
            sight: &sight,
            last_change: None,
            penalty: None,
            turn: None,
            atomic_name: true,
        };
        let mut out = Vec::new();
        for _ in 0..3 {
            let judgement = judge(&bench, &wish, &snapshot, wish.answer.sets(record.ttl));
            let Judgement::Refused { refusal, .. } = judgement else { panic!("{judgement:?}") };
            decision.refuse(&now(4), &name, &wish, refusal, &mut out);
        }
        told_once(guard, &events(out), Severity::Warning);
    }
}

#[test]
fn the_words_of_a_turn_count_those_before_it() {
    let word = |ahead, used| {
        let turn = Turn { at: at(30), allowed: 2, used, ahead };
        let (policy, record) = (policy(), record());
        let wish = Wish {
            answer: Answer::of(&[B4.parse().unwrap()]).unwrap(),
            targets: vec!["b".into()],
            motive: Motive::Failover,
        };
        let bench = Bench {
            now: at(10),
            policy: &policy,
            record: &record,
            targets: &probed(&policy, &[(9, B4, Some(true))]),
            sight: &Sight::default(),
            last_change: None,
            penalty: None,
            turn: Some(turn),
            atomic_name: true,
        };
        match judge(&bench, &wish, &holding(&[A4]), wish.answer.sets(record.ttl)) {
            Judgement::Refused { refusal, .. } => refusal.text,
            other => panic!("{other:?}"),
        }
    };
    assert!(word(0, 2).ends_with("2 were changed within the last one, and it is the next"), "{}", word(0, 2));
    assert!(
        word(1, 1).ends_with("1 was changed within the last one, and 1 comes before it"),
        "{}",
        word(1, 1)
    );
    assert!(word(7, 2).ends_with("and 7 come before it"), "{}", word(7, 2));
}

#[test]
fn the_words_of_a_suppressed_record_say_until_when_and_what_lets_go() {
    let saved = kept(|kept| kept.penalty = Some(KeptPenalty { value: 5000, at: now(0).wall }));
    let told = withheld(decision(policy(), saved, true), &[A4, A6]);
    let remedy = told[0].remedy.as_deref().unwrap();
    assert!(remedy.contains("in 34 min 47 s, or at once after `failover ack www.example.com`"), "{remedy}");
    assert_eq!(told[0].next.as_deref(), Some("the record stays as it is until 2026-11-22 12:34:51Z"));
}

#[test]
fn a_penalty_of_the_future_is_put_right_and_told_once() {
    let future = KeptPenalty { value: 5000, at: now(7200).wall };
    let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
    let saved = kept(|kept| kept.penalty = Some(future));
    let faces = BTreeMap::from([("zone".into(), face)]);
    let mut decision = Decision::new(policy(), faces, Options::default(), saved, &now(0));
    let told = events(decision.start(&now(0)));
    assert_eq!(told.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::StateCorrected]);
    let kept = decision.saved_record(&record().name, &now(0)).unwrap().penalty.unwrap();
    assert_eq!(kept, KeptPenalty { value: 5000, at: now(0).wall }, "and so it is kept");
}

/// Several records of one provider whose primaries come and go at random, each reading and writing answered at once.
struct Zone {
    decision: Decision,
    held: BTreeMap<DomainName, BTreeMap<RecordType, RecordSet>>,
    changes: Vec<(i64, DomainName)>,
}

impl Zone {
    fn feed(&mut self, second: i64, input: Input) {
        let mut todo = vec![input];
        while let Some(input) = todo.pop() {
            for effect in self.decision.handle(&now(second), input) {
                match effect {
                    Effect::Read(name) => {
                        let snapshot = Snapshot { sets: self.held[&name].clone(), ..holding(&[]) };
                        let result = Ok(Snapshot { name: name.clone(), ..snapshot });
                        todo.push(Input::Read { record: name, result });
                    }
                    Effect::Write(work) => {
                        let name = work.swap.name().clone();
                        let sets = work.swap.after.iter().map(|set| (set.record_type(), set.clone()));
                        self.held.insert(name.clone(), sets.collect());
                        self.changes.push((second, name.clone()));
                        todo.push(Input::Written { record: name, result: Ok(()) });
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Numbers from a seed: xorshift64 (Marsaglia 2003).
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % below
    }
}

#[test]
fn changes_in_any_window_stay_within_both_bounds() {
    for seed in 0..16 {
        let mut any = numbers(seed);
        let (allowed, hold_down) = (u32::try_from(1 + any(3)).unwrap(), 1 + any(19));
        let last = if any(2) == 0 { 90 } else { 400 };
        let flips: BTreeMap<i64, bool> =
            (0..=any(100)).map(|_| (i64::try_from(any(last)).unwrap(), any(2) == 0)).collect();
        let mut policy = policy();
        let flapping = Flapping { half_life: Duration::from_secs(100), suppress: 2500, reuse: 1000 };
        policy.records.clear();
        for number in 0..5 {
            let name: DomainName = format!("r{number}.example.com").parse().unwrap();
            let (hold_down, failback_after) = (Duration::from_secs(hold_down), Duration::ZERO);
            let one = RecordPolicy { name: name.clone(), hold_down, failback_after, flapping, ..record() };
            policy.records.insert(name, one);
        }
        policy.velocity.insert("zone".into(), Velocity::Records(allowed));
        let held = policy.records.keys().map(|name| (name.clone(), holding(&[A4, A6]).sets)).collect();
        let mut zone = Zone { decision: decision(policy, Saved::default(), true), held, changes: Vec::new() };
        let names: Vec<DomainName> = zone.held.keys().cloned().collect();
        for name in &names {
            let result = Ok(Snapshot { name: name.clone(), ..holding(&[A4, A6]) });
            zone.feed(0, Input::Read { record: name.clone(), result });
        }
        let mut up = true;
        for second in 1..500 {
            up = flips.get(&second).copied().unwrap_or(up);
            for (address, passed) in [(B4, true), (A4, up), (A6, up)] {
                let seen = observation("web", address, (second, second), Some(passed));
                zone.feed(second, Input::Observed(seen));
            }
            zone.feed(second, Input::Tick);
        }
        for (index, (from, name)) in zone.changes.iter().enumerate() {
            let within = |length| {
                zone.changes[index..]
                    .iter()
                    .take_while(move |(at, _)| *at < from + length)
                    .map(|(_, name)| name)
            };
            let records: BTreeSet<&DomainName> = within(60).collect();
            assert!(records.len() <= allowed as usize, "seed {seed}: {:?}", zone.changes);
            let of_one = within(100).filter(|other| *other == name).count();
            // Within one half-life nothing falls below half: the fourth change would come at 2500 or above.
            assert!(of_one <= 4, "seed {seed}: {:?}", zone.changes);
        }
        let settled = if up { holding(&[A4, A6]).sets } else { holding(&[B4]).sets };
        if flips.keys().next_back().is_some_and(|last| *last < 100) {
            for (name, held) in &zone.held {
                assert_eq!(held, &settled, "seed {seed}: {name} got its turn in the end");
            }
        }
    }
}
