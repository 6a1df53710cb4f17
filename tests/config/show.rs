//! `config show`: it means the same, it loads again, and nothing secret is in it.

use failover::config::{Config, Marks};
use proptest::prelude::*;

use super::{SMALL, schema};

fn shown(text: &str, defaults: bool) -> String {
    let shown = Config::show_text("failover.yaml", text, &|_| None, defaults);
    shown.unwrap_or_else(|errors| panic!("{errors}\n{text}")).yaml()
}

/// Everything that was read, but what is secret and the warnings.
fn meaning(text: &str) -> String {
    let config =
        Config::parse("failover.yaml", text, &|_| None).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    format!("{:#?}", Config { warnings: Vec::new(), marks: Marks::default(), ..config })
}

const RICH: &str = "
agent: {id: \"7\", witnesses: [{tcp: \"[2001:db8::1]:443\"}]}
checks:
  base: &base {tcp: {port: 80}, interval: 500ms, fall: 2}
  other: {<<: *base, tcp: {port: 25, send: \"QUIT\\r\\n\\e\", expect: {regex: \"^2\\\\d\\\\d\"}}}
  web: {http: {path: \"/a?b=c d\", host: \"true\", status: [200, \"301-302\"], body: {contains: \"$${x} 'é' \\\"\\u2028\"}}}
  plain: {http: }
  secure: {http: {tls: true, host: www.example.com}}
  program: {exec: {command: [/bin/x, \"-H\", \"{address}\", \"10\", \"\\t: #\", \"null\", \"1e3\"]}}
targets:
  a: {address: 192.0.2.1, checks: [base, other, web, plain, secure, program]}
  b: {address: [192.0.2.2, \"2001:db8::2\"], checks: [base]}
providers: {m: {type: mock, file: ./z.json}, r: {type: rfc2136, server: \"192.0.2.53:53\"}}
records:
  - {name: www.example.com, provider: m, targets: [[a, b]], serve: all, adopt: [203.0.113.1, x.example.], ttl: 30}
  - {name: bücher.example, provider: r, targets: a, failback: {mode: manual}, hold_down: 0s, nameservers: \"192.0.2.53:53\"}
notify:
  channels: {l: {type: log}}
  routes: [{channel: l, events: [\"failover.*\", all_down]}, {channel: l, min_severity: critical}]
";

#[test]
fn what_is_shown_loads_again_and_means_the_same() {
    let rich = RICH.replace("/a?b=c d", "/a?b=c%20d").replace("host: \"true\"", "host: \"on\"");
    for text in [Config::EXAMPLE, SMALL, &rich, "checks: {}\n"] {
        for defaults in [false, true] {
            let again = shown(text, defaults);
            assert_eq!(meaning(&again), meaning(text), "{again}");
            // Once is enough.
            assert_eq!(shown(&again, defaults), again);
            schema::is_no_stricter_than_the_readers(&again);
        }
    }
}

#[test]
fn defaults_are_filled_in_when_asked_for() {
    let short = shown(SMALL, false);
    assert!(!short.contains("interval") && !short.contains("hold_down"), "{short}");
    let full = shown(&SMALL.replace("{port: 80}}", "{port: 80}, interval: 500ms}"), true);
    for line in
        ["interval: 500ms", "timeout: 500ms", "fast_interval: 500ms", "fall: 3", "ttl: 60", "after: 5m"]
    {
        assert!(full.contains(&format!("{line}\n")), "{line} is not in\n{full}");
    }
    let json = Config::show_text("x", SMALL, &|_| None, true).expect("in a test").json();
    assert_eq!(json["checks"]["up"]["tcp"]["port"], 80);
    assert_eq!(json["records"][0]["create"], false);
    assert_eq!(json["agent"]["startup_grace"], "30s");
}

/// Every default that is shown is the one that the program takes.
#[test]
fn every_default_is_the_one_that_is_taken() {
    let text = "
checks: {h: {http: {body: {contains: ok}}}, t: {http: {tls: true, host: a.example}}}
targets: {a: {address: 192.0.2.1, checks: [h, t]}}
providers: {r: {type: rfc2136, server: \"192.0.2.53:53\"}}
records: [{name: www.example.com, provider: r, targets: [a]}]
notify: {channels: {l: {type: log}}, routes: [{channel: l}]}
";
    let full = shown(text, true);
    assert_eq!(meaning(&full), meaning(text), "{full}");
}

#[test]
fn references_are_resolved_and_secrets_masked() {
    let text = "
checks:
  a: {tcp: {port: \"${PORT}\", send: \"AUTH ${TOKEN}\\r\\n\"}, interval: \"${EVERY:-5s}\"}
  b: {http: {path: \"/health?key=${TOKEN}&x=1\", headers: {Authorization: \"Bearer literal-secret\"}}}
  c: {exec: {command: [/bin/x, --password, literal-word, \"--token=literal-token\", \"${TOKEN}\"]}}
targets: {\"t\": {address: \"${ADDRESS}\", checks: [a, b, c]}}
providers: {p: {type: powerdns, url: \"http://${HOST}:8081\", api_key: literal-key, server_id: literal-key}}
records: [{name: \"www.${DOMAIN}\", provider: p, targets: [t]}]
notify: {channels: {s: {type: slack, url: \"https://hooks.example/literal-hook\"}}, routes: [{channel: s}]}
";
    let env = |name: &str| {
        let value = match name {
            "PORT" => "8080",
            "TOKEN" => "tok-from-env",
            "ADDRESS" => "192.0.2.7",
            "HOST" => "pdns.internal",
            "DOMAIN" => "example.com",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let shown = Config::show_text("x", text, &env, false).unwrap_or_else(|errors| panic!("{errors}"));
    let (yaml, json) = (shown.yaml(), shown.json().to_string());
    for part in [
        "port: 8080",
        "\"AUTH ***\\r\\n\"",
        "interval: 5s",
        "\"/health?key=***&x=1\"",
        "192.0.2.7",
        "www.example.com",
        "http://***:8081",
    ] {
        assert!(yaml.contains(part), "{part} is not in\n{yaml}");
    }
    let config = Config::parse("x", text, &env).expect("in a test");
    let debug = format!("{config:?} {config:#?} {:?}", config.policy());
    for secret in ["literal-", "tok-from-env", "pdns.internal"] {
        assert!(!yaml.contains(secret) && !json.contains(secret), "{secret} is in\n{yaml}");
        assert!(
            secret == "pdns.internal" || !debug.contains(secret) || secret == "literal-",
            "{secret} is in {debug}"
        );
    }
    for secret in ["literal-secret", "literal-word", "literal-token", "literal-hook", "tok-from-env"] {
        assert!(!debug.contains(secret), "{secret} is in {debug}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Wherever a secret may stand, written out or by a reference, it is not shown: not by `config show`, not by
    /// Debug, not in a warning, and not in the errors of a file that has a fault besides.
    #[test]
    fn no_secret_is_shown(
        secret in "[a-zA-Z0-9]{8,24}",
        places in proptest::collection::vec(any::<bool>(), 9),
        defaults: bool,
        fault in 0usize..4,
    ) {
        // Something that occurs in no configuration by chance.
        let secret = format!("Zq{secret}qZ");
        let base64 = base64_of(&secret);
        let put = |place: usize, text: &str| {
            if places[place] { format!("\"{}\"", text.replace("SECRET", "${SECRET}").replace("BASE64", "${BASE64}")) }
            else { format!("\"{}\"", text.replace("SECRET", &secret).replace("BASE64", &base64)) }
        };
        // In free text only a reference, or a word that says so, makes a secret.
        let told = |place: usize, with: &str, referred: &str| {
            if places[place] { format!("\"{}\"", referred.replace("SECRET", "${SECRET}")) }
            else { format!("\"{}\"", with.replace("SECRET", &secret)) }
        };
        let (port, extra) = [("80", ""), ("0", ""), ("80", "api_kye: 1, "), ("80", "\"a b\": ")][fault];
        let extra = if extra.ends_with(": ") { format!("{extra}{}, ", put(8, "SECRET")) } else { extra.to_owned() };
        let text = format!(
            "checks:\n  a: {{http: {{path: {}, headers: {{X-Key: {}}}, port: {port}}}}}\n  b: {{tcp: {{port: 1, send: {}}}}}\n  \
             c: {{exec: {{command: [/bin/x, --password, {}, {}]}}}}\n\
             targets: {{t: {{address: 192.0.2.1, checks: [a, b, c]}}}}\n\
             providers:\n  p: {{{extra}type: powerdns, url: \"http://127.0.0.1:8081\", api_key: {}}}\n  \
             r: {{type: rfc2136, server: \"192.0.2.53:53\", tsig: {{name: k., secret: {}}}}}\n\
             records: [{{name: www.example.com, provider: p, targets: [t]}}]\n\
             notify: {{channels: {{s: {{type: slack, url: {}}}}}, routes: [{{channel: s}}]}}\n",
            told(0, "/x?token=SECRET&y=1", "/SECRET/x"),
            put(1, "SECRET"),
            told(2, "PASS SECRET", "HELO SECRET"),
            put(3, "SECRET"),
            told(4, "--api-key=SECRET", "xSECRETx"),
            put(5, "SECRET"),
            put(6, "BASE64"),
            put(7, "https://hooks.example/SECRET"),
        );
        let env = |name: &str| match name {
            "SECRET" => Some(secret.clone()),
            "BASE64" => Some(base64.clone()),
            _ => None,
        };
        let said = match (Config::show_text("x", &text, &env, defaults), Config::parse("x", &text, &env)) {
            (Ok(shown), Ok(config)) => {
                prop_assert_eq!(fault, 0);
                format!("{} {} {config:?} {config:#?}", shown.yaml(), shown.json())
            }
            (Err(errors), Err(_)) => format!("{errors} {errors:?}"),
            _ => unreachable!("both read the same text"),
        };
        prop_assert!(!said.contains(&secret) && !said.contains(&base64), "{} is in\n{}", secret, said);
    }
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
