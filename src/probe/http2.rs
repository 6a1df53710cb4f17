//! An HTTP/2 connection of our own (RFC 9113). It has no task: whoever waits for something drives it, and dropped
//! it is gone with its socket.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};

use super::Step;
use super::body::Flow;
use super::progress::{Phase, Progress};
use super::response::{Garbled, MAX_HEAD, MAX_HEADERS};
use super::search::excerpt;
use super::stream::Stream;
use super::tap::{Record, Tap};
use super::tls;
use crate::decision::Outcome;

/// The largest frame that is taken, and what a stream may send before we take it, bytes: the smallest and the
/// initial value of the protocol (RFC 9113 sections 4.2 and 6.9.2).
const MAX_FRAME: u32 = 16 * 1024;
const WINDOW: u32 = 65_535;
/// What may come besides bodies in one exchange, bytes: frames' heads, padding, settings, pings, unknown frames.
const OVERHEAD: usize = 256 * 1024;

/// A connection that speaks HTTP/2.
pub(super) struct Http2 {
    requests: SendRequest<Bytes>,
    driver: Driver,
    record: Record,
    peer: SocketAddr,
}

/// The answer to a request: its head, and its body to come.
pub(super) type Answer = Response<RecvStream>;

impl Http2 {
    /// Begins to speak HTTP/2 on a connection whose server is known to, or believed to (prior knowledge, RFC 9113
    /// section 3.3). Does not wait for the server.
    pub(super) async fn begin(stream: Stream, peer: SocketAddr, progress: &mut Progress<'_>) -> Step<Self> {
        if matches!(stream, Stream::Tls(_)) && stream.chosen() != Some(b"h2") {
            return Err(Outcome::Fail("the server does not choose HTTP/2 (`h2` by ALPN)".to_owned()));
        }
        progress.phase = Phase::Send;
        let record = Record::default();
        record.allow(OVERHEAD);
        let tap = Tap::new(stream, record.clone());
        let begun = Builder::new()
            .enable_push(false)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .max_frame_size(MAX_FRAME)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_concurrent_streams(0)
            .handshake(tap)
            .await;
        match begun {
            Ok((requests, connection)) => {
                let driver = Driver { connection, is_over: false };
                Ok(Http2 { requests, driver, record, peer })
            }
            Err(error) => Err(said(&error, &record, peer)),
        }
    }

    /// Whether the connection stands, after all that came in while nobody looked, and what waits to be sent is sent.
    pub(super) fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.record.allow(OVERHEAD);
        self.driver.poll(&mut cx).is_pending()
            && matches!(self.requests.poll_ready(&mut cx), Poll::Ready(Ok(())))
    }

    /// Asks and waits for the head of the answer. At most `limit` bytes of a body are going to be looked at.
    pub(super) async fn ask(
        &mut self,
        request: Request<()>,
        body: Option<Bytes>,
        limit: usize,
        progress: &mut Progress<'_>,
    ) -> Step<Answer> {
        progress.phase = Phase::Send;
        // Twice the body: a server that pads or cuts it small is odd, and no flood.
        self.record.allow(limit.saturating_mul(2).saturating_add(OVERHEAD));
        let answer = self.send(request, body).await.map_err(|error| self.said(&error))?;
        progress.sent();
        let answer = self.driver.along(answer).await.map_err(|error| self.said(&error))?;
        progress.received(0);
        progress.status = Some(answer.status().as_u16());
        match answer.headers().len() {
            ..=MAX_HEADERS => Ok(answer),
            _ => Err(Outcome::Fail(Garbled::TooManyHeaders.to_string())),
        }
    }

    async fn send(&mut self, request: Request<()>, body: Option<Bytes>) -> Result<ResponseFuture, h2::Error> {
        let Http2 { requests, driver, .. } = self;
        let is_ready = requests.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready();
        // On a new connection nothing is sent before the request, so that all goes at once.
        if !is_ready {
            driver.along(poll_fn(|cx| requests.poll_ready(cx))).await?;
        }
        let (answer, mut sending) = requests.send_request(request, body.is_none())?;
        if let Some(body) = body {
            sending.send_data(body, true)?;
        }
        Ok(answer)
    }

    /// The body, at most `limit` bytes of it.
    pub(super) async fn body(
        &mut self,
        stream: &mut RecvStream,
        limit: usize,
        progress: &mut Progress<'_>,
    ) -> Step<(Vec<u8>, Flow)> {
        progress.phase = Phase::Body;
        progress.received = 0;
        let mut text = Vec::new();
        while text.len() < limit {
            let part = self.driver.along(async { stream.data().await.transpose() }).await;
            let Some(part) = part.map_err(|error| self.said(&error))? else { return Ok((text, Flow::Whole)) };
            progress.received(part.len());
            text.extend_from_slice(&part[..part.len().min(limit - text.len())]);
            // It can only fail for more than came.
            let _ = stream.flow_control().release_capacity(part.len());
        }
        let flow = if stream.is_end_stream() { Flow::Whole } else { Flow::Full };
        Ok((text, flow))
    }

    /// What follows the body.
    pub(super) async fn trailers(&mut self, stream: &mut RecvStream) -> Step<Option<HeaderMap>> {
        self.driver.along(stream.trailers()).await.map_err(|error| self.said(&error))
    }

    fn said(&self, error: &h2::Error) -> Outcome {
        said(error, &self.record, self.peer)
    }
}

