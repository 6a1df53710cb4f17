//! Who is at the other end is proven before anything is sent: providers and channels over HTTPS, with every kind of
//! certificate that must not be believed. The checks have such tests in `tests/tls.rs`.

#![expect(clippy::format_push_string, reason = "a configuration is read here as it is written")]

use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use testkit::{ChatSink, DnsServer, Nginx, Pdns, free_port};

use crate::agent::Ended;
use crate::stage::{PRIMARY, STANDBY, Stage, text};

/// Kinds of certificates, and the words that a fault must have; none for the one that is right.
const KINDS: [(&str, Option<&str>); 4] = [
    ("right", None),
    ("expired", Some("certificate expired")),
    ("misnamed", Some("not valid for name")),
    ("stranger", Some("UnknownIssuer")),
];

const SERVICES: [&str; 3] = ["rocketchat", "slack", "webhook"];

/// An authority that the program is told to trust, in `ca.pem`, and servers' certificates for 127.0.0.1 of each kind.
fn certificates(folder: &Path) {
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    };
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    std::fs::write(folder.join("ca.pem"), &ours.0).unwrap();
    for (kind, _) in KINDS {
        let key = KeyPair::generate().unwrap();
        let name = if kind == "misnamed" { "127.0.0.9" } else { "127.0.0.1" };
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if kind == "expired" {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let issuer = if kind == "stranger" { &theirs.1 } else { &ours.1 };
        let certificate = params.signed_by(&key, issuer).unwrap();
        std::fs::write(folder.join(format!("{kind}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{kind}.key")), key.serialize_pem()).unwrap();
    }
}

fn pair(folder: &Path, kind: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{kind}.pem")), folder.join(format!("{kind}.key")))
}

/// Runs it with our authority as the only one that this machine trusts.
fn trusting(stage: &Stage, arguments: &[&str]) -> Ended {
    let mut command: Command = stage.command(arguments);
    command.env("SSL_CERT_FILE", stage.path("ca.pem")).env_remove("SSL_CERT_DIR");
    Ended::of(&mut command)
}

/// bad day: notify: a chat shows a wrong, an expired or an unknown certificate | nothing is sent; the reason is told
#[test]
fn no_channel_is_told_anything_by_whom_it_does_not_trust() {
    let stage = Stage::new();
    certificates(stage.folder.path());
    let mut sinks = Vec::new();
    let mut channels = String::from("  channels:\n");
    for (kind, _) in KINDS {
        let (certificate, key) = pair(stage.folder.path(), kind);
        let sink = ChatSink::start_with_tls(&certificate, &key);
        for service in SERVICES {
            // What Rocket.Chat says, and what Slack says.
            let says = if service == "rocketchat" { "%7B%22success%22:true%7D" } else { "ok" };
            let url = sink.url(&format!("/say/{says}/{service}"));
            channels += &format!("    {kind}_{service}: {{type: {service}, url: \"{url}\"}}\n");
        }
        sinks.push(sink);
    }
    stage.edit("  channels:\n", &channels);
    let tested = trusting(&stage, &["notify", "test", "-o", "json"]);
    assert_eq!(tested.code, 1, "{tested:?}");
    for ((kind, words), sink) in KINDS.iter().zip(&sinks) {
        let received = sink.received();
        for service in SERVICES {
            let mut one = trusting(&stage, &["notify", "test", &format!("{kind}_{service}"), "-o", "json"]);
            one.stdout += &one.stderr;
            assert_eq!(one.code, i32::from(words.is_some()), "{kind} {service}: {one:?}");
            if let Some(words) = words {
                assert!(one.stdout.contains(words), "{kind} {service} says {words:?}: {one:?}");
            }
        }
        match words {
            None => assert_eq!(received.len(), 3, "{kind}: {received:?}"),
            Some(_) => assert_eq!(sink.received(), [], "{kind}"),
        }
    }
}

/// bad day: provider: shows a wrong, an expired or an unknown certificate | nothing is asked or written; the reason is told
#[test]
fn no_provider_is_asked_that_is_not_trusted() {
    let stage = Stage::new();
    certificates(stage.folder.path());
    let pdns = Pdns::start();
    let at = stage.folder.path().display().to_string();
    let (mut servers, mut providers, mut records) =
        (String::new(), String::new(), String::from("records:\n"));
    for (kind, _) in KINDS {
        let port = free_port();
        servers += &format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {at}/{kind}.pem; ssl_certificate_key {at}/{kind}.key;\n\
             access_log {at}/{kind}.log; location / {{ proxy_pass {}; }} }}\n",
            pdns.url()
        );
        providers += &format!(
            "\n  {kind}: {{type: powerdns, url: \"https://127.0.0.1:{port}\", api_key: {}, timeout: 5s}}",
            pdns.api_key()
        );
        records += &format!(
            "  - {{name: {kind}.example.test, provider: {kind}, nameservers: [\"{}\"], targets: [toronto, montreal], \
             hold_down: 0s}}\n",
            pdns.dns()
        );
        pdns.set(&format!("{kind}.example.test"), &[&format!("60 A {PRIMARY}")]);
    }
    std::fs::write(stage.path("servers.conf"), servers).unwrap();
    let more = stage.path("servers.conf").display().to_string();
    let _nginx = Nginx::start_with(&[("NGINX_MORE", &more)]);
    let zone = format!("  zone: {{type: mock, file: {at}/zone.json}}");
    stage.edit(&zone, &format!("{zone}{providers}")).edit("records:\n", &records);
    stage.kill_primary();
    let mut once = trusting(&stage, &["once", "--deadline", "40s"]);
    assert_eq!(once.code, 1, "{once:?}");
    once.stdout += &once.stderr;
    for (kind, words) in KINDS {
        let address = pdns.ask(&format!("{kind}.example.test"), "A").records.join(" ");
        let asked = text(&stage.path(&format!("{kind}.log"))).matches("/api/v1/").count();
        match words {
            None => assert!(asked > 0 && address.contains(STANDBY), "{address} {once:?}"),
            Some(words) => {
                assert!(once.stdout.contains(words), "{kind} says {words:?}: {once:?}");
                assert!(address.contains(PRIMARY), "{kind}: {address}");
                assert_eq!(asked, 0, "{kind} was asked");
            }
        }
    }
}
