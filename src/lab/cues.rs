//! PURE: what the play waits for before it goes on, as a list of what is still missing.

use std::collections::BTreeMap;
use std::time::Duration;

use providers::DomainName;

use super::facts::{Addresses, Facts, Fate, Happened};
use crate::api::Status;
use crate::decision::{EventKind, Outcome, RecordStatus, TargetReport, Verdict};

/// The events that say that a change was made.
const CHANGED: [EventKind; 3] =
    [EventKind::FailoverCompleted, EventKind::FailbackCompleted, EventKind::AdjustCompleted];

pub(super) fn not_up(status: &Status) -> Vec<String> {
    let down = status.report.targets.iter().filter(|target| target.verdict != Verdict::Up);
    let word = |target: &TargetReport| {
        let mut reasons = target.endpoints.iter().filter_map(|e| e.outcome.as_ref()).map(Outcome::reason);
        let why = reasons.find(|reason| !reason.is_empty()).unwrap_or("no probe has ended");
        format!("{} is {} ({why})", target.name, target.verdict.as_str())
    };
    down.map(word).collect()
}

pub(super) fn not_in_sync(status: &Status) -> Vec<String> {
    let records = status.report.records.iter().filter(|record| record.status != RecordStatus::InSync);
    records.map(|record| format!("{}: {}", record.name, record.reason)).collect()
}

pub(super) fn not_well(status: &Status) -> Vec<String> {
    let targets = not_up(status);
    // An address of a target that is up may still be without its verdict.
    let endpoints = status.report.targets.iter().flat_map(|t| t.endpoints.iter().map(move |e| (t, e)));
    let waiting = endpoints.filter(|(_, e)| e.verdict != Verdict::Up);
    let waiting = waiting.map(|(t, e)| format!("{} {} is {}", t.name, e.address, e.verdict.as_str()));
    targets.into_iter().chain(waiting).chain(not_in_sync(status)).collect()
}

/// What an outage must lead to and has not yet.
pub(super) fn still_to_leave(status: &Status, facts: &Facts) -> Vec<String> {
    let Some(scene) = facts.scenes.last() else { return Vec::new() };
    let mut missing = Vec::new();
    for (name, fate) in &scene.fates {
        match fate {
            Fate::Untouched => {}
            Fate::Stays if facts.has_event(&[EventKind::AllDown], name, scene.began) => {}
            Fate::Stays => missing.push(format!("{name}: nobody was told that all its targets are down")),
            Fate::Moves => {
                let clean = facts.answer(name).is_some_and(|answer| answer.is_disjoint(&scene.dead));
                if !clean {
                    missing.push(format!("{name} did not leave the dead host"));
                } else if !is_told(facts, name, scene.began) {
                    missing.push(format!("{name} moved and nobody was told"));
                }
            }
        }
    }
    for target in &scene.killed {
        let told = |e: &Happened| {
            e.kind == EventKind::TargetDown && e.at >= scene.began && e.target.as_ref() == Some(target)
        };
        if !facts.events.iter().any(told) {
            missing.push(format!("nobody was told that {target} is down"));
        }
    }
    missing.extend(undelivered(status));
    missing
}

/// What the return of the dead must lead to and has not yet.
pub(super) fn still_to_return(
    status: &Status,
    facts: &Facts,
    homes: &BTreeMap<DomainName, Addresses>,
) -> Vec<String> {
    let Some((scene, back)) = facts.scenes.last().and_then(|s| Some((s, s.returned?))) else {
        return Vec::new();
    };
    let mut missing = not_well(status);
    for (name, home) in homes {
        if facts.answer(name) != Some(home) {
            missing.push(format!("{name} did not come back"));
        } else if scene.come_back.contains(name) && !is_told(facts, name, back) {
            missing.push(format!("{name} came back and nobody was told"));
        }
    }
    missing.extend(undelivered(status));
    missing
}

pub(super) fn is_told(facts: &Facts, name: &DomainName, since: Duration) -> bool {
    facts.has_event(&CHANGED, name, since) && facts.has_event(&[EventKind::PropagationCompleted], name, since)
}

pub(super) fn undelivered(status: &Status) -> Option<String> {
    let waiting = status.pending_deliveries;
    (waiting > 0).then(|| format!("{waiting} messages wait for their delivery"))
}

pub(super) fn published(values: &[String]) -> Addresses {
    values.iter().filter_map(|value| value.parse().ok()).collect()
}
