//! A TCP connection, with something to send and something to expect.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::progress::{Phase, Progress};
use super::response::is_end;
use super::tls::{Alpn, Hello, Tls, name_or_address, trouble};
use super::{StartTls, StartTlsProtocol, Step, TcpCheck, connect, search, smtp};
use crate::decision::Outcome;

/// What is expected must come within so many bytes.
pub(super) const MAX_EXPECT: usize = 64 * 1024;

/// Passes when the connection stands (half open: when the target's system agrees to one), changed to TLS if that is asked
/// for, `send` was taken, and `expect` was found: at once when it is there, else when the server closes, 64 KiB have come or
/// the time is up, the probe fails.
pub(super) async fn probe(
    address: IpAddr,
    check: &TcpCheck,
    tls: &Tls,
    progress: &mut Progress<'_>,
) -> Step<()> {
    let peer = SocketAddr::new(address, check.port);
    if let Some(starttls) = &check.starttls {
        return Box::pin(secured(peer, check, starttls, tls, progress)).await;
    }
    if check.half_open {
        return connect::half(peer, progress).await;
    }
    let mut stream = connect::tcp(peer, progress).await?;
    talk(&mut stream, peer, check, progress).await?;
    if check.send.is_none() {
        stream.reset();
    }
    Ok(())
}

async fn secured(
    peer: SocketAddr,
    check: &TcpCheck,
    starttls: &StartTls,
    tls: &Tls,
    progress: &mut Progress<'_>,
) -> Step<()> {
    let name = name_or_address(starttls.sni.as_deref(), peer)?;
    let mut stream = connect::tcp(peer, progress).await?;
    match starttls.protocol {
        StartTlsProtocol::Smtp => smtp::starttls(&mut stream, peer, progress).await?,
    }
    let hello = Hello { peer, name, alpn: Alpn::None, settings: &starttls.settings };
    let mut stream = tls.handshake(stream, hello, progress).await?;
    // What was said before is no part of what is expected.
    progress.received = 0;
    talk(&mut stream, peer, check, progress).await
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    peer: SocketAddr,
    check: &TcpCheck,
    progress: &mut Progress<'_>,
) -> Step<()> {
    if let Some(bytes) = &check.send {
        progress.phase = Phase::Send;
        let sent = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        sent.await.map_err(|error| trouble(&error, "sending", peer))?;
    }
    let Some(expected) = &check.expect else { return Ok(()) };

    progress.sent();
    let mut text = Vec::with_capacity(1024);
    let mut new = 0;
    loop {
        if search::found_in_new(expected, &text, new) {
            return Ok(());
        }
        if text.len() >= MAX_EXPECT {
            return missing(&text, &format!("sent {} bytes", text.len()), expected);
        }
        text.reserve(1024.min(MAX_EXPECT - text.len()));
        let room = (MAX_EXPECT - text.len()) as u64;
        new = match (&mut *stream).take(room).read_buf(&mut text).await {
            Err(error) if is_end(&error) => 0,
            read => read.map_err(|error| trouble(&error, "waiting for what was expected", peer))?,
        };
        if new == 0 {
            return missing(&text, "closed the connection", expected);
        }
        progress.received(new);
        progress.phase = Phase::Expected;
    }
}

fn missing(text: &[u8], ended: &str, expected: &super::BodyMatch) -> Step<()> {
    let wanted = search::wanted(expected);
    Err(Outcome::Fail(match text {
        [] => format!("{ended} without a word, wanted {wanted}"),
        text => format!("said {} and {ended}, wanted {wanted}", search::excerpt(text)),
    }))
}
