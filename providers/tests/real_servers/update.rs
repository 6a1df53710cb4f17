//! DNS UPDATE: keys, clocks, wrong zones, lost replies.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use failover_providers::rfc2136::Rfc2136Provider;
use failover_providers::{
    AnswerSets, Fault, NonEmpty, Provider, ReadProvider, RecordSet, RecordType, Rfc2136Config, Snapshot,
    Swap, Ttl, Values, Zone,
};
use testkit::{Bind, DnsServer, FaultProxy, Knot, Pdns, ZONE};

use crate::fake;
use crate::suite::by_update;

const WWW: &str = "www.example.test";

/// One hour slow.
#[expect(clippy::disallowed_methods, reason = "a wrong clock is wrong by the real one")]
pub(crate) fn slow_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() - 3600
}

pub(crate) fn zone(name: &str) -> Zone {
    Zone { name: name.parse().expect("a name"), id: format!("{name}.") }
}

pub(crate) fn a(ttl: u32, address: &str) -> RecordSet {
    RecordSet::new(Ttl(ttl), Values::A(NonEmpty::one(address.parse().expect("an IPv4 address"))))
}

pub(crate) fn answer(sets: impl IntoIterator<Item = RecordSet>) -> AnswerSets {
    AnswerSets::new(sets).expect("an answer")
}

pub(crate) async fn read(provider: &dyn ReadProvider, name: &str) -> Snapshot {
    let names = [name.parse().expect("a name")];
    provider.read(&zone(ZONE), &names).await.expect("readable").remove(0)
}

fn provider(config: &Rfc2136Config) -> Rfc2136Provider {
    Rfc2136Provider::new(config).expect("the settings are right")
}

/// `www` moves from `192.0.2.1`, as somebody with the right key reads it.
async fn move_of_www(server: &impl DnsServer) -> Swap {
    server.set(WWW, &["60 A 192.0.2.1"]);
    let before = read(&provider(&by_update(server)), WWW).await;
    Swap::new(before, answer([a(60, "192.0.2.2")]))
}

/// What zone, read and swap say; nothing must be written.
async fn faults(server: &impl DnsServer, config: &Rfc2136Config, swap: &Swap) -> [Option<Fault>; 3] {
    let (provider, serial) = (provider(config), server.serial(ZONE));
    let name = swap.name().clone();
    let found = provider.zone(&name).await.err();
    let read = provider.read(&zone(ZONE), &[name]).await.err();
    let swapped = provider.swap(&zone(ZONE), std::slice::from_ref(swap)).await.err();
    assert_eq!(server.serial(ZONE), serial, "{}: nothing may be written", server.label());
    [found, read, swapped]
}

/// All three are `Auth`, their text has `word`, and no text has the secret.
fn all_are_auth(label: &str, config: &Rfc2136Config, faults: [Option<Fault>; 3], word: &str) {
    use secrecy::ExposeSecret;
    let secret = config.tsig.as_ref().map_or("never to be found", |tsig| tsig.secret.expose_secret());
    for fault in faults {
        let fault = fault.unwrap_or_else(|| panic!("{label} took it"));
        assert!(matches!(fault, Fault::Auth(_)), "{label}: {fault:?}");
        assert!(fault.to_string().contains(word), "{label}: {fault}");
        assert!(!format!("{fault} {fault:?}").contains(secret), "{label}: the secret is in the text");
    }
}

