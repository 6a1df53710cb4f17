//! What follows a write: its proof by reading, its completion, or its failure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use providers::{AnswerSets, DomainName, Fault, RecordSet, RecordType, Values};

use super::engine::values_of;
use super::record::{Arrival, CONFIRM_TRIES, CONFLICTS_AT_ONCE, Phase, RETRY_MAX, Word};
use super::{Decision, Effect, Fate, Moment, Motive, Now, OwnTtl, Phases, Watch, Work, say_change};

/// Pause before a write is read back again, doubled each time: 50 ms … 1.6 s.
const CONFIRM_PAUSE: Duration = Duration::from_millis(50);
/// Writes in a row that fail for reasons that time may mend before a person is told.
const FAULTS_UNTIL_TOLD: u32 = 3;

/// What became of a write of which nothing is left.
struct Gone {
    text: String,
    /// What others did to one change is news of the next; a provider that makes something else of each is told once.
    once_a_change: bool,
}

impl Decision {
    pub(super) fn on_written(
        &mut self,
        now: &Now,
        name: &DomainName,
        result: Result<(), Fault>,
        out: &mut Vec<Effect>,
    ) {
        let state = self.state(name);
        let Some(work) = state.take_writing() else { return };
        let fault = match result {
            Ok(()) => {
                state.written = Some(now.moment);
                state.phase = Phase::Confirming { work, word: Word::Acknowledged, tries: 0 };
                out.push(Effect::Read(name.clone()));
                return;
            }
            Err(Fault::Unknown(_)) => {
                // Sent, outcome unknown: read before anything else.
                state.phase = Phase::Confirming { work, word: Word::Unknown, tries: 0 };
                out.push(Effect::Read(name.clone()));
                return;
            }
            Err(fault) => fault,
        };
        if !matches!(fault, Fault::Partial { .. }) {
            self.gives_turn_back(name);
        }
        let state = self.state(name);
        let doubtful = state.may_still_hear_of(&work);
        if !doubtful {
            out.push(Effect::Close { change: work.id.clone(), happened: false });
        }
        if matches!(fault, Fault::Conflict(_)) && state.conflicts < CONFLICTS_AT_ONCE {
            state.conflicts += 1;
            self.begin_read(name, out);
            return;
        }
        if let Fault::Partial { now: held } = &fault {
            // The half that was written is ours, and no drift.
            state.settled = Some(held.sets.clone());
            state.shows((**held).clone());
        }
        state.back_off_writing(now.moment, fault.clone());
        if !fault.is_transient() {
            state.retry_at = Some(now.moment + RETRY_MAX);
        }
        // The provider itself is judged by readings, which come before every write. A conflict may be with ourselves.
        if !(doubtful && matches!(fault, Fault::Conflict(_))) {
            self.tell_of_failure(now, name, &work, &fault, out);
        }
    }

    /// A write that was not sent has not happened; what is right by now takes a look.
    pub(super) fn on_unsent(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        let state = self.state(name);
        let Some(work) = state.take_writing() else { return };
        if !state.may_still_hear_of(&work) {
            out.push(Effect::Close { change: work.id.clone(), happened: false });
        }
        self.gives_turn_back(name);
        self.begin_read(name, out);
    }

    fn tell_of_failure(
        &mut self,
        now: &Now,
        name: &DomainName,
        work: &Work,
        fault: &Fault,
        out: &mut Vec<Effect>,
    ) {
        let state = self.state(name);
        let tell = !fault.is_transient() || state.write_faults >= FAULTS_UNTIL_TOLD;
        if tell && state.says_anew("failed", fault.kind()) {
            let next = if fault.is_transient() {
                "the agent goes on trying, at least every 30 s"
            } else {
                "a person must put it right; the agent tries again every 30 s"
            };
            let event = say_change::failed(&work.completed, work.motive, now, &fault.to_string(), next);
            out.push(Effect::Say(Box::new(event), None));
            out.push(Effect::KeepRecord(name.clone()));
        }
    }

