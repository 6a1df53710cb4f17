//! `failover doctor` on this machine: what is well, and what is not. Real DNS servers are asked in `tests/real/doctor.rs`.

use serde_json::Value;
use testkit::Mode;

use crate::agent::Ended;
use crate::stage::{Stage, text};

/// The findings of one topic.
fn of<'a>(said: &'a Value, check: &str) -> Vec<&'a Value> {
    let all = said["findings"].as_array().expect("a list");
    all.iter().filter(|finding| finding["check"] == check).collect()
}

/// The one finding of this level under this topic.
#[track_caller]
fn one<'a>(said: &'a Value, check: &str, level: &str) -> &'a str {
    let found: Vec<_> = of(said, check).into_iter().filter(|finding| finding["level"] == level).collect();
    assert_eq!(found.len(), 1, "one {level} of {check}: {said:#}");
    if level == "fail" || level == "warn" {
        assert!(found[0]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{said:#}");
    }
    found[0]["text"].as_str().expect("a text")
}

#[track_caller]
fn doctor(stage: &Stage, code: i32, more: &[&str]) -> Value {
    let ended = stage.run(&[&["doctor", "-o", "json"], more].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (code, ""), "{ended:?}");
    let said = ended.json();
    assert_eq!(said["ok"], code == 0, "{said:#}");
    said
}

#[test]
fn a_company_in_good_order_has_nothing_to_fear() {
    let stage = Stage::new();
    let zone = text(&stage.path("zone.json"));
    let said = doctor(&stage, 0, &[]);
    assert_eq!((&said["command"], &said["failed"]), (&"doctor".into(), &0.into()), "{said:#}");
    for check in [
        "state",
        "socket",
        "descriptors",
        "roots",
        "witnesses",
        "provider",
        "record",
        "permission",
        "standby",
        "channels",
    ] {
        one(&said, check, "ok");
    }
    assert_eq!(one(&said, "record", "ok"), "points at toronto (127.0.0.2, TTL 60s)");
    assert_eq!(one(&said, "standby", "ok"), "montreal passes now");
    assert!(one(&said, "channels", "ok").contains("failover notify test"), "{said:#}");
    one(&said, "clock", "skip");
    assert_eq!(text(&stage.path("zone.json")), zone, "nothing was written");
    assert!(stage.chat.received().is_empty(), "nobody was told");
    let mut names: Vec<_> =
        std::fs::read_dir(stage.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["failover.yaml", "zone.json"], "nothing was left behind");
}

#[test]
fn beside_a_running_agent_it_sees_the_agent() {
    let stage = Stage::new();
    let agent = stage.agent();
    let said = doctor(&stage, 0, &["--only", "state", "--only", "socket"]);
    assert_eq!(of(&said, "record").len(), 0, "{said:#}");
    assert_eq!(one(&said, "socket", "ok"), "the agent toronto-1 answers");
    let state = one(&said, "state", "ok");
    assert!(state.contains(&format!("`failover run` (process {})", agent.pid())), "{state}");
    // One that hangs.
    agent.freeze();
    let said = doctor(&stage, 1, &["--only", "socket"]);
    assert!(one(&said, "socket", "fail").contains("nobody answers"), "{said:#}");
    agent.thaw();
    agent.kill();
    let said = doctor(&stage, 0, &["--only", "socket"]);
    assert_eq!(one(&said, "socket", "ok"), "no agent runs here now");
}

#[test]
fn a_state_folder_that_is_not_there_or_a_file_that_is_none() {
    let stage = Stage::new();
    let at = stage.folder.path().display().to_string();
    stage.edit(&format!("state: {at}/failover.db"), &format!("state: {at}/gone/failover.db"));
    let said = doctor(&stage, 1, &["--only", "state"]);
    assert!(one(&said, "state", "fail").contains("does not exist"), "{said:#}");
    std::fs::create_dir(stage.path("gone")).unwrap();
    assert_eq!(doctor(&stage, 0, &["--only", "state"])["failed"], 0);
    std::fs::write(stage.path("gone/failover.db"), "no database at all, but long enough to be taken for one")
        .unwrap();
    let said = doctor(&stage, 1, &["--only", "state"]);
    assert!(one(&said, "state", "fail").contains("damaged"), "{said:#}");
    // Even root cannot write here.
    stage.edit(&format!("state: {at}/gone/failover.db"), "state: /proc/self/failover.db");
    let said = doctor(&stage, 1, &["--only", "state"]);
    let fails = of(&said, "state").iter().any(|finding| finding["level"] == "fail");
    assert!(fails, "{said:#}");
}

#[test]
fn witnesses_that_do_not_answer_and_a_dead_stand_by() {
    let stage = Stage::new();
    stage.hosts.set(2, &Mode::Closed);
    let said = doctor(&stage, 1, &["--only", "witnesses", "--only", "standby"]);
    assert!(one(&said, "witnesses", "fail").contains("none answers"), "{said:#}");
    one(&said, "standby", "ok");
    stage.hosts.set(2, &Mode::Ok);
    stage.hosts.set(1, &Mode::Status(503));
    let said = doctor(&stage, 1, &["--only", "witnesses", "--only", "standby"]);
    one(&said, "witnesses", "ok");
    let why = one(&said, "standby", "fail");
    assert!(why.contains("no stand-by passes now") && why.contains("503"), "{why}");
    // The one that serves is dead: a failover is due, and can happen.
    stage.hosts.set(1, &Mode::Ok);
    stage.kill_primary();
    let said = doctor(&stage, 1, &["--only", "standby"]);
    assert!(one(&said, "standby", "fail").starts_with("toronto serves, and does not pass now: "), "{said:#}");
    one(&said, "standby", "ok");
}

#[test]
fn a_record_that_is_missing_or_somebody_else_s() {
    let stage = Stage::new();
    stage.publish(3, "192.0.2.99");
    let said = doctor(&stage, 1, &["--only", "record"]);
    assert!(one(&said, "record", "fail").contains("192.0.2.99"), "{said:#}");
    std::fs::remove_file(stage.path("zone.json")).unwrap();
    stage.edit("ttl: 60", "zone: workshopco.test\n    ttl: 60");
    let said = doctor(&stage, 1, &["--only", "record", "--only", "provider"]);
    let text = said.to_string();
    assert!(text.contains("does not exist") || text.contains("no zone"), "{said:#}");
}

#[test]
fn it_ends_at_its_deadline_and_says_what_was_not_finished() {
    let stage = Stage::new();
    stage.hosts.set(1, &Mode::Hang);
    stage.edit("    timeout: 500ms", "    timeout: 30s").edit("    interval: 500ms", "    interval: 60s");
    let ended: Ended = stage.run(&["doctor", "--deadline", "1s", "--only", "standby"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("no stand-by passes now"), "{ended:?}");
    assert!(ended.stdout.ends_with("1 line: 1 failed, 0 to look at\n"), "{ended:?}");
}
