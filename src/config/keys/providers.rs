//! Keys of `providers:`.

use super::Form::{
    Choice, Domain, Duration, Either, Map, Number, Path, Percent, Secret, SocketAddress, Text, Url,
};
use super::Harmless::False;
use super::{Section, key, need};

/// The providers of this version.
pub(in crate::config) const PROVIDERS: &[(&str, &Section)] =
    &[("mock", &MOCK), ("rfc2136", &RFC2136), ("powerdns", &POWERDNS)];

/// Providers that are planned.
pub(in crate::config) const LATER_PROVIDERS: &[&str] = &[
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

const TYPE: &[&str] = &["mock", "rfc2136", "powerdns"];

/// What can be said of a provider before its type is known.
pub(in crate::config) const PROVIDER: Section = Section {
    what: "a provider",
    keys: &[need("type", Choice(TYPE), "Which"), key("velocity", Map(&VELOCITY), VELOCITY_DOC)],
    later: &[("best_effort", False)],
};

const VELOCITY_DOC: &str = "How many of its records may be changed within a minute; default: any number";

pub(in crate::config) const VELOCITY: Section = Section {
    what: "`velocity`",
    keys: &[need(
        "per_minute",
        Either(&[Number(1, 1_000_000), Percent]),
        "So many records, or such a share of those configured at the provider, rounded up",
    )],
    later: &[],
};

pub(in crate::config) const MOCK: Section = Section {
    what: "a mock provider",
    keys: &[
        need("type", Choice(TYPE), "Which"),
        key("file", Path, "Where its zones are kept; default: in memory"),
        key("dns", SocketAddress, "Where it serves them; port 0 for any; default: no server"),
        key("velocity", Map(&VELOCITY), VELOCITY_DOC),
    ],
    later: PROVIDER.later,
};

pub(in crate::config) const RFC2136: Section = Section {
    what: "an rfc2136 provider",
    keys: &[
        need("type", Choice(TYPE), "Which"),
        need("server", SocketAddress, "The primary server"),
        key("tsig", Map(&TSIG), "The key; default: none, the server goes by address"),
        key("timeout", Duration, "For each exchange, from 10ms; default: 5s").or("5s"),
        key("velocity", Map(&VELOCITY), VELOCITY_DOC),
    ],
    later: PROVIDER.later,
};

pub(in crate::config) const TSIG: Section = Section {
    what: "a TSIG key",
    keys: &[
        need("name", Domain, "The name of the key, as the server has it"),
        key("algorithm", Choice(&["hmac-sha256", "hmac-sha384", "hmac-sha512"]), "Default: hmac-sha256")
            .or("hmac-sha256"),
        need("secret", Secret, "The key, base64"),
    ],
    later: &[],
};

pub(in crate::config) const POWERDNS: Section = Section {
    what: "a powerdns provider",
    keys: &[
        need("type", Choice(TYPE), "Which"),
        need("url", Url, "http or https, without /api/v1"),
        key("server_id", Text, "Default: localhost").or("localhost"),
        need("api_key", Secret, "The key of its HTTP API"),
        key("timeout", Duration, "For each exchange, from 10ms; default: 5s").or("5s"),
        key("velocity", Map(&VELOCITY), VELOCITY_DOC),
    ],
    later: PROVIDER.later,
};
