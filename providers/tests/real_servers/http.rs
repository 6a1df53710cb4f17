//! The PowerDNS API: comments and disabled records, broken answers, races.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use failover_providers::powerdns::PowerDnsProvider;
use failover_providers::{Fault, PowerDnsConfig, Provider, ReadProvider, RecordSet, Swap, Ttl, Values};
use serde_json::{Value, json};
use testkit::{DnsServer, Pdns, ZONE};

use crate::fake::{self, OnPatch};
use crate::suite::by_http;
use crate::update::{a, answer, read, zone};

const WWW: &str = "www.example.test";

fn provider(config: &PowerDnsConfig) -> PowerDnsProvider {
    PowerDnsProvider::new(config).expect("the settings are right")
}

fn at(address: SocketAddr, server: &PowerDnsConfig) -> PowerDnsConfig {
    PowerDnsConfig { url: format!("http://{address}").parse().expect("a URL"), ..server.clone() }
}

fn v6(address: &str) -> RecordSet {
    let address = address.parse().expect("an IPv6 address");
    RecordSet::new(Ttl(60), Values::Aaaa(failover_providers::NonEmpty::one(address)))
}

fn record(content: &str, disabled: bool) -> Value {
    json!({ "content": content, "disabled": disabled })
}

fn patch(server: &Pdns, sets: &[Value]) {
    let (status, body) = server.api("PATCH", "/zones/example.test.", Some(&json!({ "rrsets": sets })));
    assert_eq!(status, 204, "{body}");
}

fn replace(kind: &str, records: &[Value], comments: &[Value]) -> Value {
    json!({
        "name": "www.example.test.", "type": kind, "ttl": 60,
        "changetype": "REPLACE", "records": records, "comments": comments
    })
}

