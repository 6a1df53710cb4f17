//! A secret for every key that can hold one, and for everything else that often does.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use testkit::{Bind, DnsServer, Pdns};

use super::hunt::Hunt;
use crate::stage::{PRIMARY, SIGNING, Stage};

/// The keys that the configuration calls secret, as `failover schema` has them, and how each is planted below. A new one
/// fails the test until it is here.
pub(super) const KEYS: &[&str] = &[
    "TSIG_key.secret",
    "basic_auth.password",
    "http_check.headers",
    "powerdns_provider.api_key",
    "rocketchat_channel.url",
    "slack_channel.url",
    "webhook_channel.secrets",
    "webhook_channel.url",
    "who_asks.bearer",
];

/// The keys of a schema whose values, or parts of them, are write-only.
pub(super) fn secret_keys(schema: &Value) -> Vec<String> {
    fn within(value: &Value) -> bool {
        match value {
            Value::Object(map) => {
                map.get("writeOnly") == Some(&Value::Bool(true)) || map.values().any(within)
            }
            Value::Array(items) => items.iter().any(within),
            _ => false,
        }
    }
    let sections = schema["$defs"].as_object().unwrap();
    let keys = sections.iter().flat_map(|(section, body)| {
        let properties = body["properties"].as_object().unwrap();
        let secret = properties.iter().filter(|(_, property)| within(property));
        secret.map(move |(key, _)| format!("{section}.{key}"))
    });
    keys.collect()
}

/// The secrets, by the name of the variable or file that the configuration takes them from.
pub(super) struct Planted {
    pub(super) tsig: String,
    pub(super) api: String,
    pub(super) inline_api: String,
    signing: String,
    variables: Vec<(&'static str, String)>,
}

/// A base64 text of 32 bytes that nothing else contains.
fn key(of: &str) -> String {
    STANDARD.encode(format!("{of:x<32}").as_bytes())
}

impl Planted {
    pub(super) fn new() -> Planted {
        let text = |of: &str| of.to_owned();
        let variables = [
            ("TSIG_OF_TEST", key("tsig-secret-")),
            ("HEADER_OF_TEST", text("header-Zq8%/5b+d1=x?&9")),
            ("PASSWORD_OF_TEST", text("password \"b1\\f7%/+&=")),
            ("BEARER_OF_TEST", text("bearer-2f9a.c4e6_77~/+=")),
            ("QUERY_OF_TEST", text("query-token-31d8ab04")),
            ("BODY_OF_TEST", text("body-password-90c2fe15")),
            ("TCP_OF_TEST", text("tcp-password-58ba7703")),
            ("ARGUMENT_OF_TEST", text("exec-password-e2417c9f")),
        ];
        Planted {
            tsig: variables[0].1.clone(),
            api: "api-key-54fc1e90ab".to_owned(),
            inline_api: "api-key-inline-77ee02".to_owned(),
            signing: key("signing-secret-"),
            variables: variables.into(),
        }
    }

