//! The file itself: who may read it, what is refused, and what the error tells to do.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

fn state_in(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("failover.db")
}

#[tokio::test]
async fn a_new_file_is_private_and_so_is_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&state_in(&folder)).unwrap();
    store.commit(tell(&["a"], &["chat"])).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn a_reader_sees_the_state_beside_a_running_agent_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = state_in(&folder);
    assert!(matches!(Store::open_read_only(&path), Err(StoreError::Missing { .. })));
    let agent = Store::open(&path).unwrap();
    agent.commit(tell(&["a"], &[])).await.unwrap();
    let reader = Store::open_read_only(&path).unwrap();
    assert_eq!(reader.events(None, 9).await.unwrap().len(), 1);
    drop(agent);
    let reader = Store::open_read_only(&path).unwrap();
    assert_eq!(reader.last_saved().await.unwrap(), Some(at("12:00:00")));
    let error = reader.commit(tell(&["b"], &[])).await.unwrap_err();
    assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
}

#[test]
fn a_missing_folder_is_told_with_the_command_that_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(&folder.path().join("lib/failover.db")).unwrap_err();
    let expected = format!("mkdir -p {}", folder.path().join("lib").display());
    assert!(error.is_unwritable() && error.to_string().contains(&expected), "{error}");
}

#[test]
fn a_place_that_takes_no_file_is_unwritable() {
    // Nobody can make a file there, not even root.
    let error = Store::open(Path::new("/proc/self/failover.db")).unwrap_err();
    assert!(error.is_unwritable(), "{error}");
}

#[test]
fn a_read_only_file_is_unwritable_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = state_in(&folder);
    drop(Store::open(&path).unwrap());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    let opened = Store::open(&path);
    if rustix::process::geteuid().is_root() {
        assert!(opened.is_ok(), "no mode stops root");
    } else {
        assert!(opened.unwrap_err().is_unwritable());
    }
}

#[tokio::test]
async fn a_full_disk_is_unwritable_and_what_was_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&state_in(&folder)).unwrap();
    store.commit(tell(&["before"], &["chat"])).await.unwrap();
    // SQLite answers SQLITE_FULL beyond this, as on a full disk.
    store.sql("PRAGMA max_page_count = 1").await;
    let mut big = tell(&["big"], &["chat"]);
    big.events[0].0.event.summary = "x".repeat(1_000_000);
    let error = store.commit(big.clone()).await.unwrap_err();
    assert!(error.is_unwritable() && error.to_string().contains("free some space"), "{error}");
    assert_eq!(store.events(None, 9).await.unwrap().len(), 1);

    store.sql("PRAGMA max_page_count = 1000000").await;
    store.commit(big).await.unwrap();
    assert_eq!(store.pending().await.unwrap(), 2, "the batch that failed had left nothing behind");
}

#[test]
fn a_file_that_is_no_state_is_told_to_be_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = state_in(&folder);
    std::fs::write(&path, "this is no database, and never was one".repeat(100)).unwrap();
    let error = Store::open(&path).unwrap_err();
    let expected = format!("mv {0} {0}.damaged", path.display());
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains(&expected), "{error}");
}

#[tokio::test]
async fn damage_inside_the_file_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = state_in(&folder);
    let store = Store::open(&path).unwrap();
    store.commit(tell(&["a"], &["chat"])).await.unwrap();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let error = match Store::open(&path) {
        Err(error) => error,
        Ok(store) => store.load(None, at("12:00:00")).await.unwrap_err(),
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

/// Noise in the file can leave it readable and wrong: here, deliveries of an event that is not there.
#[tokio::test]
async fn a_file_that_contradicts_itself_is_told_to_be_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&state_in(&folder)).unwrap();
    store.sql("CREATE TRIGGER noise AFTER INSERT ON events BEGIN DELETE FROM events; END").await;
    let error = store.commit(tell(&["a"], &["chat"])).await.unwrap_err().to_string();
    let expected = format!("move it away (mv {0} {0}.damaged", state_in(&folder).display());
    assert!(error.contains("FOREIGN KEY") && error.contains(&expected), "{error}");
}

