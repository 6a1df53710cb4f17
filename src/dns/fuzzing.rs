//! Messages from DNS servers, and values as somebody may write them.

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};

use super::value::PLAIN;
use super::{Question, Reply, WRITABLE, text_from, text_of};

/// The types that are asked for in turn.
const KINDS: [RecordType; 6] =
    [RecordType::A, RecordType::AAAA, RecordType::CNAME, RecordType::SOA, RecordType::TXT, RecordType::MX];
/// The number of every question here.
const ID: u16 = 0x1234;

/// The question of an input, and the message that answers it or not. The first octet says what is asked for; all of its
/// high bits but one say that the number is to be the right one.
pub(crate) fn answered(data: &[u8]) -> Option<(Question, Box<Message>)> {
    let (&first, octets) = data.split_first()?;
    let kind = KINDS[usize::from(first & 7) % KINDS.len()];
    let name = Name::from_ascii(if kind == RecordType::SOA { "example.test." } else { "www.example.test." })
        .expect("a name");
    let mut octets = octets.to_vec();
    if first & 0x80 == 0 && octets.len() >= 2 {
        octets[..2].copy_from_slice(&ID.to_be_bytes());
    }
    let question = Question::numbered(ID, Query::query(name, kind));
    match question.read(&octets) {
        Reply::NotOurs(why) => {
            assert!(!why.is_empty() && why.len() < 1024, "{why}");
            None
        }
        Reply::Truncated => {
            assert!(octets[2] & 2 != 0, "TC is not set");
            None
        }
        Reply::Answer(message) => {
            is_ours(&octets, &question);
            Some((question, message))
        }
    }
}

/// Read again by hand: the number, QR, the opcode, and the question octet by octet (RFC 1035 section 4.1).
fn is_ours(octets: &[u8], question: &Question) {
    assert_eq!(octets[..2], ID.to_be_bytes(), "the answer to another question");
    assert_eq!(octets[2] & 0xf8, 0x80, "no answer, or to another kind of question");
    let (asked, code) = (u16::from_be_bytes([octets[4], octets[5]]), octets[3] & 15);
    if asked == 0 {
        assert!(code != 0 && code != 3 || octets.len() > 12, "data without its question");
        return;
    }
    assert_eq!(asked, 1);
    let mut wanted = question.octets()[12..].to_vec();
    wanted.truncate(question.query().name.len() + 4);
    assert!(octets[12..].len() >= wanted.len() && octets[12..][..wanted.len()].eq_ignore_ascii_case(&wanted));
}

/// Every record's data has a form, which is bounded by what came.
pub(crate) fn forms(message: &Message) {
    for record in &message.answers {
        let form = text_of(&record.data);
        assert!(form.len() <= 512 * 1024, "{} octets for a record of 64 KiB at most", form.len());
    }
}

/// A value of a type that is written by hand is refused with a reason, or has a form that is itself when written again;
/// in types with quotes the library does not escape them, which does no harm where forms are only compared.
pub(crate) fn dns_value(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (kind, written) = text.split_once(' ').unwrap_or(("A", &text));
    for (_, kind) in WRITABLE.iter().filter(|(name, _)| *name == kind) {
        match text_from(*kind, written) {
            Ok(form) if PLAIN.contains(kind) => {
                assert_eq!(
                    text_from(*kind, &form).as_ref(),
                    Ok(&form),
                    "{kind}: another form of its own form"
                );
            }
            Ok(form) => assert!(form.len() <= 8 * text.len() + 64, "{} octets of {}", form.len(), text.len()),
            Err(why) => assert!(!why.is_empty()),
        }
    }
    if let Ok(name) = written.parse::<providers::DomainName>() {
        assert_eq!(name.fqdn().parse().as_ref(), Ok(&name), "a name is itself when it is written");
        assert!(name.as_str().len() <= 253);
        // The DNS has names with such labels (RFC 2181 section 11), the library writes none, and the configuration refuses them.
        let hyphen = name.as_str().split('.').any(|label| label.starts_with('-'));
        assert!(hyphen || Name::from_ascii(name.fqdn()).is_ok(), "a name that the wire cannot hold");
        let parents = std::iter::successors(Some(name.clone()), providers::DomainName::parent);
        assert!(parents.take(200).all(|parent| name.is_within(&parent)), "a name is within its parents");
    }
}
