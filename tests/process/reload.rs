//! The configuration's files change under a running agent.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::wait_until;

use crate::agent::{Agent, program};
use crate::stage::{PATIENCE, STANDBY, Stage};

/// An agent on a configuration at another path.
fn agent_on(stage: &Stage, path: &Path) -> Agent {
    let mut command: Command = program();
    command.arg("run").arg("--config").arg(path).current_dir(stage.folder.path());
    let agent = Agent::start(command, &stage.path("agent.log"));
    stage.in_sync();
    agent
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn wait_count(stage: &Stage, kind: &str, count: usize) {
    wait_until(&format!("{count} of {kind} in the chat"), PATIENCE, || {
        (stage.told(kind).len() >= count).then_some(())
    });
    assert_eq!(stage.told(kind).len(), count);
}

#[test]
fn sighup_takes_it_at_once_and_what_was_done_stays_done() {
    let stage = Stage::new();
    let agent = stage.agent();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    stage
        .edit("live_interval: 500ms", "live_interval: 400ms")
        .edit("timeout: 500ms", "timeout: 400ms")
        .config();
    agent.signal("HUP");
    let told = stage.wait_told("config.reloaded");
    assert_eq!(told["reason"], "checks: changed web; agent: changed");
    // The watch sees the same files, and has nothing to add.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(stage.told("config.reloaded").len(), 1);
    for kind in ["failover.completed", "target.down", "agent.started"] {
        assert_eq!(stage.told(kind).len(), 1, "{kind}");
    }
    assert_eq!(stage.zone(), (2, STANDBY.into()));
    assert_eq!(agent.stop().matches("config.reloaded").count(), 1);
}

/// bad day: configuration: it is made wrong under a running agent | refused and told once, with the places; the old one goes on
#[test]
fn a_bad_file_is_refused_told_once_and_mended() {
    let stage = Stage::new();
    let agent = stage.agent();
    stage.edit("ttl: 60", "tttl: 60").config();
    let told = stage.wait_told("config.refused");
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("failover.yaml:24:5: ") && reason.contains("tttl"), "{reason}");
    assert!(!reason.contains("c2lnbmluZy1zZWNyZXQ"), "{reason}");
    for _ in 0..2 {
        agent.signal("HUP");
        std::thread::sleep(Duration::from_secs(2));
    }
    assert_eq!(stage.told("config.refused").len(), 1, "once for one content");
    stage.kill_primary();
    stage.wait_published(STANDBY);
    stage.edit("tttl: 60", "ttl: 61").config();
    let told = stage.wait_told("config.reloaded");
    assert_eq!(told["reason"], "records: changed www.workshopco.test");
    stage.edit("failover.sock", "other.sock").config();
    wait_count(&stage, "config.refused", 2);
    let told = stage.wait_told("config.refused");
    assert_eq!(told["summary"], "the changed configuration was refused: needs a restart: api.socket");
    agent.stop();
}

/// bad day: configuration: its files are replaced by renames and links | taken within seconds, each once
#[test]
fn by_rename_by_links_and_by_a_file_with_a_secret() {
    let stage = Stage::new();
    private(&stage.path("secret"), crate::stage::SIGNING);
    let by_file = format!("${{file:{}}}", stage.path("secret").display());
    stage.edit(crate::stage::SIGNING, &by_file);
    let text = std::fs::read_to_string(stage.config()).unwrap();
    let folder = stage.path("conf.d");
    for (name, text) in [("..1", text.clone()), ("..2", text.replace("ttl: 60", "ttl: 62"))] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        private(&folder.join(name).join("all.yaml"), &text);
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/all.yaml", folder.join("all.yaml")).unwrap();
    let agent = agent_on(&stage, &folder);

    // As Kubernetes does it.
    symlink("..2", folder.join("..new")).unwrap();
    std::fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    wait_count(&stage, "config.reloaded", 1);
    assert_eq!(stage.told("config.reloaded")[0]["reason"], "records: changed www.workshopco.test");

    // As an editor does it.
    private(&stage.path("new"), &text.replace("ttl: 60", "ttl: 63"));
    std::fs::rename(stage.path("new"), folder.join("all.yaml")).unwrap();
    wait_count(&stage, "config.reloaded", 2);

    // The secret only.
    private(&stage.path("secret"), "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcg==");
    wait_count(&stage, "config.reloaded", 3);
    assert_eq!(stage.told("config.reloaded")[2]["reason"], "notify: changed");
    let said = agent.stop();
    assert!(!said.contains("b3RoZXItc2VjcmV0"), "{said}");
}

#[test]
fn systemd_hears_that_it_reloads() {
    let stage = Stage::new();
    let path = stage.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let hear = |what: &str| {
        wait_until(what, PATIENCE, || {
            let mut buffer = [0; 4096];
            let length = socket.recv(&mut buffer).ok()?;
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            text.lines().any(|line| line.starts_with(what)).then_some(text)
        })
    };
    let mut command = stage.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path);
    let agent = Agent::start(command, &stage.path("agent.log"));
    hear("READY=1");
    for text in ["ttl: 60", "ttl: 0x"] {
        stage.edit("ttl: 60", text).config();
        agent.signal("HUP");
        let text = hear("RELOADING=1");
        assert!(text.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{text}");
        hear("READY=1");
    }
    agent.stop();
}
