//! STARTTLS of SMTP: servers of our own that follow a script. A real one is in `tests/tls.rs`.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, NAME, config};
use super::server::{Server, serve, until_closed};
use super::{check, failure, probe};
use crate::decision::Outcome;
use crate::probe::{BodyMatch, CheckKind, Report, StartTls, StartTlsProtocol, TcpCheck, TlsSettings};

const OFFERS: &str = "250-mx.workshopco.ca\r\n250-SIZE 10240000\r\n250-starttls\r\n250 HELP\r\n";

/// What is said at each turn, and the handshake if all was well.
#[derive(Clone, Copy)]
struct Script {
    greeting: &'static str,
    to_ehlo: &'static str,
    to_starttls: &'static str,
}

const GOOD: Script = Script {
    greeting: "220 mx.workshopco.ca ESMTP\r\n",
    to_ehlo: OFFERS,
    to_starttls: "220 2.0.0 Ready\r\n",
};

async fn line(stream: &mut TcpStream) -> String {
    let mut line = String::new();
    while !line.ends_with("\r\n") {
        let Ok(byte) = stream.read_u8().await else { break };
        line.push(byte.into());
    }
    line
}

async fn smtp(authority: &Authority, script: Script) -> Server {
    let config = config(&authority.sign(NAME, (2020, 2999)), None, rustls::ALL_VERSIONS);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let _ = stream.write_all(script.greeting.as_bytes()).await;
            if line(&mut stream).await != "EHLO [127.0.0.1]\r\n" {
                return until_closed(&mut stream).await;
            }
            let _ = stream.write_all(script.to_ehlo.as_bytes()).await;
            if line(&mut stream).await != "STARTTLS\r\n" {
                return until_closed(&mut stream).await;
            }
            let _ = stream.write_all(script.to_starttls.as_bytes()).await;
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut said = [0; 64];
            let read = stream.read(&mut said).await.unwrap_or(0);
            if said[..read].starts_with(b"NOOP") {
                let _ = stream.write_all(b"250 2.0.0 OK\r\n").await;
            }
            until_closed(&mut stream).await;
        }
    })
    .await
}

async fn ask(
    server: &Server,
    authority: &Authority,
    sni: Option<&str>,
    change: impl FnOnce(&mut TcpCheck),
) -> Report {
    let settings = TlsSettings { authorities: Some(authority.own()), ..TlsSettings::default() };
    let starttls = StartTls { protocol: StartTlsProtocol::Smtp, sni: sni.map(str::to_owned), settings };
    let mut tcp = TcpCheck { port: server.port, starttls: Some(starttls), ..TcpCheck::default() };
    change(&mut tcp);
    let mut check = check(CheckKind::Tcp(tcp));
    check.timeout = Duration::from_secs(1);
    probe(check).await
}

#[tokio::test]
async fn a_server_that_offers_it_passes_and_shows_its_certificate() {
    let ours = Authority::new("ours");
    let server = smtp(&ours, GOOD).await;
    let report = ask(&server, &ours, Some(NAME), |_| {}).await;
    assert_eq!(report.outcome, Outcome::Pass);
    assert_eq!(report.certificate.unwrap().names, NAME);
    assert!(report.timings.connect.is_some() && report.timings.tls.is_some());
    let report = ask(&server, &ours, Some(NAME), |tcp| {
        tcp.send = Some(b"NOOP\r\n".to_vec());
        tcp.expect = Some(BodyMatch::Contains("250 ".into()));
    })
    .await;
    assert_eq!(report.outcome, Outcome::Pass, "what is sent and expected goes through TLS");
}

#[tokio::test]
async fn the_certificate_is_verified() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = smtp(&ours, GOOD).await;
    let report = ask(&server, &theirs, Some(NAME), |_| {}).await;
    assert!(failure(&report).contains("none of the authorities"), "{report:?}");
    let report = ask(&server, &ours, Some("mx.example.com"), |_| {}).await;
    assert!(failure(&report).contains("wanted mx.example.com"), "{report:?}");
    let report = ask(&server, &ours, None, |_| {}).await;
    assert!(failure(&report).contains("wanted 127.0.0.1"), "{report:?}");
    assert!(report.certificate.is_some());
}

