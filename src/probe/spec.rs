//! What is probed and how: checked settings, no YAML.

use std::fmt;
use std::time::Duration;

use regex::Regex;
use secrecy::SecretString;

/// One check: how a target is probed, and how often.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is done.
    pub kind: CheckKind,
    /// Time between two probes when all is calm.
    pub interval: Duration,
    /// Time between two probes while something is under way.
    pub fast_interval: Duration,
    /// The longest a probe may take, all parts together.
    pub timeout: Duration,
    /// Each probe is moved by up to this share of the interval, 0 to 50 percent, around a fixed grid.
    pub jitter_percent: u8,
}

/// The kinds of check.
#[derive(Clone, Debug)]
pub enum CheckKind {
    /// An HTTP/1.1 request, with or without TLS.
    Http(HttpCheck),
    /// A TCP connection, with something to send and something to expect.
    Tcp(TcpCheck),
    /// A program that obeys the rules of Nagios plugins.
    Exec(ExecCheck),
}

/// An HTTP/1.1 request. A redirect is judged by its status, never followed.
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

/// What must be found in a body or in what a server sends.
#[derive(Clone, Debug)]
pub enum BodyMatch {
    /// This text, byte for byte.
    Contains(String),
    /// A match of this expression.
    Regex(Regex),
}

/// A TCP connection.
#[derive(Clone, Debug)]
pub struct TcpCheck {
    /// The port.
    pub port: u16,
    /// What to send once connected.
    pub send: Option<Vec<u8>>,
    /// What must come back, within 64 KiB.
    pub expect: Option<BodyMatch>,
}

/// A program run without a shell; its exit code speaks: 0 and 1 (a warning) pass, 2 fails, anything else is unknown.
#[derive(Clone, Debug)]
pub struct ExecCheck {
    /// The program (an absolute path) and its arguments. `{address}` stands for the target's address.
    pub command: Vec<String>,
}
