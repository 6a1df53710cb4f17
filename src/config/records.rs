//! `records:`

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use providers::{DomainName, Ttl};

use super::keys;
use super::limits;
use super::model::RecordSettings;
use super::names::Names;
use super::read::{Item, Map, Noted, Optional, Read};
use super::scalar::looks_like_an_address;
use super::tree::{Node, Span, Value};
use crate::decision::{
    AllDown, Coordination, FailbackMode, Flapping, ProviderId, RecordPolicy, Serve, TargetId,
};

const TTL: Ttl = Ttl(60);
/// A resolver may serve a failed target for one TTL; beyond this the failover comes too late to help.
const LONG_TTL: Ttl = Ttl(3600);
const HOLD_DOWN: Duration = Duration::from_mins(1);
const FAILBACK_AFTER: Duration = Duration::from_mins(5);

/// The names that records refer to.
pub(super) struct Defined<'a> {
    pub(super) targets: &'a Names,
    pub(super) providers: &'a Names,
}

/// All records, for what only the whole shows.
pub(super) type Records<'a> = BTreeMap<DomainName, Placed<'a>>;

/// A record and where its parts stand.
pub(super) struct Placed<'a> {
    pub(super) record: RecordSettings,
    /// As written.
    pub(super) node: &'a Node,
    /// The value of `zone`, where it is written.
    pub(super) zone: Option<Span>,
    /// The value of `serve`, where it is written.
    pub(super) serve: Option<Span>,
    /// The value of `coordination`, where it is written.
    pub(super) coordination: Option<Span>,
    /// The value of `all_down`, where it is written.
    pub(super) all_down: Option<Span>,
    targets: BTreeMap<TargetId, Span>,
}

impl Placed<'_> {
    /// Where the record names this target.
    pub(super) fn place_of(&self, target: &TargetId) -> Span {
        self.targets.get(target).copied().unwrap_or(self.node.span)
    }
}

/// All records.
pub(super) fn read<'a>(item: Item<'a>, defined: &Defined<'_>) -> Read<Records<'a>> {
    item.at_most(limits::RECORDS, "records", "divide them among several agents")?;
    let mut places = BTreeMap::new();
    let mut records = BTreeMap::new();
    item.list(|item| {
        let map = item.map(&keys::RECORD)?;
        let name = map.need("name", |item| record_name(item).map(|name| (name, item.node.span)));
        // The name is taken even when the rest of the record is wrong.
        Ok((name, record(item, &map, defined, name_of(&map))))
    })?
    .into_iter()
    .for_each(|(name, record): (Read<(DomainName, Span)>, Read<Placed<'a>>)| {
        let Ok((name, at)) = name else { return };
        if let Some(first) = places.insert(name.clone(), at) {
            item.desk.cx.twice(name.as_str(), at, first);
        } else if let Ok(record) = record {
            records.insert(name, record);
        }
    });
    Ok(records)
}

fn record_name(item: Item<'_>) -> Read<DomainName> {
    let name = item.domain()?;
    if name.label_count() < 2 {
        let message = format!("`{}` is not a full name", item.shown());
        return Err(item.fault(message, "write the whole name, like www.example.com"));
    }
    Ok(name)
}

/// The name without noting anything: [`read`] does that.
fn name_of(map: &Map<'_>) -> Option<DomainName> {
    match &map.item("name")?.node.value {
        Value::Scalar(scalar) => scalar.text.parse().ok(),
        _ => None,
    }
}

