//! PURE: what is to be said of a record as its provider holds it.

use providers::{AnswerSets, Capabilities, Fault, RecordType, Snapshot, Ttl};

use super::zone::fault_remedy;
use crate::decision::{Place, Policy, RecordPolicy, TargetId, foreign_values, owner_of, owners};
use crate::doctor::{Finding, Topic};

/// What is known of a record.
pub(in crate::doctor) struct RecordFacts<'a> {
    /// All settings.
    pub(in crate::doctor) policy: &'a Policy,
    /// The record's.
    pub(in crate::doctor) record: &'a RecordPolicy,
    /// What its provider holds.
    pub(in crate::doctor) read: &'a Result<Snapshot, Fault>,
    /// What its provider can do.
    pub(in crate::doctor) capabilities: Capabilities,
    /// How the provider would store this answer.
    pub(in crate::doctor) normalize: &'a dyn Fn(AnswerSets) -> AnswerSets,
    /// How long caches keep "there is nothing", where a server told it.
    pub(in crate::doctor) negative_ttl: Option<Ttl>,
    /// Types beside the addresses that would not let the name become an alias, where a server was asked.
    pub(in crate::doctor) company: &'a [String],
}

/// The record: there, ours, and its TTLs.
pub(in crate::doctor) fn record(facts: &RecordFacts<'_>) -> Vec<Finding> {
    let name = facts.record.name.as_str();
    let snapshot = match facts.read {
        Ok(snapshot) => snapshot,
        // What hinders the search for the zone is the provider's line.
        Err(fault) => {
            let text = format!("cannot be read: {fault}");
            return vec![Finding::fail(Topic::Record, name, text, fault_remedy(fault))];
        }
    };
    let mut findings = vec![standing(facts, snapshot)];
    findings.extend(ttls(facts, snapshot));
    findings.extend(alias(facts, snapshot));
    findings
}

fn standing(facts: &RecordFacts<'_>, snapshot: &Snapshot) -> Finding {
    let (policy, record) = (facts.policy, facts.record);
    let name = record.name.as_str();
    if snapshot.is_missing() && record.create {
        return Finding::ok(Topic::Record, name, "does not exist yet; the agent makes it (create: true)");
    }
    if snapshot.is_missing() {
        return Finding::fail(
            Topic::Record,
            name,
            "does not exist, and the agent may not make it",
            "make it, pointing at a target; or set `create: true` on the record",
        );
    }
    let strangers = foreign_values(record, snapshot, &|address| owner_of(policy, record, address));
    if !strangers.is_empty() {
        let text =
            format!("holds {}, which is no target's: the agent will not touch it", strangers.join(", "));
        let quoted: Vec<String> = strangers.iter().map(|value| format!("\"{value}\"")).collect();
        let remedy = format!("correct it by hand; or, if it may be replaced, adopt: [{}]", quoted.join(", "));
        return Finding::fail(Topic::Record, name, text, remedy);
    }
    let whose = owners(policy, record, &Place::published(snapshot));
    let whose: Vec<&str> = whose.iter().map(TargetId::as_str).collect();
    let whose = if whose.is_empty() { "an adopted value".to_owned() } else { whose.join(" + ") };
    let ttl = snapshot.longest_ttl().map_or_else(String::new, |ttl| format!(", TTL {ttl}"));
    Finding::ok(Topic::Record, name, format!("points at {whose} ({}{ttl})", snapshot.summary()))
}

/// The TTL as configured against what the provider can store, what is published, and what caches keep of nothing.
fn ttls(facts: &RecordFacts<'_>, snapshot: &Snapshot) -> Vec<Finding> {
    let (record, card) = (facts.record, facts.capabilities);
    let name = record.name.as_str();
    let mut findings = Vec::new();
    let stored = record.ttl.clamp(card.ttl_min, card.ttl_max);
    if stored != record.ttl {
        findings.push(Finding::warn(
            Topic::Record,
            name,
            format!("its TTL of {} cannot be: the provider makes it {stored}", record.ttl),
            format!("set ttl: {}", stored.seconds()),
        ));
    }
    let sets = snapshot.sets.values().cloned();
    let published = AnswerSets::new(sets.filter(|set| set.record_type() != RecordType::Txt));
    let wished = published
        .clone()
        .map(|now| (facts.normalize)(now.map(|set| providers::RecordSet { ttl: record.ttl, ..set })));
    if let (Some(longest), Some(wish)) = (snapshot.longest_ttl(), wished)
        && wish.iter().all(|set| set.ttl < longest)
    {
        findings.push(Finding::warn(
            Topic::Record,
            name,
            format!("is published with a TTL of {longest}, and {} is configured", record.ttl),
            format!("the agent sets it with its next look; until then old answers live for {longest}"),
        ));
    }
    if let Some(negative) = facts.negative_ttl.filter(|negative| *negative > record.ttl)
        && let Some(why) = meets_nothing(facts, snapshot)
    {
        findings.push(Finding::warn(
            Topic::Record,
            name,
            format!(
                "{why}, and caches keep that for {negative} (SOA), longer than its TTL of {}",
                record.ttl
            ),
            format!("set the last field of the zone's SOA to {} or less", record.ttl.seconds()),
        ));
    }
    findings
}

