//! One question to one server: over UDP, then over TCP when the answer is cut short or does not come.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::dns::{self, Question, Reply};

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

/// What is read out of an answer; `Err`: nothing can be learned, and why.
pub(super) type Reader<T> = fn(&Question, &Message) -> Result<T, String>;

/// Asks `server` alone. What it answers to `question`, read by `read`.
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
    let reply = match timeout(limits.tcp, tcp_exchange(server, question)).await {
        Err(_) => return Err(both(format!("no answer within {:?}", limits.tcp))),
        Ok(Err(error)) => return Err(both(words(&error))),
        Ok(Ok(reply)) => reply,
    };
    match reply {
        Reply::Answer(message) => read(question, &message).map_err(NoAnswer::Useless),
        // Nobody else can write into our connection, so these are the server's own.
        Reply::NotOurs(what) => Err(NoAnswer::Useless(format!("it sends {what}"))),
        Reply::Truncated => Err(NoAnswer::Useless("it cuts its answer short over TCP".into())),
    }
}

async fn by_udp<T>(server: SocketAddr, question: &Question, limit: Duration, read: Reader<T>) -> Udp<T> {
    let mut ignored = None;
    match timeout(limit, udp_exchange(server, question, |what| ignored = Some(what))).await {
        Ok(Ok(Reply::Answer(message))) => match read(question, &message) {
            Ok(held) => Udp::Holds(held),
            Err(why) => Udp::Useless(why),
        },
        Ok(Ok(Reply::Truncated)) => Udp::TryTcp("UDP: the answer is cut short".into()),
        Ok(Ok(Reply::NotOurs(what))) => Udp::TryTcp(format!("UDP: {what}")),
        Ok(Err(error)) => Udp::TryTcp(format!("UDP: {}", words(&error))),
        Err(_) => Udp::TryTcp(match ignored {
            None => format!("UDP: no answer within {limit:?}"),
            Some(what) => format!("UDP: no answer within {limit:?}, only {what}"),
        }),
    }
}

async fn udp_exchange(
    server: SocketAddr,
    question: &Question,
    ignored: impl FnMut(String),
) -> io::Result<Reply> {
    dns::by_udp(&dns::connected(server).await?, question, ignored).await
}

/// Is there a way from this machine to `server`, as far as its routing table knows? Nothing is sent.
pub(super) async fn has_route(server: SocketAddr) -> bool {
    dns::connected(server).await.is_ok()
}

async fn tcp_exchange(server: SocketAddr, question: &Question) -> io::Result<Reply> {
    dns::by_tcp(&mut TcpStream::connect(server).await?, question).await
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
