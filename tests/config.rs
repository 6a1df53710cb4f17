//! The configuration as an operator meets it: what loads, what is refused, and with which words.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use failover::config::{Config, ConfigErrors};
use failover::decision::{FailbackMode, Serve, TargetId, WitnessId};
use failover::notify::ChannelKind;
use failover::probe::{Auth, BodyMatch, CheckKind, MinDays, StatusRange, Wanted};
use proptest::prelude::*;
use providers::{DomainName, ProviderConfig, Ttl};
use secrecy::ExposeSecret;

#[path = "config/bad_files.rs"]
mod bad_files;
#[path = "config/doubts.rs"]
mod doubts;
#[path = "config/folder.rs"]
mod folder;
#[path = "config/limits.rs"]
mod limits;
#[path = "config/schema.rs"]
mod schema;
#[path = "config/show.rs"]
mod show;
#[path = "config/targets.rs"]
mod targets;
#[path = "config/torture.rs"]
mod torture;

/// A configuration with one record, to which a test adds.
const SMALL: &str = "
agent: {witnesses: [{tcp: 1.1.1.1:443}]}
checks: {up: {tcp: {port: 80}}}
targets: {a: {address: 192.0.2.1, checks: up}, b: {address: 192.0.2.2, checks: up}}
providers: {zone: {type: mock}}
records: [{name: www.example.com, provider: zone, targets: [a, b]}]
";

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    parse_with(text, &[])
}

fn parse_with(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    Config::parse("failover.yaml", text, &|name| env.get(name).map(|value| (*value).to_owned()))
}

fn name(text: &str) -> DomainName {
    text.parse().expect("a name in a test")
}

#[test]
fn the_example_loads_without_an_environment() {
    let config = Config::example();
    assert_eq!(config.warnings, []);
    assert_eq!(config.agent.id, "toronto-1");
    assert_eq!(config.agent.state, Path::new("./failover.db"));
    assert_eq!(config.agent.startup_grace, Duration::from_secs(30));
    assert_eq!(config.agent.witnesses.len(), 2);
    assert_eq!(config.socket.as_deref(), Some(Path::new("./failover.sock")));
    let (check, thresholds) = &config.checks[&"web".into()];
    assert_eq!((thresholds.fall, thresholds.rise, thresholds.clear), (3, 3, 6));
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(10), Duration::from_secs(3)));
    let CheckKind::Http(http) = &check.kind else { panic!("{:?}", check.kind) };
    assert_eq!((http.port, http.tls, http.host.as_deref()), (443, true, Some("www.workshopco.ca")));
    assert_eq!(http.status, [StatusRange { first: 200, last: 299 }]);
    assert!(matches!(&http.body, Some(BodyMatch::Contains(text)) if text == "ok"));
    assert_eq!(http.max_body_bytes, 65536);
    assert_eq!(config.targets[&"montreal".into()].places.len(), 2);
    let ProviderConfig::Mock(mock) = &config.providers[&"zone".into()] else { panic!() };
    assert_eq!(mock.zones, [name("workshopco.ca")]);
    assert_eq!(mock.dns, Some("127.0.0.1:5353".parse().unwrap()));
    let record = &config.records[&name("www.workshopco.ca")].policy;
    assert_eq!(record.tiers, [[TargetId::from("toronto")], [TargetId::from("montreal")]]);
    assert_eq!((record.ttl, record.serve, record.failback), (Ttl(60), Serve::First, FailbackMode::Auto));
    assert_eq!(record.failback_after, Duration::from_mins(5));
    assert_eq!(config.policy().records.len(), 1);
}

