//! One HTTP/1.1 exchange over a connection of our own, made for it and closed after it.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::body::{Body, Flow};
use super::progress::{Phase, Progress};
use super::response::{Garbled, Head, HeadReader, is_end};
use super::tls::{Alpn, Hello, Tls, server_name};
use super::{BodyMatch, HttpCheck, StatusRange, Step, connect, json, request, search, tls};
use crate::decision::Outcome;

/// Passes when the status is one of the check's and, where it asks for it, the body holds what it should.
///
/// The body is read only if a match is asked for, and is judged when it is whole or `max_body_bytes` of it are
/// there. The head may have 16 KiB and 100 headers.
pub(super) async fn probe(
    address: IpAddr,
    check: &HttpCheck,
    tls: &Tls,
    progress: &mut Progress<'_>,
) -> Step<()> {
    let peer = SocketAddr::new(address, check.port);
    let request = request::encode(check, peer)?;
    if check.tls {
        let name = server_name(check, peer)?;
        let stream = connect::tcp(peer, progress).await?;
        let hello = Hello { peer, name, alpn: Alpn::Http1, settings: &check.tls_settings };
        let stream = tls.handshake(stream, hello, progress).await?;
        Exchange { stream, peer, progress }.run(check, &request).await
    } else {
        let stream = connect::tcp(peer, progress).await?;
        Exchange { stream, peer, progress }.run(check, &request).await
    }
}

struct Exchange<'e, 'p, S> {
    stream: S,
    peer: SocketAddr,
    progress: &'e mut Progress<'p>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<'_, '_, S> {
    async fn run(mut self, check: &HttpCheck, request: &[u8]) -> Step<()> {
        self.send(request).await?;
        let mut reader = HeadReader::new();
        let head = self.head(&mut reader, check.method == "HEAD").await?;
        judge_status(&head, &check.status)?;
        if check.body.is_none() && check.json.is_empty() {
            return Ok(());
        }
        let (text, flow) = self.body(Body::new(head.framing, check.max_body_bytes), reader.buffer).await?;
        judge_body(&text, flow, check)
    }

    async fn send(&mut self, request: &[u8]) -> Step<()> {
        self.progress.phase = Phase::Send;
        let sent = async {
            self.stream.write_all(request).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| tls::trouble(&error, "TLS", self.peer))?;
        self.progress.sent();
        Ok(())
    }

    async fn head(&mut self, reader: &mut HeadReader, to_head: bool) -> Step<Head> {
        loop {
            if self.read(&mut reader.buffer).await? == 0 {
                return Err(Outcome::Fail(if self.progress.received == 0 {
                    "closed the connection without an answer".to_owned()
                } else {
                    Garbled::CutOff("head").to_string()
                }));
            }
            self.progress.phase = Phase::Head;
            if let Some(head) = reader.take(to_head).map_err(garbled)? {
                return Ok(head);
            }
        }
    }

    async fn body(&mut self, mut body: Body, mut buffer: Vec<u8>) -> Step<(Vec<u8>, Flow)> {
        self.progress.phase = Phase::Body;
        self.progress.received = buffer.len();
        let mut flow = body.feed(&buffer).map_err(garbled)?;
        while flow == Flow::More {
            buffer.clear();
            flow = match self.read(&mut buffer).await? {
                0 => body.end(),
                _ => body.feed(&buffer),
            }
            .map_err(garbled)?;
        }
        Ok((body.text, flow))
    }

    /// Reads what is there, at most a few KiB; 0 at the end of the stream.
    async fn read(&mut self, buffer: &mut Vec<u8>) -> Step<usize> {
        buffer.reserve(1024);
        let read = match self.stream.read_buf(buffer).await {
            Err(error) if is_end(&error) => 0,
            read => read.map_err(|error| self.read_trouble(&error))?,
        };
        if read > 0 {
            self.progress.received(read);
        }
        Ok(read)
    }

    fn read_trouble(&self, error: &io::Error) -> Outcome {
        match tls::trouble(error, "TLS", self.peer) {
            Outcome::Fail(reason) => Outcome::Fail(format!("while waiting for the answer: {reason}")),
            other => other,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn garbled(garbled: Garbled) -> Outcome {
    Outcome::Fail(garbled.to_string())
}

fn judge_status(head: &Head, wanted: &[StatusRange]) -> Step<()> {
    if wanted.iter().any(|range| (range.first..=range.last).contains(&head.status)) {
        return Ok(());
    }
    let mut reason = format!("answered {}", head.status);
    // The usual phrase and not the server's own, which could be anything.
    if let Some(phrase) = http::StatusCode::from_u16(head.status).ok().and_then(|s| s.canonical_reason()) {
        reason = reason + " " + phrase;
    }
    if let Some(location) = &head.location {
        write!(reason, " to {location} (redirects are judged, not followed)").expect("a string takes all");
    }
    let ranges: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    Err(Outcome::Fail(format!("{reason}, wanted {}", ranges.join(", "))))
}

/// Whether a body holds what the check wants. `flow` says whether it is whole.
fn judge_body(text: &[u8], flow: Flow, check: &HttpCheck) -> Step<()> {
    if let Some(wanted) = &check.body {
        judge_text(text, flow, wanted)?;
    }
    if check.json.is_empty() { Ok(()) } else { json::judge(text, flow, &check.json) }
}

fn judge_text(text: &[u8], flow: Flow, wanted: &BodyMatch) -> Step<()> {
    if search::found(wanted, text) {
        return Ok(());
    }
    let wanted = search::wanted(wanted);
    Err(Outcome::Fail(match (flow, text.len()) {
        (Flow::Full, read) => format!("the first {read} bytes of the body do not hold {wanted}"),
        (_, 0) => format!("the body is empty, wanted {wanted}"),
        (_, read) => {
            format!(
                "the body ({read} bytes) begins with {} and does not hold {wanted}",
                search::excerpt(text)
            )
        }
    }))
}
