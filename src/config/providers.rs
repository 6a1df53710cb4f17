//! `providers:`

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use providers::{
    DomainName, MockConfig, PowerDnsConfig, ProviderConfig, Rfc2136Config, TsigAlgorithm, TsigConfig,
};
use secrecy::ExposeSecret;
use url::{Host, Url};

use super::keys;
use super::limits;
use super::names::check_name;
use super::read::{Item, Map, Optional, Read};
use crate::decision::{ProviderId, Velocity};

const TIMEOUT: Duration = Duration::from_secs(5);
const SHORTEST: Duration = Duration::from_millis(10);

/// RFC 8945 section 6: the algorithms that are not "not recommended" and that BIND, Knot and PowerDNS share.
const ALGORITHMS: &[(&str, TsigAlgorithm)] = &[
    ("hmac-sha256", TsigAlgorithm::HmacSha256),
    ("hmac-sha384", TsigAlgorithm::HmacSha384),
    ("hmac-sha512", TsigAlgorithm::HmacSha512),
];

/// All providers, and how fast they may be asked for changes, where that has a bound.
pub(super) type Providers = (BTreeMap<ProviderId, ProviderConfig>, BTreeMap<ProviderId, Velocity>);

/// All providers. The zones of a mock are filled in when the records are known.
pub(super) fn read(item: Item<'_>) -> Read<Providers> {
    item.at_most(limits::PROVIDERS, "providers", "divide them among several agents")?;
    let (mut providers, mut velocities) = (BTreeMap::new(), BTreeMap::new());
    for entry in item.names()? {
        let item = Item { node: &entry.node, name: "provider", ..item };
        if let (Ok(()), Ok((provider, velocity))) = (check_name(item, entry), provider(item)) {
            let id = ProviderId::from(entry.key.as_str());
            velocities.extend(velocity.map(|velocity| (id.clone(), velocity)));
            providers.insert(id, provider);
        }
    }
    Ok((providers, velocities))
}

fn provider(item: Item<'_>) -> Read<(ProviderConfig, Option<Velocity>)> {
    let choices: Vec<(&str, &str)> = keys::PROVIDERS.iter().map(|(kind, _)| (*kind, *kind)).collect();
    // The other keys cannot be judged before the type is known.
    let kind = item.kind(&keys::PROVIDER, &choices, keys::LATER_PROVIDERS)?;
    let (map, read): (_, fn(&Map<'_>) -> Read<ProviderConfig>) = match kind {
        "mock" => (item.map(&keys::MOCK)?, |map| mock(map).map(ProviderConfig::Mock)),
        "rfc2136" => (item.map(&keys::RFC2136)?, |map| rfc2136(map).map(ProviderConfig::Rfc2136)),
        _ => (item.map(&keys::POWERDNS)?, |map| powerdns(map).map(ProviderConfig::PowerDns)),
    };
    let (provider, velocity) = (read(&map), map.get("velocity", velocity));
    Ok((provider?, velocity?))
}

fn velocity(item: Item<'_>) -> Read<Velocity> {
    item.map(&keys::VELOCITY)?.need("per_minute", |item| {
        if !item.scalar("a number or a percentage")?.text.contains('%') {
            return item.number(1..=1_000_000).map(Velocity::Records);
        }
        match item.percent(100)? {
            0 => Err(item.fault("per_minute 0% allows no change at all", "write at least 1%, or `1`")),
            share => Ok(Velocity::Percent(share)),
        }
    })
}

fn mock(map: &Map<'_>) -> Read<MockConfig> {
    let (file, dns) = (map.get("file", Item::path), map.get("dns", |item| item.socket_address(0, 5353)));
    Ok(MockConfig { file: file?, dns: dns?, zones: Vec::<DomainName>::new() })
}

fn rfc2136(map: &Map<'_>) -> Read<Rfc2136Config> {
    let server = map.need("server", |item| item.socket_address(1, 53));
    let tsig = map.get("tsig", tsig);
    let timeout = map.get("timeout", |item| item.duration(SHORTEST)).otherwise(TIMEOUT);
    Ok(Rfc2136Config { server: server?, tsig: tsig?, timeout: timeout? })
}

fn tsig(item: Item<'_>) -> Read<TsigConfig> {
    let map = item.map(&keys::TSIG)?;
    let name = map.need("name", Item::domain);
    let algorithm =
        map.get("algorithm", |item| item.choice(ALGORITHMS, &[])).otherwise(TsigAlgorithm::HmacSha256);
    let secret = map.need("secret", |item| {
        let secret = item.secret()?;
        match STANDARD.decode(secret.expose_secret().trim()) {
            Ok(key) if !key.is_empty() => Ok(secret),
            _ => Err(item.fault("the TSIG secret is not base64", "copy it as the server's key file has it")),
        }
    });
    Ok(TsigConfig { name: name?, algorithm: algorithm?, secret: secret? })
}

fn powerdns(map: &Map<'_>) -> Read<PowerDnsConfig> {
    let url = map.need("url", |item| {
        let url = item.url()?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                item.fault("`url` holds a user or password", "leave it out; the key goes into `api_key`")
            );
        }
        if url.path().trim_end_matches('/').ends_with("/api/v1") {
            return Err(item.fault("`url` ends with /api/v1", "leave that out; it is added"));
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            item.warn("the API key travels unencrypted to another machine", "use https");
        }
        Ok(url)
    });
    let server_id = map.get("server_id", Item::text).otherwise("localhost".to_owned());
    let api_key = map.need("api_key", Item::secret);
    let timeout = map.get("timeout", |item| item.duration(SHORTEST)).otherwise(TIMEOUT);
    Ok(PowerDnsConfig { url: url?, server_id: server_id?, api_key: api_key?, timeout: timeout? })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
