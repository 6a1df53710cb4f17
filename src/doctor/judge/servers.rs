//! PURE: what is to be said of a zone's authoritative servers.

use std::collections::BTreeMap;

use providers::{RecordSet, RecordType, Snapshot};

use crate::doctor::{Finding, Topic};
use crate::live::{LiveFault, Soa};

/// What one server said.
#[derive(Clone, Debug)]
pub(in crate::doctor) struct ServerFacts {
    /// The server, for people.
    pub(in crate::doctor) server: String,
    /// Of the zone.
    pub(in crate::doctor) soa: Result<Soa, LiveFault>,
    /// Of the name.
    pub(in crate::doctor) sets: Result<BTreeMap<RecordType, RecordSet>, LiveFault>,
}

/// Do two servers hold different versions of the zone?
pub(in crate::doctor) fn serials_differ(all: &[ServerFacts]) -> bool {
    let mut serials = all.iter().filter_map(|facts| Some(facts.soa.as_ref().ok()?.serial));
    let first = serials.next();
    serials.any(|serial| Some(serial) != first)
}

/// Does a server serve something else than the provider holds?
pub(in crate::doctor) fn values_differ(all: &[ServerFacts], held: &Snapshot) -> bool {
    all.iter().any(|facts| facts.sets.as_ref().is_ok_and(|sets| !same(sets, held)))
}

/// The servers of a record's zone. `held` is what its provider holds, where that is known.
///
/// A server that is silent, lame or serves something else fails: whoever asks it gets no answer, or the wrong one. One
/// that serves the same values from another version of the zone warns: it may be slow, or have stopped to follow.
pub(in crate::doctor) fn servers(
    record: &str,
    all: &Result<Vec<ServerFacts>, LiveFault>,
    held: Option<&Snapshot>,
) -> Vec<Finding> {
    let all = match all {
        Ok(all) => all,
        Err(fault) => {
            let remedy = "set `nameservers:` on the record, or put the zone's delegation right";
            return vec![Finding::fail(Topic::Servers, record, fault.to_string(), remedy)];
        }
    };
    if all.is_empty() {
        let text = "no server is known to ask: the mock's own runs only with an agent";
        return vec![Finding::skip(Topic::Servers, record, text)];
    }
    let mut findings: Vec<Finding> = all.iter().filter_map(|facts| of_one(record, facts, held)).collect();
    let serials: Vec<String> = all
        .iter()
        .filter_map(|facts| Some(format!("{} has {}", facts.server, facts.soa.as_ref().ok()?.serial)))
        .collect();
    if serials_differ(all) {
        let text = format!("they hold different versions of the zone: {}", serials.join(", "));
        let remedy = "does the one behind get NOTIFY and zone transfers? look into its log";
        findings.push(Finding::warn(Topic::Servers, record, text, remedy));
    }
    if findings.is_empty() {
        let serial = all.iter().find_map(|facts| Some(facts.soa.as_ref().ok()?.serial)).unwrap_or_default();
        let text = match all.as_slice() {
            [one] => format!("{} answers with authority, serial {serial}", one.server),
            all => format!("all {} answer with authority and agree, serial {serial}", all.len()),
        };
        findings.push(Finding::ok(Topic::Servers, record, text));
    }
    findings
}

fn of_one(record: &str, facts: &ServerFacts, held: Option<&Snapshot>) -> Option<Finding> {
    let lame = facts.soa.as_ref().err().or(facts.sets.as_ref().err());
    if let Some(fault) = lame {
        let (text, remedy) = match fault {
            LiveFault::Silent(..) => (
                fault.to_string(),
                "start it, or take it out of the zone's NS set and delegation: it makes resolvers wait",
            ),
            _ => (
                format!("{fault}: it is lame"),
                "make it serve the zone, or take it out of the zone's NS set and delegation",
            ),
        };
        return Some(Finding::fail(Topic::Servers, record, text, remedy));
    }
    let (sets, held) = (facts.sets.as_ref().ok()?, held?);
    (!same(sets, held)).then(|| {
        let serves: Vec<String> = sets.values().flat_map(|set| set.values.to_strings()).collect();
        let serves = if serves.is_empty() { "nothing".to_owned() } else { serves.join(", ") };
        Finding::fail(
            Topic::Servers,
            record,
            format!("{} serves {serves}, and the provider holds {}", facts.server, held.summary()),
            "does it get NOTIFY and zone transfers? is it a server of this provider at all?",
        )
    })
}

