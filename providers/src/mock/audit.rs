//! The mock's own eye on itself: what one write changed, against what it was asked to change.
//!
//! It shares no code with [`Zones::swapped`](super::zone::Zones::swapped), so that a mistake there shows here.

use std::collections::{BTreeMap, BTreeSet};

use super::zone::{Node, ZoneState, Zones};
use crate::DomainName;

/// Every promise that the step from `before` to `after` breaks, when only `names` of `zone` were to change, and the texts
/// at `markers`.
pub(super) fn audit(
    before: &Zones,
    after: &Zones,
    zone: &DomainName,
    names: &BTreeSet<DomainName>,
    markers: &BTreeSet<DomainName>,
) -> Vec<String> {
    let mut breaches = Vec::new();
    let apexes: BTreeSet<&DomainName> = before.0.keys().chain(after.0.keys()).collect();
    for apex in apexes {
        let (old, new) = (before.0.get(apex), after.0.get(apex));
        if apex == zone {
            let nothing = ZoneState::default();
            audit_zone(old.unwrap_or(&nothing), new.unwrap_or(&nothing), (names, markers), &mut breaches);
        } else if old != new {
            breaches.push(format!("the zone {apex} changed, though {zone} was meant"));
        }
    }
    breaches
}

fn audit_zone(
    old: &ZoneState,
    new: &ZoneState,
    (names, markers): (&BTreeSet<DomainName>, &BTreeSet<DomainName>),
    breaches: &mut Vec<String>,
) {
    if new.serial != old.serial.wrapping_add(1) {
        breaches.push(format!("the serial went from {} to {}", old.serial, new.serial));
    }
    let all: BTreeSet<&DomainName> = old.nodes.keys().chain(new.nodes.keys()).collect();
    let nothing = Node::default();
    for name in all {
        let was = old.nodes.get(name).unwrap_or(&nothing);
        let is = new.nodes.get(name).unwrap_or(&nothing);
        if was == is {
            continue;
        }
        if markers.contains(name) && !names.contains(name) {
            let kept = |node: &Node| -> Vec<_> {
                node.others.iter().filter(|set| set.record_type != "TXT").cloned().collect()
            };
            if was.answer != is.answer || kept(was) != kept(is) {
                breaches.push(format!("{name}: more than its text changed"));
            }
            if is.others.iter().filter(|set| set.record_type == "TXT").count() != 1 {
                breaches.push(format!("{name} was left without its text"));
            }
            continue;
        }
        if !names.contains(name) {
            breaches.push(format!("{name} changed, though it was not asked for"));
        }
        if was.others != is.others {
            breaches.push(format!("{name}: a set that is no answer changed"));
        }
        if is.answer.is_empty() {
            breaches.push(format!("{name} was left empty"));
        }
    }
}

/// Holds the chain of swaps of one writer's memory: each starts where the last write to the name ended.
#[derive(Debug, Default)]
pub(super) struct Chain(BTreeMap<DomainName, Node>);

impl Chain {
    /// The breaches of a swap of `names` that found the zones as they are in `before`.
    pub(super) fn audit(
        &self,
        before: &Zones,
        zone: &DomainName,
        names: &BTreeSet<DomainName>,
    ) -> Vec<String> {
        let nothing = Node::default();
        let nodes = before.0.get(zone).map(|state| &state.nodes);
        let broken = |name: &&DomainName| {
            let found = nodes.and_then(|nodes| nodes.get(*name)).unwrap_or(&nothing);
            self.0.get(*name).is_some_and(|last| last.answer != found.answer)
        };
        names
            .iter()
            .filter(broken)
            .map(|name| {
                format!("the chain of writes to {name} is broken: it did not hold what was written last")
            })
            .collect()
    }

    pub(super) fn remember(&mut self, name: &DomainName, node: &Node) {
        self.0.insert(name.clone(), node.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ttl;
    use crate::mock::StoredSet;

    fn name(text: &str) -> DomainName {
        text.parse().expect("a name")
    }

    fn set(kind: &str, value: &str) -> StoredSet {
        StoredSet { ttl: Ttl(60), record_type: kind.into(), values: vec![value.into()] }
    }

    fn zones() -> Zones {
        let mut state = ZoneState::default();
        let www = vec![set("A", "192.0.2.1"), set("TXT", "\"theirs\"")];
        state.put(&name("www.example.com"), Node::of(www).expect("a node"));
        state.put(&name("ftp.example.com"), Node::of(vec![set("A", "192.0.2.2")]).expect("a node"));
        Zones([(name("example.com"), state), (name("example.net"), ZoneState::default())].into())
    }

    /// What the audit says when `doctor` has been at the zones.
    fn breaches(doctor: impl FnOnce(&mut Zones)) -> String {
        let mut after = zones();
        let zone = after.0.get_mut(&name("example.com")).expect("there");
        zone.serial += 1;
        doctor(&mut after);
        audit(&zones(), &after, &name("example.com"), &[name("www.example.com")].into(), &BTreeSet::new())
            .join("; ")
    }

    fn node<'a>(zones: &'a mut Zones, owner: &str) -> &'a mut Node {
        let zone = zones.0.get_mut(&name("example.com")).expect("there");
        zone.nodes.entry(name(owner)).or_default()
    }

    #[test]
    fn a_write_as_asked_is_no_breach() {
        let moved = Node::of(vec![set("A", "192.0.2.9"), set("TXT", "\"theirs\"")]).expect("a node");
        assert_eq!(breaches(|zones| *node(zones, "www.example.com") = moved), "");
    }

    #[test]
    fn each_broken_promise_is_found() {
        assert!(breaches(|zones| node(zones, "www.example.com").answer.clear()).contains("left empty"));
        assert!(
            breaches(|zones| node(zones, "www.example.com").others.clear()).contains("no answer changed")
        );
        assert!(breaches(|zones| node(zones, "ftp.example.com").answer.clear()).contains("not asked for"));
        assert!(breaches(|zones| drop(zones.0.remove(&name("example.net")))).contains("example.net changed"));
        let sleepy = |zones: &mut Zones| zones.0.get_mut(&name("example.com")).expect("there").serial -= 1;
        assert!(breaches(sleepy).contains("serial"));
    }

    #[test]
    fn a_break_in_the_chain_is_found() {
        let mut chain = Chain::default();
        let (zone, www) = (name("example.com"), name("www.example.com"));
        assert!(chain.audit(&zones(), &zone, &[www.clone()].into()).is_empty(), "nothing is known yet");
        chain.remember(&www, &Node::of(vec![set("A", "192.0.2.77")]).expect("a node"));
        assert_eq!(chain.audit(&zones(), &zone, &[www].into()).len(), 1);
    }
}
