//! A state that cannot be written stops nobody, and is told.

use failover::store::Store;
use rusqlite::Connection;

use crate::hosts::Host;
use crate::stage::{Kept, MONTREAL, Stage};

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
    let disk = Connection::open(&path).unwrap();
    for table in ["trackers", "records", "changes", "events"] {
        disk.execute_batch(&format!(
            "CREATE TRIGGER full_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        ))
        .unwrap();
    }
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    let heard = stage.hear("state.unwritable").await;
    assert!(heard.text().contains("disk is full"), "{}", heard.text());
    stage.pass(300).await;
    assert_eq!(stage.heard("state.unwritable").len(), 1);
    for table in ["trackers", "records", "changes", "events"] {
        disk.execute_batch(&format!("DROP TRIGGER full_{table}")).unwrap();
    }
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
