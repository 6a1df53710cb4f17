//! `failover doctor` on set-ups of which each is broken in one way: it finds that, names it with a remedy, and changes nothing.

use std::sync::Arc;

use serde_json::Value;
use testkit::{Bind, DnsServer, Knot, Mode, Pdns, ZONE, ask, wait_until};

use crate::agent::{PATIENCE, Site};
use crate::arrival::Shared;
use crate::stage::{ALPHA, STANDBY, Stage, WWW, Way, on_each};

/// What doctor says; the record, the serial and the folder stay as they are.
#[track_caller]
fn doctor(stage: &Stage, site: &Site, code: i32) -> Value {
    let before = (stage.serial(), stage.server.ask(WWW, "A").records, site.files());
    let done = site.failover(&["doctor", "-o", "json"]).ended(code);
    assert_eq!(
        (stage.serial(), stage.server.ask(WWW, "A").records, site.files()),
        before,
        "doctor changed something"
    );
    assert!(stage.gist().is_empty(), "doctor told somebody");
    done.json()
}

/// The texts of the findings of one topic and level.
fn texts(said: &Value, check: &str, level: &str) -> Vec<String> {
    let all = said["findings"].as_array().expect("a list");
    let those = all.iter().filter(|finding| finding["check"] == check && finding["level"] == level);
    those.map(|finding| finding["text"].as_str().expect("a text").to_owned()).collect()
}

