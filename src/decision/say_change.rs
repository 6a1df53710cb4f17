//! The words of a change: what happened, from where to where, why, since when, what next.

use std::collections::BTreeSet;

use providers::{DomainName, Snapshot, Ttl};

use super::say::{side_at, side_of_wish};
use super::{
    Event, EventKind, FailbackMode, Moment, Motive, Now, Override, Overrides, Phases, Place, Policy,
    RecordPolicy, Severity, Side, Sight, TargetId, Targets, Verdict, What, Wish, human, owner_of,
};

/// The three events of a change: begun, done, failed.
fn kinds(motive: Motive) -> [EventKind; 3] {
    match motive {
        Motive::Failover | Motive::AllDown => {
            [EventKind::FailoverStarted, EventKind::FailoverCompleted, EventKind::FailoverFailed]
        }
        Motive::Failback => {
            [EventKind::FailbackStarted, EventKind::FailbackCompleted, EventKind::FailbackFailed]
        }
        Motive::Stay => [EventKind::AdjustStarted, EventKind::AdjustCompleted, EventKind::AdjustFailed],
    }
}

/// What the words of a change are made of.
pub(super) struct Telling<'a> {
    pub(super) now: &'a Now,
    pub(super) policy: &'a Policy,
    pub(super) record: &'a RecordPolicy,
    pub(super) targets: &'a Targets,
    pub(super) sight: &'a Sight,
    pub(super) snapshot: &'a Snapshot,
    /// Where that leads.
    pub(super) published: &'a BTreeSet<Place>,
    /// The targets that served before.
    pub(super) current: &'a [TargetId],
    pub(super) wish: &'a Wish,
    pub(super) failback_asked: bool,
    pub(super) overrides: &'a Overrides,
    pub(super) incident: Option<String>,
}

/// What a change takes away or adds without moving the record, because an address died or came back.
struct Details {
    gone: Vec<Place>,
    added: Vec<Place>,
}

