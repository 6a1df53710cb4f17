//! `failover rehearse`: the program itself, on configurations of all sorts. Each plays some seconds in real time.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt;
use serde_json::Value;
use testkit::wait_until;

/// A rehearsal takes a quarter of a minute; a loaded machine may take its time.
const LIMIT: Duration = Duration::from_mins(4);

fn failover(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("failover").expect("our own program was built");
    command.current_dir(folder).env_remove("FAILOVER_CONFIG").env_remove("RUST_LOG").args(args);
    command
}

fn rehearse(config: Option<&str>, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    if let Some(text) = config {
        std::fs::write(folder.path().join("failover.yaml"), text).expect("written");
    }
    // Into files, because a pipe that nobody reads is full some day.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = |name: &str| elsewhere.path().join(name);
    let to = |name: &str| Stdio::from(std::fs::File::create(file(name)).expect("made"));
    let mut command = failover(folder.path(), &[&["rehearse"], args].concat());
    let mut child = command.stdout(to("out")).stderr(to("err")).spawn().expect("it starts");
    let status = wait_until("the rehearsal ends", LIMIT, || child.try_wait().expect("it can be waited for"));
    let read = |name: &str| std::fs::read(file(name)).expect("it printed there");
    let output = Output { status, stdout: read("out"), stderr: read("err") };
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("still there").map(|f| f.expect("a file").path()).collect();
    assert_eq!(left.len(), usize::from(config.is_some()), "a rehearsal writes no file: {left:?}");
    output
}

fn stdout(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    assert!(
        output.status.success(),
        "{:?}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing to complain of");
    text
}

fn document(config: &str) -> Value {
    let text = stdout(&rehearse(Some(config), &["-o", "json"]));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn record<'a>(document: &'a Value, name: &str) -> &'a Value {
    let records = document["records"].as_array().expect("a list");
    records.iter().find(|record| record["name"] == name).unwrap_or_else(|| panic!("{name} in {records:#?}"))
}

