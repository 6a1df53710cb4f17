//! The live record as BIND, Knot and PowerDNS serve it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use failover::clock::{Clock, SystemClock};
use failover::decision::Moment;
use failover::live::{LiveDns, LiveFault, Server, SystemLiveDns, serves, watch};
use failover::resolve::Resolvers;
use providers::{AnswerSets, DomainName, NonEmpty, RecordSet, RecordType, Ttl, Values};
use testkit::{Bind, DnsServer, Knot, Pdns, ZONE};

/// Generous, so that a busy machine does not turn an answer into silence.
const PATIENT: Duration = Duration::from_secs(9);

fn name(text: &str) -> DomainName {
    text.parse().expect("a name")
}

fn at(label: &str, address: SocketAddr) -> Server {
    Server { name: label.to_lowercase(), address }
}

fn a(ttl: u32, addresses: &[&str]) -> RecordSet {
    let values = addresses.iter().map(|address| address.parse().expect("IPv4"));
    RecordSet::new(Ttl(ttl), Values::A(NonEmpty::new(values).expect("some")))
}

fn aaaa(ttl: u32, addresses: &[&str]) -> RecordSet {
    let values = addresses.iter().map(|address| address.parse().expect("IPv6"));
    RecordSet::new(Ttl(ttl), Values::Aaaa(NonEmpty::new(values).expect("some")))
}

fn map(sets: impl IntoIterator<Item = RecordSet>) -> BTreeMap<RecordType, RecordSet> {
    sets.into_iter().map(|set| (set.record_type(), set)).collect()
}

/// The same questions to each of the three servers.
async fn speaks_the_truth(real: &dyn DnsServer) {
    let live = SystemLiveDns::new(PATIENT);
    let server = at(real.label(), real.dns());
    let ask = async |text: &str| live.ask(&server, &name(text)).await;

    real.set("www.example.test", &["60 A 192.0.2.2", "60 A 192.0.2.1", "300 AAAA 2001:db8::1"]);
    let both = map([a(60, &["192.0.2.1", "192.0.2.2"]), aaaa(300, &["2001:db8::1"])]);
    assert_eq!(ask("www.example.test").await, Ok(both), "both families, each with its TTL");

    real.set("www.example.test", &["30 A 192.0.2.1"]);
    assert_eq!(ask("www.example.test").await, Ok(map([a(30, &["192.0.2.1"])])), "the AAAA set has gone");

    let cname = |target: &str| map([RecordSet::new(Ttl(60), Values::Cname(name(target)))]);
    real.set("alias.example.test", &["60 CNAME www.example.test."]);
    assert_eq!(ask("alias.example.test").await, Ok(cname("www.example.test")), "not chased inside the zone");
    real.set("alias.example.test", &["60 CNAME dr.example.net."]);
    assert_eq!(ask("alias.example.test").await, Ok(cname("dr.example.net")), "nor out of it");
    real.set("alias.example.test", &["60 CNAME nowhere.example.test."]);
    assert_eq!(
        ask("alias.example.test").await,
        Ok(cname("nowhere.example.test")),
        "even when it leads nowhere"
    );

    assert_eq!(ask("nowhere.example.test").await, Ok(BTreeMap::new()), "a clear no");
    assert_eq!(ask(ZONE).await, Ok(BTreeMap::new()), "a name with other types only");
    let soa = live.soa(&server, &name(ZONE)).await.expect("its SOA");
    assert_eq!(soa.serial, real.serial(ZONE), "{}", real.label());
    let foreign = live.soa(&server, &name("example.org")).await;
    assert!(matches!(foreign, Err(LiveFault::Useless(..))), "{foreign:?}");
    let below = live.soa(&server, &name("www.example.test")).await;
    assert!(
        matches!(&below, Err(LiveFault::Useless(_, why)) if why.contains("no SOA")),
        "no zone: {below:?}"
    );
    let www = name("www.example.test");
    assert_eq!(live.company(&server, &www).await, Ok(Vec::new()));
    real.nsupdate(
        "update add www.example.test. 60 MX 10 mail.example.net.\nupdate add www.example.test. 60 TXT x",
    );
    assert_eq!(live.company(&server, &www).await, Ok(vec!["MX".to_owned(), "TXT".to_owned()]));

    let foreign = ask("www.example.org").await;
    assert!(matches!(foreign, Err(LiveFault::Useless(..))), "{foreign:?}");

    let many: Vec<String> = (1..=60).map(|n| format!("60 AAAA 2001:db8::{n:x}")).collect();
    real.set("many.example.test", &many.iter().map(String::as_str).collect::<Vec<_>>());
    let answer = ask("many.example.test").await.expect("an answer");
    let Values::Aaaa(addresses) = &answer[&RecordType::Aaaa].values else { panic!("{answer:?}") };
    assert_eq!(addresses.as_set().len(), 60, "1700 octets: cut short over UDP, whole over TCP");
}

#[tokio::test]
async fn bind_is_read_as_it_is() {
    speaks_the_truth(&Bind::start(0)).await;
}

#[tokio::test]
async fn knot_is_read_as_it_is() {
    speaks_the_truth(&Knot::start()).await;
}