/// The connection's own work: reading, writing, answering pings.
struct Driver {
    connection: Connection<Tap, Bytes>,
    is_over: bool,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        if self.is_over {
            return Poll::Ready(Ok(()));
        }
        let ended = Pin::new(&mut self.connection).poll(cx);
        self.is_over = ended.is_ready();
        ended
    }

    /// Waits for something that comes over the connection, and drives it meanwhile.
    async fn along<T>(&mut self, wanted: impl Future<Output = Result<T, h2::Error>>) -> Result<T, h2::Error> {
        let mut wanted = pin!(wanted);
        poll_fn(|cx| {
            let ended = self.poll(cx);
            // What came before the end still counts.
            if let Poll::Ready(result) = wanted.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            match ended {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(())) => Poll::Ready(Err(Reason::NO_ERROR.into())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            }
        })
        .await
    }
}

/// What an error of the library says, with what the tap remembers.
fn said(error: &h2::Error, record: &Record, peer: SocketAddr) -> Outcome {
    let mut seen = record.look();
    if seen.is_something_else() {
        let beginning = excerpt(&seen.beginning);
        return Outcome::Fail(format!("answered something that is not HTTP/2 and begins with {beginning}"));
    }
    if let Some(error) = seen.trouble.take() {
        return tls::trouble_while_waiting(&error, peer);
    }
    // What we asked for cannot be sent.
    if error.reason().is_none() && !error.is_io() && !seen.closed && !seen.too_much {
        return Outcome::Unknown(format!("HTTP/2: {error}"));
    }
    let name = error.reason().map_or_else(|| "no reason".to_owned(), |reason| format!("{reason:?}"));
    Outcome::Fail(match () {
        () if seen.too_much => "sent much more than its answer, and was not listened to further".to_owned(),
        () if error.is_go_away() && error.is_remote() => {
            format!("ended the HTTP/2 connection (GOAWAY, {name}) before its answer was finished")
        }
        () if error.is_reset() && error.is_remote() => {
            format!("broke the answer off (RST_STREAM, {name})")
        }
        () if error.is_library() && error.is_reset() => {
            format!(
                "the answer breaks the rules of HTTP/2, or its head is larger than {} KiB",
                MAX_HEAD / 1024
            )
        }
        () if error.is_library() => format!("does not keep to HTTP/2 ({name})"),
        () if seen.beginning.is_empty() => "closed the connection without an answer".to_owned(),
        () => Garbled::CutOff("answer").to_string(),
    })
}