/// Only this failed: its text, which comes with a remedy.
#[track_caller]
fn the_one_fault(said: &Value, check: &str) -> String {
    let all = said["findings"].as_array().expect("a list");
    let failed: Vec<&Value> = all.iter().filter(|finding| finding["level"] == "fail").collect();
    assert!(failed.iter().all(|finding| finding["check"] == check), "{failed:#?}");
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(failed[0]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{failed:#?}");
    failed[0]["text"].as_str().expect("a text").to_owned()
}

/// What is well, on every provider, is said to be well.
fn nothing_is_broken(way: Way) {
    let stage = Stage::start(way);
    let said = doctor(&stage, &stage.site(), 0);
    assert_eq!(
        texts(&said, "provider", "ok"),
        [format!("answers, takes the credentials, serves the zone {ZONE}")]
    );
    assert_eq!(texts(&said, "record", "ok"), [format!("points at alpha ({ALPHA}, TTL 60s)")]);
    assert_eq!(texts(&said, "standby", "ok"), ["beta passes now"]);
    let serial = stage.serial();
    assert_eq!(texts(&said, "servers", "ok").len(), 1, "{said:#}");
    assert!(texts(&said, "servers", "ok")[0].ends_with(&format!("serial {serial}")), "{said:#}");
    let by_http = way == Way::PowerDnsHttp;
    assert_eq!(texts(&said, "permission", if by_http { "skip" } else { "ok" }).len(), 1, "{said:#}");
    assert_eq!(texts(&said, "clock", if by_http { "skip" } else { "ok" }).len(), 1, "{said:#}");
}

#[test]
fn nothing_is_broken_and_nothing_fails() {
    on_each(nothing_is_broken);
}

fn wrong_secret(way: Way) {
    let mut stage = Stage::start(way);
    let wrong = stage.spoil_the_secret();
    let said = doctor(&stage, &stage.site(), 1);
    let why = the_one_fault(&said, "provider");
    let clue = if way == Way::PowerDnsHttp { "check `api_key`" } else { "TSIG key failover-key" };
    assert!(why.contains(clue), "{why}");
    assert!(!said.to_string().contains(wrong), "the secret is printed");
}

#[test]
fn a_wrong_secret_is_found() {
    on_each(wrong_secret);
}

#[test]
fn a_frozen_secondary_is_named() {
    let bind = Arc::new(Bind::start(2));
    let secondaries = bind.secondaries();
    let mut stage = Stage::around(Shared(Arc::clone(&bind)));
    stage.nameservers.extend(&secondaries);
    for secondary in &secondaries {
        wait_until("the secondaries have the record", PATIENCE, || {
            ask(*secondary, WWW, "A").is_ok_and(|reply| reply.values() == [ALPHA]).then_some(())
        });
    }
    let site = stage.site();
    let said = doctor(&stage, &site, 0);
    assert!(texts(&said, "servers", "ok")[0].starts_with("all 3 answer"), "{said:#}");
    bind.freeze_secondary(1);
    let why = the_one_fault(&doctor(&stage, &site, 1), "servers");
    bind.thaw_secondary(1);
    assert!(why.contains(&secondaries[1].to_string()) && why.contains("does not answer"), "{why}");
}

#[test]
fn servers_that_disagree_or_are_lame_are_named() {
    let other = Knot::start();
    other.set(WWW, &["60 A 192.0.2.66"]);
    let mut stage = Stage::start(Way::Bind);
    stage.nameservers.push(other.dns());
    let why = the_one_fault(&doctor(&stage, &stage.site(), 1), "servers");
    assert!(why.contains(&other.dns().to_string()) && why.contains("serves 192.0.2.66"), "{why}");

    let stranger = Pdns::start_with(&[("PDNS_ZONES", "other.test")]);
    *stage.nameservers.last_mut().expect("pushed") = stranger.dns();
    let why = the_one_fault(&doctor(&stage, &stage.site(), 1), "servers");
    assert!(why.contains(&stranger.dns().to_string()) && why.contains("lame"), "{why}");
}

fn update_not_permitted(stage: &Stage, site: &Site) {
    let said = doctor(stage, site, 1);
    let why = the_one_fault(&said, "permission");
    assert!(why.contains("refuses"), "{why}");
    assert_eq!(texts(&said, "provider", "ok").len(), 1, "the key is right, and may read: {said:#}");
}

/// A key that may change another name only is tried in the tests of the providers.
#[test]
fn a_server_that_takes_no_updates_is_found_without_one() {
    let bind = Arc::new(Bind::start(1));
    let secondary = bind.secondaries()[0];
    let stage = Stage::around(Shared(Arc::clone(&bind)));
    wait_until("the secondary has the record", PATIENCE, || {
        ask(secondary, WWW, "A").is_ok_and(|reply| reply.values() == [ALPHA]).then_some(())
    });
    let config = stage.config().replace(&bind.dns().to_string(), &secondary.to_string());
    update_not_permitted(&stage, &Site::new(&config));
}

#[test]
fn an_update_that_powerdns_does_not_permit_is_found_without_one() {
    let pdns = Arc::new(Pdns::start());
    let stage = Stage::around(SharedPdns(Arc::clone(&pdns)));
    let path = format!("/zones/{ZONE}./metadata/TSIG-ALLOW-DNSUPDATE");
    let other = serde_json::json!({"kind": "TSIG-ALLOW-DNSUPDATE", "metadata": ["another-key"]});
    let (status, body) = pdns.api("PUT", &path, Some(&other));
    assert_eq!(status, 200, "{body}");
    update_not_permitted(&stage, &stage.site());
}

fn missing_or_foreign(way: Way) {
    let stage = Stage::start(way);
    let site = stage.site();
    stage.publish(&["192.0.2.99"]);
    let why = the_one_fault(&doctor(&stage, &site, 1), "record");
    assert!(why.contains("192.0.2.99") && why.contains("no target's"), "{why}");
    stage.publish(&[]);
    let why = the_one_fault(&doctor(&stage, &site, 1), "record");
    assert!(why.contains("does not exist"), "{why}");
}

#[test]
fn a_record_that_is_missing_or_somebody_else_s_is_found() {
    on_each(missing_or_foreign);
}

#[test]
fn a_dead_stand_by_is_found() {
    let stage = Stage::start(Way::Knot);
    stage.backend.set(STANDBY, &Mode::Closed);
    let why = the_one_fault(&doctor(&stage, &stage.site(), 1), "standby");
    assert!(
        why.contains("no stand-by passes now") && why.contains("beta") && why.contains("refused"),
        "{why}"
    );
}

#[test]
fn a_dead_provider_is_one_fault_and_not_five() {
    let mut stage = Stage::start(Way::Bind);
    stage.server.stop();
    let done = stage.site().failover(&["doctor", "-o", "json"]).ended(1);
    let said = done.json();
    assert!(the_one_fault(&said, "provider").contains("cannot reach the provider"), "{said:#}");
    stage.server.start_again();
}

/// The server of the stage, kept by the test as well for its API.
struct SharedPdns(Arc<Pdns>);

impl DnsServer for SharedPdns {
    fn label(&self) -> &'static str {
        self.0.label()
    }
    fn dns(&self) -> std::net::SocketAddr {
        self.0.dns()
    }
    fn tsig(&self) -> testkit::Tsig {
        self.0.tsig()
    }
    fn pid(&self) -> String {
        self.0.pid()
    }
    fn stop(&self) {
        self.0.stop();
    }
    fn start_again(&mut self) {
        unreachable!("this story does not stop its server");
    }
}
