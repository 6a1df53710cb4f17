//! The head of an HTTP/1.1 response, read from a growing buffer. No I/O: bytes in, facts out.

use std::io;
use std::mem::MaybeUninit;

use super::judge;
use super::search::excerpt;

/// The largest head that is read, interim responses included, bytes.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// The most header lines that are read.
pub(super) const MAX_HEADERS: usize = 100;

/// How the end of the body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunks, the last of them empty.
    Chunked,
    /// Until the connection is closed.
    UntilClose,
}

/// What the head of the final response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// Where a redirect points, without its query, which may hold secrets.
    pub(super) location: Option<String>,
    /// Whether the connection may be used again (RFC 9112 section 9.3). HTTP/1.0 never asks for it here.
    pub(super) keeps: bool,
}

/// The peer does not keep to HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Garbled {
    #[error("answered something that is not HTTP/1.1 and begins with {0}")]
    NotHttp(String),
    #[error("the head of the answer is larger than {} KiB", MAX_HEAD / 1024)]
    HeadTooLarge,
    #[error("the answer has more than {MAX_HEADERS} headers")]
    TooManyHeaders,
    #[error("the answer has no usable Content-Length: {0}")]
    Length(String),
    #[error("the chunks of the body are garbled")]
    Chunk,
    #[error("the connection was closed before the {0} was finished")]
    CutOff(&'static str),
}

/// Collects bytes until the final response's head is complete. Interim responses (1xx) are skipped.
#[derive(Debug)]
pub(super) struct HeadReader {
    /// What came and is not yet used. After the head: the beginning of the body.
    pub(super) buffer: Vec<u8>,
    /// The size of the interim responses that were skipped.
    skipped: usize,
    /// How much of the buffer holds no empty line.
    scanned: usize,
}

impl HeadReader {
    pub(super) fn new() -> Self {
        HeadReader { buffer: Vec::new(), skipped: 0, scanned: 0 }
    }

    /// The head, once it is complete. It is then taken from the buffer; `to_head` says that the request was HEAD.
    pub(super) fn take(&mut self, to_head: bool) -> Result<Option<Head>, Garbled> {
        loop {
            if !self.is_worth_parsing() {
                return self.unfinished();
            }
            // To clear room for a hundred headers takes longer than to read the three that come.
            let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut []);
            let parsed =
                lenient().parse_response_with_uninit_headers(&mut response, &self.buffer, &mut headers);
            let httparse::Status::Complete(len) = parsed.map_err(|error| self.garbled(error))? else {
                return self.unfinished();
            };
            if self.skipped + len > MAX_HEAD {
                return Err(Garbled::HeadTooLarge);
            }
            let status = response.code.unwrap_or(0);
            let interim = (100..200).contains(&status) && status != 101;
            let head = if interim {
                None
            } else {
                Some(head(status, response.version == Some(1), response.headers, to_head)?)
            };
            self.buffer.drain(..len);
            self.scanned = 0;
            if head.is_some() {
                return Ok(head);
            }
            self.skipped += len;
        }
    }

    /// Whether the head is complete, or is none. A head that comes byte by byte is so not parsed at every byte.
    fn is_worth_parsing(&mut self) -> bool {
        // Empty lines before the status line are ignored (RFC 9112 section 2.2).
        let begins =
            self.buffer.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(self.buffer.len());
        let from = self.scanned.saturating_sub(2).max(begins);
        self.scanned = self.buffer.len();
        let other = self.buffer[begins..].iter().zip(b"HTTP/").any(|(is, should)| is != should);
        let new = &self.buffer[from..];
        other || new.windows(2).any(|w| w == b"\n\n") || new.windows(3).any(|w| w == b"\n\r\n")
    }

    fn unfinished(&self) -> Result<Option<Head>, Garbled> {
        if self.skipped + self.buffer.len() >= MAX_HEAD { Err(Garbled::HeadTooLarge) } else { Ok(None) }
    }

    fn garbled(&self, error: httparse::Error) -> Garbled {
        match error {
            httparse::Error::TooManyHeaders => Garbled::TooManyHeaders,
            _ => Garbled::NotHttp(excerpt(&self.buffer)),
        }
    }
}

/// As browsers and curl read: a header line that is slightly wrong must not move a service to another host.
fn lenient() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .ignore_invalid_headers_in_responses(true);
    config
}

