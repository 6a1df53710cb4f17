//! TLS with settings of the check's own: authorities, client certificates, days left.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::authority::{Authority, NAME, Seen, Versions, config, https, self_signed};
use super::server::{Server, closed_port, serve, until_closed};
use super::{LOOPBACK, check, failure, http_check, probe, probe_trusting};
use crate::clock::TokioClock;
use crate::decision::Outcome;
use crate::probe::{
    Authorities, CheckKind, HttpCheck, Identity, IdentityFault, MinDays, PemFault, Prober, Report, Roots,
    SystemProber, TlsCheck, TlsSettings,
};

const V12: Versions = &[&rustls::version::TLS12];
const V13: Versions = &[&rustls::version::TLS13];

fn trusting(authority: &Authority) -> TlsSettings {
    TlsSettings { authorities: Some(authority.own()), ..TlsSettings::default() }
}

async fn shake(server: &Server, settings: TlsSettings) -> Report {
    let kind = TlsCheck { port: server.port, sni: Some(NAME.into()), settings };
    probe(check(CheckKind::Tls(kind))).await
}

async fn get(server: &Server, tls_settings: TlsSettings) -> Report {
    let http = HttpCheck { tls: true, sni: Some(NAME.into()), tls_settings, ..http_check(server.port) };
    probe(check(CheckKind::Http(http))).await
}

#[tokio::test]
async fn a_check_believes_its_own_authorities_and_no_others() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = ours.server(NAME, 2999, Seen::default()).await;
    let report = shake(&server, trusting(&ours)).await;
    assert_eq!(report.outcome, Outcome::Pass);
    assert!(report.timings.tls.is_some() && report.timings.first_byte.is_none());
    let shown = report.certificate.unwrap();
    assert_eq!((shown.names.as_str(), shown.fingerprint.len()), (NAME, 64));
    assert_eq!(shown.not_after.to_string(), "2999-12-31T00:00:00Z");

    let kind = TlsCheck { port: server.port, sni: Some(NAME.into()), settings: trusting(&theirs) };
    let report = probe_trusting(ours.roots(), check(CheckKind::Tls(kind))).await;
    let reason = "the certificate is signed by none of the authorities in the check's `ca` (or the server does \
                  not send its intermediate certificate); it names \"ours\" as its issuer";
    assert_eq!(failure(&report), reason, "what the prober believes does not count");
    assert!(report.certificate.is_some());
}

/// `openssl req -x509` makes such certificates, and people give them as `ca`.
#[tokio::test]
async fn a_self_signed_certificate_may_be_its_own_authority() {
    let other = Authority::new("other");
    for (name, years, said) in [
        (NAME, (2020, 2999), None),
        (NAME, (2020, 2021), Some("the certificate expired at 2021-12-31")),
        (NAME, (2998, 2999), Some("the certificate is not valid before 2998-01-01")),
        ("old.workshopco.ca", (2020, 2999), Some("the certificate is for old.workshopco.ca, wanted")),
    ] {
        let signed = self_signed(name, years);
        let authorities = Authorities::from_pem(signed.certificate.pem().as_bytes()).unwrap();
        let server = https(config(&signed, None, rustls::ALL_VERSIONS), Seen::default()).await;
        let settings = TlsSettings { authorities: Some(Arc::new(authorities)), ..TlsSettings::default() };
        let report = shake(&server, settings).await;
        match said {
            None => assert_eq!(report.outcome, Outcome::Pass),
            Some(said) => assert!(failure(&report).starts_with(said), "{report:?}"),
        }
        let report = shake(&server, trusting(&other)).await;
        assert!(failure(&report).starts_with("the certificate"), "its name is no help: {report:?}");
    }
}

/// bad day: target: gets no client certificate, or one it does not accept | a failure that says which, in TLS 1.2 and 1.3
#[tokio::test]
async fn a_client_certificate_is_shown_to_whom_asks() {
    let (servers, clients, strangers) =
        (Authority::new("servers"), Authority::new("clients"), Authority::new("strangers"));
    for versions in [V12, V13] {
        let server = servers.server_for(&clients, versions).await;
        let with = |identity| TlsSettings { identity, ..trusting(&servers) };
        assert_eq!(get(&server, with(Some(clients.identity()))).await.outcome, Outcome::Pass);
        assert_eq!(shake(&server, with(Some(clients.identity()))).await.outcome, Outcome::Pass);
        for report in [get(&server, with(None)).await, shake(&server, with(None)).await] {
            assert!(failure(&report).contains("`mtls`"), "{report:?}");
            assert!(report.certificate.is_some(), "{report:?}");
        }
        for report in [
            get(&server, with(Some(strangers.identity()))).await,
            shake(&server, with(Some(strangers.identity()))).await,
        ] {
            assert!(failure(&report).contains("client certificate"), "{report:?}");
        }
    }
    let server = servers.server(NAME, 2999, Seen::default()).await;
    let settings = TlsSettings { identity: Some(clients.identity()), ..trusting(&servers) };
    assert_eq!(get(&server, settings).await.outcome, Outcome::Pass, "nobody asks");
}

