//! The process may end at any instruction.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// Starts this test binary again, to run one ignored test of it as another process.
pub(super) fn another_process(test: &str, state: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env("FAILOVER_TEST_STATE", state)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(super) fn state_of_another_process() -> std::path::PathBuf {
    std::env::var_os("FAILOVER_TEST_STATE").expect("run by another test").into()
}

#[tokio::test]
#[ignore = "the other process of the test below"]
async fn commits_until_killed() {
    let store = Store::open(&state_of_another_process()).unwrap();
    for number in 0.. {
        let mut batch = tell(&[&format!("event-{number}")], &["chat", "log"]);
        batch.trackers = vec![(endpoint("toronto"), tracker(number, at("12:00:00")))];
        store.commit(batch).await.unwrap();
        println!("committed {number}");
    }
}

/// bad day: state: the process is killed while it writes | every confirmed batch is there, and no half of one
#[tokio::test]
async fn after_kill_nine_every_confirmed_batch_is_there_and_no_half_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failover.db");
    let mut child = another_process("store::tests::crash::commits_until_killed", &path);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut confirmed = 0;
    for line in lines {
        if let Some((_, number)) = line.unwrap().split_once("committed ") {
            confirmed = number.trim().parse::<u32>().unwrap();
        }
        if confirmed == 40 {
            child.kill().unwrap();
            break;
        }
    }
    child.wait().unwrap();

    let store = Store::open(&path).unwrap();
    let events = u32::try_from(store.events(None, 100_000).await.unwrap().len()).unwrap();
    let failures = store.load(None, at("12:00:00")).await.unwrap().trackers[&endpoint("toronto")].failures;
    assert!(events > 40, "{confirmed} batches were confirmed and {events} are there");
    assert_eq!(failures + 1, events, "tracker and event of a batch go together");
    assert_eq!(store.pending().await.unwrap(), 2 * u64::from(events), "event and deliveries go together");
}

#[tokio::test]
async fn a_transaction_that_was_left_open_never_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failover.db");
    let store = Store::open(&path).unwrap();
    store.commit(tell(&["whole"], &["chat"])).await.unwrap();
    store.sql("BEGIN IMMEDIATE; DELETE FROM deliveries; DELETE FROM events").await;
    drop(store);
    assert_eq!(Store::open(&path).unwrap().pending().await.unwrap(), 1);
}

#[tokio::test]
async fn a_call_whose_caller_went_away_is_finished() {
    use futures_util::FutureExt;
    let store = Store::in_memory().unwrap();
    // It cannot end before its caller goes away: the connection is in use until then.
    let in_use = store.in_use();
    assert!(store.commit(tell(&["a"], &["chat"])).now_or_never().is_none(), "it runs elsewhere");
    drop(in_use);
    // The next call waits its turn behind it.
    while store.events(None, 9).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}
