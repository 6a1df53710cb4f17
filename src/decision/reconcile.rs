//! What follows a reading: from the picture to the change that is due, if any. `writing.rs` has what follows a write.

use std::sync::Arc;
use std::time::Duration;

use providers::{DomainName, Fault, Snapshot};

use super::coordinate::held_since;
use super::engine::values_of;
use super::record::{Phase, RETRY_MAX, RecordState};
use super::review::selection_of;
use super::{
    Bench, Decision, Effect, Guard, Judgement, Motive, Now, RecordPolicy, Refusal, Selection, Verdict, Wish,
    Work, foreign_values, judge, owner_of, say, say_change,
};

/// A write may always wait so long to be sent: for the disk alone it may be 3 s.
const SEND_AT_LEAST: Duration = Duration::from_secs(5);
/// A write that waited longer is decided anew, however long its verdicts would be believed.
const SEND_AT_MOST: Duration = Duration::from_secs(10);

impl Decision {
    pub(super) fn on_read(
        &mut self,
        now: &Now,
        name: &DomainName,
        result: Result<Snapshot, Fault>,
        out: &mut Vec<Effect>,
    ) {
        if std::mem::take(&mut self.state(name).reread) {
            out.push(Effect::Read(name.clone()));
            return;
        }
        let phase = std::mem::take(&mut self.state(name).phase);
        match result {
            Err(fault) => {
                let provider = self.record(name).provider.clone();
                self.provider_fault(now, &provider, &fault, out);
                self.step_aside(name);
                let state = self.state(name);
                state.back_off(now.moment, fault);
                // A write that waits for its proof goes on waiting: only a reading can tell.
                if let Phase::Confirming { .. } = phase {
                    state.phase = phase;
                }
            }
            Ok(snapshot) => {
                if !self.troubles.is_empty() {
                    let provider = self.record(name).provider.clone();
                    self.provider_works(now, &provider, out);
                }
                let state = self.state(name);
                state.calm();
                if state.snapshot.as_ref().is_some_and(|before| before.sets != snapshot.sets) {
                    state.shown_since = Some(now.moment);
                }
                let before = state.shows(snapshot);
                let mut doubted = state.doubt.is_some();
                if let Phase::Confirming { work, word, tries } = phase {
                    if self.proves(now, name, work, word, tries, out) {
                        return;
                    }
                    doubted = true;
                }
                if doubted {
                    self.resolve_doubt(now, name, out);
                }
                let by_peer = self.follow_marker(now, name, before.as_ref(), out);
                self.compare_with_expected(now, name, by_peer, out);
                self.act(now, name, out);
            }
        }
    }

    /// Was the record changed by somebody else since we last knew what it should hold?
    fn compare_with_expected(&mut self, now: &Now, name: &DomainName, by_peer: bool, out: &mut Vec<Effect>) {
        let state = self.records.get_mut(name).expect("the caller has found the record");
        let snapshot = state.snapshot.as_ref().expect("set by the reading that led here");
        if state.settled.as_ref() == Some(&snapshot.sets) {
            state.said.remove("drift");
            return;
        }
        let (snapshot, expected) = (snapshot.clone(), state.settled.clone());
        let (record, policy) = (self.record(name).clone(), &self.policy);
        let found = say::side(policy, &record, &snapshot);
        let strangers = foreign_values(&record, &snapshot, &|place| owner_of(policy, &record, place));
        let ours = strangers.is_empty() && !snapshot.is_missing();
        let Some(expected) = expected else {
            if ours {
                let state = self.state(name);
                state.settled = Some(snapshot.sets);
                if !found.targets.is_empty() {
                    state.current = found.targets;
                }
            }
            return;
        };
        // An old picture is no drift, and what stands beside a marker that cannot be followed may be a peer's.
        if self.marker_trouble(name).is_some() {
            return;
        }
        if by_peer && ours && !found.targets.is_empty() {
            let state = self.state(name);
            state.failback_asked &= found.targets.iter().all(|target| record.tier_of(target) != Some(0));
            state.current = found.targets;
            state.settled = Some(snapshot.sets);
            state.said.remove("drift");
            return;
        }
        let tier = |targets: &[super::TargetId]| targets.iter().filter_map(|t| record.tier_of(t)).min();
        let better = tier(&found.targets)
            .is_some_and(|new| tier(&self.records[name].current).is_none_or(|old| new < old));
        // An order of a person's is more than an edit by hand.
        let better = better && !self.is_ordered_away(now.moment, name, &found.targets);
        let all_up = found.targets.iter().all(|target| self.verdict(target) == Verdict::Up);
        let wanted = match self.selection(now.moment, name) {
            Selection::Serve(wish) => self.holds(name, &self.stored_form(&record, &wish)),
            Selection::Hold(_) => false,
        };
        let accepted = ours && (wanted || (better && all_up));
        let next = if wanted {
            "it is what the agent wants as well: the record stays there"
        } else if accepted {
            "it is a better target that works: the record stays there"
        } else if self.overrides.pause(now.moment, name).is_some() {
            "it stays so while the record is paused"
        } else if ours {
            "the agent puts it right, though not within hold_down of its own last change"
        } else {
            "it is left alone until a person decides"
        };
        if self.state(name).says_anew("drift", &values_of(&snapshot.sets)) {
            let mut event = say::drift(now, &self.policy, &record, &snapshot, &expected, next);
            event.incident = self.incident_of(name);
            out.push(Effect::Say(Box::new(event), None));
            out.push(Effect::KeepRecord(name.clone()));
        }
        if accepted {
            let state = self.state(name);
            state.current = found.targets;
            state.settled = Some(snapshot.sets);
            out.push(Effect::KeepRecord(name.clone()));
        }
    }