#[test]
fn the_example_is_played_where_there_is_no_configuration() {
    let text = stdout(&rehearse(None, &[]));
    for words in [
        "Rehearsal of the example configuration",
        "interval 10 s -> 1 s",
        "all is well: montreal and toronto up",
        "OUTAGE: toronto is killed (203.0.113.10)",
        "first failure: 203.0.113.10:443 refused the connection",
        "toronto is down [console]",
        "www.workshopco.ca: 203.0.113.10 -> 198.51.100.5, 2001:db8::5",
        "www.workshopco.ca answers 198.51.100.5, 2001:db8::5",
        "time    www.workshopco.ca, from the first failed probe: down ",
        "served by all ",
        "RETURN: toronto is back",
        "www.workshopco.ca answers 203.0.113.10",
        "a second run: 0 writes, 0 messages",
        "www.workshopco.ca: 2 writes",
        "within 14 s; caches +60 s",
        "Every promise was kept",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

const SEVERAL: &str = r#"
agent: {id: t, witnesses: [{tcp: "192.0.2.200:443"}]}
checks:
  web: {http: {port: 8443, tls: true, path: /h, body: {regex: '"status":\s*"(ok|pass)"'}}}
  plain: {http: {status: ["204", "300-399"]}}
  ssh: {tcp: {port: 22, expect: {regex: "^SSH-2"}}}
  smtp: {tcp: {port: 25, send: "QUIT\r\n", expect: "220"}}
  disk: {exec: {command: [/usr/bin/false, "{address}"]}}
targets:
  a: {address: 192.0.2.1, checks: [plain, smtp]}
  b: {address: [192.0.2.2, "2001:db8::2"], checks: [web, ssh]}
  c: {address: 192.0.2.3, checks: [plain]}
  d: {address: [192.0.2.4, "2001:db8::4"], checks: [web, ssh]}
  e: {address: 192.0.2.5, checks: [plain, disk]}
providers:
  zone: {type: mock, file: ./zone.json, dns: "127.0.0.1:53"}
  pdns: {type: powerdns, url: "http://127.0.0.1:1", api_key: secret}
records:
  - {name: equals.example.com, provider: zone, ttl: 60, targets: [[a, c]]}
  - {name: by-hand.example.com, provider: zone, ttl: 60, targets: [b, d], failback: {mode: manual}}
  - {name: crossed.example.com, provider: zone, ttl: 60, targets: [d, b]}
  - {name: pool.example.com, provider: pdns, ttl: 30, targets: [[e, d], b], serve: all}
  - {name: single.example.net, provider: zone, ttl: 60, targets: [e]}
notify:
  channels:
    team: {type: rocketchat, url: "http://127.0.0.1:1/x"}
    ops: {type: webhook, url: "http://127.0.0.1:1/x"}
  routes:
    - {channel: team, events: [failover.*, failback.*, all_down]}
    - {channel: ops, events: ["*"], min_severity: warning}
"#;

/// Dual stack, TLS, send and expect, a program, two providers, a pool, a failback by hand, and primaries that are each
/// other's stand-by.
#[test]
fn records_of_all_sorts_each_see_the_outage_of_their_primary() {
    let document = document(SEVERAL);
    assert_eq!(document["kept"], true, "{document:#}");
    for (name, outage, writes) in [
        ("by-hand.example.com", "b", 2),
        ("crossed.example.com", "d", 2),
        ("equals.example.com", "a", 1),
        ("single.example.net", "e", 0),
    ] {
        let record = record(&document, name);
        assert_eq!(record["outage_of"], serde_json::json!([outage]), "{record:#}");
        assert_eq!(
            (&record["writes"], &record["writes_due"]),
            (&writes.into(), &writes.into()),
            "{record:#}"
        );
    }
    let pool = record(&document, "pool.example.com");
    assert_eq!(pool["writes"], pool["writes_due"], "{pool:#}");
    let single = record(&document, "single.example.net");
    assert_eq!(single["had_another"], false);
    assert!(single["failover"]["detected_s"].is_number() && single["failover"]["written_s"].is_null());

    let timeline = document["timeline"].as_array().expect("a list");
    let count = |kind: &str| timeline.iter().filter(|entry| entry["kind"] == kind).count();
    assert_eq!((count("killed"), count("returned"), count("second_run")), (2, 2, 4));
    assert_eq!(count("asked"), 1, "a person asks for the failback by hand");
    let phases = timeline.iter().find(|entry| entry["kind"] == "phases").expect("a failover was timed");
    let ms = |step: &str| phases["phases"][step].as_u64().unwrap_or_else(|| panic!("no {step}: {phases}"));
    assert!(ms("down_ms") <= ms("decided_ms") && ms("written_ms") <= ms("all_served_ms"), "{phases}");
    let all_down = timeline.iter().find(|entry| entry["event"] == "all_down").expect("told");
    assert_eq!(all_down["heard_by"], serde_json::json!(["ops", "team"]));
    let heard = document["messages"].as_array().expect("a list");
    assert!(heard.iter().all(|channel| channel["messages"].as_u64() > Some(0)), "{heard:?}");
    let notes = document["notes"].to_string();
    assert!(notes.contains("/usr/bin/false is not run") && notes.contains("single.example.net"), "{notes}");
}

#[test]
fn a_record_with_one_target_stays_and_it_is_said_why() {
    let config = "
checks: {db: {tcp: {port: 5432}, interval: 500ms}}
targets: {only: {address: 192.0.2.1, checks: [db]}}
providers: {zone: {type: mock}}
records: [{name: db.example.com, provider: zone, ttl: 60, targets: [only]}]
";
    let text = stdout(&rehearse(Some(config), &["-o", "jsonl"]));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (first, last) = (lines.first().expect("lines"), lines.last().expect("lines"));
    assert_eq!((&first["type"], &first["command"]), (&"opening".into(), &"rehearse".into()));
    assert_eq!(first["configuration"], "./failover.yaml");
    let notes = first["notes"].to_string();
    assert!(notes.contains("nothing to fail over to") && notes.contains("witnesses: none"), "{notes}");
    assert!(lines.iter().any(|line| line["type"] == "event" && line["event"] == "all_down"), "{text}");
    assert!(!lines.iter().any(|line| line["kind"] == "written"), "{text}");
    assert_eq!((&last["type"], &last["kept"]), (&"outcome".into(), &true.into()));
    assert_eq!(last["records"][0]["writes"], 0);
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = failover(folder.path(), &["rehearse", "-o", "jsonl"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // Signals are caught when the play begins.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains("\"killed\"")), "it begins");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    drop(lines);
    wait_until("it ends", LIMIT, || child.try_wait().expect("it can be waited for"));
    let output = child.wait_with_output().expect("its output");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("stopped before its end; nothing of yours was touched"), "{said}");
}

#[test]
fn a_wrong_configuration_is_not_replaced_by_the_example() {
    assert_eq!(rehearse(Some("records: 7"), &[]).status.code(), Some(3));
    assert_eq!(rehearse(None, &["-c", "missing.yaml"]).status.code(), Some(3));
}
