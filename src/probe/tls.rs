//! TLS with verified certificates, and what is said when one is wrong.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::progress::{Phase, Progress};
use super::trouble::classify;
use super::{HttpCheck, Step};
use crate::clock::Clock;
use crate::decision::Outcome;

/// Whose signature on a certificate is believed.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The authorities that this machine trusts, as they are at the start.
    System,
    /// These and no others. For rehearsals and tests.
    Only(Vec<CertificateDer<'static>>),
}

/// The client side of TLS: made once, shared by all probes.
pub(super) struct Tls {
    /// Or why TLS cannot be used on this machine. Probes without TLS go on then.
    config: Result<Arc<ClientConfig>, String>,
}

impl Tls {
    pub(super) fn new(clock: Arc<dyn Clock>, roots: Roots) -> Self {
        Tls { config: config(clock, roots).map_err(|error| error.to_string()) }
    }

    /// The handshake. `name` is what the certificate must be for, and what SNI says where it is a DNS name.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        name: ServerName<'static>,
        progress: &mut Progress<'_>,
    ) -> Step<TlsStream<TcpStream>> {
        let config = self.config.as_ref().map_err(|error| {
            Outcome::Unknown(format!("TLS is not possible here: {error}; install ca-certificates"))
        })?;
        progress.phase = Phase::Tls;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name, stream).await.map_err(|error| trouble(&error, peer))?;
        progress.handshaken();
        Ok(stream)
    }
}

/// No session is resumed: in a resumed one the server does not show its certificate, and one that was replaced
/// or has expired would go unnoticed. HTTP/1.1 is asked for by ALPN (RFC 7301), as we speak nothing else.
fn config(clock: Arc<dyn Clock>, roots: Roots) -> Result<Arc<ClientConfig>, rustls::Error> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_details(Arc::clone(&ring), Arc::new(WallTime(clock)))
        .with_safe_default_protocol_versions()?;
    let mut config = match roots {
        Roots::System => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(ring)?))
            .with_no_client_auth(),
        Roots::Only(certificates) => {
            let mut store = RootCertStore::empty();
            for certificate in certificates {
                store.add(certificate)?;
            }
            builder.with_root_certificates(store).with_no_client_auth()
        }
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The agent's clock, for the validity of certificates.
struct WallTime(Arc<dyn Clock>);

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallTime")
    }
}

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.0.now().wall.as_second().try_into().ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// The name for SNI and for the certificate: `sni`, else `host` without its port, else the address.
pub(super) fn server_name(check: &HttpCheck, peer: SocketAddr) -> Step<ServerName<'static>> {
    let Some(name) = check.sni.as_deref().or_else(|| check.host.as_deref().map(without_port)) else {
        return Ok(ServerName::from(peer.ip()));
    };
    ServerName::try_from(name.to_owned()).map_err(|_| {
        Outcome::Unknown(format!("configuration of the check: {name:?} is neither a DNS name nor an address"))
    })
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.split_once(':') {
        // Two colons: an IPv6 address without brackets, and so without a port.
        Some((name, port)) if !port.contains(':') => name,
        _ => host,
    }
}

/// What an error of the handshake, or of a read or write after it, says.
pub(super) fn trouble(error: &io::Error, peer: SocketAddr) -> Outcome {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(error) => of_tls(error),
        None => classify(error, "TLS", peer),
    }
}

fn of_tls(error: &rustls::Error) -> Outcome {
    use rustls::Error;
    Outcome::Fail(match error {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::AlertReceived(alert) => format!("the server ended the TLS handshake: {alert:?}"),
        Error::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes | Error::EncryptError => {
            return Outcome::Unknown(format!("TLS: {error}"));
        }
        other => format!("TLS handshake failed: {other}"),
    })
}

fn certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!(
                "the certificate expired at {} (this machine's clock shows {})",
                at(*not_after),
                at(*time)
            )
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the certificate is not valid before {} (this machine's clock shows {})",
            at(*not_before),
            at(*time)
        ),
        CertificateError::NotValidForName => "the certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("the certificate is for {}, wanted {}", names(presented), expected.to_str())
        }
        CertificateError::UnknownIssuer => {
            "the certificate is signed by nobody this machine trusts (self-signed, \
             a private authority, or the server does not send its intermediate certificate)"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "the certificate is not signed by the authority it names (which was \
             perhaps renewed under the same name)"
                .to_owned()
        }
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        other => format!("the certificate is not accepted: {other}"),
    }
}

/// At most five names, as the certificate gives them: rustls wraps them as `DnsName("x")` and `IpAddress(1.2.3.4)`.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 5;
    let bare = |name: &String| match name.split_once('(') {
        Some((_, rest)) => rest.trim_end_matches(')').trim_matches('"').to_owned(),
        None => name.clone(),
    };
    match presented {
        [] => "no name at all".to_owned(),
        some => {
            let shown = some.iter().take(SHOWN).map(bare).collect::<Vec<_>>().join(", ");
            match some.len().saturating_sub(SHOWN) {
                0 => shown,
                more => format!("{shown} and {more} more"),
            }
        }
    }
}

fn at(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| "a time beyond all calendars".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_cut_from_its_port() {
        let cases = [
            ("www.workshopco.ca", "www.workshopco.ca"),
            ("www.workshopco.ca:8443", "www.workshopco.ca"),
            ("203.0.113.10:443", "203.0.113.10"),
            ("[2001:db8::5]:443", "2001:db8::5"),
            ("[2001:db8::5]", "2001:db8::5"),
            ("2001:db8::5", "2001:db8::5"),
        ];
        for (host, name) in cases {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn names_of_a_certificate_are_told_and_bounded() {
        assert_eq!(
            names(&["DnsName(\"a.example\")".into(), "IpAddress(1.2.3.4)".into()]),
            "a.example, 1.2.3.4"
        );
        assert_eq!(names(&[]), "no name at all");
        let many: Vec<String> = (0..100).map(|n| format!("DnsName(\"h{n}\")")).collect();
        assert_eq!(names(&many), "h0, h1, h2, h3, h4 and 95 more");
    }
}
