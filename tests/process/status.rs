//! What can be asked of an agent, and of what it left behind; and the one thing that it can be told.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::Mode;

use crate::stage::{PRIMARY, STANDBY, Stage, WWW};

/// Every key of a document with the kind of its value, in the form `.records[].name string`.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| keys(value, &format!("{path}.{name}"), found));
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, &format!("{path}[]"), found)),
        Value::String(_) => drop(found.insert(format!("{path} string"))),
        Value::Number(_) => drop(found.insert(format!("{path} number"))),
        Value::Bool(_) => drop(found.insert(format!("{path} boolean"))),
        Value::Null => drop(found.insert(format!("{path} null"))),
    }
}

/// Programs read this: a key that goes or changes its kind breaks them.
const KEYS: &str = "\
.age_s number
.agent string
.pending_deliveries number
.probe_delays[].count number
.probe_delays[].within_us number
.records[].changes_made number
.records[].effective_by string
.records[].last_change string
.records[].name string
.records[].provider string
.records[].reason string
.records[].status string
.records[].targets[] string
.records[].ttl number
.records[].values[] string
.source string
.started string
.targets[].endpoints[].address string
.targets[].endpoints[].check string
.targets[].endpoints[].failures number
.targets[].endpoints[].last string
.targets[].endpoints[].outcome string
.targets[].endpoints[].passes number
.targets[].endpoints[].reason string
.targets[].endpoints[].verdict string
.targets[].name string
.targets[].since string
.targets[].verdict string
.time string
.version string
.witnesses[].name string
.witnesses[].seen boolean
";

#[test]
fn status_with_an_agent_and_without_one() {
    let stage = Stage::new();
    let nothing = stage.run(&["status"]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
    assert!(nothing.stderr.contains("none is running, and no run has left a state"), "{nothing:?}");

    let agent = stage.agent();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    stage.wait_status("all asked", |s| s["witnesses"][0]["seen"] == true && s["pending_deliveries"] == 0);
    let text = stage.run(&["status"]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    for part in [
        "toronto-1, running since",
        &format!("{WWW}  in the desired state"),
        &format!("montreal ({STANDBY}, TTL 60 s)"),
        "effective everywhere by",
        "toronto   down since",
        "refused the connection",
        "witness 127.0.0.4:",
    ] {
        assert!(text.stdout.contains(part), "{part}: {text:?}");
    }
    let json = stage.run(&["status", "-o", "json"]).json();
    let mut found = BTreeSet::new();
    keys(&json, "", &mut found);
    let expected: BTreeSet<String> = KEYS.lines().map(ToOwned::to_owned).collect();
    assert_eq!(found, expected, "{json:#}");
    assert_eq!(json["source"], "agent");

    agent.stop();
    let text = stage.run(&["status"]);
    assert!(text.stdout.contains("this is what the last run left"), "{text:?}");
    assert!(text.stdout.contains("ago") && text.stdout.contains("montreal"), "{text:?}");
    let json = stage.run(&["status", "-o", "json"]).json();
    assert_eq!(json["source"], "state", "{json}");
    assert!(json["age_s"].is_number() && json["started"].is_null(), "{json}");
    assert_eq!(json["records"][0]["targets"][0], "montreal", "{json}");
    assert_eq!(json["targets"][1]["name"], "toronto", "{json}");
    assert_eq!(json["targets"][1]["verdict"], "down", "as it was left: {json}");
}

#[test]
fn a_person_takes_the_record_back() {
    let stage = Stage::new();
    assert_eq!(stage.run(&["failback", WWW]).code, 1, "there is no agent to tell");
    let agent = stage.agent();
    stage.kill_primary();
    let told = stage.wait_told("failover.completed");
    let next = told["next"].as_str().unwrap();
    assert!(next.contains(&format!("failover failback {WWW}")), "what a person can do: {told}");
    stage.hosts.set(0, &Mode::Ok);
    stage.in_sync();
    assert_eq!(stage.zone(), (2, STANDBY.into()), "it waits for a person");

    let unknown = stage.run(&["failback", "mail.workshopco.test"]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(unknown.stderr.contains("no record mail.workshopco.test is configured"), "{unknown:?}");
    let back = stage.run(&["failback", WWW]);
    assert_eq!(back.code, 0, "{back:?}");
    let told = stage.wait_told("failback.completed");
    assert!(told["reason"].as_str().unwrap().contains("a person asked"), "{told}");
    assert_eq!(stage.zone(), (3, PRIMARY.into()));
    // Again: nothing left to do.
    assert_eq!(stage.run(&["failback", WWW]).code, 0);
    agent.stop();
    assert_eq!(stage.zone(), (3, PRIMARY.into()));
}
