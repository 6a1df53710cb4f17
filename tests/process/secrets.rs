//! No secret is ever seen: not in what is printed, logged, told, answered, or kept. One run of the whole program, on good
//! and on bad days, with a secret in every key that can hold one.

mod helpful;
mod hunt;
mod plant;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use testkit::{Bind, DnsServer, Pdns};

use self::hunt::Hunt;
use self::plant::Planted;
use crate::agent::{Agent, Ended, program};
use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage, text};

#[test]
fn every_key_that_can_hold_a_secret_is_planted() {
    let schema = Ended::of(program().arg("schema"));
    assert_eq!(plant::secret_keys(&schema.json()), plant::KEYS, "plant the new ones in secrets/plant.rs");
}

struct Run<'s> {
    stage: &'s Stage,
    planted: &'s Planted,
    hunt: &'s Hunt,
}

impl Run<'_> {
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.stage.command(arguments);
        self.planted.give(&mut command);
        command.env("RUST_LOG", "trace");
        command
    }

    /// Runs a command with everything logged that can be logged; nothing that it says may hold a secret.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ended {
        let format = if arguments.contains(&"table") { "text" } else { "json" };
        let all = [arguments, &["--log-level", "trace", "--log-format", format]].concat();
        self.ended(&mut self.command(&all))
    }

    #[track_caller]
    fn ended(&self, command: &mut std::process::Command) -> Ended {
        let ended = Ended::of(command);
        self.hunt.not_in(&ended.stdout, &format!("the output of {command:?}"));
        self.hunt.not_in(&ended.stderr, &format!("the errors of {command:?}"));
        ended
    }

    #[track_caller]
    fn ends(&self, code: i32, arguments: &[&str]) {
        let ended = self.run(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
    }

    /// The raw answer of the agent's local socket.
    fn asked(&self, request: &str) {
        let mut socket = UnixStream::connect(self.stage.path("failover.sock")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(socket, "{request} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.0 "), "{request}: {}", String::from_utf8_lossy(&answer));
        self.hunt.not_in(&answer, &format!("the answer to {request}"));
    }
}

#[test]
fn no_secret_is_seen_anywhere() {
    let planted = Planted::new();
    let bind = Bind::start_with(&[("BIND_KEY_SECRET", &planted.tsig)]);
    let pdns = Pdns::start_with(&[("PDNS_API_KEY", &planted.api)]);
    for server in [&bind as &dyn DnsServer, &pdns] {
        server.set("www.example.test", &[&format!("60 A {PRIMARY}")]);
        server.set("ftp.example.test", &[&format!("60 A {PRIMARY}")]);
    }
    let stage = Stage::new();
    planted.configure(&stage, &bind, &pdns, helpful::start());
    let hunt = planted.hunt(&stage);
    let run = Run { stage: &stage, planted: &planted, hunt: &hunt };

    for format in ["json", "text"] {
        good_day(&run, format);
        stage.hosts.set(0, &testkit::Mode::Ok);
        for server in [&bind as &dyn DnsServer, &pdns] {
            server.set("www.example.test", &[&format!("60 A {PRIMARY}")]);
            server.set("ftp.example.test", &[&format!("60 A {PRIMARY}")]);
        }
    }
    for message in stage.chat.received() {
        hunt.not_in(message.body.to_string(), "a message");
    }
    bind.stop();
    pdns.stop();
    bad_day(&run);

    assert_eq!(
        text(&stage.path("environment.txt")).matches("FAILOVER_ADDRESS=").count(),
        1,
        "the program ran"
    );
    let dump = Ended::of(std::process::Command::new("sqlite3").arg(stage.path("failover.db")).arg(".dump"));
    assert!(dump.stdout.contains("target.down"), "{dump:?}");
    hunt.not_in(&dump.stdout, "the state, as text");
    let files = hunt.not_in_files(stage.folder.path());
    assert!(files >= 5, "the logs, the state and the environment of a program are there: {files}");
}

