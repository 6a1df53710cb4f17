//! `targets:`

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use providers::DomainName;

use super::checks::{self, Definitions};
use super::context::Fault;
use super::keys;
use super::limits;
use super::model::Target;
use super::names::check_name;
use super::read::{Item, Noted, Optional, Read};
use super::scalar::looks_like_an_address;
use super::tree::{Scalar, Span, Value};
use crate::decision::{CheckId, Place, Places, Require, Shared, TargetId, Thresholds};
use crate::probe::{Check, CheckKind, GrpcCheck, HttpCheck, TcpCheck, TlsCheck};

/// All targets.
pub(super) fn read(item: Item<'_>, checks: &Definitions<'_>) -> Read<BTreeMap<TargetId, Target>> {
    item.at_most(limits::TARGETS, "targets", "divide them among several agents")?;
    let mut targets = BTreeMap::new();
    let mut lists = Lists::default();
    for entry in item.names()? {
        let item = Item { node: &entry.node, name: "target", ..item };
        if let (Ok(()), Ok(mut target)) = (check_name(item, entry), target(item, checks)) {
            target.checks = lists.of(target.checks);
            targets.insert(TargetId::from(entry.key.as_str()), target);
        }
    }
    let probes: usize =
        targets.values().map(|target: &Target| target.places.len() * target.checks.len()).sum();
    if probes > limits::PROBES {
        let message = format!(
            "{probes} things to probe (addresses times checks), and one agent probes at most {}",
            limits::PROBES
        );
        return Err(item.fault(message, "divide them among several agents"));
    }
    Ok(targets)
}

/// The lists of checks so far: targets with the same checks share one.
#[derive(Default)]
struct Lists(BTreeMap<Vec<(CheckId, *const Check)>, Shared<Checks>>);

/// The checks of a target.
type Checks = BTreeMap<CheckId, (Arc<Check>, Thresholds)>;

impl Lists {
    /// A check that a target changes is no other target's, and its list neither.
    fn of(&mut self, checks: Shared<Checks>) -> Shared<Checks> {
        let key = checks.iter().map(|(id, (check, _))| (id.clone(), Arc::as_ptr(check))).collect();
        self.0.entry(key).or_insert(checks).clone()
    }
}

fn target(item: Item<'_>, definitions: &Definitions<'_>) -> Read<Target> {
    let map = item.map(&keys::TARGET)?;
    let places = map.need("address", places);
    let checks = map.need("checks", |item| {
        item.at_most(limits::CHECKS_OF_TARGET, "checks of a target", "keep those that tell most")?;
        let checks = item.one_or_list(|item| Ok((definitions.refer(item)?, item.node.span)))?;
        if checks.is_empty() {
            let message = "a target without checks can never be known to work";
            return Err(item.fault(message, "add a check: `checks: [name]`"));
        }
        once(item, checks)
    });
    let count = checks.as_ref().map_or(usize::MAX, BTreeMap::len);
    let require = map.get("require", |item| require(item, count)).otherwise(Require::All);
    let (places, checks) = (places?, checks?);
    let name = places.first().and_then(Place::name).cloned();
    let checks = checks.into_iter().filter_map(|(id, (read, _))| {
        // A definition that is faulty was noted where it stands.
        let (check, thresholds) = read?;
        Some((id, (name.iter().fold(check, served_as), thresholds)))
    });
    Ok(Target { checks: checks.collect(), places, require: require? })
}

/// A check with what the target changes of it; nothing when its definition is faulty.
type Changed = Option<(Arc<Check>, Thresholds)>;

/// The checks by name; one that occurs twice is noted.
fn once(item: Item<'_>, checks: Vec<((CheckId, Changed), Span)>) -> Read<BTreeMap<CheckId, (Changed, Span)>> {
    let mut all = BTreeMap::new();
    let mut result = Ok(());
    for ((id, check), span) in checks {
        if let Some((_, first)) = all.insert(id.clone(), (check, span)) {
            let fault = Fault::at(span, format!("the check `{id}` occurs twice in this target"));
            item.desk.cx.fault(fault.also(first, "first here").help("keep one of them"));
            result = Err(Noted);
        }
    }
    result.map(|()| all)
}

/// Without a `host` or `sni` of its own a check asks the host name for the host name, as it would ask an address for the
/// address.
fn served_as(check: Arc<Check>, name: &DomainName) -> Arc<Check> {
    match &check.kind {
        CheckKind::Http(http) if http.host.is_none() => {
            let own_port = if http.tls { 443 } else { 80 };
            let host = if http.port == own_port { name.to_string() } else { format!("{name}:{}", http.port) };
            let kind = CheckKind::Http(HttpCheck { host: Some(host), ..http.clone() });
            Arc::new(Check { kind, ..Check::clone(&check) })
        }
        CheckKind::Tls(tls) if tls.sni.is_none() => {
            let kind = CheckKind::Tls(TlsCheck { sni: Some(name.to_string()), ..tls.clone() });
            Arc::new(Check { kind, ..Check::clone(&check) })
        }
        CheckKind::Grpc(grpc) if grpc.host.is_none() => {
            let own_port = if grpc.tls { 443 } else { 80 };
            let host = if grpc.port == own_port { name.to_string() } else { format!("{name}:{}", grpc.port) };
            let kind = CheckKind::Grpc(GrpcCheck { host: Some(host), ..grpc.clone() });
            Arc::new(Check { kind, ..Check::clone(&check) })
        }
        CheckKind::Tcp(TcpCheck { starttls: Some(starttls), .. }) if starttls.sni.is_none() => {
            let mut renamed = Check::clone(&check);
            if let CheckKind::Tcp(TcpCheck { starttls: Some(starttls), .. }) = &mut renamed.kind {
                starttls.sni = Some(name.to_string());
            }
            Arc::new(renamed)
        }
        _ => check,
    }
}

