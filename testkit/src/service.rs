//! Any program that listens on a TCP port.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::ports::free_port;
use crate::process::Helper;
use crate::wait::wait_until;

/// How long it may take until it listens: the machine may be busy.
const READY: Duration = Duration::from_secs(30);

/// A program that listens on a port of 127.0.0.1.
pub struct Service {
    port: u16,
    _helper: Helper,
}

impl Service {
    /// Starts the program with these words, in which `{port}` is replaced, and waits until it takes connections.
    /// `package` is the Debian package to name when it does not.
    pub fn start(words: &[&str], package: &str) -> Service {
        let port = free_port();
        let filled: Vec<OsString> =
            words.iter().map(|word| word.replace("{port}", &port.to_string()).into()).collect();
        let helper = Helper::program(&filled);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let what =
            format!("{} listens; if it is missing run tests/run, or apt-get install {package}", words[0]);
        wait_until(&what, READY, || TcpStream::connect(address).ok());
        Service { port, _helper: helper }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}
