//! The signature of a BADTIME answer (RFC 8945 section 5.2.3), the one answer that `domain` cannot verify: 0.12.3 hashes
//! its 48-bit Other Data as 64 bits (`tsig::Variables::sign`), so a right signature is a wrong one there.
//!
//! It is verified, because whoever could make us believe in another time could make us sign for that time.

use domain::base::iana::{Class, Rcode, TsigRcode};
use domain::base::{Message, ParsedName, ToName};
use domain::rdata::Tsig;
use domain::tsig::Key;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Sha256, Sha384, Sha512};

use crate::TsigAlgorithm;

/// The key once more, as the MAC wants it.
pub(super) struct BadTimeCheck {
    algorithm: TsigAlgorithm,
    secret: SecretSlice<u8>,
}

/// The TSIG record at the end of a message, and where it begins.
type Found<'a> = (usize, ParsedName<&'a [u8]>, Tsig<&'a [u8], ParsedName<&'a [u8]>>);

impl BadTimeCheck {
    pub(super) fn new(algorithm: TsigAlgorithm, secret: Vec<u8>) -> BadTimeCheck {
        BadTimeCheck { algorithm, secret: secret.into() }
    }

    /// The server's clock, Unix seconds, if `answer` says BADTIME, is about `request` and is signed with `key`.
    pub(super) fn server_time(&self, key: &Key, request: &[u8], answer: &[u8]) -> Option<u64> {
        let (_, _, asked) = tsig_of(request)?;
        let (start, owner, told) = tsig_of(answer)?;
        let says_so = Message::from_slice(answer).ok()?.header().rcode() == Rcode::NOTAUTH
            && told.error() == TsigRcode::BADTIME;
        let is_ours = owner.name_eq(key.name()) && told.algorithm().name_eq(&key.algorithm().to_name());
        let server = told.other_time()?;
        if !says_so || !is_ours {
            return None;
        }
        let data = digested(&asked, &answer[..start], &told, key)?;
        self.is_mac(&data, told.mac_slice()).then(|| server.into())
    }

    fn is_mac(&self, data: &[u8], tag: &[u8]) -> bool {
        fn check<M: Mac + KeyInit>(secret: &[u8], data: &[u8], tag: &[u8]) -> bool {
            M::new_from_slice(secret).is_ok_and(|mac| mac.chain_update(data).verify_slice(tag).is_ok())
        }
        let secret = self.secret.expose_secret();
        match self.algorithm {
            TsigAlgorithm::HmacSha256 => check::<Hmac<Sha256>>(secret, data, tag),
            TsigAlgorithm::HmacSha384 => check::<Hmac<Sha384>>(secret, data, tag),
            TsigAlgorithm::HmacSha512 => check::<Hmac<Sha512>>(secret, data, tag),
        }
    }
}

/// When this message was signed, Unix seconds, as its TSIG record says; whether the signature is right is another question.
pub(super) fn time_signed(message: &[u8]) -> Option<u64> {
    let (_, _, tsig) = tsig_of(message)?;
    Some(tsig.time_signed().into())
}

pub(super) fn tsig_of(message: &[u8]) -> Option<Found<'_>> {
    let message = Message::from_octets(message).ok()?;
    let mut section = message.additional().ok()?;
    loop {
        let start = section.pos();
        let record = section.next()?.ok()?;
        if let Some(record) = record.into_record::<Tsig<_, _>>().ok()? {
            let (owner, data) = record.into_owner_and_data();
            return section.next().is_none().then_some((start, owner, data));
        }
    }
}

/// RFC 8945 section 4.3: the MAC of the request, the answer as it was before it was signed, the TSIG variables.
pub(super) fn digested(
    asked: &Tsig<&[u8], ParsedName<&[u8]>>,
    unsigned: &[u8],
    told: &Tsig<&[u8], ParsedName<&[u8]>>,
    key: &Key,
) -> Option<Vec<u8>> {
    let mut data = Vec::with_capacity(1024);
    data.extend(u16::try_from(asked.mac().len()).ok()?.to_be_bytes());
    data.extend(*asked.mac());
    data.extend(told.original_id().to_be_bytes());
    data.extend(unsigned.get(2..10)?);
    let additional = u16::from_be_bytes([*unsigned.get(10)?, *unsigned.get(11)?]);
    data.extend(additional.checked_sub(1)?.to_be_bytes());
    data.extend(unsigned.get(12..)?);
    data.extend(key.name().to_canonical_name::<Vec<u8>>().as_slice());
    data.extend(Class::ANY.to_int().to_be_bytes());
    data.extend(0_u32.to_be_bytes());
    data.extend(key.algorithm().to_name().to_canonical_name::<Vec<u8>>().as_slice());
    data.extend(told.time_signed().into_octets());
    data.extend(told.fudge().to_be_bytes());
    data.extend(told.error().to_int().to_be_bytes());
    data.extend(u16::try_from(told.other().len()).ok()?.to_be_bytes());
    data.extend(*told.other());
    Some(data)
}
