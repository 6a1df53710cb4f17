//! Checks that speak TLS against servers that are none of ours: OpenSSL's and a mail server. From the keys of the
//! configuration to the words of the outcome.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use failover::clock::SystemClock;
use failover::config::Config;
use failover::decision::Outcome;
use failover::probe::{Prober, Report, Roots, SystemProber};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use testkit::Service;

const NAME: &str = "www.workshopco.ca";

/// Certificates and keys in files.
struct Files(TempDir);

impl Files {
    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).expect("the folder is ours");
    }

    /// Somebody who signs, signed by another or by itself.
    fn authority(&self, name: &str, by: Option<&Issuer<'static, KeyPair>>) -> Issuer<'static, KeyPair> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate =
            by.map_or_else(|| params.self_signed(&key), |by| params.signed_by(&key, by)).expect("signed");
        self.write(&format!("{name}.pem"), &certificate.pem());
        Issuer::new(params, key)
    }

    /// `file.pem` and `file.key` for this name.
    fn leaf(&self, file: &str, name: &str, by: &Issuer<'static, KeyPair>) {
        self.leaf_until(4096, file, name, by);
    }

    /// The same, valid to the end of this year.
    fn leaf_until(&self, year: i32, file: &str, name: &str, by: &Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = date_time_ymd(year, 12, 31);
        let certificate = params.signed_by(&key, by).expect("signed");
        self.write(&format!("{file}.pem"), &certificate.pem());
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }

    /// OpenSSL's server, which answers every request with a page.
    fn openssl(&self, more: &[&str]) -> Service {
        let (certificate, key) = (self.path("server.pem"), self.path("server.key"));
        let mut words = vec!["openssl", "s_server", "-accept", "127.0.0.1:{port}", "-www", "-quiet"];
        words.extend([
            "-cert",
            certificate.to_str().expect("a path in UTF-8"),
            "-key",
            key.to_str().expect("a path in UTF-8"),
        ]);
        words.extend(more);
        Service::start(&words, "openssl")
    }

    /// One probe of loopback by this check; `$DIR` is the folder of the files.
    async fn probe(&self, check: &str) -> Report {
        let text = format!(
            "checks: {{x: {}}}\ntargets: {{a: {{address: 192.0.2.1, checks: x}}}}\nproviders: {{zone: {{type: mock}}}}\n\
             records: [{{name: www.example.com, provider: zone, targets: [a]}}]\n",
            check.replace("$DIR", self.0.path().to_str().expect("a path in UTF-8"))
        );
        let config =
            Config::parse("failover.yaml", &text, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        testkit::assert_valid(Config::schema, &text);
        let (check, _) = &config.checks[&"x".into()];
        let prober = SystemProber::new(Arc::new(SystemClock::start()), Roots::Only(Vec::new()));
        prober.probe(&IpAddr::V4(Ipv4Addr::LOCALHOST).into(), check).await
    }
}

fn files() -> Files {
    Files(tempfile::tempdir().expect("a temporary folder"))
}

fn passes(report: &Report) {
    assert_eq!(report.outcome, Outcome::Pass, "{report:?}");
    assert!(report.certificate.as_ref().is_some_and(|shown| shown.names == NAME), "{report:?}");
}

fn fails(report: &Report, words: &str) {
    let Outcome::Fail(reason) = &report.outcome else { panic!("wanted a failure, got {report:?}") };
    assert!(reason.contains(words), "wanted {words:?}, got {reason:?}");
    assert!(report.certificate.is_some(), "{report:?}");
}

/// bad day: target: does not send its intermediate certificate | a failure that says that this may be so
#[tokio::test]
async fn openssl_with_and_without_its_intermediate_certificate() {
    let files = files();
    let root = files.authority("root", None);
    let middle = files.authority("middle", Some(&root));
    files.leaf("server", NAME, &middle);
    let middle = files.path("middle.pem");

    let whole = files.openssl(&["-cert_chain", middle.to_str().unwrap()]);
    let check = |port, more: &str| format!("{{tls: {{port: {port}, sni: {NAME}, ca: $DIR/root.pem{more}}}}}");
    passes(&files.probe(&check(whole.port(), "")).await);
    passes(&files.probe(&check(whole.port(), ", min_tls_days: {days: 30, fail: true}")).await);
    let other_name = check(whole.port(), "").replace(NAME, "mail.workshopco.ca");
    fails(
        &files.probe(&other_name).await,
        "the certificate is for www.workshopco.ca, wanted mail.workshopco.ca",
    );

    let cut = files.openssl(&[]);
    fails(
        &files.probe(&check(cut.port(), "")).await,
        "the server does not send its intermediate certificate",
    );
    let check = check(cut.port(), "").replace("root.pem", "middle.pem");
    passes(&files.probe(&check).await);
}