/// What is commented out in the example is right, too.
#[test]
fn the_comments_of_the_example_load() {
    let mut text = String::new();
    for line in Config::EXAMPLE.lines() {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        let code = bare.strip_prefix("# ").filter(|rest| !indent.is_empty() && rest.contains([':', '-']));
        text.push_str(indent);
        text.push_str(code.unwrap_or(bare));
        text.push('\n');
    }
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "pdns-key\n").unwrap();
    let pem = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad_config/pem");
    let text = text
        .replace("/run/secrets/pdns", key.path().to_str().unwrap())
        .replace("/etc/failover/ca.pem", &format!("{pem}/one.pem"))
        .replace("/etc/failover/client.pem", &format!("{pem}/one.pem"))
        .replace("/etc/failover/client.key", &format!("{pem}/one.key"));
    let env = [
        ("TSIG_SECRET", "aHVudGVyMg=="),
        ("HEALTH_TOKEN", "t"),
        ("ROCKETCHAT_WEBHOOK", "https://chat.example/hooks/1"),
        ("SLACK_WEBHOOK", "https://hooks.slack.example/1"),
        ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ];
    let config = parse_with(&text, &env).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((config.providers.len(), config.checks.len(), config.notify.channels.len()), (3, 12, 4));
    let ProviderConfig::PowerDns(pdns) = &config.providers[&"pdns".into()] else { panic!() };
    assert_eq!(pdns.api_key.expose_secret(), "pdns-key");
    let witnesses: Vec<&str> = config.agent.witnesses.keys().map(WitnessId::as_str).collect();
    assert_eq!(witnesses, ["1.1.1.1:443", "9.9.9.9:443", "dns:149.112.112.112:53", "icmp:8.8.8.8"]);
    let CheckKind::Icmp(ping) = config.checks[&"ping".into()].0.kind else { panic!() };
    assert_eq!((ping.count, ping.wanted(), ping.size), (3, 2, 56));
    let CheckKind::Dns(resolves) = &config.checks[&"resolves".into()].0.kind else { panic!() };
    assert_eq!(resolves.wanted, Some(Wanted::Exactly(["192.0.2.7".to_owned()].into())));
    assert_eq!((resolves.authoritative, resolves.recursion), (Some(true), false));
    let CheckKind::Dns(forwards) = &config.checks[&"forwards".into()].0.kind else { panic!() };
    assert_eq!(forwards.wanted, Some(Wanted::AtLeast(["10 mail.workshopco.ca.".to_owned()].into())));
    let CheckKind::Tcp(smtp) = &config.checks[&"smtp".into()].0.kind else { panic!() };
    assert_eq!(smtp.send.as_deref(), Some(b"QUIT\r\n".as_slice()));
    let CheckKind::Http(app) = &config.checks[&"app".into()].0.kind else { panic!() };
    assert_eq!(app.json.iter().map(|wish| wish.tests.len()).collect::<Vec<_>>(), [2, 2, 1, 2, 1]);
    assert!(matches!(&app.auth, Some(Auth::Basic { username, .. }) if username == "probe"));
    let web = config.checks[&"web".into()].0.kind.tls().unwrap();
    assert!(web.authorities.is_some() && web.identity.is_some());
    assert_eq!(web.min_days, Some(MinDays { days: 14, fail: false }));
    let days: Vec<_> =
        config.policy().targets[&"toronto".into()].checks.values().map(|c| c.min_tls_days).collect();
    assert_eq!(days, [Some(14)], "the decision is told");
}

#[test]
fn a_small_file_gets_the_defaults() {
    let config = parse(SMALL).unwrap();
    assert_eq!(config.agent.state, Path::new("./failover.db"));
    assert!(!config.agent.id.is_empty());
    assert_eq!(config.agent.live_interval, Duration::from_secs(30));
    assert_eq!(config.socket, None);
    let check = &config.checks[&"up".into()].0;
    assert_eq!((check.interval, check.fast_interval), (Duration::from_secs(10), Duration::from_secs(1)));
    assert_eq!((check.timeout, check.jitter_percent), (Duration::from_secs(3), 10));
    let record = &config.records[&name("www.example.com")];
    assert_eq!((record.policy.ttl, record.policy.hold_down), (Ttl(60), Duration::from_mins(1)));
    assert!(!record.policy.create && record.nameservers.is_empty() && record.zone.is_none());
    assert!(config.notify.channels.is_empty());
}

#[test]
fn a_short_interval_takes_the_other_times_along() {
    let text = SMALL.replace("{tcp: {port: 80}}", "{tcp: {port: 80}, interval: 200ms}");
    let config = parse(&text).unwrap();
    let check = &config.checks[&"up".into()].0;
    assert_eq!(
        (check.fast_interval, check.timeout),
        (Duration::from_millis(200), Duration::from_millis(200))
    );
}

#[test]
fn tiers_adopted_values_and_forms_of_values() {
    let text = SMALL.replace(
        "targets: [a, b]}",
        "targets: [[a, b]], serve: all, adopt: [203.0.113.9, old.example.net.], failback: {mode: manual}, \
         hold_down: \"1m 30s\", nameservers: [\"[2001:db8::53]:53\"], zone: example.com, create: true, ttl: 0}",
    );
    let config = parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let record = &config.records[&name("www.example.com")];
    assert_eq!(record.policy.tiers, [["a".into(), "b".into()]]);
    assert_eq!(record.policy.adopt, ["203.0.113.9".parse().unwrap()].into());
    assert_eq!(record.policy.adopt_names, [name("old.example.net")].into());
    assert_eq!((record.policy.serve, record.policy.failback), (Serve::All, FailbackMode::Manual));
    assert_eq!(record.policy.hold_down, Duration::from_secs(90));
    assert_eq!(record.zone, Some(name("example.com")));
    assert_eq!(record.nameservers, ["[2001:db8::53]:53".parse().unwrap()]);
}

