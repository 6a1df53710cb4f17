//! What an agent makes of markers, one reading after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
use super::super::{Input, Options, Policy, ProviderFace, Saved, SavedRecord};
use super::*;

fn now(second: i64) -> Now {
    let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    Now { moment: at(second), wall: start.saturating_add(jiff::SignedDuration::from_secs(second)).unwrap() }
}

fn zone_policy() -> Policy {
    let mut policy = policy();
    policy.records.get_mut(&record().name).unwrap().coordination = Coordination::Zone;
    policy
}

fn marker(generation: u64, writer: &str, changed: i64, penalty: u32) -> RecordSet {
    Marker::new(generation, writer, now(changed).wall, &["a".into()], penalty)
        .unwrap()
        .record_set(record().ttl)
}

fn beside(values: &[&str], marker: Option<RecordSet>) -> Snapshot {
    Snapshot { marker, ..holding(values) }
}

struct Case {
    decision: Decision,
    said: Vec<Event>,
}

impl Case {
    fn new(known: Option<KnownMarker>, face: bool) -> Case {
        let saved = SavedRecord { marker: known, ..SavedRecord::default() };
        let saved = Saved { records: BTreeMap::from([(record().name, saved)]), ..Saved::default() };
        let face = ProviderFace { atomic_name: true, marker: face, normalize: Arc::new(|sets| sets) };
        let faces = BTreeMap::from([("zone".into(), face)]);
        let mut decision = Decision::new(zone_policy(), faces, Options::default(), saved, &now(0));
        let _ = decision.start(&now(0));
        Case { decision, said: Vec::new() }
    }

    /// Gives what is written, if anything.
    fn feed(&mut self, second: i64, input: Input) -> Option<Arc<Work>> {
        let mut work = None;
        for effect in self.decision.handle(&now(second), input) {
            match effect {
                Effect::Say(event, _) => self.said.push(*event),
                Effect::Write(written) => work = Some(written),
                _ => {}
            }
        }
        work
    }

    fn read(&mut self, second: i64, snapshot: Snapshot) -> Option<Arc<Work>> {
        self.feed(second, Input::Read { record: record().name, result: Ok(snapshot) })
    }

    fn look(&mut self, second: i64, snapshot: Snapshot) -> Option<Arc<Work>> {
        let looked = self.feed(second, Input::LookDue { record: record().name });
        assert!(looked.is_none());
        self.read(second, snapshot)
    }

    /// The primary has died, the stand-by works.
    fn a_dies(&mut self, second: i64) {
        for (address, passed) in [(A4, false), (A6, false), (B4, true)] {
            let seen = observation("web", address, (second, second), Some(passed));
            assert!(self.feed(second, Input::Observed(seen)).is_none());
        }
    }

    fn kinds(&mut self) -> Vec<EventKind> {
        std::mem::take(&mut self.said).into_iter().map(|event| event.kind).collect()
    }
}

fn refused(case: &Case) -> Option<Guard> {
    case.decision.records[&record().name].refusal.as_ref().map(|refusal| refusal.guard)
}

#[test]
fn a_change_carries_the_next_generation_and_the_old_text_as_its_precondition() {
    let mut case = Case::new(None, true);
    let old = marker(41, "there-1", -600, 500);
    assert!(case.read(0, beside(&[A4, A6], Some(old.clone()))).is_none());
    case.a_dies(10);
    let work = case.read(10, beside(&[A4, A6], Some(old.clone()))).expect("a failover");
    assert_eq!(work.swap.before.marker, Some(old));
    let seen = MarkerSeen::parse(work.swap.marker.as_ref());
    let new = seen.known().unwrap();
    assert_eq!((new.generation(), new.writer(), new.changed()), (42, "here-1", now(10).wall));
    assert!((1301..1400).contains(&new.penalty()), "what is left of 500, and one change: {}", new.penalty());
}

#[test]
fn a_provider_that_cannot_is_refused() {
    let mut case = Case::new(None, false);
    let _ = case.read(0, beside(&[A4, A6], None));
    case.a_dies(10);
    assert!(case.read(10, beside(&[A4, A6], None)).is_none());
    assert_eq!(refused(&case), Some(Guard::Capability));
}

#[test]
fn who_has_just_come_believes_the_marker_and_who_was_there_what_was_seen() {
    let mut fresh = Case::new(None, true);
    let _ = fresh.read(0, beside(&[A4, A6], Some(marker(7, "there-1", -50, 0))));
    assert_eq!(fresh.decision.held_since(&record().name), Some(at(-50)));
    assert_eq!(fresh.kinds(), [], "what was before us is no news");
    let _ = fresh.look(30, beside(&[B4], Some(marker(8, "there-1", -3600, 0))));
    assert_eq!(fresh.decision.held_since(&record().name), Some(at(30)), "whatever the writer's clock says");
    assert_eq!(fresh.kinds(), [EventKind::ChangeByPeer]);
}

