//! What proves a write, and what does not.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use providers::{Snapshot, Ttl};

use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
use super::super::{Coordination, Event, EventKind, Input, Marker, Options, ProviderFace, Saved};
use super::*;

/// Somebody else's.
const C4: &str = "192.0.2.99";

fn now(second: i64) -> Now {
    let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    Now { moment: at(second), wall: start + SignedDuration::from_secs(second) }
}

/// One record, its primary dead since second 2.
struct Play(Decision);

/// What came of one input.
#[derive(Debug)]
struct Came(Vec<Effect>);

impl Play {
    fn new(coordination: Coordination, unconfirmed: Option<Work>) -> Play {
        let mut policy = policy();
        policy.records.values_mut().for_each(|record| record.coordination = coordination);
        let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
        let faces = BTreeMap::from([("zone".into(), face)]);
        let unconfirmed = unconfirmed.map(|work| (record().name, work)).into_iter().collect();
        let saved = Saved { unconfirmed, ..Saved::default() };
        let mut decision = Decision::new(policy, faces, Options::default(), saved, &now(0));
        let _ = decision.start(&now(0));
        Play(decision)
    }

    fn reads(&mut self, second: i64, snapshot: Snapshot) -> Came {
        Came(self.0.handle(&now(second), Input::Read { record: record().name, result: Ok(snapshot) }))
    }

    fn shows(&mut self, second: i64, addresses: &[&str]) -> Came {
        self.reads(second, holding(addresses))
    }

    fn says(&mut self, second: i64, result: Result<(), Fault>) -> Came {
        Came(self.0.handle(&now(second), Input::Written { record: record().name, result }))
    }

    fn probed(&mut self, second: i64, address: &str, passed: bool) {
        let seen = observation("web", address, (second, second), Some(passed));
        let _ = self.0.handle(&now(second), Input::Observed(seen));
    }

    fn loses_its_primary(&mut self) {
        for address in [A4, A6, B4] {
            self.probed(1, address, true);
        }
        self.probed(2, A4, false);
        self.probed(2, A6, false);
        self.probed(3, B4, true);
    }

    /// The failover is decided at second 4 and sent.
    fn writing(coordination: Coordination) -> (Play, Work) {
        let mut play = Play::new(coordination, None);
        let _ = play.shows(0, &[A4, A6]);
        play.loses_its_primary();
        let work = play.shows(4, &[A4, A6]).written();
        (play, work)
    }

    /// A record that is where it should be with a TTL of 300 s is about to get ours.
    fn correcting_a_ttl() -> Play {
        let mut play = Play::new(Coordination::default(), None);
        for address in [A4, A6, B4] {
            play.probed(1, address, true);
        }
        let work = play.reads(4, with_ttl(&[A4, A6], 300)).written();
        assert!(work.swap.after.iter().all(|set| set.ttl == Ttl(60)), "{work:?}");
        play
    }
}

impl Came {
    fn written(&self) -> Work {
        let write = self.0.iter().find_map(|effect| match effect {
            Effect::Write(work) => Some(Work::clone(work)),
            _ => None,
        });
        write.unwrap_or_else(|| panic!("no write: {:?}", self.0))
    }

    /// How the question was closed; `None` while it is open.
    fn closed(&self) -> Option<bool> {
        self.0.iter().find_map(|effect| match effect {
            Effect::Close { happened, .. } => Some(*happened),
            _ => None,
        })
    }

    fn keeps(&self) -> bool {
        self.0.iter().any(|effect| matches!(effect, Effect::KeepRecord(_)))
    }

    fn told(&self) -> Vec<&Event> {
        fn event(effect: &Effect) -> Option<&Event> {
            match effect {
                Effect::Say(event, _) => Some(event),
                _ => None,
            }
        }
        self.0.iter().filter_map(event).collect()
    }
}

fn with_ttl(addresses: &[&str], ttl: u32) -> Snapshot {
    let mut snapshot = holding(addresses);
    for set in snapshot.sets.values_mut() {
        set.ttl = Ttl(ttl);
    }
    snapshot
}

fn lost() -> Result<(), Fault> {
    Err(Fault::Unknown("no reply".into()))
}

const NONE: Coordination = Coordination::None;

#[test]
fn our_values_under_another_ttl_are_our_change_though_its_reply_was_lost() {
    let (mut play, _) = Play::writing(NONE);
    let _ = play.says(5, lost());
    assert_eq!(play.reads(6, with_ttl(&[B4], 30)).closed(), Some(true));
}

#[test]
fn of_a_change_of_the_ttl_the_values_prove_nothing() {
    let mut play = Play::correcting_a_ttl();
    let _ = play.says(5, lost());
    assert_eq!(play.reads(6, with_ttl(&[A4, A6], 77)).closed(), Some(false), "somebody else's TTL");

    let mut play = Play::correcting_a_ttl();
    let _ = play.says(5, Ok(()));
    assert_eq!(play.reads(6, with_ttl(&[A4, A6], 77)).closed(), Some(true), "the provider's, which said yes");
}

