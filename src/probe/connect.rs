//! A connection to the target's own address.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Step;
use super::progress::Progress;
use super::stream::Stream;
use super::tls::{Hello, Tls};
use super::trouble::classify;

/// Connects to `peer`, without Nagle's algorithm: a probe is one small write, then a wait.
pub(super) async fn tcp(peer: SocketAddr, progress: &mut Progress<'_>) -> Step<TcpStream> {
    progress.connecting(peer);
    let stream = TcpStream::connect(peer).await.map_err(|error| classify(&error, "connecting", peer))?;
    progress.connected();
    // Only a closed socket refuses the option, and then the first write says so.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Connects to `peer`, with TLS where it is asked for.
pub(super) async fn stream(
    peer: SocketAddr,
    secure: Option<(&Tls, Hello<'_>)>,
    progress: &mut Progress<'_>,
) -> Step<Stream> {
    let stream = tcp(peer, progress).await?;
    Ok(match secure {
        None => Stream::Plain(stream),
        Some((tls, hello)) => Stream::Tls(Box::new(tls.handshake(stream, hello, progress).await?)),
    })
}