/// Why a resolver may have asked for what is not there yet: the name, or one of its families.
fn meets_nothing(facts: &RecordFacts<'_>, snapshot: &Snapshot) -> Option<&'static str> {
    if snapshot.is_missing() {
        return Some("the name does not exist yet");
    }
    let families = |target: &TargetId| {
        let places = facts.policy.targets.get(target).map(|target| &target.places)?;
        let has = |v6| places.iter().filter_map(Place::address).any(|address| address.is_ipv6() == v6);
        Some([has(false), has(true)])
    };
    let mut all = facts.record.targets().filter_map(families);
    let first = all.next()?;
    all.any(|other| other != first)
        .then_some("its targets differ in IPv4 and IPv6, so a family can be missing")
}

/// A name that is to become an alias must hold nothing else (RFC 1034 section 3.6.2).
fn alias(facts: &RecordFacts<'_>, snapshot: &Snapshot) -> Option<Finding> {
    let name = facts.record.name.as_str();
    if facts.company.is_empty() || snapshot.cname().is_some() {
        return None;
    }
    let types = facts.company.join(", ");
    Some(Finding::fail(
        Topic::Record,
        name,
        format!(
            "also holds {types}, and a target's host name makes it a CNAME, which stands alone (RFC 1034 3.6.2)"
        ),
        format!("give the targets addresses, or move the {types} to another name"),
    ))
}

#[cfg(test)]
mod tests {
    use providers::mock::MockProvider;
    use providers::{NonEmpty, ReadProvider, RecordSet, Values, Version};

    use super::super::super::Level;
    use super::*;

    fn settings() -> (Policy, RecordPolicy) {
        let config = crate::config::Config::example();
        let policy = config.policy();
        let record = policy.records.values().next().unwrap().clone();
        (policy, record)
    }

    fn holding(record: &RecordPolicy, ttl: u32, values: &[&str]) -> Snapshot {
        let v4 = NonEmpty::new(values.iter().map(|value| value.parse().unwrap()));
        let sets = v4.map(|v4| (RecordType::A, RecordSet::new(Ttl(ttl), Values::A(v4))));
        let native = serde_json::Value::Null;
        Snapshot {
            marker: None,
            name: record.name.clone(),
            sets: sets.into_iter().collect(),
            version: Version::Values,
            native,
        }
    }

    fn said(
        policy: &Policy,
        record_policy: &RecordPolicy,
        read: &Result<Snapshot, Fault>,
        negative: u32,
        company: &[String],
    ) -> Vec<(Level, String)> {
        let mock = MockProvider::in_memory([]);
        mock.set_ttl_range(Ttl(30), Ttl(600));
        let facts = RecordFacts {
            policy,
            record: record_policy,
            read,
            capabilities: mock.capabilities(),
            normalize: &|wish| mock.normalize(wish),
            negative_ttl: Some(Ttl(negative)),
            company,
        };
        record(&facts).into_iter().map(|finding| (finding.level, finding.text)).collect()
    }

    #[test]
    fn a_record_in_every_state() {
        let (policy, mut record) = settings();
        record.create = false;
        record.adopt.clear();
        record.ttl = Ttl(60);
        let first = record.targets().next().unwrap().clone();
        let v4 = policy.targets[&first]
            .places
            .iter()
            .filter_map(Place::address)
            .find(std::net::IpAddr::is_ipv4)
            .unwrap()
            .to_string();
        let good = holding(&record, 60, &[&v4]);
        let of = |record: &RecordPolicy, read, negative| said(&policy, record, &read, negative, &[]);

        let all = of(&record, Ok(good.clone()), 5);
        assert_eq!(all, [(Level::Ok, format!("points at {first} ({v4}, TTL 60s)"))]);

        let all = of(&record, Ok(holding(&record, 60, &[])), 5);
        assert!(all[0].0 == Level::Fail && all[0].1.contains("does not exist"), "{all:?}");
        let creates = RecordPolicy { create: true, ..record.clone() };
        let all = of(&creates, Ok(holding(&record, 60, &[])), 3600);
        assert_eq!(
            all.iter().map(|(level, _)| *level).collect::<Vec<_>>(),
            [Level::Ok, Level::Warn],
            "{all:?}"
        );
        assert!(all[1].1.contains("3600s (SOA)"), "{all:?}");

        let all = of(&record, Ok(holding(&record, 60, &["192.0.2.99"])), 5);
        assert!(all[0].0 == Level::Fail && all[0].1.contains("192.0.2.99"), "{all:?}");

        let all = of(&record, Ok(holding(&record, 86_400, &[&v4])), 5);
        assert!(all[1].0 == Level::Warn && all[1].1.contains("86400s"), "{all:?}");

        let low = RecordPolicy { ttl: Ttl(5), ..record.clone() };
        let all = of(&low, Ok(holding(&record, 30, &[&v4])), 5);
        assert_eq!(all.len(), 2, "30 is what the provider makes of 5: {all:?}");
        assert!(all[1].1.contains("makes it 30s"), "{all:?}");

        let all = of(&record, Err(Fault::Auth("BADSIG".into())), 5);
        assert!(all[0].0 == Level::Fail && all[0].1.contains("BADSIG"), "{all:?}");

        let all = said(&policy, &record, &Ok(good), 5, &["MX".into()]);
        assert!(all[1].0 == Level::Fail && all[1].1.contains("also holds MX"), "{all:?}");
    }
}
