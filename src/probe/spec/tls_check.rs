//! A TLS check.

use super::TlsSettings;

/// A TLS handshake: the chain, the name and the dates of the certificate are verified, nothing is said afterwards.
#[derive(Clone, Debug)]
pub struct TlsCheck {
    /// The port.
    pub port: u16,
    /// The name for SNI and for the certificate; the address when `None`.
    pub sni: Option<String>,
    /// Whom to believe and what to show.
    pub settings: TlsSettings,
}
