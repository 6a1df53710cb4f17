//! No secret is ever seen: not in what is printed, logged, told, or kept.

use std::path::Path;

use testkit::{Bind, DnsServer, Pdns};

use crate::stage::{PRIMARY, STANDBY, Stage, text};

/// Parts of secrets that must not be seen anywhere, with what they are a part of.
struct Hunted(Vec<(String, &'static str)>);

impl Hunted {
    #[track_caller]
    fn not_in(&self, what: &str, place: &str) {
        for (secret, of) in &self.0 {
            assert!(!what.contains(secret.as_str()), "{of} is seen in {place}: {what}");
        }
    }

    /// Every file of the folder but the configuration itself.
    fn not_in_files(&self, folder: &Path) -> usize {
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.extension().is_none_or(|kind| kind != "yaml") {
                self.not_in(&text(&path), &path.display().to_string());
                read += 1;
            }
        }
        read
    }
}

/// A base64 text of 32 bytes that nothing else contains.
fn key(of: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("{of:x<32}").as_bytes())
}

#[test]
fn no_secret_is_seen_anywhere() {
    let tsig = key("tsig-secret-");
    let (api, signing) = ("api-key-54fc1e".to_owned(), key("signing-"));
    let bind = Bind::start_with(&[("BIND_KEY_SECRET", &tsig)]);
    let pdns = Pdns::start_with(&[("PDNS_API_KEY", &api)]);
    for server in [&bind as &dyn DnsServer, &pdns] {
        server.set("www.example.test", &[&format!("60 A {PRIMARY}")]);
        server.set("ftp.example.test", &[&format!("60 A {PRIMARY}")]);
    }
    let stage = Stage::new();
    let hunted = Hunted(vec![
        (tsig.clone(), "the TSIG secret"),
        (api.clone(), "the API key"),
        (signing.clone(), "the signing secret"),
        ("hook-path-77a0".into(), "the URL of a webhook"),
        ("hook-query-13bd".into(), "the URL of a webhook"),
        ("bearer-2f9a".into(), "a header of a check"),
    ]);
    configure(&stage, &bind, &pdns, &signing);
    let command = |arguments: &[&str]| {
        let mut command = stage.command(arguments);
        command.env("TSIG_OF_TEST", &tsig).env("API_KEY_OF_TEST", &api);
        command
    };
    let run = |arguments: &[&str]| {
        let ended = crate::agent::Ended::of(&mut command(arguments));
        hunted.not_in(&ended.stdout, &format!("the output of {arguments:?}"));
        hunted.not_in(&ended.stderr, &format!("the errors of {arguments:?}"));
        ended
    };

    // A failover with everything logged that can be logged, and every command beside it.
    let mut verbose = command(&["run", "--log-level", "trace"]);
    verbose.env("RUST_LOG", "trace");
    let agent = crate::agent::Agent::start(verbose, &stage.path("agent.log"));
    stage.in_sync();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    stage.wait_status("both moved", |status| (0..2).all(|n| status["records"][n]["values"][0] == STANDBY));
    for format in ["table", "json"] {
        assert_eq!(run(&["status", "-o", format]).code, 0);
        assert_eq!(run(&["validate", "-o", format]).code, 0);
        assert_eq!(run(&["config", "show", "--defaults", "-o", format]).code, 0);
        assert_eq!(run(&["plan", "-o", format, "--log-level", "trace"]).code, 0);
        assert_eq!(run(&["deliveries", "list", "-o", format]).code, 0);
        assert_eq!(run(&["deliveries", "show", "1", "-o", format]).code, 0);
        assert_eq!(run(&["notify", "test", "-o", format, "--log-level", "trace"]).code, 1, "gone says 404");
    }
    assert_eq!(run(&["failback", "www.example.test"]).code, 0);
    agent.stop();
    for message in stage.chat.received() {
        hunted.not_in(&message.body.to_string(), "a message");
    }

    // Everything refuses or is gone: errors are where secrets like to hide.
    bind.stop();
    pdns.stop();
    let once = run(&["once", "--deadline", "2s", "--log-level", "trace"]);
    assert_eq!(once.code, 1, "{once:?}");
    let mut wrong = command(&["once", "--deadline", "5s", "--log-level", "trace"]);
    wrong.env_remove("API_KEY_OF_TEST");
    let wrong = crate::agent::Ended::of(&mut wrong);
    assert_eq!(wrong.code, 3, "{wrong:?}");
    hunted.not_in(&wrong.stderr, "the fault of an unset variable");
    stage.edit("  routes:", "  rotues:");
    assert_eq!(run(&["validate"]).code, 3);
    stage.edit("api_key: \"${API_KEY_OF_TEST}\"", &format!("api_key: {api}, api_kee: {api}"));
    assert_eq!(run(&["validate"]).code, 3);
    assert_eq!(run(&["validate", "-o", "json"]).code, 3);

    let files = hunted.not_in_files(stage.folder.path());
    assert!(files >= 2, "the log and the state are there");
}

/// Two records at two providers, and channels and a check with secrets in them.
fn configure(stage: &Stage, bind: &Bind, pdns: &Pdns, signing: &str) {
    let file = format!("  zone: {{type: mock, file: {}}}", stage.path("zone.json").display());
    let (server, name, algorithm) = (bind.dns(), bind.tsig().name, bind.tsig().algorithm);
    let providers = format!(
        "  zone:\n    type: rfc2136\n    server: \"{server}\"\n    tsig: {{name: {name}, algorithm: {algorithm}, \
         secret: \"${{TSIG_OF_TEST}}\"}}\n    timeout: 1s\n  \
         other: {{type: powerdns, url: \"{}\", api_key: \"${{API_KEY_OF_TEST}}\", timeout: 1s}}",
        pdns.url()
    );
    stage.edit(&file, &providers);
    let second = format!(
        "records:\n  - name: ftp.example.test\n    provider: other\n    nameservers: [\"{}\"]\n    \
         targets: [toronto, montreal]\n    hold_down: 0s\n",
        pdns.dns()
    );
    stage.edit("records:\n", &second).edit("www.workshopco.test", "www.example.test");
    stage.edit("    provider: zone", &format!("    provider: zone\n    nameservers: [\"{server}\"]"));
    stage.edit(crate::stage::SIGNING, &format!("whsec_{signing}"));
    let gone = stage.chat.url("/fail/404/hook-path-77a0?token=hook-query-13bd");
    stage.edit("  channels:", &format!("  channels:\n    gone: {{type: slack, url: \"{gone}\"}}"));
    stage.edit("  routes:", "  routes:\n    - {channel: gone, events: [\"*\"]}");
    stage.edit("path: /healthz", "path: /healthz, headers: {Authorization: \"Bearer bearer-2f9a\"}");
}
