//! Verifies as others do, and remembers what the server showed and asked for.
//!
//! rustls keeps the certificate of a finished handshake only, and the date of an expired one is just what an
//! operator wants to know. A handshake is polled within one task, so what it saw is kept beside that task.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::probe::Identity;

/// What a handshake saw.
#[derive(Default)]
pub(super) struct Seen {
    /// The server's certificate, believed or not.
    pub(super) certificate: Option<CertificateDer<'static>>,
    /// Whether the server asked for a client certificate.
    pub(super) asked: bool,
}

tokio::task_local! {
    static SEEN: RefCell<Seen>;
}

/// Runs a handshake and tells what it saw.
pub(super) async fn watch<F: Future>(handshake: F) -> (F::Output, Seen) {
    SEEN.scope(RefCell::default(), async { (handshake.await, SEEN.with(RefCell::take)) }).await
}

fn note(change: impl FnOnce(&mut Seen)) {
    // Outside of a handshake nobody wants to know.
    let _ = SEEN.try_with(|seen| change(&mut seen.borrow_mut()));
}

/// A verifier that is watched.
pub(super) struct Watched(pub(super) Arc<dyn ServerCertVerifier>);

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        note(|seen| seen.certificate = Some(end_entity.clone().into_owned()));
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}

/// Shows a client certificate, if there is one, to a server that asks for one.
#[derive(Debug)]
pub(super) struct Asked(pub(super) Option<Arc<Identity>>);

impl ResolvesClientCert for Asked {
    /// The one there is, whichever authorities the server hints at: it then says itself what it thinks of it.
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        note(|seen| seen.asked = true);
        self.0.as_ref().map(|identity| Arc::clone(&identity.key))
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
