//! The lies of DNS servers, and what a `dns` check makes of them. Real servers are asked in `tests/dns_check.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{check, failure, probe};
use crate::decision::Outcome;
use crate::dns::fake::{Fake, Habits, Way, closed_port};
use crate::probe::{Check, CheckKind, DnsCheck, Report, Transport, Wanted};

const HASTY: Duration = Duration::from_millis(300);
const WWW: &str = "www.example.test.";

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// `www.example.test. A`, by UDP; any address will do.
fn www(port: u16) -> DnsCheck {
    DnsCheck {
        port,
        transport: Transport::Udp,
        name: name(WWW),
        kind: RecordType::A,
        rcode: Some(ResponseCode::NoError),
        wanted: None,
        authoritative: None,
        recursion: false,
    }
}

async fn ask(dns: DnsCheck) -> Report {
    probe(check(CheckKind::Dns(dns))).await
}

async fn ask_hastily(dns: DnsCheck) -> Report {
    probe(Check { timeout: HASTY, ..check(CheckKind::Dns(dns)) }).await
}

fn values(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn record(owner: &str, kind: RecordType, data: &str) -> Record {
    Record::from_rdata(name(owner), 60, RData::try_from_str(kind, data).expect("record data"))
}

/// An answer with authority that holds these records.
fn answer(question: &Message, records: &[Record]) -> Message {
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.authoritative = true;
    answer.add_query(question.queries[0].clone());
    answer.answers = records.to_vec();
    answer
}

fn honest(question: &Message) -> Message {
    answer(question, &[record(WWW, RecordType::A, "192.0.2.1"), record(WWW, RecordType::A, "192.0.2.2")])
}

fn wire(message: &Message) -> Vec<u8> {
    message.to_vec().expect("octets")
}

fn with(question: &Message, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut answer = honest(question);
    change(&mut answer);
    wire(&answer)
}

fn port(fake: &Fake) -> u16 {
    fake.address.port()
}

/// A server that answers with these records.
async fn holding(records: Vec<Record>) -> Fake {
    Fake::start(move |question, _| vec![wire(&answer(question, &records))]).await
}

#[tokio::test]
async fn a_server_that_answers_passes_over_udp_and_over_tcp() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let fake = Fake::start(|question, _| vec![wire(&honest(question))]).await;
        let report = ask(DnsCheck { transport, ..www(port(&fake)) }).await;
        assert_eq!(report.outcome, Outcome::Pass);
        assert!(report.timings.first_byte.is_some(), "{report:?}");
        assert_eq!(report.timings.connect.is_some(), transport == Transport::Tcp);
    }
}

#[tokio::test]
async fn the_answer_must_hold_exactly_or_at_least_what_is_wanted() {
    let fake = Fake::start(|question, _| vec![wire(&honest(question))]).await;
    let wanted = async |wanted| ask(DnsCheck { wanted: Some(wanted), ..www(port(&fake)) }).await;
    let both = values(&["192.0.2.2", "192.0.2.1"]);
    let (one, three) = (values(&["192.0.2.1"]), values(&["192.0.2.1", "192.0.2.3"]));
    assert_eq!(wanted(Wanted::Exactly(both)).await.outcome, Outcome::Pass);
    assert_eq!(wanted(Wanted::AtLeast(one.clone())).await.outcome, Outcome::Pass);
    assert_eq!(
        failure(&wanted(Wanted::Exactly(one)).await),
        "it answers \"192.0.2.1, 192.0.2.2\", wanted exactly \"192.0.2.1\""
    );
    assert_eq!(
        failure(&wanted(Wanted::AtLeast(three)).await),
        "it answers \"192.0.2.1, 192.0.2.2\", wanted at least \"192.0.2.1, 192.0.2.3\""
    );
}

