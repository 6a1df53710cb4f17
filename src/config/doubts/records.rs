//! Doubts about records: what they can point at, and how often they may change.

use std::collections::BTreeMap;
use std::net::IpAddr;

use providers::{DomainName, ProviderConfig, Ttl};

use super::super::model::RecordSettings;
use super::super::records::Placed;
use super::super::scalar::words;
use super::super::tree::Node;
use super::{Whole, place_in};
use crate::decision::{FailbackMode, PER_CHANGE, Place, TargetId};

pub(super) fn warn(whole: &Whole<'_>) {
    if whole.records.is_empty() && whole.node(&["records"]).is_none_or(|node| node.size() == 1) {
        let message = "no records: nothing is kept pointing anywhere";
        whole.warn(
            whole.key(&["records"]),
            message,
            "add `records: [{name: ..., provider: ..., targets: [...]}]`",
        );
    }
    for (name, Placed { record, node, .. }) in whole.records {
        targets(whole, name, record, node);
        times(whole, name, record, node);
        adopted(whole, name, record, node);
    }
}

fn targets(whole: &Whole<'_>, name: &DomainName, record: &RecordSettings, node: &Node) {
    let at = place_in(node, "targets");
    let ids: Vec<&TargetId> = record.policy.targets().collect();
    if let [only] = ids.as_slice() {
        let message = format!("`{only}` is the only target of {name}: there is nothing to fail over to");
        whole.warn(at, message, "add a stand-by");
    }
    let mut owners: BTreeMap<&Place, &TargetId> = BTreeMap::new();
    let mut families = [false; 2];
    let places = |id: &TargetId| whole.targets.get(id).map(|target| &target.places);
    for id in &ids {
        for place in places(id).into_iter().flatten() {
            if let Some(address) = place.address() {
                families[usize::from(address.is_ipv6())] = true;
            }
            if let Some(other) = owners.insert(place, id) {
                let what = if place.name().is_some() { "host name" } else { "address" };
                let message = format!("{name}: the targets `{other}` and `{id}` share the {what} {place}");
                whole.warn(at, message, "they fail together: give each its own");
            }
        }
    }
    // Whoever has only IPv4 must be served whoever of the targets serves.
    for id in &ids {
        let Some(places) = places(id) else { continue };
        if families[0] && places.iter().all(|place| place.address().is_some_and(|address| address.is_ipv6()))
        {
            let message = format!("{name} has no IPv4 address while `{id}` serves");
            whole.warn(whole.key(&["targets", id.as_str()]), message, "add its IPv4 address");
        }
    }
}

fn times(whole: &Whole<'_>, name: &DomainName, record: &RecordSettings, node: &Node) {
    let policy = &record.policy;
    let ttl = std::time::Duration::from_secs(policy.ttl.seconds().into());
    // Zero is a wish: change as often as need be.
    if let Some(written) = node.get("hold_down")
        && !policy.hold_down.is_zero()
        && policy.hold_down < ttl
    {
        let message = format!(
            "hold_down {} is shorter than the TTL, {}: {name} may change before caches have seen the last change",
            words(policy.hold_down),
            words(ttl)
        );
        whole.warn(written.span, message, format!("write `hold_down: {}` or more", words(ttl)));
    }
    if let Some(written) = node.get("failback").and_then(|failback| failback.get("after"))
        && policy.failback == FailbackMode::Manual
    {
        let message = "`after` has no effect with `mode: manual`";
        whole.warn(written.span, message, "remove it, or write `mode: auto`");
    }
    if let Some(written) = node.get("flapping") {
        let flapping = &policy.flapping;
        let kept = (-(policy.hold_down.as_secs_f64() / flapping.half_life.as_secs_f64())).exp2();
        // Changes as fast as hold_down lets them, for ever: the sum of a geometric series.
        let highest = f64::from(PER_CHANGE) / (1.0 - kept);
        if highest < f64::from(flapping.suppress) {
            let message = format!(
                "the penalty of {name} never reaches suppress {}: with hold_down {} it stays below {:.0}",
                flapping.suppress,
                words(policy.hold_down),
                highest.ceil()
            );
            whole.warn(
                written.span,
                message,
                "lower `suppress`, make `half_life` longer, or remove `flapping`",
            );
        }
    }
    let floor = whole.providers.get(&policy.provider).map_or(Ttl(0), ttl_floor);
    if policy.ttl < floor {
        let message = format!(
            "the provider `{}` publishes no TTL below {floor}, and this is {}",
            policy.provider, policy.ttl
        );
        whole.warn(place_in(node, "ttl"), message, format!("write `ttl: {}`", floor.seconds()));
    }
}

/// The shortest TTL that a provider of this kind publishes: what its card says, where that does not depend on the zone.
fn ttl_floor(provider: &ProviderConfig) -> Ttl {
    match provider {
        // RFC 2136 and the PowerDNS API take any; a mock's floor is scripted and found at the provider.
        ProviderConfig::Mock(_) | ProviderConfig::Rfc2136(_) | ProviderConfig::PowerDns(_) => Ttl(0),
    }
}

fn adopted(whole: &Whole<'_>, name: &DomainName, record: &RecordSettings, node: &Node) {
    let own = |address: &&IpAddr| {
        let mut targets = record.policy.targets().filter_map(|id| whole.targets.get(id));
        targets.any(|target| target.places.contains(&Place::from(**address)))
    };
    for address in record.policy.adopt.iter().filter(own) {
        let message = format!("{address} is a target's own address: {name} need not adopt it");
        whole.warn(place_in(node, "adopt"), message, "remove it");
    }
}
