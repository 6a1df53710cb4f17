//! The body of an HTTP/1.1 response, decoded as it comes. No I/O.

use super::response::{Framing, Garbled};

/// The most bytes a chunk's size line, or a trailer section, may have.
const MAX_LINE: usize = 4096;

/// What more is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// More bytes.
    More,
    /// Nothing: this is the whole body.
    Whole,
    /// Nothing: the limit is reached, the rest is not looked at.
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are still to come; then the body is whole, or the next chunk begins.
    Data {
        left: u64,
        chunked: bool,
    },
    /// Until the connection is closed.
    Endless,
    /// In a chunk's size line; `after` the digits when something else was seen.
    Size {
        size: Option<u64>,
        after: bool,
        len: usize,
    },
    /// At the line end after a chunk's data.
    ChunkEnd,
    /// In the middle of that line end.
    ChunkLineFeed,
    /// In the trailer section; `empty` when nothing is in the present line yet.
    Trailer {
        empty: bool,
        len: usize,
    },
    Done,
}

/// A body being read, at most `limit` bytes of it.
#[derive(Debug)]
pub(super) struct Body {
    state: State,
    limit: usize,
    /// What came, decoded.
    pub(super) text: Vec<u8>,
    /// More came than the body.
    pub(super) is_exceeded: bool,
}

impl Body {
    pub(super) fn new(framing: Framing, limit: usize) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Data { left, chunked: false },
            Framing::UntilClose => State::Endless,
            Framing::Chunked => NEXT_CHUNK,
        };
        Body { state, limit, text: Vec::new(), is_exceeded: false }
    }

    /// Takes the next bytes from the connection. What follows the body's end is only noted.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<Flow, Garbled> {
        while !bytes.is_empty() && self.text.len() < self.limit {
            let room = self.limit - self.text.len();
            match self.state {
                State::Done => break,
                State::Endless => {
                    self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    break;
                }
                State::Data { left, chunked } => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()).min(room);
                    self.text.extend_from_slice(&bytes[..here]);
                    bytes = &bytes[here..];
                    self.state = match (left - here as u64, chunked) {
                        (0, false) => State::Done,
                        (0, true) => State::ChunkEnd,
                        (left, chunked) => State::Data { left, chunked },
                    };
                }
                between => {
                    self.state = step(between, bytes[0])?;
                    bytes = &bytes[1..];
                }
            }
        }
        self.is_exceeded |= self.state == State::Done && !bytes.is_empty();
        Ok(match self.state {
            State::Done => Flow::Whole,
            _ if self.text.len() >= self.limit => Flow::Full,
            _ => Flow::More,
        })
    }

    /// The connection was closed.
    pub(super) fn end(&mut self) -> Result<Flow, Garbled> {
        match self.state {
            State::Done | State::Endless => Ok(Flow::Whole),
            _ => Err(Garbled::CutOff("body")),
        }
    }
}

const NEXT_CHUNK: State = State::Size { size: None, after: false, len: 0 };

