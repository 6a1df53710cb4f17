//! What the decision makes of an operator's word: putting it into force, ending it, and saying what follows.

use std::iter::once;

use providers::DomainName;
use serde::{Deserialize, Serialize};

use super::overrides::length;
use super::record::Phase;
use super::select::failback_due_at;
use super::steps::Steps;
use super::{
    Decision, Effect, Event, EventKind, Hold, Moment, Now, Order, Override, OverrideFault, OverrideKey,
    Overrides, Selection, TargetId, Verdict, What, human, say,
};

/// What follows for one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consequence {
    /// The record.
    pub record: DomainName,
    /// Does it move?
    pub moves: bool,
    /// The same in words: `www.example.com moves to montreal`.
    pub text: String,
}

/// So many records are named in an event.
const NAMED: usize = 3;

impl Decision {
    /// May this override be put into force?
    ///
    /// # Errors
    /// [`OverrideFault`], when its target or its record is not configured, and when there are too many.
    pub fn may_set(&self, order: &Override) -> Result<(), OverrideFault> {
        order.what.check(&self.policy)?;
        self.overrides.has_room(&order.key())
    }

    /// The override that would be ended.
    ///
    /// # Errors
    /// [`OverrideFault::NotInForce`], which says what is in force.
    pub fn may_clear(&self, now: Moment, key: &OverrideKey) -> Result<&Override, OverrideFault> {
        self.overrides.may_clear(now, key)
    }

    pub(super) fn on_override(&mut self, now: &Now, order: Order, out: &mut Vec<Effect>) {
        let key = match order {
            Order::Set(order) => {
                if self.may_set(&order).is_err() {
                    return;
                }
                let key = order.key();
                self.overrides.set(order.clone());
                out.push(Effect::KeepOverride(order.clone()));
                let mut event = tell_set(now, &order);
                event.next = Some(self.consequences_in_words(now, &key));
                out.push(Effect::Say(Box::new(event), None));
                key
            }
            Order::Clear { key, by } => {
                let Some(order) = self.overrides.clear(&key) else { return };
                out.push(Effect::DropOverride(key.clone()));
                let mut event =
                    tell_ended(now, EventKind::OverrideCleared, &order, &format!("was ended by {by}"));
                event.next = Some(self.consequences_in_words(now, &key));
                out.push(Effect::Say(Box::new(event), None));
                key
            }
        };
        for name in self.touched_by(&key) {
            self.evaluate(now, &name, out);
        }
    }

    /// Ends the overrides that are over, and looks at their records again.
    pub(super) fn expire_overrides(&mut self, now: &Now, out: &mut Vec<Effect>) {
        for order in self.overrides.expire(now.moment) {
            let key = order.key();
            out.push(Effect::DropOverride(key.clone()));
            let late = now.moment.since(order.until);
            let ago = if late.as_secs() > 0 { format!(" {} ago", human(late)) } else { String::new() };
            let mut event = tell_ended(now, EventKind::OverrideExpired, &order, &format!("has expired{ago}"));
            event.next = Some(self.consequences_in_words(now, &key));
            out.push(Effect::Say(Box::new(event), None));
            for name in self.touched_by(&key) {
                self.evaluate(now, &name, out);
            }
        }
    }

    /// Ends the overrides of what is no longer configured.
    pub(super) fn drop_lost_overrides(&mut self, now: &Now, out: &mut Vec<Effect>) {
        let lost = |order: &&Override| order.what.check(&self.policy).is_err();
        let lost: Vec<OverrideKey> =
            self.overrides.iter(now.moment).filter(lost).map(Override::key).collect();
        for key in lost {
            let Some(order) = self.overrides.clear(&key) else { continue };
            out.push(Effect::DropOverride(key));
            let why = "was dropped: its subject is no longer configured";
            out.push(Effect::Say(Box::new(tell_ended(now, EventKind::OverrideCleared, &order, why)), None));
        }
    }

    /// The records that an override is about.
    fn touched_by(&self, key: &OverrideKey) -> Vec<DomainName> {
        match key {
            OverrideKey::Drain(target) => self.records_of(target).to_vec(),
            OverrideKey::Pin(name) | OverrideKey::Pause(Some(name)) => {
                self.records.keys().filter(|known| *known == name).cloned().collect()
            }
            OverrideKey::Pause(None) => self.records.keys().cloned().collect(),
        }
    }

    /// What follows from an override that was just put into force or ended, by what is known now; guards can still
    /// withhold a change.
    pub fn consequences(&self, now: &Now, key: &OverrideKey) -> Vec<Consequence> {
        self.touched_by(key).into_iter().map(|name| self.consequence(now, name)).collect()
    }