    /// Did the write happen? Returns whether the question is still open.
    pub(super) fn proves(
        &mut self,
        now: &Now,
        name: &DomainName,
        work: Arc<Work>,
        word: Word,
        tries: u32,
        out: &mut Vec<Effect>,
    ) -> bool {
        let same_values = self.has_values_of(name, &work);
        let fate = self.fate_of(name, &work, word, same_values);
        if word == Word::Acknowledged && same_values && (fate != Fate::NotYet || tries >= CONFIRM_TRIES) {
            let state = self.state(name);
            let held = state.snapshot.as_ref().map(|snapshot| &snapshot.sets);
            state.own_ttl = held.and_then(|held| OwnTtl::after_write(state.own_ttl, &work.swap.after, held));
        }
        if fate == Fate::Made {
            self.remember_own_marker(now, name, &work);
            self.complete(now, name, Arc::unwrap_or_clone(work), out);
            return false;
        }
        let state = self.state(name);
        let untouched = fate == Fate::NotYet;
        if word == Word::Acknowledged && untouched && tries < CONFIRM_TRIES {
            // The provider said yes and shows the old values: its readers are late.
            state.retry_at = Some(now.moment + CONFIRM_PAUSE * 2u32.saturating_pow(tries));
            state.phase = Phase::Confirming { work, word, tries: tries + 1 };
            return true;
        }
        match word {
            Word::EarlierRun if untouched => {
                state.doubt = Some(work);
                state.doubt_has_old_id = true;
            }
            Word::Unknown if untouched => {
                // Not there, as far as can be seen. Once that is no reason to wait; a second time it is.
                let fault = Fault::Unknown("reading shows that it did not happen".into());
                let again = state.write_faults > 0;
                state.back_off_writing(now.moment, fault.clone());
                if !again {
                    state.retry_at = None;
                    state.fault = None;
                }
                state.doubt = Some(work.clone());
                state.doubt_has_old_id = false;
                self.tell_of_failure(now, name, &work, &fault, out);
            }
            // Another change has its generation: it cannot have been made.
            Word::Unknown | Word::EarlierRun if fate == Fate::Never => {
                out.push(Effect::Close { change: work.id.clone(), happened: false });
            }
            Word::Acknowledged | Word::Unknown | Word::EarlierRun => {
                self.undone(now, name, &work, word, same_values, out);
            }
        }
        false
    }

    /// What became of a write: by its marker, which only this write can have put there, else by the values.
    fn fate_of(&self, name: &DomainName, work: &Work, word: Word, same_values: bool) -> Fate {
        match self.fate_by_marker(name, work, same_values) {
            Fate::Unsaid => {}
            // The server said so; that peers have changed it since takes nothing from it.
            Fate::Hidden if word == Word::Acknowledged => return Fate::Made,
            said => return said,
        }
        let snapshot = self.records.get(name).and_then(|state| state.snapshot.as_ref());
        let untouched = snapshot.is_some_and(|snapshot| snapshot.sets == work.swap.before.sets);
        let holds = snapshot.is_some_and(|snapshot| snapshot.holds(&work.swap.after));
        // Of a change of the TTL alone the values are there from the beginning.
        let ours = same_values && !untouched && (word == Word::Acknowledged || !is_of_ttl(work));
        match (holds || ours, untouched) {
            (true, _) => Fate::Made,
            (false, true) => Fate::NotYet,
            (false, false) => Fate::Hidden,
        }
    }

    /// Does the name hold what this change writes, TTLs aside?
    fn has_values_of(&self, name: &DomainName, work: &Work) -> bool {
        let snapshot = self.records.get(name).and_then(|state| state.snapshot.as_ref());
        snapshot.is_some_and(|snapshot| values(snapshot.sets.values()) == values(work.swap.after.iter()))
    }

