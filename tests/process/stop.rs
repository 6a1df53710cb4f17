//! SIGTERM and SIGINT end a running agent within two seconds, whatever hangs; what is being written is finished.

use std::time::Duration;

use testkit::{Bind, DnsServer, FaultProxy, Mode, wait_until};

use crate::agent::Agent;
use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage};

/// Generous for a loaded machine, and shorter than every limit inside the program that it might be waiting for.
const SOON: Duration = Duration::from_secs(8);

fn stops(mut agent: Agent, signal: &str, what: &str) {
    agent.signal(signal);
    assert_eq!(agent.wait(SOON), 0, "{what}, {signal}");
    let stopped = agent.logged("agent.stopped");
    assert_eq!(stopped.len(), 1, "{what}, {signal}: told once: {}", agent.said());
}

/// bad day: agent: asked to stop while something hangs | ends within two seconds; nothing is lost
#[test]
fn a_stop_is_quick_whatever_hangs() {
    let stage = Stage::new();
    stage.edit("timeout: 500ms", "timeout: 60s").edit("interval: 500ms\n    fast", "interval: 60s\n    fast");
    stops(stage.agent(), "TERM", "all is well");
    let told = stage.wait_told("agent.stopped");
    assert_eq!(told["summary"], "the agent was asked to stop; records stay as they are");

    stage.hosts.set(0, &Mode::Hang);
    let asked = stage.hosts.requests(0);
    let agent = stage.start();
    wait_until("a probe that hangs", PATIENCE, || (stage.hosts.requests(0) > asked).then_some(()));
    stops(agent, "INT", "a probe hangs");

    stage.edit(&stage.chat.url("/ops"), &stage.chat.url("/hang"));
    let agent = stage.start();
    wait_until("the agent", PATIENCE, || stage.status());
    stops(agent, "TERM", "the chat hangs");
    // Nothing is lost: it waits for the next start.
    let waiting = stage.run(&["deliveries", "list", "--state", "pending", "-o", "json"]).json();
    let kinds: Vec<&str> =
        waiting.as_array().unwrap().iter().filter_map(|d| d["event"]["type"].as_str()).collect();
    assert!(kinds.contains(&"agent.stopped") && kinds.contains(&"agent.started"), "{kinds:?}");
}

/// The provider is a real server behind a proxy that makes the way to it slow, and then loses its answers.
#[test]
fn what_is_being_written_is_finished_and_told_once() {
    let server = Bind::start(0);
    for (what, then) in [("a slow answer", "mode=ok"), ("a lost answer", "mode=half")] {
        server.set("www.example.test", &[&format!("60 A {PRIMARY}")]);
        let proxy = FaultProxy::start(server.dns());
        let stage = Stage::new();
        let (at, key) = (proxy.address(), server.tsig());
        let tsig = format!("{{name: {}, algorithm: {}, secret: {}}}", key.name, key.algorithm, key.secret);
        let file = format!("{{type: mock, file: {}}}", stage.path("zone.json").display());
        stage.edit(&file, &format!("{{type: rfc2136, server: \"{at}\", tsig: {tsig}}}"));
        let nameservers = format!("    provider: zone\n    nameservers: [\"{}\"]", server.dns());
        stage.edit("    provider: zone", &nameservers).edit("www.workshopco.test", "www.example.test");
        let command = stage.command(&["run", "--log-level", "debug"]);
        let mut agent = Agent::start(command, &stage.path("agent.log"));
        stage.in_sync();
        let serial = server.serial("example.test");

        proxy.set("latency=200");
        stage.kill_primary();
        agent.wait_logged("failover.started");
        proxy.set(then);
        agent.signal("TERM");
        assert_eq!(agent.wait(SOON), 0, "{what}: {}", agent.said());
        wait_until(&format!("{what}: the write to arrive"), PATIENCE, || {
            (server.ask("www.example.test", "A").values() == [STANDBY]).then_some(())
        });

        proxy.set("mode=ok&latency=0");
        let agent = stage.start();
        let told = stage.wait_told("failover.completed");
        assert_eq!(told["after"]["values"][0], STANDBY, "{what}: {told}");
        stage.wait_status("in sync", |status| status["records"][0]["status"] == "in_sync");
        assert_eq!(server.serial("example.test"), serial + 1, "{what}: one write");
        agent.stop();
        assert_eq!(stage.told("failover.completed").len(), 1, "{what}: one message");
    }
}
