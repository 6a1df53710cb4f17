//! Plain TCP.

use std::time::Duration;

use regex::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{Server, closed_port, serve, until_closed};
use super::{check, failure, probe, tcp_only};
use crate::decision::Outcome;
use crate::probe::{BodyMatch, CheckKind, Report, TcpCheck};

/// Answers a PING as Redis does, in two pieces, and stays.
async fn redis() -> Server {
    serve(|mut stream| async move {
        let mut ping = [0; 6];
        if stream.read_exact(&mut ping).await.is_ok() && &ping == b"PING\r\n" {
            stream.write_all(b"+PO").await.unwrap();
            stream.flush().await.unwrap();
            stream.write_all(b"NG\r\n").await.unwrap();
        }
        until_closed(&mut stream).await;
    })
    .await
}

async fn ask(server: &Server, send: &str, expect: BodyMatch, timeout: Duration) -> Report {
    let (send, expect) = (Some(send.into()), Some(expect));
    let kind = TcpCheck { port: server.port, send, expect, ..TcpCheck::default() };
    let mut check = check(CheckKind::Tcp(kind));
    check.timeout = timeout;
    probe(check).await
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_connection_is_enough_where_nothing_is_expected() {
    let server = redis().await;
    let report = probe(tcp_only(server.port)).await;
    assert_eq!(report.outcome, Outcome::Pass);
    assert!(report.timings.connect.is_some() && report.timings.first_byte.is_none());
    let report = probe(tcp_only(closed_port())).await;
    assert!(failure(&report).ends_with("refused the connection"), "{report:?}");
}

/// A listener that never accepts: what waits for it counts.
#[tokio::test]
async fn half_open_is_heard_of_by_the_system_alone() {
    let server = std::net::TcpListener::bind((super::LOOPBACK, 0)).unwrap();
    server.set_nonblocking(true).unwrap();
    let port = server.local_addr().unwrap().port();
    let half = |port| check(CheckKind::Tcp(TcpCheck { port, half_open: true, ..TcpCheck::default() }));
    for _ in 0..20 {
        let report = probe(half(port)).await;
        assert_eq!(report.outcome, Outcome::Pass);
        assert!(report.timings.connect.is_some() && report.timings.first_byte.is_none());
    }
    // The delayed acknowledgement may win the race on a busy machine, but hardly twenty times.
    let heard = std::iter::from_fn(|| server.accept().ok()).count();
    assert!(heard < 20, "{heard}");
    let report = probe(half(closed_port())).await;
    assert!(failure(&report).ends_with("refused the connection"), "{report:?}");
}

#[tokio::test]
async fn what_is_expected_is_found_while_the_server_stays() {
    let server = redis().await;
    let report = ask(&server, "PING\r\n", BodyMatch::Contains("+PONG".into()), LONG).await;
    assert_eq!(report.outcome, Outcome::Pass);
    assert!(report.timings.first_byte.is_some() && report.timings.total < LONG);
    let regex = BodyMatch::Regex(Regex::new(r"^\+PONG\r\n$").unwrap());
    assert_eq!(ask(&server, "PING\r\n", regex, LONG).await.outcome, Outcome::Pass);
}

#[tokio::test]
async fn what_does_not_come_is_a_failure_at_the_deadline() {
    let short = Duration::from_millis(200);
    let report = ask(&redis().await, "PING\r\n", BodyMatch::Contains("+PANG".into()), short).await;
    assert_eq!(failure(&report), "what was expected did not come within 200ms (7 bytes came)");
    let report = ask(&redis().await, "HELP\r\n", BodyMatch::Contains("+PONG".into()), short).await;
    assert!(failure(&report).starts_with("no answer within 200ms"), "{report:?}");
}

#[tokio::test]
async fn something_else_and_the_end_is_a_failure_at_once() {
    let server = serve(|mut stream| async move {
        stream.write_all(b"-ERR max clients\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        until_closed(&mut stream).await;
    })
    .await;
    let report = ask(&server, "", BodyMatch::Contains("+PONG".into()), LONG).await;
    assert_eq!(failure(&report), r#"said "-ERR max clients\r\n" and closed the connection, wanted "+PONG""#);
}

/// bad day: target: floods a `tcp` check that waits for a text | 64 KiB are read, then it is a failure
#[tokio::test]
async fn a_flood_is_read_up_to_64_kib() {
    let server =
        serve(|mut stream| async move { while stream.write_all(&[b'x'; 8192]).await.is_ok() {} }).await;
    let report = ask(&server, "", BodyMatch::Contains("+PONG".into()), LONG).await;
    assert!(failure(&report).contains("sent 65536 bytes, wanted \"+PONG\""), "{report:?}");
}
