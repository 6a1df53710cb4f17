//! The agent does its work with nothing but what the shipped unit leaves it. Needs root, to give everything else up.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Backend, Hosts};

use crate::agent::{Agent, BINARY, Ended, clean};
use crate::stage::{PRIMARY, STANDBY, Stage, text};

/// An ordinary user (`nobody`).
const USER: u32 = 65534;
const TORONTO: &str = "198.18.0.10";
const MONTREAL: &str = "198.18.0.11";

/// The words that give up everything: user, groups, capabilities, and the way back to them.
fn nobody() -> Vec<String> {
    let (user, group) = (format!("--reuid={USER}"), format!("--regid={USER}"));
    let none = ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", "--"];
    let words = ["setpriv", "--pdeathsig", "KILL", &user, &group, "--clear-groups"];
    words.iter().chain(&none).map(ToString::to_string).collect()
}

/// The words that put a command below the filters of the shipped unit.
fn sandbox() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["tests/servers/sandbox.py", "packaging/failover.service"]
        .map(|path| root.join(path).display().to_string())
        .into()
}

/// The company with its targets on another host, watched by http, by echo requests and by a program, all of it owned by
/// an ordinary user.
struct Company {
    stage: Stage,
    hosts: Hosts,
    _servers: Backend,
    program: PathBuf,
    _programs: tempfile::TempDir,
}

impl Company {
    fn new() -> Company {
        let hosts = Hosts::start();
        let servers = Backend::start_there(&hosts, &[TORONTO, MONTREAL, "198.18.0.2"]);
        let stage = Stage::new();
        let (was, is) = (stage.hosts.port().to_string(), servers.port().to_string());
        stage.edit(&format!("{{tcp: \"127.0.0.4:{was}\"}}"), "{icmp: 198.18.0.2}");
        stage.edit(&format!("port: {was}"), &format!("port: {is}"));
        stage.edit(PRIMARY, TORONTO).edit(STANDBY, MONTREAL);
        let more = "  ping: {icmp: {}, interval: 500ms, fast_interval: 50ms, timeout: 500ms}\n  \
                    plugin: {exec: {command: [/bin/true]}, interval: 500ms, fast_interval: 50ms, timeout: 500ms}\n";
        stage
            .edit("targets:\n", &format!("{more}targets:\n"))
            .edit("checks: [web]", "checks: [web, ping, plugin]");
        stage.publish(1, TORONTO);
        stage.config();
        // The folder of the build may be closed to others, and that of the stage may be small and hold no programs.
        let programs = tempfile::tempdir().unwrap();
        let program = programs.path().join("failover");
        std::fs::copy(BINARY, &program).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        chown(programs.path(), Some(USER), Some(USER)).unwrap();
        chown(stage.folder.path(), Some(USER), Some(USER)).unwrap();
        for file in std::fs::read_dir(stage.folder.path()).unwrap() {
            chown(file.unwrap().path(), Some(USER), Some(USER)).unwrap();
        }
        // Linux leaves it to this setting who may send echo requests without a capability.
        let allow = "echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range";
        let allowed = Ended::of(Command::new("ip").args(&hosts.here()[1..]).args(["sh", "-c", allow]));
        assert_eq!(allowed.code, 0, "{allowed:?}");
        Company { stage, hosts, _servers: servers, program, _programs: programs }
    }

    /// A failover by an agent that runs behind these words as well.
    fn fails_over(&self, behind: &[String]) {
        let stage = &self.stage;
        let mut command = Command::new("ip");
        command.args(&self.hosts.here()[1..]).args(nobody()).args(behind).arg(&self.program);
        command.args(["run", "--config"]).arg(stage.config()).current_dir(stage.folder.path());
        clean(&mut command);
        let agent = Agent::start(command, &stage.path("agent.log"));
        stage.in_sync();
        let status = text(Path::new(&format!("/proc/{}/status", agent.pid())));
        let line = |name: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned()
        };
        let zero = "0".repeat(16);
        for (name, value) in [
            ("Uid:", "65534"),
            ("NoNewPrivs:", "1"),
            ("CapEff:", &zero),
            ("CapPrm:", &zero),
            ("CapBnd:", &zero),
        ] {
            assert_eq!(line(name), value, "{name} {status}");
        }
        assert_eq!(line("Seccomp:"), if behind.is_empty() { "0" } else { "2" }, "{status}");
        // Another program of the same account: a check of kind exec is one.
        let environ = format!("/proc/{}/environ", agent.pid());
        let (setpriv, rest) = (nobody(), ["cat", &environ]);
        let looked = Ended::of(Command::new(&setpriv[0]).args(&setpriv[1..]).args(rest));
        assert!(looked.stderr.contains("Permission denied"), "{looked:?}");

        self.hosts.set(&["drop", TORONTO]);
        stage.wait_published(MONTREAL);
        agent.wait_logged("failover.completed");
        let said = agent.stop();
        for trouble in
            ["state.unwritable", "Operation not permitted", "not supported by protocol", "agent.blind"]
        {
            assert!(!said.contains(trouble), "{trouble}: {said}");
        }
    }
}

#[test]
fn an_ordinary_user_without_any_capability_is_enough() {
    Company::new().fails_over(&[]);
}

#[test]
fn a_failover_below_the_filters_of_the_unit() {
    // They are there: what an agent has no business with is refused.
    for (script, refused) in [
        ("import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "not supported by protocol"),
        ("import os; os.chroot('/')", "PermissionError"),
        ("import mmap; mmap.mmap(-1, 4096, prot=7)", "PermissionError"),
    ] {
        let words = sandbox();
        let tried = Ended::of(Command::new(&words[0]).args(&words[1..]).args(["python3", "-c", script]));
        assert!(tried.stderr.contains(refused), "{script}: {tried:?}");
    }
    Company::new().fails_over(&sandbox());
}