fn record<'a>(
    item: Item<'a>,
    map: &Map<'_>,
    defined: &Defined<'_>,
    name: Option<DomainName>,
) -> Read<Placed<'a>> {
    let place = |key| map.item(key).map(|item| item.node.span);
    let provider = map.need("provider", |item| defined.providers.refer(item).map(ProviderId::from));
    let zone = map.get("zone", |item| zone(item, name.as_ref()));
    let nameservers = map.get("nameservers", nameservers).otherwise(Vec::new());
    let ttl = map.get("ttl", ttl).otherwise(TTL);
    let tiers = map.need("targets", |item| tiers(item, defined.targets));
    let serve = map.get("serve", |item| item.choice(&[("first", Serve::First), ("all", Serve::All)], &[]));
    let failback = map.get("failback", failback).otherwise((FailbackMode::Auto, FAILBACK_AFTER));
    let hold_down = map.get("hold_down", |item| item.duration(Duration::ZERO)).otherwise(HOLD_DOWN);
    let adopt = map.get("adopt", adopt).otherwise(Default::default());
    let create = map.get("create", Item::flag).otherwise(false);
    let named = tiers.as_ref().ok().map(|(_, places)| places);
    let all_down = map.get("all_down", |item| all_down(item, defined.targets, named));
    let flapping = map.get("flapping", flapping).otherwise(Flapping::default());
    let coordination = map.get("coordination", |item| coordination(item, name.as_ref()));
    let ((failback, failback_after), (adopt, adopt_names)) = (failback?, adopt?);
    let (all_down, (tiers, places)) = (all_down?, tiers?);
    let policy = RecordPolicy {
        // A name that is missing or wrong was noted where it is read.
        name: name.ok_or(Noted)?,
        provider: provider?,
        ttl: ttl?,
        tiers,
        serve: serve?.unwrap_or_default(),
        failback,
        failback_after,
        hold_down: hold_down?,
        adopt,
        adopt_names,
        create: create?,
        all_down: all_down.unwrap_or_default(),
        flapping: flapping?,
        coordination: coordination?.unwrap_or_default(),
    };
    Ok(Placed {
        record: RecordSettings { policy, zone: zone?, nameservers: nameservers? },
        node: item.node,
        zone: place("zone"),
        serve: place("serve"),
        coordination: place("coordination"),
        all_down: place("all_down"),
        targets: places,
    })
}

fn zone(item: Item<'_>, name: Option<&DomainName>) -> Read<DomainName> {
    let zone = item.domain()?;
    match name {
        Some(name) if !name.is_within(&zone) => {
            let message = format!("`{name}` is not within the zone `{}`", item.shown());
            Err(item.fault(message, "correct one of them, or remove `zone`: it is found at the provider"))
        }
        _ => Ok(zone),
    }
}

fn coordination(item: Item<'_>, name: Option<&DomainName>) -> Read<Coordination> {
    let choices = &[("none", Coordination::None), ("zone", Coordination::Zone)];
    let chosen = item.choice(choices, &["etcd"])?;
    match name {
        Some(name) if chosen == Coordination::Zone && name.marker().is_none() => {
            let message = format!("`{name}` can have no marker beside it: there is no `_failover.{name}`");
            Err(item.fault(message, "write `coordination: none`, and run one agent for this record"))
        }
        _ => Ok(chosen),
    }
}

fn nameservers(item: Item<'_>) -> Read<Vec<std::net::SocketAddr>> {
    item.at_most(limits::NAMESERVERS, "name servers", "list those that matter")?;
    item.one_or_list(|item| item.socket_address(1, 53))
}

fn ttl(item: Item<'_>) -> Read<Ttl> {
    let text = &item.scalar("a number of seconds")?.text;
    if let Ok(duration) = text.parse::<jiff::SignedDuration>() {
        let message = format!("ttl `{}` has a unit", item.shown());
        return Err(
            item.fault(message, format!("a TTL is a number of seconds: write {}", duration.as_secs()))
        );
    }
    // RFC 2181 section 8: 31 bits.
    let ttl = Ttl(item.number(0..=Ttl::MAX.seconds())?);
    if ttl > LONG_TTL {
        item.warn(format!("with a TTL of {ttl} resolvers serve a failed target for as long"), "60 is usual");
    }
    Ok(ttl)
}

/// The targets by priority, and where each is named.
type Tiers = (Vec<Vec<TargetId>>, BTreeMap<TargetId, Span>);

