//! `targets:`

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::keys;
use super::model::Target;
use super::names::{Names, check_name};
use super::read::{Item, Read};
use super::tree::Span;
use crate::decision::{CheckId, TargetId};

/// One target has at most so many addresses: each is probed by each check.
const MAX_ADDRESSES: usize = 64;

/// All targets.
pub(super) fn read(item: Item<'_>, checks: &Names) -> Read<BTreeMap<TargetId, Target>> {
    let mut targets = BTreeMap::new();
    for entry in item.names()? {
        let item = Item { node: &entry.node, name: "target", ..item };
        if let (Ok(()), Ok(target)) = (check_name(item, entry), target(item, checks)) {
            targets.insert(TargetId::from(entry.key.as_str()), target);
        }
    }
    Ok(targets)
}

fn target(item: Item<'_>, names: &Names) -> Read<Target> {
    let map = item.map(&keys::TARGET)?;
    let addresses = map.need("address", |item| {
        let addresses =
            unique(item, item.one_or_list(|item| Ok((item.address("a target")?, item.node.span)))?)?;
        let count = addresses.len();
        if !(1..=MAX_ADDRESSES).contains(&count) {
            let message = format!("a target has 1 to {MAX_ADDRESSES} addresses, and this has {count}");
            return Err(item.fault(message, "write its addresses, or remove the target"));
        }
        Ok(addresses)
    });
    let checks = map.need("checks", |item| {
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