#[tokio::test]
async fn powerdns_is_read_as_it_is() {
    speaks_the_truth(&Pdns::start()).await;
}

/// BIND walks the chain itself and gives up with SERVFAIL; what the name holds is clear all the same.
#[tokio::test]
async fn a_loop_of_aliases_is_one_alias() {
    for real in [&Bind::start(0) as &dyn DnsServer, &Knot::start(), &Pdns::start()] {
        real.set("one.example.test", &["60 CNAME two.example.test."]);
        real.set("two.example.test", &["60 CNAME one.example.test."]);
        let server = at(real.label(), real.dns());
        let first = SystemLiveDns::new(PATIENT).ask(&server, &name("one.example.test")).await;
        let step = map([RecordSet::new(Ttl(60), Values::Cname(name("two.example.test")))]);
        assert_eq!(first, Ok(step), "{}", real.label());
    }
}

#[tokio::test]
async fn a_frozen_server_is_silent_and_a_stopped_one_refuses() {
    let knot = Knot::start();
    let live = SystemLiveDns::new(Duration::from_millis(600));
    let server = at("knot", knot.dns());
    knot.freeze();
    let frozen = live.ask(&server, &name(ZONE)).await.expect_err("frozen").to_string();
    knot.thaw();
    assert!(frozen.ends_with("UDP: no answer within 200ms; TCP: no answer within 400ms"), "{frozen}");
    knot.stop();
    let stopped = live.ask(&server, &name(ZONE)).await.expect_err("stopped").to_string();
    assert!(stopped.ends_with("UDP: connection refused; TCP: connection refused"), "{stopped}");
}

#[tokio::test]
async fn the_servers_of_a_zone_are_found_by_both_families_and_sorted() {
    // BIND takes no NS record whose name has no address; Knot does.
    let knot = Knot::start();
    knot.nsupdate(
        "update add example.test. 60 NS ns2.example.test.\nupdate add example.test. 60 NS ns0.example.test.\n\
         update add ns1.example.test. 60 AAAA ::1\nupdate add ns2.example.test. 60 A 127.0.0.2",
    );
    let live = SystemLiveDns::with_resolvers(PATIENT, Resolvers::Given(vec![knot.dns()]));
    let found = live.servers(&name(ZONE)).await.expect("servers");
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    // ns0 has no address and is left out.
    assert_eq!(
        shown,
        ["ns1.example.test (127.0.0.1)", "ns1.example.test (::1)", "ns2.example.test (127.0.0.2)"]
    );
    assert!(found.iter().all(|server| server.address.port() == 53));
}

#[tokio::test]
async fn a_zone_without_servers_says_what_to_set() {
    let bind = Bind::start(0);
    let live = SystemLiveDns::with_resolvers(PATIENT, Resolvers::Given(vec![bind.dns()]));
    for (text, why) in [
        ("ns1.example.test", "it has no NS set; is it a zone?"),
        ("nowhere.example.test", "the name does not exist"),
    ] {
        let fault = live.servers(&name(text)).await.expect_err("no servers").to_string();
        assert!(fault.contains(why) && fault.contains("set `nameservers:`"), "{fault}");
    }
    bind.stop();
    let fault = live.servers(&name(ZONE)).await.expect_err("no resolver");
    assert!(matches!(fault, LiveFault::NoServers(..)), "{fault}");
}

#[tokio::test]
async fn a_change_is_followed_to_the_last_secondary() {
    let bind = Bind::start(2);
    bind.set("www.example.test", &["60 A 192.0.2.1"]);
    let mut servers = vec![at("primary", bind.dns())];
    servers.extend(bind.secondaries().into_iter().map(|address| at("secondary", address)));
    let (live, clock) = (SystemLiveDns::new(Duration::from_secs(1)), SystemClock::start());
    let www = name("www.example.test");
    let old = AnswerSets::new([a(60, &["192.0.2.1"])]).expect("an answer");
    let all = watch(&live, &clock, &servers, &www, &old, Duration::from_secs(30)).await;
    assert!(all.iter().all(|seen| seen.served_at.is_some()), "{all:?}");

    bind.freeze_secondary(1);
    let new = AnswerSets::new([a(60, &["192.0.2.2"])]).expect("an answer");
    let (seen, ()) =
        tokio::join!(watch(&live, &clock, &servers, &www, &new, Duration::from_secs(8)), async {
            bind.set("www.example.test", &["60 A 192.0.2.2"]);
        });
    bind.thaw_secondary(1);
    assert!(seen[0].served_at.is_some() && seen[1].served_at.is_some(), "{seen:?}");
    assert!(
        clock.now().moment.since(Moment::ZERO) >= Duration::from_secs(8),
        "the frozen one was waited for"
    );
    assert_eq!(seen[2].served_at, None);
    assert!(matches!(seen[2].last, Err(LiveFault::Silent(..))), "{:?}", seen[2].last);

    let after = watch(&live, &clock, &servers[2..], &www, &new, Duration::from_secs(30)).await;
    assert!(
        after[0].served_at.is_some() && serves(after[0].last.as_ref().expect("an answer"), &new),
        "{after:?}"
    );
}
