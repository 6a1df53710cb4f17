//! The agent's own machine is the trouble: no file descriptor is left, IPv6 is missing, the process stands still.

use std::fmt::Write as _;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use testkit::{Backend, Hosts, Mode, wait_until};

use crate::agent::{Agent, clean};
use crate::private::below;
use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage, WWW};

/// Sets how many file descriptors a running agent may have; what it has it keeps.
fn limit_descriptors(agent: &Agent, limit: u32) {
    let status = Command::new("prlimit")
        .args(["--pid", &agent.pid().to_string(), &format!("--nofile={limit}:")])
        .status()
        .expect("prlimit (util-linux) is there");
    assert!(status.success());
}

/// bad day: agent: no file descriptor is left | blind, told once with the limit to raise; nothing changes; it recovers
#[test]
fn without_file_descriptors_nobody_is_down() {
    let stage = Stage::new();
    let agent = stage.agent();
    limit_descriptors(&agent, 4);
    stage.kill_primary();
    let blind = agent.wait_logged("agent.blind");
    assert!(blind["reason"].as_str().unwrap().contains("raise LimitNOFILE"), "the remedy: {blind}");
    let refused = agent.wait_logged("provider.unavailable");
    assert!(refused["message"].as_str().unwrap().contains("Too many open files"), "{refused}");
    assert_eq!(stage.zone(), (1, PRIMARY.into()));

    limit_descriptors(&agent, 1024);
    stage.wait_told("failover.completed");
    // The socket is there again, and nothing was forgotten: the state file stayed open.
    stage.wait_status("in sync", |status| status["records"][0]["status"] == "in_sync");
    let said = agent.stop();
    assert_eq!(stage.zone(), (2, STANDBY.into()), "one write");
    for kind in ["agent.blind", "agent.sighted", "provider.unavailable", "provider.recovered"] {
        assert_eq!(crate::agent::events(&said, kind).len(), 1, "{kind}: {said}");
    }
    assert_eq!(crate::agent::events(&said, "state.unwritable").len(), 0, "{said}");
    assert!(said.lines().count() < 60, "the log can be read: {said}");
}

/// bad day: agent: no file descriptor is left and there is no witness | targets are unknown, not down: no change
#[test]
fn without_file_descriptors_and_witnesses_targets_are_unknown() {
    let stage = Stage::new();
    let witness = format!("  witnesses: [{{tcp: \"127.0.0.4:{}\"}}]\n", stage.hosts.port());
    stage.edit(&witness, "");
    let agent = stage.agent();
    limit_descriptors(&agent, 4);
    stage.kill_primary();
    wait_until("both unknown", PATIENCE, || {
        let unknown = agent.logged("target.unknown");
        let says = |event: &Value| event["reason"].as_str().is_some_and(|text| text.contains("LimitNOFILE"));
        (unknown.len() == 2 && unknown.iter().all(says)).then_some(())
    });
    assert_eq!((agent.logged("target.down").len(), stage.zone()), (0, (1, PRIMARY.into())));
    limit_descriptors(&agent, 1024);
    stage.wait_told("failover.completed");
    let said = agent.stop();
    assert_eq!(crate::agent::events(&said, "target.unknown").len(), 2, "once each: {said}");
    assert_eq!(stage.zone(), (2, STANDBY.into()), "one write");
}

/// bad day: agent: fewer open files than targets | told at the start with the number needed; probes take turns; it fails over
#[test]
fn fewer_open_files_than_targets_is_said_and_shared_out() {
    let stage = Stage::new();
    let more = (1..=250).fold(String::from("targets:\n"), |mut targets, n| {
        writeln!(targets, "  more{n}: {{address: {STANDBY}, checks: [web]}}").unwrap();
        targets
    });
    stage.edit("targets:\n", &more);
    let agent = Agent::start(below("ulimit -n 200", &stage.command(&["run"])), &stage.path("agent.log"));
    stage.in_sync();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    let said = agent.stop();
    // 252 targets and a witness: one each for a probe and for its pipes, and 128 of its own.
    let warning = "allows 100 probes at a time, and there are 253";
    assert_eq!(said.matches(warning).count(), 1, "{said}");
    assert!(said.contains("raise LimitNOFILE= (ulimit -Hn) to 634"), "{said}");
    assert!(!said.contains("no file descriptor left"), "{said}");
}