impl Telling<'_> {
    /// The event of the finished change; that of its beginning is the same with another kind and tense.
    pub(super) fn completed(&self) -> Event {
        let before = side_at(self.policy, self.record, self.published);
        let fallen = self.fallen(&before);
        let details = self.details();
        let summary = self.summary(&before, &details);
        let mut event = Event::new(kinds(self.wish.motive)[1], self.now.wall, summary);
        event.record = Some(self.record.name.clone());
        event.incident.clone_from(&self.incident);
        (event.reason, event.since) = self.reason(&before, &fallen, &details);
        event.target = fallen.first().cloned();
        event.phases = fallen.first().and_then(|target| {
            let down = self.targets.since(target, self.sight);
            Some(Phases::decided(self.targets.first_failure(target)?, down, self.now.moment))
        });
        if self.wish.motive == Motive::Stay && !(fallen.is_empty() && details.gone.is_empty()) {
            event.severity = Severity::Warning;
        }
        // Planned work wakes nobody.
        if fallen.is_empty() && self.order(&before).is_some() {
            event.severity = event.severity.min(Severity::Warning);
        }
        event.before = Some(before);
        event.after = Some(side_of_wish(self.wish));
        event.next = Some(self.next());
        event
    }

    /// What a person orders that has a part in this change.
    fn order(&self, before: &Side) -> Option<&Override> {
        let (now, wish) = (self.now.moment, &self.wish.targets);
        if let Some((_, order)) = self.overrides.pin(now, &self.record.name) {
            return Some(order).filter(|_| before.targets != *wish);
        }
        let left =
            |t: &&TargetId| !wish.contains(t) && (before.targets.contains(t) || self.current.contains(t));
        self.record.targets().filter(left).find_map(|target| self.overrides.drain(now, target))
    }

    /// Why this change is wanted, and since when that is so.
    pub(super) fn why(&self) -> (Option<String>, Option<jiff::Timestamp>) {
        let before = side_at(self.policy, self.record, self.published);
        self.reason(&before, &self.fallen(&before), &self.details())
    }

    fn summary(&self, before: &Side, details: &Details) -> String {
        let (name, to) = (&self.record.name, names(&self.wish.targets));
        let from = if before.targets.is_empty() { before.to_string() } else { names(&before.targets) };
        match self.wish.motive {
            Motive::Failover if before.targets == self.wish.targets => format!("{name} failed over to {to}"),
            Motive::Failover if self.order(before).is_some() && self.fallen(before).is_empty() => {
                format!("{name} was moved from {from} to {to}")
            }
            Motive::Failover => format!("{name} failed over from {from} to {to}"),
            Motive::Failback => format!("{name} is back at {to}"),
            Motive::AllDown => {
                format!("every target of {name} is down, and {}", super::all_down::serves(self.wish))
            }
            Motive::Stay if self.snapshot.is_missing() => format!("{name} was created and points at {to}"),
            Motive::Stay if !details.gone.is_empty() => {
                format!("{name} no longer serves {}", listed(&details.gone))
            }
            Motive::Stay if !details.added.is_empty() => {
                format!("{name} now also serves {}", listed(&details.added))
            }
            Motive::Stay if self.order(before).is_some() => format!("{name} now points at {to}"),
            Motive::Stay => format!("{name} was put right and points at {to}"),
        }
    }

    /// The targets that served and do not work any more.
    fn fallen(&self, before: &Side) -> Vec<TargetId> {
        let down = |t: &&TargetId| self.targets.target(t, self.sight) == Verdict::Down;
        let served = |t: &&TargetId| before.targets.contains(t) || self.current.contains(t);
        self.record.targets().filter(served).filter(down).cloned().collect()
    }

    fn details(&self) -> Details {
        let before = self.published;
        let verdict = |place: &Place| {
            let owner = owner_of(self.policy, self.record, place);
            owner.map(|target| self.targets.address(&target, place, self.sight))
        };
        let after = self.wish.answer.places();
        let gone = before.difference(&after).filter(|p| verdict(p) == Some(Verdict::Down)).cloned().collect();
        // Nothing was taken away, so something came back.
        let only_adds = !before.is_empty() && before.is_subset(&after);
        let added = if only_adds { after.difference(before).cloned().collect() } else { Vec::new() };
        Details { gone, added }
    }

    fn reason(
        &self,
        before: &Side,
        fallen: &[TargetId],
        details: &Details,
    ) -> (Option<String>, Option<jiff::Timestamp>) {
        let wall = |moment: Option<Moment>| moment.map(|m| self.now.wall_of(m));
        if let Some(target) = fallen.first() {
            let what = self.targets.complaint(target).unwrap_or_else(|| "it fails its checks".into());
            let order = self.order(before).map(|order| format!("; {}", self.ordered(order)));
            let what = format!("{target} is down: {what}{}", order.unwrap_or_default());
            return (Some(what), wall(self.targets.first_failure(target)));
        }
        if let Some(order) = self.order(before) {
            return (Some(self.ordered(order)), wall(Some(order.set)));
        }
        if self.wish.motive == Motive::Failback {
            let Some(target) = self.wish.targets.first() else { return (None, None) };
            let since = self.targets.since(target, self.sight);
            let held =
                since.map_or_else(String::new, |s| format!(" for {}", human(self.now.moment.since(s))));
            let asked = if self.failback_asked { "; a person asked for the failback" } else { "" };
            return (Some(format!("{target} has been up{held}{asked}")), wall(since));
        }
        if self.snapshot.is_missing() {
            return (Some("the record did not exist".into()), None);
        }
        let of = |place: &Place| owner_of(self.policy, self.record, place);
        if let Some((place, target)) = details.gone.first().and_then(|p| Some((p, of(p)?))) {
            let what =
                self.targets.complaint_of(&target, place).unwrap_or_else(|| "it fails its checks".into());
            let since = self.targets.trouble_since(&target, &BTreeSet::from([place.clone()]), self.sight);
            return (Some(format!("{target}'s address {place} is down: {what}")), wall(since));
        }
        if let Some((place, target)) = details.added.first().and_then(|p| Some((p, of(p)?))) {
            return (Some(format!("{target}'s address {place} works")), None);
        }
        let ttls: BTreeSet<String> = self.snapshot.sets.values().map(|set| set.ttl.to_string()).collect();
        let ttls: Vec<String> = ttls.into_iter().collect();
        (Some(format!("the record held {before} with a TTL of {}", ttls.join(" and "))), None)
    }

    /// `toronto is drained by alice until ...: a new kernel`.
    fn ordered(&self, order: &Override) -> String {
        match &order.what {
            What::Drain { target } => format!("{target} is {}", order.words(self.now)),
            What::Pin { .. } | What::Pause { .. } => {
                format!("{} is {}", self.record.name, order.words(self.now))
            }
        }
    }

    fn next(&self) -> String {
        if let Some((target, order)) = self.overrides.pin(self.now.moment, &self.record.name) {
            let (until, end) = (order.end(self.now), order.key().remedy());
            return format!("it stays at {target} until {until}, or until `{end}`");
        }
        if self.wish.motive == Motive::AllDown {
            return "the record moves as soon as one of them passes its checks".into();
        }
        let tier = self.wish.targets.iter().filter_map(|t| self.record.tier_of(t)).min().unwrap_or(0);
        if tier == 0 {
            return "nothing to do; the agent goes on watching".into();
        }
        let better = || self.record.tiers[..tier].iter().flatten();
        if let Some(order) = better().find_map(|target| self.overrides.drain(self.now.moment, target)) {
            let (until, end) = (order.end(self.now), order.key().remedy());
            return format!("{} ends at {until}, or with `{end}`; then the usual rules hold", order.what);
        }
        let better = better().map(TargetId::as_str).collect::<Vec<_>>().join(" or ");
        match self.record.failback {
            FailbackMode::Auto => format!(
                "when {better} has been up for {}, {} goes back to it by itself",
                human(self.record.failback_after),
                self.record.name
            ),
            FailbackMode::Manual => {
                format!("when {better} is well again, run `failover failback {}`", self.record.name)
            }
        }
    }
}

