//! Who is killed when: every record sees the outage of its own primary, in as few outages as possible.

use std::collections::BTreeSet;

use super::facts::Addresses;
use crate::config::{Config, RecordSettings};
use crate::decision::TargetId;

/// One outage for all where that can be; more where it would leave a record without a target that it has when its
/// own primary dies alone.
pub(super) fn acts(config: &Config) -> Vec<BTreeSet<TargetId>> {
    let mut acts: Vec<BTreeSet<TargetId>> = Vec::new();
    let records: Vec<&RecordSettings> = config.records.values().collect();
    for record in &records {
        let Some(primary) = record.policy.targets().next() else { continue };
        if acts.iter().any(|act| act.contains(primary) && is_fair(config, record, act)) {
            continue;
        }
        let joined = acts.iter_mut().find_map(|act| {
            let mut with = act.clone();
            with.insert(primary.clone());
            let of_act = |r: &&&RecordSettings| r.policy.targets().next().is_some_and(|p| with.contains(p));
            let fair = records.iter().filter(of_act).all(|r| is_fair(config, r, &with));
            fair.then(|| *act = with)
        });
        if joined.is_none() {
            acts.push(BTreeSet::from([primary.clone()]));
        }
    }
    acts
}

/// Does this outage leave the record something, if the outage of its primary alone would?
fn is_fair(config: &Config, record: &RecordSettings, killed: &BTreeSet<TargetId>) -> bool {
    let alone: BTreeSet<TargetId> = record.policy.targets().next().cloned().into_iter().collect();
    !survives(config, record, &alone) || survives(config, record, killed)
}

fn survives(config: &Config, record: &RecordSettings, killed: &BTreeSet<TargetId>) -> bool {
    let dead = addresses(config, killed);
    record.policy.targets().any(|id| has_another(config, id, &dead))
}

/// Has the target an address that is not among these?
pub(super) fn has_another(config: &Config, target: &TargetId, dead: &Addresses) -> bool {
    config.targets.get(target).is_some_and(|target| !target.places.iter().all(|place| dead.contains(place)))
}

/// Every address of these targets.
pub(super) fn addresses<'a>(config: &Config, targets: impl IntoIterator<Item = &'a TargetId>) -> Addresses {
    targets
        .into_iter()
        .filter_map(|id| config.targets.get(id))
        .flat_map(|t| t.places.iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn of(records: &[(&str, &str)]) -> Vec<String> {
        let mut text =
            "checks: {web: {tcp: {port: 80}}}\nproviders: {zone: {type: mock}}\ntargets:\n".to_owned();
        for (at, name) in ["a", "b", "c"].iter().enumerate() {
            writeln!(text, "  {name}: {{address: 192.0.2.{}, checks: [web]}}", at + 1).unwrap();
        }
        text += "records:\n";
        for (name, targets) in records {
            let names = "provider: zone, ttl: 60";
            writeln!(text, "  - {{name: {name}.example.com, {names}, targets: {targets}}}").unwrap();
        }
        let config = Config::parse("test", &text, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        let show = |act: &BTreeSet<TargetId>| act.iter().map(TargetId::as_str).collect::<Vec<_>>().join("+");
        acts(&config).iter().map(show).collect()
    }

    #[test]
    fn one_primary_is_one_outage() {
        assert_eq!(of(&[("x", "[a, b]"), ("y", "[a, c]")]), ["a"]);
    }

    #[test]
    fn primaries_that_need_each_other_die_one_after_the_other() {
        assert_eq!(of(&[("x", "[a, b]"), ("y", "[b, a]")]), ["a", "b"]);
        assert_eq!(of(&[("x", "[a, c]"), ("y", "[b, c]")]), ["a+b"]);
        assert_eq!(of(&[("x", "[a, b]"), ("y", "[b, a]"), ("z", "[c, b]")]), ["a+c", "b"]);
    }

    #[test]
    fn a_record_with_nothing_to_fail_over_to_loses_its_only_target() {
        assert_eq!(of(&[("x", "[a]"), ("y", "[b, c]")]), ["a+b"]);
    }
}
