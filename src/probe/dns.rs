//! A question to a DNS server.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use tokio::net::TcpStream;

use super::progress::Progress;
use super::spec::{DnsCheck, Transport, Wanted};
use super::trouble::classify;
use super::{Step, search};
use crate::decision::Outcome;
use crate::dns::{self, Question, Reply};

/// Asks once, and judges the answer. Nothing is sent a second time: a lost datagram is one failed probe.
///
/// What does not answer the question (another id, another question, what cannot be read) is ignored over UDP, where
/// anybody can send it, and waited past until the time is up; over TCP it is the server's own and fails at once.
/// An answer that is cut short is asked for again over TCP, within the same time.
pub(super) async fn probe(address: IpAddr, check: &DnsCheck, progress: &mut Progress<'_>) -> Step<()> {
    let peer = SocketAddr::new(address, check.port);
    let question = Question::new(check.name.clone(), check.kind, check.recursion)
        .map_err(|why| Outcome::Unknown(format!("the question cannot be asked: {why}")))?;
    let reply = match check.transport {
        Transport::Tcp => by_tcp(peer, &question, progress).await?,
        Transport::Udp => match by_udp(peer, &question, progress).await? {
            Reply::Truncated => by_tcp(peer, &question, progress).await.map_err(after_truncation)?,
            reply => reply,
        },
    };
    match reply {
        Reply::Answer(answer) => judge(check, &answer).map_err(Outcome::Fail),
        Reply::Truncated => Err(Outcome::Fail("it cuts its answer short over TCP".into())),
        Reply::NotOurs(what) => Err(Outcome::Fail(format!("it sends {what}"))),
    }
}

async fn by_udp(peer: SocketAddr, question: &Question, progress: &mut Progress<'_>) -> Step<Reply> {
    let classify = |error| classify(&error, "asking over UDP", peer);
    let socket = dns::connected(peer).await.map_err(classify)?;
    progress.sent();
    let reply = dns::by_udp(&socket, question, |what| progress.ignored(what)).await.map_err(classify)?;
    progress.received(1);
    Ok(reply)
}

async fn by_tcp(peer: SocketAddr, question: &Question, progress: &mut Progress<'_>) -> Step<Reply> {
    progress.connecting(peer);
    let stream = TcpStream::connect(peer).await;
    let mut stream = stream.map_err(|error| classify(&error, "connecting", peer))?;
    progress.connected();
    progress.sent();
    let reply = dns::by_tcp(&mut stream, question).await;
    let reply = reply.map_err(|error| classify(&error, "asking over TCP", peer))?;
    progress.received(1);
    Ok(reply)
}

fn after_truncation(outcome: Outcome) -> Outcome {
    let whole = |text| format!("the answer is cut short over UDP; {text}");
    match outcome {
        Outcome::Fail(reason) => Outcome::Fail(whole(reason)),
        Outcome::Unknown(reason) => Outcome::Unknown(whole(reason)),
        Outcome::Pass => Outcome::Pass,
    }
}

/// PURE: is it the answer that is wanted? `Err` says what it is instead.
pub(super) fn judge(check: &DnsCheck, answer: &Message) -> Result<(), String> {
    let head = &answer.metadata;
    let Some(rcode) = check.rcode else { return Ok(()) };
    if head.response_code != rcode {
        let (is, wanted) = (dns::mnemonic(head.response_code), dns::mnemonic(rcode));
        return Err(format!("it answers {is}, wanted {wanted}"));
    }
    match (check.authoritative, head.authoritative) {
        (Some(true), false) => return Err("it answers without authority (AA=0)".into()),
        (Some(false), true) => return Err("it answers with authority (AA=1), wanted without".into()),
        _ => {}
    }
    if rcode != ResponseCode::NoError {
        return Ok(());
    }
    let (owner, held) = held(check, &answer.answers)?;
    if held.is_empty() {
        let alias =
            if owner == check.name { String::new() } else { format!(", to which {} leads", check.name) };
        return Err(format!("its answer holds no {} record of {owner}{alias}", check.kind));
    }
    let (wanted, fine, how) = match &check.wanted {
        None => return Ok(()),
        Some(Wanted::Exactly(wanted)) => (wanted, *wanted == held, "exactly"),
        Some(Wanted::AtLeast(wanted)) => (wanted, wanted.is_subset(&held), "at least"),
    };
    if fine {
        return Ok(());
    }
    Err(format!("it answers {}, wanted {how} {}", shown(&held), shown(wanted)))
}

/// The values of the type that was asked for, and the name that holds them: where aliases in the same answer lead.
fn held(check: &DnsCheck, answers: &[Record]) -> Result<(Name, BTreeSet<String>), String> {
    let mut owner = check.name.clone();
    let mut passed = Vec::new();
    loop {
        let of_owner = |kind: RecordType| {
            let owner = owner.clone();
            answers.iter().filter(move |record| {
                record.name == owner && record.dns_class == DNSClass::IN && record.record_type() == kind
            })
        };
        let values: BTreeSet<String> =
            of_owner(check.kind).map(|record| dns::text_of(&record.data)).collect();
        let mut aliases = of_owner(RecordType::CNAME).filter_map(|record| match &record.data {
            RData::CNAME(alias) => Some(alias.0.clone()),
            _ => None,
        });
        match aliases.next().filter(|_| values.is_empty()) {
            None => return Ok((owner, values)),
            Some(next) if next == owner || passed.contains(&next) => {
                return Err(format!("its answer is a loop of aliases: {owner} leads to {next}"));
            }
            // Each step leads to a name that was not seen, and there are no more of them than records.
            Some(next) => passed.push(std::mem::replace(&mut owner, next)),
        }
    }
}

/// Values of somebody else's making, short and harmless.
fn shown(values: &BTreeSet<String>) -> String {
    let list: Vec<&str> = values.iter().map(String::as_str).collect();
    search::excerpt(list.join(", ").as_bytes())
}
