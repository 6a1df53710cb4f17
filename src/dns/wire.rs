//! The two ways to a server. Neither waits for a limited time: that is the caller's affair, who drops the future.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::{Question, Reply};

/// Room for one UDP message; more than we ask for, so that a server that sends more is still read.
const UDP_BUFFER: usize = 4096;

/// Sends `question` once over `socket` and waits for the answer; everything else that arrives is told to `ignored`,
/// for the message. Never yields [`Reply::NotOurs`].
pub async fn by_udp(
    socket: &UdpSocket,
    question: &Question,
    mut ignored: impl FnMut(String),
) -> io::Result<Reply> {
    socket.send(question.octets()).await?;
    let mut buffer = [0; UDP_BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match question.read(&buffer[..length]) {
            Reply::NotOurs(what) => ignored(what),
            reply => return Ok(reply),
        }
    }
}

/// A socket on a port that the system draws at random (RFC 5452 section 9.2), which hears `server` only.
pub async fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// One message each way over a connection, each behind its length in two octets (RFC 7766 section 8): 65535 octets
/// at most. Nobody else can write into a connection, so a [`Reply::NotOurs`] is the server's own doing.
pub async fn by_tcp(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    question: &Question,
) -> io::Result<Reply> {
    let length = u16::try_from(question.octets().len()).map_err(io::Error::other)?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(question.octets());
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(question.read(&answer))
}
