//! Looking at records again by what is known: what should be published, and whether that takes a reading.

use std::collections::BTreeMap;

use providers::{AnswerSets, DomainName};

use super::record::{Phase, RecordState};
use super::select::{Current, View, select};
use super::{
    Decision, Effect, Hold, Moment, Motive, Now, ProviderFace, ProviderId, RecordPolicy, Selection, Wish,
};

impl Decision {
    pub(super) fn evaluate_all(&mut self, now: &Now, out: &mut Vec<Effect>) {
        for name in self.records.keys().cloned().collect::<Vec<_>>() {
            self.evaluate(now, &name, out);
        }
    }

    /// What should be published now, by what is known.
    pub(super) fn selection(&self, now: Moment, name: &DomainName) -> Selection {
        let Some(state) = self.records.get(name) else { return Selection::Hold(Hold::Unread) };
        selection_of(self.view(now), self.record(name), state)
    }

    /// The record sets of a wish, as the provider would store them.
    pub(super) fn stored_form(&self, record: &RecordPolicy, wish: &Wish) -> AnswerSets {
        stored_form(&self.faces, record, wish)
    }

    /// Does the name hold this answer, as last read, or what its provider is known to make of it?
    pub(super) fn holds(&self, name: &DomainName, after: &AnswerSets) -> bool {
        self.records.get(name).is_some_and(|state| state.holds(after))
    }

    /// Looks at one record by what is known, and begins a reading where something may have to be written. Nothing
    /// is ever written from here: that takes a fresh reading.
    pub(super) fn evaluate(&mut self, now: &Now, name: &DomainName, out: &mut Vec<Effect>) {
        // A dead site has ten thousand records: what is searched for here is searched for once.
        let state = self.records.get_mut(name).expect("every caller has found the record");
        self.wakeup = None;
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
        let record = self.policy.records.get(name).expect("records and their policies have the same names");
        let view = View {
            now: now.moment,
            policy: &self.policy,
            targets: &self.targets,
            sight: &self.sight,
            settles_until: self.settles_until,
            overrides: &self.overrides,
            one_shot: self.options.one_shot,
        };
        match selection_of(view, record, state) {
            Selection::Hold(hold) => {
                self.enter_hold(now, name, hold, out);
                let state = self.state(name);
                if state.snapshot.is_none() && state.is_ready(now.moment) {
                    state.begin_read(name, out);
                }
            }
            Selection::Serve(wish) => {
                let in_sync = state.holds(&stored_form(&self.faces, record, &wish));
                if state.refused.as_ref().is_some_and(|refused| *refused != wish) && state.faults == 0 {
                    state.retry_at = None;
                }
                state.hold = None;
                let nothing_works = wish.motive == Motive::AllDown;
                state.wish = Some(wish);
                if nothing_works || (in_sync && state.queued.is_some()) {
                    self.tell_of_all_down(now, name, out);
                    if in_sync {
                        self.leave_queue(name);
                    }
                    self.state(name).seek(now.moment, in_sync, name, out);
                } else {
                    state.said.remove("all_down");
                    state.seek(now.moment, in_sync, name, out);
                }
            }
        }
    }

    pub(super) fn begin_read(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        self.state(name).begin_read(name, out);
    }

    /// The name holds the wish, whoever wrote it: from now on that is what serves, so that a way back takes the same
    /// patience as after a change of ours.
    pub(super) fn enter_sync(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        self.leave_queue(name);
        self.state(name).enter_sync(name, out);
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
        self.incident_by(self.record(name), self.records.get(name)?)
    }

    pub(super) fn incident_by(&self, record: &RecordPolicy, state: &RecordState) -> Option<String> {
        let of_targets = || record.targets().find_map(|target| self.incidents.get(target).cloned());
        state.incident.clone().or_else(of_targets)
    }
}

/// What should be published by a record in this state.
pub(super) fn selection_of(mut view: View<'_>, record: &RecordPolicy, state: &RecordState) -> Selection {
    if state.snapshot.is_none() {
        return Selection::Hold(Hold::Unread);
    }
    let current =
        Current { targets: &state.current, places: &state.published, failback_asked: state.failback_asked };
    view.settles_until = state.settles_until.map_or(view.settles_until, |own| own.max(view.settles_until));
    select(&view, record, current)
}

fn stored_form(faces: &BTreeMap<ProviderId, ProviderFace>, record: &RecordPolicy, wish: &Wish) -> AnswerSets {
    let sets = wish.answer.sets(record.ttl);
    match faces.get(&record.provider) {
        Some(face) => (face.normalize)(sets),
        None => sets,
    }
}
