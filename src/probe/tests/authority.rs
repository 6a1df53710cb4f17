//! Authorities of our own, and TLS servers with certificates of theirs.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::server::{Server, request, serve};
use crate::probe::{Authorities, Identity, Roots};

pub(super) const NAME: &str = "www.workshopco.ca";

/// The SNI and the kind of each finished handshake.
pub(super) type Seen = Arc<Mutex<Vec<(Option<String>, String)>>>;

/// Somebody who signs.
pub(super) struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What somebody shows, and the key to it.
pub(super) struct Signed {
    pub(super) certificate: Certificate,
    pub(super) key: KeyPair,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Authority { certificate: der, pem, issuer: Issuer::new(params, key) }
    }

    /// Believed by the prober.
    pub(super) fn roots(&self) -> Roots {
        Roots::Only(vec![self.certificate.clone()])
    }

    /// Believed by one check.
    pub(super) fn own(&self) -> Arc<Authorities> {
        Arc::new(Authorities::from_pem(self.pem.as_bytes()).unwrap())
    }

    /// A certificate from the first day of one year to the last of another.
    pub(super) fn sign(&self, name: &str, years: (i32, i32)) -> Signed {
        let (params, key) = (params(name, years), KeyPair::generate().unwrap());
        Signed { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// What a client shows.
    pub(super) fn identity(&self) -> Arc<Identity> {
        let client = self.sign("prober.workshopco.ca", (2020, 2999));
        let identity =
            Identity::from_pem(client.certificate.pem().as_bytes(), client.key.serialize_pem().as_bytes());
        Arc::new(identity.unwrap())
    }

    /// A server for `name`, whose certificate ends with the given year.
    pub(super) async fn server(&self, name: &str, last_year: i32, seen: Seen) -> Server {
        https(config(&self.sign(name, (1975, last_year)), None, rustls::ALL_VERSIONS), seen).await
    }

    /// A server for [`NAME`] that wants a client certificate signed by `clients`.
    pub(super) async fn server_for(&self, clients: &Authority, versions: Versions) -> Server {
        https(config(&self.sign(NAME, (1975, 2999)), Some(clients), versions), Seen::default()).await
    }
}

fn params(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 12, 31);
    params
}

/// A certificate that is its own authority, as `openssl req -x509` makes it.
pub(super) fn self_signed(name: &str, years: (i32, i32)) -> Signed {
    let key = KeyPair::generate().unwrap();
    let mut params = params(name, years);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Signed { certificate: params.self_signed(&key).unwrap(), key }
}

pub(super) type Versions = &'static [&'static SupportedProtocolVersion];

pub(super) fn config(signed: &Signed, clients: Option<&Authority>, versions: Versions) -> ServerConfig {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&ring)).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut store = RootCertStore::empty();
            store.add(authority.certificate.clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(store), ring).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::try_from(signed.key.serialize_der()).unwrap();
    builder.with_single_cert(vec![signed.certificate.der().clone()], key).unwrap()
}

/// Answers every request with `ok`.
pub(super) async fn https(config: ServerConfig, seen: Seen) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let (_, session) = stream.get_ref();
            let kind = format!("{:?}", session.handshake_kind().unwrap());
            seen.lock().unwrap().push((session.server_name().map(str::to_owned), kind));
            if request(&mut stream).await.is_empty() {
                let _ = stream.shutdown().await;
                return;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.flush().await;
        }
    })
    .await
}
