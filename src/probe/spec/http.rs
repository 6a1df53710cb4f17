//! An HTTP check.

use std::fmt;

use secrecy::SecretString;

use super::{BodyMatch, TlsSettings};

/// An HTTP request. A redirect is judged by its status, never followed.
#[derive(Clone, Debug)]
pub struct HttpCheck {
    /// The method, upper case.
    pub method: String,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// The port.
    pub port: u16,
    /// TLS, with the certificate verified.
    pub tls: bool,
    /// How TLS is spoken, where it is.
    pub tls_settings: TlsSettings,
    /// The Host header; the address itself when `None`.
    pub host: Option<String>,
    /// The name for SNI and for the certificate; `host` (without port) when `None`, else the address.
    pub sni: Option<String>,
    /// More headers, in order. Values may be secrets.
    pub headers: Vec<(String, SecretString)>,
    /// Which status codes pass.
    pub status: Vec<StatusRange>,
    /// What the body must hold.
    pub body: Option<BodyMatch>,
    /// How much of the body is read at most, bytes. Where a body match is asked for, it is looked for in this part.
    pub max_body_bytes: usize,
    /// HTTP/2 and nothing else: asked for by ALPN with TLS, taken for granted (prior knowledge) without.
    pub http2: bool,
    /// The connection is kept for the next probe. Never after a POST, which must not be sent twice.
    pub reuse: bool,
}

/// Status codes from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// The first that passes, 100 to 599.
    pub first: u16,
    /// The last that passes.
    pub last: u16,
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}
