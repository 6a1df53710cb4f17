//! A TXT record as one text, and back.
//!
//! One string of plain characters (printable ASCII without `"` and `\`) stands as it is. Everything else, several strings
//! above all, stands as in a zone file (RFC 1035 section 5.1): quoted, with `\DDD` for what is not plain. So two different
//! records never look alike, and a text without quotes is one string.

/// The text of a record of these strings.
pub(crate) fn text_of<S: AsRef<[u8]>>(strings: &[S]) -> String {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if let [one] = strings
        && one.as_ref().iter().all(plain)
    {
        return one.as_ref().iter().map(|byte| char::from(*byte)).collect();
    }
    let quoted = |string: &S| {
        let inner: String = string
            .as_ref()
            .iter()
            .map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("\\{byte:03}") })
            .collect();
        format!("\"{inner}\"")
    };
    strings.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// The strings of the record that has this text; `None` when no record has it.
pub(crate) fn strings_of(text: &str) -> Option<Vec<Vec<u8>>> {
    let strings = if text.starts_with('"') { quoted(text)? } else { vec![text.as_bytes().to_vec()] };
    let fits = strings.iter().all(|string| string.len() <= 255);
    (fits && text_of(&strings) == text).then_some(strings)
}

fn quoted(text: &str) -> Option<Vec<Vec<u8>>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    inner.split("\" \"").map(unescaped).collect()
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'\\' {
            let digits = std::str::from_utf8(tail.get(..3)?).ok()?;
            bytes.push(digits.parse().ok()?);
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_is_itself_and_everything_else_can_be_told_apart() {
        let cases: [(&[&[u8]], &str); 6] = [
            (&[b"v=failover1; a=b"], "v=failover1; a=b"),
            (&[b"one", b"two"], "\"one\" \"two\""),
            (&[b"one\" \"two"], "\"one\\034 \\034two\""),
            (&[b"a\\b"], "\"a\\092b\""),
            (&[b"\xff\x00"], "\"\\255\\000\""),
            (&[b"", b""], "\"\" \"\""),
        ];
        for (strings, text) in cases {
            assert_eq!(text_of(strings), text);
            assert_eq!(
                strings_of(text).as_deref(),
                Some(&strings.iter().map(|s| s.to_vec()).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn what_is_no_text_of_a_record() {
        for text in ["\"open", "\"a\\99\"", "\"a\\999\"", "a\"b", "\"plain\"", "\u{e9}", &"x".repeat(256)] {
            assert_eq!(strings_of(text), None, "{text}");
        }
    }
}
