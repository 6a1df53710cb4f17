//! What systemd is told, and the files for it that are shipped.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testkit::wait_until;

use crate::agent::{Agent, BINARY, Ended};
use crate::stage::{PATIENCE, Stage};

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// Waits until a line of a message to the socket begins so.
#[track_caller]
fn hear(socket: &UnixDatagram, start: &str) {
    wait_until(&format!("{start} from the agent"), PATIENCE, || {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        text.lines().any(|line| line.starts_with(start)).then_some(())
    });
}

#[test]
fn systemd_hears_that_the_agent_is_ready_alive_and_stopping() {
    let stage = Stage::new();
    let path = stage.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut command = stage.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let agent = Agent::start(command, &stage.path("agent.log"));
    hear(&socket, "READY=1");
    // Again and again: the loop turns.
    (0..3).for_each(|_| hear(&socket, "WATCHDOG=1"));
    stage.kill_primary();
    hear(&socket, "STATUS=www.workshopco.test: www.workshopco.test failed over from");
    hear(&socket, "WATCHDOG=1");
    agent.signal("TERM");
    hear(&socket, "STOPPING=1");
    agent.stop();
}

/// bad day: agent: its loop stands | it no longer tells systemd that it is alive: the watchdog restarts it
/// An agent whose loop stands must not go on telling that it is alive.
#[test]
fn a_frozen_agent_is_silent() {
    let stage = Stage::new();
    let path = stage.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = stage.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let agent = Agent::start(command, &stage.path("agent.log"));
    hear(&socket, "WATCHDOG=1");
    agent.freeze();
    socket.set_nonblocking(true).unwrap();
    while socket.recv(&mut [0; 4096]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(socket.recv(&mut [0; 4096]).is_err(), "nothing for five times the interval");
    agent.thaw();
    hear(&socket, "WATCHDOG=1");
    agent.stop();
}

/// The shipped units with the program under test in the place of the installed one.
fn units(folder: &Path) -> Vec<PathBuf> {
    let names = ["failover.service", "failover-once.service", "failover-once.timer"];
    names
        .map(|name| {
            let text = std::fs::read_to_string(packaging(name)).unwrap();
            let path = folder.join(name);
            std::fs::write(&path, text.replace("/usr/bin/failover", BINARY)).unwrap();
            path
        })
        .into()
}

#[test]
fn the_shipped_units_are_right_and_locked_down() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path());
    let verified = Ended::of(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units));
    let user = std::fs::read_to_string(packaging("failover.sysusers")).unwrap();
    assert!(user.lines().any(|line| line.starts_with("u failover ")), "the units' user: {user}");
    assert_eq!((verified.code, verified.stderr.trim()), (0, ""), "systemd-analyze verify (package systemd)");
    for unit in units.iter().filter(|unit| unit.extension().is_some_and(|kind| kind == "service")) {
        // Exposure in tenths; 10.0 is no protection at all.
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=true", "--no-pager", "--threshold=12"]).arg(unit);
        let secure = Ended::of(&mut security);
        let score = secure.stdout.lines().last().unwrap_or_default();
        println!("{score}");
        assert_eq!(secure.code, 0, "{score} {}", secure.stderr);
    }
}

/// The command lines of the shipped files, word by word, up to the first sign of the shell.
#[test]
fn the_shipped_command_lines_work() {
    let stage = Stage::new();
    let config = stage.config().display().to_string();
    let mut seen = Vec::new();
    for name in ["failover.service", "failover-once.service", "failover.cron"] {
        let text = std::fs::read_to_string(packaging(name)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let line = lines.filter(|line| line.contains("failover.yaml")).collect::<Vec<_>>().join("\n");
        let (_, arguments) = line.rsplit_once("failover ").expect("one command line");
        let arguments = arguments.split('>').next().unwrap().replace("/etc/failover/failover.yaml", &config);
        let mut command = crate::agent::program();
        command.args(arguments.split_whitespace()).current_dir(stage.folder.path());
        if arguments.starts_with("run") {
            let agent = Agent::start(command, &stage.path("agent.log"));
            stage.in_sync();
            agent.stop();
        } else {
            let ended = Ended::of(&mut command);
            assert_eq!(ended.code, 0, "{name}: {ended:?}");
            if name.ends_with("cron") {
                assert_eq!(ended.stderr, "", "{name}: cron mails what is printed");
            }
        }
        seen.push(arguments.split(' ').next().unwrap().to_owned());
    }
    assert_eq!(seen, ["run", "once", "once"]);
}