    /// Gives a command what its configuration takes from the environment.
    pub(super) fn give(&self, command: &mut Command) {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    pub(super) fn hunt(&self, stage: &Stage) -> Hunt {
        let mut hunt = Hunt::default();
        for (name, value) in &self.variables {
            hunt.text(value, name);
        }
        hunt.text(&self.api, "an API key");
        hunt.text(&self.inline_api, "an API key");
        for (of, key) in [("the TSIG secret", &self.tsig), ("the signing secret", &self.signing)] {
            hunt.text(key, of);
            hunt.bytes(&STANDARD.decode(key).unwrap(), of);
        }
        for hook in ["rocket", "slack", "signed"] {
            for part in ["path", "query", "user", "word"] {
                hunt.text(&hook_part(hook, part), "the URL of a webhook");
            }
        }
        let pem = std::fs::read_to_string(stage.path("client.planted")).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        hunt.text(&body, "a private key");
        hunt.bytes(&STANDARD.decode(body).unwrap(), "a private key");
        hunt.ready()
    }

    /// Three records at three providers, channels and checks with secrets in them; `helpful` is the port of a server that
    /// repeats what it is sent.
    pub(super) fn configure(&self, stage: &Stage, bind: &Bind, pdns: &Pdns, helpful: u16) {
        self.files(stage);
        let at = stage.folder.path().display().to_string();
        let (server, name, algorithm) = (bind.dns(), bind.tsig().name, bind.tsig().algorithm);
        let providers = format!(
            r#"  zone:
    type: rfc2136
    server: "{server}"
    tsig: {{name: {name}, algorithm: {algorithm}, secret: "${{TSIG_OF_TEST}}"}}
    timeout: 1s
  other: {{type: powerdns, url: "{}", api_key: "${{file:{at}/api.planted}}", timeout: 1s}}
  helpful: {{type: powerdns, url: "http://127.0.0.1:{helpful}", api_key: {}, timeout: 1s}}"#,
            pdns.url(),
            self.inline_api,
        );
        stage.edit(&format!("  zone: {{type: mock, file: {at}/zone.json}}"), &providers);
        let records = format!(
            r#"records:
  - {{name: ftp.example.test, provider: other, nameservers: ["{}"], targets: [toronto, montreal], hold_down: 0s}}
  - {{name: api.example.test, provider: helpful, zone: example.test, nameservers: ["{server}"], targets: [quebec]}}
"#,
            pdns.dns()
        );
        stage.edit("records:\n", &records).edit("www.workshopco.test", "www.example.test");
        stage.edit("    provider: zone", &format!("    provider: zone\n    nameservers: [\"{server}\"]"));
        stage
            .edit("path: /healthz", "path: /healthz, headers: {Authorization: \"Bearer ${BEARER_OF_TEST}\"}");
        stage.edit("targets:\n", &targets()).edit("checks:\n", &checks(helpful, &at));
        stage.edit(SIGNING, &format!("whsec_{}", self.signing));
        let url = |hook: &str, status: u16| {
            let part = |part| hook_part(hook, part);
            format!(
                "http://{}:{}@127.0.0.1:{helpful}/{status}/{}?token={}",
                part("user"),
                part("word"),
                part("path"),
                part("query")
            )
        };
        let channels = format!(
            r#"  channels:
    rocket: {{type: rocketchat, url: "{}", channel: "\#ops"}}
    slack: {{type: slack, url: "{}"}}
    signed: {{type: webhook, url: "{}", secrets: ["whsec_{}"]}}
"#,
            url("rocket", 500),
            url("slack", 404),
            url("signed", 302),
            self.signing
        );
        stage.edit("  channels:\n", &channels.replace("\\#", "#"));
        let routes =
            ["rocket", "slack", "signed"].map(|it| format!("    - {{channel: {it}, events: [\"*\"]}}\n"));
        stage.edit("  routes:\n", &format!("  routes:\n{}", routes.concat()));
    }

    fn files(&self, stage: &Stage) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["probe.example.test".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap().pem();
        for (file, text) in [
            ("api.planted", &self.api),
            ("client.planted", &key.serialize_pem()),
            ("client.pem", &certificate),
        ] {
            std::fs::write(stage.path(file), text).unwrap();
        }
    }
}

fn hook_part(hook: &str, part: &str) -> String {
    format!("hook-{part}-of-{hook}-77a0")
}

/// A target whose checks all send a secret to a server that repeats it.
fn targets() -> String {
    let names =
        ["header", "password", "bearer", "no_json", "moved", "line", "post", "said", "program", "mtls"];
    format!("targets:\n  quebec: {{address: {PRIMARY}, checks: [{}]}}\n", names.join(", "))
}

fn checks(helpful: u16, at: &str) -> String {
    let times = "interval: 1s, fast_interval: 500ms, timeout: 1s, fall: 1";
    let http = |name: &str, keys: &str| format!("  {name}: {{http: {{port: {helpful}, {keys}}}, {times}}}\n");
    let secret_header = r#"headers: {X-Secret: "${HEADER_OF_TEST}"}"#;
    let password = r#"auth: {basic: {username: probe, password: "${PASSWORD_OF_TEST}"}}"#;
    let bearer = r#"auth: {bearer: "${BEARER_OF_TEST}"}"#;
    let query = "?token=${QUERY_OF_TEST}";
    [
        "checks:\n".to_owned(),
        http("header", &format!("path: /200/x, {secret_header}, body: {{contains: nowhere}}")),
        http("password", &format!("path: /200/x, {password}, body: {{regex: nowhere}}")),
        http("bearer", &format!("path: /200/x, {bearer}, body: {{contains: nowhere}}")),
        http("no_json", &format!("path: /200/x, {secret_header}, body: {{json: {{pointer: /x, equals: 1}}}}")),
        http("moved", &format!("path: \"/302/x{query}\", {secret_header}")),
        http("line", &format!("path: \"/200/line/x{query}\", body: {{contains: nowhere}}")),
        http(
            "post",
            r#"method: POST, path: /200/x, headers: {A: b}, send: '{"password": "${BODY_OF_TEST}"}', body: {contains: nowhere}"#,
        ),
        http("mtls", &format!("tls: true, mtls: {{certificate: {at}/client.pem, key: {at}/client.planted}}")),
        format!("  said: {{tcp: {{port: {helpful}, send: \"PASS ${{TCP_OF_TEST}}\\r\\n\", expect: +OK}}, {times}}}\n"),
        // What a program is given of the agent's environment is written down.
        format!(
            "  program: {{exec: {{command: [/bin/sh, -c, 'env >{at}/environment.txt; echo \"refused: $2\"; exit 2', sh, \
             --password, \"${{ARGUMENT_OF_TEST}}\"]}}, {times}}}\n"
        ),
    ]
    .concat()
}
