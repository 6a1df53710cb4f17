//! Which targets should serve a record.

use std::collections::BTreeSet;

use serde::Serialize;

use super::all_down::nothing_up;
use super::{
    Answer, FailbackMode, Moment, Overrides, Place, Policy, RecordPolicy, Serve, Sight, TargetId, Targets,
    Verdict,
};

/// What should be published, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What to publish; never nothing, by type.
    pub answer: Answer,
    /// The targets it leads to, in order of priority.
    pub targets: Vec<TargetId>,
    /// Why it should be so.
    pub motive: Motive,
}

/// Why an answer is wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Motive {
    /// The targets that served do not work.
    Failover,
    /// A better target has recovered.
    Failback,
    /// Nothing works, and `all_down` says what is published then.
    AllDown,
    /// They are the right ones already; details may differ (a pool's member, a TTL, a new record).
    Stay,
}

/// Why a record is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum Hold {
    /// What is published has not been read yet.
    Unread,
    /// These targets have no verdict yet, and the grace time is not over.
    Settling {
        /// The targets.
        waiting_for: Vec<TargetId>,
    },
    /// The agent is cut off itself.
    Blind,
    /// A target is Down, and no witness was seen alive since its first failure.
    AwaitingWitness {
        /// The target.
        target: TargetId,
    },
    /// A change is due, and a target that would serve has not been seen to work since the trouble began.
    Verifying {
        /// The target.
        target: TargetId,
    },
    /// What serves was Down and passes its checks again: the record waits for its verdict, so that a blip that took
    /// everything down does not end in a move to whichever host is probed first.
    Recovering {
        /// The target.
        target: TargetId,
    },
    /// What serves was Down when an earlier run ended, and its own probe of this one has not answered yet.
    Remembered {
        /// The target.
        target: TargetId,
    },
    /// A person paused it.
    Paused {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person pinned it to a target that is not known to work.
    Pinned {
        /// The target.
        target: TargetId,
    },
    /// No target works but one that a person drained: a drain takes nobody's last target away, and moves nobody to it.
    Drained {
        /// The target.
        target: TargetId,
    },
    /// Every target is Down.
    AllDown,
    /// No target is known to work, and not all are known to be Down.
    NoneUp,
}

impl Hold {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Hold::Unread => "what is published has not been read yet".into(),
            Hold::Settling { waiting_for } => format!("no verdict yet of {}", list(waiting_for)),
            Hold::Blind => {
                "blind: none of the witnesses answers, so nothing is counted and nothing is written".into()
            }
            Hold::AwaitingWitness { target } => {
                format!(
                    "{target} fails, but no witness was seen alive since its first failure: it may be our own uplink"
                )
            }
            Hold::Verifying { target } => {
                format!("a change is due; {target} must first pass a probe begun after the trouble")
            }
            Hold::Recovering { target } => {
                format!("{target} passes its checks again: the record waits for it")
            }
            Hold::Remembered { target } => {
                format!("{target} was down when the last run ended; it must first be probed in this one")
            }
            Hold::Paused { by, reason } => format!("paused by {by}: {reason}"),
            Hold::Pinned { target } => {
                format!("pinned to {target}, which is not known to work: the record stays as it is")
            }
            Hold::Drained { target } => {
                format!("only {target} is known to work, and it is drained: the record stays as it is")
            }
            Hold::AllDown => "all targets are down: the record stays as it is".into(),
            Hold::NoneUp => "no target is known to work: the record stays as it is".into(),
        }
    }
}

/// What [`select`] says: an answer, or the reason to leave the record as it is. There is no empty answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This should be published.
    Serve(Wish),
    /// Leave it.
    Hold(Hold),
}

/// What selection looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The time.
    pub now: Moment,
    /// The settings.
    pub policy: &'a Policy,
    /// The verdicts.
    pub targets: &'a Targets,
    /// Our own sight.
    pub sight: &'a Sight,
    /// Until when records are held while a target has no verdict.
    pub settles_until: Moment,
    /// What a person orders.
    pub overrides: &'a Overrides,
    /// A one-shot run: see [`Options`](super::Options).
    pub one_shot: bool,
}

/// What is published now, as far as selection cares.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// The targets that serve, in order of priority; empty when the record is missing or nobody's.
    pub targets: &'a [TargetId],
    /// The addresses, or the host name, that are published.
    pub places: &'a BTreeSet<Place>,
    /// A person said `failback`.
    pub failback_asked: bool,
}

impl View<'_> {
    pub(super) fn verdict(&self, target: &TargetId) -> Verdict {
        self.targets.target(target, self.sight)
    }

    /// Is it up, and not drained?
    fn is_eligible(&self, target: &TargetId) -> bool {
        self.verdict(target) == Verdict::Up && !self.is_drained(target)
    }

    fn is_drained(&self, target: &TargetId) -> bool {
        self.overrides.drain(self.now, target).is_some()
    }

    fn up_for(&self, target: &TargetId) -> std::time::Duration {
        let since = self.targets.since(target, self.sight);
        since.map_or(std::time::Duration::ZERO, |since| self.now.since(since))
    }
}

