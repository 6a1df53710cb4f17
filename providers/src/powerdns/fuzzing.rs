//! What the API of `PowerDNS`, or whatever else listens there, may answer.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::api::{Answer, Api};
use super::fault::{self, Purpose};
use super::model::ZoneDocument;
use super::{answer_type, patch, serial};
use crate::{
    AnswerSets, DomainName, Fault, NonEmpty, PowerDnsConfig, RecordSet, RecordType, Snapshot, Swap, Ttl,
    Values, Version,
};

const KEY: &str = "Hunter2-Hunter2-xyzzy";
/// Nobody waits longer than this, whoever asks for it.
const LONGEST: Duration = Duration::from_hours(1);

/// The first octet says the status. Then lines `name: value` of a head up to an empty line, and a body.
///
/// A zone says of each name what can be an answer; what is sent to change it names that name alone and keeps what is
/// disabled. A fault is short, without the key, and never asks for a longer wait than the bound.
pub(crate) fn powerdns(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let status = [200, 204, 400, 401, 404, 409, 422, 429, 500, 503, 301, 200][usize::from(first) % 12];
    let status = StatusCode::from_u16(status).expect("a status");
    let text = String::from_utf8_lossy(rest);
    let (head, body) = text.split_once("\n\n").unwrap_or(("", &text));
    let headers: HeaderMap = head.lines().filter_map(header).collect();
    let answer = || Answer { status, headers: headers.clone(), body: body.as_bytes().to_vec() };
    let (api, zone, name) = (api(), name("example.test"), name("www.example.test"));

    let document = fault::document::<ZoneDocument>(Ok(answer()), Purpose::Read, api, &zone);
    match &document {
        Ok(document) => holds(document, &name, body),
        Err(fault) => told(fault),
    }
    match fault::document::<Vec<ZoneDocument>>(Ok(answer()), Purpose::Read, api, &zone) {
        Ok(zones) => drop(zones.iter().find(|found| found.is_called(&zone)).map(ZoneDocument::is_copy)),
        Err(fault) => told(&fault),
    }
    match fault::written(Ok(answer()), api, &zone) {
        Ok(serials) => {
            assert!(
                status == StatusCode::NO_CONTENT || serials.new.is_some(),
                "a page was taken for an answer"
            );
            for edit in ["", "DEFAULT", "INCREASE", "EPOCH"] {
                let _ = serial::race(edit, 2_026_112_201, serials);
            }
        }
        Err(fault) => told(&fault),
    }
    let _ = fault::date(&headers);
}

/// What can stand in a header at all.
fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(": ")?;
    let known = [
        RETRY_AFTER,
        DATE,
        HeaderName::from_static("x-pdns-old-serial"),
        HeaderName::from_static("x-pdns-new-serial"),
    ];
    let name = known.into_iter().find(|known| known.as_str() == name)?;
    Some((name, HeaderValue::from_str(value).ok()?))
}

fn told(fault: &Fault) {
    let text = fault.to_string();
    assert!(!text.is_empty() && text.len() < 4096 && !text.contains(KEY), "{text}");
    if let Fault::Throttled { after: Some(after), .. } = fault {
        assert!(*after <= LONGEST, "{after:?}");
    }
}

fn holds(document: &ZoneDocument, name: &DomainName, body: &str) {
    let now = match document.holding(name) {
        Ok(now) => now,
        Err(fault) => return told(&fault),
    };
    for (kind, set) in &now.sets {
        assert!(RecordType::ANSWER.contains(kind) && set.record_type() == *kind && set.ttl <= Ttl::MAX);
        assert!(!set.values.to_strings().is_empty());
    }
    let (sets, native) = (now.sets.clone(), now.native());
    assert!(native.to_string().len() <= 16 * body.len() + 64);
    let before = Snapshot { name: name.clone(), sets, version: Version::Values, marker: None, native };
    let after = RecordSet::new(Ttl(60), Values::A(NonEmpty::one([192, 0, 2, 7].into())));
    let swap = Swap::new(before, AnswerSets::new([after]).expect("an answer"));
    match now.may_become(&swap) {
        Err(fault) => told(&fault),
        Ok(()) if swap.changes().is_empty() => {}
        Ok(()) => {
            let sent = patch::body(&[(&swap, now)]);
            let sets = sent["rrsets"].as_array().expect("a list");
            assert_eq!(sets.len(), swap.changes().len());
            for set in sets {
                let text = |key: &str| set[key].as_str().expect("a text");
                assert!(text("name") == name.fqdn() && answer_type(text("type")).is_some(), "{set}");
                let enabled = |record: &&Value| record["disabled"] == Value::Bool(false);
                let enabled =
                    set["records"].as_array().map_or(0, |records| records.iter().filter(enabled).count());
                assert_eq!(enabled, usize::from(text("type") == "A"), "{set}");
            }
        }
    }
}

fn name(text: &str) -> DomainName {
    text.parse().expect("a name")
}

fn api() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    API.get_or_init(|| {
        let config = PowerDnsConfig {
            url: "http://192.0.2.53:8081/".parse().expect("a URL"),
            api_key: KEY.to_owned().into(),
            server_id: "localhost".into(),
            timeout: Duration::from_secs(5),
        };
        Api::new(&config).expect("an API")
    })
}
