//! What the agent makes is its own, whatever its umask and wherever it is put; and what others put there is not believed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::agent::{Agent, BINARY, Ended, clean};
use crate::stage::{PATIENCE, STANDBY, Stage, text};

/// Another user of this machine (`nobody`).
const OTHER: u32 = 65534;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The same command below a shell with this setting.
pub(crate) fn below(setting: &str, command: &Command) -> Command {
    let mut shell = Command::new("setpriv");
    shell.args(["--pdeathsig", "KILL", "--", "bash", "-c", &format!("{setting}; exec \"$@\""), "shell"]);
    shell.arg(command.get_program()).args(command.get_args());
    clean(&mut shell);
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell
}

/// As another user, who has nothing but that.
fn as_other(words: &[&str]) -> Ended {
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={OTHER}"), &format!("--regid={OTHER}"), "--clear-groups", "--"])
        .args(words);
    Ended::of(&mut command)
}

#[test]
fn what_is_made_is_private_whatever_the_umask() {
    for umask in ["000", "077"] {
        let stage = Stage::new();
        chmod(stage.folder.path(), 0o755);
        // The zone file is made by the agent, too.
        fs::remove_file(stage.path("zone.json")).unwrap();
        stage.edit("    ttl: 60\n", "    ttl: 60\n    create: true\n").config();
        let before: Vec<PathBuf> =
            fs::read_dir(stage.folder.path()).unwrap().map(|it| it.unwrap().path()).collect();
        let command = below(&format!("umask {umask}"), &stage.command(&["run"]));
        let agent = Agent::start(command, &stage.path("agent.log"));
        stage.in_sync();
        let mut made = Vec::new();
        for entry in fs::read_dir(stage.folder.path()).unwrap().map(Result::unwrap) {
            let (path, found) = (entry.path(), entry.metadata().unwrap());
            let name = entry.file_name().into_string().unwrap();
            if before.contains(&path) || name == "agent.log" {
                continue;
            }
            assert_eq!(found.mode() & 0o777, 0o600, "{name} under umask {umask}");
            let shown = path.display().to_string();
            if found.file_type().is_socket() {
                let script = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])";
                let refused = as_other(&["/usr/bin/python3", "-c", script, &shown]);
                assert!(refused.stderr.contains("PermissionError"), "{refused:?}");
            } else {
                for open in ["cat", "touch"] {
                    assert_ne!(as_other(&[open, &shown]).code, 0, "{open} {name}");
                }
            }
            made.push(name);
        }
        made.sort();
        let all = [
            "failover.db",
            "failover.db-shm",
            "failover.db-wal",
            "failover.db.lock",
            "failover.sock",
            "zone.json",
            "zone.json.lock",
        ];
        assert_eq!(made, all, "umask {umask}");
        agent.stop();

        // The manual is for everybody to read and for nobody else to write.
        let pages = stage.path("pages");
        let mut man = Command::new(BINARY);
        man.args(["man", "--out"]).arg(&pages);
        assert_eq!(Ended::of(&mut below(&format!("umask {umask}"), &man)).code, 0);
        for page in fs::read_dir(&pages).unwrap().map(Result::unwrap) {
            let want = if umask == "000" { 0o644 } else { 0o600 };
            assert_eq!(
                page.metadata().unwrap().mode() & 0o777,
                want,
                "{:?} under umask {umask}",
                page.path()
            );
        }
    }
}

/// bad day: state: everybody may write the file | taken from them and logged; the failover happens
#[test]
fn what_others_may_write_is_closed_or_told() {
    let stage = Stage::new();
    assert_eq!(stage.run(&["once"]).code, 0);
    chmod(&stage.path("failover.db"), 0o666);
    let once = stage.run(&["once"]);
    assert!(once.stderr.contains("its mode was 0666 and is now 0644"), "{once:?}");
    assert_eq!(
        fs::metadata(stage.path("failover.db")).unwrap().mode() & 0o777,
        0o644,
        "who may read it is for its owner"
    );

    let config = stage.config();
    chmod(&config, 0o602);
    let mut validate = Command::new(BINARY);
    validate.arg("validate").arg("--config").arg(&config);
    clean(&mut validate);
    let said = Ended::of(&mut validate);
    assert_eq!(said.code, 0, "told, and not refused: {said:?}");
    let all = said.stdout + &said.stderr;
    assert!(all.contains("everybody on this machine can write it") && all.contains("chmod o-w"), "{all}");
}