/// One byte between the chunks (RFC 9112 section 7.1). A bare LF ends a line, as with most recipients.
fn step(state: State, byte: u8) -> Result<State, Garbled> {
    match (state, byte) {
        (State::Size { len: MAX_LINE.., .. } | State::Trailer { len: MAX_LINE.., .. }, _) => {
            Err(Garbled::Chunk)
        }
        (State::Size { size: Some(0), .. }, b'\n') => Ok(State::Trailer { empty: true, len: 0 }),
        (State::Size { size: Some(left), .. }, b'\n') => Ok(State::Data { left, chunked: true }),
        (State::Size { size, after: false, len }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
            let digit = (byte as char).to_digit(16).expect("a hexadecimal digit");
            let size = size.unwrap_or(0).checked_mul(16).ok_or(Garbled::Chunk)? + u64::from(digit);
            Ok(State::Size { size: Some(size), after: false, len: len + 1 })
        }
        (State::Size { size: Some(size), after, len }, byte)
            if after || matches!(byte, b';' | b' ' | b'\t' | b'\r') =>
        {
            Ok(State::Size { size: Some(size), after: true, len: len + 1 })
        }
        (State::ChunkEnd, b'\r') => Ok(State::ChunkLineFeed),
        (State::ChunkEnd | State::ChunkLineFeed, b'\n') => Ok(NEXT_CHUNK),
        (State::Trailer { empty: true, .. }, b'\n') => Ok(State::Done),
        (State::Trailer { len, .. }, b'\n') => Ok(State::Trailer { empty: true, len: len + 1 }),
        (State::Trailer { empty, len }, b'\r') => Ok(State::Trailer { empty, len: len + 1 }),
        (State::Trailer { len, .. }, _) => Ok(State::Trailer { empty: false, len: len + 1 }),
        _ => Err(Garbled::Chunk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole input at once, then byte by byte: both must say the same.
    fn read(framing: Framing, limit: usize, bytes: &[u8]) -> (Result<Flow, Garbled>, Vec<u8>) {
        let mut at_once = Body::new(framing, limit);
        let said = at_once.feed(bytes);
        let mut bytewise = Body::new(framing, limit);
        let mut last = Ok(Flow::More);
        for byte in bytes {
            last = bytewise.feed(std::slice::from_ref(byte));
            if last != Ok(Flow::More) {
                break;
            }
        }
        assert_eq!((&said, &at_once.text), (&last, &bytewise.text));
        (said, at_once.text)
    }

    #[test]
    fn chunks_with_extensions_and_trailers() {
        let wire = b"4;name=\"v\"\r\nWiki\r\n05 \r\npedia\r\nA\nin chunks.\n0\r\nX: y\r\n\r\n";
        assert_eq!(read(Framing::Chunked, 100, wire), (Ok(Flow::Whole), b"Wikipediain chunks.".to_vec()));
        for end in 0..wire.len() {
            let mut cut = Body::new(Framing::Chunked, 100);
            assert_eq!(cut.feed(&wire[..end]), Ok(Flow::More));
            assert_eq!(cut.end(), Err(Garbled::CutOff("body")), "cut at {end}");
        }
    }

    #[test]
    fn garbled_chunks_are_refused() {
        let too_long = format!("1;{}", "x".repeat(MAX_LINE));
        for wrong in
            ["x", "\r\n", "-1\r\n", "1x\r\n", "10000000000000000\r\n", "1\r\nab", "1\r\na\r\r", &too_long]
        {
            assert_eq!(read(Framing::Chunked, 100, wrong.as_bytes()).0, Err(Garbled::Chunk), "{wrong:?}");
        }
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        assert_eq!(read(Framing::UntilClose, 3, b"abcdef"), (Ok(Flow::Full), b"abc".to_vec()));
        assert_eq!(read(Framing::Length(6), 3, b"abcdef"), (Ok(Flow::Full), b"abc".to_vec()));
        assert_eq!(read(Framing::Length(3), 3, b"abc"), (Ok(Flow::Whole), b"abc".to_vec()));
        assert_eq!(read(Framing::Chunked, 3, b"ffffffffff\r\nabcdef"), (Ok(Flow::Full), b"abc".to_vec()));
    }

    #[test]
    fn a_closed_connection_ends_some_bodies_and_cuts_others() {
        assert_eq!(Body::new(Framing::UntilClose, 9).end(), Ok(Flow::Whole));
        assert_eq!(Body::new(Framing::Length(0), 9).end(), Ok(Flow::Whole));
        assert_eq!(Body::new(Framing::Empty, 9).feed(b"rest"), Ok(Flow::Whole));
        let mut short = Body::new(Framing::Length(5), 9);
        assert_eq!(short.feed(b"abc"), Ok(Flow::More));
        assert_eq!(short.end(), Err(Garbled::CutOff("body")));
    }
}