fn head(status: u16, is_1_1: bool, headers: &[httparse::Header<'_>], to_head: bool) -> Result<Head, Garbled> {
    let location = judge::location(status, values(headers, "location").next());
    let framing = match status {
        _ if to_head => Framing::Empty,
        101 | 204 | 304 => Framing::Empty,
        _ => framing(headers)?,
    };
    let mut options = values(headers, "connection").flat_map(|value| value.split(|&b| b == b','));
    let closes = options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
    let keeps = is_1_1 && !closes && status != 101 && framing != Framing::UntilClose;
    Ok(Head { status, framing, location, keeps })
}

fn framing(headers: &[httparse::Header<'_>]) -> Result<Framing, Garbled> {
    // Transfer-Encoding goes before Content-Length; a final coding other than chunked ends with the connection.
    if let Some(last) = values(headers, "transfer-encoding").last() {
        let coding = last.rsplit(|&b| b == b',').next().unwrap_or_default();
        let chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if chunked { Framing::Chunked } else { Framing::UntilClose });
    }
    // Repeated, it must say the same each time.
    let mut length = None;
    for value in values(headers, "content-length").flat_map(|value| value.split(|&b| b == b',')) {
        let value = value.trim_ascii();
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number =
            std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
        match (number, length) {
            (Some(number), None) => length = Some(number),
            (Some(number), Some(before)) if number == before => {}
            _ => return Err(Garbled::Length(excerpt(value))),
        }
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

fn values<'h>(headers: &'h [httparse::Header<'_>], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// Whether a read error is only a peer that ended TLS without saying so, as many do: an end of stream like others.
pub(super) fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8]) -> Result<Option<Head>, Garbled> {
        HeadReader { buffer: bytes.to_vec(), skipped: 0, scanned: 0 }.take(false)
    }

    fn framing_of(lines: &str) -> Result<Framing, Garbled> {
        take(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes()).map(|head| head.unwrap().framing)
    }

    #[test]
    fn a_head_byte_by_byte_leaves_the_body() {
        let mut reader = HeadReader::new();
        let (head, body) = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok");
        for &byte in &head[..head.len() - 1] {
            reader.buffer.push(byte);
            assert_eq!(reader.take(false), Ok(None));
        }
        reader.buffer.push(b'\n');
        reader.buffer.extend_from_slice(body);
        let expected = Head { status: 200, framing: Framing::Length(2), location: None, keeps: true };
        assert_eq!(reader.take(false), Ok(Some(expected)));
        assert_eq!(reader.buffer, body);
    }

    #[test]
    fn interim_responses_are_skipped_and_bounded() {
        let head =
            take(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 No\r\n\r\n");
        assert_eq!(head.unwrap().unwrap().status, 503);
        let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        assert_eq!(take(&endless), Err(Garbled::HeadTooLarge));
    }

    #[test]
    fn the_bodys_end_is_found_as_rfc_9112_says() {
        assert_eq!(framing_of(""), Ok(Framing::UntilClose));
        assert_eq!(framing_of("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing_of("Content-Length: 5, 5\r\ncontent-length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(
            framing_of("Content-Length: 5\r\nTransfer-Encoding: gzip, Chunked\r\n"),
            Ok(Framing::Chunked)
        );
        assert_eq!(framing_of("Transfer-Encoding: gzip\r\n"), Ok(Framing::UntilClose));
        for wrong in ["5\r\nContent-Length: 6", "-1", "+5", "5 6", "", "99999999999999999999"] {
            let answer = framing_of(&format!("Content-Length: {wrong}\r\n"));
            assert!(matches!(answer, Err(Garbled::Length(_))), "{wrong}: {answer:?}");
        }
        for status in ["204 No Content", "304 Not Modified"] {
            let head = take(format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n").as_bytes());
            assert_eq!(head.unwrap().unwrap().framing, Framing::Empty);
        }
        let mut to_head = HeadReader {
            buffer: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
            skipped: 0,
            scanned: 0,
        };
        assert_eq!(to_head.take(true).unwrap().unwrap().framing, Framing::Empty);
    }

    #[test]
    fn a_connection_is_kept_only_where_nothing_forbids_it() {
        let keeps = |head: &str| take(head.as_bytes()).unwrap().unwrap().keeps;
        assert!(keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(keeps("HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"));
        for forbidden in [
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x-y\r\nconnection: te , Close\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ] {
            assert!(!keeps(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn what_is_too_large_or_no_http_is_named() {
        let large = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        assert_eq!(take(large.as_bytes()), Err(Garbled::HeadTooLarge));
        assert_eq!(take(format!("{large}\r\n\r\n").as_bytes()), Err(Garbled::HeadTooLarge));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
        assert_eq!(take(many.as_bytes()), Err(Garbled::TooManyHeaders));
        assert_eq!(
            take(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap_err().to_string(),
            r#"answered something that is not HTTP/1.1 and begins with "SSH-2.0-OpenSSH_9.2\r\n""#
        );
        assert!(take(b"\0\x01\x02").is_err());
    }

    #[test]
    fn small_faults_that_browsers_take_pass() {
        for head in ["HTTP/1.0 200 \r\n\r\n", "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 OK\n\n"] {
            assert_eq!(take(head.as_bytes()).unwrap().unwrap().status, 200, "{head:?}");
        }
        assert_eq!(framing_of("not a header\r\nContent-Length : 5\r\n"), Ok(Framing::Length(5)));
    }

    /// Found by chance: the empty lines before the head must not count as its end.
    #[test]
    fn empty_lines_before_the_head_are_ignored() {
        assert_eq!(take(b"\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\0"), Ok(None));
        assert_eq!(take(b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").unwrap().unwrap().status, 200);
    }

    #[test]
    fn a_redirect_is_named_without_its_query() {
        let head = take(b"HTTP/1.1 301 Moved\r\nLocation: https://www.workshopco.ca/?token=hush\r\n\r\n");
        assert_eq!(head.unwrap().unwrap().location.as_deref(), Some("\"https://www.workshopco.ca/\""));
    }
}