#[tokio::test]
async fn names_are_compared_without_case_and_texts_as_one() {
    let mx = holding(vec![record(WWW, RecordType::MX, "10 MAIL.example.test.")]).await;
    let kind = RecordType::MX;
    let wanted = Some(Wanted::Exactly(values(&["10 mail.example.test."])));
    assert_eq!(ask(DnsCheck { kind, wanted, ..www(port(&mx)) }).await.outcome, Outcome::Pass);
    let txt = holding(vec![record(WWW, RecordType::TXT, "\"v=spf1 \" \"-all\"")]).await;
    let wanted = Some(Wanted::Exactly(values(&["v=spf1 -all"])));
    let report = ask(DnsCheck { kind: RecordType::TXT, wanted, ..www(port(&txt)) }).await;
    assert_eq!(report.outcome, Outcome::Pass);
}

#[tokio::test]
async fn a_response_code_that_is_not_the_wanted_one_fails() {
    let fake = Fake::start(|question, _| {
        vec![with(question, |answer| {
            answer.answers.clear();
            answer.metadata.response_code = ResponseCode::NXDomain;
        })]
    })
    .await;
    assert_eq!(failure(&ask(www(port(&fake))).await), "it answers NXDOMAIN, wanted NOERROR");
    let nxdomain = DnsCheck { rcode: Some(ResponseCode::NXDomain), ..www(port(&fake)) };
    assert_eq!(ask(nxdomain).await.outcome, Outcome::Pass);
}

#[tokio::test]
async fn an_answer_of_a_cache_fails_where_authority_is_wanted() {
    let fake =
        Fake::start(|question, _| vec![with(question, |answer| answer.metadata.authoritative = false)]).await;
    let authoritative = |authoritative| ask(DnsCheck { authoritative, ..www(port(&fake)) });
    assert_eq!(authoritative(None).await.outcome, Outcome::Pass);
    assert_eq!(authoritative(Some(false)).await.outcome, Outcome::Pass);
    assert_eq!(failure(&authoritative(Some(true)).await), "it answers without authority (AA=0)");
}

#[tokio::test]
async fn recursion_is_asked_for_only_when_told() {
    let fake = Fake::start(|question, _| {
        vec![with(question, |answer| {
            if !question.metadata.recursion_desired {
                answer.metadata.response_code = ResponseCode::Refused;
            }
        })]
    })
    .await;
    assert_eq!(failure(&ask(www(port(&fake))).await), "it answers REFUSED, wanted NOERROR");
    assert_eq!(ask(DnsCheck { recursion: true, ..www(port(&fake)) }).await.outcome, Outcome::Pass);
}

/// bad day: `dns` check: forged answers before the true one | ignored: it passes
#[tokio::test]
async fn forged_answers_before_the_true_one_are_ignored() {
    let fake = Fake::start(|question, _| {
        vec![
            with(question, |answer| answer.metadata.id = answer.metadata.id.wrapping_add(1)),
            with(question, |answer| answer.queries[0].name = name("mail.example.test.")),
            b"garbage".to_vec(),
            wire(&honest(question)),
        ]
    })
    .await;
    assert_eq!(ask(www(port(&fake))).await.outcome, Outcome::Pass);
}

/// bad day: `dns` check: only a wrong id or question, garbage, half a message | a failure at the time-out, over TCP at once
#[tokio::test]
async fn a_wrong_id_a_wrong_question_and_garbage_alone_fail_when_the_time_is_up() {
    type Lie = fn(&Message) -> Vec<u8>;
    let lies: [(Lie, &str); 4] = [
        (
            |question| with(question, |answer| answer.metadata.id = answer.metadata.id.wrapping_add(1)),
            "a message with another id",
        ),
        (
            |question| with(question, |answer| answer.queries[0].name = name("mail.example.test.")),
            "an answer to another question",
        ),
        (|_| b"HTTP/1.1 400 Bad Request".to_vec(), "an unreadable message"),
        (
            |question| {
                let whole = wire(&honest(question));
                whole[..whole.len() / 2].to_vec()
            },
            "an unreadable message",
        ),
    ];
    for (lie, what) in lies {
        let fake = Fake::start(move |question, _| vec![lie(question)]).await;
        let report = ask_hastily(www(port(&fake))).await;
        let said = failure(&report);
        assert!(said.starts_with(&format!("no answer within 300ms, only {what}")), "{said}");
        let report = ask_hastily(DnsCheck { transport: Transport::Tcp, ..www(port(&fake)) }).await;
        let said = failure(&report);
        assert!(said.starts_with(&format!("it sends {what}")), "at once over TCP: {said}");
    }
}

