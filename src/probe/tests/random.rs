//! Whatever a server sends: no panic, no more memory than the limits, and the same answer however it is cut.

use proptest::prelude::*;

use crate::probe::body::{Body, Flow};
use crate::probe::response::{Framing, Garbled, Head, HeadReader, MAX_HEAD};

const LIMIT: usize = 64;

type Read = (Result<Option<Head>, Garbled>, Vec<u8>);

/// Reads `wire` in pieces as the exchange does.
fn read<'w>(pieces: impl Iterator<Item = &'w [u8]>) -> Read {
    let mut reader = HeadReader::new();
    let mut body: Option<(Head, Body)> = None;
    for piece in pieces {
        reader.buffer.extend_from_slice(piece);
        if body.is_none() {
            match reader.take(false) {
                Err(garbled) => return (Err(garbled), Vec::new()),
                Ok(None) => continue,
                Ok(Some(head)) => body = Some((head.clone(), Body::new(head.framing, LIMIT))),
            }
        }
        let rest = std::mem::take(&mut reader.buffer);
        let (_, body) = body.as_mut().expect("set above");
        match body.feed(&rest) {
            Ok(Flow::More) => {}
            Ok(_) => break,
            Err(garbled) => return (Err(garbled), Vec::new()),
        }
    }
    match body {
        Some((head, body)) => (Ok(Some(head)), body.text),
        None => (Ok(None), Vec::new()),
    }
}

/// Looks like a response often enough to come far.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Just(b"HTTP/1.0 301 Moved\nLocation: /x?y\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        (0..99u8).prop_map(|n| format!("Content-Length: {n}\r\n").into_bytes()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        (0..20usize).prop_map(|n| [format!("{n:x}\r\n").as_bytes(), &vec![b'x'; n], b"\r\n"].concat()),
        Just(b"0\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// bad day: target: speaks garbage | one verdict within the time-out and the limits, whatever the bytes
    #[test]
    fn any_bytes_in_any_pieces_give_one_answer_within_the_limits(wire in wire(), size in 1..50usize) {
        let at_once = read(std::iter::once(&wire[..]));
        let in_pieces = read(wire.chunks(size));
        prop_assert!(at_once.1.len() <= LIMIT);
        // What is no HTTP is named by its beginning, which is shorter when it came in pieces.
        let nameless = |read: &Read| matches!(read.0, Err(Garbled::NotHttp(_)));
        prop_assert!(at_once == in_pieces || nameless(&at_once) && nameless(&in_pieces), "{at_once:?} {in_pieces:?}");
    }

    /// bad day: target: sends headers without end | a failure at the limit of 16 KiB
    #[test]
    fn an_endless_head_ends(line in "[a-zA-Z: ]{1,40}\r\n") {
        let mut reader = HeadReader::new();
        reader.buffer.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        let ended = std::iter::repeat_n(line.as_bytes(), 2 * MAX_HEAD).find_map(|line| {
            reader.buffer.extend_from_slice(line);
            reader.take(false).err()
        });
        prop_assert!(ended.is_some());
        prop_assert!(reader.buffer.len() <= MAX_HEAD + line.len());
    }

    #[test]
    fn chunks_come_out_as_they_went_in(texts in proptest::collection::vec("[a-z]{1,9}", 0..7)) {
        let mut wire: Vec<u8> = texts.iter().flat_map(|t| format!("{:X}\r\n{t}\r\n", t.len()).into_bytes()).collect();
        wire.extend_from_slice(b"0\r\n\r\n");
        let mut body = Body::new(Framing::Chunked, LIMIT);
        prop_assert_eq!(body.feed(&wire), Ok(Flow::Whole));
        prop_assert_eq!(body.text, texts.concat().into_bytes());
    }
}
