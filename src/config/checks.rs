//! `checks:`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::context::Fault;
use super::keys;
use super::names::check_name;
use super::read::{Item, Map, Noted, Optional, Read};
use super::scalar::words;
use super::tree::{Entry, Value};
use crate::decision::{CheckId, Thresholds};
use crate::probe::{BodyMatch, Check, CheckKind, ExecCheck, HttpCheck, StatusRange, TcpCheck};

/// The kinds of check of this version.
const KINDS: &[&str] = &["http", "tcp", "exec"];
/// Defaults of DESIGN section 5.
const INTERVAL: Duration = Duration::from_secs(10);
const FAST_INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(3);
const JITTER_PERCENT: u8 = 10;
const THRESHOLDS: Thresholds = Thresholds { fall: 3, rise: 3, clear: 6 };
/// No time may be shorter: a probe is no load test.
const SHORTEST: Duration = Duration::from_millis(10);
/// No threshold may be higher.
const MAX_COUNT: u32 = 1000;
/// How much of a body is read unless the check says otherwise, bytes.
const BODY: usize = 64 * 1024;
/// How much may be asked for, bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Methods that a probe may use: none of them changes anything by its own meaning, but for POST (RFC 9110 section 9.2.1).
const METHODS: &[(&str, &str)] =
    &[("GET", "GET"), ("HEAD", "HEAD"), ("OPTIONS", "OPTIONS"), ("POST", "POST")];
/// A command has at most so many parts.
const MAX_ARGUMENTS: usize = 64;
/// Headers that the probe writes itself.
const OWN_HEADERS: &[&str] = &["host", "connection", "content-length", "transfer-encoding", "upgrade"];

/// All checks.
pub(super) fn read(item: Item<'_>) -> Read<BTreeMap<CheckId, (Arc<Check>, Thresholds)>> {
    let mut checks = BTreeMap::new();
    for entry in item.names()? {
        let item = Item { node: &entry.node, name: "check", ..item };
        if let (Ok(()), Ok((check, thresholds))) = (check_name(item, entry), check(item)) {
            checks.insert(CheckId::from(entry.key.as_str()), (Arc::new(check), thresholds));
        }
    }
    Ok(checks)
}

/// A check of a witness: a connection, with the usual times.
pub(super) fn witness(port: u16) -> Check {
    Check {
        kind: CheckKind::Tcp(TcpCheck { port, send: None, expect: None }),
        interval: INTERVAL,
        fast_interval: FAST_INTERVAL,
        timeout: TIMEOUT,
        jitter_percent: JITTER_PERCENT,
    }
}

fn check(item: Item<'_>) -> Read<(Check, Thresholds)> {
    let map = item.map(&keys::CHECK)?;
    let kind = kind(item, &map);
    let interval = map.get("interval", |item| item.duration(SHORTEST)).otherwise(INTERVAL);
    let fast_interval = map.get("fast_interval", |item| item.duration(SHORTEST));
    let timeout = map.get("timeout", |item| item.duration(SHORTEST));
    let jitter_percent = map.get("jitter", Item::percent).otherwise(JITTER_PERCENT);
    let count = |item: Item<'_>| item.number(1..=MAX_COUNT);
    let (fall, rise) = (
        map.get("fall", count).otherwise(THRESHOLDS.fall),
        map.get("rise", count).otherwise(THRESHOLDS.rise),
    );
    let clear = map.get("clear", count).otherwise(THRESHOLDS.clear);
    for key in ["fast_interval", "timeout"] {
        within_interval(&map, key, if key == "timeout" { timeout } else { fast_interval }, interval);
    }
    let interval = interval?;
    let check = Check {
        kind: kind?,
        interval,
        // Only what is written can be wrong: an unwritten time gives way to a short interval.
        fast_interval: fast_interval?.unwrap_or(FAST_INTERVAL.min(interval)),
        timeout: timeout?.unwrap_or(TIMEOUT.min(interval)),
        jitter_percent: jitter_percent?,
    };
    Ok((check, Thresholds { fall: fall?, rise: rise?, clear: clear? }))
}

fn within_interval(map: &Map<'_>, key: &'static str, time: Read<Option<Duration>>, interval: Read<Duration>) {
    if let (Some(item), Ok(Some(time)), Ok(interval)) = (map.item(key), time, interval)
        && time > interval
    {
        let message = format!("{key} {} is longer than the interval, {}", words(time), words(interval));
        item.fault(message, format!("shorten {key} or lengthen interval"));
    }
}

/// The one kind that is written.
fn kind(item: Item<'_>, map: &Map<'_>) -> Read<CheckKind> {
    // All that are written are read, so that the faults in each are noted.
    let kinds = [
        map.get("http", |item| http(item).map(CheckKind::Http)).transpose(),
        map.get("tcp", |item| tcp(item).map(CheckKind::Tcp)).transpose(),
        map.get("exec", |item| exec(item).map(CheckKind::Exec)).transpose(),
    ];
    let mut kinds = kinds.into_iter().flatten();
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => kind,
        (Some(_), Some(_)) => {
            let remedy = "make two checks of it; a target can have several";
            Err(map.fault("a check is of one kind, and this has two", remedy))
        }
        // A kind of a later version was noted already.
        (None, _) if item.node.entries().iter().any(asks_for_a_later_kind) => Err(Noted),
        (None, _) => Err(map.fault("a check needs a kind", format!("add one of: {}", KINDS.join(", ")))),
    }
}

