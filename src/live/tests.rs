//! The lies of servers, told by a fake one. What real servers say is asked in `tests/live.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType as WireType};
use providers::{DomainName, NonEmpty, RecordSet, RecordType, Ttl, Values};

use super::fake::{Fake, Way, closed_port};
use super::{LiveDns, LiveFault, Server, SystemLiveDns};

const PATIENT: Duration = Duration::from_secs(6);
const HASTY: Duration = Duration::from_millis(300);

fn www() -> DomainName {
    "www.example.test".parse().expect("a name")
}

async fn ask(fake: &Fake, timeout: Duration) -> Result<BTreeMap<RecordType, RecordSet>, LiveFault> {
    SystemLiveDns::new(timeout).ask(&fake.server, &www()).await
}

/// The honest answer to a question: one address of its family.
fn honest(question: &Message) -> Message {
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.authoritative = true;
    let query = question.queries[0].clone();
    let text = match query.query_type {
        WireType::A => Some("192.0.2.1"),
        WireType::AAAA => Some("2001:db8::1"),
        _ => None,
    };
    if let Some(text) = text {
        let data = RData::try_from_str(query.query_type, text).expect("an address");
        answer.add_answer(Record::from_rdata(query.name.clone(), 60, data));
    }
    answer.add_query(query);
    answer
}

fn wire(message: &Message) -> Vec<u8> {
    message.to_vec().expect("octets")
}

fn with(question: &Message, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut answer = honest(question);
    change(&mut answer);
    wire(&answer)
}

fn truth() -> BTreeMap<RecordType, RecordSet> {
    let v4 = Values::A(NonEmpty::one("192.0.2.1".parse().expect("IPv4")));
    let v6 = Values::Aaaa(NonEmpty::one("2001:db8::1".parse().expect("IPv6")));
    [v4, v6].map(|values| (values.record_type(), RecordSet::new(Ttl(60), values))).into()
}

fn useless(why: &str) -> Result<BTreeMap<RecordType, RecordSet>, String> {
    Err(format!("Useless: {why}"))
}

/// The answer with the server left out of the fault: its port is another one in each run.
fn told(
    answer: Result<BTreeMap<RecordType, RecordSet>, LiveFault>,
) -> Result<BTreeMap<RecordType, RecordSet>, String> {
    answer.map_err(|fault| match fault {
        LiveFault::Useless(_, why) => format!("Useless: {why}"),
        LiveFault::Silent(_, why) => format!("Silent: {why}"),
        LiveFault::NoServers(..) => fault.to_string(),
    })
}

#[tokio::test]
async fn an_honest_server_is_believed() {
    let fake = Fake::start(|question, _| vec![wire(&honest(question))]).await;
    assert_eq!(ask(&fake, PATIENT).await, Ok(truth()));
}

/// bad day: name servers: one sends answers with a wrong id or a wrong question | ignored; the true one is waited for
#[tokio::test]
async fn forged_answers_before_the_true_one_are_ignored() {
    let fake = Fake::start(|question, _| {
        let forged = |change: fn(&mut Message)| with(question, change);
        vec![
            forged(|answer| answer.metadata.id = answer.metadata.id.wrapping_add(1)),
            forged(|answer| answer.queries[0].name = Name::from_ascii("mail.example.test.").expect("a name")),
            b"garbage".to_vec(),
            Vec::new(),
            wire(&honest(question)),
        ]
    })
    .await;
    assert_eq!(ask(&fake, PATIENT).await, Ok(truth()));
}

/// bad day: name servers: an answer is truncated | asked again over TCP
#[tokio::test]
async fn an_answer_cut_short_is_asked_for_again_over_tcp() {
    let fake = Fake::start(|question, way| match way {
        Way::Udp => vec![with(question, |answer| {
            answer.metadata.truncation = true;
            answer.answers.clear();
        })],
        Way::Tcp => vec![wire(&honest(question))],
    })
    .await;
    assert_eq!(ask(&fake, PATIENT).await, Ok(truth()));
    let fake =
        Fake::start(|question, _| vec![with(question, |answer| answer.metadata.truncation = true)]).await;
    assert_eq!(told(ask(&fake, PATIENT).await), useless("it cuts its answer short over TCP"));
}

/// bad day: name servers: a datagram is lost | asked again over TCP
#[tokio::test]
async fn a_lost_datagram_is_made_good_over_tcp() {
    let fake = Fake::start(|question, way| match way {
        Way::Udp => Vec::new(),
        Way::Tcp => vec![wire(&honest(question))],
    })
    .await;
    assert_eq!(ask(&fake, Duration::from_secs(2)).await, Ok(truth()));
}

/// bad day: name servers: an answer comes from another address | not heard
#[tokio::test]
async fn an_answer_from_another_address_is_not_heard() {
    let fake = Fake::answering_from_elsewhere(|question, _| vec![wire(&honest(question))]).await;
    let why = told(ask(&fake, HASTY).await).expect_err("nobody answered");
    assert_eq!(why, "Silent: UDP: no answer within 100ms; TCP: no answer within 200ms");
}