fn names(targets: &[TargetId]) -> String {
    targets.iter().map(TargetId::as_str).collect::<Vec<_>>().join(" + ")
}

fn listed(places: &[Place]) -> String {
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A change about to be written, told before the effect.
pub(super) fn started(completed: &Event, motive: Motive, now: &Now) -> Event {
    let mut event = completed.clone();
    event.kind = kinds(motive)[0];
    event.severity = event.kind.severity();
    event.time = now.wall;
    let (name, to) = name_and_aim(&event);
    event.summary = format!("about to change {name} to {to}");
    event.next = None;
    event
}

/// A change that could not be written, and what the agent does about it.
pub(super) fn failed(completed: &Event, motive: Motive, now: &Now, why: &str, next: &str) -> Event {
    let mut event = completed.clone();
    event.kind = kinds(motive)[2];
    event.severity = event.kind.severity();
    event.time = now.wall;
    let (name, to) = name_and_aim(&event);
    event.summary = format!("{name} could not be changed to {to}: {why}");
    event.effective_by = None;
    event.next = Some(next.to_owned());
    event
}

fn name_and_aim(event: &Event) -> (String, String) {
    let name = event.record.as_ref().map(DomainName::to_string).unwrap_or_default();
    (name, event.after.as_ref().map(Side::to_string).unwrap_or_default())
}

/// By when no cache can hold the old answer any more: written now, kept for the old TTL.
pub(super) fn effective_by(now: Moment, old_ttl: Option<Ttl>) -> Option<Moment> {
    old_ttl.map(|ttl| now + std::time::Duration::from_secs(ttl.seconds().into()))
}

#[cfg(test)]
mod tests {
    use providers::Ttl;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
    use super::super::{Decision, Effect, Input, Options, Order, ProviderFace, Saved, What};
    use super::*;

    fn now(second: i64) -> Now {
        Now {
            moment: at(second),
            wall: jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second),
        }
    }

    /// `a` serves and dies; the event of the change that follows when the name holds this by then.
    fn moved_away_from_the_dead(order: Option<What>, held: Snapshot) -> Event {
        let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
        let faces = BTreeMap::from([("zone".into(), face)]);
        let mut decision = Decision::new(policy(), faces, Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        let read = |snapshot| Input::Read { record: record().name, result: Ok(snapshot) };
        let _ = decision.handle(&now(0), read(holding(&[A4, A6])));
        for address in [A4, A6, B4] {
            let seen = observation("web", address, (1, 1), Some(true));
            let _ = decision.handle(&now(1), Input::Observed(seen));
        }
        if let Some(what) = order {
            let order = Override::new(what, at(1), at(900), "new kernel", "alice").unwrap();
            let _ = decision.handle(&now(1), Input::Override(Order::Set(order)));
        }
        for (second, address, passed) in [(2, A4, false), (2, A6, false), (3, B4, true)] {
            let seen = observation("web", address, (second, second), Some(passed));
            let _ = decision.handle(&now(second), Input::Observed(seen));
        }
        let out = decision.handle(&now(4), read(held));
        let work = out.iter().find_map(|effect| match effect {
            Effect::Write(work) => Some(work.completed.clone()),
            _ => None,
        });
        work.unwrap_or_else(|| panic!("{out:?}"))
    }

    #[test]
    fn who_dies_before_its_drain_is_done_has_failed_over_and_that_is_no_planned_work() {
        let drained = Some(What::Drain { target: "a".into() });
        let told = moved_away_from_the_dead(drained, holding(&[A4, A6]));
        let unplanned = moved_away_from_the_dead(None, holding(&[A4, A6]));
        assert_eq!(told.summary, "www.example.com failed over from a to b");
        assert_eq!((told.severity, told.summary), (unplanned.severity, unplanned.summary));
        assert!(told.severity > Severity::Warning);
    }

    #[test]
    fn a_person_who_was_half_right_is_no_host_that_the_record_came_from() {
        let mut by_hand = holding(&[B4]);
        by_hand.sets.values_mut().for_each(|set| set.ttl = Ttl(7200));
        let told = moved_away_from_the_dead(None, by_hand);
        assert_eq!(told.summary, "www.example.com failed over to b");
        assert_eq!(told.target, Some("a".into()), "which is what it served when it died");
    }
}
