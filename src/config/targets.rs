//! `targets:`

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::keys;
use super::limits;
use super::model::Target;
use super::names::{Names, check_name};
use super::read::{Item, Read};
use super::tree::Span;
use crate::decision::{CheckId, TargetId};

/// All targets.
pub(super) fn read(item: Item<'_>, checks: &Names) -> Read<BTreeMap<TargetId, Target>> {
    item.at_most(limits::TARGETS, "targets", "divide them among several agents")?;
    let mut targets = BTreeMap::new();
    for entry in item.names()? {
        let item = Item { node: &entry.node, name: "target", ..item };
        if let (Ok(()), Ok(target)) = (check_name(item, entry), target(item, checks)) {
            targets.insert(TargetId::from(entry.key.as_str()), target);
        }
    }
    let probes: usize =
        targets.values().map(|target: &Target| target.addresses.len() * target.checks.len()).sum();
    if probes > limits::PROBES {
        let message = format!(
            "{probes} things to probe (addresses times checks), and one agent probes at most {}",
            limits::PROBES
        );
        return Err(item.fault(message, "divide them among several agents"));
    }
    Ok(targets)
}

fn target(item: Item<'_>, names: &Names) -> Read<Target> {
    let map = item.map(&keys::TARGET)?;
    let addresses = map.need("address", |item| {
        let addresses =
            unique(item, item.one_or_list(|item| Ok((item.address("a target")?, item.node.span)))?)?;
        let count = addresses.len();
        if !(1..=limits::ADDRESSES).contains(&count) {
            let message = format!("a target has 1 to {} addresses, and this has {count}", limits::ADDRESSES);
            return Err(item.fault(message, "write its addresses, or remove the target"));
        }
        Ok(addresses)
    });
    let checks = map.need("checks", |item| {
        item.at_most(limits::CHECKS_OF_TARGET, "checks of a target", "keep those that tell most")?;
        let checks = item.one_or_list(|item| names.refer(item).map(CheckId::from))?;
        if checks.is_empty() {
            let message = "a target without checks can never be known to work";
            return Err(item.fault(message, "add a check: `checks: [name]`"));
        }
        Ok(checks.into_iter().collect::<BTreeSet<_>>())
    });
    Ok(Target { addresses: addresses?, checks: checks? })
}

fn unique(item: Item<'_>, addresses: Vec<(IpAddr, Span)>) -> Read<BTreeSet<IpAddr>> {
    let mut seen = BTreeMap::new();
    let mut result = Ok(());
    for (address, span) in addresses {
        if let Some(first) = seen.insert(address, span) {
            item.desk.cx.twice(&address.to_string(), span, first);
            result = Err(super::read::Noted);
        }
    }
    result.map(|()| seen.into_keys().collect())
}
