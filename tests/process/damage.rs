//! A state file that another process holds, that is cut off, or whose middle was overwritten: for `run`, `once`, `plan`
//! and `status`. No failover waits for it, nothing is told twice afterwards, and the words say what to do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::Connection;
use testkit::{Mode, wait_until};

use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage};

/// Another process that writes to the state file and does not end: a backup tool, a person with `sqlite3`.
fn lock(stage: &Stage) -> Connection {
    let connection = Connection::open(stage.path("failover.db")).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

fn unlock(connection: Connection) {
    connection.execute_batch("ROLLBACK").unwrap();
    connection.close().unwrap();
}

/// No message went out twice, under its own id or under another.
fn nothing_was_told_twice(stage: &Stage) {
    let mut told: BTreeMap<String, u32> = BTreeMap::new();
    for message in stage.chat.received() {
        let data = &message.body["data"];
        *told.entry(format!("{} {} {}", message.body["type"], data["time"], data["summary"])).or_default() +=
            1;
    }
    let twice: Vec<_> = told.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

/// bad day: state: another process holds it for minutes | told once, the failover happens; kept and told when it is free
#[test]
fn a_state_that_is_locked_for_long_delays_no_failover_and_is_kept_in_the_end() {
    let stage = Stage::new();
    // The first write is waited for, and no verdict may grow old meanwhile: three intervals and a time-out.
    stage.edit("interval: 500ms\n    fast", "interval: 1s\n    fast");
    let agent = stage.agent();
    let locked = lock(&stage);
    stage.kill_primary();
    stage.wait_published(STANDBY);
    let told = stage.wait_told("state.unwritable");
    let summary = told["summary"].as_str().unwrap();
    assert!(summary.contains("is being written by another process"), "{told}");
    stage.wait_told("failover.completed");
    // It can be asked all the while, by whoever wants to know.
    stage.wait_status("the trouble", |status| status["state_trouble"].is_string());
    let status = stage.run(&["status"]);
    assert!(status.code == 0 && status.stdout.contains("the state cannot be kept"), "{status:?}");
    assert_eq!(stage.run(&["plan"]).code, 0);

    unlock(locked);
    stage.hosts.set(0, &Mode::Ok);
    stage.wait_told("state.recovered");
    stage.wait_told("target.up");
    agent.stop();
    assert_eq!(stage.zone(), (2, STANDBY.into()), "one write");

    // The next start knows what happened meanwhile, and tells nothing of it again.
    let agent = stage.agent();
    agent.stop();
    for kind in ["state.unwritable", "state.recovered", "failover.completed", "target.down"] {
        assert_eq!(stage.told(kind).len(), 1, "{kind}");
    }
    assert_eq!(stage.zone(), (2, STANDBY.into()));
    nothing_was_told_twice(&stage);
}

/// bad day: state: another process holds it for a second | waited for; nobody hears of it
#[test]
fn a_state_that_is_locked_for_a_moment_is_waited_for() {
    let stage = Stage::new();
    let agent = stage.agent();
    let locked = lock(&stage);
    stage.kill_primary();
    // Half of the time that a write waits.
    std::thread::sleep(std::time::Duration::from_secs(1));
    unlock(locked);
    stage.wait_told("failover.completed");
    agent.stop();
    assert_eq!(stage.told("state.unwritable").len(), 0);
    assert_eq!(stage.zone(), (2, STANDBY.into()));
    nothing_was_told_twice(&stage);
}

/// bad day: state: another process holds it at the start | as in the middle: told once, kept when it is free
#[test]
fn a_state_that_is_locked_at_the_start_is_used_as_soon_as_it_is_free() {
    let stage = Stage::new();
    stage.agent().stop();
    let locked = lock(&stage);

    // A run of cron does its work all the same.
    stage.kill_primary();
    let once = stage.run(&["once", "--detailed-exitcode"]);
    assert_eq!(once.code, 5, "{once:?}");
    assert!(once.stderr.contains("is being written by another process"), "{once:?}");
    assert_eq!(stage.zone(), (2, STANDBY.into()));

    let agent = stage.start();
    let told = stage.wait_told("state.unwritable");
    assert_eq!(told["severity"], "critical", "{told}");
    stage.wait_status("the record in sync", |status| status["records"][0]["status"] == "in_sync");
    unlock(locked);
    stage.hosts.set(0, &Mode::Ok);
    stage.wait_told("target.up");
    stage.wait_told("state.recovered");
    wait_until("no more trouble", PATIENCE, || {
        stage.status().filter(|status| status["state_trouble"].is_null())
    });
    agent.stop();
    assert_eq!(stage.told("failover.completed").len(), 1);
    assert_eq!(stage.told("state.unwritable").len(), 2, "by the run of cron and by the agent");
    nothing_was_told_twice(&stage);
}

/// Overwrites everything behind the first page; what is in the `-wal` goes with it.
fn overwrite(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    assert!(length > 8192, "only {length} bytes");
    let garbage = vec![0xA5; usize::try_from(length).unwrap() - 4096];
    File::options().write(true).open(file).unwrap().write_all_at(&garbage, 4096).unwrap();
}

fn cut(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    File::options().write(true).open(file).unwrap().set_len(length / 8192 * 4096 + 100).unwrap();
}

/// What each command makes of a damaged file that an agent left.
fn each_command_says_what_to_do(damage: fn(&Path)) {
    let stage = Stage::new();
    stage.agent().stop();
    let file = stage.path("failover.db");
    damage(&file);
    let remedy = format!("move it away (mv {0} {0}.damaged", file.display());

    let status = stage.run(&["status"]);
    assert_eq!(status.code, 1, "{status:?}");
    assert!(status.stderr.contains(&remedy), "{status:?}");
    let plan = stage.run(&["plan"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    assert!(plan.stdout.contains("in the desired state") && plan.stderr.contains(&remedy), "{plan:?}");

    let agent = stage.start();
    stage.in_sync();
    let told = stage.wait_told("state.unwritable");
    assert!(told["summary"].as_str().unwrap().contains(&remedy), "{told}");
    stage.kill_primary();
    stage.wait_told("failover.completed");
    stage.hosts.set(0, &Mode::Ok);
    stage.wait_told("target.up");
    agent.stop();
    assert_eq!(stage.told("state.unwritable").len(), 1, "said once");
    assert_eq!(stage.told("state.recovered").len(), 0, "what is damaged stays so");
    assert_eq!(stage.told("failover.completed").len(), 1);

    stage.kill_primary();
    stage.publish(7, PRIMARY);
    let once = stage.run(&["once", "--detailed-exitcode"]);
    assert_eq!(once.code, 5, "{once:?}");
    assert!(once.stderr.contains(&remedy), "{once:?}");
    assert_eq!(stage.zone(), (8, STANDBY.into()));
    nothing_was_told_twice(&stage);

    // What the words say helps.
    fs::rename(&file, file.with_extension("db.damaged")).unwrap();
    for beside in ["failover.db-wal", "failover.db-shm"] {
        let _ = fs::remove_file(stage.path(beside));
    }
    let once = stage.run(&["once"]);
    assert!(once.code == 0 && !once.stderr.contains("damaged"), "{once:?}");
    assert_eq!(stage.run(&["status"]).code, 0);
}

/// bad day: state: its middle is overwritten | `status` and `plan` say what to do; `run` and `once` fail over from memory
#[test]
fn a_state_that_is_overwritten_in_the_middle_stops_no_failover() {
    each_command_says_what_to_do(overwrite);
}

/// bad day: state: it is cut off | `status` and `plan` say what to do; `run` and `once` fail over from memory
#[test]
fn a_state_that_is_cut_off_stops_no_failover() {
    each_command_says_what_to_do(cut);
}

/// bad day: state: overwritten or cut off under the running agent | the failover happens; at most one word of it
#[test]
fn a_state_that_is_damaged_while_it_is_used_stops_no_failover() {
    for damage in [overwrite, cut] {
        let stage = Stage::new();
        // The end of a first one moves everything from the `-wal` into the file.
        stage.agent().stop();
        let agent = stage.agent();
        damage(&stage.path("failover.db"));
        stage.kill_primary();
        stage.wait_told("failover.completed");
        stage.hosts.set(0, &Mode::Ok);
        stage.wait_told("target.up");
        agent.stop();
        assert_eq!(stage.zone(), (2, STANDBY.into()));
        assert!(stage.told("state.unwritable").len() <= 1);
        assert_eq!(stage.told("state.recovered").len(), 0, "what is damaged stays so");
        assert_eq!(stage.told("failover.completed").len(), 1);
        nothing_was_told_twice(&stage);
    }
}

/// bad day: state: written by a newer version | `status` and `plan` say so; nothing of it is touched
#[test]
fn a_state_of_a_newer_version_is_left_alone() {
    let stage = Stage::new();
    stage.agent().stop();
    let file = stage.path("failover.db");
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    connection.close().unwrap();
    let before = fs::read(&file).unwrap();
    for (command, code) in [("status", 1), ("plan", 0), ("once", 0)] {
        let ended = stage.run(&[command]);
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.stderr.contains("was written by a newer failover; run that version"), "{ended:?}");
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}