/// bad day: provider: the TSIG key is wrong | nothing is written; told as a matter for a person
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_a_matter_for_a_person() {
    async fn story(server: &impl DnsServer, says: [&str; 2]) {
        let swap = move_of_www(server).await;
        let mut config = by_update(server);
        let tsig = config.tsig.as_mut().expect("there");
        tsig.secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned().into();
        all_are_auth(server.label(), &config, faults(server, &config, &swap).await, says[0]);
        let mut config = by_update(server);
        config.tsig.as_mut().expect("there").name = "nobody".parse().expect("a name");
        all_are_auth(server.label(), &config, faults(server, &config, &swap).await, says[1]);
    }
    story(&Bind::start(0), ["BADSIG", "BADKEY"]).await;
    story(&Knot::start(), ["BADSIG", "BADKEY"]).await;
    story(&Pdns::start(), ["secret", "secret"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_one_can_read_but_not_write() {
    async fn story(server: &impl DnsServer) {
        let swap = move_of_www(server).await;
        let config = Rfc2136Config { tsig: None, ..by_update(server) };
        let [found, read, swapped] = faults(server, &config, &swap).await;
        assert!(found.is_none() && read.is_none(), "{}: {found:?} {read:?}", server.label());
        let swapped = swapped.expect("refused");
        assert!(
            matches!(&swapped, Fault::Auth(why) if why.contains("tsig")),
            "{}: {swapped}",
            server.label()
        );
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
    story(&Pdns::start()).await;
}

/// bad day: clock: wrong by more than TSIG allows | the server's time is used, and told
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_is_put_right_by_the_servers() {
    async fn story(server: &impl DnsServer) {
        let swap = move_of_www(server).await;
        let provider = Rfc2136Provider::with_clock(&by_update(server), slow_clock).expect("right settings");
        // The first request of a new client is the swap: nobody has told it the time yet.
        provider.swap(&zone(ZONE), &[swap]).await.expect("signed again by the server's clock");
        assert_eq!(read(&provider, WWW).await.summary(), "192.0.2.2", "{}", server.label());
        assert_eq!(provider.zone(&WWW.parse().expect("a name")).await.expect("found").name.as_str(), ZONE);
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
}

/// One message to a server and its answer, over TCP.
fn forward(server: std::net::SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server)?;
    let length = u16::try_from(request.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), request].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_server_can_put_the_clock_right() {
    let server = Bind::start(0);
    let swap = move_of_www(&server).await;
    let real = server.dns();
    // The last octet of a BADTIME answer is the last of the server's clock.
    let tamper = move |request: &[u8]| {
        let mut answer = forward(real, request).ok()?;
        *answer.last_mut()? ^= 1;
        Some(answer)
    };
    let config = Rfc2136Config { server: fake::dns(tamper).await, ..by_update(&server) };
    let provider = Rfc2136Provider::with_clock(&config, slow_clock).expect("right settings");
    let fault = provider.swap(&zone(ZONE), &[swap]).await.expect_err("tampered with");
    assert!(matches!(&fault, Fault::Unknown(why) if why.contains("signature")), "{fault}");
    assert_eq!(server.ask(WWW, "A").values(), ["192.0.2.1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn powerdns_does_not_tell_its_clock_but_the_fault_names_it() {
    let server = Pdns::start();
    let swap = move_of_www(&server).await;
    let provider = Rfc2136Provider::with_clock(&by_update(&server), slow_clock).expect("right settings");
    let fault = provider.swap(&zone(ZONE), &[swap]).await.expect_err("refused");
    assert!(matches!(&fault, Fault::Auth(why) if why.contains("both clocks")), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_is_not_served_is_a_matter_of_configuration() {
    async fn story(server: &impl DnsServer) {
        let provider = provider(&by_update(server));
        let name: failover_providers::DomainName = "www.other.test".parse().expect("a name");
        let other = zone("other.test");
        let before = Snapshot {
            marker: None,
            name: name.clone(),
            sets: std::iter::once((RecordType::A, a(60, "192.0.2.1"))).collect(),
            version: failover_providers::Version::Values,
            native: serde_json::Value::Null,
        };
        let swap = Swap::new(before, answer([a(60, "192.0.2.2")]));
        let results = [
            provider.zone(&name).await.err(),
            provider.read(&other, std::slice::from_ref(&name)).await.err(),
            provider.swap(&other, std::slice::from_ref(&swap)).await.err(),
            // A name of another zone never leaves the house.
            provider.swap(&zone(ZONE), &[swap]).await.err(),
            provider.read(&zone(ZONE), &[name]).await.err(),
        ];
        for result in results {
            assert!(matches!(result, Some(Fault::Config(_))), "{}: {result:?}", server.label());
        }
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
    story(&Pdns::start()).await;
}

/// bad day: provider: the configured server is a secondary | nothing is written; told with the reason
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secondary_is_not_written() {
    let server = Bind::start(1);
    let swap = move_of_www(&server).await;
    let secondary = server.secondaries()[0];
    testkit::wait_until("the secondary has it", Duration::from_secs(10), || {
        testkit::ask(secondary, WWW, "A").ok().filter(|reply| reply.values() == ["192.0.2.1"])
    });
    let config = Rfc2136Config { server: secondary, ..by_update(&server) };
    let [found, read, swapped] = faults(&server, &config, &swap).await;
    assert!(found.is_none() && read.is_none());
    assert!(matches!(&swapped, Some(Fault::Auth(why)) if why.contains("secondary")), "{swapped:?}");
}

/// bad day: provider: the answer to a DNS UPDATE is lost | read again before anything else: it tells
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_is_unknown_and_reading_again_tells() {
    async fn story(server: &impl DnsServer) {
        let swap = move_of_www(server).await;
        let proxy = FaultProxy::start(server.dns());
        let timeout = Duration::from_millis(700);
        let config = Rfc2136Config { server: proxy.address(), timeout, ..by_update(server) };
        let provider = provider(&config);
        proxy.set("mode=half");
        let fault = provider.swap(&zone(ZONE), std::slice::from_ref(&swap)).await.expect_err("no reply");
        assert!(matches!(fault, Fault::Unknown(_)), "{}: {fault}", server.label());
        proxy.set("mode=ok&kill=1");
        // The answer was lost, not the request; a busy machine may still be at it.
        let applied = async {
            while read(&provider, WWW).await.summary() != "192.0.2.2" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), applied).await;
        assert!(waited.is_ok(), "{}: it was not applied", server.label());
        // Sending it again blindly would have been refused, not applied twice.
        let fault = provider.swap(&zone(ZONE), &[swap]).await.expect_err("stale");
        assert!(matches!(fault, Fault::Conflict(_)), "{}: {fault}", server.label());
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
    story(&Pdns::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_is_unavailable_and_a_hanging_one_unknown() {
    let server = Knot::start();
    let swap = move_of_www(&server).await;
    let timeout = Duration::from_millis(500);
    let provider = provider(&Rfc2136Config { timeout, ..by_update(&server) });
    let names = [swap.name().clone()];
    server.freeze();
    let hung = [
        provider.read(&zone(ZONE), &names).await.err(),
        provider.swap(&zone(ZONE), std::slice::from_ref(&swap)).await.err(),
    ];
    server.thaw();
    assert!(matches!(hung, [Some(Fault::Unavailable(_)), Some(Fault::Unknown(_))]), "{hung:?}");
    server.stop();
    let dead = [
        provider.zone(swap.name()).await.err(),
        provider.read(&zone(ZONE), &names).await.err(),
        provider.swap(&zone(ZONE), &[swap]).await.err(),
    ];
    for fault in dead {
        assert!(matches!(fault, Some(Fault::Unavailable(_))), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_short_names_as_the_card_says_and_sixty_long_ones_fit_one_update() {
    async fn story(server: &impl DnsServer) {
        let provider = provider(&by_update(server));
        // 253 characters each, and nothing in common but the zone.
        let label = |letter: char, n: usize, length: usize| format!("{letter}{n:0>0$}", length - 1);
        let name = |n: usize| {
            let labels =
                [('a', 48), ('b', 63), ('c', 63), ('d', 63)].map(|(letter, length)| label(letter, n, length));
            format!("{}.{ZONE}", labels.join(".")).parse().expect("a name")
        };
        let names: Vec<failover_providers::DomainName> = (0..60).map(name).collect();
        assert_eq!(names[0].as_str().len(), 253);
        let sets = |last: u8| {
            let v4 = (0..4).map(|n| [192, 0, n, last].into());
            let v6 = (0..4).map(|n| [0x2001, 0xdb8, n, 0, 0, 0, 0, last.into()].into());
            answer([
                RecordSet::new(Ttl(60), Values::A(NonEmpty::new(v4).expect("four"))),
                RecordSet::new(Ttl(60), Values::Aaaa(NonEmpty::new(v6).expect("four"))),
            ])
        };
        for last in [1, 2] {
            let before = provider.read(&zone(ZONE), &names).await.expect("readable");
            let swaps: Vec<Swap> = before.into_iter().map(|before| Swap::new(before, sets(last))).collect();
            let serial = server.serial(ZONE);
            provider
                .swap(&zone(ZONE), &swaps)
                .await
                .unwrap_or_else(|why| panic!("{}: {why}", server.label()));
            assert_eq!(server.serial(ZONE), serial + 1, "{}", server.label());
        }
        let after = provider.read(&zone(ZONE), &names).await.expect("readable");
        assert!(after.iter().all(|snapshot| snapshot.holds(&sets(2))), "{}", server.label());

        let count = provider.capabilities().names_per_swap;
        let swaps =
            async |name: &dyn Fn(usize) -> failover_providers::DomainName, wish: AnswerSets| -> Vec<Swap> {
                let names: Vec<_> = (0..count).map(name).collect();
                let before = provider.read(&zone(ZONE), &names).await.expect("readable");
                before.into_iter().map(|before| Swap::new(before, wish.clone())).collect()
            };
        let short = |n: usize| format!("r{n}.{ZONE}").parse().expect("a name");
        let serial = server.serial(ZONE);
        for last in ["192.0.2.1", "192.0.2.2"] {
            let swaps = swaps(&short, answer([a(60, last)])).await;
            provider
                .swap(&zone(ZONE), &swaps)
                .await
                .unwrap_or_else(|why| panic!("{}: {why}", server.label()));
        }
        assert_eq!(server.serial(ZONE), serial + 2, "{}", server.label());
        let fault = provider.swap(&zone(ZONE), &swaps(&name, sets(3)).await).await.expect_err("too large");
        assert!(
            matches!(&fault, Fault::Unsupported(why) if why.contains("64 KiB")),
            "{}: {fault}",
            server.label()
        );
        assert_eq!(server.serial(ZONE), serial + 2, "{}: it was not sent", server.label());
    }
    story(&Bind::start(0)).await;
    story(&Knot::start()).await;
    story(&Pdns::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn longer_signatures_work_too() {
    let bind = Bind::start_with(&[("BIND_SECONDARIES", "0"), ("BIND_KEY_ALG", "hmac-sha512")]);
    let swap = move_of_www(&bind).await;
    provider(&by_update(&bind)).swap(&zone(ZONE), &[swap]).await.expect("hmac-sha512");
    let knot = Knot::start_with(&[("KNOT_KEY_ALG", "hmac-sha384")]);
    let swap = move_of_www(&knot).await;
    provider(&by_update(&knot)).swap(&zone(ZONE), &[swap]).await.expect("hmac-sha384");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_that_cannot_be_says_what_is_in_its_way() {
    let server = Bind::start(0);
    server.nsupdate(
        "update add www.example.test. 60 A 192.0.2.1\nupdate add www.example.test. 60 MX 10 m.example.net.",
    );
    let provider = provider(&by_update(&server));
    let before = read(&provider, WWW).await;
    let alias = RecordSet::new(Ttl(60), Values::Cname("dr.example.net".parse().expect("a name")));
    let fault = provider.swap(&zone(ZONE), &[Swap::new(before, answer([alias]))]).await.expect_err("refused");
    assert!(matches!(&fault, Fault::Unsupported(why) if why.contains("MX")), "{fault}");
    assert_eq!(server.ask(WWW, "A").values(), ["192.0.2.1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_only_a_wildcard_answers_is_a_conflict_that_says_so() {
    let server = Bind::start(0);
    server.nsupdate("update add *.example.test. 60 A 192.0.2.1");
    let provider = provider(&by_update(&server));
    let before = read(&provider, WWW).await;
    assert_eq!(before.summary(), "192.0.2.1");
    let swap = Swap::new(before, answer([a(60, "192.0.2.2")]));
    let fault = provider.swap(&zone(ZONE), &[swap]).await.expect_err("there is no such name");
    assert!(matches!(&fault, Fault::Conflict(why) if why.contains("wildcard")), "{fault}");
}

/// The header of a message turned into an answer with this response code, and nothing behind the question.
fn header_of_answer(request: &[u8], rcode: u8) -> Vec<u8> {
    let opcode = request[2] & 0b0111_1000;
    vec![request[0], request[1], 0x80 | opcode | 0x04, rcode, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// bad day: provider: the answer to a DNS UPDATE is garbage, cut off or forged | unknown: read again before anything else
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_is_never_taken_for_one() {
    type Answer = fn(&[u8]) -> Option<Vec<u8>>;
    let server = Knot::start();
    let swap = move_of_www(&server).await;
    let cases: [(&str, Answer); 8] = [
        ("silence", |_| None),
        ("garbage", |_| Some(b"HTTP/1.1 400 Bad Request".to_vec())),
        ("no header", |request| Some(request[..2].to_vec())),
        ("cut off in the header", |request| Some(header_of_answer(request, 0)[..7].to_vec())),
        ("truncated", |request| {
            let mut answer = header_of_answer(request, 0);
            answer[2] |= 0x02;
            Some(answer)
        }),
        ("another id", |request| Some([&[!request[0]], &header_of_answer(request, 0)[1..]].concat())),
        ("unsigned NOERROR", |request| Some(header_of_answer(request, 0))),
        ("unsigned NXRRSET", |request| Some(header_of_answer(request, 8))),
    ];
    for (case, answer) in cases {
        let config = Rfc2136Config { server: fake::dns(answer).await, ..by_update(&server) };
        let provider = provider(&config);
        let swapped = provider.swap(&zone(ZONE), std::slice::from_ref(&swap)).await;
        assert!(matches!(swapped, Err(Fault::Unknown(_))), "{case}: {swapped:?}");
        let read = provider.read(&zone(ZONE), &[swap.name().clone()]).await;
        assert!(matches!(&read, Err(fault) if !fault.may_have_written()), "{case}: {read:?}");
    }
}