    /// With a picture just read: writes, refuses, holds, or is content.
    fn act(&mut self, now: &Now, name: &DomainName, out: &mut Vec<Effect>) {
        if self.records.get(name).is_some_and(|state| state.pending.is_some() && state.retry_at.is_none()) {
            self.looks_anew(now, name);
        }
        // All that is to be known first, by one search each: a dead site has ten thousand records.
        let (record, state) = (self.record(name), &self.records[name]);
        if state.retry_at.is_some() {
            return;
        }
        let wish = match selection_of(self.view(now.moment), record, state) {
            Selection::Hold(hold) => return self.enter_hold(now, name, hold, out),
            Selection::Serve(wish) => wish,
        };
        let after = self.stored_form(record, &wish);
        let snapshot = state.snapshot.as_ref().expect("set by the reading that led here");
        let (as_asked, in_sync) = (snapshot.holds(&after), state.holds(&after));
        let judgement = if in_sync {
            Judgement::InSync
        } else {
            // Another write of ours may still arrive: it counts for everything but a further attempt of the same.
            let doubted =
                state.doubt.as_ref().filter(|doubt| doubt.swap.after != after).map(|doubt| doubt.decided);
            let bench = Bench {
                now: now.moment,
                policy: &self.policy,
                record,
                targets: &self.targets,
                sight: &self.sight,
                last_change: held_since(record, state).max(doubted),
                penalty: state.penalty,
                turn: self.turn(now.moment, record, state),
                atomic_name: self.faces.get(&record.provider).is_some_and(|face| face.atomic_name),
            };
            let judgement = judge(&bench, &wish, snapshot, after);
            self.under_marker(now, record, &wish.targets, judgement)
        };
        let (judgement, work) = match judgement {
            Judgement::Write(swap) => (None, Some(Box::new(self.work(now, record, state, &wish, swap)))),
            other => (Some(other), None),
        };
        let hold_down = record.hold_down;
        let state = self.state(name);
        // It can store what it is asked for.
        if as_asked && state.own_ttl.take().is_some() {
            out.push(Effect::KeepRecord(name.clone()));
        }
        state.hold = None;
        state.wish = Some(wish.clone());
        if wish.motive == Motive::AllDown {
            self.tell_of_all_down(now, name, out);
        } else {
            state.said.remove("all_down");
        }
        match judgement {
            Some(Judgement::Refused { refusal, .. }) => self.refuse(now, name, &wish, refusal, out),
            Some(_) => {
                let state = self.state(name);
                state.conflicts = 0;
                state.write_faults = 0;
                // What may still arrive counts for as long as it would if it had.
                if state.doubt.as_ref().is_some_and(|doubt| now.moment >= doubt.decided + hold_down) {
                    self.drop_doubt(name, out);
                }
                self.enter_sync(name, out);
            }
            None => {}
        }
        if let Some(work) = work {
            self.write(now, name, work, out);
        }
    }

    /// In a dry run: what would be written is found out anew.
    fn looks_anew(&mut self, now: &Now, name: &DomainName) {
        if let Selection::Serve(_) = self.selection(now.moment, name) {
            self.state(name).pending = None;
            self.gives_turn_back(name);
        }
    }

    fn write(&mut self, now: &Now, name: &DomainName, mut work: Box<Work>, out: &mut Vec<Effect>) {
        self.takes_turn(now.moment, name);
        let dry = self.options.dry;
        let state = self.state(name);
        state.refusal = None;
        state.refused = None;
        match &state.doubt {
            Some(doubt) if doubt.swap.after == work.swap.after => state.shares_id(&mut work, out),
            _ => state.drop_doubt(out),
        }
        let work = Arc::<Work>::from(work);
        if dry {
            state.pending = Some(work);
            return;
        }
        state.written = None;
        state.phase = Phase::Writing(Arc::clone(&work));
        let started = say_change::started(&work.completed, work.motive, now);
        out.push(Effect::Say(Box::new(started), Some(format!("{}-started", work.id))));
        out.push(Effect::Write(work));
    }

