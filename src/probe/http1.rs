//! One HTTP/1.1 exchange on a connection that is there.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::body::{Body, Flow};
use super::progress::{Phase, Progress};
use super::response::{Garbled, Head, HeadReader, is_end};
use super::stream::Stream;
use super::{Step, tls};
use crate::decision::Outcome;

/// A connection in one exchange.
pub(super) struct Http1<'e, 'p> {
    pub(super) stream: Stream,
    peer: SocketAddr,
    pub(super) progress: &'e mut Progress<'p>,
    /// What came and was not looked at.
    buffer: Vec<u8>,
}

impl<'e, 'p> Http1<'e, 'p> {
    pub(super) fn new(stream: Stream, peer: SocketAddr, progress: &'e mut Progress<'p>) -> Self {
        Http1 { stream, peer, progress, buffer: Vec::new() }
    }

    /// Sends the request and reads the head of the answer; `to_head` says that the request is HEAD.
    pub(super) async fn ask(&mut self, request: &[u8], to_head: bool) -> Step<Head> {
        self.send(request).await?;
        let mut reader = HeadReader::new();
        let head = loop {
            if self.read(&mut reader.buffer).await? == 0 {
                return Err(Outcome::Fail(if self.progress.received == 0 {
                    "closed the connection without an answer".to_owned()
                } else {
                    Garbled::CutOff("head").to_string()
                }));
            }
            self.progress.phase = Phase::Head;
            if let Some(head) = reader.take(to_head).map_err(garbled)? {
                break head;
            }
        };
        self.progress.status = Some(head.status);
        self.buffer = reader.buffer;
        Ok(head)
    }

    async fn send(&mut self, request: &[u8]) -> Step<()> {
        self.progress.phase = Phase::Send;
        let sent = async {
            self.stream.write_all(request).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| tls::trouble(&error, "sending the request", self.peer))?;
        self.progress.sent();
        Ok(())
    }

    /// Reads the body until it is whole or its limit is reached. Can be called again for one that is whole.
    pub(super) async fn body(&mut self, body: &mut Body) -> Step<Flow> {
        self.progress.phase = Phase::Body;
        let mut buffer = std::mem::take(&mut self.buffer);
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
        Ok(flow)
    }

    /// Reads what is there, at most a few KiB; 0 at the end of the stream.
    async fn read(&mut self, buffer: &mut Vec<u8>) -> Step<usize> {
        // Most heads fit, and a system's allocator has pieces of this size at hand.
        buffer.reserve(1024);
        let read = match self.stream.read_buf(buffer).await {
            Err(error) if is_end(&error) => 0,
            read => read.map_err(|error| tls::trouble_while_waiting(&error, self.peer))?,
        };
        if read > 0 {
            self.progress.received(read);
        }
        Ok(read)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn garbled(garbled: Garbled) -> Outcome {
    Outcome::Fail(garbled.to_string())
}
