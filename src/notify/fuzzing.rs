//! What chat services answer, and what somebody may write for a signing secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::Sha256;
use std::time::Duration;

use super::backoff::{LONGEST_ASKED, after_failure};
use super::http::HttpSender;
use super::reply::{Reply, Service, judge};
use super::{ChannelKind, SendResult, SigningKey};
use crate::store::Next;

/// Must not be told, whoever repeats it.
const PLANTED: &str = "T00/B00/Hunter2Hunter2xyzzy";

/// A line `Retry-After`, and a body: the first octet says the status. The wait is never above the bound and never before
/// now; what is told is short, on one line, and without the secret of the URL.
pub(crate) fn chat_reply(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let status = [200, 204, 301, 307, 400, 404, 408, 429, 500, 503][usize::from(first) % 10];
    let text = String::from_utf8_lossy(rest);
    let (header, body) = text.split_once('\n').unwrap_or(("", &text));
    let url = format!("https://hooks.example/services/{PLANTED}");
    let kind = ChannelKind::Slack { url: url.into() };
    let sender = sender(&kind);
    let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
    for service in [Service::Slack, Service::RocketChat, Service::Webhook] {
        let retry_after = (!header.is_empty()).then(|| header.to_owned());
        let reply = Reply { status, retry_after, body: sender.scrub(body) };
        let (after, said) = match judge(service, &reply, now) {
            SendResult::Delivered { said, .. } => (None, said),
            SendResult::Permanent { error, .. } => (None, error),
            SendResult::Retry { after, error, .. } => (Some(after), error),
        };
        assert!(said.chars().count() < 300 && !said.contains(char::is_control), "{said:?}");
        assert!(!said.contains("Hunter2Hunter2xyzzy"), "{said}");
        for (failures, random) in after.iter().flat_map(|_| [(1, 0), (9, u64::MAX)]) {
            match after_failure(now, now, failures, after.flatten(), random) {
                Next::RetryAt(at) => {
                    let wait = Duration::try_from(at.duration_since(now)).expect("not before now");
                    assert!(wait <= LONGEST_ASKED * 6 / 5 && wait >= Duration::from_millis(800), "{wait:?}");
                }
                other => panic!("{other:?} after one attempt"),
            }
        }
    }
}

fn sender(kind: &ChannelKind) -> HttpSender {
    use std::sync::OnceLock;
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let client = CLIENT.get_or_init(|| super::http::client().expect("a client"));
    HttpSender::new(&"chat".into(), kind, client.clone()).expect("a URL that is one")
}

/// A receiver by the words of Standard Webhooks, beside the code that signs: some signature in the header is that of the
/// content, compared in constant time.
fn verify(key: &[u8], id: &str, timestamp: &str, body: &[u8], header: &str) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("of any length");
    mac.update(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat());
    let signatures = header.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    signatures.into_iter().any(|signature| mac.clone().verify_slice(&signature).is_ok())
}

/// What is taken for a key has 24 to 64 octets, signs as those do, and so that a receiver verifies it; what is refused is not
/// shown.
pub(crate) fn signing_secret(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    match SigningKey::parse(&text.clone().into()) {
        Ok(key) => {
            let bare = text.trim();
            let octets =
                STANDARD.decode(bare.strip_prefix("whsec_").unwrap_or(bare)).expect("it was read so");
            assert!((24..=64).contains(&octets.len()));
            let again: secrecy::SecretString = format!("whsec_{}", STANDARD.encode(octets)).into();
            let signed = key.sign("msg_1", 1_614_265_330, data);
            assert_eq!(
                SigningKey::parse(&again).expect("the same").sign("msg_1", 1_614_265_330, data),
                signed
            );
            assert!(!format!("{key:?}").contains(&again.expose_secret()[6..]));
            let octets =
                STANDARD.decode(again.expose_secret().trim_start_matches("whsec_")).expect("its own");
            let verified = |id, at, body: &[u8]| verify(&octets, id, at, body, &format!("v1,AAAA {signed}"));
            assert!(verified("msg_1", "1614265330", data), "{signed}");
            let other = [data, b"x"].concat();
            assert!(!verified("msg_1", "1614265330", &other) && !verified("msg_1", "1614265331", data));
            assert!(
                !verified("msg_2", "1614265330", data) && !verify(&octets, "msg_1", "1614265330", data, "")
            );
        }
        Err(why) => assert!(text.trim().len() < 12 || !why.to_string().contains(text.trim()), "{why}"),
    }
}
