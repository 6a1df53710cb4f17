//! PURE: which promises were kept. Each is judged by what was seen from outside, not by what the agent says of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use providers::DomainName;
use serde::Serialize;

use super::facts::{Facts, Fate, Happened, Run, Scene, Write};
use super::onlooker::shown;

/// A promise, and whether it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Promise {
    /// Its stable name.
    pub name: &'static str,
    /// In plain words.
    pub text: &'static str,
    /// Was it kept?
    pub kept: bool,
    /// What was seen; the breaches, if there are any.
    pub seen: String,
}

/// How many breaches are told one by one.
const TOLD: usize = 5;

fn promise(name: &'static str, text: &'static str, breaches: Vec<String>, kept: String) -> Promise {
    if breaches.is_empty() {
        return Promise { name, text, kept: true, seen: kept };
    }
    let more = breaches.len().saturating_sub(TOLD);
    let mut told: Vec<String> = breaches.into_iter().take(TOLD).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    Promise { name, text, kept: false, seen: told.join("; ") }
}

/// Every promise, in the order in which they matter.
pub(super) fn judge(facts: &Facts) -> Vec<Promise> {
    vec![
        never_empty(facts),
        never_mixed(facts),
        never_dead(facts),
        never_unproven(facts),
        never_foreign(facts),
        never_flip_flop(facts),
        moved(facts),
        idempotent(facts),
        told_once(facts),
    ]
}

fn runs(facts: &Facts) -> impl Iterator<Item = (&DomainName, &Run)> {
    facts.runs.iter().flat_map(|(name, runs)| runs.iter().map(move |run| (name, run)))
}

fn never_empty(facts: &Facts) -> Promise {
    let asked: u64 = runs(facts).map(|(_, run)| run.asked).sum();
    let mut breaches: Vec<String> = runs(facts)
        .filter(|(_, run)| run.answer.is_empty())
        .map(|(name, run)| format!("{name} had no address at {:.2} s", run.first.as_secs_f64()))
        .collect();
    let silent = facts.homes.keys().filter(|name| !facts.runs.contains_key(*name));
    breaches.extend(silent.map(|name| format!("{name} was never answered")));
    let kept = match facts.unanswered {
        0 => format!("{asked} answers"),
        lost => format!("{asked} answers; {lost} questions got none in time"),
    };
    promise("never_empty", "never an empty answer", breaches, kept)
}

/// An answer is whole when it is what the record held at first, or what one write made of it.
fn never_mixed(facts: &Facts) -> Promise {
    let whole = |name: &DomainName, run: &Run| {
        facts.homes.get(name) == Some(&run.answer)
            || facts.writes.iter().any(|write| write.record == *name && write.after == run.answer)
    };
    let breaches =
        runs(facts).filter(|(name, run)| !run.answer.is_empty() && !whole(name, run)).map(|(name, run)| {
            let at = run.first.as_secs_f64();
            format!("{name} answered {} at {at:.2} s, which nobody wrote", shown(&run.answer))
        });
    let kept = "A and AAAA always changed together".into();
    promise("never_mixed", "never half a change", breaches.collect(), kept)
}

fn never_dead(facts: &Facts) -> Promise {
    let mut breaches = Vec::new();
    for scene in &facts.scenes {
        for (name, runs) in &facts.runs {
            let Some(clean) = facts.served_at(name, scene) else { continue };
            let until = scene.returned.unwrap_or(Duration::MAX);
            let relapse = runs
                .iter()
                .find(|run| run.first > clean && run.first < until && !run.answer.is_disjoint(&scene.dead));
            if let Some(run) = relapse {
                let at = run.first.as_secs_f64();
                breaches.push(format!("{name} answered {} again at {at:.2} s", shown(&run.answer)));
            }
        }
    }
    let kept = "none was answered after a change".into();
    promise("never_dead", "never back to a dead host", breaches, kept)
}

fn never_unproven(facts: &Facts) -> Promise {
    let breaches = facts.writes.iter().filter(|write| !write.unproven.is_empty()).map(|write| {
        let (at, added) = (write.at.as_secs_f64(), shown(&write.unproven));
        format!("{} got {added} at {at:.2} s, of which the last probe had not passed", write.record)
    });
    let kept = "each had just passed every check".into();
    promise("never_unproven", "never to a host not known to work", breaches.collect(), kept)
}

fn never_foreign(facts: &Facts) -> Promise {
    let kept = "another name and the TXT sets are as they were".into();
    promise("never_foreign", "never somebody else's record", facts.trespasses.clone(), kept)
}