#[test]
fn an_anchor_saves_writing() {
    let text = "
checks:
  a: &base {tcp: {port: 80}, fall: 2, interval: 5s}
  b: {<<: *base, fall: 4}
";
    let config = parse(text).unwrap_or_else(|errors| panic!("{errors}"));
    let (check, thresholds) = &config.checks[&"b".into()];
    assert_eq!((check.interval, thresholds.fall), (Duration::from_secs(5), 4));
}

/// What a later version will do is refused only where it is asked for.
#[test]
fn a_key_of_a_later_version_at_rest_is_fine() {
    let text = SMALL.replace("{tcp: {port: 80}}", "{tcp: {port: 80, tls: false}}").replace(
        "targets: [a, b]}",
        "targets: [a, b], all_down: hold, coordination: none, before_change: []}",
    ) + "api:\nreceivers: {}\nnotify: {quiet_hours: {}}\n";
    parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    parse(&(SMALL.to_owned() + "api: {socket: ./s, tokens: []}\n"))
        .unwrap_or_else(|errors| panic!("{errors}"));
}

#[test]
fn values_come_from_the_environment_and_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("key");
    std::fs::write(&secret, "s3cret-key\r\n").unwrap();
    let text = SMALL
        .replace(
            "{zone: {type: mock}}",
            "{zone: {type: mock}, pdns: &P {type: powerdns, \
         url: \"http://${HOST:-127.0.0.1}:8081\", api_key: \"${file:KEY}\", server_id: \"$${literal} $5\"}}",
        )
        .replace("KEY", secret.to_str().unwrap())
        .replace("port: 80", "port: \"${PORT}\"");
    let config =
        parse_with(&text, &[("PORT", "8080"), ("HOST", "")]).unwrap_or_else(|errors| panic!("{errors}"));
    let CheckKind::Tcp(tcp) = &config.checks[&"up".into()].0.kind else { panic!() };
    assert_eq!(tcp.port, 8080);
    let ProviderConfig::PowerDns(pdns) = &config.providers[&"pdns".into()] else { panic!() };
    assert_eq!(pdns.url.as_str(), "http://127.0.0.1:8081/");
    assert_eq!(pdns.server_id, "${literal} $5");
    assert_eq!(pdns.api_key.expose_secret(), "s3cret-key");
    assert!(!format!("{config:?}").contains("s3cret"));
}

/// A value from the environment is a value: it cannot hold another reference.
#[test]
fn what_a_reference_gives_is_not_read_again() {
    let config = parse_with("agent: {state: \"${A}\"}", &[("A", "${B}"), ("B", "no")]).unwrap();
    assert_eq!(config.agent.state, Path::new("${B}"));
}

#[test]
fn a_secret_file_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("url");
    std::fs::write(&secret, "https://chat.example/1\n").unwrap();
    let text = format!(
        "notify: {{channels: {{c: {{type: slack, url: \"${{file:{}}}\"}}}}, routes: [{{channel: c}}]}}",
        secret.display()
    );
    for (mode, warned) in [(0o644, true), (0o640, false)] {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let warnings = parse(&text).unwrap().warnings;
        assert_eq!(
            warnings.iter().any(|warning| warning.to_string().contains("chmod")),
            warned,
            "{warnings:?}"
        );
    }
}

#[test]
fn a_configuration_with_a_secret_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("failover.yaml");
    let literal =
        "notify: {channels: {c: {type: slack, url: \"https://chat.example/1\"}}, routes: [{channel: c}]}";
    let referred = literal.replace("https://chat.example/1", "${URL}");
    for (text, mode, warned) in [(literal, 0o644, true), (literal, 0o640, false), (&referred, 0o644, false)] {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let warnings = Config::load(&file, &|_| Some("https://chat.example/2".into())).unwrap().warnings;
        assert_eq!(
            warnings.iter().any(|warning| warning.to_string().contains("chmod")),
            warned,
            "{warnings:?}"
        );
    }
}