    /// What the words of a change from this picture to this wish are made of.
    fn telling<'a>(
        &'a self,
        now: &'a Now,
        (record, state): (&'a RecordPolicy, &'a RecordState),
        wish: &'a Wish,
        snapshot: &'a Snapshot,
    ) -> say_change::Telling<'a> {
        let incident = match wish.motive {
            Motive::Failover | Motive::AllDown => {
                state.current.iter().find_map(|t| self.incidents.get(t).cloned())
            }
            Motive::Failback | Motive::Stay => None,
        };
        say_change::Telling {
            now,
            policy: &self.policy,
            record,
            targets: &self.targets,
            sight: &self.sight,
            snapshot,
            published: &state.published,
            current: &state.current,
            wish,
            failback_asked: state.failback_asked,
            overrides: &self.overrides,
            incident: incident.or_else(|| self.incident_by(record, state)),
        }
    }

    fn work(
        &self,
        now: &Now,
        record: &RecordPolicy,
        state: &RecordState,
        wish: &Wish,
        swap: providers::Swap,
    ) -> Work {
        let mut completed = self.telling(now, (record, state), wish, &swap.before).completed();
        let by = say_change::effective_by(now.moment, swap.before.longest_ttl());
        completed.effective_by = by.map(|m| now.wall_of(m));
        // Dashes for dots: a webhook's id is signed with dots as separators.
        let id = format!("chg-{}-{}", record.name.as_str().replace('.', "-"), now.wall.as_microsecond());
        let (decided, send_by) = (now.moment, now.moment + self.send_within(&wish.targets));
        Work { id, swap, targets: wish.targets.clone(), motive: wish.motive, decided, send_by, completed }
    }

    /// So long a write may wait to be sent: no longer than the verdicts of what it publishes would be believed without
    /// another probe.
    fn send_within(&self, targets: &[super::TargetId]) -> Duration {
        let checks =
            targets.iter().filter_map(|t| self.policy.targets.get(t)).flat_map(|t| t.checks.values());
        let believed = checks.map(super::CheckPolicy::stale_after).min();
        believed.map_or(SEND_AT_MOST, |believed| believed.clamp(SEND_AT_LEAST, SEND_AT_MOST))
    }

    pub(super) fn refuse(
        &mut self,
        now: &Now,
        name: &DomainName,
        wish: &Wish,
        refusal: Refusal,
        out: &mut Vec<Effect>,
    ) {
        let (record, state) = (self.record(name), &self.records[name]);
        let snapshot = state.snapshot.as_ref().expect("set by the reading that led here");
        let before = say::side_at(&self.policy, record, &state.published);
        // Without the ages in its text, so that one refusal is told once.
        let words = format!("{} {} {before}", refusal.guard.as_str(), say::side_of_wish(wish));
        let mut event = say::withheld(now, record, &refusal, before, wish);
        let telling = self.telling(now, (record, state), wish, snapshot);
        event.incident.clone_from(&telling.incident);
        if refusal.guard != Guard::Foreign {
            (event.reason, event.since) = telling.why();
        }
        let guard = refusal.guard;
        if guard == Guard::Velocity {
            self.joins_queue(now.moment, name);
        } else {
            self.leave_queue(name);
        }
        let state = self.state(name);
        state.retry_at = Some(refusal.until.unwrap_or(now.moment + RETRY_MAX).min(now.moment + RETRY_MAX));
        state.refused = Some(wish.clone());
        state.refusal = Some(refusal);
        let anew = match guard {
            // One message for all that wait at the provider: see `tell_of_queues`.
            Guard::Velocity => false,
            // What is wished for may come and go; that the record is left alone is one incident.
            Guard::Flapping => state.says_anew("flapping", "suppressed"),
            _ => state.says_anew("withheld", &words),
        };
        if anew {
            out.push(Effect::Say(Box::new(event), None));
            out.push(Effect::KeepRecord(name.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
    use super::super::{Input, Options, ProviderFace, Saved};
    use super::*;

    fn now(second: i64) -> Now {
        let start = jiff::Timestamp::UNIX_EPOCH;
        Now { moment: at(second), wall: start + Duration::from_secs(second.unsigned_abs()) }
    }

    /// A dead primary, a stand-by that works, and the reading before the change under way.
    fn about_to_change() -> Decision {
        let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
        let faces = BTreeMap::from([("zone".into(), face)]);
        let mut decision = Decision::new(policy(), faces, Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        let mut out = decision.handle(&now(0), read());
        for (second, address, passed) in
            [(1, A4, true), (1, A6, true), (1, B4, true), (2, A4, false), (2, A6, false), (3, B4, true)]
        {
            let seen = observation("web", address, (second, second), Some(passed));
            out = decision.handle(&now(second), Input::Observed(seen));
        }
        assert!(out.iter().any(|effect| matches!(effect, Effect::Read(_))), "{out:?}");
        decision
    }

    fn read() -> Input {
        Input::Read { record: record().name, result: Ok(holding(&[A4, A6])) }
    }

    fn writes(effects: &[Effect]) -> bool {
        effects.iter().any(|effect| matches!(effect, Effect::Write(_)))
    }

    #[test]
    fn a_reading_that_comes_in_time_leads_to_the_change() {
        assert!(writes(&about_to_change().handle(&now(4), read())));
    }

    #[test]
    fn a_write_that_was_not_sent_is_decided_anew_and_nobody_is_to_blame() {
        let mut decision = about_to_change();
        let out = decision.handle(&now(4), read());
        let id = out.iter().find_map(|effect| match effect {
            Effect::Write(work) => Some((work.id.clone(), work.send_by)),
            _ => None,
        });
        let (id, send_by) = id.expect("a write");
        assert_eq!(send_by, at(4) + SEND_AT_MOST, "b is believed for 33 s");
        let out = decision.handle(&now(15), Input::Unsent { record: record().name });
        let closed = Effect::Close { change: id, happened: false };
        assert_eq!(out, [closed, Effect::Read(record().name)]);
        assert!(writes(&decision.handle(&now(15), read())), "what is right by then");
    }

    #[test]
    fn one_that_comes_after_the_process_was_frozen_does_not_though_nothing_else_woke_us_before() {
        let mut decision = about_to_change();
        assert!(!writes(&decision.handle(&now(600), read())), "on verdicts of ten minutes ago");
        let late = observation("web", B4, (5, 6), Some(true));
        assert!(!writes(&decision.handle(&now(600), Input::Observed(late))), "an old pass from a queue");
    }

    fn work(effects: &[Effect]) -> &Work {
        let work = effects.iter().find_map(|effect| match effect {
            Effect::Write(work) => Some(&**work),
            _ => None,
        });
        work.unwrap_or_else(|| panic!("{effects:?}"))
    }

    /// Whichever attempt arrives, it is told once; and another change is another one.
    #[test]
    fn attempts_of_one_change_have_one_id_and_the_next_change_its_own() {
        let mut decision = about_to_change();
        let first = work(&decision.handle(&now(4), read())).id.clone();
        let lost = Input::Written { record: record().name, result: Err(Fault::Unknown("no reply".into())) };
        let _ = decision.handle(&now(5), lost);
        let out = decision.handle(&now(6), read());
        assert_eq!(work(&out).id, first, "the old picture: it is tried again");
        let again = Input::Written { record: record().name, result: Err(Fault::Unknown("no reply".into())) };
        let _ = decision.handle(&now(7), again);
        let _ = decision.handle(&now(8), read());
        // Before either of them is seen, the stand-by dies and the primary is back, with one family first.
        for (second, address, passed) in [(70, B4, false), (71, A6, false), (72, A4, true)] {
            let _ = decision.handle(
                &now(second),
                Input::Observed(observation("web", address, (second, second), Some(passed))),
            );
        }
        let out = decision.handle(&now(73), read());
        assert_ne!(work(&out).id, first);
        assert!(out.contains(&Effect::Close { change: first, happened: false }), "{out:?}");
    }

    /// A better target beside somebody else's value is no edit to be taken over.
    #[test]
    fn an_edit_with_a_stranger_in_it_is_left_to_a_person() {
        let moved = |held: &[&str]| {
            let mut decision = about_to_change();
            let _ = decision.handle(&now(4), read());
            let _ = decision.handle(&now(5), Input::Written { record: record().name, result: Ok(()) });
            let result = Ok(holding(&[B4]));
            let _ = decision.handle(&now(6), Input::Read { record: record().name, result });
            for address in [A4, A6] {
                let seen = observation("web", address, (7, 7), Some(true));
                let _ = decision.handle(&now(7), Input::Observed(seen));
            }
            let _ = decision.handle(&now(8), Input::LookDue { record: record().name });
            let _ =
                decision.handle(&now(8), Input::Read { record: record().name, result: Ok(holding(held)) });
            decision.records[&record().name].current == ["a".into()]
        };
        assert!(moved(&[A4, A6]), "a better target that works");
        assert!(!moved(&[A4, A6, "192.0.2.99"]));
    }
}
