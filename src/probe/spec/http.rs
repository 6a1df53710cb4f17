//! An HTTP check.

use std::fmt;

use secrecy::SecretString;

use super::{BodyMatch, JsonWish, TlsSettings};

/// An HTTP request. A redirect is judged by its status, never followed.
#[derive(Clone)]
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
    /// Who asks, in an Authorization header.
    pub auth: Option<Auth>,
    /// The body of the request. It may be a secret.
    pub send: Option<SecretString>,
    /// Which status codes pass.
    pub status: Vec<StatusRange>,
    /// What the body must hold.
    pub body: Option<BodyMatch>,
    /// What the body must hold as JSON, all of it.
    pub json: Vec<JsonWish>,
    /// How much of the body is read at most, bytes. Where a body match is asked for, it is looked for in this part.
    pub max_body_bytes: usize,
    /// HTTP/2 and nothing else: asked for by ALPN with TLS, taken for granted (prior knowledge) without.
    pub http2: bool,
    /// The connection is kept for the next probe. Never after a POST, which must not be sent twice.
    pub reuse: bool,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Auth {
    /// A user and a password (RFC 7617).
    Basic {
        /// The user; no colon in it.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A token (RFC 6750).
    Bearer(SecretString),
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

/// The path, the headers and what the body must hold may be secrets and are not shown.
impl fmt::Debug for HttpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("HttpCheck");
        shown.field("method", &self.method).field("port", &self.port).field("tls", &self.tls);
        shown.field("host", &self.host).field("sni", &self.sni).field("status", &self.status);
        shown.finish_non_exhaustive()
    }
}