#[test]
fn a_doubtful_change_that_arrives_later_is_made_whatever_the_ttl() {
    for ttl in [60, 30] {
        let (mut play, first) = Play::writing(NONE);
        let _ = play.says(5, lost());
        let again = play.shows(6, &[A4, A6]);
        assert_eq!(
            (again.closed(), again.written().id),
            (None, first.id),
            "{ttl}: not there, and tried again"
        );
        let _ = play.says(7, Err(Fault::Conflict("it holds something else".into())));
        assert_eq!(play.reads(7, with_ttl(&[B4], ttl)).closed(), Some(true), "{ttl}");
    }
}

#[test]
fn a_doubtful_change_of_the_ttl_is_made_when_its_ttl_is_there() {
    for (found, made) in [(60, Some(true)), (77, None)] {
        let mut play = Play::correcting_a_ttl();
        let _ = play.says(5, lost());
        let _ = play.reads(6, with_ttl(&[A4, A6], 300)).written();
        let _ = play.says(7, Err(Fault::Conflict("it holds something else".into())));
        let came = play.reads(7, with_ttl(&[A4, A6], found));
        assert_eq!(came.closed().filter(|made| *made), made, "{found}: {:?}", came.0);
    }
}

/// It may have been there until somebody else came, and counts as a change that was made when it was decided.
#[test]
fn a_doubtful_change_under_which_the_record_became_something_else_counts_and_is_closed() {
    let (mut play, _) = Play::writing(NONE);
    let _ = play.says(5, lost());
    let _ = play.shows(6, &[A4, A6]).written();
    let _ = play.says(7, Err(Fault::Conflict("it holds something else".into())));
    let came = play.shows(7, &[C4]);
    assert_eq!((came.closed(), came.keeps()), (Some(false), true), "{:?}", came.0);
    assert_eq!(play.0.records[&record().name].last_change, Some(at(4)));
    let failed =
        came.told().into_iter().find(|event| event.kind == EventKind::FailoverFailed).expect("it is told");
    assert!(failed.summary.contains("whether the change was made is not known"), "{failed:?}");
}

/// Somebody else's value stands there; that the provider took ours first is said only where the provider said so.
#[test]
fn what_is_told_of_a_write_of_which_nothing_is_left_is_what_is_known() {
    let told_of = |said: Result<(), Fault>| {
        let (mut play, _) = Play::writing(NONE);
        let _ = play.says(5, said);
        let came = play.shows(6, &[C4]);
        let failed = came.told().into_iter().find(|event| event.kind == EventKind::FailoverFailed).cloned();
        failed.unwrap_or_else(|| panic!("{came:?}")).summary
    };
    assert!(told_of(Ok(())).contains(": the provider took the change, and now holds"), "it said so");
    let nobody_knows = told_of(lost());
    assert!(nobody_knows.contains("whether the change was made is not known"), "{nobody_knows}");
}

#[test]
fn a_second_attempt_that_was_not_sent_leaves_the_first_in_doubt() {
    let (mut play, _) = Play::writing(NONE);
    let _ = play.says(5, lost());
    let _ = play.shows(6, &[A4, A6]).written();
    let came = Came(play.0.handle(&now(20), Input::Unsent { record: record().name }));
    assert_eq!(came.closed(), None, "{:?}", came.0);
}

/// What another run began 30 s before this one started.
fn begun_earlier() -> Work {
    let (_, mut work) = Play::writing(NONE);
    work.id = "chg-of-an-earlier-run".into();
    work.decided = at(-30);
    work.completed.effective_by = Some(now(25).wall);
    work
}

#[test]
fn what_an_earlier_run_began_stays_open_until_it_is_seen_or_something_else_is() {
    let mut play = Play::new(NONE, Some(begun_earlier()));
    assert_eq!(play.shows(1, &[A4, A6]).closed(), None, "it may still come");
    let _ = play.0.handle(&now(2), Input::LookDue { record: record().name });
    assert_eq!(play.shows(2, &[B4]).closed(), Some(true));

    let mut play = Play::new(NONE, Some(begun_earlier()));
    assert_eq!(play.shows(1, &[C4]).closed(), Some(false));
}

