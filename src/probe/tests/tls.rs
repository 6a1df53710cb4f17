//! TLS: certificates right and wrong.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::server::{Server, request, serve, until_closed};
use super::{LOOPBACK, check, failure, http_check, probe_trusting, unknown};
use crate::clock::SystemClock;
use crate::decision::Outcome;
use crate::probe::{CheckKind, HttpCheck, Prober, Report, Roots, SystemProber};

const NAME: &str = "www.workshopco.ca";

/// An authority of our own.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    fn roots(&self) -> Roots {
        Roots::Only(vec![self.certificate.clone()])
    }

    /// A server for `name`, whose certificate ends with the given year.
    async fn server(&self, name: &str, last_year: i32, seen: Seen) -> Server {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(last_year, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        serve(move |stream| {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let (_, session) = stream.get_ref();
                let kind = format!("{:?}", session.handshake_kind().unwrap());
                seen.lock().unwrap().push((session.server_name().map(str::to_owned), kind));
                request(&mut stream).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
                let _ = stream.flush().await;
            }
        })
        .await
    }
}

/// The SNI and the kind of each finished handshake.
type Seen = Arc<Mutex<Vec<(Option<String>, String)>>>;

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
        let report = prober.probe(&LOOPBACK.into(), &check).await;
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

#[tokio::test]
async fn an_expired_certificate() {
    let authority = Authority::new("ours");
    let server = authority.server(NAME, 2020, Seen::default()).await;
    let report = get(authority.roots(), with_tls(server.port, Some(NAME))).await;
    let reason = failure(&report);
    assert!(reason.starts_with("the certificate expired at 2020-12-31T00:00:00Z (this"), "{reason}");
    assert!(report.timings.connect.is_some() && report.timings.tls.is_none());
}

#[tokio::test]
async fn a_certificate_for_another_name_says_for_which() {
    let authority = Authority::new("ours");
    let server = authority.server("old.workshopco.ca", 2999, Seen::default()).await;
    let report = get(authority.roots(), with_tls(server.port, Some(NAME))).await;
    assert_eq!(failure(&report), "the certificate is for old.workshopco.ca, wanted www.workshopco.ca");
    let sni = HttpCheck { sni: Some("old.workshopco.ca".into()), ..with_tls(server.port, Some(NAME)) };
    assert_eq!(get(authority.roots(), sni).await.outcome, Outcome::Pass, "sni goes before host");
}

#[tokio::test]
async fn an_authority_nobody_knows_or_that_only_has_the_name_of_ours() {
    let server = Authority::new("theirs").server(NAME, 2999, Seen::default()).await;
    let report = get(Authority::new("ours").roots(), with_tls(server.port, Some(NAME))).await;
    assert!(
        failure(&report).starts_with("the certificate is signed by nobody this machine trusts"),
        "{report:?}"
    );
    let report = get(Authority::new("theirs").roots(), with_tls(server.port, Some(NAME))).await;
    assert!(failure(&report).contains("not signed by the authority it names"), "{report:?}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls() {
    let server = serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        until_closed(&mut stream).await;
    })
    .await;
    let report = get(Authority::new("ours").roots(), with_tls(server.port, Some(NAME))).await;
    assert_eq!(failure(&report), "the server does not speak TLS on this port");
}

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