/// The set of this type at `www`, as the whole zone's listing has it; its lists sorted.
fn listed(server: &Pdns, kind: &str) -> Value {
    let (_, body) = server.api("GET", "/zones/example.test.", None);
    let zone: Value = serde_json::from_str(&body).expect("JSON");
    let all = zone["rrsets"].as_array().expect("a list");
    let mut set = all
        .iter()
        .find(|set| set["name"] == "www.example.test." && set["type"] == kind)
        .cloned()
        .unwrap_or_default();
    if let Some(records) = set["records"].as_array_mut() {
        records.sort_by_key(ToString::to_string);
    }
    set
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_and_disabled_records_stay() {
    let server = Pdns::start();
    let comment = json!({ "content": "ask Ann first", "account": "ann", "modified_at": 7 });
    patch(
        &server,
        &[
            replace(
                "A",
                &[record("192.0.2.1", false), record("192.0.2.9", true)],
                std::slice::from_ref(&comment),
            ),
            replace(
                "AAAA",
                &[record("2001:db8::1", false), record("2001:db8::9", true)],
                std::slice::from_ref(&comment),
            ),
        ],
    );
    let provider = provider(&by_http(&server));
    let before = read(&provider, WWW).await;
    assert_eq!(before.summary(), "192.0.2.1, 2001:db8::1", "a disabled record is not served");
    assert_eq!(before.native["A"]["comments"][0], comment);

    // The family goes; what was parked beside it does not.
    let swap = Swap::new(before, answer([a(60, "198.51.100.5")]));
    provider.swap(&zone(ZONE), &[swap]).await.expect("written");
    let v4 = listed(&server, "A");
    assert_eq!(v4["records"], json!([record("192.0.2.9", true), record("198.51.100.5", false)]));
    assert_eq!(v4["comments"], json!([comment]));
    let gone = listed(&server, "AAAA");
    assert_eq!(gone["records"], json!([record("2001:db8::9", true)]));
    assert_eq!(gone["comments"], json!([comment]));
    assert_eq!(server.ask(WWW, "AAAA").values(), Vec::<&str>::new());

    // What was disabled and is wanted now is enabled, once.
    let before = read(&provider, WWW).await;
    let swap = Swap::new(before, answer([a(60, "192.0.2.9"), v6("2001:db8::5")]));
    provider.swap(&zone(ZONE), &[swap]).await.expect("written");
    assert_eq!(listed(&server, "A")["records"], json!([record("192.0.2.9", false)]));
    assert_eq!(
        listed(&server, "AAAA")["records"],
        json!([record("2001:db8::5", false), record("2001:db8::9", true)])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_alone_stay_when_their_family_goes() {
    let server = Pdns::start();
    let comment = json!({ "content": "from the old host", "account": "", "modified_at": 7 });
    patch(
        &server,
        &[
            replace("A", &[record("192.0.2.1", false)], &[]),
            replace("AAAA", &[record("2001:db8::1", false)], std::slice::from_ref(&comment)),
        ],
    );
    let provider = provider(&by_http(&server));
    let swap = Swap::new(read(&provider, WWW).await, answer([a(60, "198.51.100.5")]));
    provider.swap(&zone(ZONE), &[swap]).await.expect("written");
    assert_eq!(listed(&server, "AAAA")["comments"], json!([comment]));
    assert_eq!(server.ask(WWW, "AAAA").values(), Vec::<&str>::new());
    assert_eq!(read(&provider, WWW).await.summary(), "198.51.100.5");
}

/// bad day: record: it is a LUA record of `PowerDNS` | left alone, and told
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_with_addresses_of_another_making_is_left_alone() {
    let server = Pdns::start();
    patch(
        &server,
        &[replace("LUA", &[record("A \"ifportup(443, {'192.0.2.1', '192.0.2.2'})\"", false)], &[])],
    );
    let serial = server.serial(ZONE);
    let provider = provider(&by_http(&server));
    let swap = Swap::new(read(&provider, WWW).await, answer([a(60, "192.0.2.1")]));
    let fault = provider.swap(&zone(ZONE), &[swap]).await.expect_err("refused");
    assert!(matches!(&fault, Fault::Unsupported(why) if why.contains("LUA")), "{fault}");
    assert_eq!(server.serial(ZONE), serial);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_named_and_the_key_is_not() {
    let server = Pdns::start();
    let right = by_http(&server);
    let name = WWW.parse().expect("a name");
    let wrong_key = PowerDnsConfig { api_key: "opensesame".to_owned().into(), ..right.clone() };
    let fault = provider(&wrong_key).zone(&name).await.expect_err("refused");
    assert!(matches!(fault, Fault::Auth(_)), "{fault}");
    assert!(!format!("{fault} {fault:?}").contains("opensesame"));

    let no_server = PowerDnsConfig { server_id: "elsewhere".into(), ..right.clone() };
    let twice =
        PowerDnsConfig { url: format!("{}/api/v1", server.url()).parse().expect("a URL"), ..right.clone() };
    for config in [no_server, twice] {
        let fault = provider(&config).zone(&name).await.expect_err("not found");
        assert!(matches!(fault, Fault::Config(_)), "{fault}");
    }
    let fault = provider(&right).read(&zone("gone.test"), &["www.gone.test".parse().expect("a name")]).await;
    assert!(matches!(fault, Err(Fault::Config(_))), "{fault:?}");

    let copy = json!({ "name": "copy.test.", "kind": "Slave", "masters": ["127.0.0.1"] });
    let (status, body) = server.api("POST", "/zones", Some(&copy));
    assert_eq!(status, 201, "{body}");
    let fault = provider(&right).zone(&"www.copy.test".parse().expect("a name")).await.expect_err("a copy");
    assert!(matches!(&fault, Fault::Config(why) if why.contains("secondary")), "{fault}");

    let bad_key = PowerDnsConfig { api_key: "line\nbreak".to_owned().into(), ..right };
    let error = PowerDnsProvider::new(&bad_key).err().expect("cannot be a header").to_string();
    assert!(!error.contains("break"), "{error}");
}

/// `www` moves from `192.0.2.1`, as read from the server itself.
async fn move_of_www(server: &Pdns) -> Swap {
    server.set(WWW, &["60 A 192.0.2.1"]);
    let before = read(&provider(&by_http(server)), WWW).await;
    Swap::new(before, answer([a(60, "192.0.2.2")]))
}

/// bad day: provider: `PowerDNS` loses the answer to a write | read again before anything else: it tells
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_is_unknown_and_reading_again_tells() {
    let server = Pdns::start();
    let swap = move_of_www(&server).await;
    let api: SocketAddr = server.url().trim_start_matches("http://").parse().expect("an address");
    let proxy = fake::proxy(api, OnPatch::LoseTheAnswer).await;
    let provider = provider(&at(proxy, &by_http(&server)));
    let fault = provider.swap(&zone(ZONE), &[swap]).await.expect_err("no reply");
    assert!(matches!(fault, Fault::Unknown(_)), "{fault}");
    assert_eq!(read(&provider, WWW).await.summary(), "192.0.2.2", "it was applied");
}

/// bad day: provider: somebody writes to `PowerDNS` within our write | told from its serials, and read again
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_in_between_is_told() {
    let server = Arc::new(Pdns::start());
    let swap = move_of_www(&server).await;
    let api: SocketAddr = server.url().trim_start_matches("http://").parse().expect("an address");
    let (other, body) =
        (Arc::clone(&server), json!({ "rrsets": [replace("A", &[record("192.0.2.66", false)], &[])] }));
    let write = move || assert_eq!(other.api("PATCH", "/zones/example.test.", Some(&body)).0, 204);
    let proxy = fake::proxy(api, OnPatch::First(Arc::new(write))).await;
    let provider = provider(&at(proxy, &by_http(&server)));
    let fault = provider.swap(&zone(ZONE), &[swap]).await.expect_err("somebody else's value was overwritten");
    assert!(matches!(&fault, Fault::Unknown(why) if why.contains("somebody else")), "{fault}");
}

/// As many names as the card says in one PATCH, and not sent where the server would refuse it for its size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_one_patch_unless_it_is_too_large() {
    let server = Pdns::start();
    let provider = provider(&by_http(&server));
    let count = provider.capabilities().names_per_swap;
    let names: Vec<_> = (0..count).map(|n| format!("r{n}.{ZONE}").parse().expect("a name")).collect();
    let swaps = async |addresses: u8| -> Vec<Swap> {
        let before = provider.read(&zone(ZONE), &names).await.expect("readable");
        let v4 = (0..addresses).map(|n| [192, 0, 2, n].into());
        let wish = RecordSet::new(Ttl(60), Values::A(failover_providers::NonEmpty::new(v4).expect("some")));
        before.into_iter().map(|before| Swap::new(before, answer([wish.clone()]))).collect()
    };
    let serial = server.serial(ZONE);
    let fault = provider.swap(&zone(ZONE), &swaps(60).await).await.expect_err("too large");
    assert!(matches!(&fault, Fault::Unsupported(why) if why.contains("fewer")), "{fault}");
    assert_eq!(server.serial(ZONE), serial, "it was not sent");
    provider.swap(&zone(ZONE), &swaps(8).await).await.expect("written");
    assert_eq!(server.serial(ZONE), serial + 1, "one transaction");
    assert_eq!(server.ask(&format!("r{}.{ZONE}", count - 1), "A").values().len(), 8);
}

/// bad day: provider: `PowerDNS` is dead or hangs | nothing is written; after a hanging write it is read again
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_is_unavailable_and_a_hanging_patch_unknown() {
    let server = Pdns::start();
    let swap = move_of_www(&server).await;
    let config = PowerDnsConfig { timeout: Duration::from_millis(800), ..by_http(&server) };
    let api: SocketAddr = server.url().trim_start_matches("http://").parse().expect("an address");
    let hanging = provider(&at(fake::proxy(api, OnPatch::Hang).await, &config));
    let fault = hanging.swap(&zone(ZONE), std::slice::from_ref(&swap)).await.expect_err("no reply");
    assert!(matches!(fault, Fault::Unknown(_)), "{fault}");

    let provider = provider(&config);
    server.freeze();
    let fault = provider.swap(&zone(ZONE), std::slice::from_ref(&swap)).await.expect_err("no look, no write");
    server.thaw();
    assert!(matches!(fault, Fault::Unavailable(_)), "{fault}");
    server.stop();
    let dead = [
        provider.zone(swap.name()).await.err(),
        provider.read(&zone(ZONE), &[swap.name().clone()]).await.err(),
        provider.swap(&zone(ZONE), &[swap]).await.err(),
    ];
    for fault in dead {
        let Some(Fault::Unavailable(why)) = fault else { panic!("{fault:?}") };
        // A connection that was kept open may end with a reset before a new one is refused.
        let plain = ["refused", "reset"].iter().any(|word| why.contains(word));
        assert!(plain, "the reason is told: {why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secondaries_are_notified_at_once() {
    let secondary = UdpSocket::bind("127.0.0.1:0").expect("a port");
    secondary.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let address = secondary.local_addr().expect("bound").to_string();
    let server = Pdns::start_with(&[("PDNS_ALSO_NOTIFY", &address)]);
    let swap = move_of_www(&server).await;
    provider(&by_http(&server)).swap(&zone(ZONE), &[swap]).await.expect("written");
    let mut message = [0; 512];
    secondary.recv(&mut message).expect("a NOTIFY well before xfr-cycle-interval (60 s)");
    assert_eq!(message[2] >> 3 & 0b1111, 4, "the opcode of NOTIFY (RFC 1996)");
}

pub(crate) const LISTING: &str = r#"{"id":"example.test.","name":"example.test.","kind":"Native","serial":1,
    "soa_edit_api":"INCREASE",
    "rrsets":[{"name":"www.example.test.","type":"A","ttl":60,"records":[{"content":"192.0.2.1","disabled":false}]}]}"#;

fn response(status: &str, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// A provider whose server lists a zone as it should and answers every PATCH with this.
async fn answering(patch: Vec<u8>) -> PowerDnsProvider {
    let address = fake::http(move |request| {
        if request.starts_with("PATCH") { patch.clone() } else { response("200 OK", "", LISTING) }
    })
    .await;
    provider(&PowerDnsConfig {
        url: format!("http://{address}").parse().expect("a URL"),
        server_id: "localhost".into(),
        api_key: "k".to_owned().into(),
        timeout: Duration::from_secs(5),
    })
}

async fn patched(patch: Vec<u8>) -> Result<Option<u32>, Fault> {
    let provider = answering(patch).await;
    let swap = Swap::new(read(&provider, WWW).await, answer([a(60, "192.0.2.2")]));
    provider.swap(&zone(ZONE), &[swap]).await.map(|receipt| receipt.serial)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_to_a_patch_has_its_meaning() {
    let kinds = [
        ("500 Internal Server Error", "", "Internal Server Error", "unknown"),
        ("503 Service Unavailable", "", "<html>proxy</html>", "unknown"),
        ("401 Unauthorized", "", "Unauthorized", "auth"),
        ("404 Not Found", "", "Not Found", "config"),
        ("422 Unprocessable Entity", "", r#"{"error":"Record www: Not in expected format"}"#, "invalid"),
        (
            "422 Unprocessable Entity",
            "",
            r#"{"error":"RRset www IN CNAME: Conflicts with pre-existing RRset"}"#,
            "conflict",
        ),
        ("302 Found", "Location: http://127.0.0.1:1/\r\n", "", "config"),
        ("429 Too Many Requests", "", "slow down", "throttled"),
        ("202 Accepted", "", "", "unknown"),
    ];
    for (status, fields, body, kind) in kinds {
        let result = patched(response(status, fields, body)).await;
        assert_eq!(result.as_ref().err().map(Fault::kind), Some(kind), "{status}: {result:?}");
    }
    let good = |old, new| format!("X-PDNS-Old-Serial: {old}\r\nX-PDNS-New-Serial: {new}\r\n");
    assert_eq!(
        patched(response("204 No Content", &good(2, 2), "")).await.expect("as 4.7.3 says it"),
        Some(2)
    );
    assert_eq!(
        patched(response("204 No Content", &good(1, 2), "")).await.expect("as later ones do"),
        Some(2)
    );
    assert!(matches!(patched(response("204 No Content", &good(2, 3), "")).await, Err(Fault::Unknown(_))));
    assert_eq!(patched(response("204 No Content", "", "")).await.expect("no serials, no complaint"), None);
    assert!(matches!(patched(b"garbage".to_vec()).await, Err(Fault::Unknown(_))));
}

/// bad day: provider: `PowerDNS` answers 429 with a time or a date in `Retry-After` | waited for
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_honoured_in_both_forms() {
    let throttled = async |fields: &str| match patched(response("429 Too Many Requests", fields, "")).await {
        Err(Fault::Throttled { after, .. }) => after,
        other => panic!("{other:?}"),
    };
    assert_eq!(throttled("Retry-After: 7\r\n").await, Some(Duration::from_secs(7)));
    let dates = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:57 GMT\r\n";
    assert_eq!(throttled(dates).await, Some(Duration::from_secs(20)));
    assert_eq!(throttled("").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_no_answer_is_not_believed() {
    let huge = format!("{{\"id\":\"{}\"}}", "x".repeat(9 << 20));
    let cases = [
        response("200 OK", "", "<html>Please log in</html>"),
        response("200 OK", "", "[]"),
        response("200 OK", "", &huge),
        b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{\"id\"".to_vec(),
        b"\x00\x01\x02".to_vec(),
    ];
    for case in cases {
        let shown = String::from_utf8_lossy(&case[..case.len().min(60)]).into_owned();
        let address = fake::http(move |_| case.clone()).await;
        let config = PowerDnsConfig {
            url: format!("http://{address}").parse().expect("a URL"),
            server_id: "localhost".into(),
            api_key: "k".to_owned().into(),
            timeout: Duration::from_secs(5),
        };
        let result = provider(&config).read(&zone(ZONE), &[WWW.parse().expect("a name")]).await;
        assert!(matches!(result, Err(Fault::Unavailable(_))), "{shown}: {result:?}");
    }
}
