//! Many names by one transfer of the zone: large ones, refused ones, and what is none.

use std::net::SocketAddr;
use std::time::Duration;

use failover_providers::rfc2136::Rfc2136Provider;
use failover_providers::{Crowd, DomainName, Fault, ReadProvider, Rfc2136Config};
use testkit::{Bind, DnsServer, Knot, Pdns, ZONE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake;
use crate::suite::by_update;
use crate::update::{slow_clock, zone};

/// More than a message of 64 KiB has room for.
const CROWD: usize = 4_000;

fn names(count: usize) -> Vec<DomainName> {
    (0..count).map(|n| format!("r{n}.{ZONE}").parse().expect("a name")).collect()
}

fn address(n: usize) -> String {
    format!("192.0.{}.{}", n / 250, n % 250)
}

/// The server holds an address at each of these names.
fn fill(server: &impl DnsServer, count: usize) {
    let line = |n: usize| format!("update add r{n}.{ZONE}. 60 A {}", address(n));
    let lines: Vec<String> = (0..count).map(line).collect();
    server.nsupdate(&lines.chunks(500).map(|some| some.join("\n")).collect::<Vec<_>>().join("\nsend\n"));
}

fn provider(config: &Rfc2136Config) -> Rfc2136Provider {
    Rfc2136Provider::new(config).expect("the settings are right")
}

fn told(crowd: &Crowd) -> usize {
    crowd.snapshots.iter().flatten().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_many_messages_is_read_whole() {
    async fn story(server: &impl DnsServer) {
        fill(server, CROWD);
        let names = names(CROWD + 1);
        let crowd = provider(&by_update(server)).read_crowd(&zone(ZONE), &names).await.expect("read");
        assert_eq!((told(&crowd), crowd.why_not), (names.len(), None), "{}", server.label());
        for (n, seen) in crowd.snapshots.iter().flatten().enumerate() {
            let holds = if n < CROWD { address(n) } else { "nothing".to_owned() };
            assert_eq!((&seen.name, seen.summary()), (&names[n], holds), "{}", server.label());
        }
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
    story(&Pdns::start()).await;
}

/// bad day: provider: its server gives no transfer of the zone | its records are read one by one, and it is told once
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_transfer_is_refused_names_are_asked_for() {
    async fn story(server: &impl DnsServer) {
        server.set(&format!("r0.{ZONE}"), &["60 A 192.0.2.1"]);
        let provider = provider(&Rfc2136Config { tsig: None, ..by_update(server) });
        let (zone, names) = (zone(ZONE), names(2));
        let first = provider.read_crowd(&zone, &names).await.expect("no fault");
        assert_eq!(told(&first), 0, "{}", server.label());
        assert!(first.why_not.is_some_and(|why| why.contains(ZONE)), "{}", server.label());
        assert_eq!(provider.read_crowd(&zone, &names).await.expect("no fault"), Crowd::unseen(2));
        let read = provider.read(&zone, &names).await.expect("readable");
        assert_eq!(read[0].summary(), "192.0.2.1", "{}", server.label());
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_signed_by_a_wrong_clock_is_signed_again() {
    async fn story(server: &impl DnsServer) {
        let provider = Rfc2136Provider::with_clock(&by_update(server), slow_clock).expect("right settings");
        let crowd = provider.read_crowd(&zone(ZONE), &names(3)).await.expect("read");
        assert_eq!((told(&crowd), crowd.why_not), (3, None), "{}", server.label());
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_asked_once() {
    let server = Knot::start();
    let config = by_update(&server);
    server.stop();
    let fault = provider(&config).read_crowd(&zone(ZONE), &names(3)).await.expect_err("nobody is there");
    assert!(matches!(fault, Fault::Unavailable(_)), "{fault}");
}

/// The zone's SOA record with this serial, or an address at the zone's own name. Names refer to that of the question.
fn record(serial: Option<u32>) -> Vec<u8> {
    let (kind, data) = match serial {
        Some(serial) => (6, [vec![0, 0], serial.to_be_bytes().to_vec(), vec![0; 16]].concat()),
        None => (1, vec![192, 0, 2, 1]),
    };
    let length = u8::try_from(data.len()).expect("short");
    [&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, length], data.as_slice()].concat()
}

/// An answer of these records to an unsigned question.
fn answer(request: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(records.len()).expect("fits").to_be_bytes();
    let header = [request[0], request[1], 0x84, 0, 0, 1, count[0], count[1], 0, 0, 0, 0];
    [&header, &request[12..], &records.concat()].concat()
}

/// A server that answers a question with these messages and says no more.
async fn says(messages: fn(&[u8]) -> Vec<Vec<u8>>) -> SocketAddr {
    fake::listen(move |mut stream| async move {
        let mut request = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut request).await?;
        for message in messages(&request) {
            stream.write_u16(message.len().try_into().expect("fits")).await?;
            stream.write_all(&message).await?;
        }
        stream.flush().await?;
        // Until the other end has had enough.
        stream.read_u8().await.map(drop)
    })
    .await
}

/// bad day: provider: the transfer of a zone is broken off, forged or without end | given up, and its records are read one by one
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_transfer_tells_of_no_name() {
    type Messages = fn(&[u8]) -> Vec<Vec<u8>>;
    let whole = |request: &[u8]| vec![answer(request, &[record(Some(7)), record(None), record(Some(7))])];
    let cases: [(&str, Messages); 9] = [
        ("silence", |_| Vec::new()),
        ("garbage", |_| vec![b"HTTP/1.1 400 Bad Request".to_vec()]),
        ("no records", |request| vec![answer(request, &[])]),
        ("no SOA first", |request| vec![answer(request, &[record(None), record(Some(7)), record(Some(7))])]),
        ("another serial at its end", |request| {
            vec![answer(request, &[record(Some(7)), record(None), record(Some(8))])]
        }),
        ("more behind its end", |request| {
            vec![answer(request, &[record(Some(7)), record(Some(7)), record(None)])]
        }),
        ("no end", |request| vec![answer(request, &[record(Some(7)), record(None)])]),
        ("another id", |request| {
            let mut message = answer(request, &[record(Some(7)), record(Some(7))]);
            message[0] ^= 1;
            vec![message]
        }),
        ("too many records", |request| {
            let first = answer(request, &[record(Some(7))]);
            std::iter::once(first)
                .chain((0..6).map(|_| answer(request, &vec![record(None); 2_000])))
                .collect()
        }),
    ];
    let config = |server| Rfc2136Config { server, tsig: None, timeout: Duration::from_millis(500) };
    let names = [ZONE.parse().expect("a name")];
    let crowd = provider(&config(says(whole).await)).read_crowd(&zone(ZONE), &names).await.expect("read");
    assert_eq!(
        crowd.snapshots[0].as_ref().map(failover_providers::Snapshot::summary),
        Some("192.0.2.1".into())
    );
    for (case, messages) in cases {
        let provider = provider(&config(says(messages).await));
        let crowd =
            provider.read_crowd(&zone(ZONE), &names).await.unwrap_or_else(|why| panic!("{case}: {why}"));
        assert!(told(&crowd) == 0 && crowd.why_not.is_some(), "{case}: {crowd:?}");
    }
    // With a key, what is not signed tells of nothing.
    let server = Knot::start();
    let signed = Rfc2136Config { server: says(whole).await, ..by_update(&server) };
    let crowd = provider(&signed).read_crowd(&zone(ZONE), &names).await.expect("no fault");
    assert!(told(&crowd) == 0 && crowd.why_not.is_some_and(|why| why.contains("sign")));
}