/// The same values; TTLs may differ by a cache.
fn same(sets: &BTreeMap<RecordType, RecordSet>, held: &Snapshot) -> bool {
    let values = |sets: &BTreeMap<RecordType, RecordSet>| {
        let answer = sets.values().filter(|set| set.record_type() != RecordType::Txt);
        answer.map(|set| set.values.clone()).collect::<Vec<_>>()
    };
    values(sets) == values(&held.sets)
}

#[cfg(test)]
mod tests {
    use providers::{NonEmpty, Ttl, Values, Version};

    use super::super::super::Level;
    use super::*;

    fn sets(address: &str) -> BTreeMap<RecordType, RecordSet> {
        let set = RecordSet::new(Ttl(60), Values::A(NonEmpty::one(address.parse().unwrap())));
        [(RecordType::A, set)].into()
    }

    fn server(name: &str, serial: u32, address: &str) -> ServerFacts {
        let soa = Soa { serial, negative_ttl: Ttl(5) };
        ServerFacts { server: name.into(), soa: Ok(soa), sets: Ok(sets(address)) }
    }

    fn held() -> Snapshot {
        Snapshot {
            marker: None,
            name: "www.example.test".parse().unwrap(),
            sets: sets("192.0.2.1"),
            version: Version::Values,
            native: serde_json::Value::Null,
        }
    }

    fn said(all: &Result<Vec<ServerFacts>, LiveFault>) -> Vec<(Level, String)> {
        let findings = servers("www.example.test", all, Some(&held()));
        findings.into_iter().map(|finding| (finding.level, finding.text)).collect()
    }

    #[test]
    fn servers_that_agree_are_one_line_and_each_other_one_is_named() {
        let good = || server("ns1", 7, "192.0.2.1");
        let all = said(&Ok(vec![good(), server("ns2", 7, "192.0.2.1")]));
        assert_eq!(all, [(Level::Ok, "all 2 answer with authority and agree, serial 7".into())]);

        let all = said(&Ok(vec![good(), server("ns2", 6, "192.0.2.9")]));
        assert!(
            all[0].0 == Level::Fail && all[0].1 == "ns2 serves 192.0.2.9, and the provider holds 192.0.2.1",
            "{all:?}"
        );
        assert!(all[1].0 == Level::Warn && all[1].1.contains("ns1 has 7, ns2 has 6"), "{all:?}");

        let all = said(&Ok(vec![good(), server("ns2", 6, "192.0.2.1")]));
        assert_eq!(
            all.iter().map(|(level, _)| *level).collect::<Vec<_>>(),
            [Level::Warn],
            "the values agree"
        );

        let silent = LiveFault::Silent("ns2".into(), "UDP: no answer within 1s".into());
        let frozen = ServerFacts { server: "ns2".into(), soa: Err(silent.clone()), sets: Err(silent) };
        let all = said(&Ok(vec![good(), frozen]));
        assert!(
            all.len() == 1 && all[0].0 == Level::Fail && all[0].1.contains("ns2 does not answer"),
            "{all:?}"
        );

        let lame = LiveFault::Useless("ns2".into(), "it answers REFUSED".into());
        let lame = ServerFacts { server: "ns2".into(), soa: Err(lame.clone()), sets: Err(lame) };
        let all = said(&Ok(vec![good(), lame]));
        assert!(all[0].0 == Level::Fail && all[0].1.contains("lame"), "{all:?}");

        let none = LiveFault::NoServers("example.test".parse().unwrap(), "the name does not exist".into());
        assert_eq!(said(&Err(none))[0].0, Level::Fail);
        assert_eq!(said(&Ok(Vec::new()))[0].0, Level::Skip);
    }
}
