//! A configuration as it is played. Pure: nothing is opened here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use providers::DomainName;

use super::acts::{acts, addresses, has_another};
use super::facts::Addresses;
use super::part::{Part, part};
use super::recast::recast;
use super::shorten::{Shortened, Usual, shorten};
use crate::config::Config;
use crate::decision::Severity;
use crate::decision::{ChannelId, CheckId, Place, Serve, TargetId};
use crate::notify::{Channel, ChannelKind, Route};
use crate::probe::Check;

/// The most records that are played, the first by name; each has listeners and is asked for all the time.
const MOST_RECORDS: usize = 20;
/// The most outages, one after the other.
const MOST_ACTS: usize = 3;

/// A target and where it is.
pub type Billing = (TargetId, Vec<Place>);

/// A configuration as it is played: what stands in for what, how much faster, and who is killed when.
#[derive(Clone, Debug)]
pub struct Cast {
    /// The configuration that the agent is given.
    pub(super) config: Arc<Config>,
    /// What a listener does for each check, by [`key`].
    pub(super) parts: BTreeMap<usize, Part>,
    /// What each record publishes when all is well.
    pub(super) homes: BTreeMap<DomainName, Addresses>,
    /// The targets killed in each outage.
    pub(super) acts: Vec<BTreeSet<TargetId>>,
    /// What the same takes with the configured times.
    pub(super) usual: BTreeMap<DomainName, Usual>,
    /// Times that were made shorter.
    pub shortened: Vec<Shortened>,
    /// What is played otherwise than it is configured.
    pub notes: Vec<String>,
}

impl Cast {
    /// The channel by which the rehearsal itself hears of every event. A configured name holds no space.
    pub(super) fn own_channel() -> ChannelId {
        "the rehearsal".into()
    }

    /// Casts a configuration; with `real_intervals` no time is changed.
    pub fn of(config: &Config, real_intervals: bool) -> Cast {
        let mut played = config.clone();
        let mut notes = trim(&mut played);
        let usual = played.records.iter().map(|(name, r)| (name.clone(), Usual::of(&played, r))).collect();
        let shortened = if real_intervals { Vec::new() } else { shorten(&mut played) };
        let parts = parts(&mut played, &mut notes);
        let mut acts = acts(&played);
        if acts.len() > MOST_ACTS {
            notes.push(format!(
                "outages: the primaries need {} outages one after the other; the first {MOST_ACTS} are played",
                acts.len()
            ));
            acts.truncate(MOST_ACTS);
        }
        notes.extend(alone(&played));
        listen_in(&mut played);
        let homes = played.records.keys().map(|name| (name.clone(), home(&played, name))).collect();
        Cast { config: Arc::new(played), parts, homes, acts, usual, shortened, notes }
    }

    /// The records that are played, each with its targets' addresses in order of priority.
    pub fn records(&self) -> Vec<(DomainName, Vec<Billing>)> {
        let of_target = |id: &TargetId| (id.clone(), addresses(&self.config, [id]).into_iter().collect());
        let records = self.config.records.iter();
        records
            .map(|(name, record)| (name.clone(), record.policy.targets().map(of_target).collect()))
            .collect()
    }

    /// The channels as configured.
    pub fn channels(&self) -> Vec<&ChannelId> {
        self.config.notify.channels.keys().filter(|channel| **channel != Cast::own_channel()).collect()
    }

    /// The targets that will be killed, outage by outage.
    pub fn outages(&self) -> &[BTreeSet<TargetId>] {
        &self.acts
    }

    /// Has the record a target left when these addresses are dead?
    pub(super) fn survives(&self, name: &DomainName, dead: &Addresses) -> bool {
        let record = &self.config.records[name].policy;
        record.targets().any(|id| has_another(&self.config, id, dead))
    }

    /// How many of its checks each place must pass; the fewest, where several targets are at one place.
    pub(super) fn needed(&self) -> BTreeMap<Place, usize> {
        let mut needed: BTreeMap<Place, usize> = BTreeMap::new();
        for target in self.config.targets.values() {
            let count = target.require.needed(target.checks.len());
            for place in &target.places {
                needed.entry(place.clone()).and_modify(|least| *least = count.min(*least)).or_insert(count);
            }
        }
        needed
    }

    /// The zones of all records.
    pub(super) fn zones(&self) -> Vec<DomainName> {
        let mut zones: Vec<DomainName> =
            self.config.records.values().filter_map(|record| record.zone.clone()).collect();
        let unzoned = self.config.records.iter().filter(|(_, record)| record.zone.is_none());
        let mut parents: Vec<DomainName> = unzoned.map(|(name, _)| parent(name)).collect();
        // The outermost first: a zone cut that nobody configured would only get in the way.
        parents.sort_by_key(DomainName::label_count);
        for parent in parents {
            if !zones.iter().any(|zone| parent.is_within(zone) || parent == *zone) {
                zones.push(parent);
            }
        }
        zones.sort();
        zones.dedup();
        zones
    }
}

/// `www.example.com` is in `example.com`; `example.com` is its own zone.
fn parent(name: &DomainName) -> DomainName {
    match name.parent() {
        Some(parent) if parent.label_count() >= 2 => parent,
        _ => name.clone(),
    }
}

/// What tells checks apart on the stage: they have no name there, and each is one value for the whole rehearsal.
pub(super) fn key(check: &Arc<Check>) -> usize {
    Arc::as_ptr(check).addr()
}

/// Every check as it is played, and the part of its listeners.
fn parts(config: &mut Config, notes: &mut Vec<String>) -> BTreeMap<usize, Part> {
    recast(config, |name, check| {
        let (kind, _, note) = part(&check.kind);
        notes.extend(note.map(|note| format!("check {name}: {note}")));
        Check { kind, ..check.clone() }
    });
    let all = config.targets.values().flat_map(|target| target.checks.values());
    all.map(|(check, _)| (key(check), part(&check.kind).1)).collect()
}

