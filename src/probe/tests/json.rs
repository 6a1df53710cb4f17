//! HTTP with something to send, somebody who asks, and JSON to look into.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::server::{answers, request, serve};
use super::{check, failure, http_check, probe};
use crate::decision::Outcome;
use crate::probe::{Auth, CheckKind, HttpCheck, JsonTest, JsonWish};

#[tokio::test]
async fn a_request_with_a_body_and_a_token_reaches_the_server_whole() {
    let (seen, mut requests) = mpsc::channel(1);
    let server = serve(move |mut stream| {
        let seen = seen.clone();
        async move {
            let head = request(&mut stream).await;
            let mut body = [0; 12];
            stream.read_exact(&mut body).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"data\": {\"n\":1")
                .await
                .unwrap();
            seen.send((head, body)).await.unwrap();
        }
    })
    .await;
    let http = HttpCheck {
        method: "POST".into(),
        auth: Some(Auth::Bearer("hush".into())),
        send: Some("{\"query\":1}\n".into()),
        ..http_check(server.port)
    };
    assert_eq!(probe(check(CheckKind::Http(http))).await.outcome, Outcome::Pass);
    let (head, body) = requests.recv().await.unwrap();
    assert!(head.contains("\r\nAuthorization: Bearer hush\r\nContent-Length: 12\r\n"), "{head}");
    assert_eq!(&body, b"{\"query\":1}\n");
}

/// bad day: target: its JSON says that it is ill, or is longer than `max_body` | a failure: what is where, what was wanted
#[tokio::test]
async fn json_is_looked_into_and_a_body_that_is_too_long_is_told() {
    let text = r#"{"status":{"db":"ok","lag":12.5}}"#;
    let server = answers(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())).await;
    let wish = |wanted: &str| JsonWish {
        pointer: "/status/db".into(),
        tests: vec![JsonTest::Equals(json!(wanted))],
    };
    let ask = |wanted: &str, max_body_bytes| HttpCheck {
        json: vec![wish(wanted)],
        max_body_bytes,
        ..http_check(server.port)
    };
    let report = probe(check(CheckKind::Http(ask("ok", 1024)))).await;
    assert_eq!(report.outcome, Outcome::Pass);
    let report = probe(check(CheckKind::Http(ask("up", 1024)))).await;
    assert_eq!(failure(&report), r#"/status/db is "ok", wanted "up""#);
    let report = probe(check(CheckKind::Http(ask("ok", 16)))).await;
    assert_eq!(
        failure(&report),
        "the body is longer than 16 bytes, and half of it is no JSON; raise `max_body`"
    );
}
