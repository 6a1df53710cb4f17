//! TLS with verified certificates.
//!
//! | file | what it does |
//! |---|---|
//! | `configs.rs` | one client configuration for each way to speak TLS, shared by all probes |
//! | `pinned.rs` | believes a certificate that is its own authority |
//! | `witness.rs` | verifies as others do, and remembers what was shown and asked for |
//! | `name.rs` | the name that the certificate must be for |
//! | `certificate.rs` | what is told of a certificate |
//! | `said.rs` | what is said when something is wrong |

pub(super) mod certificate;
mod configs;
mod name;
mod pinned;
mod said;
mod witness;

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::progress::{Phase, Progress};
use super::{MinDays, Step, TlsSettings};
use crate::clock::Clock;
use crate::decision::{Certificate, Outcome};

use configs::Configs;
pub(super) use name::{name_or_address, server_name};
pub(super) use said::{trouble, trouble_while_waiting};

/// Whose signature on a certificate is believed.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The authorities that this machine trusts, as they are at the start.
    System,
    /// These and no others. For rehearsals and tests.
    Only(Vec<CertificateDer<'static>>),
}

/// What the handshake offers to speak afterwards (ALPN, RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alpn {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 and nothing else. Whether the server agreed is in the stream's `alpn_protocol`.
    Http2,
    /// No offer is made.
    None,
}

/// One handshake to be.
pub(super) struct Hello<'a> {
    /// The other end.
    pub(super) peer: SocketAddr,
    /// What the certificate must be for, and what SNI says where it is a DNS name.
    pub(super) name: ServerName<'static>,
    /// What is spoken afterwards.
    pub(super) alpn: Alpn,
    /// Whom to believe and what to show.
    pub(super) settings: &'a TlsSettings,
}

/// The client side of TLS: made once, shared by all probes.
pub(super) struct Tls {
    configs: Configs,
    clock: Arc<dyn Clock>,
}

impl Tls {
    pub(super) fn new(clock: Arc<dyn Clock>, roots: Roots) -> Self {
        Tls { configs: Configs::new(Arc::clone(&clock), roots), clock }
    }

    /// The handshake. The certificate that was shown goes to `progress`, whatever is then said of it; one with too
    /// few days left is a failure where the settings say so.
    pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        hello: Hello<'_>,
        progress: &mut Progress<'_>,
    ) -> Step<TlsStream<S>> {
        let Hello { peer, name, alpn, settings } = hello;
        let config = self.configs.get(settings, alpn).map_err(|error| {
            Outcome::Unknown(format!("TLS is not possible here: {error}; install ca-certificates"))
        })?;
        progress.phase = Phase::Tls;
        let (stream, seen) = witness::watch(TlsConnector::from(config).connect(name, stream)).await;
        let certificate = seen.certificate.as_ref().and_then(certificate::facts).map(Arc::new);
        progress.certificate.clone_from(&certificate);
        progress.asked = seen.asked;
        let stream = stream.map_err(|error| said::in_handshake(&error, peer, settings, &seen))?;
        progress.handshaken();
        if let (Some(MinDays { days, fail: true }), Some(certificate)) = (settings.min_days, certificate) {
            certificate::lasts(&certificate, days, self.clock.now().wall)?;
        }
        Ok(stream)
    }
}

/// Whether a certificate that was shown earlier would still be accepted now, as far as its end is concerned.
pub(super) fn would_last(certificate: &Certificate, settings: &TlsSettings, now: Timestamp) -> bool {
    let days = settings.min_days.filter(|least| least.fail).map_or(0, |least| least.days);
    certificate::lasts(certificate, days, now).is_ok()
}
