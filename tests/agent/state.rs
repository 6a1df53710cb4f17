//! A state that cannot be written stops nobody, and is told.

use std::path::Path;

use failover::store::{DeliveryFilter, DeliveryState, Store};
use rusqlite::Connection;

use crate::chat::Mood;
use crate::hosts::Host;
use crate::stage::{Kept, MONTREAL, Stage};

/// The disk of the state file, which takes nothing until it is freed.
struct Disk(Connection);

const TABLES: [&str; 4] = ["trackers", "records", "changes", "events"];

impl Disk {
    fn full(path: &Path) -> Self {
        let file = Connection::open(path).unwrap();
        for table in TABLES {
            file.execute_batch(&format!(
                "CREATE TRIGGER full_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
            ))
            .unwrap();
        }
        Disk(file)
    }

    fn free(&self) {
        for table in TABLES {
            self.0.execute_batch(&format!("DROP TRIGGER full_{table}")).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_opened_is_told_and_the_failover_happens() {
    let mut stage = Stage::new().await;
    stage.kept = Kept::Broken;
    stage.start().await;
    let heard = stage.hear("state.unwritable").await;
    let text = heard.text();
    assert!(
        text.contains("/no-such-folder/failover.db") && text.contains("Next:") && text.contains("Since:"),
        "{text}"
    );
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    stage.pass(600).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    assert_eq!(stage.heard("state.unwritable").len(), 1);
    let (ending, _) = stage.stop().await;
    assert!(ending.state_trouble.is_some());
    stage.check();
}

/// bad day: state: the disk fills up and is freed | told once each; what happened meanwhile is kept in the end
#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_up_in_the_middle_is_told_and_told_again_when_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failover.db");
    let mut stage = Stage::new().await;
    stage.kept = Kept::Store(Store::open(&path).unwrap());
    stage.start_and_settle().await;
    let disk = Disk::full(&path);
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    let heard = stage.hear("state.unwritable").await;
    assert!(heard.text().contains("disk is full"), "{}", heard.text());
    stage.pass(300).await;
    assert_eq!(stage.heard("state.unwritable").len(), 1);
    disk.free();
    stage.hear("state.recovered").await;
    stage.pass(300).await;
    for kind in ["target.down", "failover.completed", "propagation.completed", "state.recovered"] {
        assert_eq!(stage.heard(kind).len(), 1, "{kind}: {:#?}", stage.lines());
    }
    stage.check();

    // What happened meanwhile was kept in the end: a new agent knows it.
    stage.crash().await;
    stage.start().await;
    stage.pass(120).await;
    assert_eq!((stage.writes(), stage.heard("failover.completed").len()), (1, 1));
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn a_state_that_may_only_be_read_is_trouble_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failover.db");
    drop(Store::open(&path).unwrap());
    let mut stage = Stage::new().await;
    stage.kept = Kept::Store(Store::open_read_only(&path).unwrap());
    stage.start().await;
    stage.hear("state.unwritable").await;
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    stage.pass(600).await;
    assert_eq!((stage.writes(), stage.heard("failover.completed").len()), (1, 1));
    assert_eq!(stage.heard("state.unwritable").len(), 1);
    stage.check();
}

/// bad day: state: full, the chat dead; freed, then the process killed | what waited is told once, by the next start
#[tokio::test(start_paused = true)]
async fn what_waits_in_memory_comes_into_the_file_as_soon_as_that_can_be_written() {
    for dead in [Mood::Fails, Mood::Hangs] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("failover.db");
        let store = Store::open(&path).unwrap();
        let mut stage = Stage::new().await;
        stage.kept = Kept::Store(store.clone());
        stage.start_and_settle().await;
        let disk = Disk::full(&path);
        stage.host("toronto", Host::Refuses);
        // Told from memory. What follows is told by nobody for now.
        stage.hear("target.down").await;
        stage.chat.set(dead);
        stage.until("the failover", |stage| stage.writes() == 1).await;
        stage.pass(120).await;
        let said: Vec<String> = stage.kinds();
        disk.free();
        let mut found = Vec::new();
        for _ in 0..600 {
            found = store.events(None, 100).await.unwrap();
            if found.iter().any(|event| event.event.kind.as_str() == "state.recovered") {
                break;
            }
            stage.pass(1).await;
        }
        assert!(found.iter().any(|event| event.event.kind.as_str() == "failover.completed"), "{found:#?}");
        let delivered = DeliveryFilter { state: Some(DeliveryState::Delivered), channel: None };
        let delivered = store.deliveries(delivered, 100).await.unwrap();
        assert_eq!(delivered.len(), said.len(), "what was told from memory is told: {delivered:#?}");

        stage.crash().await;
        stage.chat.set(Mood::Takes);
        stage.start().await;
        stage.hear("failover.completed").await;
        stage.hear("state.recovered").await;
        stage.pass(7200).await;
        for kind in ["target.down", "state.unwritable", "failover.completed", "state.recovered"] {
            assert_eq!(stage.heard(kind).len(), 1, "{kind}: {:#?}", stage.lines());
        }
        assert_eq!((stage.writes(), store.pending().await.unwrap()), (1, 0));
        stage.check();
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_in_flight_when_its_message_comes_into_the_file_is_not_made_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failover.db");
    let store = Store::open(&path).unwrap();
    let mut stage = Stage::new().await;
    stage.kept = Kept::Store(store.clone());
    stage.start_and_settle().await;
    let disk = Disk::full(&path);
    // It takes each message, and says so ten seconds later: the disk is tried every five.
    stage.chat.set(Mood::TakesSlowly);
    stage.host("toronto", Host::Refuses);
    stage.until("the failover", |stage| stage.writes() == 1).await;
    disk.free();
    stage.hear("state.recovered").await;
    stage.pass(7200).await;
    assert_eq!((stage.heard("failover.completed").len(), store.pending().await.unwrap()), (1, 0));
    stage.check();
}