/// With a full disk that run may have told its change, seen it undone, and died without a trace of either: who drops
/// repeated ids must not drop what this run has to tell.
#[test]
fn an_attempt_of_this_run_takes_no_id_of_an_earlier_one_and_is_told_once_whichever_arrives() {
    let begun = || {
        let mut play = Play::new(NONE, Some(begun_earlier()));
        let _ = play.shows(0, &[A4, A6]);
        play.loses_its_primary();
        let came = play.shows(4, &[A4, A6]);
        assert!(came.0.contains(&Effect::Close { change: begun_earlier().id, happened: false }), "{came:?}");
        let ours = came.written().id;
        assert_ne!(ours, begun_earlier().id);
        (play, ours)
    };
    let told = |came: &Came, id: &str| {
        let key = format!("{id}-completed");
        came.0.iter().filter(|effect| matches!(effect, Effect::Say(_, Some(so)) if *so == key)).count()
    };

    let (mut play, ours) = begun();
    assert_eq!(
        play.says(5, Err(Fault::Conflict("it holds b".into()))).closed(),
        None,
        "the earlier one came"
    );
    let came = play.shows(6, &[B4]);
    assert_eq!((told(&came, &ours), came.closed()), (1, Some(true)), "{came:?}");

    let (mut play, ours) = begun();
    let _ = play.says(5, lost());
    let again = play.shows(6, &[A4, A6]).written().id;
    assert_eq!(again, ours, "of one run the attempts share their id");
    let _ = play.says(7, Ok(()));
    assert_eq!(told(&play.shows(8, &[B4]), &ours), 1);
}

#[test]
fn what_an_earlier_run_wrote_is_effective_when_that_run_said() {
    let mut play = Play::new(NONE, Some(begun_earlier()));
    let came = play.shows(1, &[B4]);
    let told = came.told();
    let completed = told.iter().find(|event| event.kind == EventKind::FailoverCompleted).expect("it is told");
    assert_eq!(completed.effective_by, Some(now(25).wall));
}

/// The marker proves the change, and somebody who knows of no markers has changed the record since.
#[test]
fn a_change_that_its_marker_proves_is_told_and_what_stands_there_now_is_drift_from_it() {
    let (mut play, work) = Play::writing(Coordination::Zone);
    let _ = play.says(5, lost());
    let marker = work.swap.marker.clone();
    assert!(marker.is_some(), "{work:?}");
    let came = play.reads(6, Snapshot { marker, ..holding(&[C4]) });
    assert_eq!(came.closed(), Some(true));
    assert!(!came.0.iter().any(|effect| matches!(effect, Effect::Watch(_))), "it will not arrive any more");
    let told = came.told();
    let drift = told.iter().find(|event| event.kind == EventKind::DriftDetected).expect("it is told");
    let before = drift.before.as_ref().expect("what was expected");
    assert_eq!(before.values, [B4], "{drift:?}");
}

/// A peer's marker of a later generation stands where ours would: nobody can say whether ours stood there before.
#[test]
fn a_write_that_later_changes_hide_is_said_to_be_unknown_whoever_began_it() {
    let (_, mut work) = Play::writing(Coordination::Zone);
    let peer = Marker::new(7, "other", now(5).wall, &["b".into()], 0).expect("a marker");
    let hidden = || Snapshot { marker: Some(peer.record_set(record().ttl)), ..holding(&[C4]) };

    let (mut play, _) = Play::writing(Coordination::Zone);
    let _ = play.says(5, lost());
    let lost = play.reads(6, hidden());
    work.decided = at(-30);
    let mut play = Play::new(Coordination::Zone, Some(work));
    let earlier = play.reads(1, hidden());

    for came in [lost, earlier] {
        assert_eq!(came.closed(), Some(false), "{:?}", came.0);
        let told = came.told();
        let failed = told.iter().find(|event| event.kind == EventKind::FailoverFailed).expect("it is told");
        let words = serde_json::to_string(failed).expect("JSON");
        assert!(words.contains("whether ours was made before is not known"), "{words}");
    }
}

/// What stands in the place of our TTL tells of the provider only after a write that it acknowledged, and by our values.
#[test]
fn a_ttl_that_may_be_somebody_elses_is_not_held_to_be_the_providers_own() {
    let own_ttl = |play: &Play| play.0.records[&record().name].own_ttl;
    let (mut play, _) = Play::writing(NONE);
    let _ = play.says(5, Ok(()));
    assert_eq!(play.reads(6, with_ttl(&[B4], 300)).closed(), Some(true));
    assert_eq!(own_ttl(&play).map(|own| own.found), Some(Ttl(300)));

    let (mut play, _) = Play::writing(NONE);
    let _ = play.says(5, lost());
    assert_eq!(play.reads(6, with_ttl(&[B4], 300)).closed(), Some(true));
    assert_eq!(own_ttl(&play), None, "the reply was lost");

    let (mut play, work) = Play::writing(Coordination::Zone);
    let _ = play.says(5, Ok(()));
    let marker = work.swap.marker.clone();
    let came = play.reads(6, Snapshot { marker, ..with_ttl(&[C4], 300) });
    assert_eq!(came.closed(), Some(true), "{:?}", came.0);
    assert_eq!(own_ttl(&play), None, "others have changed it since");
}
