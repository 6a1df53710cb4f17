//! Workshop Co. on this machine: a primary, a stand-by and a witness on loopback, a zone in a file, a chat.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use failover::config::Config;
use serde_json::Value;
use testkit::{Backend, ChatSink, Mode, Received, wait_until};

use crate::agent::{Agent, Ended, program};

/// The longest a test waits for anything: a loaded machine is slow, and a wrong program never gets there.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// The one record.
pub(crate) const WWW: &str = "www.workshopco.test";
/// Where it points at first.
pub(crate) const PRIMARY: &str = "127.0.0.2";
/// Where it goes.
pub(crate) const STANDBY: &str = "127.0.0.3";
/// The signing secret of the webhook; its base64 part must never be seen.
pub(crate) const SIGNING: &str = "whsec_c2lnbmluZy1zZWNyZXQtc2lnbmluZy1zZWNyZXQ=";

/// The company. Every test has its own.
pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) hosts: Backend,
    pub(crate) chat: ChatSink,
    yaml: RefCell<String>,
}

impl Stage {
    /// All is well: both hosts answer, the record points at the primary.
    pub(crate) fn new() -> Stage {
        let folder = testkit::folder();
        let hosts = Backend::start(&[PRIMARY, STANDBY, "127.0.0.4"]);
        let chat = ChatSink::start();
        let (at, port, ops) = (folder.path().display(), hosts.port(), chat.url("/ops"));
        let yaml = format!(
            r#"agent:
  id: toronto-1
  state: {at}/failover.db
  startup_grace: 30s
  live_interval: 500ms
  witnesses: [{{tcp: "127.0.0.4:{port}"}}]
api: {{socket: {at}/failover.sock}}
checks:
  web:
    http: {{port: {port}, path: /healthz}}
    interval: 500ms
    fast_interval: 50ms
    timeout: 500ms
    rise: 1
    clear: 1
targets:
  toronto: {{address: {PRIMARY}, checks: [web]}}
  montreal: {{address: {STANDBY}, checks: [web]}}
providers:
  zone: {{type: mock, file: {at}/zone.json}}
records:
  - name: {WWW}
    provider: zone
    ttl: 60
    targets: [toronto, montreal]
    failback: {{mode: manual}}
    hold_down: 0s
notify:
  channels:
    ops: {{type: webhook, url: "{ops}", secrets: ["{SIGNING}"]}}
  routes:
    - {{channel: ops, events: ["*"], min_severity: debug}}
"#
        );
        let stage = Stage { folder, hosts, chat, yaml: RefCell::new(yaml) };
        stage.publish(1, PRIMARY);
        stage
    }

    /// Replaces a part of the configuration, which must be there, for the programs started from now on.
    #[track_caller]
    pub(crate) fn edit(&self, part: &str, by: &str) -> &Stage {
        let mut yaml = self.yaml.borrow_mut();
        assert!(yaml.contains(part), "the configuration has no {part:?}:\n{yaml}");
        *yaml = yaml.replace(part, by);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration, written.
    pub(crate) fn config(&self) -> PathBuf {
        let path = self.path("failover.yaml");
        let yaml = self.yaml.borrow();
        if Config::parse("failover.yaml", &yaml, &|name| std::env::var(name).ok()).is_ok() {
            testkit::assert_valid(Config::schema, &yaml);
        }
        std::fs::write(&path, yaml.as_str()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Makes the zone file hold this address at `www`.
    pub(crate) fn publish(&self, serial: u32, address: &str) {
        let records = serde_json::json!({WWW: [{"ttl": 60, "type": "A", "values": [address]}]});
        let zone = serde_json::json!({"zones": {"workshopco.test": {"serial": serial, "records": records}}});
        std::fs::write(self.path("zone.json"), zone.to_string()).unwrap();
    }

    /// The serial of the zone, which grows by one with each write, and the address at `www`.
    pub(crate) fn zone(&self) -> (u64, String) {
        let text = std::fs::read_to_string(self.path("zone.json")).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap();
        let zone = &file["zones"]["workshopco.test"];
        let address = zone["records"][WWW][0]["values"][0].as_str().unwrap_or_default().to_owned();
        (zone["serial"].as_u64().unwrap(), address)
    }

    pub(crate) fn kill_primary(&self) {
        self.hosts.set(0, &Mode::Closed);
    }

    /// `failover` with these arguments and this configuration, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).arg("--config").arg(self.config()).current_dir(self.folder.path());
        command
    }

    /// A running agent; returns once it is `in_sync` with the primary serving.
    pub(crate) fn agent(&self) -> Agent {
        let agent = self.start();
        self.in_sync();
        agent
    }

    /// A running agent, just started.
    pub(crate) fn start(&self) -> Agent {
        Agent::start(self.command(&["run"]), &self.path("agent.log"))
    }

    /// Waits until the agent says that the record is as it should be and both hosts are judged.
    #[track_caller]
    pub(crate) fn in_sync(&self) {
        self.wait_status("the record in sync, both hosts up", |status| {
            let up = |n: usize| status["targets"][n]["verdict"] == "up";
            status["records"][0]["status"] == "in_sync" && up(0) && up(1)
        });
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.command(arguments))
    }

    /// What a running agent says of itself; `None` while there is none.
    pub(crate) fn status(&self) -> Option<Value> {
        let mut socket = UnixStream::connect(self.path("failover.sock")).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        socket.write_all(b"GET /v1/status HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    #[track_caller]
    pub(crate) fn wait_status(&self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        wait_until(what, PATIENCE, || self.status().filter(|status| is_it(status)))
    }

    #[track_caller]
    pub(crate) fn wait_published(&self, address: &str) {
        wait_until(&format!("{WWW} at {address}"), PATIENCE, || (self.zone().1 == address).then_some(()));
    }

    /// Messages of this type that the chat was sent at `/ops`, each event once: delivery is at least once, and the
    /// event's id is what tells a repetition.
    pub(crate) fn told(&self, kind: &str) -> Vec<Value> {
        once_each(&self.chat.received(), kind)
    }

    #[track_caller]
    pub(crate) fn wait_told(&self, kind: &str) -> Value {
        wait_until(&format!("{kind} in the chat"), PATIENCE, || self.told(kind).pop())
    }
}

/// The events of one type that signed webhooks told, each id once.
pub(crate) fn once_each(received: &[Received], kind: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut bodies = Vec::new();
    for message in received.iter().filter(|message| message.body["type"] == kind) {
        let id = message.headers.get("webhook-id").cloned().unwrap_or_default();
        if !seen.contains(&id) {
            seen.push(id);
            bodies.push(message.body["data"].clone());
        }
    }
    bodies
}

/// The whole text of a file that may not be there.
pub(crate) fn text(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