#[test]
fn what_is_doubtful_is_warned_of_and_accepted() {
    let text = SMALL.replace("{tcp: 1.1.1.1:443}", "") + "notify: {channels: {quiet: {type: log}}}\n";
    let text = text
        .replace("{up: ", "{spare: {tcp: {port: 1}}, up: ")
        .replace("targets: [a, b]}", "targets: [a], ttl: 86400}");
    let said: Vec<String> =
        parse(&text).unwrap().warnings.into_iter().map(|warning| warning.to_string()).collect();
    for part in [
        "failover.yaml:2:9: no witnesses: the agent cannot tell a dead primary from its own dead uplink",
        "failover.yaml:3:10: the check `spare` is used by no target",
        "the target `b` is used by no record",
        "with a TTL of 86400s",
        "the channel `quiet` is used by no route",
    ] {
        assert!(said.iter().any(|line| line.contains(part)), "{part} is not in {said:#?}");
    }
}

#[test]
fn a_folder_is_read_as_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("10-main.yaml", SMALL);
    write(
        "20-more.yml",
        "checks: {ssh: {tcp: {port: 22}}}\ntargets: {c: {address: 192.0.2.3, checks: [ssh]}}\n\
         agent: {id: x, witnesses: [{tcp: 9.9.9.9:443}]}\n\
         records: [{name: ssh.example.com, provider: zone, targets: [c, a]}]\n",
    );
    write("30-empty.yaml", "# nothing yet\n");
    write("notes.txt", "not: [read");
    write(".hidden.yaml", "not: [read");
    let config = Config::load(folder.path(), &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((config.records.len(), config.targets.len(), config.agent.witnesses.len()), (2, 3, 2));
    assert_eq!(config.agent.id, "x");

    write(
        "40-twice.yaml",
        "agent: {id: y}\nchecks: {ssh: {tcp: {port: 2222}}}\ntargets: {d: {address: oops/, checks: []}}\n",
    );
    let errors = Config::load(folder.path(), &|_| None).unwrap_err();
    let said: Vec<(String, &str)> = errors
        .faults()
        .iter()
        .map(|fault| (fault.place().rsplit('/').next().unwrap().to_owned(), fault.message.as_str()))
        .collect();
    let said: Vec<(&str, &str)> = said.iter().map(|(place, message)| (place.as_str(), *message)).collect();
    assert_eq!(
        said,
        [
            ("40-twice.yaml:1:13", "`agent.id` is set in two files"),
            ("40-twice.yaml:2:10", "second definition of `ssh`; first here"),
            ("40-twice.yaml:3:24", "`oops/` is a network or a URL and no address"),
            ("40-twice.yaml:3:39", "a target without checks can never be known to work"),
        ]
    );
    assert!(errors.to_string().contains("20-more.yml:1:10"), "{errors}");
}

#[test]
fn faults_of_several_files_come_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), "agent: {id: [}").unwrap();
    std::fs::write(folder.path().join("b.yaml"), "checks: {x: {tcp: {port: 0}}}").unwrap();
    std::fs::write(folder.path().join("c.yaml"), b"agent: {id: \xff}").unwrap();
    let errors = Config::load(folder.path(), &|_| None).unwrap_err();
    assert_eq!(errors.faults().len(), 3, "{errors}");
}

#[test]
fn what_cannot_be_read_is_said_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let said = |path: &Path| Config::load(path, &|_| None).unwrap_err().to_string();
    assert!(said(&folder.path().join("none.yaml")).contains("none.yaml: cannot be read: No such file"));
    assert!(said(folder.path()).contains("no *.yaml"));
    let big = folder.path().join("big.yaml");
    std::fs::write(&big, "# 0123456789abcdef\n".repeat(450_000)).unwrap();
    assert!(said(&big).contains("longer than 8192 KiB"));
}

#[test]
fn too_many_records_are_refused_and_many_are_read() {
    let record =
        |number: usize| format!("  - {{name: r{number}.example.com, provider: zone, targets: [a, b]}}\n");
    let head = SMALL.split("records").next().unwrap().to_owned() + "records:\n";
    let many = head.clone() + &(0..10_000).map(record).collect::<String>();
    assert_eq!(parse(&many).unwrap().records.len(), 10_000);
    let errors = parse(&(head + &(0..10_001).map(record).collect::<String>())).unwrap_err();
    assert!(errors.faults()[0].message.contains("10001 records, and there may be at most 10000"), "{errors}");
}

