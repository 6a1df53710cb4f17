//! `http:` of a check.

use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::super::context::Fault;
use super::super::keys;
use super::super::limits;
use super::super::read::{Item, Noted, Optional, Read};
use super::super::tree::Entry;
use super::{auth, body_match, json, tls};
use crate::probe::{BodyMatch, HttpCheck, JsonWish, StatusRange};

/// How much of a body is read unless the check says otherwise, bytes.
const BODY: usize = 64 * 1024;
/// How much may be asked for, bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Methods that a probe may use: none of them changes anything by its own meaning, but for POST (RFC 9110 section 9.2.1).
const METHODS: &[(&str, &str)] =
    &[("GET", "GET"), ("HEAD", "HEAD"), ("OPTIONS", "OPTIONS"), ("POST", "POST")];
/// Headers that the probe writes itself.
const OWN_HEADERS: &[&str] = &["host", "connection", "content-length", "transfer-encoding", "upgrade"];

/// An http check.
pub(super) fn read(item: Item<'_>) -> Read<HttpCheck> {
    let map = item.map(&keys::HTTP)?;
    let method = map.get("method", method).otherwise("GET".to_owned());
    let path = map.get("path", path).otherwise("/".to_owned());
    let with_tls = map.get("tls", Item::flag).otherwise(false);
    let port = map.get("port", Item::port);
    let host = map.get("host", host);
    let sni = map.get("sni", tls::sni);
    let tls_settings = tls::settings(&map);
    let headers = map.get("headers", headers).otherwise(Vec::new());
    let status = map.get("status", statuses).otherwise(vec![StatusRange { first: 200, last: 299 }]);
    let auth = map.get("auth", auth::read);
    let send = map.get("send", Item::secret);
    let body = map.get("body", body);
    let max_body_bytes = map.get("max_body", |item| item.size(MAX_BODY)).otherwise(BODY);
    let http2 = map.get("http2", Item::flag).otherwise(false);
    let reuse = map.get("reuse", Item::flag).otherwise(false);
    if let (Some(item), Ok(true), Ok("POST")) = (map.item("reuse"), reuse, method.as_deref()) {
        let remedy = "remove `reuse`: where a kept connection broke, the request is sent again, which POST must not be";
        item.fault("`reuse` does not go with `method: POST`", remedy);
    }
    if let (Some(item), Ok(true), Ok(headers)) = (map.item("headers"), http2, &headers) {
        for (name, _) in headers.iter().filter(|(name, _)| !crate::probe::is_of_http2(name)) {
            item.fault(format!("HTTP/2 has no header `{name}`"), "remove it, or `http2: true`");
        }
    }
    if let Ok(false) = with_tls {
        tls::need(&map, "tls: true");
        if let (Some(item), Ok(Some(_))) = (map.item("auth"), &auth) {
            item.warn("`auth` without `tls: true`: everybody on the way can read it", "add `tls: true`");
        }
    }
    let has_authorization = |headers: &Vec<(String, SecretString)>| {
        headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    };
    if let (Some(item), true) = (map.item("auth"), headers.as_ref().is_ok_and(has_authorization)) {
        item.fault("`auth` and a header `Authorization` at once", "keep one of them");
    }
    if let (Some(item), Ok("GET" | "HEAD" | "OPTIONS")) = (map.item("send"), method.as_deref()) {
        item.fault("`send` goes with `method: POST` only", "add `method: POST` or remove `send`");
    }
    if let (Some(item), Ok("HEAD")) = (map.item("body"), method.as_deref()) {
        item.fault("the answer to HEAD has no body to look into", "use `method: GET` or remove `body`");
    }
    let tls = with_tls?;
    let (body, json) = body?.unwrap_or_default();
    Ok(HttpCheck {
        method: method?,
        path: path?,
        port: port?.unwrap_or(if tls { 443 } else { 80 }),
        tls,
        tls_settings: tls_settings?,
        host: host?,
        sni: sni?,
        headers: headers?,
        auth: auth?,
        send: send?,
        status: status?,
        body,
        json,
        max_body_bytes: max_body_bytes?,
        http2: http2?,
        reuse: reuse?,
    })
}

