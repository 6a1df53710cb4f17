//! Where events go: checked settings, no YAML.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::decision::{ChannelId, EventKind, Severity};

/// Channels and the routes to them.
#[derive(Clone, Debug, Default)]
pub struct NotifySettings {
    /// The channels, by name.
    pub channels: BTreeMap<ChannelId, Channel>,
    /// An event goes to every channel that some route of it takes it to, once.
    pub routes: Vec<Route>,
}

/// One channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// What it is.
    pub kind: ChannelKind,
}

/// The kinds of channel. URLs are secrets: who has one can post.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// The program's own log.
    Log,
    /// A Rocket.Chat incoming webhook.
    RocketChat {
        /// The webhook's URL.
        url: SecretString,
        /// Another channel than the webhook's own (`#ops`, `@person`).
        channel: Option<String>,
    },
    /// A Slack incoming webhook.
    Slack {
        /// The webhook's URL.
        url: SecretString,
    },
    /// A signed HTTP POST (Standard Webhooks).
    Webhook {
        /// Where to.
        url: SecretString,
        /// Signing secrets, `whsec_` and base64; several while one is being replaced. None: unsigned.
        secrets: Vec<SecretString>,
    },
}

/// Which events go to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The channel.
    pub channel: ChannelId,
    /// Patterns over the kind's name: `*`, `failover.*`, `all_down`.
    pub events: Vec<String>,
    /// Nothing below this.
    pub min_severity: Severity,
}

impl Route {
    /// Does this route take such an event?
    pub fn takes(&self, kind: EventKind, severity: Severity) -> bool {
        severity >= self.min_severity && self.events.iter().any(|pattern| matches(pattern, kind.as_str()))
    }
}

/// `*` at the end stands for any rest; everything else for itself.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

impl NotifySettings {
    /// The channels that hear of such an event, each once, in order.
    pub fn channels_for(&self, kind: EventKind, severity: Severity) -> Vec<ChannelId> {
        let mut channels: Vec<ChannelId> = self
            .routes
            .iter()
            .filter(|route| route.takes(kind, severity))
            .map(|r| r.channel.clone())
            .collect();
        channels.sort();
        channels.dedup();
        channels
    }
}