/// Whatever is wrong with a file, no secret of it is repeated.
#[test]
fn no_secret_is_ever_repeated() {
    const LITERAL: [&str; 7] =
        ["hunter2", "tangerine", "gooseberry", "marmalade", "c2Vzc2lvbg==", "correcthorse", "batterystaple"];
    let text = "
checks:
  up: {http: {headers: {Authorization: \"Bearer hunter2\", X-Key: tangerine}}}
  in: {http: {tls: true, auth: {basic: {username: probe, password: gooseberry}}}}
  as: {http: {tls: true, auth: {bearer: marmalade}}}
targets: {a: {address: 192.0.2.1, checks: up}}
providers:
  bind: {type: rfc2136, server: \"192.0.2.53:53\", tsig: {name: k., secret: c2Vzc2lvbg==}}
  pdns:
    type: powerdns
    url: http://127.0.0.1:8081
    api_key: correcthorse
records: [{name: www.example.com, provider: pdns, targets: [a]}, {name: a.example.com, provider: bind, targets: [a]}]
notify:
  channels:
    c: {type: slack, url: \"https://hooks.slack.example/batterystaple\"}
    d:
      type: webhook
      url: ${URL}
      secrets:
        - ${SECRET}
  routes: [{channel: c}, {channel: d}]
";
    let env = [("URL", "https://a.example/fromenv1"), ("SECRET", "whsec_ZnJvbWVudjJmcm9tZW52MmZyb21lbnYy")];
    let clean = |said: &str, what: &str| {
        for secret in LITERAL.iter().chain(&["fromenv1", "ZnJvbWVudjJ"]) {
            assert!(!said.contains(secret), "{secret} is repeated after {what}:\n{said}");
        }
    };
    let config = parse_with(text, &env).unwrap_or_else(|errors| panic!("{errors}"));
    clean(&format!("{config:?} {config:#?}"), "loading");
    let mut refused = 0;
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    for at in places {
        // A letter within a secret may go: then it is another secret, and its rest must not be shown either.
        let rest = &text[at..];
        for (what, changed) in [
            ("deleting", text[..at].to_owned() + &rest[1..]),
            ("a quote", text[..at].to_owned() + "\"" + rest),
            ("a bracket", text[..at].to_owned() + "]" + rest),
            ("a colon", text[..at].to_owned() + ": " + rest),
            ("a break", text[..at].to_owned() + "\n" + rest),
            ("a letter", text[..at].to_owned() + "x" + rest),
        ] {
            let what = format!("{what} at {at} (before {:?})", rest.chars().take(12).collect::<String>());
            match parse_with(&changed, &env) {
                Ok(config) => clean(&format!("{config:?}"), &what),
                Err(errors) => {
                    refused += 1;
                    clean(&format!("{errors} {errors:?}"), &what);
                }
            }
        }
    }
    assert!(refused > 1000, "only {refused} of the changed files were refused: the test tests nothing");
}

#[test]
fn a_channel_knows_its_url_and_shows_none() {
    let text = "notify: {channels: {c: {type: rocketchat, url: \"https://chat.example/hooks/xyzzy\", channel: \"#ops\"}}}";
    let config = parse(text).unwrap();
    let ChannelKind::RocketChat { url, channel } = &config.notify.channels[&"c".into()].kind else {
        panic!()
    };
    assert_eq!((url.expose_secret(), channel.as_deref()), ("https://chat.example/hooks/xyzzy", Some("#ops")));
    assert!(!format!("{config:?}").contains("xyzzy"));
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let errors = parse("agnet: {}").unwrap_err();
    assert!(!errors.to_string().contains('\u{1b}'));
    assert!(errors.render(true).contains('\u{1b}'));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is in a file: no panic, and every fault has a place in it and a remedy.
    #[test]
    fn any_text_is_read_or_refused(text in "[-a-c0-2:{}\\[\\]#&*!|>'\"%@`,<$?~ \n\t\r\\\\éß]{0,120}") {
        refused_well(&text)?;
    }

    /// The same for the example with something wrong put in somewhere.
    #[test]
    fn any_change_of_the_example_is_read_or_refused(
        at in 0usize..6000,
        gone in 0usize..40,
        more in "[-a:{}\\[\\]#'\", \n\téß]{0,6}",
    ) {
        let all: Vec<char> = Config::EXAMPLE.chars().collect();
        let (at, end) = (at.min(all.len()), (at + gone).min(all.len()));
        let text: String = all[..at].iter().copied().chain(more.chars()).chain(all[end..].iter().copied()).collect();
        refused_well(&text)?;
    }
}

fn refused_well(text: &str) -> Result<(), TestCaseError> {
    let Err(errors) = parse(text) else { return Ok(()) };
    prop_assert!(!errors.faults().is_empty());
    let lines = text.split('\n').count();
    for fault in errors.faults() {
        prop_assert!(!fault.remedy.is_empty() && !fault.message.is_empty(), "{errors}");
        prop_assert!((1..=lines).contains(&fault.line.unwrap_or(1)), "{} of {lines} lines", fault.place());
    }
    errors.render(true);
    Ok(())
}