/// bad day: `dns` check: an answer from another address | not heard: a failure at the time-out
#[tokio::test]
async fn an_answer_from_another_address_is_not_heard() {
    let habits = Habits { from_elsewhere: true, ..Habits::default() };
    let fake = Fake::with(habits, |question, _| vec![wire(&honest(question))]).await;
    assert_eq!(failure(&ask_hastily(www(port(&fake))).await), "no answer within 300ms");
}

/// bad day: `dns` check: an answer is truncated | asked again over TCP; a failure where that is cut short, too
#[tokio::test]
async fn an_answer_cut_short_is_asked_for_again_over_tcp() {
    let fake = Fake::start(|question, way| {
        vec![with(question, |answer| {
            if way == Way::Udp {
                answer.metadata.truncation = true;
                answer.answers.clear();
            }
        })]
    })
    .await;
    assert_eq!(ask(www(port(&fake))).await.outcome, Outcome::Pass);
    let fake =
        Fake::start(|question, _| vec![with(question, |answer| answer.metadata.truncation = true)]).await;
    assert_eq!(failure(&ask(www(port(&fake))).await), "it cuts its answer short over TCP");
}

/// bad day: `dns` check: an answer is truncated and TCP is refused | a failure at once that says both
#[tokio::test]
async fn an_answer_cut_short_by_a_server_that_refuses_tcp_fails() {
    let habits = Habits { no_tcp: true, ..Habits::default() };
    let fake =
        Fake::with(habits, |question, _| vec![with(question, |answer| answer.metadata.truncation = true)])
            .await;
    let report = ask(www(port(&fake))).await;
    let said = failure(&report);
    assert!(said.starts_with("the answer is cut short over UDP; connecting: 127.0.0.1:"), "{said}");
    assert!(said.ends_with("refused the connection"), "{said}");
}

/// bad day: `dns` check: half a message over TCP | a failure at once
#[tokio::test]
async fn half_a_message_over_tcp_fails() {
    let habits = Habits { half: true, ..Habits::default() };
    let fake = Fake::with(habits, |question, _| vec![wire(&honest(question))]).await;
    let report = ask(DnsCheck { transport: Transport::Tcp, ..www(port(&fake)) }).await;
    assert!(failure(&report).ends_with("closed the connection"), "{report:?}");
}

/// bad day: `dns` check: a loop of aliases | a failure that names them; no endless walk
#[tokio::test]
async fn a_loop_of_aliases_fails_and_is_no_endless_walk() {
    let fake = holding(vec![
        record(WWW, RecordType::CNAME, "b.example.test."),
        record("b.example.test.", RecordType::CNAME, "c.example.test."),
        record("c.example.test.", RecordType::CNAME, WWW),
    ])
    .await;
    assert_eq!(
        failure(&ask(www(port(&fake))).await),
        "its answer is a loop of aliases: c.example.test. leads to www.example.test."
    );
    let itself = holding(vec![record(WWW, RecordType::CNAME, WWW)]).await;
    assert!(failure(&ask(www(port(&itself))).await).contains("a loop of aliases"));
}