/// bad day: name servers: one is silent | waited for 3 s, and named
#[tokio::test]
async fn silence_ends_in_time_and_names_the_server() {
    let fake = Fake::start(|_, _| Vec::new()).await;
    let fault =
        tokio::time::timeout(PATIENT, ask(&fake, HASTY)).await.expect("in time").expect_err("silence");
    assert!(fault.to_string().starts_with("fake (127.0.0.1:"), "{fault}");
}

#[tokio::test]
async fn a_closed_port_is_known_at_once() {
    let server = Server { name: "gone".into(), address: closed_port().await };
    let hour = SystemLiveDns::new(Duration::from_hours(1));
    let answer = tokio::time::timeout(PATIENT, hour.ask(&server, &www())).await.expect("at once");
    assert_eq!(
        told(answer).expect_err("nobody is there"),
        "Silent: UDP: connection refused; TCP: connection refused"
    );
}

/// bad day: name servers: one sends garbage | what it serves is unknown, not different
#[tokio::test]
async fn garbage_alone_is_told_as_garbage() {
    let fake = Fake::start(|_, _| vec![b"HTTP/1.1 400 Bad Request".to_vec()]).await;
    let why = told(ask(&fake, HASTY).await).expect_err("garbage");
    assert!(why.starts_with("Useless: it sends an unreadable message"), "{why}");
}

/// bad day: name servers: one answers for A and not for AAAA | its whole answer is unknown
#[tokio::test]
async fn one_family_that_fails_makes_the_whole_answer_unknown() {
    for (code, name) in [(ResponseCode::ServFail, "SERVFAIL"), (ResponseCode::Refused, "REFUSED")] {
        let fake = Fake::start(move |question, _| {
            vec![with(question, |answer| {
                if answer.queries[0].query_type == WireType::AAAA {
                    answer.answers.clear();
                    answer.metadata.response_code = code;
                }
            })]
        })
        .await;
        assert_eq!(told(ask(&fake, PATIENT).await), useless(&format!("it answers {name}")));
    }
}

#[tokio::test]
async fn what_a_cache_says_is_not_what_the_zone_says() {
    let fake =
        Fake::start(|question, _| vec![with(question, |answer| answer.metadata.authoritative = false)]).await;
    assert_eq!(told(ask(&fake, PATIENT).await), useless("it answers without authority"));
}

#[tokio::test]
async fn nothing_is_an_answer() {
    let fake = Fake::start(|question, _| {
        vec![with(question, |answer| {
            answer.answers.clear();
            answer.metadata.response_code = ResponseCode::NXDomain;
        })]
    })
    .await;
    assert_eq!(ask(&fake, PATIENT).await, Ok(BTreeMap::new()));
}

/// bad day: name servers: an alias to itself | one alias; nothing is walked
#[tokio::test]
async fn an_alias_to_itself_is_one_alias_and_no_endless_walk() {
    let fake = Fake::start(|question, _| {
        vec![with(question, |answer| {
            let name = answer.queries[0].name.clone();
            let data = RData::try_from_str(WireType::CNAME, "www.example.test.").expect("a name");
            answer.answers = vec![Record::from_rdata(name, 60, data)];
        })]
    })
    .await;
    let alias = RecordSet::new(Ttl(60), Values::Cname(www()));
    assert_eq!(ask(&fake, PATIENT).await, Ok(BTreeMap::from([(RecordType::Cname, alias)])));
}

#[tokio::test]
async fn a_server_that_changes_between_the_two_questions_is_asked_another_time() {
    let fake = Fake::start(|question, _| {
        vec![with(question, |answer| {
            if answer.queries[0].query_type == WireType::A {
                let data = RData::try_from_str(WireType::CNAME, "dr.example.test.").expect("a name");
                answer.answers[0] = Record::from_rdata(answer.queries[0].name.clone(), 60, data);
            }
        })]
    })
    .await;
    assert_eq!(told(ask(&fake, PATIENT).await), useless("it changed while it was asked"));
}

#[tokio::test]
async fn an_alias_that_the_server_cannot_follow_is_still_known() {
    let fake = Fake::start(|question, _| {
        vec![with(question, |answer| {
            let name = answer.queries[0].name.clone();
            answer.answers.clear();
            if answer.queries[0].query_type == WireType::CNAME {
                let data = RData::try_from_str(WireType::CNAME, "expired.example.test.").expect("a name");
                answer.add_answer(Record::from_rdata(name, 60, data));
            } else {
                answer.metadata.response_code = ResponseCode::ServFail;
            }
        })]
    })
    .await;
    let alias = RecordSet::new(Ttl(60), Values::Cname("expired.example.test".parse().expect("a name")));
    assert_eq!(ask(&fake, PATIENT).await, Ok(BTreeMap::from([(RecordType::Cname, alias)])));
}
