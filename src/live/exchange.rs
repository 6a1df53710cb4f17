//! One question to one server: over UDP, then over TCP when the answer is cut short or does not come.
//!
//! Own sockets and not a resolver's: a connected socket hears that server alone, and tells a refused
//! connection from silence at once.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::message::{Question, Reply};

/// Room for one UDP message; more than we ask for, so that a server that sends more is still read.
const UDP_BUFFER: usize = 4096;

/// Why there is no answer; the caller adds the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Nothing usable came.
    Silent(String),
    /// Something came that teaches nothing.
    Useless(String),
}

/// How long each way may take; together the limit of one question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    udp: Duration,
    tcp: Duration,
}

impl Limits {
    /// A third of the time for UDP, the rest for TCP, which takes more round trips: 1 s and 2 s of the usual 3 s.
    pub(super) fn of(total: Duration) -> Self {
        let udp = total / 3;
        Limits { udp, tcp: total.saturating_sub(udp) }
    }
}

/// What the UDP way came to.
enum Udp<T> {
    Holds(T),
    Useless(String),
    /// TCP is next; the text says why, for the case that TCP fails too.
    TryTcp(String),
}

/// How an answer is read.
pub(super) type Reader<T> = fn(&Question, &[u8]) -> Reply<T>;

/// Asks `server` alone. What it answers, read by `read`, for the one type of `question`.
pub(super) async fn ask<T>(
    server: SocketAddr,
    question: &Question,
    limits: Limits,
    read: Reader<T>,
) -> Result<T, NoAnswer> {
    let over_udp = match by_udp(server, question, limits.udp, read).await {
        Udp::Holds(held) => return Ok(held),
        Udp::Useless(why) => return Err(NoAnswer::Useless(why)),
        Udp::TryTcp(why) => why,
    };
    let both = |over_tcp: String| NoAnswer::Silent(format!("{over_udp}; TCP: {over_tcp}"));
    let octets = match timeout(limits.tcp, by_tcp(server, question)).await {
        Err(_) => return Err(both(format!("no answer within {:?}", limits.tcp))),
        Ok(Err(error)) => return Err(both(words(&error))),
        Ok(Ok(octets)) => octets,
    };
    match read(question, &octets) {
        Reply::Holds(held) => Ok(held),
        Reply::Useless(why) => Err(NoAnswer::Useless(why)),
        // Nobody else can write into our connection, so these are the server's own.
        Reply::NotOurs(what) => Err(NoAnswer::Useless(format!("it sends {what}"))),
        Reply::Truncated => Err(NoAnswer::Useless("it cuts its answer short over TCP".into())),
    }
}

async fn by_udp<T>(server: SocketAddr, question: &Question, limit: Duration, read: Reader<T>) -> Udp<T> {
    let mut ignored = None;
    match timeout(limit, udp_exchange(server, question, &mut ignored, read)).await {
        Ok(Ok(Reply::Holds(held))) => Udp::Holds(held),
        Ok(Ok(Reply::Useless(why))) => Udp::Useless(why),
        Ok(Ok(Reply::Truncated)) => Udp::TryTcp("UDP: the answer is cut short".into()),
        Ok(Ok(Reply::NotOurs(what))) => Udp::TryTcp(format!("UDP: {what}")),
        Ok(Err(error)) => Udp::TryTcp(format!("UDP: {}", words(&error))),
        Err(_) => Udp::TryTcp(match ignored {
            None => format!("UDP: no answer within {limit:?}"),
            Some(what) => format!("UDP: no answer within {limit:?}, only {what}"),
        }),
    }
}

/// Waits for the answer; everything else that arrives is put into `ignored`, for the message.
async fn udp_exchange<T>(
    server: SocketAddr,
    question: &Question,
    ignored: &mut Option<String>,
    read: Reader<T>,
) -> io::Result<Reply<T>> {
    let socket = connected(server).await?;
    socket.send(question.octets()).await?;
    let mut buffer = [0; UDP_BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match read(question, &buffer[..length]) {
            Reply::NotOurs(what) => *ignored = Some(what),
            reply => return Ok(reply),
        }
    }
}

/// A socket on a port that the system draws at random (RFC 5452 section 9.2), which hears `server` only.
async fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// Is there a way from this machine to `server`, as far as its routing table knows? Nothing is sent.
pub(super) async fn has_route(server: SocketAddr) -> bool {
    connected(server).await.is_ok()
}

/// One message each way, each behind its length in two octets (RFC 7766 section 8): 65535 octets at most.
async fn by_tcp(server: SocketAddr, question: &Question) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.octets().len()).map_err(io::Error::other)?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(question.octets());
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// An error of the socket in the words of the message.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::UnexpectedEof => "connection closed before the answer was complete".into(),
        io::ErrorKind::ConnectionReset => "connection reset".into(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "no route to it".into(),
        _ => error.to_string(),
    }
}