#[tokio::test]
async fn openssl_that_wants_a_client_certificate() {
    let files = files();
    let (servers, clients) = (files.authority("servers", None), files.authority("clients", None));
    let strangers = files.authority("strangers", None);
    files.leaf("server", NAME, &servers);
    files.leaf("client", "probe.workshopco.ca", &clients);
    files.leaf("stranger", "probe.workshopco.ca", &strangers);
    let clients = files.path("clients.pem");
    for version in ["-tls1_2", "-tls1_3"] {
        let wants = ["-Verify", "1", "-verify_return_error", "-CAfile", clients.to_str().unwrap(), version];
        let server = files.openssl(&wants);
        let shows = |who: &str| format!(", mtls: {{certificate: $DIR/{who}.pem, key: $DIR/{who}.key}}");
        let http = |more: &str| {
            let port = server.port();
            format!("{{http: {{port: {port}, tls: true, sni: {NAME}, ca: $DIR/servers.pem{more}}}}}")
        };
        let tls = |more: &str| http(more).replace("http: {", "tls: {").replace("tls: true, ", "");
        passes(&files.probe(&http(&shows("client"))).await);
        passes(&files.probe(&tls(&shows("client"))).await);
        for check in [http(""), tls("")] {
            fails(&files.probe(&check).await, "`mtls`");
        }
        for check in [http(&shows("stranger")), tls(&shows("stranger"))] {
            fails(&files.probe(&check).await, "client certificate");
        }
    }
}

/// aiosmtpd, as Debian has it.
fn mail_server(certificate: &Path, key: &Path) -> Service {
    let words = [
        "/usr/bin/python3",
        "-m",
        "aiosmtpd",
        "-n",
        "-c",
        "aiosmtpd.handlers.Sink",
        "-l",
        "127.0.0.1:{port}",
    ];
    let tls = [
        "--tlscert",
        certificate.to_str().expect("a path in UTF-8"),
        "--tlskey",
        key.to_str().expect("a path in UTF-8"),
    ];
    Service::start(&[words.as_slice(), tls.as_slice()].concat(), "python3-aiosmtpd")
}

#[tokio::test]
async fn a_mail_server_changes_to_tls() {
    let files = files();
    let ours = files.authority("ours", None);
    files.leaf("server", NAME, &ours);
    files.authority("theirs", None);
    let server = mail_server(&files.path("server.pem"), &files.path("server.key"));
    let check = |more: &str| {
        let port = server.port();
        format!("{{tcp: {{port: {port}, starttls: smtp, sni: {NAME}, ca: $DIR/ours.pem{more}}}}}")
    };
    passes(&files.probe(&check("")).await);
    passes(
        &files.probe(&check(", send: \"EHLO [127.0.0.1]\\r\\n\", expect: {regex: \"(?m)^250 HELP\"}")).await,
    );
    fails(&files.probe(&check("").replace("ours.pem", "theirs.pem")).await, "none of the authorities");
}

/// bad day: target: a certificate that is expired, of another, or of a stranger | a failure that says so, in every check
#[tokio::test]
async fn no_kind_of_check_believes_a_wrong_certificate() {
    let files = files();
    let (ours, theirs) = (files.authority("ours", None), files.authority("theirs", None));
    for (kind, words) in [
        ("expired", "expired"),
        ("misnamed", "the certificate is for mail.workshopco.ca, wanted www.workshopco.ca"),
        ("stranger", "none of the authorities"),
    ] {
        match kind {
            "expired" => files.leaf_until(2020, "server", NAME, &ours),
            "misnamed" => files.leaf("server", "mail.workshopco.ca", &ours),
            _ => files.leaf("server", NAME, &theirs),
        }
        let page = files.openssl(&[]);
        let mail = mail_server(&files.path("server.pem"), &files.path("server.key"));
        let trust = format!("sni: {NAME}, ca: $DIR/ours.pem");
        for check in [
            format!("{{http: {{port: {}, tls: true, {trust}}}}}", page.port()),
            format!("{{http: {{port: {}, tls: true, http2: true, {trust}}}}}", page.port()),
            format!("{{tls: {{port: {}, {trust}}}}}", page.port()),
            format!("{{grpc: {{port: {}, tls: true, {trust}}}}}", page.port()),
            format!("{{tcp: {{port: {}, starttls: smtp, {trust}}}}}", mail.port()),
        ] {
            println!("{kind}: {check}");
            fails(&files.probe(&check).await, words);
        }
    }
}

#[tokio::test]
async fn a_mail_server_that_does_not_offer_it() {
    let words = [
        "/usr/bin/python3",
        "-m",
        "aiosmtpd",
        "-n",
        "-c",
        "aiosmtpd.handlers.Sink",
        "-l",
        "127.0.0.1:{port}",
    ];
    let server = Service::start(&words, "python3-aiosmtpd");
    let check = format!("{{tcp: {{port: {}, starttls: smtp, sni: {NAME}}}}}", server.port());
    let report = files().probe(&check).await;
    let reason = "the server does not offer STARTTLS in its answer to EHLO";
    assert_eq!(report.outcome, Outcome::Fail(reason.into()));
}