#[test]
fn what_was_followed_outlives_a_restart() {
    let known =
        KnownMarker { generation: 7, writer: "there-1".into(), written: now(-50).wall, changed: at(-20) };
    let mut case = Case::new(Some(known.clone()), true);
    let _ = case.read(0, beside(&[A4, A6], Some(marker(7, "there-1", -50, 0))));
    assert_eq!(case.decision.held_since(&record().name), Some(at(-20)));
    assert_eq!(case.decision.saved_record(&record().name, &now(0)).unwrap().marker, Some(known));
    case.a_dies(10);
    assert!(case.read(10, beside(&[A4, A6], Some(marker(7, "there-1", -50, 0)))).is_none());
    assert_eq!(refused(&case), Some(Guard::HoldDown));
}

#[test]
fn a_clock_that_is_ahead_and_a_penalty_that_cannot_be_are_told_once_and_cut() {
    let mut case = Case::new(None, true);
    let _ = case.read(0, beside(&[A4, A6], Some(marker(7, "there-1", 3600, u32::MAX))));
    assert_eq!(case.decision.held_since(&record().name), Some(at(0)), "now, not in an hour");
    let penalty = case.decision.records[&record().name].penalty.unwrap();
    assert_eq!((penalty.value, penalty.at), (record().flapping.ceiling(), at(0)));
    assert_eq!(
        case.said[0].summary,
        "the clock of there-1 is 60 min ahead of ours, by the marker of www.example.com"
    );
    assert_eq!(case.kinds(), [EventKind::MarkerSuspect; 2]);
    let _ = case.look(30, beside(&[A4, A6], Some(marker(8, "there-1", 3700, u32::MAX))));
    assert_eq!(case.kinds(), [EventKind::ChangeByPeer]);
}

#[test]
fn a_lower_generation_is_followed_when_a_person_says_so() {
    let mut case = Case::new(None, true);
    let _ = case.read(0, beside(&[A4, A6], Some(marker(7, "there-1", -600, 0))));
    let old = marker(5, "there-1", -900, 0);
    let _ = case.look(30, beside(&[B4], Some(old.clone())));
    assert_eq!(case.kinds(), [EventKind::MarkerSuspect], "an old picture is no drift");
    assert!(case.decision.accept_marker(&now(31), &record().name));
    assert!(!case.decision.accept_marker(&now(31), &record().name), "once");
    assert_eq!(case.decision.marker_trouble(&record().name), None);
    let _ = case.look(60, beside(&[B4], Some(old)));
    assert_eq!(case.kinds(), [EventKind::DriftDetected], "but what stands there is not what we knew");
}

#[test]
fn a_marker_that_is_gone_is_told_once_and_the_numbers_go_on() {
    let mut case = Case::new(None, true);
    let _ = case.read(0, beside(&[A4, A6], Some(marker(7, "there-1", -600, 0))));
    for second in [30, 60] {
        let _ = case.look(second, beside(&[A4, A6], None));
    }
    assert_eq!(case.kinds(), [EventKind::MarkerSuspect]);
    case.a_dies(70);
    let work = case.read(70, beside(&[A4, A6], None)).expect("a failover");
    assert_eq!(generation_of(work.swap.marker.as_ref()), Some(8));
}

#[test]
fn a_lost_reply_is_decided_by_the_marker_alone() {
    let lost = |found: fn(&Work) -> Snapshot| {
        let mut case = Case::new(None, true);
        let _ = case.read(0, beside(&[A4, A6], None));
        case.a_dies(10);
        let work = case.read(10, beside(&[A4, A6], None)).expect("a failover");
        let written =
            Input::Written { record: record().name, result: Err(providers::Fault::Unknown("lost".into())) };
        assert!(case.feed(11, written).is_none());
        case.said.clear();
        let snapshot = found(&work);
        let again = case.read(12, snapshot);
        let told: Vec<&str> = case.said.iter().map(|event| event.kind.as_str()).collect();
        (told.join(" "), again.is_some())
    };
    let by = |told: &str, again| (told.to_owned(), again);
    let ours = |work: &Work| beside(&[B4], work.swap.marker.clone());
    assert_eq!(lost(ours), by("failover.completed", false));
    let edited = |work: &Work| beside(&[A4], work.swap.marker.clone());
    assert_eq!(
        lost(edited),
        by("failover.completed drift.detected change.withheld", false),
        "and then a person came"
    );
    assert!(lost(|_| beside(&[A4, A6], None)).1, "not yet: tried again");
    let by_hand = |_: &Work| beside(&[B4], Some(marker(1, "there-1", 11, 0)));
    assert_eq!(
        lost(by_hand),
        by("change.by_peer", false),
        "a peer had the same thought; ours never happened"
    );
    let gone_on = |_: &Work| beside(&[B4], Some(marker(2, "there-1", 11, 0)));
    assert_eq!(lost(gone_on), by("failover.failed change.by_peer", false), "perhaps, and nobody can know");
}

#[test]
fn the_bound() {
    let (flapping, second) = (Flapping::default(), Duration::from_secs(1));
    let bound = |window: u32, hold_down: u32| changes_at_most(second * window, second * hold_down, &flapping);
    assert_eq!([bound(0, 60), bound(59, 60), bound(60, 60), bound(120, 60)], [1, 1, 2, 3]);
    assert_eq!(bound(600, 5), 7, "five at once, and what ten minutes at the ceiling let through");
    assert_eq!(bound(0, 0), 5, "without hold_down: until suppressed");
}

