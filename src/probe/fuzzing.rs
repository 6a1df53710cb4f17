//! What targets may answer, by protocol. What a probe finds is one of three outcomes; a reason is told in a chat and on
//! a terminal, so it is bounded, on one line and without control characters.

use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;

use super::body::{Body, Flow};
use super::exec::{self, KEPT, Kept};
use super::http2::Http2;
use super::progress::Progress;
use super::response::{Garbled, HeadReader, MAX_HEAD};
use super::smtp::{Heard, reply};
use super::stream::Stream;
use super::tls::certificate;
use super::{
    Comparison, DnsCheck, GrpcCheck, JsonTest, JsonWish, Step, TlsSettings, Wanted, dns, grpc, json, judge,
};
use crate::clock::TokioClock;
use crate::decision::Outcome;
use crate::dns as wire;

/// The most that is read of a body here, bytes.
const LIMIT: usize = 4096;

fn told(found: &Step<()>) {
    let Err(outcome) = found else { return };
    let reason = outcome.reason();
    assert!(!reason.is_empty() && reason.len() <= 4096, "{} bytes: {reason}", reason.len());
    assert!(!reason.contains(char::is_control), "{reason:?}");
}

/// The status line, the headers and the body: read at once and piece by piece they say the same, and no more of the body
/// is kept than the limit. The first octet says how large the pieces are and whether the question was HEAD.
pub(crate) fn http1(data: &[u8]) {
    let Some((&first, wire)) = data.split_first() else { return };
    let (to_head, piece) = (first & 1 == 1, usize::from(first >> 1) + 1);
    let (whole, pieces) = (read(wire, wire.len().max(1), to_head), read(wire, piece, to_head));
    match (whole, pieces) {
        // What it begins with is told of what has come, and what is too large may be found earlier than what is wrong.
        (Err(_), Err(_)) => {}
        (whole, pieces) => assert_eq!(whole, pieces, "in pieces of {piece} it is another answer"),
    }
}

type Answer = (u16, Option<String>, bool, Flow, Vec<u8>);

fn read(wire: &[u8], piece: usize, to_head: bool) -> Result<Option<Answer>, Garbled> {
    let mut reader = HeadReader::new();
    let mut pieces = wire.chunks(piece);
    let head = loop {
        let Some(bytes) = pieces.next() else { return Ok(None) };
        reader.buffer.extend_from_slice(bytes);
        if let Some(head) = reader.take(to_head)? {
            break head;
        }
        assert!(reader.buffer.len() < MAX_HEAD, "more of a head than is read");
    };
    assert!(
        head.location.as_ref().is_none_or(|place| place.len() < 512 && !place.contains(char::is_control))
    );
    let mut body = Body::new(head.framing, LIMIT);
    let mut flow = body.feed(&reader.buffer)?;
    for bytes in pieces {
        if flow != Flow::More {
            break;
        }
        flow = body.feed(bytes)?;
    }
    if flow == Flow::More {
        flow = body.end()?;
    }
    assert!(body.text.len() <= LIMIT, "more of the body than is wanted");
    assert!(flow != Flow::Full || body.text.len() == LIMIT);
    told(&judge::status(head.status, head.location.as_deref(), &[]));
    Ok(Some((head.status, head.location, head.keeps, flow, body.text)))
}

/// Runs what waits for `server`'s octets and then its end. No timer runs, so what still waits then would wait for ever.
fn conversation<F: Future>(server: &[u8], talk: impl FnOnce(Stream) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        theirs.write_all(server).await.expect("it fits");
        theirs.shutdown().await.expect("it can end");
        tokio::time::timeout(Duration::from_secs(30), talk(Stream::Memory(ours)))
            .await
            .expect("a server that ended is waited for")
    })
}

fn peer() -> SocketAddr {
    ([192, 0, 2, 1], 443).into()
}

fn clock() -> TokioClock {
    TokioClock::start_at("2026-11-22T12:00:00Z".parse().expect("a time"))
}

/// Frames of HTTP/2: whatever comes, the exchange ends with the connection, and no more of the body is kept than the
/// limit.
pub(crate) fn http2(data: &[u8]) {
    let found = conversation(data, |stream| async {
        let clock = clock();
        let progress = &mut Progress::begin(&clock);
        let mut connection = Http2::begin(stream, peer(), progress).await?;
        let request = http::Request::get("http://www.example.test/").body(()).expect("a request");
        let answer = connection.ask(request, None, LIMIT, progress).await?;
        let status = answer.status().as_u16();
        let (text, flow) = connection.body(&mut answer.into_body(), LIMIT, progress).await?;
        assert!(text.len() <= LIMIT && (flow != Flow::Full || text.len() == LIMIT));
        let _ = connection.is_open();
        judge::status(status, None, &[])
    });
    told(&found);
    assert_ne!(found, Ok(()), "no status is wanted");
}

/// The same of a server that answers the health protocol of gRPC; a message alone is read as well.
pub(crate) fn grpc_health(data: &[u8]) {
    let service = "shop.v1.Orders".to_owned();
    let check = GrpcCheck {
        port: 443,
        tls: false,
        tls_settings: TlsSettings::default(),
        host: None,
        sni: None,
        service,
    };
    let request = grpc::request(&check, peer(), Duration::from_secs(3)).expect("a request");
    let found = conversation(data, |stream| async {
        let clock = clock();
        grpc::exchange(stream, peer(), request, &check.service, &mut Progress::begin(&clock)).await
    });
    told(&found);
    if let Err(garbled) = grpc::message::answer(data) {
        assert!(!garbled.to_string().is_empty());
    }
}

