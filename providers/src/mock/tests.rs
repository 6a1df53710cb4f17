//! Stories of the mock: what a test can do with it, and what it does to itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType as WireType;

use super::*;
use crate::conformance::ask::{Reply, Transport, ask, serial};
use crate::{NonEmpty, RecordType, Values};

fn name(text: &str) -> DomainName {
    text.parse().expect("a name")
}

fn www() -> DomainName {
    name("www.workshopco.ca")
}

fn a(address: &str) -> RecordSet {
    RecordSet::new(Ttl(60), Values::A(NonEmpty::one(address.parse().expect("IPv4"))))
}

fn aaaa(address: &str) -> RecordSet {
    RecordSet::new(Ttl(60), Values::Aaaa(NonEmpty::one(address.parse().expect("IPv6"))))
}

fn stored(record_type: &str, value: &str) -> StoredSet {
    StoredSet { ttl: Ttl(300), record_type: record_type.into(), values: vec![value.into()] }
}

/// Workshop Co.'s zone in memory, with www at the primary.
fn workshop() -> (MockProvider, Zone) {
    let mock = MockProvider::in_memory([name("workshopco.ca")]);
    mock.edit(&www(), [a("203.0.113.10")]).expect("edited");
    (mock, Zone { name: name("workshopco.ca"), id: String::new() })
}

async fn read(mock: &MockProvider, zone: &Zone) -> Snapshot {
    mock.read(zone, &[www()]).await.expect("read").remove(0)
}

/// Read, then swap to these sets.
async fn move_to(
    mock: &MockProvider,
    zone: &Zone,
    sets: impl IntoIterator<Item = RecordSet>,
) -> Result<Receipt, Fault> {
    let before = read(mock, zone).await;
    mock.swap(zone, &[Swap::new(before, AnswerSets::new(sets).expect("an answer"))]).await
}

fn summary(mock: &MockProvider) -> String {
    mock.peek(&www()).expect("there").summary()
}

#[tokio::test]
async fn a_failover_is_one_write_and_the_second_run_is_none() {
    let (mock, zone) = workshop();
    let receipt = move_to(&mock, &zone, [a("198.51.100.5")]).await.expect("written");
    assert_eq!(receipt.serial, mock.serial(&zone.name));
    assert_eq!(mock.settled(&receipt).await.expect("settled"), Settled::Done);
    move_to(&mock, &zone, [a("198.51.100.5")]).await.expect("nothing to do");
    assert_eq!(mock.writes(), 2, "the arrangement and one swap");
    let last = mock.journal().pop().expect("a write");
    assert_eq!((last.author, last.serial), (Author::Swap, 3));
    assert_eq!(last.changes[0].after, Some(a("198.51.100.5")));
    assert!(mock.violations().is_empty());
}

#[tokio::test(start_paused = true)]
async fn bad_days_come_in_the_order_of_the_script() {
    let (mock, zone) = workshop();
    let patience = Some(Duration::from_secs(30));
    mock.script([
        FaultStep::on_swap(Trouble::Refuse).times(2),
        FaultStep::on_swap(Trouble::Throttle(patience)),
        FaultStep::on_swap(Trouble::Throttle(None)),
        FaultStep::on_swap(Trouble::Deny),
        FaultStep::on_swap(Trouble::ErrorBefore).delayed(Duration::from_secs(5)),
        FaultStep::on_read(Trouble::LoseReply),
    ]);
    mock.read(&zone, &[www()]).await.expect_err("the reply was lost");
    let mut met = Vec::new();
    for _ in 0..6 {
        met.push(move_to(&mock, &zone, [a("198.51.100.5")]).await.expect_err("a bad day").kind());
    }
    assert_eq!(met, ["unavailable", "unavailable", "throttled", "throttled", "auth", "unknown"]);
    assert!(mock.script_is_done());
    assert_eq!((mock.calls(Call::Swap), mock.calls(Call::Read), mock.writes()), (6, 7, 1));
    assert_eq!(summary(&mock), "203.0.113.10", "none of them wrote anything");
    move_to(&mock, &zone, [a("198.51.100.5")]).await.expect("a good day");
}

