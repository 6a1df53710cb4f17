//! Stories of the state file.

mod crash;
mod file;
mod latency;
mod lock;
mod outbox;
mod overrides;

use std::collections::BTreeMap;

use jiff::Timestamp;
use providers::Ttl;

use super::*;
use crate::decision::{
    ChannelId, Endpoint, Event, EventKind, KeptPenalty, OwnTtl, Recorded, SavedTracker, Severity, Verdict,
};

pub(super) fn at(text: &str) -> Timestamp {
    format!("2026-11-22T{text}Z").parse().unwrap()
}

pub(super) fn event(id: &str, severity: Severity) -> Recorded {
    let mut event = Event::new(EventKind::TargetDown, at("12:00:00"), format!("the story of {id}"));
    event.severity = severity;
    Recorded { id: id.into(), agent: "toronto-1".into(), event }
}

pub(super) fn tell(ids: &[&str], channels: &[&str]) -> Batch {
    let channels: Vec<ChannelId> = channels.iter().map(|c| ChannelId::from(*c)).collect();
    let events = ids.iter().map(|id| (event(id, Severity::Warning), channels.clone())).collect();
    Batch { at: Some(at("12:00:00")), events, ..Batch::default() }
}

pub(super) fn endpoint(target: &str) -> Endpoint {
    Endpoint { target: target.into(), check: "web".into(), address: "192.0.2.1".parse().unwrap() }
}

pub(super) fn tracker(failures: u32, last: Timestamp) -> SavedTracker {
    SavedTracker { verdict: Verdict::Up, failures, last: Some(last), ..SavedTracker::default() }
}

fn change(id: &str, state: ChangeState, started: Timestamp) -> ChangeRow {
    let set = providers::RecordSet::new(
        Ttl(60),
        providers::Values::A(providers::NonEmpty::one("198.51.100.5".parse().unwrap())),
    );
    ChangeRow {
        id: id.into(),
        record: "www.workshopco.ca".parse().unwrap(),
        state,
        started,
        ended: None,
        completed_event: event(id, Severity::Critical),
        targets: vec!["montreal".into()],
        before: BTreeMap::new(),
        after: providers::AnswerSets::new([set]).unwrap(),
        marker_before: None,
        marker: None,
    }
}

fn record(incident: Option<&str>) -> RecordRow {
    RecordRow {
        name: "www.workshopco.ca".parse().unwrap(),
        current: vec!["toronto".into()],
        last_change: Some(at("11:00:00")),
        incident: incident.map(str::to_owned),
        said: BTreeMap::from([("all_down".into(), "12:00".into())]),
        marker: None,
        own_ttl: Some(OwnTtl { asked: Ttl(60), found: Ttl(300), writes: 2 }),
        penalty: Some(KeptPenalty { value: 3200, at: at("11:00:00") }),
    }
}

#[tokio::test]
async fn what_was_committed_is_loaded_and_newer_replaces_older() {
    let store = Store::in_memory().unwrap();
    let empty = store.load(None, at("12:00:00")).await.unwrap();
    assert_eq!((empty.saved, empty.trackers.len()), (None, 0));

    let first = Batch {
        at: Some(at("12:00:00")),
        trackers: vec![(endpoint("toronto"), tracker(1, at("12:00:00")))],
        records: vec![record(None)],
        changes: vec![
            change("late", ChangeState::Started, at("12:00:02")).into(),
            change("early", ChangeState::Started, at("12:00:01")).into(),
        ],
        ..Batch::default()
    };
    store.commit(first).await.unwrap();
    let second = Batch {
        at: Some(at("12:00:03")),
        trackers: vec![(endpoint("toronto"), tracker(2, at("12:00:03")))],
        records: vec![record(Some("inc-1"))],
        changes: vec![change("late", ChangeState::Completed, at("12:00:02")).into()],
        ..Batch::default()
    };
    store.commit(second).await.unwrap();

    let loaded = store.load(None, at("12:00:04")).await.unwrap();
    assert_eq!(loaded.saved, Some(at("12:00:03")));
    assert_eq!(loaded.trackers[&endpoint("toronto")], tracker(2, at("12:00:03")));
    assert_eq!(loaded.records.into_values().collect::<Vec<_>>(), [record(Some("inc-1"))]);
    assert_eq!(loaded.open_changes, [change("early", ChangeState::Started, at("12:00:01"))]);
    assert_eq!(store.last_saved().await.unwrap(), Some(at("12:00:03")));
}

