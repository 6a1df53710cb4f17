//! Doubts about what the agent leans on: whatever is reached through a record that it may change, or that runs on
//! a target, fails with the very thing it is needed for.

use std::net::IpAddr;

use providers::{DomainName, ProviderConfig};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::super::tree::{Node, Value};
use super::Whole;
use crate::decision::TargetId;
use crate::notify::ChannelKind;
use crate::probe::CheckKind;

pub(super) fn warn(whole: &Whole<'_>) {
    witnesses(whole);
    providers(whole);
    channels(whole);
    commands(whole);
}

fn witnesses(whole: &Whole<'_>) {
    let Some(agent) = whole.agent else { return };
    if agent.witnesses.is_empty() && !whole.records.is_empty() {
        let message = "no witnesses: the agent cannot tell a dead primary from its own dead uplink";
        let remedy = "add two addresses that have nothing to do with the targets to `agent.witnesses`";
        whole.warn(whole.key(&["agent", "witnesses"]), message, remedy);
    }
    let written = match whole.node(&["agent", "witnesses"]).map(|node| &node.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    for (id, witness) in &agent.witnesses {
        let Some(target) = target_at(whole, witness.address) else { continue };
        let is_it = |node: &&Node| {
            let proof = node.entries().first().map(|entry| &entry.node.value);
            matches!(proof, Some(Value::Scalar(scalar)) if id.as_str().ends_with(&scalar.text))
        };
        let node = written.iter().find(is_it);
        let at = node.map_or_else(|| whole.key(&["agent", "witnesses"]), |node| node.span);
        let message = format!(
            "the witness {} is an address of the target `{target}` and proves nothing",
            witness.address
        );
        whole.warn(at, message, "choose one that has nothing to do with the targets");
    }
}

fn providers(whole: &Whole<'_>) {
    for (id, provider) in whole.providers {
        let (key, address, name) = match provider {
            ProviderConfig::Rfc2136(server) => ("server", Some(server.server.ip()), None),
            ProviderConfig::PowerDns(server) => ("url", host_address(&server.url), host_name(&server.url)),
            ProviderConfig::Mock(_) => continue,
        };
        let at = || whole.place(&["providers", id.as_str(), key]);
        if let Some(target) = address.and_then(|address| target_at(whole, address)) {
            let message = format!("the provider `{id}` runs on the target `{target}`: it dies with it");
            whole.warn(at(), message, "a failover can be written only to a server that outlives the target");
        }
        if let Some(record) = name.and_then(|name| record_of(whole, &name)) {
            let message =
                format!("the provider `{id}` is reached through {record}, a record that it may change");
            whole.warn(at(), message, "use its address, or a name that is not managed here");
        }
    }
}

fn channels(whole: &Whole<'_>) {
    for (id, channel) in &whole.notify.channels {
        let url: &SecretString = match &channel.kind {
            ChannelKind::RocketChat { url, .. }
            | ChannelKind::Slack { url }
            | ChannelKind::Webhook { url, .. } => url,
            ChannelKind::Log => continue,
        };
        let Ok(url) = url.expose_secret().parse::<Url>() else { continue };
        let at = || whole.key(&["notify", "channels", id.as_str()]);
        if let Some(record) = host_name(&url).and_then(|name| record_of(whole, &name)) {
            let message =
                format!("the channel `{id}` is reached through {record}, whose failure it should tell");
            whole.warn(at(), message, "use a name that is not managed here, or add a second channel");
        }
        if let Some(target) = host_address(&url).and_then(|address| target_at(whole, address)) {
            let message =
                format!("the channel `{id}` runs on the target `{target}`, whose failure it should tell");
            whole.warn(at(), message, "use another host, or add a second channel");
        }
    }
}

/// A program that is given the record's name asks the DNS for it, and so judges whatever is published.
fn commands(whole: &Whole<'_>) {
    for (id, (check, _)) in whole.checks {
        let CheckKind::Exec(exec) = &check.kind else { continue };
        if exec.command.iter().any(|part| part.contains("{address}")) {
            // It is told the address; the name may be the Host header.
            continue;
        }
        for part in exec.command.iter().skip(1) {
            let Some(record) = name_in(part).and_then(|name| record_of(whole, &name)) else { continue };
            let at = whole.place(&["checks", id.as_str(), "exec", "command"]);
            let message = format!("`{id}` probes through {record}, the record that it decides about");
            whole.warn(at, message, "give the program \"{address}\", the target's own address");
        }
    }
}

/// The host name in an argument: `www.example.com`, `--host=www.example.com`, `https://www.example.com/x`.
fn name_in(argument: &str) -> Option<DomainName> {
    let option = argument.starts_with('-').then(|| argument.split_once('=')).flatten();
    let text = option.map_or(argument, |(_, value)| value);
    if let Ok(url) = text.parse::<Url>()
        && url.has_host()
    {
        return host_name(&url);
    }
    text.split_once(':').map_or(text, |(host, _)| host).parse().ok()
}

fn host_name(url: &Url) -> Option<DomainName> {
    match url.host()? {
        Host::Domain(name) => name.parse().ok(),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

fn host_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn record_of<'a>(whole: &'a Whole<'_>, name: &DomainName) -> Option<&'a DomainName> {
    whole.records.get_key_value(name).map(|(name, _)| name)
}

/// The target with this address. On this machine everything has the same one, in tests and rehearsals.
fn target_at<'a>(whole: &'a Whole<'_>, address: IpAddr) -> Option<&'a TargetId> {
    let found = whole.targets.iter().find(|(_, target)| target.places.contains(&address.into()));
    found.filter(|_| !address.is_loopback()).map(|(id, _)| id)
}
