//! The whole document -> [`Config`], and the faults and warnings that only the whole shows.

use std::collections::{BTreeMap, BTreeSet};

use providers::{DomainName, ProviderConfig};

use super::checks::Definitions;
use super::doubts::{self, Whole};
use super::marks::Marks;
use super::model::{Config, RecordSettings};
use super::names::Names;
use super::read::{Desk, Item, Optional};
use super::records::{Defined, Placed, Records};
use super::tree::{Node, Value};
use super::{
    agent, aliases, channels, checks, coordination, keys, providers as provider_section, records, targets,
};
use crate::decision::ProviderId;
use crate::notify::NotifySettings;

/// Reads everything. `None` when something is wrong; then it was noted.
pub(super) fn read(desk: Desk<'_>, root: &Node) -> Option<Config> {
    let map = Item::new(desk, root, "configuration").map(&keys::ROOT).ok()?;
    let entries = |key: &str| root.get(key).map_or([].as_slice(), Node::entries);
    let check_names = Names::new("check", entries("checks"));
    let target_names = Names::new("target", entries("targets"));
    let provider_names = Names::new("provider", entries("providers"));
    let defined = Defined { targets: &target_names, providers: &provider_names };

    let empty = Node { span: root.span, value: Value::Null };
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
    let providers =
        map.get("providers", provider_section::read).otherwise(provider_section::Providers::default());
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
    if !desk.cx.is_lacking() {
        let nobody = NotifySettings::default();
        doubts::warn(&Whole {
            desk,
            root,
            agent: agent.as_ref().ok(),
            checks: checks.as_ref().unwrap_or(&BTreeMap::new()),
            targets: targets.as_ref().unwrap_or(&BTreeMap::new()),
            providers: providers.as_ref().map_or(&BTreeMap::new(), |(providers, _)| providers),
            records: records.as_ref().unwrap_or(&BTreeMap::new()),
            notify: notify.as_ref().unwrap_or(&nobody),
        });
    }
    let (agent, targets, records) = (agent.ok()?, targets.ok()?, records.ok()?);
    aliases::check(desk, &targets, &records);
    let (mut providers, velocity) = providers.ok()?;
    coordination::check(desk, root, &providers, &records);
    give_zones(&mut providers, &records);
    Some(Config {
        agent,
        socket: socket.ok()?,
        checks: checks.ok()?,
        targets,
        providers,
        velocity,
        records: records.into_iter().map(|(name, placed)| (name, placed.record)).collect(),
        notify: notify.ok()?,
        warnings: Vec::new(),
        marks: Marks::of(root, &desk.cx.taken.borrow()),
    })
}

/// A mock without a file serves the zones of its records.
fn give_zones(providers: &mut BTreeMap<ProviderId, ProviderConfig>, records: &Records<'_>) {
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
