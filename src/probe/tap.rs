//! A stream that remembers what the HTTP/2 library does not tell: how it began, how it broke, and how much came.
//!
//! What the library writes piece by piece goes out at once when it flushes: in one segment, which no delay of small writes
//! (RFC 896) holds back, and to which a server cannot answer half.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;

/// How much of the beginning is remembered, bytes.
const BEGINNING: usize = 64;
/// Where the type of a frame stands in it, and what the first frame of a server must be (RFC 9113 sections 3.4, 4.1).
const SETTINGS: (usize, u8) = (3, 4);
/// So much waits to be flushed, bytes.
const HELD: usize = 32 * 1024;

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The first bytes that came.
    pub(super) beginning: Vec<u8>,
    /// The peer closed the connection.
    pub(super) closed: bool,
    /// The error that ended it, as the system gave it: the library keeps only its kind.
    pub(super) trouble: Option<io::Error>,
    /// More came than is taken.
    pub(super) too_much: bool,
    /// How many more bytes are taken.
    left: usize,
}

impl Seen {
    /// Whether what came cannot be the beginning of HTTP/2.
    pub(super) fn is_something_else(&self) -> bool {
        let (place, settings) = SETTINGS;
        match self.beginning.get(place) {
            Some(&kind) => kind != settings,
            // A frame has nine bytes at least.
            None => self.closed && !self.beginning.is_empty(),
        }
    }
}

/// The other end of a [`Tap`].
#[derive(Clone, Debug, Default)]
pub(super) struct Record(Arc<Mutex<Seen>>);

impl Record {
    pub(super) fn look(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on so many bytes may come: what a server says besides its answer is limited, too.
    pub(super) fn allow(&self, bytes: usize) {
        self.look().left = bytes;
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tap {
    stream: Stream,
    record: Record,
    /// What was written and not flushed.
    held: Vec<u8>,
    /// The peer takes no more. What it said before still counts, so the library must go on reading and hears it there.
    deaf: bool,
}

impl Tap {
    pub(super) fn new(stream: Stream, record: Record) -> Self {
        Tap { stream, record, held: Vec::new(), deaf: false }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sent = 0;
        let ended = loop {
            if sent == self.held.len() {
                break Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.stream).poll_write(cx, &self.held[sent..]) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => sent += written,
                Poll::Ready(Err(error)) if is_hung_up(&error) => {
                    self.deaf = true;
                    sent = self.held.len();
                }
                Poll::Ready(Err(error)) => break Poll::Ready(Err(self.note(error))),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.held.drain(..sent);
        ended
    }

    fn note(&self, error: io::Error) -> io::Error {
        let copy = error.kind().into();
        self.record.look().trouble.get_or_insert(error);
        copy
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if let Err(error) = read {
            return Poll::Ready(Err(self.note(error)));
        }
        let came = &buffer.filled()[before..];
        let mut seen = self.record.look();
        let room = BEGINNING.saturating_sub(seen.beginning.len()).min(came.len());
        seen.beginning.extend_from_slice(&came[..room]);
        seen.closed |= came.is_empty();
        let Some(left) = seen.left.checked_sub(came.len()) else {
            seen.too_much = true;
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        };
        seen.left = left;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.len() >= HELD {
            ready!(self.poll_send(cx))?;
        }
        if !self.deaf {
            self.held.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        match ready!(Pin::new(&mut self.stream).poll_flush(cx)) {
            Err(error) if is_hung_up(&error) => {
                self.deaf = true;
                Poll::Ready(Ok(()))
            }
            flushed => Poll::Ready(flushed.map_err(|error| self.note(error))),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The peer has gone: reading tells what it said last, and how it went.
fn is_hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}