/// Longer than three intervals and a time-out of the stage: no verdict of before counts.
const LONG: Duration = Duration::from_secs(4);

/// bad day: agent: SIGSTOP, then SIGCONT | no move on what was known before: a primary that came back meanwhile stays
#[test]
fn a_stopped_process_acts_on_nothing_that_it_knew_before() {
    let stage = Stage::new();
    // Slow enough to be stopped between the first failure and the verdict.
    stage.edit("fast_interval: 50ms", "fast_interval: 400ms");
    let agent = stage.agent();
    stage.kill_primary();
    stage.wait_status("a first failure", |status| {
        let failures = &status["targets"];
        failures.as_array().is_some_and(|all| {
            all.iter().any(|target| target["endpoints"][0]["failures"].as_u64().is_some_and(|n| n > 0))
        })
    });
    agent.freeze();
    let before = stage.zone();
    stage.hosts.set(0, &Mode::Ok);
    sleep(LONG);
    agent.thaw();
    stage.in_sync();
    if before == (1, PRIMARY.into()) {
        assert_eq!(stage.zone(), before, "nothing was written: {}", agent.said());
    }

    // And one that died meanwhile is found out anew.
    agent.freeze();
    let before = stage.zone();
    stage.kill_primary();
    sleep(LONG);
    assert_eq!(stage.zone(), before);
    agent.thaw();
    stage.wait_published(STANDBY);
    agent.stop();
    assert!(stage.told("failover.completed").len() == 1, "one change");
}

/// bad day: agent: its machine has no IPv6 | nothing is known of AAAA targets; IPv4 decides, and only what is known is published
#[test]
fn without_ipv6_a_target_of_both_families_fails_over_by_ipv4_alone() {
    let hosts = Hosts::start();
    let (toronto, montreal) = (["198.18.0.10", "fd00:18::10"], ["198.18.0.11", "fd00:18::11"]);
    let servers =
        Backend::start_there(&hosts, &[toronto[0], toronto[1], montreal[0], montreal[1], "198.18.0.2"]);
    let stage = Stage::new();
    let (was, is) = (stage.hosts.port().to_string(), servers.port().to_string());
    stage.edit(&format!("127.0.0.4:{was}"), &format!("198.18.0.2:{is}"));
    stage.edit(&format!("port: {was}"), &format!("port: {is}"));
    stage.edit(&format!("address: {PRIMARY}"), &format!("address: {toronto:?}"));
    stage.edit(&format!("address: {STANDBY}"), &format!("address: {montreal:?}"));
    let records = serde_json::json!({WWW: [
        {"ttl": 60, "type": "A", "values": [toronto[0]]}, {"ttl": 60, "type": "AAAA", "values": [toronto[1]]}
    ]});
    let zone = serde_json::json!({"zones": {"workshopco.test": {"serial": 1, "records": records}}});
    std::fs::write(stage.path("zone.json"), zone.to_string()).unwrap();

    let here = hosts.here();
    let without = ["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; exec \"$@\"", "sh"];
    let command = stage.command(&["run"]);
    let mut inside = Command::new("setpriv");
    inside.args(["--pdeathsig", "KILL", "--"]).args(&here).args(without);
    inside.arg(command.get_program()).args(command.get_args()).current_dir(stage.folder.path());
    clean(&mut inside);
    let agent = Agent::start(inside, &stage.path("agent.log"));
    stage.wait_status("in sync", |status| {
        let up = |n: usize| status["targets"][n]["verdict"] == "up";
        status["records"][0]["status"] == "in_sync" && up(0) && up(1)
    });
    assert_eq!(agent.logged("failover.completed").len(), 0, "{}", agent.said());

    hosts.set(&["drop", toronto[0]]);
    let done = agent.wait_logged("failover.completed");
    // Nothing is known of montreal's IPv6, so it is not published.
    assert_eq!(done["after"], "montreal (198.18.0.11)", "{done}");
    assert_eq!(stage.zone(), (2, montreal[0].into()));
    let text = std::fs::read_to_string(stage.path("zone.json")).unwrap();
    assert!(!text.contains("AAAA"), "{text}");
    assert_eq!(agent.logged("agent.blind").len(), 0, "{}", agent.said());
    agent.stop();
}