/// A stage with state and socket in a folder like /tmp, in which `planted` was put there first by somebody else.
fn sticky(planted: impl FnOnce(&Path)) -> Stage {
    let stage = Stage::new();
    let folder = stage.path("tmp");
    fs::create_dir(&folder).unwrap();
    chmod(&folder, 0o1777);
    let at = stage.folder.path().display().to_string();
    for name in ["failover.db", "failover.sock"] {
        stage.edit(&format!("{at}/{name}"), &format!("{at}/tmp/{name}"));
    }
    planted(&folder);
    stage
}

/// bad day: state: somebody else put a file or a link in its place, in /tmp | not touched, told; the failover happens from memory
#[test]
fn a_state_that_somebody_else_planted_is_left_alone() {
    const VICTIM: &str = "a file of ours that must stay as it is\n";
    for (name, says) in [
        ("failover.db", "belongs to uid 65534"),
        ("failover.db-wal", "belongs to uid 65534"),
        ("failover.db.lock", "belongs to uid 65534"),
    ] {
        for link in [true, false] {
            let stage = sticky(|folder| {
                let (victim, trap) = (folder.parent().unwrap().join("victim"), folder.join(name));
                fs::write(&victim, VICTIM).unwrap();
                if link {
                    symlink(&victim, &trap).unwrap();
                } else {
                    fs::write(&trap, VICTIM).unwrap();
                    chmod(&trap, 0o666);
                }
                lchown(&trap, Some(OTHER), Some(OTHER)).unwrap();
            });
            stage.kill_primary();
            let once = stage.run(&["once", "--detailed-exitcode"]);
            assert_eq!((once.code, stage.zone()), (5, (2, STANDBY.into())), "{name}: {once:?}");
            assert!(
                once.stderr.contains(says) && once.stderr.contains("everybody may write"),
                "{name}: {once:?}"
            );
            assert!(once.stderr.contains("state.unwritable"), "{name}: {once:?}");
            assert_eq!(text(&stage.path("victim")), VICTIM, "{name}");
            if !link {
                assert_eq!(text(&stage.path("tmp").join(name)), VICTIM, "{name}");
            }
            let history = stage.run(&["history"]);
            assert!(name == "failover.db.lock" || history.code != 0 || link, "{name}: {history:?}");
        }
    }
    // One's own link is one's own business where the folder is.
    let stage = Stage::new();
    symlink(stage.path("elsewhere.db"), stage.path("failover.db")).unwrap();
    fs::write(stage.path("elsewhere.db"), "").unwrap();
    let once = stage.run(&["once"]);
    assert!(once.code == 0 && !once.stderr.contains("state.unwritable"), "{once:?}");
}

/// bad day: agent: something else is where its socket should be | left alone, logged; the failover happens
#[test]
fn a_socket_that_somebody_else_planted_is_neither_taken_nor_asked() {
    for (what, says) in [
        ("a file", "what is there is no socket"),
        ("a link", "what is there is no socket"),
        ("a socket", "belongs to uid 65534"),
    ] {
        let mut listener = None;
        let stage = sticky(|folder| {
            let (victim, trap) = (folder.parent().unwrap().join("victim"), folder.join("failover.sock"));
            fs::write(&victim, "stays").unwrap();
            match what {
                "a file" => fs::write(&trap, "stays").unwrap(),
                "a link" => symlink(&victim, &trap).unwrap(),
                _ => {
                    listener = Some(UnixListener::bind(&trap).unwrap());
                    chmod(&trap, 0o666);
                    lchown(&trap, Some(OTHER), Some(OTHER)).unwrap();
                }
            }
        });
        let agent = stage.start();
        stage.kill_primary();
        stage.wait_told("failover.completed");
        assert!(agent.said().contains(says), "{what}: {}", agent.said());
        let status = stage.run(&["status"]);
        assert!(
            status.stdout.contains("no agent answers") && status.stdout.contains(says),
            "{what}: {status:?}"
        );
        agent.stop();
        let trap = stage.path("tmp/failover.sock");
        assert!(fs::symlink_metadata(&trap).is_ok(), "{what} is still there");
        assert_eq!(text(&stage.path("victim")), "stays");
        assert!(what != "a file" || text(&trap) == "stays");
        drop(listener);
    }
}

/// A core file would have every secret in it.
#[test]
fn a_crash_leaves_no_core() {
    let stage = Stage::new();
    let mut agent =
        Agent::start(below("ulimit -c unlimited", &stage.command(&["run"])), &stage.path("agent.log"));
    stage.in_sync();
    agent.signal("ABRT");
    let ended = agent.wait_status(PATIENCE);
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false), "{ended:?}");
}
