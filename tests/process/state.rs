//! A state that cannot be written does not stop a failover: the agent goes on from memory, and says so loudly. The
//! tests with a disk of their own make it in a mount namespace, which needs root.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::{Mode, wait_until};

use crate::agent::{Agent, Ended};
use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage};

/// A stage whose state lies in a folder of its own, which is there.
fn stage() -> Stage {
    let stage = Stage::new();
    fs::create_dir(stage.path("state")).unwrap();
    let at = stage.folder.path().display().to_string();
    stage.edit(&format!("{at}/failover.db"), &format!("{at}/state/failover.db"));
    stage
}

/// The same command in a mount namespace of its own, after these lines of shell; `$S` is the folder of the state.
fn with_disk(stage: &Stage, command: &Command, lines: &str) -> Command {
    let script = format!("set -e; {lines}\nexec \"$@\"");
    let mut inside = Command::new("setpriv");
    inside.args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "bash", "-c", &script, "disk"]);
    // What `command` itself begins with (setpriv) is kept: it ends in the program all the same.
    inside.arg(command.get_program()).args(command.get_args());
    crate::agent::clean(&mut inside);
    inside.env("S", stage.path("state")).current_dir(stage.folder.path());
    inside
}

/// Fails with a reason instead of a riddle where there is no right to mount.
fn need_mounts() {
    let ended = Ended::of(Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]));
    assert_eq!(ended.code, 0, "this test mounts: it needs root and CAP_SYS_ADMIN: {}", ended.stderr);
}

/// The agent and a one-shot run both do their work and complain of `says`.
fn both_fail_over(stage: &Stage, disk: Option<&str>, says: &str) {
    let command = |arguments: &[&str]| {
        let command = stage.command(arguments);
        disk.map_or(command, |lines| with_disk(stage, &stage.command(arguments), lines))
    };
    let agent = Agent::start(command(&["run"]), &stage.path("agent.log"));
    stage.in_sync();
    let logged = agent.wait_logged("state.unwritable");
    assert_eq!(logged["level"], "ERROR", "{logged}");
    assert!(logged["message"].as_str().unwrap().contains(says), "{says}: {logged}");
    let told = stage.wait_told("state.unwritable");
    assert_eq!(told["severity"], "critical", "{told}");
    assert!(told["next"].as_str().unwrap().contains("goes on from memory"), "{told}");
    let status = stage.wait_status("the trouble", |status| status["state_trouble"].is_string());
    assert!(status["state_trouble"].as_str().unwrap().contains(says), "{status}");

    stage.kill_primary();
    let told = stage.wait_told("failover.completed");
    assert_eq!(told["after"]["values"][0], STANDBY, "{told}");
    assert_eq!(stage.zone(), (2, STANDBY.into()));
    agent.stop();
    assert_eq!(stage.told("state.unwritable").len(), 1, "said once");

    stage.publish(7, PRIMARY);
    let once = Ended::of(&mut command(&["once", "--detailed-exitcode"]));
    assert_eq!(once.code, 5, "{once:?}");
    assert!(once.stderr.contains(says) && once.stderr.contains("state.unwritable"), "{says}: {once:?}");
    assert_eq!(stage.zone(), (8, STANDBY.into()));
    assert_eq!(stage.told("state.unwritable").len(), 2, "each run says it");
    assert_eq!(stage.told("failover.completed").len(), 2);
}