    /// A write that happened, or may have, and of which nothing is left: somebody was quicker than our reading, or the
    /// provider makes something else of it. It counts as a change, or two writers would fight as fast as they can.
    fn undone(
        &mut self,
        now: &Now,
        name: &DomainName,
        work: &Work,
        word: Word,
        same_values: bool,
        out: &mut Vec<Effect>,
    ) {
        let flapping = self.record(name).flapping;
        let state = self.state(name);
        if !state.may_still_hear_of(work) {
            out.push(Effect::Close { change: work.id.clone(), happened: false });
        }
        state.was_changed(work.decided, &flapping);
        let accepted = self.holds(name, &work.swap.after);
        let why = self.why_gone(name, work, word, same_values);
        let state = self.state(name);
        let next = if accepted {
            "the provider keeps a TTL of its own: it counts as the right one from now on"
        } else {
            state.back_off_writing(now.moment, Fault::Unknown(why.text.clone()));
            "the agent tries again when hold_down is over"
        };
        self.tell_gone(now, name, work, &why, next, out);
    }

    /// Why nothing is left of a write, as far as that is known.
    fn why_gone(&self, name: &DomainName, work: &Work, word: Word, same_values: bool) -> Gone {
        let snapshot = self.records.get(name).and_then(|state| state.snapshot.as_ref());
        let held = snapshot.map(|snapshot| values_of(&snapshot.sets)).unwrap_or_default();
        let (text, once_a_change) = match self.fate_by_marker(name, work, same_values) {
            Fate::Hidden => {
                let text =
                    "the record was changed by others since, and whether ours was made before is not known";
                (text.to_owned(), true)
            }
            _ if word == Word::Acknowledged => {
                (format!("the provider took the change, and now holds {held}"), false)
            }
            _ => (format!("whether the change was made is not known, and the record now holds {held}"), true),
        };
        Gone { text, once_a_change }
    }

    fn tell_gone(
        &mut self,
        now: &Now,
        name: &DomainName,
        work: &Work,
        why: &Gone,
        next: &str,
        out: &mut Vec<Effect>,
    ) {
        let text = &why.text;
        let said = if why.once_a_change { format!("{}: {text}", work.id) } else { text.clone() };
        if self.state(name).says_anew("failed", &said) {
            let event = say_change::failed(&work.completed, work.motive, now, text, next);
            out.push(Effect::Say(Box::new(event), None));
        }
        out.push(Effect::KeepRecord(name.clone()));
    }

    pub(super) fn complete(&mut self, now: &Now, name: &DomainName, work: Work, out: &mut Vec<Effect>) {
        let best = work.targets.iter().filter_map(|t| self.record(name).tier_of(t)).min() == Some(0)
            && work.motive != Motive::AllDown;
        let flapping = self.record(name).flapping;
        let state = self.state(name);
        let held = state.snapshot.as_ref().map(|s| s.sets.clone()).unwrap_or_default();
        // Proved by its marker alone: somebody has changed the values since, who is told of as of any other.
        let overwritten = values(held.values()) != values(work.swap.after.iter());
        let held = if overwritten { sets_of(&work.swap.after) } else { held };
        let answer = AnswerSets::new(held.values().cloned()).unwrap_or_else(|| work.swap.after.clone());
        state.current.clone_from(&work.targets);
        state.settled = Some(held);
        // A change of an earlier run counts from when it was decided.
        if work.swap.marker.is_some() {
            // Its marker, which was remembered when it was proved, says what the changes of all agents add up to.
            state.last_change = state.last_change.max(Some(work.decided));
            state.said.remove("flapping");
        } else {
            state.was_changed(work.decided, &flapping);
        }
        state.changes += 1;
        state.conflicts = 0;
        state.write_faults = 0;
        state.doubt = None;
        state.failback_asked = false;
        // Written just now, or, where an earlier run wrote it, when that run said.
        let earlier = work.completed.effective_by.filter(|_| work.decided < Moment::ZERO);
        let reckoned = earlier.map(|t| now.moment_ahead(t));
        let old_ttl = work.swap.before.longest_ttl().map(|ttl| Duration::from_secs(ttl.seconds().into()));
        // An earlier run's change no longer knows the old TTL, only what was reckoned with it when it was decided.
        state.cached_for = old_ttl.or(reckoned.map(|by| by.since(work.decided)));
        state.effective_by =
            reckoned.or_else(|| say_change::effective_by(now.moment, work.swap.before.longest_ttl()));
        let incident = work.completed.incident.clone();
        let written = state.written.take();
        let phases = work.completed.phases.map(|phases| Phases {
            written_ms: written.and_then(|written| phases.at(work.decided, written)),
            confirmed_ms: phases.at(work.decided, now.moment),
            ..phases
        });
        let (change, phases) = (work.id.clone(), (work.decided, phases));
        let arrival = Arrival { change, incident: incident.clone(), phases };
        state.propagating = (!overwritten).then_some(arrival);
        state.live.clear();
        for topic in ["withheld", "failed", "drift"] {
            state.said.remove(topic);
        }
        let mut event = work.completed;
        event.time = now.wall;
        event.phases = phases.1;
        event.effective_by = state.effective_by.map(|m| now.wall_of(m));
        state.incident = if best { None } else { incident };
        out.push(Effect::Close { change: work.id.clone(), happened: true });
        out.push(Effect::Say(Box::new(event), Some(format!("{}-completed", work.id))));
        out.push(Effect::KeepRecord(name.clone()));
        if !overwritten {
            out.push(Effect::Watch(Box::new(Watch { record: name.clone(), change: work.id, answer })));
        }
    }