fn asks_for_a_later_kind(entry: &Entry) -> bool {
    let mut later = keys::CHECK.later.iter();
    later.any(|(key, harmless)| *key == entry.key && *key != "tripwire" && !harmless.allows(&entry.node))
}

fn http(item: Item<'_>) -> Read<HttpCheck> {
    let map = item.map(&keys::HTTP)?;
    let method = map.get("method", method).otherwise("GET".to_owned());
    let path = map.get("path", path).otherwise("/".to_owned());
    let tls = map.get("tls", Item::flag).otherwise(false);
    let port = map.get("port", Item::port);
    let host = map.get("host", host);
    let sni = map.get("sni", sni);
    let headers = map.get("headers", headers).otherwise(Vec::new());
    let status = map.get("status", statuses).otherwise(vec![StatusRange { first: 200, last: 299 }]);
    let body = map.get("body", body_match);
    let max_body_bytes = map.get("max_body", |item| item.size(MAX_BODY)).otherwise(BODY);
    if let (Some(item), Ok(false)) = (map.item("sni"), tls) {
        item.fault("`sni` without `tls: true`", "add `tls: true` or remove `sni`");
    }
    if let (Some(item), Ok("HEAD")) = (map.item("body"), method.as_deref()) {
        item.fault("the answer to HEAD has no body to look into", "use `method: GET` or remove `body`");
    }
    let tls = tls?;
    Ok(HttpCheck {
        method: method?,
        path: path?,
        port: port?.unwrap_or(if tls { 443 } else { 80 }),
        tls,
        host: host?,
        sni: sni?,
        headers: headers?,
        status: status?,
        body: body?,
        max_body_bytes: max_body_bytes?,
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

fn host(item: Item<'_>) -> Read<String> {
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

fn sni(item: Item<'_>) -> Read<String> {
    let text = item.text()?;
    if rustls::pki_types::ServerName::try_from(text.as_str()).is_ok() {
        return Ok(text);
    }
    Err(item.fault(format!("sni `{}` is no host name", item.shown()), "write the name in the certificate"))
}

fn headers(item: Item<'_>) -> Read<Vec<(String, SecretString)>> {
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

/// `{contains: text}` or `{regex: text}`.
pub(super) fn body_match(item: Item<'_>) -> Read<BodyMatch> {
    let map = item.map(&keys::BODY)?;
    let (contains, regex) = (map.get("contains", Item::text)?, map.get("regex", Item::regex)?);
    match (contains, regex) {
        (Some(text), None) => Ok(BodyMatch::Contains(text)),
        (None, Some(regex)) => Ok(BodyMatch::Regex(regex)),
        (Some(_), Some(_)) => {
            Err(map.fault("`contains` and `regex` at once", "keep one of them; a regex can do both"))
        }
        (None, None) if item.node.entries().is_empty() => Err(
            map.fault(format!("`{}` asks for nothing", item.name), "write {contains: text} or {regex: text}")
        ),
        (None, None) => Err(Noted),
    }
}

fn tcp(item: Item<'_>) -> Read<TcpCheck> {
    let map = item.map(&keys::TCP)?;
    let port = map.need("port", Item::port);
    let send = map.get("send", Item::text);
    let expect = map.get("expect", |item| match &item.node.value {
        Value::Map(_) => body_match(item),
        _ => item.text().map(BodyMatch::Contains),
    });
    Ok(TcpCheck { port: port?, send: send?.map(String::into_bytes), expect: expect? })
}

fn exec(item: Item<'_>) -> Read<ExecCheck> {
    Ok(ExecCheck { command: item.map(&keys::EXEC)?.need("command", command)? })
}

fn command(item: Item<'_>) -> Read<Vec<String>> {
    let form = "write [/path/to/program, argument, ...]";
    if matches!(item.node.value, Value::Scalar(_)) {
        return Err(item.fault("`command` is a list: no shell reads it", form));
    }
    let command = item.list(Item::text)?;
    match command.first() {
        None => Err(item.fault("`command` is empty", form)),
        Some(program) if !program.starts_with('/') => {
            let remedy = "write the absolute path: what PATH holds is not the same everywhere";
            Err(item.fault(format!("the program `{}` has no absolute path", first(item)), remedy))
        }
        Some(_) if command.len() > MAX_ARGUMENTS => {
            Err(item
                .fault(format!("`command` has more than {MAX_ARGUMENTS} parts"), "put them into a script"))
        }
        Some(_) => Ok(command),
    }
}

fn first(item: Item<'_>) -> String {
    match &item.node.value {
        Value::List(items) if !items.is_empty() => Item { node: &items[0], ..item }.shown(),
        _ => item.shown(),
    }
}