/// bad day: state: no folder, no database, or of a newer version | told with the remedy; the failover happens from memory
#[test]
fn a_state_that_cannot_be_opened_stops_no_failover() {
    type Break = fn(&Path);
    let cases: [(&str, Break, &str); 4] = [
        ("no folder", |folder| fs::remove_dir(folder).unwrap(), "mkdir -p"),
        (
            "below a file",
            |folder| {
                fs::remove_dir(folder).unwrap();
                fs::write(folder, "a file").unwrap();
            },
            "does not exist",
        ),
        (
            "damaged",
            |folder| fs::write(folder.join("failover.db"), "no database at all, ".repeat(500)).unwrap(),
            "is damaged",
        ),
        (
            "newer",
            |folder| {
                let file = rusqlite::Connection::open(folder.join("failover.db")).unwrap();
                file.execute_batch("CREATE TABLE x (y); PRAGMA user_version = 99").unwrap();
            },
            "written by a newer failover",
        ),
    ];
    std::thread::scope(|scope| {
        for (name, damage, says) in cases {
            scope.spawn(move || {
                println!("{name}");
                let stage = stage();
                damage(&stage.path("state"));
                both_fail_over(&stage, None, says);
            });
        }
    });
}

/// bad day: state: the disk is read-only or full from the start | told with the remedy; the failover happens from memory
#[test]
fn a_disk_that_is_read_only_or_full_from_the_start_stops_no_failover() {
    need_mounts();
    let read_only = r#"mount --bind "$S" "$S"; mount -o remount,bind,ro "$S""#;
    both_fail_over(&stage(), Some(read_only), "Read-only file system");
    let full = r#"mount -t tmpfs -o size=64k none "$S"; cat /dev/zero >"$S/fill" 2>/dev/null || true"#;
    both_fail_over(&stage(), Some(full), "free some space on that disk");
}

/// bad day: state: a real disk fills up under the running agent | told once, the failover happens; told when it is over
#[test]
fn a_disk_that_fills_up_and_is_freed_again() {
    need_mounts();
    let stage = stage();
    let disk = r#"mount -t tmpfs -o size=2m none "$S""#;
    let agent = Agent::start(with_disk(&stage, &stage.command(&["run"]), disk), &stage.path("agent.log"));
    stage.in_sync();
    let inside = |script: &str| {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &agent.pid().to_string(), "bash", "-c", script]);
        Ended::of(command.env("S", stage.path("state")))
    };
    assert_ne!(inside(r#"cat /dev/zero >"$S/fill""#).code, 0, "the disk is full now");
    stage.kill_primary();
    stage.wait_told("failover.completed");
    let told = stage.wait_told("state.unwritable");
    assert!(told["summary"].as_str().unwrap().contains("free some space"), "{told}");
    assert_eq!(stage.zone(), (2, STANDBY.into()));

    assert_eq!(inside(r#"rm "$S/fill""#).code, 0);
    stage.hosts.set(0, &Mode::Ok);
    stage.wait_told("state.recovered");
    wait_until("no more trouble", PATIENCE, || {
        stage.status().filter(|status| status["state_trouble"].is_null())
    });
    agent.stop();
    assert_eq!(stage.told("state.unwritable").len(), 1, "said once");
    assert_eq!(stage.told("failover.completed").len(), 1);
}

/// bad day: agent: its socket cannot be made | logged; the failover happens
/// Only a living agent behind the socket is a reason not to start.
#[test]
fn a_socket_that_cannot_be_made_stops_no_failover() {
    let stage = Stage::new();
    let at = stage.folder.path().display().to_string();
    stage.edit(&format!("{at}/failover.sock"), &format!("{at}/no/failover.sock"));
    let agent = stage.start();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    assert!(agent.said().contains("no/failover.sock"), "{}", agent.said());
    let status = stage.run(&["status"]);
    assert!(status.stdout.contains("no agent answers"), "{status:?}");
    agent.stop();

    // Another state, the same socket: one of the two would be out of reach.
    stage.edit(&format!("{at}/no/failover.sock"), &format!("{at}/failover.sock"));
    let agent = stage.start();
    stage.wait_status("the agent", |_| true);
    stage.edit(&format!("{at}/failover.db"), &format!("{at}/other.db"));
    let second = stage.run(&["run"]);
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.stderr.contains("another agent listens on the socket"), "{second:?}");
    agent.stop();
}
