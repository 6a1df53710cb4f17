//! A provider that is down at the start, one that never answers, a target that never answers.

use testkit::{Bind, DnsServer, FaultProxy, Mode, Pdns, wait_until};

use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage};

/// A stage whose record is kept by this server, its name servers known.
fn stage_at(server: &dyn DnsServer, provider: &str) -> Stage {
    server.set("www.example.test", &[&format!("60 A {PRIMARY}")]);
    let stage = Stage::new();
    let file = format!("{{type: mock, file: {}}}", stage.path("zone.json").display());
    let nameservers = format!("    provider: zone\n    nameservers: [\"{}\"]", server.dns());
    stage.edit(&file, provider).edit("    provider: zone", &nameservers);
    stage.edit("www.workshopco.test", "www.example.test");
    stage
}

#[test]
fn a_provider_that_is_down_at_the_start_is_tried_again() {
    let server = Pdns::start();
    let proxy = FaultProxy::start(server.url().trim_start_matches("http://").parse().unwrap());
    proxy.set("mode=down");
    let (at, key) = (proxy.address(), server.api_key());
    let stage = stage_at(&server, &format!(r#"{{type: powerdns, url: "http://{at}", api_key: "{key}"}}"#));

    for command in [&["once", "--deadline", "3s"] as &[&str], &["plan", "--deadline", "3s"]] {
        let ended = stage.run(command);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stdout.contains("failed") && ended.stdout.contains(&at.to_string()), "{ended:?}");
        assert!(ended.stdout.contains("refused"), "in plain words: {ended:?}");
    }

    let agent = stage.start();
    let logged = agent.wait_logged("provider.unavailable");
    let message = logged["message"].as_str().unwrap();
    assert!(message.contains("the DNS provider \"zone\" cannot be used"), "which one: {logged}");
    assert!(message.contains(&format!("http://{at}: Connection refused")), "where and why: {logged}");
    stage.wait_status("the fault", |status| status["records"][0]["status"] == "failed");
    let status = stage.run(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    let shown = status.stdout.contains(&at.to_string()) && status.stdout.contains("tried again in");
    assert!(shown, "{status:?}");

    proxy.set("mode=ok");
    stage.wait_told("provider.recovered");
    stage.in_sync();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    assert_eq!(server.ask("www.example.test", "A").values(), [STANDBY]);
    agent.stop();
}

/// bad day: provider: takes connections and never answers | named with its address and the limit; told when it is over
#[test]
fn a_server_that_never_answers_is_named() {
    let server = Bind::start(0);
    let proxy = FaultProxy::start(server.dns());
    proxy.set("mode=blackhole");
    let (at, key) = (proxy.address(), server.tsig());
    let tsig = format!("{{name: {}, algorithm: {}, secret: {}}}", key.name, key.algorithm, key.secret);
    let stage = stage_at(&server, &format!("{{type: rfc2136, server: \"{at}\", tsig: {tsig}, timeout: 1s}}"));

    let once = stage.run(&["once", "--deadline", "4s"]);
    assert_eq!(once.code, 1, "{once:?}");
    assert!(once.stdout.contains(&at.to_string()), "{once:?}");
    // One that takes longer than the whole run may.
    stage.edit("timeout: 1s", "timeout: 60s");
    let once = stage.run(&["once", "--deadline", "2s"]);
    assert_eq!(once.code, 1, "{once:?}");
    assert!(once.stdout.contains("the deadline came before everything was found out"), "{once:?}");
    stage.edit("timeout: 60s", "timeout: 1s");

    let agent = stage.start();
    let logged = agent.wait_logged("provider.unavailable");
    let message = logged["message"].as_str().unwrap();
    assert!(
        message.contains(&at.to_string()) && message.contains("within 1s"),
        "where, and how long: {logged}"
    );
    proxy.set("mode=ok&kill=1");
    stage.wait_told("provider.recovered");
    agent.stop();
}

#[test]
fn a_target_that_never_answers_is_down() {
    let stage = Stage::new();
    let agent = stage.agent();
    stage.hosts.set(0, &Mode::Hang);
    let told = stage.wait_told("failover.completed");
    assert!(told["reason"].as_str().unwrap().contains("no answer within 500ms"), "the limit: {told}");
    stage.wait_published(STANDBY);
    agent.stop();
    // The same seen by cron.
    stage.publish(7, PRIMARY);
    std::fs::remove_file(stage.path("failover.db")).unwrap();
    let once = stage.run(&["once", "--detailed-exitcode"]);
    assert_eq!(once.code, 5, "{once:?}");
    wait_until("the write", PATIENCE, || (stage.zone() == (8, STANDBY.into())).then_some(()));
}
