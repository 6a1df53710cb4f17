//! `notify:`

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::keys;
use super::limits;
use super::names::{Names, check_name};
use super::read::{Item, Optional, Read, nearest};
use crate::decision::{ChannelId, EventKind, Severity};
use crate::notify::{Channel, ChannelKind, NotifySettings, Route};

const SEVERITIES: &[(&str, Severity)] = &[
    ("debug", Severity::Debug),
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("critical", Severity::Critical),
];

/// Events of later versions, by the beginning of their names.
const LATER_EVENTS: &[&str] = &["failover.planned", "certificate.", "receiver."];

/// How long a key is by Standard Webhooks ("Signature scheme"), bytes; `notify` signs with no other.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Channels and routes; the names of the channels are needed for the warnings.
pub(super) fn read(item: Item<'_>) -> Read<(NotifySettings, Names)> {
    let map = item.map(&keys::NOTIFY)?;
    let entries = map.item("channels").map_or(Ok([].as_slice()), Item::names)?;
    if let Some(item) = map.item("channels") {
        item.at_most(limits::CHANNELS, "channels", "nobody reads as many")?;
    }
    let names = Names::new("channel", entries);
    let mut channels = BTreeMap::new();
    for entry in entries {
        let item = Item { node: &entry.node, name: "channel", ..item };
        if let (Ok(()), Ok(kind)) = (check_name(item, entry), channel(item)) {
            channels.insert(ChannelId::from(entry.key.as_str()), Channel { kind });
        }
    }
    let route_list = |item: Item<'_>| {
        item.at_most(limits::ROUTES, "routes", "a route can name several events, and beginnings of names")?;
        item.list(|item| route(item, &names))
    };
    let routes = map.get("routes", route_list).otherwise(Vec::new())?;
    Ok((NotifySettings { channels, routes }, names))
}

fn channel(item: Item<'_>) -> Read<ChannelKind> {
    let choices: Vec<(&str, &str)> = keys::CHANNELS.iter().map(|(kind, _)| (*kind, *kind)).collect();
    match item.kind(&keys::CHANNEL, &choices, keys::LATER_CHANNELS)? {
        "log" => item.map(&keys::LOG).map(|_| ChannelKind::Log),
        "rocketchat" => {
            let map = item.map(&keys::ROCKETCHAT)?;
            let (url, channel) = (map.need("url", secret_url), map.get("channel", rocketchat_channel));
            Ok(ChannelKind::RocketChat { url: url?, channel: channel? })
        }
        "slack" => Ok(ChannelKind::Slack { url: item.map(&keys::SLACK)?.need("url", secret_url)? }),
        _ => {
            let map = item.map(&keys::WEBHOOK)?;
            let url = map.need("url", secret_url);
            let secrets = map.get("secrets", signing_secrets).otherwise(Vec::new());
            Ok(ChannelKind::Webhook { url: url?, secrets: secrets? })
        }
    }
}

/// Who has the URL can post, so it is a secret.
fn secret_url(item: Item<'_>) -> Read<SecretString> {
    item.url()?;
    item.secret()
}

fn rocketchat_channel(item: Item<'_>) -> Read<String> {
    let text = item.text()?;
    if text.starts_with(['#', '@']) {
        return Ok(text);
    }
    let message = format!("channel `{}` begins with neither `#` nor `@`", item.shown());
    Err(item.fault(message, "write \"#room\" or \"@person\", in quotes"))
}

fn signing_secrets(item: Item<'_>) -> Read<Vec<SecretString>> {
    item.at_most(limits::SECRETS, "signing secrets", "one, and a second one while it is being replaced")?;
    item.one_or_list(signing_secret)
}

fn signing_secret(item: Item<'_>) -> Read<SecretString> {
    let secret = item.secret()?;
    let remedy = "write `whsec_` and base64; a new one: echo whsec_$(openssl rand -base64 32)";
    let Some(key) = secret.expose_secret().strip_prefix("whsec_") else {
        return Err(item.fault("a signing secret begins with `whsec_`", remedy));
    };
    match STANDARD.decode(key) {
        Ok(key) if KEY_BYTES.contains(&key.len()) => Ok(secret),
        Ok(key) => {
            let message = format!("a signing secret has 24 to 64 bytes, and this has {}", key.len());
            Err(item.fault(message, remedy))
        }
        _ => Err(item.fault("what follows `whsec_` in this signing secret is not base64", remedy)),
    }
}

fn route(item: Item<'_>, names: &Names) -> Read<Route> {
    let map = item.map(&keys::ROUTE)?;
    let channel = map.need("channel", |item| names.refer(item).map(ChannelId::from));
    let events = map.get("events", events).otherwise(vec!["*".to_owned()]);
    let min_severity = map.get("min_severity", |item| item.choice(SEVERITIES, &[])).otherwise(Severity::Info);
    Ok(Route { channel: channel?, events: events?, min_severity: min_severity? })
}

fn events(item: Item<'_>) -> Read<Vec<String>> {
    item.at_most(limits::EVENTS, "events", "write the beginning of their names and `*`")?;
    let events = item.one_or_list(event)?;
    if events.is_empty() {
        return Err(item.fault("a route of no events", "write [\"*\"] for all, or remove the route"));
    }
    Ok(events)
}

/// A pattern that some event matches.
fn event(item: Item<'_>) -> Read<String> {
    let pattern = item.text()?;
    let matches = |kind: &EventKind| match pattern.strip_suffix('*') {
        Some(start) => kind.as_str().starts_with(start),
        None => kind.as_str() == pattern,
    };
    if EventKind::ALL.iter().any(matches) {
        return Ok(pattern);
    }
    if LATER_EVENTS.iter().any(|later| pattern.starts_with(later)) {
        return Err(item.later(&format!("the event `{}`", item.shown()), "remove it"));
    }
    let family = format!("{}.", pattern.to_lowercase().trim_end_matches(['*', '.']));
    if EventKind::ALL.iter().any(|kind| kind.as_str().starts_with(&family)) {
        return Err(item
            .fault(format!("no event is called `{}`", item.shown()), format!("did you mean `{family}*`?")));
    }
    let remedy = match nearest(&pattern, EventKind::ALL.iter().map(|kind| kind.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write \"*\", the beginning of a name and `*` (\"failover.*\"), or a name".to_owned(),
    };
    Err(item.fault(format!("no event is called `{}`", item.shown()), remedy))
}
