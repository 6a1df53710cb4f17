//! A TCP check.

use std::fmt;

use super::BodyMatch;

/// A TCP connection.
#[derive(Clone)]
pub struct TcpCheck {
    /// The port.
    pub port: u16,
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
