//! TLS: certificates right and wrong.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::authority::{Authority, NAME, Seen};
use super::server::{serve, until_closed};
use super::{LOOPBACK, check, failure, http_check, probe_trusting, unknown};
use crate::clock::SystemClock;
use crate::decision::Outcome;
use crate::probe::{CheckKind, HttpCheck, Prober, Report, Roots, SystemProber};

fn with_tls(port: u16, host: Option<&str>) -> HttpCheck {
    HttpCheck { tls: true, host: host.map(str::to_owned), ..http_check(port) }
}

async fn get(roots: Roots, http: HttpCheck) -> Report {
    probe_trusting(roots, check(CheckKind::Http(http))).await
}

#[tokio::test]
async fn a_right_certificate_passes_and_every_handshake_is_a_full_one() {
    let (authority, seen) = (Authority::new("ours"), Seen::default());
    let server = authority.server(NAME, 2999, Arc::clone(&seen)).await;
    let prober = SystemProber::new(Arc::new(SystemClock::start()), authority.roots());
    let check = Arc::new(check(CheckKind::Http(with_tls(server.port, Some("www.workshopco.ca:443")))));
    for _ in 0..2 {
        let report = prober.probe(LOOPBACK, &check).await;
        assert_eq!(report.outcome, Outcome::Pass);
        assert!(report.timings.tls.is_some());
    }
    let full = (Some(NAME.to_owned()), "Full".to_owned());
    assert_eq!(*seen.lock().unwrap(), [full.clone(), full]);
}

#[tokio::test]
async fn without_a_name_the_certificate_must_be_for_the_address() {
    let (authority, seen) = (Authority::new("ours"), Seen::default());
    let server = authority.server("127.0.0.1", 2999, Arc::clone(&seen)).await;
    assert_eq!(get(authority.roots(), with_tls(server.port, None)).await.outcome, Outcome::Pass);
    assert_eq!(seen.lock().unwrap()[0].0, None, "an address is no SNI");
}

/// bad day: target: shows an expired certificate | a failure that says since when
#[tokio::test]
async fn an_expired_certificate() {
    let authority = Authority::new("ours");
    let server = authority.server(NAME, 2020, Seen::default()).await;
    let report = get(authority.roots(), with_tls(server.port, Some(NAME))).await;
    let reason = failure(&report);
    assert!(reason.starts_with("the certificate expired at 2020-12-31T00:00:00Z (this"), "{reason}");
    assert!(report.timings.connect.is_some() && report.timings.tls.is_none());
    let shown = report.certificate.expect("what was shown is told, believed or not");
    assert_eq!(
        (shown.names.as_str(), shown.not_after.to_string()),
        (NAME, "2020-12-31T00:00:00Z".to_owned())
    );
}

/// bad day: target: shows a certificate for another name | a failure that says for which names it is
#[tokio::test]
async fn a_certificate_for_another_name_says_for_which() {
    let authority = Authority::new("ours");
    let server = authority.server("old.workshopco.ca", 2999, Seen::default()).await;
    let report = get(authority.roots(), with_tls(server.port, Some(NAME))).await;
    assert_eq!(failure(&report), "the certificate is for old.workshopco.ca, wanted www.workshopco.ca");
    let sni = HttpCheck { sni: Some("old.workshopco.ca".into()), ..with_tls(server.port, Some(NAME)) };
    assert_eq!(get(authority.roots(), sni).await.outcome, Outcome::Pass, "sni goes before host");
}

/// bad day: target: shows a certificate of an authority nobody knows | a failure that names the authority
#[tokio::test]
async fn an_authority_nobody_knows_or_that_only_has_the_name_of_ours() {
    let server = Authority::new("theirs").server(NAME, 2999, Seen::default()).await;
    let report = get(Authority::new("ours").roots(), with_tls(server.port, Some(NAME))).await;
    assert!(
        failure(&report).starts_with("the certificate is signed by nobody this machine trusts")
            && failure(&report).ends_with("; it names \"theirs\" as its issuer"),
        "{report:?}"
    );
    let report = get(Authority::new("theirs").roots(), with_tls(server.port, Some(NAME))).await;
    assert!(failure(&report).contains("not signed by the authority it names"), "{report:?}");
}

/// bad day: target: speaks something else than TLS | a failure that says so
#[tokio::test]
async fn a_server_that_does_not_speak_tls() {
    let server = serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        until_closed(&mut stream).await;
    })
    .await;
    let report = get(Authority::new("ours").roots(), with_tls(server.port, Some(NAME))).await;
    assert!(failure(&report).starts_with("the server does not speak TLS on this port"), "{report:?}");
}

/// bad day: target: hangs in the TLS handshake | a failure at the time-out
#[tokio::test]
async fn a_handshake_that_hangs() {
    let server = serve(|mut stream| async move { until_closed(&mut stream).await }).await;
    let mut check = check(CheckKind::Http(with_tls(server.port, Some(NAME))));
    check.timeout = Duration::from_millis(200);
    let report = probe_trusting(Authority::new("ours").roots(), check).await;
    assert!(
        failure(&report).starts_with("TLS handshake not finished within 200ms (TCP connected"),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_name_that_is_none_is_our_trouble() {
    let report = get(Authority::new("ours").roots(), with_tls(1, Some("not a name"))).await;
    assert!(unknown(&report).contains("\"not a name\""), "{report:?}");
}
