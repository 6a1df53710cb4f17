//! PURE: what is to be said of targets, witnesses and channels.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Outcome, RecordPolicy, TargetId, Verdict, WitnessId, counted};
use crate::doctor::{Finding, Topic};

/// The witnesses, each with what its probe said.
pub(in crate::doctor) fn witnesses(seen: &BTreeMap<WitnessId, Outcome>) -> Vec<Finding> {
    let (alive, lost): (Vec<_>, Vec<_>) = seen.iter().partition(|(_, outcome)| **outcome == Outcome::Pass);
    if seen.is_empty() {
        return vec![Finding::warn(
            Topic::Witnesses,
            "",
            "none are configured: an uplink that is cut off here looks like a dead primary",
            "add two or three under agent.witnesses that have nothing to do with your targets",
        )];
    }
    let mut findings = Vec::new();
    if alive.is_empty() {
        findings.push(Finding::fail(
            Topic::Witnesses,
            "",
            "none answers: an agent here would be blind, and change nothing",
            "is this machine's network up? may it reach these addresses and ports?",
        ));
    } else {
        let text = format!("{} of {} answer", alive.len(), seen.len());
        findings.push(Finding::ok(Topic::Witnesses, "", text));
    }
    findings.extend(lost.into_iter().map(|(id, outcome)| {
        let remedy = "choose another one, or let this machine reach it";
        Finding::warn(Topic::Witnesses, id.as_str(), format!("does not answer: {}", outcome.reason()), remedy)
    }));
    findings
}

/// What one look says of a target: its verdict, and what is wrong with it.
pub(in crate::doctor) type Looks = BTreeMap<TargetId, (Verdict, Option<String>)>;

/// Is there something to fail over to? `serving` are the targets that the record points at; where that is not known,
/// its first is taken.
pub(in crate::doctor) fn standby(record: &RecordPolicy, serving: &[TargetId], looks: &Looks) -> Vec<Finding> {
    let name = record.name.as_str();
    let does = if serving.is_empty() { "comes first" } else { "serves" };
    let first: Vec<TargetId> = record.targets().take(1).cloned().collect();
    let serving: BTreeSet<&TargetId> = if serving.is_empty() { &first } else { serving }.iter().collect();
    let verdict = |target: &TargetId| looks.get(target).map_or(Verdict::Unknown, |(verdict, _)| *verdict);
    let why = |target: &TargetId| {
        let why = looks.get(target).and_then(|(_, why)| why.clone());
        why.map_or_else(|| target.to_string(), |why| format!("{target}: {why}"))
    };
    let others: Vec<&TargetId> = record.targets().filter(|target| !serving.contains(target)).collect();
    let mut findings = Vec::new();
    for target in serving.iter().filter(|target| verdict(target) != Verdict::Up) {
        let why = looks.get(*target).and_then(|(_, why)| why.clone()).unwrap_or_else(|| "not probed".into());
        let text = format!("{target} {does}, and does not pass now: {why}");
        let remedy = format!("failover probe {target}");
        findings.push(match verdict(target) {
            Verdict::Down => Finding::fail(Topic::Standby, name, text, remedy),
            _ => Finding::warn(Topic::Standby, name, text, remedy),
        });
    }
    let healthy: Vec<&str> =
        others.iter().filter(|target| verdict(target) == Verdict::Up).map(|target| target.as_str()).collect();
    if record.targets().count() < 2 {
        let remedy = "add a second target: with one there is nothing to fail over to";
        findings.push(Finding::warn(Topic::Standby, name, "has one target only", remedy));
    } else if others.is_empty() {
        findings.push(Finding::ok(Topic::Standby, name, "all of its targets serve: a pool"));
    } else if healthy.is_empty() {
        let reasons: Vec<String> = others.iter().map(|target| why(target)).collect();
        let text = format!("no stand-by passes now: a failover could not happen ({})", reasons.join("; "));
        let commands: Vec<String> = others.iter().map(|target| format!("failover probe {target}")).collect();
        findings.push(Finding::fail(Topic::Standby, name, text, commands.join("; ")));
    } else {
        let text = format!("{} passes now", healthy.join(", "));
        findings.push(Finding::ok(Topic::Standby, name, text));
        findings.extend(others.iter().filter(|target| verdict(target) != Verdict::Up).map(|target| {
            let text = format!("{target} would not do now ({})", why(target));
            Finding::warn(Topic::Standby, name, text, format!("failover probe {target}"))
        }));
    }
    findings
}

