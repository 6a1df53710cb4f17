//! After a write every authoritative server is asked, and the one that lags is named.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use testkit::{Bind, DnsServer, Mode, ask, wait_until};

use crate::agent::PATIENCE;
use crate::stage::{ALPHA, BETA, PRIMARY, Stage, WWW};

/// The servers of an event, with whether they were seen to serve the change.
fn servers(event: &Value) -> Vec<(String, bool)> {
    let text = |server: &Value| server["server"].as_str().expect("a name").to_owned();
    let all = event["servers"].as_array().expect("a list");
    let mut servers: Vec<_> = all.iter().map(|server| (text(server), server["at"].is_string())).collect();
    servers.sort();
    servers
}

fn expected(addresses: &[SocketAddr], behind: Option<SocketAddr>) -> Vec<(String, bool)> {
    let mut servers: Vec<_> =
        addresses.iter().map(|address| (address.to_string(), Some(*address) != behind)).collect();
    servers.sort();
    servers
}

fn time(value: &Value) -> jiff::Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no time: {value}"))
}

/// Caches can hold the old answer for its TTL, a minute, from when the last server gave it out.
fn in_a_minute_of_the_last(event: &Value) {
    let all = event["servers"].as_array().expect("a list");
    let last = all.iter().map(|server| time(&server["at"])).max().expect("some");
    let after = time(&event["effective_by"]).duration_since(last).as_millis();
    assert!((59_999..61_000).contains(&after), "{after} ms after the last server: {event:#}");
}

fn serves(server: SocketAddr, value: &str) -> bool {
    ask(server, WWW, "A").is_ok_and(|reply| reply.values() == [value])
}

/// bad day: name servers: a real secondary is frozen | named as slow until it has caught up
#[test]
fn each_server_is_named_and_a_frozen_one_is_told_until_it_has_caught_up() {
    let bind = std::sync::Arc::new(Bind::start(2));
    let secondaries = bind.secondaries();
    let mut stage = Stage::around(Shared(std::sync::Arc::clone(&bind)));
    stage.nameservers.extend(&secondaries);
    let all = stage.nameservers.clone();
    let site = stage.site();
    for secondary in &secondaries {
        wait_until("the secondaries have the record", PATIENCE, || serves(*secondary, ALPHA).then_some(()));
    }
    let agent = site.run();
    site.wait_for("in_sync", &["alpha"]);

    // The way there, with both secondaries alive.
    stage.backend.set(PRIMARY, &Mode::Closed);
    let failover = stage.wait_until_told("failover.completed");
    let event = stage.wait_until_told("propagation.completed");
    assert_eq!(servers(&event), expected(&all, None), "{event:#}");
    assert!(time(&event["effective_by"]) >= time(&failover["effective_by"]), "{event:#}");
    in_a_minute_of_the_last(&event);
    assert!(all.iter().all(|server| serves(*server, BETA)), "told too early");
    stage.assert_told("propagation.slow", 0);

    // The way back, with one of them frozen.
    bind.freeze_secondary(1);
    stage.backend.set(PRIMARY, &Mode::Ok);
    stage.wait_until_told("failback.completed");
    let slow = wait_until("propagation.slow", PATIENCE + Duration::from_secs(30), || {
        stage.told("propagation.slow").into_values().next()
    });
    assert_eq!(servers(&slow), expected(&all, Some(secondaries[1])), "{slow:#}");
    let summary = slow["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("1 of 3") && summary.contains(&secondaries[1].to_string()), "{summary}");
    stage.assert_told("propagation.completed", 1);
    bind.thaw_secondary(1);
    wait_until("propagation.completed again", PATIENCE, || {
        (stage.told("propagation.completed").len() == 2).then_some(())
    });
    assert!(all.iter().all(|server| serves(*server, ALPHA)), "told too early");
    let late = stage.told("propagation.completed").into_values().next_back().expect("told");
    in_a_minute_of_the_last(&late);
    assert!(slow.get("effective_by").is_none(), "nobody knows yet: {slow:#}");
    stage.assert_told("drift.detected", 0);
    agent.terminate();
}

/// The server of the stage, kept by the test as well for what only this kind of server can do.
pub(crate) struct Shared<S>(pub(crate) std::sync::Arc<S>);

impl<S: DnsServer> DnsServer for Shared<S> {
    fn label(&self) -> &'static str {
        self.0.label()
    }
    fn dns(&self) -> SocketAddr {
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