/// `all`, `any`, or how many.
fn require(item: Item<'_>, checks: usize) -> Read<Require> {
    let is_number = |scalar: &Scalar| scalar.text.parse::<f64>().is_ok();
    if !matches!(&item.node.value, Value::Scalar(scalar) if is_number(scalar)) {
        return item.choice(&[("all", Require::All), ("any", Require::Any)], &[]);
    }
    let count = item.number(1..=checks::MAX_COUNT)?;
    if usize::try_from(count).is_ok_and(|count| count > checks) {
        let message = format!("require {count} can never be met: the target has {checks} checks");
        return Err(item.fault(message, format!("write {checks} or less, or `all`")));
    }
    Ok(Require::AtLeast(count))
}

/// One or more addresses, or one host name.
fn places(item: Item<'_>) -> Read<Places> {
    let places = item.one_or_list(|item| Ok((place(item)?, item.node.span)))?;
    let name = places.iter().find(|(place, _)| place.name().is_some());
    if let Some((name, span)) = name.filter(|_| places.len() > 1) {
        let message =
            format!("the host name `{name}` is not alone: a name has one CNAME and nothing beside it");
        let fault = Fault::at(*span, message);
        item.desk.cx.fault(fault.help("make a target of each host name, and one of the addresses"));
        return Err(Noted);
    }
    let places = unique(item, places)?;
    let count = places.len();
    if !(1..=limits::ADDRESSES).contains(&count) {
        let message = format!("a target has 1 to {} addresses, and this has {count}", limits::ADDRESSES);
        return Err(item.fault(message, "write its addresses, or remove the target"));
    }
    Ok(places)
}

fn place(item: Item<'_>) -> Read<Place> {
    let text = item.text()?;
    let odd = |c: char| matches!(c, '/' | ':');
    let with_port =
        |(name, port): (&str, &str)| name.parse::<DomainName>().is_ok() && port.parse::<u16>().is_ok();
    if text.rsplit_once(':').is_some_and(with_port) {
        let message = format!("`{}` has a port", item.shown());
        return Err(item.fault(message, "leave the port out; it belongs to the check"));
    }
    if text.parse::<IpAddr>().is_ok() || looks_like_an_address(&text) || text.contains(odd) {
        return item.address("a target").map(Place::Address);
    }
    let name = item.domain()?;
    if name.label_count() < 2 {
        let message = format!("`{}` is neither an address nor a full host name", item.shown());
        return Err(item.fault(message, "write 192.0.2.1, \"2001:db8::1\" or a name like dr.example.net"));
    }
    Ok(Place::Name(name))
}

fn unique(item: Item<'_>, places: Vec<(Place, Span)>) -> Read<Places> {
    let mut seen = BTreeMap::new();
    let mut result = Ok(());
    for (place, span) in places {
        if let Some(first) = seen.insert(place.clone(), span) {
            item.desk.cx.twice(&place.to_string(), span, first);
            result = Err(Noted);
        }
    }
    result.map(|()| seen.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// Ten thousand of them would have the same map ten thousand times.
    #[test]
    fn targets_with_the_same_checks_share_the_list_of_them_and_so_does_judgement() {
        let text = "
checks: {web: {tcp: {port: 80}}, ssh: {tcp: {port: 22}}}
targets:
  a: {address: 192.0.2.1, checks: [web, ssh]}
  b: {address: 192.0.2.2, checks: [web]}
  c: {address: 192.0.2.3, checks: [ssh, web]}
  d: {address: 192.0.2.4, checks: [web, {ssh: {interval: 30s}}]}
providers: {zone: {type: mock}}
records: [{name: www.example.com, provider: zone, ttl: 60, targets: [a, b, c, d]}]
";
        let config = Config::parse("test", text, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        let policy = config.policy();
        for (one, other, shared) in [("a", "c", true), ("a", "b", false), ("a", "d", false)] {
            let (one, other) = (one.into(), other.into());
            assert_eq!(config.targets[&one].checks.is(&config.targets[&other].checks), shared);
            assert_eq!(policy.targets[&one].checks.is(&policy.targets[&other].checks), shared);
        }
        let (read, judged) = (&config.targets[&"a".into()], &policy.targets[&"a".into()]);
        assert!(read.places.is(&judged.places));
    }
}
