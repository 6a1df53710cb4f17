//! Looking at records again by what is known: what should be published, and whether that takes a reading.

use providers::{AnswerSets, DomainName};

use super::record::Phase;
use super::select::{Current, select};
use super::{Decision, Effect, Hold, Moment, Now, RecordPolicy, Selection, Wish};

impl Decision {
    pub(super) fn evaluate_all(&mut self, now: &Now, out: &mut Vec<Effect>) {
        for name in self.records.keys().cloned().collect::<Vec<_>>() {
            self.evaluate(now, &name, out);
        }
    }

    /// What should be published now, by what is known.
    pub(super) fn selection(&self, now: Moment, name: &DomainName) -> Selection {
        let Some(state) = self.records.get(name) else { return Selection::Hold(Hold::Unread) };
        if state.snapshot.is_none() {
            return Selection::Hold(Hold::Unread);
        }
        let places = state.published();
        let current =
            Current { targets: &state.current, places: &places, failback_asked: state.failback_asked };
        let mut view = self.view(now);
        view.settles_until =
            state.settles_until.map_or(view.settles_until, |own| own.max(view.settles_until));
        select(&view, self.record(name), current)
    }

    /// The record sets of a wish, as the provider would store them.
    pub(super) fn stored_form(&self, record: &RecordPolicy, wish: &Wish) -> AnswerSets {
        let sets = wish.answer.sets(record.ttl);
        match self.faces.get(&record.provider) {
            Some(face) => (face.normalize)(sets),
            None => sets,
        }
    }

    /// Does the name hold this answer, as last read, or what its provider is known to make of it?
    pub(super) fn holds(&self, name: &DomainName, after: &AnswerSets) -> bool {
        let Some(state) = self.records.get(name) else { return false };
        let Some(snapshot) = &state.snapshot else { return false };
        snapshot.holds(after) || state.own_ttl.is_some_and(|own| own.accepts(after, &snapshot.sets))
    }

    /// Looks at one record by what is known, and begins a reading where something may have to be written. Nothing
    /// is ever written from here: that takes a fresh reading.
    pub(super) fn evaluate(&mut self, now: &Now, name: &DomainName, out: &mut Vec<Effect>) {
        let state = self.state(name);
        if let Phase::Confirming { .. } = state.phase {
            if state.retry_at.is_some_and(|at| now.moment >= at) {
                state.retry_at = None;
                out.push(Effect::Read(name.clone()));
            }
            return;
        }
        if state.phase != Phase::Idle {
            return;
        }
        // A pause that is over must not go on waking us where nothing is to be done after it.
        state.retry_at = state.retry_at.filter(|at| now.moment < *at);
        match self.selection(now.moment, name) {
            Selection::Hold(hold) => {
                self.enter_hold(now, name, hold, out);
                let unread = self.state(name).snapshot.is_none();
                if unread && self.state(name).is_ready(now.moment) {
                    self.begin_read(name, out);
                }
            }
            Selection::Serve(wish) => {
                let after = self.stored_form(self.record(name), &wish);
                let in_sync = self.holds(name, &after);
                let state = self.state(name);
                if state.refused.as_ref().is_some_and(|refused| *refused != wish) && state.faults == 0 {
                    state.retry_at = None;
                }
                state.hold = None;
                state.wish = Some(wish);
                self.tell_of_all_down(now, name, out);
                if in_sync {
                    self.enter_sync(name, out);
                } else if self.state(name).is_ready(now.moment) && self.state(name).pending.is_none() {
                    self.begin_read(name, out);
                }
            }
        }
    }

    pub(super) fn begin_read(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        let state = self.state(name);
        state.phase = Phase::Reading;
        state.retry_at = None;
        out.push(Effect::Read(name.clone()));
    }

    /// The name holds the wish, whoever wrote it: from now on that is what serves, so that a way back takes the same
    /// patience as after a change of ours.
    pub(super) fn enter_sync(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        self.leave_queue(name);
        let state = self.state(name);
        state.settled = state.snapshot.as_ref().map(|snapshot| snapshot.sets.clone());
        if let Some(wish) = state.wish.as_ref().filter(|wish| wish.targets != state.current) {
            state.current.clone_from(&wish.targets);
            out.push(Effect::KeepRecord(name.clone()));
        }
        state.refusal = None;
        state.refused = None;
        for topic in ["withheld", "failed", "drift"] {
            state.said.remove(topic);
        }
        if state.faults == 0 {
            state.retry_at = None;
        }
    }

    pub(super) fn enter_hold(&mut self, now: &Now, name: &DomainName, hold: Hold, out: &mut Vec<Effect>) {
        let all_down = hold == Hold::AllDown || self.is_all_down_under_orders(name, &hold);
        self.leave_queue(name);
        let state = self.records.get_mut(name).expect("every caller has found the record");
        state.wish = None;
        state.refusal = None;
        let verify = match &hold {
            Hold::Verifying { target } | Hold::Remembered { target }
                if state.hold.as_ref() != Some(&hold) =>
            {
                Some(target.clone())
            }
            _ => None,
        };
        state.hold = Some(hold);
        if let Some(target) = verify {
            out.extend(self.targets.endpoints(&target).map(|(endpoint, _)| Effect::Probe(endpoint.clone())));
        }
        if all_down {
            self.tell_of_all_down(now, name, out);
        }
    }

    /// The incident a record's events belong to: its own, else that of its best target that is not well.
    pub(super) fn incident_of(&self, name: &DomainName) -> Option<String> {
        let own = self.records.get(name).and_then(|state| state.incident.clone());
        own.or_else(|| self.record(name).targets().find_map(|target| self.incidents.get(target).cloned()))
    }
}
