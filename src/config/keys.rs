//! Every key there is, by the mapping it stands in: those of this version and those of later ones.
//!
//! A reader opens a mapping with its table and cannot ask for a key that is not in it, so the tables, the
//! readers and the example cannot drift apart. A schema for editors can be made of them, too.

use self::Harmless::{Empty, False, Never, Word};
use super::tree::{Node, Value};

/// The keys of one kind of mapping.
pub(super) struct Section {
    /// What it is, for messages: "a check".
    pub(super) what: &'static str,
    /// The keys of this version.
    pub(super) keys: &'static [&'static str],
    /// Keys of later versions, and the value at which each asks for nothing.
    pub(super) later: &'static [(&'static str, Harmless)],
}

/// When does a key of a later version ask for nothing?
#[derive(Clone, Copy)]
pub(super) enum Harmless {
    /// Never: it has no neutral value.
    Never,
    /// When it is `false`.
    False,
    /// When it is an empty list or mapping.
    Empty,
    /// When it is this word.
    Word(&'static str),
}

impl Harmless {
    /// Does this value ask for nothing? No value at all never asks for anything.
    pub(super) fn allows(self, node: &Node) -> bool {
        let word = |word: &str| matches!(&node.value, Value::Scalar(scalar) if scalar.text == word);
        match (self, &node.value) {
            (_, Value::Null) => true,
            (False, _) => word("false"),
            (Empty, Value::List(items)) => items.is_empty(),
            (Empty, Value::Map(entries)) => entries.is_empty(),
            (Word(neutral), _) => word(neutral),
            (Empty | Never, _) => false,
        }
    }
}

pub(super) const ROOT: Section = Section {
    what: "the configuration",
    keys: &["agent", "api", "checks", "targets", "providers", "records", "notify"],
    later: &[("receivers", Empty), ("cluster", Empty), ("etcd", Empty), ("overrides", Empty)],
};

pub(super) const AGENT: Section = Section {
    what: "`agent`",
    keys: &["id", "state", "startup_grace", "live_interval", "witnesses"],
    later: &[("vantage", Never), ("coordination", Word("none"))],
};

pub(super) const WITNESS: Section = Section {
    what: "a witness",
    keys: &["tcp"],
    later: &[("http", Never), ("tls", Never), ("icmp", Never), ("dns", Never)],
};

pub(super) const API: Section = Section {
    what: "`api`",
    keys: &["socket"],
    later: &[("listen", Never), ("tokens", Empty), ("tls", Never), ("dashboard", False)],
};

pub(super) const CHECK: Section = Section {
    what: "a check",
    keys: &["http", "tcp", "exec", "interval", "fast_interval", "timeout", "jitter", "fall", "rise", "clear"],
    later: &[
        ("tripwire", False),
        ("tls", Never),
        ("icmp", Never),
        ("dns", Never),
        ("grpc", Never),
        ("heartbeat", Never),
        ("postgres", Never),
        ("mysql", Never),
        ("redis", Never),
    ],
};

pub(super) const HTTP: Section = Section {
    what: "an http check",
    keys: &["method", "path", "port", "tls", "host", "sni", "headers", "status", "body", "max_body"],
    later: &[
        ("auth", Never),
        ("mtls", Never),
        ("client_certificate", Never),
        ("client_key", Never),
        ("ca", Never),
        ("min_tls_days", Never),
        ("reuse", False),
        ("http2", False),
        ("send", Never),
    ],
};

pub(super) const BODY: Section = Section {
    what: "what a body must hold",
    keys: &["contains", "regex"],
    later: &[("json", Never), ("json_pointer", Never), ("pointer", Never)],
};

pub(super) const TCP: Section = Section {
    what: "a tcp check",
    keys: &["port", "send", "expect"],
    later: &[("tls", False), ("reuse", False)],
};

pub(super) const EXEC: Section = Section {
    what: "an exec check",
    keys: &["command"],
    later: &[("environment", Empty), ("directory", Never)],
};

pub(super) const TARGET: Section = Section {
    what: "a target",
    keys: &["address", "checks"],
    later: &[("require", Word("all")), ("weight", Never)],
};

/// The providers of this version.
pub(super) const PROVIDER_KINDS: &[&str] = &["mock", "rfc2136", "powerdns"];

/// Providers that are planned.
pub(super) const LATER_PROVIDERS: &[&str] = &[
    "cloudflare",
    "route53",
    "google",
    "azure",
    "digitalocean",
    "hetzner",
    "linode",
    "vultr",
    "gandi",
    "ovh",
    "desec",
    "ns1",
    "dnsimple",
    "scaleway",
    "ionos",
    "godaddy",
    "technitium",
    "porkbun",
    "bunny",
    "inwx",
    "transip",
    "namecheap",
    "coredns_etcd",
    "consul",
    "external_dns_webhook",
    "exec",
];

pub(super) const PROVIDER: Section =
    Section { what: "a provider", keys: &["type"], later: &[("velocity", Never), ("best_effort", False)] };

pub(super) const MOCK: Section =
    Section { what: "a mock provider", keys: &["type", "file", "dns"], later: PROVIDER.later };

pub(super) const RFC2136: Section = Section {
    what: "an rfc2136 provider",
    keys: &["type", "server", "tsig", "timeout"],
    later: PROVIDER.later,
};

pub(super) const TSIG: Section =
    Section { what: "a TSIG key", keys: &["name", "algorithm", "secret"], later: &[] };

pub(super) const POWERDNS: Section = Section {
    what: "a powerdns provider",
    keys: &["type", "url", "server_id", "api_key", "timeout"],
    later: PROVIDER.later,
};

pub(super) const RECORD: Section = Section {
    what: "a record",
    keys: &[
        "name",
        "provider",
        "zone",
        "nameservers",
        "ttl",
        "targets",
        "serve",
        "failback",
        "all_down",
        "hold_down",
        "adopt",
        "create",
        "coordination",
    ],
    later: &[
        ("flapping", Never),
        ("require", Word("all")),
        ("best_effort", False),
        ("before_change", Empty),
        ("after_change", Empty),
    ],
};

pub(super) const FAILBACK: Section = Section { what: "`failback`", keys: &["mode", "after"], later: &[] };

pub(super) const NOTIFY: Section = Section {
    what: "`notify`",
    keys: &["channels", "routes"],
    later: &[
        ("templates", Empty),
        ("grouping", Never),
        ("group", Never),
        ("quiet_hours", Empty),
        ("rate_limit", Never),
    ],
};

/// The channels of this version.
pub(super) const CHANNEL_KINDS: &[&str] = &["log", "rocketchat", "slack", "webhook"];

/// Channels that are planned.
pub(super) const LATER_CHANNELS: &[&str] = &[
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

pub(super) const CHANNEL: Section = Section {
    what: "a channel",
    keys: &["type"],
    later: &[("template", Never), ("templates", Empty), ("rate_limit", Never), ("quiet_hours", Empty)],
};

pub(super) const LOG: Section = Section { what: "a log channel", keys: &["type"], later: CHANNEL.later };

pub(super) const ROCKETCHAT: Section =
    Section { what: "a rocketchat channel", keys: &["type", "url", "channel"], later: CHANNEL.later };

pub(super) const SLACK: Section =
    Section { what: "a slack channel", keys: &["type", "url"], later: CHANNEL.later };

pub(super) const WEBHOOK: Section =
    Section { what: "a webhook channel", keys: &["type", "url", "secrets"], later: CHANNEL.later };

pub(super) const ROUTE: Section = Section {
    what: "a route",
    keys: &["channel", "events", "min_severity"],
    later: &[
        ("group", Never),
        ("grouping", Never),
        ("repeat", Never),
        ("quiet_hours", Empty),
        ("template", Never),
    ],
};

/// Every table.
pub(super) const ALL: &[&Section] = &[
    &ROOT,
    &AGENT,
    &WITNESS,
    &API,
    &CHECK,
    &HTTP,
    &BODY,
    &TCP,
    &EXEC,
    &TARGET,
    &PROVIDER,
    &MOCK,
    &RFC2136,
    &TSIG,
    &POWERDNS,
    &RECORD,
    &FAILBACK,
    &NOTIFY,
    &CHANNEL,
    &LOG,
    &ROCKETCHAT,
    &SLACK,
    &WEBHOOK,
    &ROUTE,
];

/// Is there such a key anywhere, in this version or a later one?
pub(super) fn is_known(key: &str) -> bool {
    ALL.iter()
        .any(|section| section.keys.contains(&key) || section.later.iter().any(|(later, _)| *later == key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The example shows every key of this version, commented out or not, and none of a later one.
    #[test]
    fn the_example_has_every_key() {
        let shows = |key: &str| {
            let key = regex::Regex::new(&format!(r"(?m)(?:^|[\s{{(#]){key}:(?:\s|$)")).unwrap();
            key.is_match(Config::EXAMPLE)
        };
        for section in ALL {
            for key in section.keys {
                assert!(shows(key), "failover.example.yaml does not show `{key}` of {}", section.what);
            }
        }
        let now: Vec<&str> = ALL.iter().flat_map(|section| section.keys).copied().collect();
        for (key, _) in ALL.iter().flat_map(|section| section.later).filter(|(key, _)| !now.contains(key)) {
            assert!(!shows(key), "failover.example.yaml shows `{key}`, which is refused");
        }
    }

    /// The reference names every key of this version: as a heading, a row, or within a value.
    #[test]
    fn the_reference_has_every_key() {
        const REFERENCE: &str = include_str!("../../docs/configuration.md");
        for section in ALL {
            for key in section.keys {
                let forms =
                    [format!("## {key}\n"), format!("`{key}`"), format!(".{key}`"), format!("`{{{key}: ")];
                let named = forms.iter().any(|form| REFERENCE.contains(form));
                assert!(named, "docs/configuration.md has no `{key}` of {}", section.what);
            }
        }
    }

    #[test]
    fn no_key_is_of_this_version_and_of_a_later_one() {
        for section in ALL {
            assert!(section.later.iter().all(|(key, _)| !section.keys.contains(key)), "{}", section.what);
        }
    }
}