/// A failover with everything logged that can be logged, reloads, and every command beside it.
fn good_day(run: &Run<'_>, log_format: &str) {
    let stage = run.stage;
    let log = stage.path(&format!("agent-{log_format}.log"));
    let agent = Agent::start(run.command(&["run", "--log-level", "trace", "--log-format", log_format]), &log);
    stage.wait_status("both in sync, quebec down", |status| {
        let synced = |name: &str| {
            let records = status["records"].as_array().into_iter().flatten();
            records.filter(|record| record["name"] == name && record["status"] == "in_sync").count() == 1
        };
        let target = |name: &str| {
            let targets = status["targets"].as_array().into_iter().flatten();
            targets.clone().find(|target| target["name"] == name).map(|target| target["verdict"].clone())
        };
        synced("www.example.test") && synced("ftp.example.test") && target("quebec") == Some("down".into())
    });
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", agent.pid())).unwrap();
    run.hunt.not_in(cmdline, "the agent's command line");
    stage.kill_primary();
    stage.wait_status("both moved", |status| {
        let records = status["records"].as_array().into_iter().flatten();
        records.filter(|record| record["values"][0] == STANDBY).count() == 2
    });
    for request in [
        "GET /v1/status",
        "GET /v1/records/api.example.test/explain",
        "GET /v1/records/a..b/explain",
        "GET /",
        "BAD x",
    ] {
        run.asked(request);
    }
    every_command(run, if log_format == "text" { &["table"] } else { &["json", "jsonl"] });

    // A good file, and a bad one with a secret where none belongs.
    let refused = |part: &str, by: &str, event: &str| {
        stage.edit(part, by).config();
        agent.signal("HUP");
        testkit::wait_until(event, PATIENCE, || agent.said().contains(event).then_some(()));
    };
    refused("live_interval: 500ms", "live_interval: 510ms", "config.reloaded");
    let (good, bad) =
        (format!("api_key: {}", run.planted.inline_api), format!("api_kee: {}", run.planted.inline_api));
    refused(&good, &bad, "config.refused");
    stage.edit(&bad, &good).edit("live_interval: 510ms", "live_interval: 500ms").config();
    run.ends(0, &["failback", "www.example.test"]);
    let said = agent.stop();
    assert!(said.contains("TRACE"), "everything is logged");
}

fn every_command(run: &Run<'_>, formats: &[&'static str]) {
    for format in formats {
        let o = ["-o", *format];
        let with = |words: &[&'static str]| [words, &o].concat();
        run.ends(0, &with(&["status"]));
        run.ends(0, &with(&["validate"]));
        run.ends(0, &with(&["config", "show", "--defaults"]));
        run.ends(0, &with(&["explain", "api.example.test"]));
        run.ends(0, &with(&["history", "--limit", "500"]));
        run.ends(0, &with(&["history", "--latency", "quebec"]));
        run.ends(0, &with(&["deliveries", "list"]));
        run.ends(0, &with(&["deliveries", "show", "1"]));
        run.ends(1, &with(&["notify", "test"]));
        run.run(&with(&["plan"]));
        run.run(&with(&["probe", "quebec"]));
    }
    run.run(&["doctor", "--deadline", "3s", "-o", formats[0]]);
    run.run(&["probe", "quebec", "--nagios"]);
    run.ends(0, &["schema"]);
    run.ends(2, &["status", "--no-such-option"]);
}

/// Everything refuses or is gone: errors are where secrets like to hide.
fn bad_day(run: &Run<'_>) {
    let stage = run.stage;
    run.ends(1, &["once", "--deadline", "2s", "-o", "table"]);
    for format in ["table", "json"] {
        run.ends(1, &["plan", "-o", format]);
        run.ends(1, &["doctor", "--deadline", "2s", "-o", format]);
        run.ends(0, &["status", "-o", format]);
    }
    let mut unset = run.command(&["once", "--log-level", "trace"]);
    unset.env_remove("PASSWORD_OF_TEST");
    assert_eq!(run.ended(&mut unset).code, 3);
    let mut odd = run.command(&["validate"]);
    odd.env("TSIG_OF_TEST", format!("{}!", run.planted.tsig));
    assert_eq!(run.ended(&mut odd).code, 3, "no base64");
    let mut odd = run.command(&["validate"]);
    odd.env("HEADER_OF_TEST", format!("{}\n", "header-Zq8%/5b+d1=x?&9"));
    assert_eq!(run.ended(&mut odd).code, 3, "a line break in a header");
    let inline = &run.planted.inline_api;
    for (part, by) in [
        ("  routes:", "  rotues:".to_owned()),
        (inline.as_str(), format!("[{inline}]")),
        (inline.as_str(), format!("{{{inline}: {inline}}}")),
        (inline.as_str(), format!("{inline}\": \"{inline}")),
        ("type: powerdns", format!("type: {inline}")),
        ("secrets: [\"whsec_", "secrets: [\"wshec_".to_owned()),
    ] {
        // Another stage has the file as it was.
        let good = std::fs::read_to_string(stage.config()).unwrap();
        let bad = good.replacen(part, &by, 1);
        assert_ne!(good, bad, "{part}");
        std::fs::write(stage.path("bad.yaml"), bad).unwrap();
        for format in ["table", "json"] {
            let mut command = program();
            command.args(["validate", "-o", format, "--config"]).arg(stage.path("bad.yaml"));
            run.planted.give(&mut command);
            let ended = run.ended(&mut command);
            assert_eq!(ended.code, 3, "{part}: {ended:?}");
        }
    }
}
