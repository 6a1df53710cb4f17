//! A TCP check.

use std::fmt;

use super::{BodyMatch, TlsSettings};

/// A TCP connection.
#[derive(Clone, Default)]
pub struct TcpCheck {
    /// The port.
    pub port: u16,
    /// Ends once the target's system has agreed to a connection, before its program hears of it. Nothing else is asked then.
    pub half_open: bool,
    /// Changes to TLS before anything is sent or expected.
    pub starttls: Option<StartTls>,
    /// What to send once connected.
    pub send: Option<Vec<u8>>,
    /// What must come back, within 64 KiB.
    pub expect: Option<BodyMatch>,
}

/// What is sent, and what is expected, may hold a secret and is not shown.
impl fmt::Debug for TcpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpCheck").field("port", &self.port).finish_non_exhaustive()
    }
}

/// The change from plain text to TLS within a connection.
#[derive(Clone, Debug)]
pub struct StartTls {
    /// How it is asked for.
    pub protocol: StartTlsProtocol,
    /// The name for SNI and for the certificate; the address when `None`.
    pub sni: Option<String>,
    /// Whom to believe and what to show.
    pub settings: TlsSettings,
}

/// Protocols in which TLS can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTlsProtocol {
    /// SMTP (RFC 3207).
    Smtp,
}