    fn consequence(&self, now: &Now, name: DomainName) -> Consequence {
        let state = &self.records[&name];
        let serves = names(&state.current);
        let (moves, text) = match self.selection(now.moment, &name) {
            _ if matches!(state.phase, Phase::Writing(_) | Phase::Confirming { .. }) => {
                (false, format!("a change of {name} is being written, and is finished first"))
            }
            Selection::Serve(wish) if wish.targets != state.current => {
                let wait = self.held_down_until(now, &name).map(|until| human(until.since(now.moment)));
                let wait = wait.map_or_else(String::new, |wait| format!(" in {wait}, when hold_down ends"));
                (true, format!("{name} moves to {}{wait}", names(&wish.targets)))
            }
            Selection::Serve(_) => {
                let due = failback_due_at(&self.view(now.moment), self.record(&name), &state.current);
                let due = due.map(|due| human(due.since(now.moment)));
                let due =
                    due.map_or_else(String::new, |due| format!("; failback to the better target in {due}"));
                (false, format!("{name} stays at {serves}{due}"))
            }
            Selection::Hold(hold) => (false, format!("{name} stays at {serves}: {}", hold.text())),
        };
        Consequence { record: name, moves, text }
    }

    fn consequences_in_words(&self, now: &Now, key: &OverrideKey) -> String {
        let all = self.consequences(now, key);
        if all.is_empty() {
            return "no record is concerned".into();
        }
        // Those that move come first: they are what somebody wants to know.
        let (moving, staying): (Vec<&Consequence>, Vec<&Consequence>) = all.iter().partition(|one| one.moves);
        let mut words: Vec<String> =
            moving.iter().chain(&staying).take(NAMED).map(|one| one.text.clone()).collect();
        if all.len() > NAMED {
            words.push(format!("{} more records, of which {} move", all.len() - NAMED, {
                moving.len().saturating_sub(NAMED)
            }));
        }
        words.join("; ")
    }

    /// The orders that have a part in where a record is.
    pub(super) fn orders_of(&self, now: &Now, name: &DomainName) -> impl Iterator<Item = &Override> {
        let record = self.record(name);
        self.overrides.iter(now.moment).filter(move |order| match &order.what {
            What::Drain { target } => record.tier_of(target).is_some(),
            What::Pin { record, .. } => record == name,
            What::Pause { record } => record.as_ref().is_none_or(|record| record == name),
        })
    }

    /// Did a person order that these targets should not serve this record?
    pub(super) fn is_ordered_away(&self, now: Moment, name: &DomainName, targets: &[TargetId]) -> bool {
        let pinned = self.overrides.pin(now, name).is_some_and(|(pinned, _)| targets != [pinned.clone()]);
        pinned || targets.iter().any(|target| self.overrides.drain(now, target).is_some())
    }

    /// Is a record all down that is held by an order? That is told all the same.
    pub(super) fn is_all_down_under_orders(&self, name: &DomainName, hold: &Hold) -> bool {
        let ordered = matches!(hold, Hold::Paused { .. } | Hold::Pinned { .. });
        let unread = self.records.get(name).is_none_or(|state| state.snapshot.is_none());
        ordered
            && !unread
            && self.sight.blind_since().is_none()
            && self.record(name).targets().all(|target| self.verdict(target) == Verdict::Down)
    }

    /// What keeps a record where it is although another of its targets may come back.
    pub(super) fn say_what_holds(&self, name: &DomainName, event: &mut Event) {
        if let Some(hold @ (Hold::Paused { .. } | Hold::Pinned { .. })) = &self.records[name].hold {
            event.next = Some(format!("the record does not move: {}", hold.text()));
        }
    }

