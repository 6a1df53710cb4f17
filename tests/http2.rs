//! HTTP/2, gRPC and kept connections against nginx, from the keys of the configuration to the words of the outcome.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use failover::clock::SystemClock;
use failover::config::Config;
use failover::decision::Outcome;
use failover::probe::{Check, Prober, Report, Roots, SystemProber};
use testkit::Nginx;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The check that is written so.
fn check(written: &str) -> Arc<Check> {
    let text = format!(
        "
agent: {{witnesses: [{{tcp: 1.1.1.1:443}}]}}
checks: {{it: {{{written}}}}}
targets: {{a: {{address: 192.0.2.1, checks: it}}, b: {{address: 192.0.2.2, checks: it}}}}
providers: {{zone: {{type: mock}}}}
records: [{{name: www.example.com, provider: zone, targets: [a, b]}}]
"
    );
    let config = Config::parse("failover.yaml", &text, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    testkit::assert_valid(Config::schema, &text);
    Arc::clone(&config.checks[&"it".into()].0)
}

fn prober() -> SystemProber {
    SystemProber::new(Arc::new(SystemClock::start()), Roots::Only(Vec::new()))
}

async fn probe(written: &str) -> Report {
    prober().probe(&LOOPBACK.into(), &check(written)).await
}

/// The reason of a failure.
async fn failure(written: &str) -> String {
    match probe(written).await.outcome {
        Outcome::Fail(reason) => reason,
        other => panic!("wanted a failure of {written}, got {other:?}"),
    }
}

#[tokio::test]
async fn http_2_with_and_without_tls() {
    let nginx = Nginx::start_with(&[]);
    let (plain, tls) = (nginx.http2(), nginx.tls());
    let secure = format!("tls: true, host: {}, ca: {}", Nginx::NAME, nginx.certificate().display());
    let passing = [
        format!("http: {{http2: true, port: {plain}, path: /healthz, body: {{contains: 'state: ok'}}}}"),
        format!("http: {{http2: true, port: {plain}, path: /moved, status: 302}}"),
        format!("http: {{http2: true, port: {plain}, path: /healthz, method: HEAD}}"),
        format!(
            "http: {{http2: true, port: {tls}, {secure}, path: /healthz, body: {{contains: 'state: ok'}}}}"
        ),
        format!("http: {{port: {tls}, {secure}, path: /healthz}}"),
    ];
    for written in passing {
        let report = probe(&written).await;
        assert_eq!(report.outcome, Outcome::Pass, "{written}");
        assert_eq!(report.certificate.is_some(), written.contains("tls: true"), "{written}");
    }
    let reason = failure(&format!("http: {{http2: true, port: {plain}, path: /down}}")).await;
    assert_eq!(reason, "answered 503 Service Unavailable, wanted 200-299");
    let reason = failure(&format!("http: {{http2: true, port: {plain}, path: /moved}}")).await;
    let there = "\"https://elsewhere.example.test/\" (redirects are judged, not followed)";
    assert_eq!(reason, format!("answered 302 Found to {there}, wanted 200-299"));
}

#[tokio::test]
async fn a_server_without_http_2_says_so() {
    let nginx = Nginx::start_with(&[]);
    let reason = failure(&format!("http: {{http2: true, port: {}}}", nginx.http1())).await;
    assert!(
        reason.starts_with("answered something that is not HTTP/2 and begins with \"HTTP/1.1 400"),
        "{reason}"
    );
    let secure = format!("tls: true, host: {}, ca: {}", Nginx::NAME, nginx.certificate().display());
    let reason = failure(&format!("http: {{http2: true, port: {}, {secure}}}", nginx.tls_http1())).await;
    // nginx may also refuse the handshake.
    let words = ["the server does not choose HTTP/2 (`h2` by ALPN)", "no_application_protocol"];
    assert!(words.iter().any(|word| reason.contains(word)), "{reason}");
}

/// nginx counts the requests of each connection: of the first two of one it is the second that says so.
#[tokio::test]
async fn a_kept_connection_serves_until_the_server_ends_it() {
    // After two requests it says `Connection: close`, in HTTP/2 GOAWAY.
    let mut nginx = Nginx::start_with(&[("NGINX_REQUESTS", "2")]);
    let secure = format!("tls: true, host: {}, ca: {}", Nginx::NAME, nginx.certificate().display());
    let lines = [
        (nginx.http1(), String::new()),
        (nginx.http2(), "http2: true, ".to_owned()),
        (nginx.tls(), format!("{secure}, ")),
        (nginx.tls(), format!("http2: true, {secure}, ")),
    ];
    let prober = prober();
    let mut checks = Vec::new();
    for (port, more) in lines {
        let check = check(&format!("http: {{reuse: true, {more}port: {port}, path: /healthz}}"));
        let mut fresh = Vec::new();
        for _ in 0..5 {
            let report = prober.probe(&LOOPBACK.into(), &check).await;
            assert_eq!(report.outcome, Outcome::Pass, "{more}");
            fresh.push(report.timings.connect.is_some());
        }
        assert_eq!(fresh, [true, false, true, false, true], "{more}");
        checks.push(check);
    }
    // Each has a connection that was used once. What a restart does to it is no failure; what it hides is.
    nginx.stop();
    nginx.start_again();
    for check in &checks {
        let report = prober.probe(&LOOPBACK.into(), check).await;
        assert_eq!((report.outcome, report.timings.connect.is_some()), (Outcome::Pass, true), "{check:?}");
    }
    nginx.stop();
    for check in &checks {
        let report = prober.probe(&LOOPBACK.into(), check).await;
        assert!(report.outcome.reason().ends_with("refused the connection"), "{report:?}");
    }
}

#[tokio::test]
async fn grpc_through_nginx() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let behind = listener.local_addr().unwrap().port();
    let nginx = Nginx::start_with(&[("NGINX_GRPC_PORT", &behind.to_string())]);
    let reporter = HealthReporter::new();
    reporter.set_service_status("shop.Orders", ServingStatus::NotServing).await;
    let service = HealthService::from_health_reporter(reporter.clone());
    let routes = Routes::new(tonic_health::pb::health_server::HealthServer::new(service));
    let incoming = futures_util::stream::unfold(listener, |listener| async {
        Some((listener.accept().await.map(|(stream, _)| stream), listener))
    });
    let backend = tokio::spawn(
        tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(Box::pin(incoming)),
    );

    let secure = format!("tls: true, host: {}, ca: {}", Nginx::NAME, nginx.certificate().display());
    let plain = format!("grpc: {{port: {}}}", nginx.http2());
    for written in [plain.clone(), format!("grpc: {{port: {}, {secure}}}", nginx.tls())] {
        let report = probe(&written).await;
        assert_eq!((report.outcome, report.certificate.is_some()), (Outcome::Pass, written.contains("tls")));
    }
    let reason = failure(&format!("grpc: {{port: {}, service: shop.Orders}}", nginx.http2())).await;
    assert_eq!(reason, "says of service \"shop.Orders\": NOT_SERVING, wanted SERVING");

    backend.abort();
    assert!(backend.await.is_err());
    let reason = failure(&plain).await;
    assert_eq!(reason, "answered HTTP 502 Bad Gateway, which is no gRPC");
}