/// bad day: target: a mail server without STARTTLS, or with words injected before the handshake | a failure that says which
#[tokio::test]
async fn servers_that_do_not_keep_to_it() {
    let cases = [
        (Script { greeting: "554 no\r\n", ..GOOD }, r#"SMTP: the greeting is "554 no", wanted 220"#),
        (
            Script { greeting: "SSH-2.0-OpenSSH\r\n", ..GOOD },
            r#"SMTP: the greeting is none: "SSH-2.0-OpenSSH\r\n""#,
        ),
        (Script { greeting: "", ..GOOD }, "SMTP: no greeting within 1s (TCP connected after"),
        (Script { greeting: "220-mx\r\n", ..GOOD }, "SMTP: no greeting within 1s (TCP connected after"),
        (
            Script { to_ehlo: "502 what?\r\n", ..GOOD },
            r#"SMTP: the answer to EHLO is "502 what?", wanted 250"#,
        ),
        (
            Script { to_ehlo: "250-STARTTLS\r\n250 SIZE\r\n", ..GOOD },
            "the server does not offer STARTTLS in its answer to EHLO",
        ),
        (
            Script { to_starttls: "454 TLS not available\r\n", ..GOOD },
            r#"SMTP: the answer to STARTTLS is "454 TLS not available", wanted 220"#,
        ),
        (
            Script { to_starttls: "220 Ready\r\n250 injected\r\n", ..GOOD },
            "SMTP: 14 bytes came unasked after the answer to STARTTLS",
        ),
        (
            Script { greeting: "220 mx\r\n250-STARTTLS\r\n", ..GOOD },
            "SMTP: 14 bytes came unasked after the greeting",
        ),
    ];
    let ours = Authority::new("ours");
    for (script, said) in cases {
        let report = ask(&smtp(&ours, script).await, &ours, Some(NAME), |_| {}).await;
        assert!(failure(&report).starts_with(said), "wanted {said}, got {report:?}");
    }
}

/// bad day: target: plain text comes in the place of the handshake of STARTTLS | a failure, and none of it is believed
///
/// A moment after its word for STARTTLS, so that it is not read with it: then it is no TLS record.
#[tokio::test]
async fn plain_text_in_the_place_of_the_handshake() {
    let server = serve(|mut stream| async move {
        let _ = stream.write_all(GOOD.greeting.as_bytes()).await;
        line(&mut stream).await;
        let _ = stream.write_all(OFFERS.as_bytes()).await;
        line(&mut stream).await;
        let _ = stream.write_all(GOOD.to_starttls.as_bytes()).await;
        // The client's first TLS record has come.
        let _ = stream.read_u8().await;
        let _ = stream.write_all(b"250 2.0.0 injected\r\n").await;
        until_closed(&mut stream).await;
    })
    .await;
    let report = ask(&server, &Authority::new("ours"), Some(NAME), |_| {}).await;
    assert!(failure(&report).starts_with("the server does not speak TLS on this port"), "{report:?}");
}

#[tokio::test]
async fn a_flood_is_bounded() {
    let flood =
        serve(|mut stream| async move { while stream.write_all(b"220-more and more\r\n").await.is_ok() {} })
            .await;
    let report = ask(&flood, &Authority::new("ours"), None, |_| {}).await;
    assert_eq!(failure(&report), "SMTP: the greeting is longer than 8192 bytes");
    let closes = serve(|mut stream| async move { drop(stream.write_all(b"220-mx\r\n").await) }).await;
    let report = ask(&closes, &Authority::new("ours"), None, |_| {}).await;
    assert_eq!(failure(&report), "SMTP: closed the connection before the greeting was finished");
}