fn method(item: Item<'_>) -> Read<String> {
    item.choice(METHODS, &[]).map(str::to_owned)
}

fn path(item: Item<'_>) -> Read<String> {
    let text = item.text()?;
    if !text.starts_with('/') {
        let message = format!("path `{}` does not begin with `/`", item.shown());
        return Err(item.fault(message, "write the path and query only, like /healthz?deep=1"));
    }
    if text.contains('#') || text.parse::<PathAndQuery>().is_err() {
        let message = format!("path `{}` cannot be asked for", item.shown());
        return Err(item.fault(message, "percent-encode what is no visible ASCII, and leave out `#`"));
    }
    Ok(text)
}

pub(super) fn host(item: Item<'_>) -> Read<String> {
    let text = item.text()?;
    let fine = text.parse::<Authority>().is_ok_and(|host| !text.contains('@') && !host.host().is_empty());
    if fine {
        return Ok(text);
    }
    Err(item.fault(
        format!("host `{}` is no host name", item.shown()),
        "write it like www.example.com, without a scheme",
    ))
}

/// Text, an expression, or JSON.
fn body(item: Item<'_>) -> Read<(Option<BodyMatch>, Vec<JsonWish>)> {
    let map = item.map(&keys::BODY)?;
    let Some(json) = map.get("json", json::wishes).transpose() else {
        return body_match(item, &map).map(|wanted| (Some(wanted), Vec::new()));
    };
    for other in ["contains", "regex"].into_iter().filter_map(|key| map.item(key)) {
        let remedy = "keep one of them; `json` has a `regex` for texts, too";
        other.fault(format!("`json` and `{}` at once", other.name), remedy);
    }
    json.map(|wishes| (None, wishes))
}

fn headers(item: Item<'_>) -> Read<Vec<(String, SecretString)>> {
    item.at_most(limits::HEADERS, "headers", "keep those that the service needs")?;
    let entries = item.names()?.iter();
    let read: Vec<Read<_>> = entries.map(|entry| header(item, entry)).collect();
    read.into_iter().collect()
}

fn header(item: Item<'_>, entry: &Entry) -> Read<(String, SecretString)> {
    let item = Item { node: &entry.node, name: "headers", ..item };
    let name = entry.key.as_str();
    if HeaderName::try_from(name).is_err() {
        let message = format!("`{}` cannot be the name of a header", item.desk.key(entry));
        item.desk.cx.fault(Fault::at(entry.at, message).help("use letters, digits and hyphens"));
        return Err(Noted);
    }
    if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        let remedy = if name.eq_ignore_ascii_case("host") { "use the key `host`" } else { "remove it" };
        return Err(item.fault(format!("the header `{name}` is written by the probe itself"), remedy));
    }
    let value = item.secret()?;
    if HeaderValue::try_from(value.expose_secret()).is_err() {
        return Err(
            item.fault(format!("the value of `{name}` cannot stand in a header"), "remove the line breaks")
        );
    }
    Ok((name.to_owned(), value))
}

fn statuses(item: Item<'_>) -> Read<Vec<StatusRange>> {
    item.at_most(limits::STATUSES, "status codes", "write ranges, like \"200-299\"")?;
    let ranges = item.one_or_list(status)?;
    if ranges.is_empty() {
        return Err(
            item.fault("an empty `status` list lets nothing pass", "write [\"200-299\"], or remove it")
        );
    }
    Ok(ranges)
}

fn status(item: Item<'_>) -> Read<StatusRange> {
    let text = &item.scalar("a status code or a range of them")?.text;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
    match (code(first), code(last)) {
        (Some(first), Some(last)) if first <= last => Ok(StatusRange { first, last }),
        (Some(_), Some(_)) => Err(item
            .fault(format!("the range {} is the wrong way round", item.shown()), "write the smaller first")),
        _ => Err(item.fault(
            format!("`{}` is no status code between 100 and 599 and no range of them", item.shown()),
            "write 204 or \"200-299\"",
        )),
    }
}
