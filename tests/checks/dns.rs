//! The `dns` check asks BIND and Knot. The lies of servers are in `src/probe/tests/dns.rs`.

use std::time::Duration;

use testkit::{Bind, DnsServer, Knot, ZONE};

use crate::{probe, told, written};

/// Generous, so that a busy machine does not turn an answer into silence.
const PATIENT: Duration = Duration::from_secs(20);

async fn ask(server: &dyn DnsServer, keys: &str, timeout: Duration) -> String {
    let at = server.dns();
    let check = written(&format!("{{dns: {{port: {}, {keys}}}}}", at.port()), timeout);
    told(&probe(at.ip(), check).await.outcome)
}

async fn the_check_sees_what_the_server_serves(server: &dyn DnsServer) {
    let asked = async |keys: &str, expected: &str| {
        let said = ask(server, keys, PATIENT).await;
        assert!(said.starts_with(expected), "{}: {keys}: {said}", server.label());
    };
    server.set("www.example.test", &["60 A 192.0.2.1", "60 A 192.0.2.2", "60 AAAA 2001:db8::1"]);
    asked("name: www.example.test", "pass").await;
    asked("name: WWW.Example.TEST, transport: tcp, authoritative: true", "pass").await;
    asked("name: www.example.test, values: [192.0.2.2, 192.0.2.1]", "pass").await;
    asked("name: www.example.test, contains: 192.0.2.2", "pass").await;
    asked("name: www.example.test, type: AAAA, values: \"2001:DB8:0::1\"", "pass").await;
    asked(
        "name: www.example.test, values: 192.0.2.9",
        "fail: it answers \"192.0.2.1, 192.0.2.2\", wanted exactly \"192.0.2.9\"",
    )
    .await;
    asked("name: www.example.test, authoritative: false", "fail: it answers with authority").await;

    server.nsupdate(
        "update add alias.example.test. 60 CNAME www.example.test.\n\
         update add away.example.test. 60 CNAME dr.example.net.\n\
         update add loop.example.test. 60 CNAME pool.example.test.\n\
         update add pool.example.test. 60 CNAME loop.example.test.\n\
         update add example.test. 60 MX 10 ns1.example.test.\n\
         update add example.test. 60 CAA 0 issue \"letsencrypt.org\"\n\
         update add txt.example.test. 60 TXT \"v=spf1 \" \"-all\"\n\
         update add _sip._tcp.example.test. 60 SRV 0 5 5060 www.example.test.\n\
         update add 1.2.example.test. 60 PTR www.example.test.",
    );
    asked("name: alias.example.test, values: [192.0.2.1, 192.0.2.2]", "pass").await;
    asked("name: alias.example.test, type: CNAME, values: www.example.test", "pass").await;
    asked(
        "name: away.example.test",
        "fail: its answer holds no A record of dr.example.net., to which away.example.test. leads",
    )
    .await;
    asked("name: loop.example.test", "fail: it").await;
    asked("name: example.test, type: MX, values: 10 NS1.example.test", "pass").await;
    asked("name: example.test, type: CAA, values: '0 issue \"letsencrypt.org\"'", "pass").await;
    asked("name: txt.example.test, type: TXT, values: v=spf1 -all", "pass").await;
    asked("name: _sip._tcp.example.test, type: SRV, values: 0 5 5060 www.example.test.", "pass").await;
    asked("name: 1.2.example.test, type: PTR, values: www.example.test.", "pass").await;
    asked(&format!("name: {ZONE}, type: SOA"), "pass").await;
    asked(&format!("name: {ZONE}, type: NS"), "pass").await;
    asked(&format!("name: {ZONE}, type: SRV"), "fail: its answer holds no SRV record of example.test.").await;

    asked("name: nowhere.example.test", "fail: it answers NXDOMAIN, wanted NOERROR").await;
    asked("name: nowhere.example.test, rcode: NXDOMAIN", "pass").await;
    asked("name: www.example.org", "fail: it answers REFUSED, wanted NOERROR").await;
    asked("name: www.example.org, rcode: REFUSED", "pass").await;

    let many: Vec<String> = (1..=60).map(|n| format!("60 AAAA 2001:db8::{n:x}")).collect();
    server.set("many.example.test", &many.iter().map(String::as_str).collect::<Vec<_>>());
    asked("name: many.example.test, type: AAAA, contains: \"2001:db8::3c\"", "pass").await;
}

async fn a_server_that_is_frozen_or_gone_fails(server: &dyn DnsServer) {
    const HASTY: Duration = Duration::from_millis(500);
    server.freeze();
    for transport in ["udp", "tcp"] {
        let said = ask(server, &format!("name: {ZONE}, type: SOA, transport: {transport}"), HASTY).await;
        assert!(said.starts_with("fail: no answer within 500ms"), "{}: {said}", server.label());
    }
    server.thaw();
    assert_eq!(ask(server, &format!("name: {ZONE}, type: SOA"), PATIENT).await, "pass");
    server.stop();
    for transport in ["udp", "tcp"] {
        let said = ask(server, &format!("name: {ZONE}, type: SOA, transport: {transport}"), PATIENT).await;
        assert!(said.starts_with("fail: ") && said.ends_with("refused the connection"), "{said}");
    }
}

#[tokio::test]
async fn bind_is_seen_as_it_is() {
    let bind = Bind::start(0);
    the_check_sees_what_the_server_serves(&bind).await;
    a_server_that_is_frozen_or_gone_fails(&bind).await;
}

#[tokio::test]
async fn knot_is_seen_as_it_is() {
    let knot = Knot::start();
    the_check_sees_what_the_server_serves(&knot).await;
    a_server_that_is_frozen_or_gone_fails(&knot).await;
}
