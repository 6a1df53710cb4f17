//! Finding what was expected in what came.

use std::fmt::Write as _;

use super::BodyMatch;

/// How much of what a server said is repeated in a message, bytes.
const EXCERPT: usize = 60;

/// Whether `wanted` is in `text`. A regular expression sees bytes that are no UTF-8 as U+FFFD.
pub(super) fn found(wanted: &BodyMatch, text: &[u8]) -> bool {
    match wanted {
        BodyMatch::Contains(part) => contains(text, part.as_bytes()),
        BodyMatch::Regex(regex) => regex.is_match(&String::from_utf8_lossy(text)),
    }
}

/// As [`found`], where all but the last `new` bytes were searched before.
pub(super) fn found_in_new(wanted: &BodyMatch, text: &[u8], new: usize) -> bool {
    match wanted {
        BodyMatch::Contains(part) => {
            let from = text.len().saturating_sub(new).saturating_sub(part.len());
            contains(&text[from..], part.as_bytes())
        }
        // A match may reach back to the beginning, so all is searched again: at most 64 KiB, in linear time.
        BodyMatch::Regex(_) => found(wanted, text),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

/// What was wanted, for a message: `"ok"`, or `a match of /^ok/`.
pub(super) fn wanted(wanted: &BodyMatch) -> String {
    match wanted {
        BodyMatch::Contains(part) => excerpt(part.as_bytes()),
        BodyMatch::Regex(regex) => format!("a match of /{regex}/"),
    }
}

/// The beginning of foreign bytes, made harmless for a terminal and a chat: quoted, one line, control
/// characters escaped.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    let mut cut = bytes.len().min(EXCERPT);
    // Not through the middle of a character.
    while cut < bytes.len() && cut > 0 && bytes[cut] & 0xC0 == 0x80 {
        cut -= 1;
    }
    let mut quoted = String::from("\"");
    for chunk in bytes[..cut].utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                quoted.extend(character.escape_default());
            } else {
                quoted.push(character);
            }
        }
        for byte in chunk.invalid() {
            write!(quoted, "\\x{byte:02x}").expect("a string takes all");
        }
    }
    quoted.push('"');
    if cut < bytes.len() {
        quoted.push_str("...");
    }
    quoted
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn a_match_across_two_reads_is_found() {
        let ok = BodyMatch::Contains("all good".into());
        assert!(!found_in_new(&ok, b"xx all g", 8));
        assert!(found_in_new(&ok, b"xx all good", 3));
        assert!(!found_in_new(&ok, b"xx all goon", 3));
        assert!(found(&BodyMatch::Contains(String::new()), b""));
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hide_a_match() {
        let regex = BodyMatch::Regex(Regex::new("o+k$").unwrap());
        assert!(found(&regex, b"\xff\xfe ook"));
        assert!(!found(&regex, b"ook\xff"));
    }

    #[test]
    fn an_excerpt_is_harmless() {
        assert_eq!(excerpt(b"ok\r\n\x1b[31m"), r#""ok\r\n\u{1b}[31m""#);
        assert_eq!(excerpt(b"\xffok"), r#""\xffok""#);
        assert_eq!(excerpt("é".as_bytes()), "\"é\"");
        let long = excerpt("é".repeat(100).as_bytes());
        assert!(long.ends_with("é\"...") && long.chars().count() == 30 + 5, "{long}");
    }
}