    /// A change that was not there when we looked: is it there now? When the name holds something else altogether, it
    /// cannot come any more.
    pub(super) fn resolve_doubt(&mut self, now: &Now, name: &DomainName, out: &mut Vec<Effect>) {
        let flapping = self.record(name).flapping;
        let state = &self.records[name];
        let (Some(doubt), Some(snapshot)) = (&state.doubt, &state.snapshot) else { return };
        let held = values(snapshot.sets.values());
        let same_values = held == values(doubt.swap.after.iter());
        let made = snapshot.holds(&doubt.swap.after) || (same_values && !is_of_ttl(doubt));
        let fate = match self.fate_by_marker(name, doubt, same_values) {
            Fate::Unsaid if made => Fate::Made,
            Fate::Unsaid if held != values(doubt.swap.before.sets.values()) => Fate::Hidden,
            said => said,
        };
        match fate {
            Fate::NotYet | Fate::Unsaid => {}
            Fate::Never => self.drop_doubt(name, out),
            Fate::Made => {
                let work = self.state(name).doubt.take().expect("it was there a moment ago");
                self.remember_own_marker(now, name, &work);
                self.complete(now, name, Arc::unwrap_or_clone(work), out);
            }
            Fate::Hidden => {
                // It may have been there until somebody else came: it counts as a change.
                let state = self.state(name);
                let work = state.doubt.take().expect("it was there a moment ago");
                if state.last_change < Some(work.decided) {
                    state.was_changed(work.decided, &flapping);
                }
                out.push(Effect::Close { change: work.id.clone(), happened: false });
                let why = self.why_gone(name, &work, Word::Unknown, same_values);
                let next = "the agent goes on from what the record holds now";
                self.tell_gone(now, name, &work, &why, next, out);
            }
        }
    }

    /// The doubtful change is not what is wanted now.
    pub(super) fn drop_doubt(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        self.state(name).drop_doubt(out);
    }
}

/// Does it change the TTL alone?
fn is_of_ttl(work: &Work) -> bool {
    values(work.swap.before.sets.values()) == values(work.swap.after.iter())
}

fn sets_of(answer: &AnswerSets) -> BTreeMap<RecordType, RecordSet> {
    answer.iter().map(|set| (set.record_type(), set.clone())).collect()
}

fn values<'a>(sets: impl Iterator<Item = &'a RecordSet>) -> Vec<&'a Values> {
    sets.map(|set| &set.values).collect()
}

#[cfg(test)]
mod proofs;
#[cfg(test)]
mod tests;