/// bad day: `dns` check: an alias out of the zone | a failure that names it, unless the same answer holds what it leads to
#[tokio::test]
async fn an_alias_is_followed_within_the_answer_and_no_further() {
    let alias = record(WWW, RecordType::CNAME, "cdn.example.net.");
    let whole = holding(vec![alias.clone(), record("CDN.example.net.", RecordType::A, "192.0.2.7")]).await;
    let wanted = Some(Wanted::Exactly(values(&["192.0.2.7"])));
    assert_eq!(ask(DnsCheck { wanted, ..www(port(&whole)) }).await.outcome, Outcome::Pass);
    let out_of_the_zone = holding(vec![alias]).await;
    assert_eq!(
        failure(&ask(www(port(&out_of_the_zone))).await),
        "its answer holds no A record of cdn.example.net., to which www.example.test. leads"
    );
    let kind = RecordType::CNAME;
    assert_eq!(ask(DnsCheck { kind, ..www(port(&out_of_the_zone)) }).await.outcome, Outcome::Pass);
}

#[tokio::test]
async fn records_of_other_names_count_for_nothing() {
    let fake = holding(vec![record("mail.example.test.", RecordType::A, "192.0.2.1")]).await;
    assert_eq!(failure(&ask(www(port(&fake))).await), "its answer holds no A record of www.example.test.");
}

/// bad day: `dns` check: the server is lame: it refuses or refers to others | a failure with its response code
#[tokio::test]
async fn a_lame_server_fails() {
    let refusing = Fake::start(|question, _| {
        vec![with(question, |answer| {
            answer.answers.clear();
            answer.queries.clear();
            answer.metadata.response_code = ResponseCode::Refused;
        })]
    })
    .await;
    assert_eq!(failure(&ask(www(port(&refusing))).await), "it answers REFUSED, wanted NOERROR");
    let referring = Fake::start(|question, _| {
        vec![with(question, |answer| {
            answer.answers.clear();
            answer.metadata.authoritative = false;
            answer.add_authority(record("test.", RecordType::NS, "ns.example.net."));
        })]
    })
    .await;
    let report = ask(www(port(&referring))).await;
    assert_eq!(failure(&report), "its answer holds no A record of www.example.test.");
}

/// bad day: `dns` check: an answer after the deadline | a failure at the time-out
#[tokio::test]
async fn an_answer_after_the_deadline_fails_in_time() {
    let habits = Habits { delay: HASTY * 3, ..Habits::default() };
    let fake = Fake::with(habits, |question, _| vec![wire(&honest(question))]).await;
    for transport in [Transport::Udp, Transport::Tcp] {
        let report = ask_hastily(DnsCheck { transport, ..www(port(&fake)) }).await;
        assert!(failure(&report).starts_with("no answer within 300ms"), "{report:?}");
    }
}

/// A process that is stopped (SIGSTOP) takes questions and connections, for the kernel does, and says nothing.
/// bad day: `dns` check: the server is frozen | a failure at the time-out
#[tokio::test]
async fn a_frozen_server_fails_in_time() {
    let fake = Fake::start(|_, _| Vec::new()).await;
    for transport in [Transport::Udp, Transport::Tcp] {
        let report = ask_hastily(DnsCheck { transport, ..www(port(&fake)) }).await;
        assert!(failure(&report).starts_with("no answer within 300ms"), "{report:?}");
    }
}

/// bad day: `dns` check: nobody listens | a failure at once
#[tokio::test]
async fn a_closed_port_fails_at_once() {
    let port = closed_port().port();
    for transport in [Transport::Udp, Transport::Tcp] {
        let report = ask(DnsCheck { transport, ..www(port) }).await;
        assert!(failure(&report).ends_with("refused the connection"), "{report:?}");
        assert!(report.timings.total < Duration::from_secs(5), "{report:?}");
    }
}

#[tokio::test]
async fn a_witness_that_refuses_to_answer_has_answered() {
    let fake = Fake::start(|question, _| {
        vec![with(question, |answer| {
            answer.answers.clear();
            answer.metadata.response_code = ResponseCode::Refused;
        })]
    })
    .await;
    assert_eq!(ask(DnsCheck::any_answer(port(&fake))).await.outcome, Outcome::Pass);
    let silent = Fake::start(|_, _| Vec::new()).await;
    assert_eq!(failure(&ask_hastily(DnsCheck::any_answer(port(&silent))).await), "no answer within 300ms");
}
