//! What a check asks of TLS: whom to believe, what to show, how long the certificate must last.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

/// How one check speaks TLS. The default believes the authorities that the prober believes, and shows nothing.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// These authorities and no others.
    pub authorities: Option<Arc<Authorities>>,
    /// What is shown to a server that asks for a client certificate.
    pub identity: Option<Arc<Identity>>,
    /// How long the server's certificate must last.
    pub min_days: Option<MinDays>,
}

/// How long a certificate must last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinDays {
    /// So many days left, or fewer, are too few.
    pub days: u32,
    /// Too few days are a failure; a warning only when false, which the probe leaves to others.
    pub fail: bool,
}

/// What tells two files' contents apart: SHA-256 over the certificates in them.
pub(in crate::probe) type Fingerprint = [u8; 32];

/// Authorities whose signature on a server's certificate is believed.
#[derive(Clone)]
pub struct Authorities {
    pub(in crate::probe) certificates: Vec<CertificateDer<'static>>,
    pub(in crate::probe) fingerprint: Fingerprint,
}

/// A client certificate, what links it to an authority, and its private key.
#[derive(Clone)]
pub struct Identity {
    pub(in crate::probe) key: Arc<CertifiedKey>,
    pub(in crate::probe) fingerprint: Fingerprint,
}

/// Why a PEM file is of no use. Never holds anything of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemFault {
    /// There is no section of that kind; write the right file.
    #[error("there is no {0} in PEM form in it (a section -----BEGIN ...-----)")]
    Nothing(&'static str),
    /// The file is damaged; write it anew.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// This certificate of the file, counted from 1, is damaged, or is of a form that is not known.
    #[error("certificate {0} in it cannot be read")]
    Certificate(usize),
    /// The key is encrypted; decrypt it, as nobody is there to type its passphrase.
    #[error("the private key is encrypted, and nobody is there to type its passphrase")]
    Encrypted,
    /// The key is of a kind that is not known.
    #[error(
        "the private key is of a kind that cannot be used (RSA, ECDSA P-256, P-384, P-521 and Ed25519 can)"
    )]
    Key,
    /// The key is not that of the certificate.
    #[error("the private key is not that of the certificate")]
    Mismatch,
}

impl Authorities {
    /// The certificates in a PEM file, one at least. Other sections are skipped.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PemFault> {
        let certificates = certificates(pem)?;
        let mut store = RootCertStore::empty();
        for (number, certificate) in (1..).zip(&certificates) {
            store.add(certificate.clone()).map_err(|_| PemFault::Certificate(number))?;
        }
        let fingerprint = fingerprint(&certificates);
        Ok(Authorities { certificates, fingerprint })
    }
}

impl Identity {
    /// A client certificate, followed by its intermediates if any, and its unencrypted private key.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityFault> {
        let chain = certificates(certificate).map_err(IdentityFault::Certificate)?;
        let fingerprint = fingerprint(&chain);
        let key = private_key(key).map_err(IdentityFault::Key)?;
        let key = ring::sign::any_supported_type(&key).map_err(|_| IdentityFault::Key(PemFault::Key))?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Identity { key: Arc::new(key), fingerprint })
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(IdentityFault::Key(PemFault::Mismatch)),
            Err(_) => Err(IdentityFault::Certificate(PemFault::Certificate(1))),
        }
    }
}

/// Which of an identity's two files is of no use, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// The certificate.
    #[error("{0}")]
    Certificate(PemFault),
    /// The private key.
    #[error("{0}")]
    Key(PemFault),
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.certificates.len())
    }
}

/// The key is a secret.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(PemFault::Nothing("certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(damaged(&error)),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemFault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound if contains(pem, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
            PemFault::Encrypted
        }
        // The form of OpenSSL before 1.0 has headers in the section, which are no base64.
        pem::Error::Base64Decode(_) if contains(pem, b"Proc-Type: 4,ENCRYPTED") => PemFault::Encrypted,
        pem::Error::NoItemsFound => PemFault::Nothing("private key"),
        other => damaged(&other),
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// In words of ours: those of the library repeat what is in the file.
fn damaged(error: &pem::Error) -> PemFault {
    PemFault::Damaged(match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no -----END ...----- line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN ...----- line is not whole",
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not base64",
        _ => "it is not PEM",
    })
}

fn fingerprint(certificates: &[CertificateDer<'_>]) -> Fingerprint {
    let mut hash = Sha256::new();
    for certificate in certificates {
        hash.update((certificate.len() as u64).to_be_bytes());
        hash.update(certificate);
    }
    hash.finalize().into()
}