/// Chooses: the lowest tier with an Up target; but stay where we are unless the current targets are Down, or
/// a better tier is due for failback. A drained target counts as Down, a pin leaves no choice, a pause nothing to do.
pub fn select(view: &View<'_>, record: &RecordPolicy, current: Current<'_>) -> Selection {
    if let Some(order) = view.overrides.pause(view.now, &record.name) {
        let (by, reason) = (order.by.clone(), order.reason.clone());
        return Selection::Hold(Hold::Paused { by, reason });
    }
    if view.sight.blind_since().is_some() {
        return Selection::Hold(Hold::Blind);
    }
    if let Some((target, _)) = view.overrides.pin(view.now, &record.name) {
        return pinned(view, record, current, target);
    }
    let unknown: Vec<TargetId> =
        record.targets().filter(|t| view.verdict(t) == Verdict::Unknown).cloned().collect();
    let waits_for_witness = unknown.iter().find(|target| view.targets.awaits_witness(target, view.sight));
    if let Some(target) = waits_for_witness
        && (current.targets.is_empty() || current.targets.contains(target))
    {
        return Selection::Hold(Hold::AwaitingWitness { target: target.clone() });
    }
    let waiting_for: Vec<TargetId> = unknown
        .into_iter()
        .filter(|target| !(view.is_drained(target) || view.one_shot && view.targets.is_inscrutable(target)))
        .collect();
    if view.now < view.settles_until && !waiting_for.is_empty() {
        return Selection::Hold(Hold::Settling { waiting_for });
    }
    let Some(best) = record.tiers.iter().position(|tier| tier.iter().any(|t| view.is_eligible(t))) else {
        if let Some(target) = record.targets().find(|t| view.verdict(t) == Verdict::Up) {
            return Selection::Hold(Hold::Drained { target: target.clone() });
        }
        return nothing_up(view, record, current);
    };
    let (tier, motive) = choose_tier(view, record, current, best);
    let recovers = |target: &&TargetId| view.targets.is_recovering(target) && !view.is_drained(target);
    let recovering = current.targets.iter().find(recovers);
    if let (Motive::Failover, Some(target)) = (motive, recovering) {
        return Selection::Hold(Hold::Recovering { target: target.clone() });
    }
    let Some(wish) = wish(view, record, current, tier, motive) else { return Selection::Hold(Hold::NoneUp) };
    match remembered(view, current, &wish) {
        Some(target) => Selection::Hold(Hold::Remembered { target }),
        None => once_verified(view, current, wish),
    }
}

/// The target that would be left, whole or in part, for nothing but what an earlier run found out. The counterpart of
/// [`unverified`]: that asks for a pass since the trouble began, this for a word in our own time. Somebody may have
/// put the record where it is because the target works again.
fn remembered(view: &View<'_>, current: Current<'_>, wish: &Wish) -> Option<TargetId> {
    if wish.answer.leads_to(current.places) {
        return None;
    }
    let mut left = current.targets.iter().filter(|target| !view.is_drained(target));
    left.find(|target| view.targets.is_remembered(target, |place| current.places.contains(place))).cloned()
}

/// A pinned record: its one target while that is Up, whatever the others are.
fn pinned(view: &View<'_>, record: &RecordPolicy, current: Current<'_>, target: &TargetId) -> Selection {
    let held_tier = current.targets.iter().filter_map(|target| record.tier_of(target)).min();
    let motive = match held_tier {
        _ if current.targets.contains(target) => Motive::Stay,
        None => Motive::Stay,
        Some(held) if record.tier_of(target).is_some_and(|tier| tier < held) => Motive::Failback,
        Some(_) => Motive::Failover,
    };
    // A pin is more than a drain.
    let view = View { overrides: Overrides::NONE, ..*view };
    let alone = RecordPolicy { tiers: vec![vec![target.clone()]], ..record.clone() };
    match wish(&view, &alone, current, 0, motive) {
        Some(wish) if view.verdict(target) == Verdict::Up => once_verified(&view, current, wish),
        _ => Selection::Hold(Hold::Pinned { target: target.clone() }),
    }
}

fn once_verified(view: &View<'_>, current: Current<'_>, wish: Wish) -> Selection {
    match unverified(view, current, &wish) {
        Some(target) => Selection::Hold(Hold::Verifying { target }),
        None => Selection::Serve(wish),
    }
}

