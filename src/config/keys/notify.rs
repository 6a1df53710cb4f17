//! Keys of `notify:`.

use super::Form::{Choice, List, Map, Name, Named, OneOrMore, Secret, SecretUrl, Text, Typed};
use super::Harmless::{Empty, Never};
use super::{Section, key, need};

pub(in crate::config) const NOTIFY: Section = Section {
    what: "`notify`",
    keys: &[
        key("channels", Named(&Typed(CHANNELS)), "Where, by name"),
        key("routes", List(&Map(&ROUTE)), "Which events go to which channel; default: nobody is told"),
    ],
    later: &[
        ("templates", Empty),
        ("grouping", Never),
        ("group", Never),
        ("quiet_hours", Empty),
        ("rate_limit", Never),
    ],
};

/// The channels of this version.
pub(in crate::config) const CHANNELS: &[(&str, &Section)] =
    &[("log", &LOG), ("rocketchat", &ROCKETCHAT), ("slack", &SLACK), ("webhook", &WEBHOOK)];

/// Channels that are planned.
pub(in crate::config) const LATER_CHANNELS: &[&str] = &[
    "mattermost",
    "discord",
    "teams",
    "telegram",
    "google_chat",
    "matrix",
    "pagerduty",
    "opsgenie",
    "ntfy",
    "pushover",
    "email",
    "google_sheet",
    "exec",
];

const TYPE: &[&str] = &["log", "rocketchat", "slack", "webhook"];

/// What can be said of a channel before its type is known.
pub(in crate::config) const CHANNEL: Section = Section {
    what: "a channel",
    keys: &[need("type", Choice(TYPE), "Which")],
    later: &[("template", Never), ("templates", Empty), ("rate_limit", Never), ("quiet_hours", Empty)],
};

pub(in crate::config) const LOG: Section =
    Section { what: "a log channel", keys: &[need("type", Choice(TYPE), "Which")], later: CHANNEL.later };

pub(in crate::config) const ROCKETCHAT: Section = Section {
    what: "a rocketchat channel",
    keys: &[
        need("type", Choice(TYPE), "Which"),
        need("url", SecretUrl, "The incoming webhook"),
        key("channel", Text, "#room or @person; default: the webhook's own"),
    ],
    later: CHANNEL.later,
};

pub(in crate::config) const SLACK: Section = Section {
    what: "a slack channel",
    keys: &[need("type", Choice(TYPE), "Which"), need("url", SecretUrl, "The incoming webhook")],
    later: CHANNEL.later,
};

pub(in crate::config) const WEBHOOK: Section = Section {
    what: "a webhook channel",
    keys: &[
        need("type", Choice(TYPE), "Which"),
        need("url", SecretUrl, "Where events are posted"),
        key("secrets", OneOrMore(&Secret), "whsec_ and base64 of 24 to 64 bytes; default: unsigned"),
    ],
    later: CHANNEL.later,
};

pub(in crate::config) const ROUTE: Section = Section {
    what: "a route",
    keys: &[
        need("channel", Name, "The channel"),
        key("events", OneOrMore(&Text), "Names of events, or beginnings with *; default: *").or("*"),
        key("min_severity", Choice(&["debug", "info", "warning", "critical"]), "Default: info").or("info"),
    ],
    later: &[
        ("group", Never),
        ("grouping", Never),
        ("repeat", Never),
        ("quiet_hours", Empty),
        ("template", Never),
    ],
};