/// The writes that the outages ask for: one there, one back. On the way back an address that came up later than its
/// fellows may be added by a write of its own.
pub(super) fn expected_writes(facts: &Facts, name: &DomainName) -> usize {
    let of_scene = |(at, scene): (usize, &Scene)| {
        let there = usize::from(scene.fates.get(name) == Some(&Fate::Moves));
        let Some(back) = scene.returned.filter(|_| scene.come_back.contains(name)) else { return there };
        let end = facts.scenes.get(at + 1).map_or(Duration::MAX, |next| next.began);
        let way_back: Vec<_> =
            facts.writes.iter().filter(|w| w.record == *name && (back..end).contains(&w.at)).collect();
        let additions = way_back.windows(2).filter(|pair| pair[0].after.is_subset(&pair[1].after));
        there + 1 + additions.count()
    };
    facts.scenes.iter().enumerate().map(of_scene).sum()
}

pub(super) fn writes(facts: &Facts, name: &DomainName) -> usize {
    facts.writes.iter().filter(|write| write.record == *name).count()
}

fn never_flip_flop(facts: &Facts) -> Promise {
    let too_many = facts.homes.keys().filter(|name| writes(facts, name) > expected_writes(facts, name));
    let breaches = too_many.map(|name| {
        let (made, due) = (writes(facts, name), expected_writes(facts, name));
        format!("{name} was written {made} times, {due} were due")
    });
    let kept = match facts.writes.len() {
        0 => "no writes, none were due".into(),
        made => format!("{made} writes, one for each move"),
    };
    promise("never_flip_flop", "never a flip-flop", breaches.collect(), kept)
}

fn moved(facts: &Facts) -> Promise {
    let breaches = facts.scenes.iter().flat_map(|scene| scene.late.clone()).collect();
    let fates = || facts.scenes.iter().flat_map(|scene| scene.fates.values());
    let stayed = fates().filter(|fate| **fate == Fate::Stays).count();
    let kept = match (fates().filter(|fate| **fate == Fate::Moves).count(), stayed) {
        (0, _) => "nothing to move to: every record stayed, and it was told".to_owned(),
        (_, 0) => "out to a host that works, and back as configured".to_owned(),
        _ => "all that could moved and came back; the others stayed".to_owned(),
    };
    promise("moved", "moves when it must, and back", breaches, kept)
}

fn idempotent(facts: &Facts) -> Promise {
    let mut breaches = Vec::new();
    for (at, run) in facts.second_runs.iter().enumerate() {
        if run.writes > 0 || run.events > 0 {
            breaches.push(format!("second run {}: {} writes, {} messages", at + 1, run.writes, run.events));
        }
        if !run.settled {
            breaches.push(format!("second run {} did not come to an end", at + 1));
        }
    }
    let due = facts.scenes.len() * 2;
    if facts.second_runs.len() < due {
        breaches.push(format!("{} of {due} second runs were made", facts.second_runs.len()));
    }
    let kept = format!("{due} runs of `once`: 0 writes, 0 messages");
    promise("idempotent", "a second run changes nothing", breaches, kept)
}

fn told_once(facts: &Facts) -> Promise {
    let mut breaches = Vec::new();
    for (channel, events) in &facts.told {
        let twice = events.iter().filter(|(_, times)| **times > 1);
        breaches.extend(twice.map(|(id, times)| format!("{channel} was told {id} {times} times")));
    }
    // The same news under two ids: between two turns of the stage, a record or target has one of a kind, and one for
    // each write.
    let mut turns: Vec<Duration> =
        facts.scenes.iter().flat_map(|scene| [Some(scene.began), scene.returned]).flatten().collect();
    turns.sort();
    let part = |at: Duration| turns.partition_point(|turn| *turn <= at);
    let mut news: BTreeMap<_, usize> = BTreeMap::new();
    for Happened { at, kind, record, target } in &facts.events {
        *news.entry((part(*at), *kind, record, target)).or_default() += 1;
    }
    for ((part_of_play, kind, record, target), times) in news {
        let written = |w: &&Write| Some(&w.record) == record.as_ref() && part(w.at) == part_of_play;
        if times > facts.writes.iter().filter(written).count().max(1) {
            let of = record.as_ref().map(ToString::to_string);
            let of = of.or_else(|| target.as_ref().map(ToString::to_string)).unwrap_or_default();
            breaches.push(format!("{kind} {of} was told {times} times"));
        }
    }
    let kept = format!("{} events, none told twice", facts.events.len());
    promise("told_once", "every message once", breaches, kept)
}

#[cfg(test)]
#[path = "verdict/tests.rs"]
mod tests;
