//! What a target makes of its checks: changes of its own, its host name, how many must pass.

use std::sync::Arc;
use std::time::Duration;

use failover::config::Config;
use failover::decision::Require;
use failover::probe::{Check, CheckKind};

use super::parse;

fn config(checks: &str, targets: &str) -> Config {
    let text = format!(
        "checks: {{ping: {{tcp: {{port: 22}}}}, {checks}}}\ntargets: {{{targets}}}\nproviders: {{zone: {{type: mock}}}}\n\
         records: [{{name: www.example.com, provider: zone, targets: [a, b]}}]\n"
    );
    parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn check<'c>(config: &'c Config, target: &str, check: &str) -> &'c Arc<Check> {
    &config.targets[&target.into()].checks[&check.into()].0
}

#[test]
fn a_check_is_shared_and_one_target_changes_some_of_it() {
    let config = config(
        "web: {http: {path: /up, port: 8080, status: 204}, interval: 20s, timeout: 2s, fall: 4}",
        "a: {address: 192.0.2.1, checks: [ping, web]}, \
         b: {address: 192.0.2.2, checks: [ping, {web: {interval: 30s, fall: 2, http: {port: 8443}}}]}",
    );
    assert!(Arc::ptr_eq(check(&config, "a", "ping"), check(&config, "b", "ping")), "one check, shared");
    assert!(!Arc::ptr_eq(check(&config, "a", "web"), check(&config, "b", "web")));
    let of = |target: &str| {
        let (check, thresholds) = &config.targets[&target.into()].checks[&"web".into()];
        let CheckKind::Http(http) = &check.kind else { panic!("{check:?}") };
        (http.port, http.path.clone(), http.status[0].first, check.interval, check.timeout, thresholds.fall)
    };
    let seconds = Duration::from_secs;
    assert_eq!(of("a"), (8080, "/up".into(), 204, seconds(20), seconds(2), 4));
    assert_eq!(of("b"), (8443, "/up".into(), 204, seconds(30), seconds(2), 2), "what is not changed stays");
}

#[test]
fn without_a_name_of_its_own_a_check_asks_for_the_host_name() {
    let config = config(
        "web: {http: {}}, shop: {http: {host: shop.example.com, port: 81}}, odd: {http: {port: 81}}, \
         lock: {tls: {port: 443}}, health: {grpc: {port: 50051}}",
        "a: {address: dr.example.net, checks: [web, shop, odd, lock, health]}, b: {address: b.example.net, checks: ping}",
    );
    let name = |id: &str| match &check(&config, "a", id).kind {
        CheckKind::Http(http) => http.host.clone(),
        CheckKind::Tls(tls) => tls.sni.clone(),
        CheckKind::Grpc(grpc) => grpc.host.clone(),
        other => panic!("{other:?}"),
    };
    let names = ["web", "shop", "odd", "lock", "health"].map(|id| name(id).unwrap_or_default());
    let expected =
        ["dr.example.net", "shop.example.com", "dr.example.net:81", "dr.example.net", "dr.example.net:50051"];
    assert_eq!(names, expected);
}

#[test]
fn how_many_checks_must_pass() {
    let require = |written: &str| {
        let targets = format!(
            "a: {{address: 192.0.2.1, checks: [ping, web]{written}}}, b: {{address: 192.0.2.2, checks: ping}}"
        );
        config("web: {http: {}}", &targets).targets[&"a".into()].require
    };
    assert_eq!(require(""), Require::All);
    assert_eq!(require(", require: all"), Require::All);
    assert_eq!(require(", require: any"), Require::Any);
    assert_eq!(require(", require: 2"), Require::AtLeast(2));
}
