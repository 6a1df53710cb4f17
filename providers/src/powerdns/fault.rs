//! What an answer means for the caller, with the remedy in words.

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::{Answer, Api, Lost};
use super::retry_after::{retry_after, unix};
use super::serial::Serials;
use crate::{DomainName, Fault, Zone};

/// What the request was for: a read that failed has changed nothing, a write may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Write,
}

/// All names belong to the zone.
pub(super) fn all_within<'a>(
    zone: &Zone,
    mut names: impl Iterator<Item = &'a DomainName>,
) -> Result<(), Fault> {
    match names.find(|name| !name.is_within(&zone.name)) {
        Some(name) => Err(Fault::Config(format!("{name} is not within the zone {}", zone.name))),
        None => Ok(()),
    }
}

/// The JSON of an answer to GET.
pub(super) fn document<T: DeserializeOwned>(
    answer: Result<Answer, Lost>,
    purpose: Purpose,
    api: &Api,
    zone: &DomainName,
) -> Result<T, Fault> {
    let answer = answer.map_err(|lost| of_lost(lost, purpose))?;
    if answer.status != StatusCode::OK {
        return Err(of_status(&answer, purpose, api, zone));
    }
    serde_json::from_slice(&answer.body).map_err(|why| {
        Fault::Unavailable(format!(
            "{} answers what is not the JSON of the PowerDNS API ({why}): is `url` right?",
            api.label()
        ))
    })
}

/// The answer to PATCH: the serials it tells.
pub(super) fn written(answer: Result<Answer, Lost>, api: &Api, zone: &DomainName) -> Result<Serials, Fault> {
    let answer = answer.map_err(|lost| of_lost(lost, Purpose::Write))?;
    if !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::OK) {
        return Err(of_status(&answer, Purpose::Write, api, zone));
    }
    let serial = |field: &str| answer.headers.get(field)?.to_str().ok()?.trim().parse().ok();
    let serials = Serials { old: serial("x-pdns-old-serial"), new: serial("x-pdns-new-serial") };
    // PowerDNS says 204; a page with 200 is what a proxy or a login says in its place.
    if answer.status == StatusCode::OK && serials.new.is_none() {
        let server = api.label();
        return Err(Fault::Unknown(format!(
            "{server} answers 200 OK to a write, and not as PowerDNS does: something may have answered in its place"
        )));
    }
    Ok(serials)
}

fn of_lost(lost: Lost, purpose: Purpose) -> Fault {
    match (lost, purpose) {
        (Lost::BeforeSend(why), _) | (Lost::AfterSend(why), Purpose::Read) => Fault::Unavailable(why),
        (Lost::AfterSend(why), Purpose::Write) => Fault::Unknown(why),
    }
}

fn of_status(answer: &Answer, purpose: Purpose, api: &Api, zone: &DomainName) -> Fault {
    let (server, status, said) = (api.label(), answer.status, said(answer, api));
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Fault::Auth(format!("{server} answers {status}: check `api_key`, and webserver-allow-from there"))
        }
        StatusCode::NOT_FOUND => Fault::Config(format!(
            "{server} answers {status} for {zone}: check that the zone is there, `server_id`, and that `url` has no /api/v1"
        )),
        StatusCode::TOO_MANY_REQUESTS => {
            let text = |field| answer.headers.get(field).and_then(|value| value.to_str().ok());
            let after = text(RETRY_AFTER).and_then(|value| retry_after(value, text(DATE)));
            Fault::Throttled { after, detail: format!("{server} answers {status}: {said}") }
        }
        // Between our look and our write somebody put another type there.
        StatusCode::UNPROCESSABLE_ENTITY if said.contains("Conflicts with") => {
            Fault::Conflict(format!("{server} refuses: {said}"))
        }
        StatusCode::CONFLICT => Fault::Conflict(format!("{server} refuses: {said}")),
        // Too large as a whole is not too large in parts, so it counts with what is refused.
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
            Fault::Invalid(format!("{server} refuses ({status}): {said}"))
        }
        _ if status.is_redirection() => Fault::Config(format!(
            "{server} answers {status}, and redirects are not followed: set `url` to where it points"
        )),
        _ if status.is_client_error() => Fault::Config(format!("{server} answers {status}: {said}")),
        _ if purpose == Purpose::Read => Fault::Busy(format!("{server} answers {status}: {said}")),
        // 4.7.3 says no more than "Internal Server Error", whether its database was locked or a step after the commit failed.
        _ => Fault::Unknown(format!("{server} answers {status}: {said}")),
    }
}

/// The Date of an answer, Unix seconds.
pub(super) fn date(headers: &HeaderMap) -> Option<u64> {
    unix(headers.get(DATE)?.to_str().ok()?)?.try_into().ok()
}

/// What the server said about its refusal: `error` of its JSON, else the beginning of its text, in one line.
fn said(answer: &Answer, api: &Api) -> String {
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let error = json.as_ref().and_then(|json| json.get("error")?.as_str()).map(ToOwned::to_owned);
    let text = error.unwrap_or_else(|| String::from_utf8_lossy(&answer.body).into_owned());
    // Before anything is cut, so that no half of a secret is left.
    let text = api.scrub(&text);
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    if line.is_empty() { "(no text)".into() } else { line }
}
