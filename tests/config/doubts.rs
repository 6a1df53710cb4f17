//! What is doubtful: each doubt is told at its place, and a file without doubts has none.

use super::parse;

/// A configuration that nobody doubts, one thing a line.
const SOUND: &str = "\
agent:
  witnesses: [{tcp: \"1.1.1.1:443\"}, {tcp: \"9.9.9.9:443\"}]
checks:
  web: {http: {path: /healthz, tls: true, host: www.example.com}}
  ssh: {tcp: {port: 22}}
targets:
  a: {address: 192.0.2.1, checks: web}
  b: {address: 192.0.2.2, checks: [web, ssh]}
providers:
  zone: {type: rfc2136, server: \"203.0.113.53:53\"}
records:
  - {name: www.example.com, provider: zone, targets: [a, b]}
notify:
  channels: {log: {type: log}}
  routes: [{channel: log}]
";

/// The warnings of `SOUND` with one thing written otherwise, `failover.yaml:` left out.
fn doubts(from: &str, to: &str) -> Vec<String> {
    assert!(SOUND.contains(from), "`{from}` is not in the sound configuration");
    let config = parse(&SOUND.replacen(from, to, 1)).unwrap_or_else(|errors| panic!("{errors}"));
    config.warnings.iter().map(|w| w.to_string().trim_start_matches("failover.yaml:").to_owned()).collect()
}

#[test]
fn a_sound_configuration_has_no_doubts() {
    assert_eq!(doubts("", ""), [""; 0]);
}

#[test]
fn every_doubt_is_told_once_at_its_place_and_with_a_remedy() {
    let table: &[(&str, &str, &str)] = &[
        // Who is asked whether we are cut off.
        ("  witnesses: [{tcp: \"1.1.1.1:443\"}, {tcp: \"9.9.9.9:443\"}]", "  id: x", "1:1: no witnesses: "),
        (
            "9.9.9.9:443",
            "192.0.2.2:443",
            "2:37: the witness 192.0.2.2 is an address of the target `b` and proves",
        ),
        // Secrets.
        (
            "{tcp: {port: 22}}",
            "{exec: {command: [/bin/x, --password, \"hunter2\"]}}",
            "5:25: an argument of `ssh` is a secret, and every user of this machine sees it",
        ),
        // Names that nothing refers to.
        (
            "checks: [web, ssh]",
            "checks: [web]",
            "5:3: the check `ssh` is used by no target; name it in a target",
        ),
        (
            "records:\n",
            "  spare: {type: mock}\nrecords:\n",
            "11:3: the provider `spare` is used by no record",
        ),
        (
            "providers:\n",
            "  c: {address: 192.0.2.9, checks: web}\nproviders:\n",
            "9:3: the target `c` is used by no record",
        ),
        (
            "{log: {type: log}}",
            "{log: {type: log}, quiet: {type: slack, url: \"https://chat.example/1\"}}",
            "14:32: the channel `quiet` is used by no route",
        ),
        // How soon a check judges.
        (
            "{tcp: {port: 22}}",
            "{tcp: {port: 22}, fall: 1}",
            "5:32: a single failed probe of `ssh` makes a target Down; one lost",
        ),
        (
            "agent:\n",
            "agent:\n  startup_grace: 5s\n",
            "2:18: startup_grace 5s is over before `web` can find a dead target Down, which takes 9s; write `startup_grace: 9s`",
        ),
        (
            "{tcp: {port: 22}}",
            "{tcp: {port: 22}, timeout: 10s, fall: 4}",
            "5:3: startup_grace 30s is over before `ssh` can find",
        ),
        // Settings that contradict each other.
        ("tls: true, ", "port: 443, ", "4:38: `web` speaks plain HTTP to port 443; add `tls: true`"),
        ("tls: true,", "tls: true, port: 80,", "4:49: `web` speaks TLS to port 80; remove `port`"),
        (
            ", host: www.example.com",
            "",
            "4:37: `web` asks for a certificate for the target's bare address; add `host",
        ),
        ("path: /healthz", "path: /healthz, max_body: 1MiB", "4:42: `max_body` of `web` has no effect"),
        (
            "targets: [a, b]",
            "targets: [a, b], failback: {mode: manual, after: 1m}",
            "12:94: `after` has no effect with `mode: manual`",
        ),
        (
            "ssh: {tcp: {port: 22}}\ntargets:\n  a: {address: 192.0.2.1, checks: web}\n  b: {address: 192.0.2.2,",
            "ssh: {tcp: {port: 22}, tripwire: true}\ntargets:\n  a: {address: a.example, checks: web}\n  b: {address: b.example,",
            "5:36: the tripwire of `ssh` has no effect: its targets have host names; write their addresses",
        ),
        // What the agent leans on.
        (
            "203.0.113.53:53",
            "192.0.2.1:53",
            "10:33: the provider `zone` runs on the target `a`: it dies with it",
        ),
        (
            "{type: rfc2136, server: \"203.0.113.53:53\"}",
            "{type: powerdns, url: \"https://WWW.example.com/\", api_key: x}",
            "10:31: the provider `zone` is reached through www.example.com, a record that it may change",
        ),
        (
            "{type: rfc2136, server: \"203.0.113.53:53\"}",
            "{type: powerdns, url: \"http://203.0.113.1:8081/\", api_key: x}",
            "10:31: the API key travels unencrypted to another machine; use https",
        ),
        (
            "{type: log}",
            "{type: slack, url: \"https://www.example.com/hook\"}",
            "14:14: the channel `log` is reached through www.example.com",
        ),
        (
            "{type: log}",
            "{type: webhook, url: \"https://192.0.2.2/hook\"}",
            "14:14: the channel `log` runs on the target `b`",
        ),
        (
            "{tcp: {port: 22}}",
            "{exec: {command: [/bin/check, -H, www.example.com]}}",
            "5:25: `ssh` probes through www.example.com, the record that it decides about",
        ),
        (
            "{tcp: {port: 22}}",
            "{exec: {command: [/bin/check, \"--url=https://www.example.com/\"]}}",
            "5:25: `ssh` probes through",
        ),
        // Records.
        ("targets: [a, b]", "targets: [b]", "7:3: the target `a` is used by no record"),
        ("targets: [a, b]", "targets: [a, b], ttl: 86400", "12:67: with a TTL of 86400s"),
        (
            "targets: [a, b]",
            "targets: [a, b], hold_down: 10s",
            "12:73: hold_down 10s is shorter than the TTL, 1m",
        ),
        (
            "targets: [a, b]",
            "targets: [a, b], adopt: [192.0.2.1]",
            "12:69: 192.0.2.1 is a target's own address: www.example.com need not adopt it; remove it",
        ),
        (
            "address: 192.0.2.2",
            "address: 192.0.2.1",
            "12:54: www.example.com: the targets `a` and `b` share the address 192.0.2.1; they fail together",
        ),
        (
            "address: 192.0.2.2",
            "address: \"2001:db8::2\"",
            "8:3: www.example.com has no IPv4 address while `b` serves",
        ),
        // The same twice.
        (
            "{tcp: {port: 22}}",
            "{http: {host: www.example.com, path: /healthz, tls: \"true\"}}",
            "5:3: the checks `web` and `ssh` are the same",
        ),
        // Routes.
        (
            "[{channel: log}]",
            "[{channel: log}, {channel: log, min_severity: critical}]",
            "15:28: route 2 brings `log` nothing that route 1 does not",
        ),
        (
            "[{channel: log}]",
            "[{channel: log}, {channel: log, events: target.up, min_severity: warning}]",
            "15:51: this route never brings target.up: no such event is of severity warning or more",
        ),
        (
            "[{channel: log}]",
            "[{channel: log, events: [target.*]}]",
            "15:3: no channel is told of: failover.completed, failover.failed, all_down",
        ),
    ];
    let mut wrong = Vec::new();
    for (from, to, said) in table {
        let doubts = doubts(from, to);
        let told = doubts.iter().filter(|doubt| doubt.starts_with(said)).count();
        if told != 1 {
            wrong.push(format!("`{to}` should be doubted once with `{said}`, and there is {doubts:#?}"));
        }
        assert!(doubts.iter().all(|doubt| doubt.contains("; ")), "a doubt without a remedy in {doubts:#?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_record_with_one_target_has_nothing_to_fail_over_to() {
    let said = doubts("targets: [a, b]", "targets: [a]").join("\n");
    assert!(said.contains("12:54: `a` is the only target of www.example.com"), "{said}");
}

/// A program that is told the address may have the name, too: for the Host header.
#[test]
fn a_command_with_the_address_may_have_the_name() {
    let command = "{exec: {command: [/bin/check_http, -I, \"{address}\", -H, www.example.com]}}";
    assert_eq!(doubts("{tcp: {port: 22}}", command), [""; 0]);
}

/// On one machine, as in a rehearsal, everything has the same address.
#[test]
fn on_loopback_nothing_leans_on_a_target() {
    let text = SOUND.replace("192.0.2.1", "127.0.0.1").replace("203.0.113.53", "127.0.0.1");
    let text = text.replace("1.1.1.1:443", "127.0.0.1:443");
    let warnings = parse(&text).expect("in a test").warnings;
    assert_eq!(warnings, []);
}