    /// What a target's new verdict leads to, for people.
    pub(super) fn next_for(&self, now: &Now, target: &TargetId, verdict: Verdict) -> Option<String> {
        let (mut words, mut usual) = (Vec::new(), Vec::new());
        let settings = |name: &DomainName| self.record(name);
        let records = self.records_of(target);
        for name in records.iter() {
            let current = self.records.get(name).map_or(&[][..], |state| &state.current);
            let concerned = match verdict {
                Verdict::Down => current.contains(target),
                Verdict::Up => {
                    say::next_for_records(target, verdict, once((name, current)), settings).is_some()
                }
                Verdict::Unknown => false,
            };
            let order = if concerned { self.in_the_way(now, name, target) } else { None };
            match order {
                Some(order) => words.push(format!(
                    "{name} does not follow, {}: {}; to end that: {}",
                    order.what,
                    order.reason,
                    order.key().remedy()
                )),
                None => usual.push((name, current)),
            }
        }
        if words.is_empty() || !usual.is_empty() {
            words.extend(say::next_for_records(target, verdict, usual.into_iter(), settings));
        }
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// The order that keeps a record where it is although this target's verdict has changed.
    fn in_the_way(&self, now: &Now, name: &DomainName, target: &TargetId) -> Option<&Override> {
        if self.overrides.is_empty() {
            return None;
        }
        let fixed = self.overrides.pause(now.moment, name);
        let fixed = fixed.or_else(|| self.overrides.pin(now.moment, name).map(|(_, order)| order));
        fixed.or_else(|| self.overrides.drain(now.moment, target)).or_else(|| {
            match self.selection(now.moment, name) {
                Selection::Hold(Hold::Drained { target }) => self.overrides.drain(now.moment, &target),
                _ => None,
            }
        })
    }

    /// Is this target up, and not drained?
    pub(super) fn is_eligible(&self, now: &Now, target: &TargetId) -> bool {
        self.verdict(target) == Verdict::Up && self.overrides.drain(now.moment, target).is_none()
    }

    pub(super) fn of_the_overrides(&self, steps: &mut Steps<'_>, name: &DomainName) {
        for order in self.orders_of(steps.now, name) {
            steps.at(order.until, |left| {
                format!("{} ends in {left}, or with: {}", order.what, order.key().remedy())
            });
        }
    }
}

impl Overrides {
    /// The override that would be ended.
    ///
    /// # Errors
    /// [`OverrideFault::NotInForce`], which says what is in force.
    pub fn may_clear(&self, now: Moment, key: &OverrideKey) -> Result<&Override, OverrideFault> {
        if let Some(order) = self.get(now, key) {
            return Ok(order);
        }
        let what = match key {
            OverrideKey::Drain(target) => format!("{target} is not drained"),
            OverrideKey::Pin(record) => format!("{record} is not pinned"),
            OverrideKey::Pause(Some(record)) => format!("{record} is not paused by itself"),
            OverrideKey::Pause(None) => "there is no pause of everything".to_owned(),
        };
        let like = |other: &&Override| std::mem::discriminant(&other.key()) == std::mem::discriminant(key);
        let others: Vec<String> =
            self.iter(now).filter(like).take(NAMED).map(|other| other.key().remedy()).collect();
        let hint =
            if others.is_empty() { String::new() } else { format!("; there is: {}", others.join(", ")) };
        Err(OverrideFault::NotInForce { what: what + &hint })
    }
}

/// What is told of an override that is in force from now on.
pub fn tell_set(now: &Now, order: &Override) -> Event {
    let what = match &order.what {
        What::Drain { target } => format!("{} drained {target}", order.by),
        What::Pin { record, target } => format!("{} pinned {record} to {target}", order.by),
        What::Pause { record: Some(record) } => format!("{} paused {record}", order.by),
        What::Pause { record: None } => format!("{} paused everything", order.by),
    };
    let summary = format!("{what} for {}: {}", length(order, now), order.reason);
    let mut event = about(now, EventKind::OverrideSet, order, summary);
    event.remedy = Some(format!("to end it sooner: {}", order.key().remedy()));
    event
}

/// What is told of one that is over.
pub fn tell_ended(now: &Now, kind: EventKind, order: &Override, how: &str) -> Event {
    let Override { what, by, reason, .. } = order;
    let summary = format!("{what}, ordered by {by} until {}, {how}", order.end(now));
    let mut event = about(now, kind, order, summary);
    event.reason = Some(reason.clone());
    event
}

fn about(now: &Now, kind: EventKind, order: &Override, summary: String) -> Event {
    let mut event = Event::new(kind, now.wall, summary);
    event.reason = Some(order.reason.clone());
    event.since = Some(now.wall_of(order.set));
    match &order.what {
        What::Drain { target } => event.target = Some(target.clone()),
        What::Pin { record, target } => {
            (event.record, event.target) = (Some(record.clone()), Some(target.clone()));
        }
        What::Pause { record } => event.record.clone_from(record),
    }
    event
}

fn names(targets: &[TargetId]) -> String {
    if targets.is_empty() {
        return "what it holds".into();
    }
    targets.iter().map(TargetId::as_str).collect::<Vec<_>>().join(" + ")
}

#[cfg(test)]
mod tests;
