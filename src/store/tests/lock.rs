//! Two agents never share a state file.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use super::crash::{another_process, state_of_another_process};
use super::*;

#[tokio::test]
async fn the_second_agent_is_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("failover.db");
    let first = StateLock::acquire(&state, LockRole::Run, Duration::ZERO).await.unwrap();
    let error = StateLock::acquire(&state, LockRole::Once, Duration::ZERO).await.unwrap_err();
    let me = std::process::id();
    assert!(
        matches!(&error, LockError::Held { pid: Some(pid), role: Some(role), .. } if *pid == me && role == "run")
    );
    assert!(error.to_string().starts_with(&format!("`failover run` (process {me}) uses")), "{error}");
    drop(first);
    StateLock::acquire(&state, LockRole::Once, Duration::ZERO).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_given_back_in_time_is_got() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("failover.db");
    let first = StateLock::acquire(&state, LockRole::Once, Duration::ZERO).await.unwrap();
    let wait = Duration::from_secs(2);
    let (second, ()) = tokio::join!(StateLock::acquire(&state, LockRole::Run, wait), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(first);
    });
    let _second = second.unwrap();
    assert!(StateLock::acquire(&state, LockRole::Run, wait).await.is_err(), "and waiting ends");
}

#[tokio::test]
async fn a_folder_that_takes_no_lock_is_no_other_agent() {
    let error = StateLock::acquire("/proc/self/failover.db".as_ref(), LockRole::Run, Duration::ZERO).await;
    assert!(matches!(error, Err(LockError::Unwritable { .. })));
}

#[tokio::test]
#[ignore = "the other process of the test below"]
async fn holds_until_killed() {
    let _lock = StateLock::acquire(&state_of_another_process(), LockRole::Run, Duration::ZERO).await.unwrap();
    println!("holding");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_agent_holds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("failover.db");
    let mut child = another_process("store::tests::lock::holds_until_killed", &state);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holding")));
    let error = StateLock::acquire(&state, LockRole::Run, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, LockError::Held { pid: Some(pid), .. } if pid == child.id()), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    StateLock::acquire(&state, LockRole::Run, Duration::ZERO).await.unwrap();
}
