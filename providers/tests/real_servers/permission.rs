//! Would a swap be allowed? Asked of real servers, which must be left exactly as they were.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use failover_providers::powerdns::PowerDnsProvider;
use failover_providers::rfc2136::Rfc2136Provider;
use failover_providers::{Fault, Permission, ReadProvider, RecordType, Rfc2136Config, Snapshot};
use testkit::{Bind, DnsServer, Knot, Pdns, ZONE};

use crate::suite::{by_http, by_update};
use crate::update::{read, zone};

const WWW: &str = "www.example.test";

/// Asks for `www`, and holds that nothing moved: not the record, not its TTL, not the serial.
async fn ask(
    server: &impl DnsServer,
    provider: &dyn ReadProvider,
    types: &[RecordType],
) -> Result<Permission, Fault> {
    let key = Rfc2136Provider::new(&by_update(server)).expect("right settings");
    let now: Snapshot = read(&key, WWW).await;
    let before = (server.serial(ZONE), server.ask(WWW, "ANY").records);
    let said = provider.permission(&zone(ZONE), &now, &types.iter().copied().collect::<BTreeSet<_>>()).await;
    let after = (server.serial(ZONE), server.ask(WWW, "ANY").records);
    assert_eq!(before, after, "{}: something moved", server.label());
    said
}

fn provider(config: &Rfc2136Config) -> Rfc2136Provider {
    Rfc2136Provider::new(config).expect("right settings")
}

#[track_caller]
fn is_refused(server: &impl DnsServer, said: &Result<Permission, Fault>) {
    assert!(matches!(said, Err(Fault::Auth(_))), "{}: {said:?}", server.label());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_write_is_told_so_and_nothing_moves() {
    async fn story(server: &impl DnsServer) {
        let provider = provider(&by_update(server));
        let all = RecordType::ANSWER;
        for sets in [
            &["60 A 192.0.2.0", "60 A 192.0.2.1"] as &[&str],
            &["60 A 192.0.2.1", "60 AAAA 2001:db8::"],
            &["60 CNAME dr.example.net."],
            &["60 CNAME nothing.invalid."],
            &[],
        ] {
            server.set(WWW, sets);
            let said = ask(server, &provider, &all).await;
            assert_eq!(said.expect("allowed"), Permission::Granted, "{} with {sets:?}", server.label());
        }
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
    story(&Pdns::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_found_out_before_the_day_it_matters() {
    async fn story(server: &impl DnsServer) {
        let said = ask(server, &provider(&by_update(server)), &[RecordType::A]).await;
        is_refused(server, &said);
        let without = Rfc2136Config { tsig: None, ..by_update(server) };
        is_refused(server, &ask(server, &provider(&without), &[RecordType::A]).await);
    }
    // The key may change another name. Whoever may set that name can read this one all the same.
    let policy = "grant failover-key name other.example.test. ANY;";
    story(&Bind::start_with(&[("BIND_SECONDARIES", "0"), ("BIND_POLICY", policy)])).await;
    story(&Knot::start_with(&[("KNOT_ACL_OWNER", "other.example.test.")])).await;
    let server = Pdns::start();
    let path = format!("/zones/{ZONE}./metadata/TSIG-ALLOW-DNSUPDATE");
    let other = serde_json::json!({"kind": "TSIG-ALLOW-DNSUPDATE", "metadata": ["another-key"]});
    let (status, body) = server.api("PUT", &path, Some(&other));
    assert_eq!(status, 200, "{body}");
    story(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_for_one_type_is_no_key_for_the_other() {
    let policy = "grant failover-key name www.example.test. A;";
    let server = Bind::start_with(&[("BIND_SECONDARIES", "0"), ("BIND_POLICY", policy)]);
    server.nsupdate("update add www.example.test. 60 A 192.0.2.1");
    let provider = provider(&by_update(&server));
    assert_eq!(ask(&server, &provider, &[RecordType::A]).await.expect("allowed"), Permission::Granted);
    is_refused(&server, &ask(&server, &provider, &[RecordType::Aaaa]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_found_out_too() {
    async fn story(server: &impl DnsServer) {
        let mut config = by_update(server);
        let tsig = config.tsig.as_mut().expect("there");
        tsig.secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned().into();
        is_refused(server, &ask(server, &provider(&config), &[RecordType::A]).await);
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
    story(&Pdns::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_powerdns_api_says_that_it_cannot_be_asked() {
    let server = Pdns::start();
    server.set(WWW, &["60 A 192.0.2.1"]);
    let provider = PowerDnsProvider::new(&by_http(&server)).expect("right settings");
    let said = ask(&server, &provider, &[RecordType::A]).await.expect("an answer");
    assert!(matches!(&said, Permission::NotTested(why) if why.contains("API")), "{said:?}");
    // Why not: what is there, sent again, moves the serial.
    let serial = server.serial(ZONE);
    let same = serde_json::json!({"rrsets": [{"name": format!("{WWW}."), "type": "A", "ttl": 60,
        "changetype": "REPLACE", "records": [{"content": "192.0.2.1", "disabled": false}]}]});
    let (status, body) = server.api("PATCH", &format!("/zones/{ZONE}."), Some(&same));
    assert_eq!(status, 204, "{body}");
    assert_ne!(server.serial(ZONE), serial);
}

/// Seconds since 1970 by the machine that all of them run on.
#[expect(clippy::disallowed_methods, reason = "the servers' clock is this one")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_tell_what_their_clocks_show() {
    async fn story(label: &str, provider: &dyn ReadProvider) {
        let earliest = now();
        let told = provider.server_time(&zone(ZONE)).await.expect("an answer").expect("a time");
        assert!((earliest..=now()).contains(&told), "{label}: {told} between {earliest} and {}", now());
    }
    let (bind, knot, pdns) = (Bind::start(0), Knot::start(), Pdns::start());
    story("BIND", &provider(&by_update(&bind))).await;
    story("Knot", &provider(&by_update(&knot))).await;
    story("PowerDNS by DNS UPDATE", &provider(&by_update(&pdns))).await;
    // The web server of PowerDNS 4.7.3 sends no Date; a proxy in front of it does.
    let by_http = PowerDnsProvider::new(&by_http(&pdns)).expect("right settings");
    assert_eq!(by_http.server_time(&zone(ZONE)).await.expect("an answer"), None);
    // A clock that is an hour off is told as it is, not as ours.
    let off = Rfc2136Provider::with_clock(&by_update(&bind), || now() - 3600).expect("right settings");
    story("BIND, with a slow clock here", &off).await;
    // Without a key nobody signs, and nobody tells.
    let bare = provider(&Rfc2136Config { tsig: None, ..by_update(&bind) });
    assert_eq!(bare.server_time(&zone(ZONE)).await.expect("an answer"), None);
}
