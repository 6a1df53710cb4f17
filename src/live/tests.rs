//! The lies of servers, told by a fake one. What real servers say is asked in `tests/live.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType as WireType};
use providers::{DomainName, NonEmpty, RecordSet, RecordType, Ttl, Values};

use super::{LiveDns, LiveFault, Server, SystemLiveDns};
use crate::dns::fake::{Fake, Habits, Way, closed_port};

const PATIENT: Duration = Duration::from_secs(6);
const HASTY: Duration = Duration::from_millis(300);

fn www() -> DomainName {
    "www.example.test".parse().expect("a name")
}

async fn ask(fake: &Fake, timeout: Duration) -> Result<BTreeMap<RecordType, RecordSet>, LiveFault> {
    let server = Server { name: "fake".into(), address: fake.address };
    SystemLiveDns::new(timeout).ask(&server, &www()).await
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
    let fake = Fake::with(Habits { from_elsewhere: true, ..Habits::default() }, |question, _| {
        vec![wire(&honest(question))]
    })
    .await;
    let why = told(ask(&fake, HASTY).await).expect_err("nobody answered");
    assert_eq!(why, "Silent: UDP: no answer within 100ms; TCP: no answer within 200ms");
}

/// bad day: name servers: an answer is truncated and TCP is refused | no answer: what it serves is unknown
#[tokio::test]
async fn an_answer_cut_short_by_a_server_without_tcp_is_no_answer() {
    let no_tcp = Habits { no_tcp: true, ..Habits::default() };
    let fake =
        Fake::with(no_tcp, |question, _| vec![with(question, |answer| answer.metadata.truncation = true)])
            .await;
    let why = told(ask(&fake, PATIENT).await).expect_err("it was cut short");
    assert_eq!(why, "Silent: UDP: the answer is cut short; TCP: connection refused");
}

/// bad day: name servers: half a message | no answer: what it serves is unknown
#[tokio::test]
async fn half_a_message_is_no_answer_over_either_way() {
    let half = Habits { half: true, ..Habits::default() };
    let fake = Fake::with(half, |question, way| {
        let whole = wire(&honest(question));
        vec![if way == Way::Udp { whole[..whole.len() / 2].to_vec() } else { whole }]
    })
    .await;
    let why = told(ask(&fake, HASTY).await).expect_err("half of it");
    assert!(why.starts_with("Silent: UDP: no answer within 100ms, only an unreadable message"), "{why}");
    assert!(why.ends_with("TCP: connection closed before the answer was complete"), "{why}");
}

/// bad day: name servers: an answer after the deadline | no answer; the next question does not get it
#[tokio::test]
async fn an_answer_after_the_deadline_is_none_and_the_next_question_does_not_get_it() {
    let late = Habits { delay: HASTY * 2, ..Habits::default() };
    let fake = Fake::with(late, |question, _| vec![wire(&honest(question))]).await;
    let why = told(ask(&fake, HASTY).await).expect_err("too late");
    assert_eq!(why, "Silent: UDP: no answer within 100ms; TCP: no answer within 200ms");
    assert_eq!(ask(&fake, Duration::from_mins(1)).await, Ok(truth()), "it was only slow");
}

/// bad day: name servers: a wrong id or a wrong question over TCP | no usable answer, at once, and named
#[tokio::test]
async fn a_wrong_id_and_a_wrong_question_over_tcp_are_the_server_s_own_doing() {
    type Lie = fn(&mut Message);
    let wrong: [(Lie, &str); 2] = [
        (|answer| answer.metadata.id = answer.metadata.id.wrapping_add(1), "a message with another id"),
        (
            |answer| answer.queries[0].name = Name::from_ascii("mail.example.test.").expect("a name"),
            "an answer to another question",
        ),
    ];
    for (change, what) in wrong {
        let fake = Fake::start(move |question, _| vec![with(question, change)]).await;
        assert_eq!(told(ask(&fake, HASTY).await), useless(&format!("it sends {what}")));
    }
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
    let server = Server { name: "gone".into(), address: closed_port() };
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

/// The records of other names in the answer are hints and never become part of the record.
/// bad day: name servers: an alias out of the zone | the alias is the answer; it is not followed
#[tokio::test]
async fn an_alias_that_leads_out_of_the_zone_is_reported_and_not_followed() {
    let fake = Fake::start(|question, _| {
        vec![with(question, |answer| {
            let name = answer.queries[0].name.clone();
            let target = RData::try_from_str(WireType::CNAME, "cdn.example.net.").expect("a name");
            let address = RData::try_from_str(WireType::A, "203.0.113.9").expect("an address");
            answer.answers = vec![
                Record::from_rdata(name, 60, target),
                Record::from_rdata(Name::from_ascii("cdn.example.net.").expect("a name"), 60, address),
            ];
        })]
    })
    .await;
    let alias = RecordSet::new(Ttl(60), Values::Cname("cdn.example.net".parse().expect("a name")));
    assert_eq!(ask(&fake, PATIENT).await, Ok(BTreeMap::from([(RecordType::Cname, alias)])));
}

/// bad day: name servers: one is lame: it refuses or refers to others | no usable answer: nothing is written for it
#[tokio::test]
async fn a_lame_server_that_refuses_or_refers_is_no_answer() {
    let refusing = Fake::start(|question, _| {
        vec![with(question, |answer| {
            answer.metadata.authoritative = false;
            answer.answers.clear();
            answer.metadata.response_code = ResponseCode::Refused;
        })]
    })
    .await;
    assert_eq!(told(ask(&refusing, PATIENT).await), useless("it answers REFUSED"));
    let referring = Fake::start(|question, _| {
        vec![with(question, |answer| {
            answer.metadata.authoritative = false;
            answer.answers.clear();
            let data = RData::try_from_str(WireType::NS, "ns1.example.net.").expect("a name");
            answer.add_authority(Record::from_rdata(Name::root(), 60, data));
        })]
    })
    .await;
    assert_eq!(told(ask(&referring, PATIENT).await), useless("it answers without authority"));
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