#[test]
fn two_seconds_and_the_highest_penalty_are_no_reason_for_doubt() {
    let ceiling = record().flapping.ceiling();
    for (ahead, penalty) in [(2, ceiling), (-3600, ceiling), (-3600, 0)] {
        let mut case = Case::new(None, true);
        let _ = case.read(0, beside(&[A4, A6], Some(marker(7, "there-1", ahead, penalty))));
        assert_eq!(case.kinds(), [], "{ahead} s, {penalty}");
    }
}

#[test]
fn a_change_is_told_as_its_writer_s_and_a_late_one_of_our_own_as_ours() {
    for (writer, words) in [("there-1", "by there-1"), ("here-1", "by an earlier write of this agent")] {
        let mut case = Case::new(None, true);
        let _ = case.read(0, beside(&[A4, A6], Some(marker(7, "there-1", -600, 0))));
        let _ = case.look(30, beside(&[B4], Some(marker(8, writer, 29, 0))));
        assert!(case.said[0].summary.ends_with(words), "{}", case.said[0].summary);
    }
}

#[test]
fn what_needs_a_person_is_told_before_what_needs_only_time() {
    let known =
        KnownMarker { generation: 7, writer: "there-1".into(), written: now(-5).wall, changed: at(-5) };
    let mut case = Case::new(Some(known), false);
    let held = || beside(&[A4, A6], Some(marker(7, "there-1", -5, 0)));
    let _ = case.read(0, held());
    case.a_dies(10);
    assert!(case.read(10, held()).is_none());
    assert_eq!(refused(&case), Some(Guard::Capability), "though hold_down would refuse it, too");
    let mut case = Case::new(None, false);
    let _ = case.read(0, beside(&[A4, A6, "192.0.2.99"], None));
    case.a_dies(10);
    assert!(case.read(10, beside(&[A4, A6, "192.0.2.99"], None)).is_none());
    assert_eq!(refused(&case), Some(Guard::Foreign), "a stranger's value before the missing marker");
}

#[test]
fn a_peer_that_follows_our_change_at_once_is_told_after_it() {
    let mut case = Case::new(None, true);
    let _ = case.read(0, beside(&[A4, A6], None));
    case.a_dies(10);
    let work = case.read(10, beside(&[A4, A6], None)).expect("a failover");
    assert!(case.feed(11, Input::Written { record: record().name, result: Ok(()) }).is_none());
    case.said.clear();
    let _ = case.read(12, beside(&[A4, A6], Some(marker(2, "there-1", 11, 0))));
    assert_eq!(generation_of(work.swap.marker.as_ref()), Some(1));
    assert_eq!(case.kinds()[..2], [EventKind::FailoverCompleted, EventKind::ChangeByPeer]);
}

#[test]
fn a_failback_that_was_asked_for_is_done_when_a_peer_does_it() {
    let asked_after = |peer: &[&str]| {
        let mut case = Case::new(None, true);
        let _ = case.read(0, beside(&[B4], Some(marker(7, "there-1", -600, 0))));
        let _ = case.feed(1, Input::Failback { record: record().name });
        let _ = case.look(30, beside(peer, Some(marker(8, "there-1", 29, 0))));
        case.decision.records[&record().name].failback_asked
    };
    assert!(!asked_after(&[A4, A6]));
    assert!(asked_after(&[B4]), "it wrote something else");
}

#[test]
fn status_shows_the_marker_and_what_is_wrong_with_it() {
    let mut case = Case::new(None, true);
    let _ = case.read(0, beside(&[A4, A6], Some(marker(7, "there-1", -600, 0))));
    let report = |case: &Case, second| case.decision.marker_report(&now(second), &record().name).unwrap();
    let good = report(&case, 5);
    assert_eq!((good.generation, good.writer.as_deref(), good.age_s), (Some(7), Some("there-1"), Some(605)));
    assert_eq!((good.name.as_str(), good.trouble), ("_failover.www.example.com", None));
    let _ = case.look(30, beside(&[A4, A6], Some(marker(5, "there-1", -900, 0))));
    let bad = report(&case, 30);
    assert!(bad.trouble.unwrap().contains("generation 7 by there-1 was seen before"));
}

/// An agent that knew of nothing began a new history beside ours: what it changed was there when we first saw it.
#[test]
fn who_accepts_a_marker_waits_for_hold_down_from_when_it_was_first_seen() {
    let mut case = Case::new(None, true);
    let _ = case.read(0, beside(&[A4, A6], Some(marker(7, "there-1", -600, 0))));
    let _ = case.look(100, beside(&[A4, A6], Some(marker(1, "lost-its-disk", 70, 1000))));
    let _ = case.look(110, beside(&[A4, A6], Some(marker(1, "lost-its-disk", 70, 1000))));
    assert!(case.decision.accept_marker(&now(111), &record().name));
    let known = case.decision.records[&record().name].marker.clone().expect("it is remembered");
    assert_eq!((known.generation, known.changed), (1, at(100)), "whatever its clock says");
}