/// `[a, [b, c]]`: each item is a tier, a list one of several targets.
fn tiers(item: Item<'_>, names: &Names) -> Read<Tiers> {
    if matches!(item.node.value, Value::Scalar(_)) {
        let name = TargetId::from(names.refer(item)?);
        return Ok((vec![vec![name.clone()]], BTreeMap::from([(name, item.node.span)])));
    }
    let target = |item: Item<'_>| Ok((TargetId::from(names.refer(item)?), item.node.span));
    let tiers = item.list(|item| match &item.node.value {
        Value::List(targets) if targets.is_empty() => {
            Err(item.fault("an empty tier", "add a target or remove it"))
        }
        Value::List(_) => item.list(target),
        _ => Ok(vec![target(item)?]),
    })?;
    let mut seen = BTreeMap::new();
    let mut result = Ok(());
    for (target, span) in tiers.iter().flatten() {
        if let Some(first) = seen.insert(target.clone(), *span) {
            let message = format!("the target `{target}` occurs twice in this record");
            let fault =
                super::context::Fault::at(*span, message).help("keep the place with the right priority");
            item.desk.cx.fault(fault.also(first, "first here"));
            result = Err(Noted);
        }
    }
    if tiers.is_empty() || seen.len() > limits::TARGETS_OF_RECORD {
        let message =
            format!("a record has 1 to {} targets, and this has {}", limits::TARGETS_OF_RECORD, seen.len());
        return Err(item.fault(message, "write them in order of priority: `targets: [primary, standby]`"));
    }
    let names = |tier: Vec<(TargetId, Span)>| tier.into_iter().map(|(target, _)| target).collect();
    result.map(|()| (tiers.into_iter().map(names).collect(), seen))
}

/// `targets` are those of the record, where they could be read.
fn all_down(item: Item<'_>, names: &Names, targets: Option<&BTreeMap<TargetId, Span>>) -> Read<AllDown> {
    if !matches!(item.node.value, Value::Map(_)) {
        let serve_all = item.choice(&[("hold", false), ("serve_all", true)], &[])?;
        return Ok(if serve_all { AllDown::ServeAll } else { AllDown::Hold });
    }
    item.map(&keys::ALL_DOWN)?.need("fallback", |item| {
        let target = TargetId::from(names.refer(item)?);
        if targets.is_some_and(|targets| !targets.contains_key(&target)) {
            // What is no target's is somebody else's, and would never be touched again.
            let message = format!("the fallback `{target}` is no target of this record");
            return Err(item.fault(message, "add it to `targets`, as the last one if it is to serve last"));
        }
        Ok(AllDown::Fallback(target))
    })
}

fn flapping(item: Item<'_>) -> Read<Flapping> {
    let usual = Flapping::default();
    let map = item.map(&keys::FLAPPING)?;
    let half_life = map.get("half_life", |item| item.duration(Duration::from_secs(1)));
    let suppress = map.get("suppress", |item| item.number(1000..=1_000_000)).otherwise(usual.suppress);
    let reuse = map.get("reuse", |item| item.number(2..=1_000_000)).otherwise(usual.reuse);
    let (half_life, suppress, reuse) = (half_life?.unwrap_or(usual.half_life), suppress?, reuse?);
    if reuse > suppress {
        let message = format!("reuse {reuse} is above suppress {suppress}");
        return Err(item.fault(message, "the record is left alone from `suppress` until below `reuse`"));
    }
    Ok(Flapping { half_life, suppress, reuse })
}

fn failback(item: Item<'_>) -> Read<(FailbackMode, Duration)> {
    let modes = &[("auto", FailbackMode::Auto), ("manual", FailbackMode::Manual)];
    let map = item.map(&keys::FAILBACK)?;
    let mode = map.get("mode", |item| item.choice(modes, &[])).otherwise(FailbackMode::Auto);
    let after = map.get("after", |item| item.duration(Duration::ZERO)).otherwise(FAILBACK_AFTER);
    Ok((mode?, after?))
}

/// Addresses and names that are nobody's target and may be replaced.
fn adopt(item: Item<'_>) -> Read<(BTreeSet<IpAddr>, BTreeSet<DomainName>)> {
    item.at_most(limits::ADOPTED, "values", "list those that may be taken over")?;
    let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
    item.one_or_list(|item| {
        let text = item.text()?;
        Ok(match text.parse::<IpAddr>() {
            Ok(address) => (Some(address), None),
            Err(_) if looks_like_an_address(&text) => {
                let message = format!("`{}` is neither an address nor a name", item.shown());
                return Err(item.fault(message, "write 192.0.2.1, \"2001:db8::1\" or a host name"));
            }
            Err(_) => (None, Some(item.domain()?)),
        })
    })?
    .into_iter()
    .for_each(|(address, name)| {
        addresses.extend(address);
        names.extend(name);
    });
    Ok((addresses, names))
}
