//! A connection to the target's own address.

use std::net::SocketAddr;

use super::Step;
use super::engine::Socket;
use super::progress::Progress;
use super::stream::Stream;
use super::tls::{Hello, Tls};
use super::trouble::classify;

/// Connects to `peer`.
pub(super) async fn tcp(peer: SocketAddr, progress: &mut Progress<'_>) -> Step<Socket> {
    progress.connecting(peer);
    let stream = Socket::connect(peer).await.map_err(|error| classify(&error, "connecting", peer))?;
    progress.connected();
    Ok(stream)
}

/// Hears that a connection to `peer` could be made.
pub(super) async fn half(peer: SocketAddr, progress: &mut Progress<'_>) -> Step<()> {
    progress.connecting(peer);
    let stream = Socket::connect_half(peer).await.map_err(|error| classify(&error, "connecting", peer))?;
    progress.connected();
    stream.reset();
    Ok(())
}

/// Connects to `peer`, with TLS where it is asked for.
pub(super) async fn stream(
    peer: SocketAddr,
    secure: Option<(&Tls, Hello<'_>)>,
    progress: &mut Progress<'_>,
) -> Step<Stream> {
    let mut stream = tcp(peer, progress).await?;
    Ok(match secure {
        None => Stream::Plain(stream),
        Some((tls, hello)) => {
            stream.send_at_once();
            Stream::Tls(Box::new(Box::pin(tls.handshake(stream, hello, progress)).await?))
        }
    })
}