#[tokio::test]
async fn an_error_after_applying_and_a_lost_reply_did_write() {
    for trouble in [Trouble::ErrorAfter, Trouble::LoseReply] {
        let (mock, zone) = workshop();
        mock.script([FaultStep::on_swap(trouble)]);
        let fault = move_to(&mock, &zone, [a("198.51.100.5")]).await.expect_err("no word of success");
        assert!(fault.may_have_written(), "{fault}");
        assert_eq!(summary(&mock), "198.51.100.5");
    }
}

#[tokio::test]
async fn half_a_swap_says_what_the_name_holds_now() {
    let (mock, zone) = workshop();
    mock.edit(&www(), [a("203.0.113.10"), aaaa("2001:db8::10")]).expect("edited");
    mock.script([FaultStep::on_swap(Trouble::Partial)]);
    let fault = move_to(&mock, &zone, [a("198.51.100.5"), aaaa("2001:db8::5")]).await.expect_err("half");
    let Fault::Partial { now } = fault else { panic!("{fault}") };
    assert_eq!(now.summary(), "198.51.100.5, 2001:db8::10");
    assert_eq!(*now, read(&mock, &zone).await);
}

#[tokio::test]
async fn an_intruder_between_read_and_swap_is_not_overwritten() {
    let (mock, zone) = workshop();
    let theirs = Edit { name: www(), sets: vec![a("192.0.2.66")] };
    mock.script([FaultStep::on_swap(Trouble::Intruder(theirs))]);
    let fault = move_to(&mock, &zone, [a("198.51.100.5")]).await.expect_err("a conflict");
    assert_eq!(fault.kind(), "conflict");
    assert_eq!(summary(&mock), "192.0.2.66");
}

#[tokio::test]
async fn a_stale_read_shows_the_past_and_its_swap_loses() {
    let (mock, zone) = workshop();
    move_to(&mock, &zone, [a("198.51.100.5")]).await.expect("written");
    move_to(&mock, &zone, [a("203.0.113.10")]).await.expect("written");
    mock.script([1, 2, 99].map(|ago| FaultStep::on_read(Trouble::Stale(ago))));
    assert_eq!(read(&mock, &zone).await.summary(), "198.51.100.5");
    assert_eq!(read(&mock, &zone).await.summary(), "203.0.113.10");
    assert!(read(&mock, &zone).await.is_missing(), "the oldest state that is remembered");
    mock.script([FaultStep::on_read(Trouble::Stale(1))]);
    let fault = move_to(&mock, &zone, [a("198.51.100.6")]).await.expect_err("based on the past");
    assert_eq!(fault.kind(), "conflict");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_ended_by_the_callers_deadline() {
    let (mock, zone) = workshop();
    mock.script([FaultStep::on_swap(Trouble::Hang)]);
    let swap = move_to(&mock, &zone, [a("198.51.100.5")]);
    assert!(tokio::time::timeout(Duration::from_hours(1), swap).await.is_err());
    assert_eq!(summary(&mock), "203.0.113.10");
}

#[tokio::test]
async fn a_marker_is_read_as_text_and_other_texts_are_not_read() {
    let (mock, zone) = workshop();
    let marker = name("_failover.www.workshopco.ca");
    mock.edit_all(&marker, [stored("TXT", "\"v=1 g=7\"")]).expect("edited");
    mock.edit_all(&www(), [stored("A", "203.0.113.10"), stored("TXT", "\"theirs\"")]).expect("edited");
    let got = mock.read(&zone, &[marker, www()]).await.expect("read");
    assert_eq!(got[0].sets[&RecordType::Txt].values, Values::Txt(NonEmpty::one("v=1 g=7".into())));
    assert_eq!(got[1].sets.len(), 1);
}

async fn open(file: &Path) -> Result<MockProvider, BuildError> {
    let zones = vec![name("workshopco.ca")];
    MockProvider::open(&MockConfig { file: Some(file.into()), dns: None, zones }).await
}

#[tokio::test]
async fn a_cron_run_finds_what_the_last_one_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("zone.json");
    let first = open(&file).await.expect("no file is an empty zone");
    let zone = first.zone(&www()).await.expect("the zone of the configuration");
    assert!(read(&first, &zone).await.is_missing());
    assert!(!file.exists(), "reading writes nothing");
    move_to(&first, &zone, [a("198.51.100.5")]).await.expect("written");
    let second = open(&file).await.expect("the file of the first");
    assert_eq!(read(&second, &zone).await.summary(), "198.51.100.5");
    assert_eq!(second.writes(), 0);
}

