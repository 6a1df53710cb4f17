//! `failover plan` in every state a record can be in: it tells what would be done, and does nothing.

use serde_json::{Value, json};
use testkit::Mode;

use crate::agent::{Done, Site};
use crate::stage::{ALPHA, BETA, PRIMARY, STANDBY, Stage, WWW, Way, on_each};

/// Both forms of the exit code, one report, no write.
fn plan(stage: &Stage, site: &Site, plain: i32, detailed: i32) -> Value {
    let serial = stage.serial();
    site.plan(&[]).ended(plain);
    let done = site.plan(&["--detailed-exitcode"]).ended(detailed);
    assert_eq!(stage.serial(), serial, "a plan wrote");
    fields(&done);
    done.record()
}

/// What a program that reads a plan may rely on.
fn fields(done: &Done) {
    let plan = done.json();
    assert_eq!((&plan["command"], &plan["settled"]), (&json!("plan"), &json!(true)), "{plan:#}");
    assert!(plan["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{plan:#}");
    let record = &plan["records"][0];
    assert_eq!((&record["name"], &record["provider"]), (&json!(WWW), &json!("zone")));
    assert!(record["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{record:#}");
    assert_eq!(record["changes_made"], 0);
    let targets = plan["targets"].as_array().expect("a list");
    assert_eq!(targets.iter().map(|target| &target["name"]).collect::<Vec<_>>(), ["alpha", "beta"]);
    for endpoint in targets.iter().flat_map(|target| target["endpoints"].as_array().expect("a list")) {
        assert!(endpoint["address"].is_string() && endpoint["last"].is_string(), "{endpoint:#}");
        assert_eq!(endpoint["check"], "web");
    }
    assert_eq!(plan["witnesses"], json!([]));
}

/// A failover that is due, as a plan tells it.
fn is_the_failover(record: &Value) {
    assert_eq!(record["status"], "pending", "{record:#}");
    assert_eq!((&record["targets"], &record["values"]), (&json!(["alpha"]), &json!([ALPHA])));
    let change = &record["change"];
    assert_eq!((&change["kind"], &change["targets"]), (&json!("failover"), &json!(["beta"])), "{record:#}");
    assert!(change["effective_by"].is_string(), "{record:#}");
    assert!(change["reason"].as_str().is_some_and(|why| why.contains("refused")), "{record:#}");
    let set = |value| json!({"ttl": 60, "type": "A", "values": [value]});
    assert_eq!(
        change["changes"],
        json!([{"name": WWW, "record_type": "A", "before": set(ALPHA), "after": set(BETA)}])
    );
}

fn without_an_agent(way: Way) {
    let mut stage = Stage::start(way);
    let site = stage.site();
    let record = plan(&stage, &site, 0, 0);
    assert_eq!((&record["status"], &record["targets"]), (&json!("in_sync"), &json!(["alpha"])), "{record:#}");
    stage.backend.set(PRIMARY, &Mode::Closed);
    is_the_failover(&plan(&stage, &site, 0, 5));
    stage.backend.set(STANDBY, &Mode::Closed);
    let record = plan(&stage, &site, 0, 6);
    assert_eq!(record["status"], "holding", "{record:#}");
    // The provider is gone as well.
    let serial = stage.serial();
    stage.server.stop();
    let done = site.plan(&["--deadline", "2s"]).ended(1);
    let record = done.record();
    assert_eq!(record["status"], "failed", "{record:#}");
    assert!(
        record["reason"].as_str().is_some_and(|why| why.contains("cannot reach the provider")),
        "{record:#}"
    );
    stage.server.start_again();
    assert_eq!(stage.serial(), serial);
    assert_eq!(site.files(), ["failover.yaml"], "a plan keeps nothing");
    assert_eq!(stage.gist(), [""; 0], "and tells nobody");
}

#[test]
fn a_plan_without_an_agent_in_every_state() {
    on_each(without_an_agent);
}

fn beside_an_agent(way: Way) {
    let stage = Stage::start(way);
    let site = stage.site();
    let agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    plan(&stage, &site, 0, 0);
    stage.backend.set(PRIMARY, &Mode::Closed);
    stage.wait_until_told("failover.completed");
    let record = plan(&stage, &site, 0, 0);
    assert_eq!((&record["status"], &record["targets"]), (&json!("in_sync"), &json!(["beta"])), "{record:#}");
    assert!(record["last_change"].is_string(), "what the agent did is known: {record:#}");
    stage.publish(&["192.0.2.77"]);
    let record = plan(&stage, &site, 4, 4);
    assert_eq!(record["guard"], "foreign", "{record:#}");
    // The agent saw the same, and a plan beside it disturbed nothing.
    stage.wait_until_told("change.withheld");
    site.wait_for("refused", &[]);
    stage.assert_told("failover.completed", 1);
    agent.terminate();
    // What a dead agent left behind is read, and stays as it is.
    let state = site.state();
    plan(&stage, &site, 4, 4);
    assert_eq!(site.state(), state, "the state file was written");
}

#[test]
fn a_plan_beside_a_running_agent() {
    on_each(beside_an_agent);
}

/// The table for people has the same in words.
#[test]
fn a_plan_for_people_says_what_why_and_when() {
    let stage = Stage::start(Way::Knot);
    let site = stage.site();
    stage.backend.set(PRIMARY, &Mode::Closed);
    let done = site.failover(&["plan"]).ended(0);
    for part in ["a change is due", "failover to beta", "- www.example.test 60 A     127.0.0.10"] {
        assert!(done.out.contains(part), "{part:?} is not in\n{}", done.out);
    }
    for part in ["+ www.example.test 60 A     127.0.0.20", "in every cache", "refused the connection"] {
        assert!(done.out.contains(part), "{part:?} is not in\n{}", done.out);
    }
    assert!(!done.out.contains('\x1b'), "no colour beside a terminal");
}
