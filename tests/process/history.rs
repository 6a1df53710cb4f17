//! What happened, and why a record is where it is: asked while an agent runs, and after its end.

use testkit::wait_until;

use crate::stage::{PATIENCE, STANDBY, Stage, WWW};

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn history_beside_a_running_agent_and_after_it() {
    let stage = Stage::new();
    let agent = stage.agent();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    let ended = stage.run(&["history", "-o", "jsonl"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let kinds: Vec<String> =
        lines(&ended.stdout).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds[..4], ["agent.started", "target.down", "failover.started", "failover.completed"]);
    agent.stop();

    let of = |arguments: &[&str]| {
        let ended = stage.run(&[&["history"], arguments].concat());
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stdout
    };
    let record = lines(&of(&["--record", WWW, "-o", "jsonl"]));
    assert!(record.len() >= 2 && record.iter().all(|event| event["record"] == WWW), "{record:?}");
    let target = lines(&of(&["--target", "montreal", "--limit", "1", "-o", "jsonl"]));
    assert_eq!((target.len(), target[0]["type"].as_str()), (1, Some("failover.completed")));
    assert_eq!(lines(&of(&["--limit", "1", "-o", "jsonl"]))[0]["type"], "agent.stopped");
    let whole: Vec<serde_json::Value> = serde_json::from_str(&of(&["--since", "1h", "-o", "json"])).unwrap();
    assert_eq!(whole.len(), kinds.len() + 1);
    assert_eq!(of(&["--since", "2099-01-01"]), "nothing happened that is remembered\n");
    assert_eq!(of(&["--since", "2099-01-01", "-o", "json"]), "[]\n");
    assert!(of(&[]).contains("failover.completed  www.workshopco.test failed over from toronto to montreal"));
    let wrong = stage.run(&["history", "--since", "yesterday"]);
    assert_eq!((wrong.code, wrong.stderr.contains("write 30m, 24h, 7d")), (2, true), "{wrong:?}");
}

#[test]
fn latency_is_kept_by_once_and_by_run() {
    let stage = Stage::new();
    let nothing = stage.run(&["history", "--latency", "toronto"]);
    assert!(nothing.code == 1 && nothing.stderr.contains("no run has left a state"), "{nothing:?}");
    assert_eq!(stage.run(&["plan"]).code, 0);
    assert!(!stage.path("failover.db").exists(), "a plan keeps nothing");
    stage.run(&["once"]);
    let agent = stage.agent();
    wait_until("a probe by the agent", PATIENCE, || {
        let why = stage.run(&["explain", WWW, "-o", "json"]).json();
        let probes = why["targets"][0]["endpoints"][0]["probes"].as_array().map_or(0, Vec::len);
        (probes > 0).then_some(())
    });
    agent.stop();
    let ended = stage.run(&["history", "--latency", "toronto", "-o", "jsonl"]);
    let hours = lines(&ended.stdout);
    let probes: u64 = hours.iter().map(|hour| hour["count"].as_u64().unwrap()).sum();
    assert!(probes >= 2 && hours[0]["endpoint"]["check"] == "web", "{ended:?}");
    assert!(hours[0]["p95_us"].as_u64() <= hours[0]["max_us"].as_u64(), "{ended:?}");
    let table = stage.run(&["history", "--latency", "toronto", "--by", "minute"]).stdout;
    assert!(table.starts_with("UTC ") && table.contains("web 127.0.0.2"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let other = stage.run(&["history", "--latency", "paris"]);
    assert_eq!(other.stdout, "no probe of paris is remembered in that time\n");
}

/// Programs read this: a key that goes breaks them.
const KEYS: [&str; 9] =
    ["source", "agent", "age_s", "time", "record", "guards", "overrides", "targets", "next"];

#[test]
fn explain_with_an_agent_and_without_one() {
    let stage = Stage::new();
    let agent = stage.agent();
    stage.kill_primary();
    stage.wait_published(STANDBY);
    let why = wait_until("the record at rest", PATIENCE, || {
        let why = stage.run(&["explain", WWW, "-o", "json"]).json();
        (why["record"]["status"] == "in_sync").then_some(why)
    });
    for key in KEYS {
        assert!(!why[key].is_null(), "{key}: {why:#}");
    }
    assert_eq!((why["source"].as_str(), why["targets"][1]["serves"].as_bool()), (Some("agent"), Some(true)));
    let endpoint = &why["targets"][0]["endpoints"][0];
    assert_eq!(endpoint["verdict"], "down");
    assert!(endpoint["reason"].as_str().unwrap().contains("refused the connection"), "{endpoint}");
    assert_eq!(endpoint["probes"].as_array().unwrap().last().unwrap()["said"], "fail");
    let table = stage.run(&["explain", WWW]).stdout;
    for part in [
        "in the desired state",
        "montreal (priority 2, serves)  up",
        "toronto is up after 1 more pass",
        "F, the last one",
    ] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    let none = stage.run(&["explain", "other.workshopco.test"]);
    assert!(none.code == 1 && none.stderr.contains("no record other.workshopco.test"), "{none:?}");
    agent.stop();
    let why = stage.run(&["explain", WWW, "-o", "json"]).json();
    assert_eq!(
        (why["source"].as_str(), why["targets"][0]["verdict"].as_str()),
        (Some("state"), Some("down"))
    );
    assert_eq!(why["next"].as_array().map(Vec::len), Some(0), "nobody is there to do it");
    assert!(stage.run(&["explain", WWW]).stdout.contains("without an agent nothing changes"));
}
