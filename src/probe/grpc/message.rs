//! The two messages of the health protocol, and how gRPC frames them. No I/O.
//!
//! Sources: grpc/doc/health-checking.md, grpc/doc/PROTOCOL-HTTP2.md (Length-Prefixed-Message), and the encoding of
//! protocol buffers, <https://protobuf.dev/programming-guides/encoding/>.

use bytes::Bytes;

/// A compressed-flag and a length go before each message, bytes.
const PREFIX: usize = 5;
/// The largest message that is read, bytes. The answer of the protocol has two.
const MAX_MESSAGE: usize = 4 * 1024;
/// The largest body that is read: one message, and a byte that shows that there is more.
pub(super) const MAX_BODY: usize = PREFIX + MAX_MESSAGE + 1;

/// The field `service` of `HealthCheckRequest`, and `status` of `HealthCheckResponse`.
const FIELD: u64 = 1;
/// The wire types of protocol buffers.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

/// `HealthCheckResponse.ServingStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Health {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
    /// A value that the protocol does not have.
    Other(u64),
}

/// An answer that is not by the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::probe) enum Garbled {
    #[error("the answer holds no message")]
    Nothing,
    #[error("the message of the answer is compressed, which nobody asked for")]
    Compressed,
    #[error("the message of the answer is larger than {MAX_MESSAGE} bytes: it has {0}")]
    TooLarge(u32),
    #[error("the message of the answer is cut off")]
    CutOff,
    #[error("the answer holds more than one message")]
    TooMany,
    #[error("the message of the answer is garbled")]
    Message,
}

/// The request as the body of a call.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = Vec::with_capacity(service.len() + 4);
    // A field with its default value is not sent.
    if !service.is_empty() {
        push_varint(&mut message, FIELD << 3 | BYTES);
        push_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut body = Vec::with_capacity(PREFIX + message.len());
    body.push(0);
    body.extend_from_slice(&length.to_be_bytes());
    body.append(&mut message);
    body.into()
}

/// What the body of the answer says.
pub(in crate::probe) fn answer(body: &[u8]) -> Result<Health, Garbled> {
    let Some((&[flag, ref length @ ..], message)) = body.split_first_chunk::<PREFIX>() else {
        return Err(if body.is_empty() { Garbled::Nothing } else { Garbled::CutOff });
    };
    if flag != 0 {
        return Err(Garbled::Compressed);
    }
    let length = u32::from_be_bytes(*length);
    match message.len().cmp(&(length as usize)) {
        _ if length as usize > MAX_MESSAGE => Err(Garbled::TooLarge(length)),
        std::cmp::Ordering::Less => Err(Garbled::CutOff),
        std::cmp::Ordering::Greater => Err(Garbled::TooMany),
        std::cmp::Ordering::Equal => status(message).ok_or(Garbled::Message),
    }
}

/// The field `status`: the last one counts, other fields are skipped, none means 0. `None` for what is no message.
fn status(mut message: &[u8]) -> Option<Health> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let (field, kind) = (tag >> 3, tag & 7);
        match kind {
            VARINT => {
                let value = take_varint(&mut message)?;
                status = if field == FIELD { value } else { status };
            }
            // The field itself is never of another kind.
            _ if field == FIELD || field == 0 => return None,
            FIXED_64 => message = message.get(8..)?,
            FIXED_32 => message = message.get(4..)?,
            BYTES => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            // Groups are long gone.
            _ => return None,
        }
    }
    Some(match status {
        0 => Health::Unknown,
        1 => Health::Serving,
        2 => Health::NotServing,
        3 => Health::ServiceUnknown,
        other => Health::Other(other),
    })
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

/// At most ten bytes; what does not fit 64 bits is refused.
fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if place == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
        body.extend_from_slice(message);
        body
    }

    #[test]
    fn the_question_on_the_wire() {
        assert_eq!(&request("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&request("db")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'd', b'b']);
        let long = request(&"x".repeat(300));
        assert_eq!(&long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn the_answers_of_the_protocol() {
        let said = [Health::Unknown, Health::Serving, Health::NotServing, Health::ServiceUnknown];
        for (number, serving) in (0..).zip(said) {
            assert_eq!(answer(&framed(&[0x08, number])), Ok(serving));
        }
        assert_eq!(answer(&framed(&[])), Ok(Health::Unknown), "0 is not sent");
        assert_eq!(answer(&framed(&[0x08, 0xac, 0x02])), Ok(Health::Other(300)));
    }

    /// A later version of the protocol may have more fields.
    #[test]
    fn fields_nobody_knows_are_skipped() {
        let fields = [
            &[0x10, 0x96, 0x01][..],
            &[0x19, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x22, 2, b'h', b'i'],
            &[0x2d, 1, 2, 3, 4],
        ];
        for field in fields {
            let before = framed(&[field, &[0x08, 1]].concat());
            let after = framed(&[&[0x08, 1], field].concat());
            assert_eq!((answer(&before), answer(&after)), (Ok(Health::Serving), Ok(Health::Serving)));
            for end in 1..field.len() {
                assert_eq!(answer(&framed(&field[..end])), Err(Garbled::Message), "{field:?} cut at {end}");
            }
        }
        assert_eq!(answer(&framed(&[0x08, 2, 0x08, 1])), Ok(Health::Serving), "the last counts");
    }

    #[test]
    fn garbled_messages_are_named() {
        assert_eq!(answer(b""), Err(Garbled::Nothing));
        assert_eq!(answer(&[0, 0, 0, 0]), Err(Garbled::CutOff));
        assert_eq!(answer(&[0, 0, 0, 0, 2, 8]), Err(Garbled::CutOff));
        assert_eq!(answer(&[1, 0, 0, 0, 2, 8, 1]), Err(Garbled::Compressed));
        assert_eq!(answer(&[0, 0, 0, 0, 2, 8, 1, 0]), Err(Garbled::TooMany));
        assert_eq!(answer(&[0, 0xff, 0xff, 0xff, 0xff, 8]), Err(Garbled::TooLarge(u32::MAX)));
        // A status of another kind, field 0, a group, a number of more than 64 bits.
        for wrong in
            [&[0x0a, 1, 1][..], &[0x02, 0], &[0x13], &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]]
        {
            assert_eq!(answer(&framed(wrong)), Err(Garbled::Message), "{wrong:?}");
        }
    }
}
