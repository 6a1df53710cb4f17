//! What each guard sees of a record, whether it has something to refuse or not.

use providers::DomainName;

use super::{Decision, Guard, GuardExplained, Moment, Now, counted, human};

/// What a guard would say by itself, and until when it refuses a change, if it does.
struct State {
    text: String,
    until: Option<Moment>,
}

impl Decision {
    /// The guard that refused what is wished for; then those that would refuse any change now, then the rest.
    pub(super) fn guards_explained(&self, now: &Now, name: &DomainName) -> Vec<GuardExplained> {
        let refusal = self.records[name].refusal.as_ref();
        let mut guards: Vec<GuardExplained> = Guard::ALL
            .iter()
            .filter(|guard| refusal.is_none_or(|refusal| refusal.guard != **guard))
            .map(|guard| {
                let State { text, until } = self.guard_state(now, name, *guard);
                GuardExplained {
                    guard: guard.as_str().into(),
                    refuses: until.is_some(),
                    text,
                    remedy: until
                        .map_or_else(String::new, |at| format!("over in {}", human(at.since(now.moment)))),
                    until: until.map(|at| now.wall_of(at)),
                }
            })
            .collect();
        guards.extend(refusal.map(|refusal| GuardExplained {
            guard: refusal.guard.as_str().into(),
            refuses: true,
            text: refusal.text.clone(),
            remedy: refusal.remedy.clone(),
            until: refusal.until.map(|m| now.wall_of(m)),
        }));
        // A stable sort: those of one sort keep their order.
        guards.sort_by_key(|guard| {
            (!guard.refuses, refusal.is_none_or(|refusal| refusal.guard.as_str() != guard.guard))
        });
        guards
    }

    fn guard_state(&self, now: &Now, name: &DomainName, guard: Guard) -> State {
        let (record, state) = (self.record(name), &self.records[name]);
        match guard {
            Guard::HoldDown => State {
                text: format!("no change within {} of the last one", human(record.hold_down)),
                until: self.held_down_until(now, name),
            },
            Guard::Flapping => {
                let settings = &record.flapping;
                let left = state.penalty.map_or(0, |penalty| penalty.left_at(now.moment, settings.half_life));
                State {
                    text: format!(
                        "penalty {left}; no change from {} on until it is below {}, or after `failover ack {name}`",
                        settings.suppress, settings.reuse
                    ),
                    until: state.penalty.and_then(|p| p.suppressed_until(now.moment, settings)),
                }
            }
            Guard::Velocity => match self.turn(now.moment, record, state) {
                None => State { text: "the provider has no bound".into(), until: None },
                Some(turn) => State {
                    text: format!(
                        "{} of {} changed within the last minute, {} waiting before this one",
                        turn.used,
                        counted(turn.allowed, "record"),
                        turn.ahead
                    ),
                    until: Some(turn.at).filter(|at| now.moment < *at),
                },
            },
            Guard::Foreign
            | Guard::StaleGeneration
            | Guard::UnverifiedTarget
            | Guard::Family
            | Guard::Capability => State { text: "has nothing against it".into(), until: None },
        }
    }
}