/// The first target of a wish that is not known to work *now*. A verdict can be older than the trouble: when two
/// hosts die together, the one that is probed later still counts as Up. So a change that some failure asks for
/// waits until everything it would publish has passed since that failure; and nothing is added in doubt.
///
/// This also keeps the families of one host together: when its IPv4 goes Down while its IPv6 has begun to fail,
/// there is one change, not a first one that leaves a dying AAAA alone and a second one withheld by `hold_down`.
fn unverified(view: &View<'_>, current: Current<'_>, wish: &Wish) -> Option<TargetId> {
    let trouble = current
        .targets
        .iter()
        .filter_map(|target| view.targets.trouble_since(target, current.places, view.sight))
        .min();
    wish.targets.iter().find(|target| !is_verified(view, current, wish, target, trouble)).cloned()
}

fn is_verified(
    view: &View<'_>,
    current: Current<'_>,
    wish: &Wish,
    target: &TargetId,
    trouble: Option<Moment>,
) -> bool {
    let own = view.policy.targets.get(target).map(|t| &t.places);
    wish.answer.each().filter(|place| own.is_some_and(|own| own.contains(place))).all(|place| {
        let stays = current.places.contains(&place);
        let unknown = || view.targets.address(target, &place, view.sight) == Verdict::Unknown;
        // What is published and of which nothing can be known stays; what stays needs proof only in trouble.
        (stays && (trouble.is_none() || unknown())) || view.targets.is_verified(target, &place, trouble)
    })
}

fn choose_tier(view: &View<'_>, record: &RecordPolicy, current: Current<'_>, best: usize) -> (usize, Motive) {
    let held_tier = current
        .targets
        .iter()
        .filter(|target| view.verdict(target) != Verdict::Down && !view.is_drained(target))
        .filter_map(|target| record.tier_of(target))
        .min();
    match held_tier {
        None if current.targets.is_empty() => (best, Motive::Stay),
        None => (best, Motive::Failover),
        Some(held) if best < held && failback_is_due(view, record, current, best) => (best, Motive::Failback),
        Some(held) => (held, Motive::Stay),
    }
}

fn failback_is_due(view: &View<'_>, record: &RecordPolicy, current: Current<'_>, tier: usize) -> bool {
    current.failback_asked
        || (record.failback == FailbackMode::Auto
            && record.tiers[tier]
                .iter()
                .any(|target| view.is_eligible(target) && view.up_for(target) >= record.failback_after))
}

/// When a failback becomes due by itself, if one is under way.
pub(super) fn failback_due_at(
    view: &View<'_>,
    record: &RecordPolicy,
    current: &[TargetId],
) -> Option<Moment> {
    let held = current.iter().filter_map(|target| record.tier_of(target)).min()?;
    let name = &record.name;
    let fixed =
        view.overrides.pause(view.now, name).is_some() || view.overrides.pin(view.now, name).is_some();
    if record.failback != FailbackMode::Auto || fixed {
        return None;
    }
    let better = record.tiers[..held].iter().flatten().filter(|target| view.is_eligible(target));
    better
        .filter_map(|target| view.targets.since(target, view.sight))
        .map(|since| since + record.failback_after)
        .min()
}

/// The answer of one tier: its Up targets' Up places, and of those that serve already also the addresses
/// of which nothing is known (unknown blocks nobody, and removes nobody).
fn wish(
    view: &View<'_>,
    record: &RecordPolicy,
    current: Current<'_>,
    tier: usize,
    motive: Motive,
) -> Option<Wish> {
    let serves = |target: &&TargetId| current.targets.contains(target);
    let alive = |target: &&TargetId| match view.verdict(target) {
        _ if view.is_drained(target) => false,
        Verdict::Up => true,
        Verdict::Unknown => serves(target),
        Verdict::Down => false,
    };
    let mut candidates: Vec<&TargetId> = record.tiers[tier].iter().filter(alive).collect();
    // A host that comes back is let in whole: its IPv4 alone would be one change, and its IPv6 another one later.
    let settled = |target: &&TargetId| serves(target) || !view.targets.is_rising(target);
    if candidates.iter().any(settled) {
        candidates.retain(|target| settled(target));
    }
    let chosen: Vec<&TargetId> = match record.serve {
        Serve::All => candidates,
        Serve::First => {
            let sticky = candidates.iter().copied().find(serves);
            sticky.or_else(|| candidates.first().copied()).into_iter().collect()
        }
    };
    let places = chosen.iter().flat_map(|target| {
        let all = view.policy.targets.get(*target).map(|t| t.places.iter()).into_iter().flatten();
        all.filter(|place| match view.targets.address(target, place, view.sight) {
            Verdict::Up => true,
            Verdict::Unknown => serves(target) && current.places.contains(*place),
            Verdict::Down => false,
        })
    });
    Some(Wish { answer: Answer::of(places)?, targets: chosen.into_iter().cloned().collect(), motive })
}

fn list(targets: &[TargetId]) -> String {
    targets.iter().map(TargetId::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
