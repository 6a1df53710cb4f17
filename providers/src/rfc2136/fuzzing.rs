//! What a primary server, or somebody on the way to it, may answer to a question or an update.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::base::Rtype;
use domain::base::iana::{Opcode, Rcode};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::client::{Client, Failure};
use super::fault::{self, Purpose};
use super::message::{self, Request};
use super::picture::Picture;
use super::sign::Signer;
use super::{badtime, records};
use crate::{DomainName, Fault, RecordType, TsigAlgorithm, TsigConfig, Ttl};

/// The key, and what must be told nowhere.
const SECRET: [u8; 32] = *b"Hunter2-Hunter2-Hunter2-Hunter2!";
/// What the clock shows, Unix seconds.
const NOW: u64 = 1_795_348_800;
const ID: u16 = 0x1234;

/// The first octet says what was asked, by whom, and whether the answer is signed with the right key.
///
/// An answer to something else is never taken; one that the key did not sign is never taken for one that it did, nor for
/// the server's clock; a fault says why and tells no secret.
pub(crate) fn dns_update(data: &[u8]) {
    let Some((&first, octets)) = data.split_first() else { return };
    let (is_update, has_key) = (first & 1 == 1, first & 2 != 0);
    let (client, name) = (client(has_key), name("www.example.test"));
    let request = if is_update { update() } else { message::question(&name, Rtype::A, ID) };
    let mut sent = request.clone();
    let transaction = client.signer().map(|signer| signer.sign(&mut sent).expect("there is room"));
    let sent = sent.finish().into_target();
    let mut answer = octets.to_vec();
    if first & 0x80 == 0 && answer.len() >= 2 {
        answer[..2].copy_from_slice(&ID.to_be_bytes());
    }
    let signature =
        if has_key && first & 4 != 0 { signed(client, &sent, &answer, first & 8 != 0) } else { None };
    let is_signed = signature.is_some();
    answer = signature.unwrap_or(answer);
    let purpose = if is_update { Purpose::Swap } else { Purpose::Read };
    let reply = match client.check(answer.clone(), &request, &sent, transaction.as_ref()) {
        Ok(reply) => reply,
        Err(failure) => {
            assert!(
                is_signed || !matches!(failure, Failure::BadTime(_)),
                "a clock that nobody signed is believed"
            );
            return told(&fault::of_failure(failure, purpose, client));
        }
    };
    assert!(answer[2] & 0x80 != 0, "a question is taken for an answer");
    assert_eq!(answer[2] >> 3 & 15, if is_update { 5 } else { 0 }, "the answer to another kind of request");
    assert_eq!(reply.is_unverified(), has_key && !is_signed, "who signed it is taken for somebody else");
    assert!(reply.signed_at().is_none() || is_signed);
    if reply.rcode() == Rcode::NOERROR && reply.message.header().opcode() == Opcode::QUERY {
        assert!(
            octets[10..].windows(4).any(|part| part.eq_ignore_ascii_case(b"\x03www")),
            "the question is not repeated"
        );
    }
    for kind in RecordType::ANSWER {
        match records::record_set(&reply.message, &name, kind) {
            Ok(Some(set)) => {
                assert!(set.record_type() == kind && set.ttl <= Ttl::MAX);
                assert!(reply.answers(&name, message::rtype(kind)), "a set that nobody sent");
            }
            Ok(None) => {}
            Err(fault) => told(&fault),
        }
    }
    let zone = crate::fuzzing::ZONE.parse().expect("a name");
    let mut picture = Picture::new(&zone, std::slice::from_ref(&name));
    if picture.take(&reply.message).is_ok()
        && let Some(seen) = picture.snapshot(&name)
    {
        assert!(picture.is_whole() && seen.name == name, "a part is taken for a zone");
        for kind in seen.sets.keys() {
            assert!(reply.answers(&name, message::rtype(*kind)), "a set that no transfer had");
        }
    }
    let fault = fault::of_refusal(&reply, purpose, &zone, client);
    assert!(
        !reply.is_unverified() || !matches!(fault, Fault::Conflict(_)),
        "a conflict that nobody signed is believed"
    );
    told(&fault);
}

/// The answer as a server with the key would send it (RFC 8945 section 5.3): first with an empty signature, so that what
/// is signed is what the other end takes apart. `None` for what no server can sign, since it ends before its end.
fn signed(client: &Client, sent: &[u8], unsigned: &[u8], bad_time: bool) -> Option<Vec<u8>> {
    let count = u16::from_be_bytes(unsigned.get(10..12)?.try_into().ok()?).checked_add(1)?;
    let record = |mac: &[u8]| {
        let mut data = b"\x0bhmac-sha256\0".to_vec();
        data.extend(&NOW.to_be_bytes()[2..]);
        data.extend([1, 44, 0, u8::try_from(mac.len()).expect("32 octets")]);
        data.extend(mac);
        data.extend(ID.to_be_bytes());
        let other: &[u8] = if bad_time { &[0, 18, 0, 6, 0, 0, 0x6a, 0xff, 0xff, 0xff] } else { &[0; 4] };
        data.extend(other);
        let mut record = b"\x03key\0\0\xfa\0\xff\0\0\0\0".to_vec();
        record.extend(u16::try_from(data.len()).expect("a short record").to_be_bytes());
        record.extend(data);
        let mut answer = [unsigned, &record].concat();
        answer[10..12].copy_from_slice(&count.to_be_bytes());
        answer
    };
    let blank = record(&[0; 32]);
    let ((_, _, asked), (start, _, told)) = (badtime::tsig_of(sent)?, badtime::tsig_of(&blank)?);
    if start != unsigned.len() {
        return None;
    }
    let data = badtime::digested(&asked, &blank[..start], &told, client.signer()?.key())?;
    let mac =
        Hmac::<Sha256>::new_from_slice(&SECRET).expect("HMAC takes any key").chain_update(data).finalize();
    Some(record(&mac.into_bytes()))
}

fn told(fault: &Fault) {
    let text = fault.to_string();
    assert!(!text.is_empty() && text.len() < 4096, "{text}");
    assert!(!text.contains("Hunter2") && !text.contains(&STANDARD.encode(SECRET)), "{text}");
}

fn update() -> Request {
    let now = crate::Snapshot {
        name: name("www.example.test"),
        sets: std::collections::BTreeMap::new(),
        version: crate::Version::Values,
        marker: None,
        native: serde_json::Value::Null,
    };
    let mut request = message::question_of_permission(&name("example.test"), &now, &[RecordType::A].into());
    request.header_mut().set_id(ID);
    request
}

fn name(text: &str) -> DomainName {
    text.parse().expect("a name")
}

fn client(has_key: bool) -> &'static Client {
    static CLIENTS: OnceLock<[Client; 2]> = OnceLock::new();
    let server: SocketAddr = ([192, 0, 2, 53], 53).into();
    let make = |signer| Client::new(server, Duration::from_secs(5), signer);
    let clients = CLIENTS.get_or_init(|| {
        let secret = STANDARD.encode(SECRET).into();
        let key = TsigConfig { name: name("key"), algorithm: TsigAlgorithm::HmacSha256, secret };
        [make(None), make(Some(Signer::new(&key, || NOW).expect("a key")))]
    });
    &clients[usize::from(has_key)]
}
