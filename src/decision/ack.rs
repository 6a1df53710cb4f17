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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use providers::Fault;

    use super::super::fixture::{A4, A6, at, holding, policy, record};
    use super::super::{Input, Options, ProviderFace, Saved};
    use super::*;

    fn now(second: i64) -> Now {
        Now { moment: at(second), wall: jiff::Timestamp::UNIX_EPOCH }
    }

    /// Does a person's word lead to a reading after this one?
    fn reads_after(result: Result<providers::Snapshot, Fault>) -> bool {
        let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
        let faces = BTreeMap::from([("zone".into(), face)]);
        let mut decision = Decision::new(policy(), faces, Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        let _ = decision.handle(&now(0), Input::Read { record: record().name, result });
        let retry_at = decision.records[&record().name].retry_at;
        let out = decision.handle(&now(0), Input::Ack { record: record().name });
        let reads = out.contains(&Effect::Read(record().name));
        assert!(reads || decision.records[&record().name].retry_at == retry_at, "{out:?}");
        reads
    }

    #[test]
    fn it_is_tried_at_once_but_a_provider_that_asks_for_a_pause_has_it() {
        assert!(reads_after(Ok(holding(&[A4, A6]))));
        let after = Some(std::time::Duration::from_secs(90));
        assert!(!reads_after(Err(Fault::Throttled { after, detail: "429".into() })));
        assert!(!reads_after(Err(Fault::Unavailable("refused".into()))));
    }

    #[test]
    fn a_reading_that_is_under_way_is_waited_for() {
        let mut decision =
            Decision::new(policy(), BTreeMap::new(), Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        let out = decision.handle(&now(0), Input::Ack { record: record().name });
        assert!(!out.contains(&Effect::Read(record().name)), "{out:?}");
    }
}
