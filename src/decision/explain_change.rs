//! How far a change that is under way has come. All words of it are here.

use jiff::Timestamp;
use providers::DomainName;
use serde::{Deserialize, Serialize};

use super::record::{Phase, Word};
use super::{Decision, Now, Phases};

/// A change that was decided and that not every server serves yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeUnderWay {
    /// Its id, as in its events.
    pub id: String,
    /// How far it has come.
    pub step: ChangeStep,
    /// When it was decided.
    pub decided: Timestamp,
    /// What it waits for, in words.
    pub text: String,
    /// Where its time went so far; absent when it is not away from a failed target, or an earlier run decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<Phases>,
}

/// How far a change has come; the name in JSON is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeStep {
    /// It is decided, and the provider has not answered yet.
    Writing,
    /// It was sent, and a reading must show it.
    Proving,
    /// It was read back; the authoritative servers are asked for it.
    Arriving,
}

impl Decision {
    pub(super) fn change_under_way(&self, now: &Now, name: &DomainName) -> Option<ChangeUnderWay> {
        let state = self.records.get(name)?;
        let (id, step, decided, text, phases) = match &state.phase {
            Phase::Writing(work) => {
                let text = "the provider has not answered the write yet";
                (&work.id, ChangeStep::Writing, work.decided, text, work.completed.phases)
            }
            Phase::Confirming { work, word, .. } => {
                let text = match word {
                    Word::Acknowledged => "the provider has taken it; a reading must show it",
                    Word::Unknown => "whether the provider has taken it is not known; a reading will show",
                    Word::EarlierRun => "an earlier run began it; a reading will show what became of it",
                };
                let written = state.written.filter(|_| *word == Word::Acknowledged);
                let phases = work.completed.phases.map(|phases| Phases {
                    written_ms: written.and_then(|written| phases.at(work.decided, written)),
                    ..phases
                });
                (&work.id, ChangeStep::Proving, work.decided, text, phases)
            }
            Phase::Idle | Phase::Reading => {
                let arrival = state.propagating.as_ref()?;
                let text = "written and read back; not every authoritative server was seen to serve it yet";
                (&arrival.change, ChangeStep::Arriving, arrival.phases.0, text, arrival.phases.1)
            }
        };
        Some(ChangeUnderWay {
            id: id.clone(),
            step,
            decided: now.wall_of(decided),
            text: text.into(),
            phases,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use providers::Fault;

    use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
    use super::super::{Effect, Input, Options, ProviderFace, Saved};
    use super::*;

    fn now(second: i64) -> Now {
        Now { moment: at(second), wall: Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second) }
    }

    /// `a` failed at 1 s and its change is decided at 3 s.
    fn writing() -> Decision {
        let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
        let faces = BTreeMap::from([("zone".into(), face)]);
        let mut decision = Decision::new(policy(), faces, Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        for (second, address, passed) in [(1, A4, false), (2, A6, false), (2, B4, true)] {
            let seen = observation("web", address, (second, second), Some(passed));
            let _ = decision.handle(&now(second), Input::Observed(seen));
        }
        reads(&mut decision, 3, &[A4, A6]);
        decision
    }

    fn reads(decision: &mut Decision, second: i64, held: &[&str]) -> Vec<Effect> {
        decision.handle(&now(second), Input::Read { record: record().name, result: Ok(holding(held)) })
    }

    fn written(decision: &mut Decision, second: i64, result: Result<(), Fault>) {
        let _ = decision.handle(&now(second), Input::Written { record: record().name, result });
    }

    fn stands(decision: &Decision, second: i64) -> (ChangeStep, i64, String) {
        let explained = decision.explain(&now(second), &record().name).expect("it is configured");
        let change = explained.change.expect("one is under way");
        let phases = change.phases.map(|phases| phases.to_string()).unwrap_or_default();
        (change.step, change.decided.as_second(), phases)
    }

    #[test]
    fn each_step_of_a_change_is_shown_until_every_server_has_it() {
        let mut decision = writing();
        assert_eq!(stands(&decision, 4), (ChangeStep::Writing, 3, "down 1000 ms, decided 2000 ms".into()));
        written(&mut decision, 5, Ok(()));
        let phases = "down 1000 ms, decided 2000 ms, written 4000 ms";
        assert_eq!(stands(&decision, 5), (ChangeStep::Proving, 3, phases.into()));
        let watch = reads(&mut decision, 6, &[B4]).into_iter().find_map(|effect| match effect {
            Effect::Watch(watch) => Some(watch.change),
            _ => None,
        });
        let phases = "down 1000 ms, decided 2000 ms, written 4000 ms, read back 5000 ms";
        assert_eq!(stands(&decision, 7), (ChangeStep::Arriving, 3, phases.into()));
        let change = watch.expect("it is watched");
        let arrived =
            Input::Propagated { record: record().name, change, servers: Vec::new(), given_up: false };
        let _ = decision.handle(&now(8), arrived);
        assert_eq!(decision.explain(&now(8), &record().name).expect("configured").change, None);
    }

    #[test]
    fn a_write_of_unknown_outcome_is_not_said_to_be_written() {
        let mut decision = writing();
        written(&mut decision, 5, Err(Fault::Unknown("the reply was lost".into())));
        let (step, _, phases) = stands(&decision, 5);
        assert_eq!((step, phases.as_str()), (ChangeStep::Proving, "down 1000 ms, decided 2000 ms"));
        let explained = decision.explain(&now(5), &record().name).expect("it is configured");
        assert!(explained.change.expect("under way").text.starts_with("whether the provider has taken it"));
    }
}
