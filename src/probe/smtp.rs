//! STARTTLS of SMTP (RFC 3207), up to the handshake.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Step;
use super::engine::Socket;
use super::progress::{Phase, Progress};
use super::search::excerpt;
use super::trouble::classify;
use crate::decision::Outcome;

/// The largest reply that is read, all its lines together, bytes. A line has at most 512 (RFC 5321 section 4.5.3.1.5).
const MAX_REPLY: usize = 8 * 1024;

/// Talks until the server is ready for the handshake; the next byte on the stream is TLS.
///
/// Every reply must be the last thing that the server has said: a server does not speak unasked here, and what comes in
/// plain text after its word for STARTTLS would else be taken for protected (CVE-2011-0411).
pub(super) async fn starttls(stream: &mut Socket, peer: SocketAddr, progress: &mut Progress<'_>) -> Step<()> {
    stream.send_at_once();
    let mut talk = Talk { stream, peer, progress };
    talk.hear("greeting", 220).await?;
    let hello = match talk.stream.local_addr().map(|local| local.ip().to_canonical()) {
        Ok(address @ std::net::IpAddr::V6(_)) => format!("EHLO [IPv6:{address}]\r\n"),
        Ok(address) => format!("EHLO [{address}]\r\n"),
        Err(error) => return Err(classify(&error, "asking for our own address", peer)),
    };
    let offers = talk.ask(&hello, "answer to EHLO", 250).await?;
    if !offers.iter().skip(1).any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS")) {
        return Err(Outcome::Fail("the server does not offer STARTTLS in its answer to EHLO".to_owned()));
    }
    talk.ask("STARTTLS\r\n", "answer to STARTTLS", 220).await.map(drop)
}

struct Talk<'t, 'p> {
    stream: &'t mut Socket,
    peer: SocketAddr,
    progress: &'t mut Progress<'p>,
}

impl Talk<'_, '_> {
    async fn ask(&mut self, line: &str, what: &'static str, wanted: u16) -> Step<Vec<String>> {
        self.progress.phase = Phase::Send;
        let sent = self.stream.write_all(line.as_bytes()).await;
        sent.map_err(|error| classify(&error, "sending", self.peer))?;
        self.hear(what, wanted).await
    }

    /// The texts of the lines of a reply that has this code.
    async fn hear(&mut self, what: &'static str, wanted: u16) -> Step<Vec<String>> {
        self.progress.phase = Phase::Said(what);
        let mut text = Vec::with_capacity(512);
        loop {
            match reply(&text) {
                Heard::More if text.len() >= MAX_REPLY => {
                    return Err(Outcome::Fail(format!("SMTP: the {what} is longer than {MAX_REPLY} bytes")));
                }
                Heard::More => {}
                Heard::Garbled => {
                    return Err(Outcome::Fail(format!("SMTP: the {what} is none: {}", excerpt(&text))));
                }
                Heard::Whole { unasked, .. } if unasked > 0 => {
                    return Err(Outcome::Fail(format!(
                        "SMTP: {unasked} bytes came unasked after the {what}: the server is broken, or somebody \
                         on the way adds to what it says"
                    )));
                }
                Heard::Whole { code, lines, .. } if code == wanted => return Ok(lines),
                Heard::Whole { .. } => {
                    let said = excerpt(text.trim_ascii_end());
                    return Err(Outcome::Fail(format!("SMTP: the {what} is {said}, wanted {wanted}")));
                }
            }
            self.more(&mut text, what).await?;
        }
    }

    async fn more(&mut self, text: &mut Vec<u8>, what: &'static str) -> Step<()> {
        let room = (MAX_REPLY - text.len()) as u64;
        let read = (&mut *self.stream).take(room).read_buf(text).await;
        match read.map_err(|error| classify(&error, "SMTP", self.peer))? {
            0 => Err(Outcome::Fail(format!("SMTP: closed the connection before the {what} was finished"))),
            read => {
                self.progress.received(read);
                Ok(())
            }
        }
    }
}

/// What there is so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    More,
    Garbled,
    Whole { code: u16, lines: Vec<String>, unasked: usize },
}

/// RFC 5321 section 4.2.1: lines of one code, `250-` each, `250 ` (or `250` alone) the last. A bare LF ends a line.
pub(super) fn reply(text: &[u8]) -> Heard {
    let (mut first, mut lines, mut used) = (None, Vec::new(), 0);
    for raw in text.split_inclusive(|&byte| byte == b'\n') {
        // Also of a line that has not ended: whoever speaks another protocol need not be heard to the end.
        let begins = &raw[..raw.len().min(3)];
        if !begins.trim_ascii_end().iter().all(u8::is_ascii_digit) {
            return Heard::Garbled;
        }
        let Some(line) = raw.strip_suffix(b"\n") else { return Heard::More };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let code = line.get(..3).and_then(|code| std::str::from_utf8(code).ok()?.parse::<u16>().ok());
        let (Some(code), more) = (code, line.get(3)) else { return Heard::Garbled };
        if *first.get_or_insert(code) != code || !matches!(more, None | Some(b' ' | b'-')) {
            return Heard::Garbled;
        }
        lines.push(String::from_utf8_lossy(line.get(4..).unwrap_or_default()).into_owned());
        used += raw.len();
        if more != Some(&b'-') {
            return Heard::Whole { code, lines, unasked: text.len() - used };
        }
    }
    Heard::More
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(code: u16, lines: &[&str], unasked: usize) -> Heard {
        Heard::Whole { code, lines: lines.iter().map(|line| (*line).to_owned()).collect(), unasked }
    }

    #[test]
    fn replies_of_one_line_and_of_several() {
        assert_eq!(reply(b"220 mx ESMTP\r\n"), whole(220, &["mx ESMTP"], 0));
        assert_eq!(reply(b"220\r\n"), whole(220, &[""], 0));
        assert_eq!(
            reply(b"250-mx\r\n250-SIZE 1\r\n250 STARTTLS\r\n"),
            whole(250, &["mx", "SIZE 1", "STARTTLS"], 0)
        );
        assert_eq!(reply(b"220 go\r\nRSET\r\n"), whole(220, &["go"], 6));
        for more in ["", "2", "220", "220-", "220 mx", "220-mx\r\n", "220-mx\r\n220"] {
            assert_eq!(reply(more.as_bytes()), Heard::More, "{more:?}");
        }
        for garbled in [
            "SSH-2.0",
            "HTTP/1.1 200 OK\r\n",
            "2x0 a\r\n",
            "22\r\n",
            "220_a\r\n",
            "220-a\r\n250 b\r\n",
            "\r\n",
        ] {
            assert_eq!(reply(garbled.as_bytes()), Heard::Garbled, "{garbled:?}");
        }
    }
}