/// A pointer (RFC 6901) on the first line, then a body: what is there is equal to itself, and is not its opposite.
pub(crate) fn json_body(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pointer, body) = text.split_once('\n').unwrap_or(("", &text));
    // It is the operator's own, and was looked at when the configuration was read.
    if pointer.len() > 256 || pointer.contains(char::is_control) {
        return;
    }
    let ask = |test, flow| {
        let found = json::judge(
            body.as_bytes(),
            flow,
            &[JsonWish { pointer: pointer.to_owned(), tests: vec![test] }],
        );
        told(&found);
        found
    };
    for flow in [Flow::Full, Flow::More] {
        let _ = ask(JsonTest::Exists(true), flow);
    }
    let (there, missing) =
        (ask(JsonTest::Exists(true), Flow::Whole), ask(JsonTest::Exists(false), Flow::Whole));
    assert!(there.is_err() || missing.is_err(), "{pointer} is there and is not");
    let Ok(document) =
        serde_json::from_str::<serde_json::Value>(body.strip_prefix('\u{feff}').unwrap_or(body))
    else {
        assert!(there.is_err() && missing.is_err(), "what is no JSON holds nothing");
        return;
    };
    assert_eq!(there.is_ok(), document.pointer(pointer).is_some());
    let Some(value) = document.pointer(pointer) else { return };
    assert_eq!(ask(JsonTest::Equals(value.clone()), Flow::Whole), Ok(()), "it is equal to itself");
    assert!(ask(JsonTest::Not(value.clone()), Flow::Whole).is_err());
    if let serde_json::Value::Number(number) = value {
        let compared =
            |comparison| ask(JsonTest::Number(comparison, number.clone().into()), Flow::Whole).is_ok();
        assert!(compared(Comparison::AtLeast) && compared(Comparison::AtMost));
        assert!(!compared(Comparison::Above) && !compared(Comparison::Below));
    }
}

/// Replies of SMTP: once one is whole, more octets are only more that came unasked; once it is none, it stays none.
pub(crate) fn smtp_reply(data: &[u8]) {
    // All of it at every end: that is the square of its length.
    let data = &data[..data.len().min(512)];
    let mut before = Heard::More;
    for end in 0..=data.len() {
        let now = reply(&data[..end]);
        match (&before, &now) {
            (Heard::Garbled, now) => assert_eq!(now, &Heard::Garbled, "{end}"),
            (
                Heard::Whole { code, lines, unasked },
                Heard::Whole { code: new, lines: same, unasked: more },
            ) => {
                assert_eq!((code, lines, unasked + 1), (new, same, *more), "{end}");
            }
            (Heard::Whole { .. }, now) => panic!("at {end} it is {now:?}"),
            (Heard::More, _) => {}
        }
        before = now;
    }
}

/// The certificate a server shows: what is told of it is bounded and harmless, whatever stands in it.
pub(crate) fn certificate(data: &[u8]) {
    let der = CertificateDer::from(data.to_vec());
    let facts = certificate::facts(&der);
    if let Some(facts) = facts {
        assert!(facts.fingerprint.len() == 64 && facts.fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(!facts.names.is_empty() && facts.names.chars().count() <= 5 * 255 + 32, "{}", facts.names);
        assert!(!facts.names.contains(char::is_control), "{:?}", facts.names);
        told(&certificate::lasts(&facts, 14, "2026-11-22T12:00:00Z".parse().expect("a time")));
    }
    if let Some(issuer) = certificate::issuer(&der) {
        assert!(issuer.len() < 512 && !issuer.contains(char::is_control), "{issuer:?}");
    }
}

/// A program's exit code, then what it wrote: what is told of it is one short line.
pub(crate) fn exec_output(data: &[u8]) {
    let Some((&code, output)) = data.split_first() else { return };
    let (output, errors) = output.split_at(output.iter().position(|&b| b == 0).unwrap_or(output.len()));
    let kept = |text: &[u8]| Kept(text[..text.len().min(KEPT)].to_vec());
    let status = ExitStatus::from_raw(i32::from(code) << 8);
    let found = exec::judge("/usr/lib/nagios/plugins/check_x", status, &kept(output), &kept(errors));
    told(&found);
    let right = match code {
        0 | 1 => found.is_ok(),
        2 => matches!(found, Err(Outcome::Fail(_))),
        _ => matches!(found, Err(Outcome::Unknown(_))),
    };
    assert!(right, "{code}: {found:?}");
    assert!(found.err().is_none_or(|outcome| outcome.reason().chars().count() < 300));
}

/// Messages of a DNS server that is itself the target: what passes is what was asked for.
pub(crate) fn dns_answer(data: &[u8]) {
    let Some((question, message)) = wire::fuzzing::answered(data) else { return };
    wire::fuzzing::forms(&message);
    let query = question.query();
    let mut check = DnsCheck {
        name: query.name.clone(),
        kind: query.query_type,
        rcode: Some(ResponseCode::NoError),
        ..DnsCheck::any_answer(53)
    };
    let passed = dns::judge(&check, &message);
    told(&passed.clone().map_err(Outcome::Fail));
    assert!(
        passed.is_err()
            || message.metadata.response_code == ResponseCode::NoError && !message.answers.is_empty()
    );
    check.wanted = Some(Wanted::Exactly(["192.0.2.1".to_owned()].into()));
    let exactly = dns::judge(&check, &message);
    check.wanted = Some(Wanted::AtLeast(["192.0.2.1".to_owned()].into()));
    let at_least = dns::judge(&check, &message);
    assert!(exactly.is_err() || passed.is_ok() && at_least.is_ok(), "exactly this is at least this");
    told(&exactly.map_err(Outcome::Fail));
}
