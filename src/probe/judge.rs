//! Whether an HTTP answer is what the check asks for, however it came. Pure.

use std::fmt::Write as _;

use super::body::Flow;
use super::search::{self, excerpt};
use super::{BodyMatch, HttpCheck, StatusRange, Step, json};
use crate::decision::Outcome;

/// Where a redirect points, without its query, which may hold secrets.
pub(super) fn location(status: u16, value: Option<&[u8]>) -> Option<String> {
    let redirect = (300..400).contains(&status);
    value.filter(|_| redirect).map(|value| excerpt(value.split(|&b| b == b'?').next().unwrap_or_default()))
}

/// Passes one of the wanted status codes.
pub(super) fn status(status: u16, location: Option<&str>, wanted: &[StatusRange]) -> Step<()> {
    if wanted.iter().any(|range| (range.first..=range.last).contains(&status)) {
        return Ok(());
    }
    let mut reason = format!("answered {}", named(status));
    if let Some(location) = location {
        write!(reason, " to {location} (redirects are judged, not followed)").expect("a string takes all");
    }
    let ranges: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    Err(Outcome::Fail(format!("{reason}, wanted {}", ranges.join(", "))))
}

/// With the usual phrase and not the server's own, which could be anything.
pub(super) fn named(status: u16) -> String {
    match http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()) {
        Some(phrase) => format!("{status} {phrase}"),
        None => status.to_string(),
    }
}

/// Whether the check has a wish for the body.
pub(super) fn wants_body(check: &HttpCheck) -> bool {
    check.body.is_some() || !check.json.is_empty()
}

/// Passes a body that holds what it should; `flow` says whether `text` is all of it.
pub(super) fn body(text: &[u8], flow: Flow, check: &HttpCheck) -> Step<()> {
    if let Some(wanted) = &check.body {
        holds(text, flow, wanted)?;
    }
    if check.json.is_empty() { Ok(()) } else { json::judge(text, flow, &check.json) }
}

fn holds(text: &[u8], flow: Flow, wanted: &BodyMatch) -> Step<()> {
    if search::found(wanted, text) {
        return Ok(());
    }
    let wanted = search::wanted(wanted);
    Err(Outcome::Fail(match (flow, text.len()) {
        (Flow::Full, read) => format!("the first {read} bytes of the body do not hold {wanted}"),
        (_, 0) => format!("the body is empty, wanted {wanted}"),
        (_, read) => {
            format!("the body ({read} bytes) begins with {} and does not hold {wanted}", excerpt(text))
        }
    }))
}