/// The channels.
pub(in crate::doctor) fn channels(count: usize, routes: usize) -> Finding {
    match (count, routes) {
        (0, _) => Finding::warn(
            Topic::Channels,
            "",
            "nobody is told of a failover: no channel is configured",
            "add one under notify.channels and a route to it",
        ),
        (_, 0) => Finding::warn(
            Topic::Channels,
            "",
            "nobody is told of a failover: no route leads to a channel",
            "add one under notify.routes",
        ),
        (count, _) => {
            let text =
                format!("{}; no message was sent: failover notify test sends one", counted(count, "channel"));
            Finding::ok(Topic::Channels, "", text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;

    fn levels(findings: &[Finding]) -> Vec<Level> {
        findings.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn witnesses_one_of_which_is_enough() {
        let seen = |of: &[bool]| -> BTreeMap<WitnessId, Outcome> {
            let outcome =
                |passed: &bool| if *passed { Outcome::Pass } else { Outcome::Fail("no answer".into()) };
            of.iter().enumerate().map(|(n, passed)| (format!("w{n}").into(), outcome(passed))).collect()
        };
        assert_eq!(levels(&witnesses(&seen(&[true, true]))), [Level::Ok]);
        assert_eq!(levels(&witnesses(&seen(&[true, false]))), [Level::Ok, Level::Warn]);
        assert_eq!(levels(&witnesses(&seen(&[false, false]))), [Level::Fail, Level::Warn, Level::Warn]);
        assert_eq!(levels(&witnesses(&seen(&[]))), [Level::Warn]);
        assert_eq!(witnesses(&seen(&[true]))[0].text, "1 of 1 answer");
    }

    #[test]
    fn a_stand_by_is_a_target_that_does_not_serve_and_passes() {
        use Verdict::{Down, Unknown, Up};
        let config = crate::config::Config::example();
        let record = config.policy().records.values().next().unwrap().clone();
        let targets: Vec<TargetId> = record.targets().cloned().collect();
        assert_eq!(targets.len(), 2, "the example has a primary and a stand-by");
        let of = |serving: &[TargetId], primary, second| {
            let why = |verdict| (verdict != Up).then(|| "connection refused".to_owned());
            let looks =
                [(targets[0].clone(), (primary, why(primary))), (targets[1].clone(), (second, why(second)))];
            standby(&record, serving, &looks.into())
        };
        let primary = &targets[..1];
        assert_eq!(levels(&of(primary, Up, Up)), [Level::Ok]);
        assert_eq!(levels(&of(&[], Up, Up)), [Level::Ok]);
        let dead = of(primary, Up, Down);
        assert_eq!(levels(&dead), [Level::Fail]);
        assert!(dead[0].text.contains("connection refused"), "{dead:?}");
        assert_eq!(levels(&of(primary, Up, Unknown)), [Level::Fail]);
        assert_eq!(levels(&of(primary, Down, Up)), [Level::Fail, Level::Ok]);
        assert_eq!(levels(&of(primary, Unknown, Up)), [Level::Warn, Level::Ok]);
        assert_eq!(levels(&of(&targets[1..], Down, Up)), [Level::Fail], "what serves now is the stand-by");
        assert_eq!(levels(&of(&targets, Up, Up)), [Level::Ok], "a pool");
        let alone = RecordPolicy { tiers: vec![vec![targets[0].clone()]], ..record.clone() };
        let looks: Looks = [(targets[0].clone(), (Up, None))].into();
        assert_eq!(levels(&standby(&alone, primary, &looks)), [Level::Warn]);
    }

    #[test]
    fn somebody_must_be_told() {
        assert_eq!(
            [channels(0, 0).level, channels(2, 0).level, channels(2, 1).level],
            [Level::Warn, Level::Warn, Level::Ok]
        );
    }
}