/// bad day: target: shows a certificate that is not valid yet | a failure that says from when on, and what the clock here shows
#[tokio::test]
async fn a_certificate_not_valid_yet() {
    let ours = Authority::new("ours");
    let server =
        https(config(&ours.sign(NAME, (2990, 2999)), None, rustls::ALL_VERSIONS), Seen::default()).await;
    let report = shake(&server, trusting(&ours)).await;
    let said = "the certificate is not valid before 2990-01-01T00:00:00Z (this machine's clock shows ";
    assert!(failure(&report).starts_with(said), "{report:?}");
    assert!(report.certificate.is_some());
}

/// bad day: target: its certificate has no more than `min_tls_days` left | a failure where the check says `fail: true`
///
/// Ten days before its end, at noon.
#[tokio::test]
async fn few_days_left_fail_where_that_is_asked_for() {
    let ours = Authority::new("ours");
    let server = ours.server(NAME, 2030, Seen::default()).await;
    let clock = Arc::new(TokioClock::start_at("2030-12-20T12:00:00Z".parse().unwrap()));
    let prober = SystemProber::new(clock, Roots::Only(Vec::new()));
    for (days, fail, passes) in [(11, true, false), (10, true, true), (11, false, true), (0, true, true)] {
        let settings = TlsSettings { min_days: Some(MinDays { days, fail }), ..trusting(&ours) };
        let kind = TlsCheck { port: server.port, sni: Some(NAME.into()), settings };
        let report = prober.probe(&LOOPBACK.into(), &Arc::new(check(CheckKind::Tls(kind)))).await;
        if passes {
            assert_eq!(report.outcome, Outcome::Pass, "{days}");
        } else {
            let said =
                "the certificate ends at 2030-12-31T00:00:00Z, in 10 days; the check wants more than 11";
            assert_eq!(failure(&report), said);
        }
        assert!(report.certificate.is_some());
    }
}

#[tokio::test]
async fn somebody_who_speaks_no_tls_or_nothing_at_all() {
    let settings = || trusting(&Authority::new("ours"));
    let says = |text: &'static [u8]| {
        serve(move |mut stream| async move {
            let _ = stream.write_all(text).await;
            until_closed(&mut stream).await;
        })
    };
    for text in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
        b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n",
        b"220 mx ESMTP\r\n",
    ] {
        let report = shake(&says(text).await, settings()).await;
        let said = "the server does not speak TLS on this port; correct the port, or ask without TLS";
        assert_eq!(failure(&report), said);
        assert!(report.certificate.is_none());
    }
    let closes = serve(|mut stream| async move { super::server::some(&mut stream).await }).await;
    let report = shake(&closes, settings()).await;
    assert!(failure(&report).ends_with("closed the connection"), "{report:?}");

    let silent = says(b"").await;
    let kind = TlsCheck { port: silent.port, sni: None, settings: settings() };
    let mut hangs = check(CheckKind::Tls(kind));
    hangs.timeout = Duration::from_millis(200);
    assert!(failure(&probe(hangs).await).starts_with("TLS handshake not finished within 200ms"));
    let kind = TlsCheck { port: closed_port(), sni: None, settings: settings() };
    assert!(failure(&probe(check(CheckKind::Tls(kind))).await).ends_with("refused the connection"));
}

#[test]
fn files_that_are_of_no_use_say_why_and_tell_no_secret() {
    let ours = Authority::new("ours");
    let (one, other) = (ours.sign(NAME, (2020, 2999)), ours.sign(NAME, (2020, 2999)));
    let (pem, key) = (one.certificate.pem(), one.key.serialize_pem());
    let authorities = |pem: &str| Authorities::from_pem(pem.as_bytes()).map(drop);
    assert_eq!(authorities(&format!("some words\n{pem}{key}")), Ok(()));
    assert_eq!(authorities(""), Err(PemFault::Nothing("certificate")));
    assert_eq!(authorities(&key), Err(PemFault::Nothing("certificate")));
    assert!(matches!(authorities(&pem[..pem.len() - 30]), Err(PemFault::Damaged(_))));
    assert!(matches!(authorities(&pem.replacen("MI", "M!", 1)), Err(PemFault::Damaged(_))));
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(authorities(&format!("{pem}{garbage}")), Err(PemFault::Certificate(2)));

    let identity = |pem: &str, key: &str| Identity::from_pem(pem.as_bytes(), key.as_bytes()).map(drop);
    let bad_key = |fault| Err(IdentityFault::Key(fault));
    assert_eq!(identity(&pem, &key), Ok(()));
    assert_eq!(identity(&pem, &other.key.serialize_pem()), bad_key(PemFault::Mismatch));
    assert_eq!(identity(&pem, &pem), bad_key(PemFault::Nothing("private key")));
    assert_eq!(identity(&key, &key), Err(IdentityFault::Certificate(PemFault::Nothing("certificate"))));
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(identity(&pem, &encrypted), bad_key(PemFault::Encrypted));
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n\
               -----END RSA PRIVATE KEY-----\n";
    assert_eq!(identity(&pem, old), bad_key(PemFault::Encrypted));
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(identity(&pem, garbage), bad_key(PemFault::Key));

    let settings = TlsSettings { identity: Some(ours.identity()), ..trusting(&ours) };
    let shown = format!("{settings:?}");
    assert_eq!(
        shown,
        "TlsSettings { authorities: Some(Authorities(1)), identity: Some(Identity(***)), min_days: None }"
    );
}
