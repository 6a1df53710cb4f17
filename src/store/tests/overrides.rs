//! What is kept of a person's orders.

use super::*;
use crate::decision::{OverrideKey, What};

fn row(what: What, reason: &str) -> OverrideRow {
    OverrideRow {
        what,
        until: at("14:00:00"),
        reason: reason.into(),
        by: "alice".into(),
        set: at("12:00:00"),
    }
}

fn drain(target: &str, reason: &str) -> (OverrideKey, Option<OverrideRow>) {
    let what = What::Drain { target: target.into() };
    (what.key(), Some(row(what, reason)))
}

async fn kept(store: &Store) -> Vec<String> {
    let rows = store.load(None, at("12:00:00")).await.unwrap().overrides;
    rows.into_iter().map(|row| format!("{}: {}", row.what.key(), row.reason)).collect()
}

#[tokio::test]
async fn an_order_is_kept_replaced_and_dropped() {
    let store = Store::in_memory().unwrap();
    let pin = What::Pin { record: "www.workshopco.ca".parse().unwrap(), target: "toronto".into() };
    let all = What::Pause { record: None };
    let overrides = vec![
        drain("toronto", "new kernel"),
        (pin.key(), Some(row(pin, "load test"))),
        (all.key(), Some(row(all, "zone moves"))),
    ];
    store.commit(Batch { overrides, ..Batch::default() }).await.unwrap();
    let first = ["drain/toronto: new kernel", "pause: zone moves", "pin/www.workshopco.ca: load test"];
    assert_eq!(kept(&store).await, first);
    let loaded = store.load(None, at("12:00:00")).await.unwrap();
    assert_eq!(Some(&loaded.overrides[0]), drain("toronto", "new kernel").1.as_ref(), "with every field");
    let overrides = vec![drain("toronto", "new disk"), (OverrideKey::Pause(None), None)];
    store.commit(Batch { overrides, ..Batch::default() }).await.unwrap();
    assert_eq!(kept(&store).await, ["drain/toronto: new disk", "pin/www.workshopco.ca: load test"]);
}

#[tokio::test]
async fn a_file_of_version_2_is_taken_along_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failover.db");
    Store::make_old(&path, 2);
    assert_eq!(
        kept(&Store::open_read_only(&path).unwrap()).await,
        Vec::<String>::new(),
        "looked at as it is"
    );
    let connection = rusqlite::Connection::open(&path).unwrap();
    let recorded = serde_json::to_string(&event("a", Severity::Warning)).unwrap();
    connection.execute("INSERT INTO events (id, time, body) VALUES ('a', 1, ?)", [recorded]).unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    store
        .commit(Batch { overrides: vec![drain("toronto", "new kernel")], ..Batch::default() })
        .await
        .unwrap();
    drop(store);
    let again = Store::open(&path).unwrap();
    assert_eq!(again.events(None, 10).await.unwrap(), [event("a", Severity::Warning)]);
    assert_eq!(kept(&again).await, ["drain/toronto: new kernel"]);
}
