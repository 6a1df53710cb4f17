//! What came of a rehearsal, in numbers.

use std::time::Duration;

use providers::DomainName;
use serde::Serialize;

use super::acts::addresses;
use super::cast::Cast;
use super::facts::{Facts, Fate, Scene};
use super::shorten::{Usual, maybe_seconds, seconds};
use super::timeline::Entry;
use super::verdict::{self, Promise};
use crate::decision::{ChannelId, EventKind, TargetId};

/// What came of a rehearsal. Serialises to the stable form of `-o json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Was every promise kept?
    pub kept: bool,
    /// The promises.
    pub promises: Vec<Promise>,
    /// The records.
    pub records: Vec<RecordOutcome>,
    /// What DNS was asked.
    pub answers: Answers,
    /// What each channel would have been told.
    pub messages: Vec<Heard>,
    /// How long it all took.
    #[serde(rename = "took_s", serialize_with = "seconds")]
    pub took: Duration,
    /// What happened, in order.
    pub timeline: Vec<Entry>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordOutcome {
    /// Its name.
    pub name: DomainName,
    /// The targets whose outage it saw.
    pub outage_of: Vec<TargetId>,
    /// Had it another target to move to?
    pub had_another: bool,
    /// From the outage on.
    pub failover: Turn,
    /// From the return on.
    pub failback: Turn,
    /// Writes made.
    pub writes: usize,
    /// Writes that were due: one there, one back.
    pub writes_due: usize,
    /// What the same takes with the times as configured.
    pub as_configured: Usual,
}

/// How long each step took, counted from the outage or from the return; absent where the step was not due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// Until the verdict.
    #[serde(rename = "detected_s", serialize_with = "maybe_seconds")]
    pub detected: Option<Duration>,
    /// Until it was written.
    #[serde(rename = "written_s", serialize_with = "maybe_seconds")]
    pub written: Option<Duration>,
    /// Until it was first answered.
    #[serde(rename = "served_s", serialize_with = "maybe_seconds")]
    pub served: Option<Duration>,
}

/// What DNS was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// Answers seen: each is A and AAAA of one name at one time.
    pub seen: u64,
    /// Without an address.
    pub empty: u64,
    /// Questions that got no answer in time.
    pub unanswered: u64,
}

/// What a channel would have been told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// The channel.
    pub channel: ChannelId,
    /// How many messages.
    pub messages: u32,
}

pub(super) fn outcome(cast: &Cast, facts: &Facts, took: Duration) -> Outcome {
    let promises = verdict::judge(facts);
    let runs = || facts.runs.values().flatten();
    let counted = |channel: &ChannelId| facts.told.get(channel).map_or(0, |events| events.values().sum());
    let channels = cast.config.notify.channels.keys().filter(|channel| **channel != Cast::own_channel());
    Outcome {
        kept: promises.iter().all(|promise| promise.kept),
        promises,
        records: facts.homes.keys().map(|name| record(cast, facts, name)).collect(),
        answers: Answers {
            seen: runs().map(|run| run.asked).sum(),
            empty: runs().filter(|run| run.answer.is_empty()).map(|run| run.asked).sum(),
            unanswered: facts.unanswered,
        },
        messages: channels
            .map(|channel| Heard { channel: channel.clone(), messages: counted(channel) })
            .collect(),
        took,
        timeline: facts.timeline().to_vec(),
    }
}

fn record(cast: &Cast, facts: &Facts, name: &DomainName) -> RecordOutcome {
    let own = |scene: &&Scene| scene.fates.get(name).is_some_and(|fate| *fate != Fate::Untouched);
    let scene = facts.scenes.iter().find(own);
    let concerned = |scene: &Scene| {
        let held = scene.published.get(name);
        let served = |target: &&TargetId| {
            let own = addresses(&cast.config, [*target]);
            scene.killed.contains(*target) && held.is_some_and(|held| !held.is_disjoint(&own))
        };
        cast.config.records[name].policy.targets().filter(served).cloned().collect::<Vec<_>>()
    };
    let outage_of = scene.map(concerned).unwrap_or_default();
    RecordOutcome {
        name: name.clone(),
        had_another: scene.is_some_and(|scene| scene.fates.get(name) == Some(&Fate::Moves)),
        failover: scene.map(|scene| failover(facts, scene, name, &outage_of)).unwrap_or_default(),
        failback: scene.map(|scene| failback(facts, scene, name, &outage_of)).unwrap_or_default(),
        outage_of,
        writes: verdict::writes(facts, name),
        writes_due: verdict::expected_writes(facts, name),
        as_configured: cast.usual[name],
    }
}

/// When the first of these targets was told to have turned, after `since`.
fn told(facts: &Facts, kind: EventKind, targets: &[TargetId], since: Duration) -> Option<Duration> {
    let events = facts.events.iter().filter(|event| event.kind == kind && event.at >= since);
    events
        .filter(|event| event.target.as_ref().is_some_and(|t| targets.contains(t)))
        .map(|e| e.at.saturating_sub(since))
        .min()
}

fn failover(facts: &Facts, scene: &Scene, name: &DomainName, targets: &[TargetId]) -> Turn {
    let end = scene.returned.unwrap_or(Duration::MAX);
    let moves = scene.fates.get(name) == Some(&Fate::Moves);
    let write = facts.writes.iter().find(|w| w.record == *name && w.at >= scene.began && w.at < end);
    Turn {
        detected: told(facts, EventKind::TargetDown, targets, scene.began),
        written: write.map(|write| write.at.saturating_sub(scene.began)),
        served: facts.served_at(name, scene).filter(|_| moves).map(|at| at.saturating_sub(scene.began)),
    }
}

fn failback(facts: &Facts, scene: &Scene, name: &DomainName, targets: &[TargetId]) -> Turn {
    let Some(back) = scene.returned else { return Turn::default() };
    let write = facts.writes.iter().find(|write| write.record == *name && write.at >= back);
    let write = write.filter(|_| scene.come_back.contains(name));
    let served = write.and_then(|write| {
        let runs = facts.runs.get(name)?.iter();
        runs.filter(|run| run.first >= back && run.answer == write.after)
            .map(|run| run.first.saturating_sub(back))
            .next()
    });
    Turn {
        detected: told(facts, EventKind::TargetUp, targets, back),
        written: write.map(|write| write.at.saturating_sub(back)),
        served,
    }
}