/// Leaves what would reach outside, what is not needed, and what is too much for a rehearsal.
fn trim(config: &mut Config) -> Vec<String> {
    let mut notes = Vec::new();
    if config.records.len() > MOST_RECORDS {
        let all = config.records.len();
        notes.push(format!("records: the first {MOST_RECORDS} of {all} by name are played"));
        let left: Vec<DomainName> = config.records.keys().skip(MOST_RECORDS).cloned().collect();
        config.records.retain(|name, _| !left.contains(name));
    }
    let needed: BTreeSet<TargetId> =
        config.records.values().flat_map(|r| r.policy.targets().cloned()).collect();
    config.targets.retain(|id, _| needed.contains(id));
    let checks: BTreeSet<CheckId> = config.targets.values().flat_map(|t| t.checks.keys().cloned()).collect();
    config.checks.retain(|id, _| checks.contains(id));
    for record in config.records.values_mut() {
        record.nameservers.clear();
    }
    config.socket = None;
    if config.agent.witnesses.is_empty() {
        notes.push(
            "witnesses: none are configured, so a cut uplink would look like an outage of every target"
                .into(),
        );
    }
    notes
}

/// Records with one target have nowhere to go.
fn alone(config: &Config) -> Vec<String> {
    let single = config.records.iter().filter(|(_, record)| record.policy.targets().count() == 1);
    single
        .map(|(name, _)| format!("{name}: one target, so nothing to fail over to; it must stay as it is"))
        .collect()
}

/// Has every event told to the rehearsal, whatever the routes say.
fn listen_in(config: &mut Config) {
    // `Log`, so that the agent leaves its own log out of it.
    config.notify.channels.insert(Cast::own_channel(), Channel { kind: ChannelKind::Log });
    config.notify.routes.push(Route {
        channel: Cast::own_channel(),
        events: vec!["*".into()],
        min_severity: Severity::Debug,
    });
}

/// What the record publishes when every target is up: its first target, or the whole first tier of a pool.
fn home(config: &Config, name: &DomainName) -> Addresses {
    let policy = &config.records[name].policy;
    let tier = policy.tiers.first().map(Vec::as_slice).unwrap_or_default();
    let serving = match policy.serve {
        Serve::First => tier.get(..1).unwrap_or_default(),
        Serve::All => tier,
    };
    addresses(config, serving)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(text: &str) -> Cast {
        let config = Config::parse("test", text, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        Cast::of(&config, false)
    }

    fn addresses_of(list: &[&str]) -> Addresses {
        list.iter().map(|a| a.parse().unwrap()).collect()
    }

    #[test]
    fn the_example_is_cast() {
        let cast = Cast::of(&Config::example(), false);
        let www: DomainName = "www.workshopco.ca".parse().unwrap();
        assert_eq!(cast.homes[&www], addresses_of(&["203.0.113.10"]));
        assert_eq!(cast.acts, [BTreeSet::from([TargetId::from("toronto")])]);
        assert_eq!(cast.zones(), ["workshopco.ca".parse().unwrap()]);
        assert_eq!(cast.notes, Vec::<String>::new());
        assert!(!cast.shortened.is_empty() && Cast::of(&Config::example(), true).shortened.is_empty());
        assert!(cast.config.socket.is_none(), "the agent's own door stays shut");
    }

    #[test]
    fn host_names_and_checks_of_one_target_are_cast() {
        let cast = cast(
            "
checks:
  web: {http: {path: /, port: 8080}}
  ssh: {tcp: {port: 22}}
targets:
  a: {address: a.example.net, checks: [{web: {http: {port: 8081}}}, ssh], require: any}
  b: {address: b.example.net, checks: [web]}
providers: {zone: {type: mock}}
records:
  - {name: www.example.com, provider: zone, ttl: 60, targets: [a, b]}
",
        );
        let www: DomainName = "www.example.com".parse().unwrap();
        assert_eq!(cast.homes[&www], addresses_of(&["a.example.net"]));
        assert_eq!(cast.needed()[&"a.example.net".parse().unwrap()], 1);
        assert_eq!(cast.parts.len(), 3, "web as it is, web of a, ssh");
        assert_eq!(cast.acts, [BTreeSet::from([TargetId::from("a")])]);
    }

    #[test]
    fn zones_pools_and_what_is_played_otherwise() {
        let cast = cast(
            "
checks:
  web: {tcp: {port: 80}}
  disk: {exec: {command: [/usr/bin/check]}}
  unused: {tcp: {port: 81}}
targets:
  a: {address: 192.0.2.1, checks: [web, disk]}
  b: {address: [192.0.2.2, '2001:db8::2'], checks: [web]}
  c: {address: 192.0.2.3, checks: [unused]}
providers: {zone: {type: mock}}
records:
  - {name: example.com, provider: zone, ttl: 60, targets: [[a, b]], serve: all}
  - {name: www.eu.example.com, provider: zone, ttl: 60, targets: [b]}
",
        );
        let zone: DomainName = "example.com".parse().unwrap();
        assert_eq!(cast.zones(), std::slice::from_ref(&zone), "one inside the other is one");
        assert_eq!(cast.homes[&zone], addresses_of(&["192.0.2.1", "192.0.2.2", "2001:db8::2"]));
        assert_eq!(cast.config.targets.len(), 2);
        assert_eq!(cast.config.checks.len(), 2);
        let notes = cast.notes.join("\n");
        for words in
            ["witnesses: none", "check disk: /usr/bin/check is not run", "www.eu.example.com: one target"]
        {
            assert!(notes.contains(words), "{notes}");
        }
    }
}
