//! Stories of the latency that is kept, and of a file that kept none.

use std::time::Duration;

use super::*;
use crate::decision::{LatencyRow, Letter, Rollup};
use crate::store::handle::Bounds;

fn row(target: &str, time: &str, millis: &[u64]) -> LatencyRow {
    let mut rollup = Rollup::default();
    for ms in millis {
        rollup.add(Letter::Pass, Duration::from_millis(*ms));
    }
    LatencyRow { endpoint: endpoint(target), start: at(time), rollup }
}

async fn counts(store: &Store, target: &str, span: Span) -> Vec<(String, u64)> {
    let points = store.latency(target.into(), span, None, (0, 1000)).await.unwrap();
    points.iter().map(|point| (point.start.strftime("%H:%M").to_string(), point.rollup.count)).collect()
}

#[tokio::test]
async fn minutes_come_in_parts_and_make_hours() {
    let store = Store::in_memory().unwrap();
    store
        .add_latency(vec![row("toronto", "12:00:00", &[1, 2]), row("montreal", "12:00:00", &[9])])
        .await
        .unwrap();
    store
        .add_latency(vec![row("toronto", "12:00:00", &[30]), row("toronto", "12:01:00", &[4])])
        .await
        .unwrap();
    assert_eq!(counts(&store, "toronto", Span::Minute).await, [("12:00".into(), 3), ("12:01".into(), 1)]);
    assert_eq!(counts(&store, "toronto", Span::Hour).await, [("12:00".into(), 4)]);
    assert_eq!(counts(&store, "montreal", Span::Hour).await, [("12:00".into(), 1)]);
    let hour = store.latency("toronto".into(), Span::Hour, None, (0, 1)).await.unwrap().remove(0).rollup;
    assert_eq!((hour.min_us, hour.max_us, hour.sum_us), (1000, 30_000, 37_000));
    assert_eq!(
        store.latency("toronto".into(), Span::Minute, Some(at("12:01:00")), (0, 9)).await.unwrap().len(),
        1
    );
    assert_eq!(store.latency("toronto".into(), Span::Minute, None, (1, 9)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn it_is_bounded_by_age_and_by_rows() {
    let store = Store::in_memory_with(Bounds { pending: 10, rows: 10, latency: 2 }).unwrap();
    let times = ["12:00:00", "12:01:00", "12:02:00", "12:03:00"];
    store.add_latency(times.map(|time| row("toronto", time, &[1])).to_vec()).await.unwrap();
    store.prune(at("12:04:00")).await.unwrap();
    assert_eq!(counts(&store, "toronto", Span::Minute).await, [("12:02".into(), 1), ("12:03".into(), 1)]);
    let days = |days: i64| at("12:04:00") + jiff::SignedDuration::from_hours(days * 24);
    store.prune(days(3)).await.unwrap();
    assert_eq!(counts(&store, "toronto", Span::Minute).await, []);
    assert_eq!(counts(&store, "toronto", Span::Hour).await, [("12:00".into(), 4)]);
    store.prune(days(91)).await.unwrap();
    assert_eq!(counts(&store, "toronto", Span::Hour).await, []);
}

#[tokio::test]
async fn the_number_of_rows_is_known_without_counting_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failover.db");
    let rows = |sql: &str| -> i64 {
        rusqlite::Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let known = || rows("SELECT value FROM meta WHERE key = 'latency by the minute'");
    let store = Store::open(&path).unwrap();
    let times = ["12:00:00", "12:01:00", "12:02:00"];
    // Those that were there before anybody counted count, too.
    store.add_latency(times.map(|time| row("toronto", time, &[1])).to_vec()).await.unwrap();
    store.prune(at("12:04:00")).await.unwrap();
    assert_eq!(known(), 3);
    store
        .add_latency(vec![row("toronto", "12:02:00", &[1]), row("toronto", "12:03:00", &[1])])
        .await
        .unwrap();
    assert_eq!((known(), rows("SELECT count(*) FROM latency WHERE span = 60")), (4, 4));
    store.prune(at("12:00:30") + jiff::SignedDuration::from_hours(48)).await.unwrap();
    assert_eq!((known(), rows("SELECT count(*) FROM latency WHERE span = 60")), (3, 3));
}

/// bad day: state: it was written by an earlier version | brought to the new one, with all that is in it
#[tokio::test]
async fn a_file_of_version_1_is_taken_along_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failover.db");
    Store::make_old(&path, 1);
    let old = Store::open_read_only(&path).unwrap();
    assert_eq!(counts(&old, "toronto", Span::Minute).await, [], "looked at as it is");
    drop(old);
    // What version 1 could hold, put there before the step: `open` makes it with all that was there.
    let connection = rusqlite::Connection::open(&path).unwrap();
    let recorded = serde_json::to_string(&event("a", Severity::Warning)).unwrap();
    connection.execute("INSERT INTO events (id, time, body) VALUES ('a', 1, ?)", [recorded]).unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.events(None, 10).await.unwrap(), [event("a", Severity::Warning)]);
    store.add_latency(vec![row("toronto", "12:00:00", &[1])]).await.unwrap();
    store.commit(tell(&["b"], &["chat"])).await.unwrap();
    drop(store);
    let again = Store::open(&path).unwrap();
    assert_eq!(again.events(None, 10).await.unwrap().len(), 2);
    assert_eq!(counts(&again, "toronto", Span::Minute).await, [("12:00".into(), 1)]);
}

#[tokio::test]
async fn a_history_is_gone_through_piece_by_piece() {
    let store = Store::in_memory().unwrap();
    let mut batch = tell(&["a", "b", "c", "d", "e"], &[]);
    for (number, (recorded, _)) in batch.events.iter_mut().enumerate() {
        recorded.event.record = (number % 2 == 0).then(|| "www.workshopco.ca".parse().unwrap());
        if number == 1 {
            recorded.event.target = Some("toronto".into());
        }
        if number == 2 {
            let targets = vec!["toronto".into(), "montreal".into()];
            recorded.event.before = Some(crate::decision::Side { targets, values: Vec::new() });
        }
    }
    store.commit(batch).await.unwrap();
    let all = async |filter: EventFilter, newest: Option<u32>| {
        let mut after = match newest {
            Some(limit) => store.before_newest(filter.clone(), limit).await.unwrap(),
            None => 0,
        };
        let mut ids = String::new();
        loop {
            let (events, last) = store.events_after(filter.clone(), after, 2).await.unwrap();
            ids.extend(events.into_iter().map(|recorded| recorded.id));
            let Some(last) = last else { return ids };
            after = last;
        }
    };
    let record = EventFilter { record: Some("www.workshopco.ca".parse().unwrap()), ..EventFilter::default() };
    let target = EventFilter { target: Some("toronto".into()), ..EventFilter::default() };
    assert_eq!(all(EventFilter::default(), None).await, "abcde");
    assert_eq!(all(EventFilter::default(), Some(2)).await, "de");
    assert_eq!(all(EventFilter::default(), Some(9)).await, "abcde");
    assert_eq!((all(record.clone(), None).await, all(record, Some(1)).await), ("ace".into(), "e".into()));
    assert_eq!(all(target, None).await, "bc");
    let late = EventFilter { since: Some(at("12:00:01")), ..EventFilter::default() };
    assert_eq!(all(late, None).await, "");
}
