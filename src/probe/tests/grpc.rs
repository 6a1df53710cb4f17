//! gRPC health, against the server of tonic and against bad ones.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use h2::Reason;
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::Server as Tonic;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

use super::authority::{Authority, NAME, config};
use super::h2server::{Asked, SETTINGS, frame, says, serve_http2, with_tls};
use super::server::{Server, answers, closed_port};
use super::{LOOPBACK, check, failure, probe_trusting};
use crate::decision::Outcome;
use crate::probe::{CheckKind, GrpcCheck, Report, Roots, TlsSettings};

fn grpc_check(port: u16) -> GrpcCheck {
    GrpcCheck {
        port,
        tls: false,
        tls_settings: TlsSettings::default(),
        host: None,
        sni: None,
        service: String::new(),
    }
}

async fn ask_of(port: u16, service: &str) -> Report {
    ask(Roots::Only(Vec::new()), GrpcCheck { service: service.into(), ..grpc_check(port) }).await
}

async fn ask(roots: Roots, grpc: GrpcCheck) -> Report {
    let mut check = check(CheckKind::Grpc(grpc));
    check.timeout = Duration::from_secs(5);
    probe_trusting(roots, check).await
}

/// A server of tonic; gone when dropped.
struct Real {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Real {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn real(routes: Routes) -> Real {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let incoming = stream::unfold(listener, |listener| async {
        Some((listener.accept().await.map(|(stream, _)| stream), listener))
    });
    let task = tokio::spawn(async move {
        Tonic::builder().add_routes(routes).serve_with_incoming(Box::pin(incoming)).await.unwrap();
    });
    Real { port, task }
}

async fn real_with_health() -> (Real, HealthReporter) {
    let reporter = HealthReporter::new();
    let service = HealthService::from_health_reporter(reporter.clone());
    let server = tonic_health::pb::health_server::HealthServer::new(service);
    (real(Routes::new(server)).await, reporter)
}

#[tokio::test]
async fn the_server_of_tonic_says_how_it_is() {
    let (server, reporter) = real_with_health().await;
    let report = ask_of(server.port, "").await;
    assert_eq!(report.outcome, Outcome::Pass);
    assert!(report.timings.connect.is_some() && report.timings.first_byte.is_some());

    reporter.set_service_status("", ServingStatus::NotServing).await;
    assert_eq!(
        failure(&ask_of(server.port, "").await),
        "says of the server as a whole: NOT_SERVING, wanted SERVING"
    );
    reporter.set_service_status("shop.Orders", ServingStatus::Serving).await;
    assert_eq!(ask_of(server.port, "shop.Orders").await.outcome, Outcome::Pass);
    reporter.set_service_status("shop.Orders", ServingStatus::Unknown).await;
    let report = ask_of(server.port, "shop.Orders").await;
    assert_eq!(failure(&report), "says of service \"shop.Orders\": UNKNOWN, wanted SERVING");
    let report = ask_of(server.port, "shop.Nothing").await;
    let reason = failure(&report);
    assert!(reason.starts_with("knows nothing of service \"shop.Nothing\" (NOT_FOUND"), "{reason}");
}

/// bad day: target: has no gRPC health service | a failure that says so
#[tokio::test]
async fn a_server_without_the_health_service_says_so() {
    let server = real(Routes::default()).await;
    let report = ask_of(server.port, "").await;
    let reason = failure(&report);
    let wanted = "has no health service (/grpc.health.v1.Health/Check is UNIMPLEMENTED";
    assert!(reason.starts_with(wanted), "{reason}");
}

#[tokio::test]
async fn with_tls_the_certificate_is_verified() {
    let ((inside, _reporter), authority) = (real_with_health().await, Authority::new("ours"));
    let tls = config(&authority.sign(NAME, (1975, 2999)), None, rustls::ALL_VERSIONS);
    let server = with_tls(tls.clone(), &[b"h2"], inside.port).await;
    let grpc = GrpcCheck { tls: true, host: Some(NAME.into()), ..grpc_check(server.port) };
    let report = ask(authority.roots(), grpc.clone()).await;
    assert_eq!(report.outcome, Outcome::Pass);
    assert!(report.timings.tls.is_some() && report.certificate.is_some());

    let other = GrpcCheck { sni: Some("grpc.workshopco.ca".into()), ..grpc.clone() };
    let report = ask(authority.roots(), other).await;
    assert!(failure(&report).starts_with("the certificate is for www.workshopco.ca"), "{report:?}");
    let report = ask(Authority::new("theirs").roots(), grpc.clone()).await;
    assert!(failure(&report).starts_with("the certificate is signed by"), "{report:?}");
    let without_alpn = with_tls(tls, &[], inside.port).await;
    let report = ask(authority.roots(), GrpcCheck { port: without_alpn.port, ..grpc }).await;
    assert_eq!(failure(&report), "the server does not choose HTTP/2 (`h2` by ALPN)");
}

#[tokio::test]
async fn the_question_is_by_the_protocol() {
    let server = serve_http2(|mut asked: Asked| async move {
        let head = asked.request.headers();
        let header = |name: &str| head.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(asked.request.method(), "POST");
        assert_eq!(asked.request.uri(), "http://www.workshopco.ca/grpc.health.v1.Health/Check");
        assert_eq!(header("content-type").as_deref(), Some("application/grpc"));
        assert_eq!(header("te").as_deref(), Some("trailers"));
        assert_eq!(header("grpc-timeout").as_deref(), Some("5000m"));
        let body = asked.request.body_mut().data().await.unwrap().unwrap();
        assert_eq!(&body[..], b"\0\0\0\0\x04\x0a\x02db");
        answer(asked, Some(SERVING), &[("grpc-status", "0")]);
    })
    .await;
    let grpc = GrpcCheck { host: Some(NAME.into()), service: "db".into(), ..grpc_check(server.port) };
    assert_eq!(ask(Roots::Only(Vec::new()), grpc).await.outcome, Outcome::Pass);
}

const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

/// A message of 100,000 bytes.
static LARGE: [u8; 5 + 100_000] = {
    let mut body = [0; 5 + 100_000];
    [body[2], body[3], body[4]] = [1, 0x86, 0xa0];
    body
};

/// A body, trailers, and what is said of them.
type Case = (Option<&'static [u8]>, &'static [(&'static str, &'static str)], &'static str);

/// An answer of gRPC with this body and these trailers.
fn answer(mut asked: Asked, body: Option<&'static [u8]>, trailers: &[(&'static str, &'static str)]) {
    let head = Response::builder().header("content-type", "application/grpc+proto").body(()).unwrap();
    let mut stream = asked.answer.send_response(head, false).unwrap();
    if let Some(body) = body {
        stream.send_data(Bytes::from_static(body), trailers.is_empty()).unwrap();
    }
    if !trailers.is_empty() {
        let pairs =
            trailers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        stream.send_trailers(pairs.collect::<HeaderMap>()).unwrap();
    }
}

async fn fails(server: Server) -> String {
    failure(&ask_of(server.port, "").await).to_owned()
}

/// bad day: target: gives a gRPC answer that is garbled, compressed, cut off, or none | a failure that says which
#[tokio::test]
async fn answers_that_are_none() {
    let ok: &[(&str, &str)] = &[("grpc-status", "0")];
    let cases: &[Case] = &[
        (Some(SERVING), &[], "the answer ended without a grpc-status"),
        (Some(SERVING), &[("x", "y")], "the answer ended without a grpc-status"),
        (Some(SERVING), &[("grpc-status", "zero")], "the grpc-status \"zero\" is no number"),
        (
            Some(SERVING),
            &[("grpc-status", "14"), ("grpc-message", "down%0afor%20now")],
            "answered gRPC status 14 UNAVAILABLE: \"down\\nfor now\"",
        ),
        (None, &[("grpc-status", "99")], "answered gRPC status 99 unknown"),
        (None, &[("grpc-status", "0")], "the answer holds no message"),
        (
            Some(&[0, 0, 0, 0, 2, 8, 3]),
            &[("grpc-status", "0")],
            "says of the server as a whole: SERVICE_UNKNOWN, wanted SERVING",
        ),
        (
            Some(&[0, 0, 0, 0, 2, 8, 9]),
            &[("grpc-status", "0")],
            "says of the server as a whole: 9, which the protocol does not know, wanted SERVING",
        ),
        (Some(&[0, 0, 0, 0, 9, 8, 1]), &[("grpc-status", "0")], "the message of the answer is cut off"),
        (
            Some(&[1, 0, 0, 0, 2, 8, 1]),
            &[("grpc-status", "0")],
            "the message of the answer is compressed, which nobody asked for",
        ),
        (Some(&[0, 0, 0, 0, 2, 0xff, 0xff]), &[("grpc-status", "0")], "the message of the answer is garbled"),
        (
            Some(b"<html>hello"),
            &[("grpc-status", "0")],
            "the message of the answer is compressed, which nobody asked for",
        ),
        (
            Some(&[0, 0, 0, 0, 2, 8, 1, 0, 0, 0, 0, 0]),
            &[("grpc-status", "0")],
            "the answer holds more than one message",
        ),
    ];
    for (body, trailers, wanted) in cases.iter().copied() {
        let server = serve_http2(move |asked: Asked| async move { answer(asked, body, trailers) }).await;
        assert_eq!(fails(server).await, wanted);
    }
    // The message is fine, and so is what follows: the cases above fail for their own reason.
    let server = serve_http2(move |asked: Asked| async move { answer(asked, Some(SERVING), ok) }).await;
    assert_eq!(ask_of(server.port, "").await.outcome, Outcome::Pass);
}

#[tokio::test]
async fn an_answer_in_one_head() {
    for (status, wanted) in [
        ("12", "has no health service (/grpc.health.v1.Health/Check is UNIMPLEMENTED)"),
        ("5", "knows nothing of the server as a whole (NOT_FOUND)"),
        ("16", "answered gRPC status 16 UNAUTHENTICATED"),
        ("0", "the answer holds no message"),
    ] {
        let server = serve_http2(move |asked: Asked| async move {
            let head =
                Response::builder().header("content-type", "application/grpc").header("grpc-status", status);
            asked.say(head.body(()).unwrap(), b"");
        })
        .await;
        assert_eq!(fails(server).await, wanted);
    }
}

#[tokio::test]
async fn what_is_no_grpc() {
    let typed = |status: u16, content: &'static str| {
        serve_http2(move |asked: Asked| async move {
            let head = Response::builder().status(status).header("content-type", content);
            asked.say(head.body(()).unwrap(), b"<html>");
        })
    };
    assert_eq!(fails(typed(404, "text/html").await).await, "answered HTTP 404 Not Found, which is no gRPC");
    assert_eq!(
        fails(typed(200, "text/html").await).await,
        "answered with \"text/html\", wanted application/grpc"
    );
    let server = serve_http2(|asked: Asked| async move { asked.say_status(200) }).await;
    assert_eq!(fails(server).await, "answered without a content type, wanted application/grpc");
    let reason = fails(answers("HTTP/1.1 400 Bad Request\r\n\r\n").await).await;
    assert!(reason.starts_with("answered something that is not HTTP/2"), "{reason}");
}

#[tokio::test]
async fn a_server_that_breaks_off_or_says_too_much() {
    let server =
        serve_http2(|mut asked: Asked| async move { asked.answer.send_reset(Reason::REFUSED_STREAM) }).await;
    assert_eq!(fails(server).await, "broke the answer off (RST_STREAM, REFUSED_STREAM)");
    let server = says([SETTINGS, &frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0])].concat()).await;
    assert_eq!(
        fails(server).await,
        "ended the HTTP/2 connection (GOAWAY, NO_ERROR) before its answer was finished"
    );
    let server =
        serve_http2(|asked: Asked| async move { answer(asked, Some(&LARGE), &[("grpc-status", "0")]) }).await;
    assert_eq!(fails(server).await, "the message of the answer is larger than 4096 bytes: it has 100000");
    let report = ask_of(closed_port(), "").await;
    assert!(failure(&report).ends_with("refused the connection"), "{report:?}");
}

#[tokio::test]
async fn a_server_that_stops_in_the_middle() {
    let server = serve_http2(|mut asked: Asked| async move {
        let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut stream = asked.answer.send_response(head, false).unwrap();
        stream.send_data(Bytes::from_static(SERVING), false).unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let mut check = check(CheckKind::Grpc(grpc_check(server.port)));
    check.timeout = Duration::from_millis(200);
    let report = probe_trusting(Roots::Only(Vec::new()), check).await;
    assert_eq!(failure(&report), "body not finished within 200ms (7 bytes came)");
}