#[tokio::test]
async fn a_person_edits_the_file_while_the_agent_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("zone.json");
    let mock = open(&file).await.expect("opened");
    let zone = mock.zone(&www()).await.expect("the zone");
    move_to(&mock, &zone, [a("203.0.113.10")]).await.expect("written");
    let before = read(&mock, &zone).await;
    let text = std::fs::read_to_string(&file).expect("a text");
    std::fs::write(&file, text.replace("203.0.113.10", "192.0.2.66")).expect("saved");
    assert_eq!(read(&mock, &zone).await.summary(), "192.0.2.66");
    let swap = [Swap::new(before, AnswerSets::new([a("198.51.100.5")]).expect("an answer"))];
    let fault = mock.swap(&zone, &swap).await.expect_err("the person came first");
    assert_eq!(fault.kind(), "conflict");

    std::fs::write(&file, text.replace("\"values\"", "\"valeus\"")).expect("saved");
    let fault = mock.read(&zone, &[www()]).await.expect_err("a slip");
    assert_eq!(fault.kind(), "config");
    assert!(fault.to_string().contains("unknown field `valeus`"), "{fault}");
    assert!(fault.to_string().contains("line"), "{fault}");
    mock.swap(&zone, &swap).await.expect_err("a broken file is not overwritten");
    assert!(std::fs::read_to_string(&file).expect("a text").contains("valeus"));
}

/// What another process holds while it writes.
fn lock_of(file: &Path) -> std::fs::File {
    let mut path = file.as_os_str().to_owned();
    path.push(".lock");
    let lock = std::fs::File::create(path).expect("a lock file");
    lock.lock().expect("locked");
    lock
}

#[tokio::test]
async fn a_broken_file_says_where_and_a_locked_one_is_busy() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("zone.json");
    std::fs::write(&file, "{\n  \"zones\": [\n").expect("saved");
    let error = open(&file).await.expect_err("no JSON");
    assert!(matches!(&error, BuildError::ZoneFile { why, .. } if why.contains("line 2")), "{error}");

    std::fs::write(&file, "{}").expect("saved");
    let mock = open(&file).await.expect("no zones: those of the configuration");
    let zone = mock.zone(&www()).await.expect("the zone");
    let lock = lock_of(&file);
    let fault = move_to(&mock, &zone, [a("198.51.100.5")]).await.expect_err("locked");
    assert_eq!(fault.kind(), "busy");
    drop(lock);
    move_to(&mock, &zone, [a("198.51.100.5")]).await.expect("free again");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_unavailable_and_reads_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("gone").join("zone.json");
    let mock = open(&file).await.expect("an empty zone");
    let zone = mock.zone(&www()).await.expect("the zone");
    let fault = move_to(&mock, &zone, [a("198.51.100.5")]).await.expect_err("no directory");
    assert_eq!(fault.kind(), "unavailable");
    assert!(read(&mock, &zone).await.is_missing());
    assert_eq!(mock.writes(), 0, "what was not written is not in the journal");
}

async fn asked(mock: &MockProvider, owner: &str, kind: WireType) -> (Reply, BTreeSet<String>) {
    let server = mock.dns_address().expect("a server");
    let udp = ask(server, Transport::Udp, owner, kind).await.expect("an answer by UDP");
    let tcp = ask(server, Transport::Tcp, owner, kind).await.expect("an answer by TCP");
    assert_eq!((udp.code(), &udp.0.answers), (tcp.code(), &tcp.0.answers), "{owner} {kind}");
    let values = udp.values(&name(owner), kind);
    (udp, values)
}

async fn workshop_with_dns() -> (MockProvider, Zone) {
    let any = Some(([127, 0, 0, 1], 0).into());
    let config = MockConfig { dns: any, file: None, zones: vec![name("workshopco.ca")] };
    let mock = MockProvider::open(&config).await.expect("opened");
    mock.edit(&www(), [a("203.0.113.10")]).expect("edited");
    (mock, Zone { name: name("workshopco.ca"), id: String::new() })
}

