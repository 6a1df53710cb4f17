//! A TCP check.

use super::BodyMatch;

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
