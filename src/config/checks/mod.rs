//! `checks:`: what all kinds share, and one file per kind.

mod auth;
mod definitions;
mod dns;
mod exec;
mod grpc;
mod http;
mod icmp;
mod json;
mod tcp;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::keys;
use super::limits;
use super::names::check_name;
use super::read::{Item, Map, Noted, Optional, Read};
use super::scalar::words;
use super::tree::Entry;
use crate::decision::{CheckId, Thresholds};
use crate::probe::{BodyMatch, Check, CheckKind, DnsCheck, IcmpCheck, TcpCheck};

pub(super) use definitions::Definitions;

/// The kinds of check of this version.
const KINDS: &[&str] = &["http", "grpc", "tcp", "tls", "icmp", "dns", "exec"];
/// Defaults of DESIGN section 5.
const INTERVAL: Duration = Duration::from_secs(10);
const FAST_INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(3);
const JITTER_PERCENT: u8 = 10;
const THRESHOLDS: Thresholds = Thresholds { fall: 3, rise: 3, clear: 6 };
/// No time may be shorter: a probe is no load test.
const SHORTEST: Duration = Duration::from_millis(10);
/// No threshold may be higher.
pub(super) const MAX_COUNT: u32 = 1000;

/// All checks.
pub(super) fn read(item: Item<'_>) -> Read<BTreeMap<CheckId, (Arc<Check>, Thresholds)>> {
    item.at_most(limits::CHECKS, "checks", "a check can be shared by many targets")?;
    let mut checks = BTreeMap::new();
    for entry in item.names()? {
        let item = Item { node: &entry.node, name: "check", ..item };
        if let (Ok(()), Ok((check, thresholds))) = (check_name(item, entry), check(item)) {
            checks.insert(CheckId::from(entry.key.as_str()), (Arc::new(check), thresholds));
        }
    }
    Ok(checks)
}

/// What proves that a witness is there.
#[derive(Clone, Copy)]
pub(super) enum Proof {
    /// A connection to this port.
    Tcp(u16),
    /// An echo reply.
    Icmp,
    /// Any answer of a DNS server at this port.
    Dns(u16),
}

/// A check of a witness, with the usual times.
pub(super) fn witness(proof: Proof) -> Check {
    Check {
        kind: match proof {
            Proof::Tcp(port) => CheckKind::Tcp(TcpCheck { port, ..TcpCheck::default() }),
            Proof::Icmp => CheckKind::Icmp(IcmpCheck::default()),
            Proof::Dns(port) => CheckKind::Dns(DnsCheck::any_answer(port)),
        },
        interval: INTERVAL,
        fast_interval: FAST_INTERVAL,
        timeout: TIMEOUT,
        jitter_percent: JITTER_PERCENT,
        tripwire: false,
        // One that is silent is asked again in its time: no verdict waits for so many failures of it.
        fall: 1,
    }
}

fn check(item: Item<'_>) -> Read<(Check, Thresholds)> {
    let map = item.map(&keys::CHECK)?;
    let kind = kind(item, &map);
    let interval = map.get("interval", |item| item.duration(SHORTEST)).otherwise(INTERVAL);
    let fast_interval = map.get("fast_interval", |item| item.duration(SHORTEST));
    let timeout = map.get("timeout", |item| item.duration(SHORTEST));
    let jitter_percent = map.get("jitter", |item| item.percent(50)).otherwise(JITTER_PERCENT);
    let count = |item: Item<'_>| item.number(1..=MAX_COUNT);
    let (fall, rise) = (
        map.get("fall", count).otherwise(THRESHOLDS.fall),
        map.get("rise", count).otherwise(THRESHOLDS.rise),
    );
    let clear = map.get("clear", count).otherwise(THRESHOLDS.clear);
    for key in ["fast_interval", "timeout"] {
        within_interval(&map, key, if key == "timeout" { timeout } else { fast_interval }, interval);
    }
    let tripwire = tripwire(&map, &kind);
    let (interval, fall) = (interval?, fall?);
    let check = Check {
        kind: kind?,
        interval,
        // Only what is written can be wrong: an unwritten time gives way to a short interval.
        fast_interval: fast_interval?.unwrap_or(FAST_INTERVAL.min(interval)),
        timeout: timeout?.unwrap_or(TIMEOUT.min(interval)),
        jitter_percent: jitter_percent?,
        tripwire: tripwire?,
        fall,
    };
    Ok((check, Thresholds { fall, rise: rise?, clear: clear? }))
}

/// Whether a connection is held between two probes: only a kind that makes a whole connection can have one.
fn tripwire(map: &Map<'_>, kind: &Read<CheckKind>) -> Read<bool> {
    let wanted = map.get("tripwire", Item::flag).otherwise(false)?;
    let (Some(item), true, Ok(kind)) = (map.item("tripwire"), wanted, kind) else { return Ok(wanted) };
    let (why, remedy) = match kind {
        CheckKind::Tcp(tcp) if tcp.half_open => (
            "`tripwire: true` does not go with `half_open: true`",
            "remove one of the two: the server's program hears of the connection that is held",
        ),
        _ if kind.tcp_port().is_none() => (
            "`tripwire: true` needs a connection, and checks of this kind make none",
            "remove it; checks of the kinds http, grpc, tcp and tls can have it",
        ),
        _ => return Ok(true),
    };
    Err(item.fault(why, remedy))
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
        map.get("http", |item| http::read(item).map(CheckKind::Http)).transpose(),
        map.get("grpc", |item| grpc::read(item).map(CheckKind::Grpc)).transpose(),
        map.get("tcp", |item| tcp::read(item).map(CheckKind::Tcp)).transpose(),
        map.get("tls", |item| tls::read(item).map(CheckKind::Tls)).transpose(),
        map.get("icmp", |item| icmp::read(item).map(CheckKind::Icmp)).transpose(),
        map.get("dns", |item| dns::read(item).map(CheckKind::Dns)).transpose(),
        map.get("exec", |item| exec::read(item).map(CheckKind::Exec)).transpose(),
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
        (None, _) if KINDS.iter().any(|kind| map.is_meant(kind)) => Err(Noted),
        (None, _) => Err(map.fault("a check needs a kind", format!("add one of: {}", KINDS.join(", ")))),
    }
}

fn asks_for_a_later_kind(entry: &Entry) -> bool {
    let mut later = keys::CHECK.later.iter();
    later.any(|(key, harmless)| *key == entry.key && !harmless.allows(&entry.node))
}

/// `{contains: text}` or `{regex: text}`.
fn body_match(item: Item<'_>, map: &Map<'_>) -> Read<BodyMatch> {
    let (contains, regex) = (map.get("contains", Item::text)?, map.get("regex", Item::regex)?);
    match (contains, regex) {
        (Some(text), None) => Ok(BodyMatch::Contains(text)),
        (None, Some(regex)) => Ok(BodyMatch::Regex(regex)),
        (Some(_), Some(_)) => {
            Err(map.fault("`contains` and `regex` at once", "keep one of them; a regex can do both"))
        }
        (None, None) if item.node.entries().is_empty() => Err(map.fault(
            format!("`{}` asks for nothing", item.name),
            "write {contains: text} or {regex: expression}",
        )),
        (None, None) => Err(Noted),
    }
}
