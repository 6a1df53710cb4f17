//! A TCP connection, with something to send and something to expect.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::progress::{Phase, Progress};
use super::trouble::classify;
use super::{Step, TcpCheck, connect, search};
use crate::decision::Outcome;

/// What is expected must come within so many bytes.
pub(super) const MAX_EXPECT: usize = 64 * 1024;

/// Passes when the connection stands, `send` was taken, and `expect` was found: at once when it is there, else
/// when the server closes, 64 KiB have come or the time is up, the probe fails.
pub(super) async fn probe(address: IpAddr, check: &TcpCheck, progress: &mut Progress<'_>) -> Step<()> {
    let peer = SocketAddr::new(address, check.port);
    let mut stream = connect::tcp(peer, progress).await?;
    if let Some(bytes) = &check.send {
        progress.phase = Phase::Send;
        stream.write_all(bytes).await.map_err(|error| classify(&error, "sending", peer))?;
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
        new = (&mut stream)
            .take(room)
            .read_buf(&mut text)
            .await
            .map_err(|error| classify(&error, "waiting for what was expected", peer))?;
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