#[tokio::test]
async fn the_file_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = state_in(&folder);
    let store = Store::open(&path).unwrap();
    store.sql("PRAGMA user_version = 5").await;
    drop(store);
    for error in [Store::open(&path).unwrap_err(), Store::open_read_only(&path).unwrap_err()] {
        assert!(matches!(error, StoreError::Newer { found: 5, known: 4, .. }), "{error}");
        assert!(error.to_string().contains("run that version"), "{error}");
    }
}

#[tokio::test]
async fn a_write_that_another_process_holds_up_for_too_long_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = state_in(&folder);
    let (one, other) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
    one.sql("PRAGMA busy_timeout = 1").await;
    other.sql("BEGIN IMMEDIATE").await;
    let error = one.commit(tell(&["a"], &[])).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    other.sql("ROLLBACK").await;
    one.commit(tell(&["a"], &[])).await.unwrap();
}

#[tokio::test]
async fn a_file_of_version_3_is_taken_along_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = state_in(&folder);
    Store::make_old(&path, 3);
    let open = change("early", ChangeState::Started, at("12:00:01"));
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute(
            "INSERT INTO changes VALUES ('early', 'started', 1, ?)",
            [serde_json::to_string(&open).unwrap()],
        )
        .unwrap();
    drop(connection);
    let as_it_is = Store::open_read_only(&path).unwrap().load(None, at("12:00:00")).await.unwrap();
    assert_eq!(as_it_is.open_changes, std::slice::from_ref(&open));
    let store = Store::open(&path).unwrap();
    assert_eq!(store.load(None, at("12:00:00")).await.unwrap().open_changes, [open]);
    let changes = vec![change("early", ChangeState::Completed, at("12:00:01")).into()];
    store.commit(Batch { changes, ..Batch::default() }).await.unwrap();
    assert_eq!(store.load(None, at("12:00:00")).await.unwrap().open_changes, []);
}

/// The log grows while thousands of changes are kept, is brought into the file when there is time, and is then cut.
#[tokio::test]
async fn a_long_log_is_brought_into_the_file_and_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = state_in(&folder);
    let store = Store::open(&path).unwrap();
    let length = |path: &Path| path.metadata().unwrap().len();
    let log = folder.path().join("failover.db-wal");
    let batch = |number: usize| {
        let ids = (0..1000).map(|row| format!("chg-{number}-{row}"));
        let changes = ids.map(|id| change(&id, ChangeState::Started, at("12:00:00")).into());
        Batch { changes: changes.collect(), ..Batch::default() }
    };
    for number in 0..12 {
        store.commit(batch(number)).await.unwrap();
    }
    let (grown, before) = (length(&log), length(&path));
    assert!(grown > 4 << 20, "{grown} octets of log");
    store.checkpoint().await.unwrap();
    assert!(length(&path) > before + (2 << 20), "all of it is in the file");
    store.commit(Batch::default()).await.unwrap();
    store.commit(batch(12)).await.unwrap();
    assert!(length(&log) < grown / 2, "{} octets of log", length(&log));
    assert_eq!(store.load(None, at("12:00:00")).await.unwrap().open_changes.len(), 13_000);
}

/// A site that dies changes thousands of records, and all of that is written before the first of them is.
#[tokio::test]
async fn a_change_takes_no_page_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = state_in(&folder);
    let store = Store::open(&path).unwrap();
    let changes = (0..400).map(|number| {
        let mut row = change(&format!("chg-{number}"), ChangeState::Started, at("12:00:00"));
        row.completed_event.event.reason = Some("r".repeat(500));
        row
    });
    store.commit(Batch { changes: changes.map(Into::into).collect(), ..Batch::default() }).await.unwrap();
    drop(store);
    let size = std::fs::metadata(&path).unwrap().len();
    assert!((300_000..1_200_000).contains(&size), "{size} octets for 400 changes of 1.1 KB");
}