#[tokio::test]
async fn old_counters_are_no_evidence() {
    let store = Store::in_memory().unwrap();
    let never = SavedTracker::default();
    let trackers = vec![
        (endpoint("old"), tracker(2, at("11:54:59"))),
        (endpoint("fresh"), tracker(2, at("11:55:00"))),
        (endpoint("from-the-future"), tracker(2, at("13:00:00"))),
        (endpoint("never-counted"), never),
    ];
    store.commit(Batch { trackers, ..Batch::default() }).await.unwrap();
    let names =
        |loaded: Loaded| loaded.trackers.into_keys().map(|e| e.target.to_string()).collect::<Vec<_>>();
    let limit = Some(std::time::Duration::from_mins(5));
    assert_eq!(names(store.load(limit, at("12:00:00")).await.unwrap()), ["fresh", "from-the-future"]);
    assert_eq!(names(store.load(None, at("12:00:00")).await.unwrap()).len(), 4);
}

#[tokio::test]
async fn history_is_the_newest_events_in_their_order() {
    let store = Store::in_memory().unwrap();
    store.commit(tell(&["a", "b", "c"], &[])).await.unwrap();
    let ids = |events: Vec<Recorded>| events.into_iter().map(|e| e.id).collect::<Vec<_>>();
    assert_eq!(ids(store.events(None, 2).await.unwrap()), ["b", "c"]);
    assert_eq!(ids(store.events(Some(at("12:00:00")), 9).await.unwrap()), ["a", "b", "c"]);
    assert_eq!(ids(store.events(Some(at("12:00:01")), 9).await.unwrap()), Vec::<String>::new());
}

#[tokio::test]
async fn an_event_of_another_version_does_not_hide_the_others() {
    let store = Store::in_memory().unwrap();
    store.commit(tell(&["odd", "known"], &["chat"])).await.unwrap();
    store.sql("UPDATE events SET body = replace(body, 'target.down', 'moon.landed') WHERE id = 'odd'").await;
    assert_eq!(store.events(None, 9).await.unwrap().len(), 1);
    assert_eq!(store.deliveries(DeliveryFilter::default(), 9).await.unwrap().len(), 1);
    assert_eq!(store.due(None, at("12:00:00"), 9).await.unwrap().len(), 1);
    assert_eq!(store.pending().await.unwrap(), 1, "the unreadable one was given up");
}

#[tokio::test]
async fn a_state_that_makes_no_sense_is_damaged() {
    let store = Store::in_memory().unwrap();
    store.commit(Batch { records: vec![record(None)], ..Batch::default() }).await.unwrap();
    store.sql("UPDATE records SET body = '{}'").await;
    let error = store.load(None, at("12:00:00")).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn what_is_old_or_too_much_is_forgotten_but_not_what_waits() {
    let store = Store::in_memory_with(Bounds { pending: 10, rows: 3, latency: 10 }).unwrap();
    store.commit(tell(&["waits"], &["chat"])).await.unwrap();
    store.commit(tell(&["b", "c", "d", "e"], &[])).await.unwrap();
    let ids = |events: Vec<Recorded>| events.into_iter().map(|e| e.id).collect::<Vec<_>>();
    assert_eq!(store.prune(at("12:00:00")).await.unwrap(), 1, "one is too much, and one more waits");
    assert_eq!(ids(store.events(None, 9).await.unwrap()), ["waits", "c", "d", "e"]);

    let much_later = at("12:00:01") + jiff::SignedDuration::from_hours(90 * 24);
    store.prune(much_later).await.unwrap();
    assert_eq!(ids(store.events(None, 9).await.unwrap()), ["waits"]);
    let attempt = Attempt { at: at("12:00:00"), delivered: true, status: None, error: None, took_ms: 1 };
    store.record_attempt(1, attempt, Next::Delivered, Vec::new()).await.unwrap();
    store.prune(much_later).await.unwrap();
    assert_eq!(store.deliveries(DeliveryFilter::default(), 9).await.unwrap(), []);
}
