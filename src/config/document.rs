//! The whole document -> [`Config`], and the faults and warnings that only the whole shows.

use std::collections::{BTreeMap, BTreeSet};

use providers::{DomainName, ProviderConfig};

use super::checks::Definitions;
use super::marks::Marks;
use super::model::{AgentSettings, Config, RecordSettings, Target, Warning};
use super::names::Names;
use super::read::{Desk, Item, Optional};
use super::records::{Defined, Placed, Records};
use super::tree::{Entry, Node};
use super::{agent, aliases, channels, checks, keys, providers as provider_section, records, targets};
use crate::decision::{Place, ProviderId, TargetId};
use crate::notify::NotifySettings;

/// Reads everything. `None` when something is wrong; then it was noted.
pub(super) fn read(desk: Desk<'_>, root: &Node) -> Option<Config> {
    let map = Item::new(desk, root, "configuration").map(&keys::ROOT).ok()?;
    let entries = |key: &str| root.get(key).map_or([].as_slice(), Node::entries);
    let check_names = Names::new("check", entries("checks"));
    let target_names = Names::new("target", entries("targets"));
    let provider_names = Names::new("provider", entries("providers"));
    let defined = Defined { targets: &target_names, providers: &provider_names };

    let empty = Node { span: root.span, value: super::tree::Value::Null };
    let agent = map.get("agent", agent::read).transpose();
    let agent = agent.unwrap_or_else(|| agent::read(Item::new(desk, &empty, "agent")));
    let socket = map.get("api", agent::read_api).otherwise(None);
    let checks = map.get("checks", checks::read).otherwise(BTreeMap::new());
    let definitions = Definitions {
        names: &check_names,
        entries: entries("checks"),
        read: checks.as_ref().unwrap_or(const { &BTreeMap::new() }),
    };
    let targets = map.get("targets", |item| targets::read(item, &definitions)).otherwise(BTreeMap::new());
    let providers = map.get("providers", provider_section::read).otherwise(BTreeMap::new());
    let records = map.get("records", |item| records::read(item, &defined)).otherwise(BTreeMap::new());
    let notify = map.get("notify", channels::read);

    check_names.warn_unused(desk.cx, "target");
    target_names.warn_unused(desk.cx, "record");
    provider_names.warn_unused(desk.cx, "record");
    let notify = notify.map(|notify| match notify {
        Some((settings, names)) => {
            names.warn_unused(desk.cx, "route");
            settings
        }
        None => NotifySettings::default(),
    });
    let (agent, targets, records) = (agent.ok()?, targets.ok()?, records.ok()?);
    aliases::check(desk, &targets, &records);
    warn_of_the_whole(desk, root, &agent, &targets, &records);
    let mut providers = providers.ok()?;
    give_zones(&mut providers, &records);
    Some(Config {
        agent,
        socket: socket.ok()?,
        checks: checks.ok()?,
        targets,
        providers,
        records: records.into_iter().map(|(name, placed)| (name, placed.record)).collect(),
        notify: notify.ok()?,
        warnings: Vec::<Warning>::new(),
        marks: Marks::of(root, &desk.cx.taken.borrow()),
    })
}

/// A mock without a file serves the zones of its records.
fn give_zones(providers: &mut BTreeMap<ProviderId, ProviderConfig>, records: &Records) {
    let mut zones: BTreeMap<&ProviderId, BTreeSet<DomainName>> = BTreeMap::new();
    for (name, Placed { record, .. }) in records {
        zones.entry(&record.policy.provider).or_default().extend(zone_of(name, record));
    }
    for (id, provider) in providers {
        if let ProviderConfig::Mock(mock) = provider {
            mock.zones = zones.remove(id).unwrap_or_default().into_iter().collect();
        }
    }
}

fn zone_of(name: &DomainName, record: &RecordSettings) -> Option<DomainName> {
    record.zone.clone().or_else(|| name.parent())
}

fn warn_of_the_whole(
    desk: Desk<'_>,
    root: &Node,
    agent: &AgentSettings,
    targets: &BTreeMap<TargetId, Target>,
    records: &Records,
) {
    if records.is_empty() {
        desk.cx.warn(None, "no records: nothing is kept pointing anywhere");
    } else if agent.witnesses.is_empty() {
        let place = root.entries().iter().find(|entry: &&Entry| entry.key == "agent").map(|entry| entry.at);
        let text = "no witnesses: the agent cannot tell a dead primary from its own dead uplink; \
                    add two addresses that have nothing to do with the targets to `agent.witnesses`";
        desk.cx.warn(place, text);
    }
    for witness in agent.witnesses.values().filter(|witness| !witness.address.is_loopback()) {
        if let Some((id, _)) =
            targets.iter().find(|(_, target)| target.places.contains(&witness.address.into()))
        {
            let text = format!(
                "the witness {} is an address of the target `{id}` and proves nothing",
                witness.address
            );
            desk.cx.warn(None, text);
        }
    }
    for (name, Placed { record, span, .. }) in records {
        let mut owners: BTreeMap<&Place, &TargetId> = BTreeMap::new();
        for id in record.policy.targets() {
            for place in targets.get(id).into_iter().flat_map(|target| &target.places) {
                if let Some(other) = owners.insert(place, id) {
                    let what = if place.name().is_some() { "host name" } else { "address" };
                    let text = format!("{name}: the targets `{other}` and `{id}` share the {what} {place}");
                    desk.cx.warn(Some(*span), text);
                }
            }
        }
    }
}
