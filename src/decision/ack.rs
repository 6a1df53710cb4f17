//! A person's word that a record which was left alone may be changed again.

use providers::DomainName;

use super::record::Phase;
use super::{Decision, Effect, Now, say};

impl Decision {
    /// Forgets what stood in the way of a change, and tries what is wished for at once: with a fresh reading, and past
    /// all other guards.
    pub(super) fn acknowledged(&mut self, now: &Now, name: &DomainName, out: &mut Vec<Effect>) {
        let half_life = self.record(name).flapping.half_life;
        let state = self.state(name);
        let penalty = state.penalty.map_or(0, |penalty| penalty.left_at(now.moment, half_life));
        self.accept_marker(now, name);
        self.state(name).on_ack();
        let mut event = say::acknowledged(now, name, penalty);
        event.incident = self.incident_of(name);
        out.push(Effect::Say(Box::new(event), None));
        out.push(Effect::KeepRecord(name.clone()));
        let state = self.state(name);
        // A provider that asks for a pause, or does not answer, is no business of the guards.
        if state.phase == Phase::Idle && state.fault.is_none() {
            state.refused = None;
            self.begin_read(name, out);
        }
    }
}
