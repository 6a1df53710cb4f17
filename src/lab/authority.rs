//! A certificate authority that lives as long as the rehearsal, so that TLS is played with real certificates.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The authority.
pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, with a key that nobody else has.
    pub(super) fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(DnType::CommonName, "failover rehearsal");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Authority { certificate, issuer: Issuer::new(params, key) })
    }

    /// What must be trusted to believe its certificates.
    pub(super) fn root(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// The server side of TLS with a certificate for `name`, a DNS name or an address.
    pub(super) fn acceptor(&self, name: &str) -> Result<TlsAcceptor, String> {
        let words = |error: rcgen::Error| format!("no certificate can be made for {name:?}: {error}");
        let key = KeyPair::generate().map_err(words)?;
        let params = CertificateParams::new(vec![name.to_owned()]).map_err(words)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(words)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(str::to_owned)?;
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)
            });
        Ok(TlsAcceptor::from(Arc::new(config.map_err(|error| error.to_string())?)))
    }
}
