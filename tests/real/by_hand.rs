//! A person works on the zone while the agent runs, or before a run from cron: deletes the record, makes it an alias,
//! adds a value, changes its TTL, moves the whole zone away.

use testkit::{Bind, Pdns, wait_until};

use crate::agent::{PATIENCE, Site};
use crate::stage::{ALPHA, BETA, Stage, WWW, Way, on_each};

/// The record as the server has it: `60 A 127.0.0.10`.
fn record(stage: &Stage) -> Vec<String> {
    let reply = stage.server.ask(WWW, "A");
    let short = |line: &String| line.split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    reply.records.iter().map(short).collect()
}

/// What a person makes of the record, and what is never done about it but told with this remedy.
const LEFT: [(&[&str], &str, &str); 3] = [
    (&[], "foreign", "`create: true`"),
    (&["60 CNAME shop.example.net."], "foreign", r#"adopt: ["shop.example.net"]"#),
    (&["60 A 127.0.0.10", "60 A 192.0.2.77"], "foreign", r#"adopt: ["192.0.2.77"]"#),
];

fn left_alone(way: Way) {
    let stage = Stage::start(way);
    let site = stage.site();
    let agent = site.run();
    for (round, (records, guard, remedy)) in LEFT.into_iter().enumerate() {
        stage.publish(&[ALPHA]);
        site.wait_for("in_sync", &["alpha"]);
        stage.server.set(WWW, records);
        let serial = stage.serial();
        wait_until(&format!("the agent tells of {records:?}"), PATIENCE, || {
            let told = stage.told("change.withheld");
            let of_this = told.values().any(|event| {
                event["guard"] == guard && event["remedy"].as_str().is_some_and(|text| text.contains(remedy))
            });
            of_this.then_some(())
        });
        wait_until("it stays refused", PATIENCE, || {
            (site.status()?["records"][0]["status"] == "refused").then_some(())
        });
        assert_eq!(stage.serial(), serial, "nothing was written: {records:?}");
        stage.assert_told("change.withheld", round + 1);
    }
    agent.terminate();
    stage.assert_told("adjust.completed", 0);

    // The same for cron.
    for (records, guard, remedy) in LEFT {
        stage.server.set(WWW, records);
        let serial = stage.serial();
        let done = site.once(&[]).ended(4);
        assert_eq!(done.record()["guard"], guard, "{done:?}");
        assert!(done.record()["remedy"].as_str().is_some_and(|text| text.contains(remedy)), "{done:?}");
        assert_eq!(stage.serial(), serial, "nothing was written: {records:?}");
    }
}

/// bad day: record: deleted, made an alias or given a second value on a real server | left as it is; told once, with the line
#[test]
fn a_record_that_is_deleted_made_an_alias_or_given_a_value_is_left_alone() {
    on_each(left_alone);
}

fn another_ttl(way: Way) {
    let stage = Stage::start(way);
    let site = stage.site();
    let agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    let serial = stage.serial();
    stage.server.set(WWW, &["86400 A 127.0.0.10"]);
    let event = stage.wait_until_told("adjust.completed");
    assert_eq!(
        (record(&stage), stage.serial()),
        (vec!["60 A 127.0.0.10".to_owned()], serial + 2),
        "{event:#}"
    );
    site.wait_for("in_sync", &["alpha"]);
    agent.terminate();
    stage.assert_told("adjust.completed", 1);

    // A second time, by cron.
    stage.server.set(WWW, &["30 A 127.0.0.10"]);
    site.once(&["--detailed-exitcode"]).ended(5);
    assert_eq!(record(&stage), ["60 A 127.0.0.10"]);
    site.once(&["--detailed-exitcode"]).ended(0);
}

/// bad day: record: its TTL is changed by hand on a real server | put right with one write, by `run` and by `once`
#[test]
fn a_ttl_that_is_changed_by_hand_is_put_right() {
    on_each(another_ttl);
}

/// The zone goes and comes back, and meanwhile the primary dies.
fn moved_away(stage: &Stage, site: &Site, remove: impl Fn(), bring_back: impl Fn()) {
    let agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    remove();
    let event = stage.wait_until_told("provider.unavailable");
    println!("{}", event["summary"]);
    site.wait_for("failed", &["alpha"]);
    let once = site.plan(&["--deadline", "2s"]).ended(1);
    assert_eq!(once.record()["status"], "failed", "{once:?}");
    stage.backend.set(crate::stage::PRIMARY, &testkit::Mode::Closed);
    stage.wait_until_told("target.down");
    bring_back();
    stage.wait_for_answer(BETA);
    stage.wait_until_told("provider.recovered");
    stage.wait_until_told("failover.completed");
    agent.terminate();
    for kind in ["provider.unavailable", "provider.recovered", "failover.completed"] {
        stage.assert_told(kind, 1);
    }
}

/// bad day: zone: it is moved away from the server | told once; picked up when it is back, and what is due is done
#[test]
fn a_zone_that_is_moved_away_is_told_once_and_picked_up_when_it_is_back() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let server = std::sync::Arc::new(Bind::start(0));
            let stage = Stage::around(crate::arrival::Shared(std::sync::Arc::clone(&server)));
            let site = stage.site();
            moved_away(&stage, &site, || server.serve_zone(false), || server.serve_zone(true));
        });
        scope.spawn(|| {
            let server = std::sync::Arc::new(Pdns::start());
            let shared = crate::arrival::Shared(std::sync::Arc::clone(&server));
            let stage = Stage::around_http(shared, &server);
            let site = stage.site();
            let zone = "/zones/example.test.";
            let saved: serde_json::Value =
                serde_json::from_str(&server.api("GET", zone, None).1).expect("JSON");
            let again = serde_json::json!({
                "name": saved["name"], "kind": "Native", "nameservers": [],
                "soa_edit_api": saved["soa_edit_api"], "rrsets": saved["rrsets"],
            });
            moved_away(
                &stage,
                &site,
                || assert_eq!(server.api("DELETE", zone, None).0, 204),
                || {
                    let (status, body) = server.api("POST", "/zones", Some(&again));
                    assert_eq!(status, 201, "{body}");
                },
            );
        });
    });
}
