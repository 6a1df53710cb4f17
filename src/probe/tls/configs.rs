//! One client configuration for each way to speak TLS, shared by all probes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::pinned::Pinned;
use super::witness::{Asked, Watched};
use super::{Alpn, Roots};
use crate::clock::Clock;
use crate::probe::TlsSettings;
use crate::probe::spec::Fingerprint;

/// More are not kept: then all are forgotten. Files that are replaced while we run leave some behind.
const MOST: usize = 1024;

/// What tells two configurations apart.
type Key = (Alpn, Option<Fingerprint>, Option<Fingerprint>);

/// The configurations that were asked for so far.
pub(super) struct Configs {
    clock: Arc<dyn Clock>,
    ring: Arc<CryptoProvider>,
    roots: Roots,
    /// For checks without authorities of their own; or why there is none. Probes without TLS go on then. The machine's
    /// authorities are read with the first of these checks: without any, they would only take memory.
    usual: OnceLock<Result<Arc<dyn ServerCertVerifier>, String>>,
    made: Mutex<BTreeMap<Key, Arc<ClientConfig>>>,
}

impl Configs {
    pub(super) fn new(clock: Arc<dyn Clock>, roots: Roots) -> Self {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        Configs { clock, ring, roots, usual: OnceLock::new(), made: Mutex::default() }
    }

    fn usual(&self) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let read = || match &self.roots {
            Roots::System => Verifier::new(Arc::clone(&self.ring))
                .map(|verifier| Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
                .map_err(|error| error.to_string()),
            Roots::Only(certificates) => only(certificates, &self.ring),
        };
        self.usual.get_or_init(read).clone()
    }

    /// The configuration for these settings.
    pub(super) fn get(&self, settings: &TlsSettings, alpn: Alpn) -> Result<Arc<ClientConfig>, String> {
        let authorities = settings.authorities.as_ref().map(|authorities| authorities.fingerprint);
        let identity = settings.identity.as_ref().map(|identity| identity.fingerprint);
        // Nothing that could panic leaves the map half changed.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (alpn, authorities, identity);
        if let Some(config) = made.get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make(settings, alpn)?);
        if made.len() >= MOST {
            made.clear();
        }
        made.insert(key, Arc::clone(&config));
        Ok(config)
    }

    /// No session is resumed: in a resumed one the server does not show its certificate, and one that was replaced
    /// or has expired would go unnoticed.
    fn make(&self, settings: &TlsSettings, alpn: Alpn) -> Result<ClientConfig, String> {
        let verifier = match &settings.authorities {
            Some(authorities) => Arc::new(Pinned {
                usual: only(&authorities.certificates, &self.ring)?,
                authorities: Arc::clone(authorities),
            }),
            None => self.usual()?,
        };
        let clock = Arc::new(WallTime(Arc::clone(&self.clock)));
        let mut config = ClientConfig::builder_with_details(Arc::clone(&self.ring), clock)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Watched(verifier)))
            .with_client_cert_resolver(Arc::new(Asked(settings.identity.clone())));
        config.resumption = Resumption::disabled();
        config.alpn_protocols = match alpn {
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            Alpn::Http2 => vec![b"h2".to_vec()],
            Alpn::None => Vec::new(),
        };
        Ok(config)
    }
}

/// Believes these authorities and no others.
fn only(
    certificates: &[CertificateDer<'static>],
    ring: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate.clone()).map_err(|error| error.to_string())?;
    }
    match WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(ring)).build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(error.to_string()),
    }
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
