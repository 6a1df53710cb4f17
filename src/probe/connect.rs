//! A TCP connection to the target's own address.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Step;
use super::progress::{Phase, Progress};
use super::trouble::classify;

/// Connects to `peer`, without Nagle's algorithm: a probe is one small write, then a wait.
pub(super) async fn tcp(peer: SocketAddr, progress: &mut Progress<'_>) -> Step<TcpStream> {
    progress.phase = Phase::Connect(peer);
    let stream = TcpStream::connect(peer).await.map_err(|error| classify(&error, "connecting", peer))?;
    progress.connected();
    // Only a closed socket refuses the option, and then the first write says so.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}
