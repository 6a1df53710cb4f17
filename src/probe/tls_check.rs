//! A TLS handshake and nothing more.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

use super::engine::{Socket, timeout};
use super::progress::Progress;
use super::response::is_end;
use super::tls::{Alpn, Hello, Tls, name_or_address, trouble};
use super::{Step, TlsCheck, connect};
use crate::decision::Outcome;

/// How long a server may take to refuse a client certificate after the handshake.
const REFUSAL: Duration = Duration::from_millis(250);

/// Passes when the handshake is finished: the certificate is for the name, in its time, and signed by somebody who
/// is believed.
///
/// In TLS 1.3 the client is done before the server has looked at the client certificate (RFC 8446 section 4.4.2.4),
/// so where one was asked for the end is waited for a moment: a server that refuses says so there.
pub(super) async fn probe(
    address: IpAddr,
    check: &TlsCheck,
    tls: &Tls,
    progress: &mut Progress<'_>,
) -> Step<()> {
    let peer = SocketAddr::new(address, check.port);
    let name = name_or_address(check.sni.as_deref(), peer)?;
    let stream = connect::tcp(peer, progress).await?;
    let hello = Hello { peer, name, alpn: Alpn::None, settings: &check.settings };
    let stream = tls.handshake(stream, hello, progress).await?;
    let late = stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    if late && progress.asked { not_refused(stream, peer).await } else { Ok(()) }
}

async fn not_refused(mut stream: TlsStream<Socket>, peer: SocketAddr) -> Step<()> {
    // Ends our side, so that a server that agrees ends its own. Whatever is wrong with that, reading tells.
    let _ = stream.shutdown().await;
    match timeout(REFUSAL, pin!(stream.read(&mut [0; 64]))).await {
        Ok(Err(error)) if !is_end(&error) => match trouble(&error, "TLS", peer) {
            // The word of the server, and not the manner in which it leaves.
            Outcome::Fail(reason) if error.raw_os_error().is_none() => Err(Outcome::Fail(reason)),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}