#[tokio::test]
async fn the_server_answers_with_authority() {
    let (mock, zone) = workshop_with_dns().await;
    let cname = RecordSet::new(Ttl(60), Values::Cname(www()));
    mock.edit(&name("shop.workshopco.ca"), [cname]).expect("edited");
    mock.edit(&name("*.wild.workshopco.ca"), [a("203.0.113.11")]).expect("edited");
    mock.edit_all(&name("mail.workshopco.ca"), [stored("MX", "10 mx.example.net")]).expect("edited");

    let (reply, values) = asked(&mock, "www.workshopco.ca", WireType::A).await;
    assert!(reply.0.metadata.authoritative && !reply.0.metadata.recursion_available);
    assert_eq!(values, ["203.0.113.10".to_owned()].into());
    assert_eq!(reply.ttls(&www(), WireType::A), [60].into());
    let (reply, _) = asked(&mock, "shop.workshopco.ca", WireType::A).await;
    assert_eq!(reply.0.answers.len(), 2, "the alias and what it leads to");
    assert_eq!(asked(&mock, "x.wild.workshopco.ca", WireType::A).await.1.len(), 1);
    assert_eq!(
        asked(&mock, "mail.workshopco.ca", WireType::MX).await.1,
        ["10 mx.example.net.".into()].into()
    );
    assert_eq!(asked(&mock, "workshopco.ca", WireType::NS).await.1, ["ns1.workshopco.ca.".into()].into());

    let (reply, values) = asked(&mock, "www.workshopco.ca", WireType::AAAA).await;
    assert_eq!((reply.code(), values.len(), reply.0.authorities.len()), (ResponseCode::NoError, 0, 1));
    let (reply, _) = asked(&mock, "wild.workshopco.ca", WireType::A).await;
    assert_eq!(reply.code(), ResponseCode::NoError, "a name between two names exists (RFC 8020)");
    let (reply, _) = asked(&mock, "nothing.workshopco.ca", WireType::A).await;
    assert_eq!((reply.code(), reply.0.authorities.len()), (ResponseCode::NXDomain, 1));
    let (reply, _) = asked(&mock, "www.example.com", WireType::A).await;
    assert_eq!((reply.code(), reply.0.metadata.authoritative), (ResponseCode::Refused, false));

    let server = mock.dns_address().expect("a server");
    let before = serial(server, &zone.name).await.expect("an SOA");
    move_to(&mock, &zone, [a("198.51.100.5")]).await.expect("written");
    assert_eq!(serial(server, &zone.name).await.expect("an SOA"), before + 1);
    assert_eq!(asked(&mock, "www.workshopco.ca", WireType::A).await.1, ["198.51.100.5".into()].into());
}

#[tokio::test]
async fn a_secondary_lags_and_another_is_silent() {
    let (mock, zone) = workshop_with_dns().await;
    let second = mock.serve_dns(([127, 0, 0, 1], 0).into()).await.expect("another server");
    mock.freeze_dns(true).expect("frozen");
    move_to(&mock, &zone, [a("198.51.100.5")]).await.expect("written");
    assert_eq!(asked(&mock, "www.workshopco.ca", WireType::A).await.1, ["203.0.113.10".into()].into());
    let fresh = ask(second.address(), Transport::Udp, "www.workshopco.ca", WireType::A).await;
    assert_eq!(fresh.expect("an answer").values(&www(), WireType::A), ["198.51.100.5".into()].into());
    mock.freeze_dns(false).expect("live");
    assert_eq!(asked(&mock, "www.workshopco.ca", WireType::A).await.1, ["198.51.100.5".into()].into());

    second.set_mode(DnsMode::Silent).expect("silent");
    ask(second.address(), Transport::Udp, "www.workshopco.ca", WireType::A).await.expect_err("silence");
}

#[tokio::test]
async fn the_server_ends_with_the_provider_and_a_taken_address_is_named() {
    let (mock, _) = workshop_with_dns().await;
    let address = mock.dns_address().expect("a server");
    let config = MockConfig { dns: Some(address), ..MockConfig::default() };
    let error = MockProvider::open(&config).await.expect_err("taken");
    assert!(matches!(error, BuildError::Listen { address: named, .. } if named == address), "{error}");
    mock.shutdown().await;
    assert_eq!(mock.dns_address(), None);
    let again = MockProvider::open(&config).await.expect("free again");
    drop(again);
    let freed = async {
        while MockProvider::open(&config).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), freed).await.expect("free after the drop");
}

#[tokio::test]
async fn a_reader_starts_no_server() {
    let (mock, _) = workshop_with_dns().await;
    let config = MockConfig { dns: mock.dns_address(), ..MockConfig::default() };
    crate::build_reader(&crate::ProviderConfig::Mock(config)).await.expect("a plan beside a running agent");
}
