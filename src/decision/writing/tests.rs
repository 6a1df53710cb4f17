//! What follows a write that fails.

use std::sync::Arc;

use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
use super::super::{Event, Input, Options, ProviderFace, RecordPolicy, Saved, Velocity};
use super::*;

fn now(second: i64) -> Now {
    let start: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    Now { moment: at(second), wall: start + jiff::SignedDuration::from_secs(second) }
}

/// Two records of one provider, which may change one of them a minute; their primary has died.
struct Pair {
    decision: Decision,
    names: [DomainName; 2],
}

impl Pair {
    fn new(velocity: u32) -> Pair {
        let mut policy = policy();
        let names = ["a.example.com", "b.example.com"].map(|name| name.parse::<DomainName>().unwrap());
        policy.records = names
            .iter()
            .map(|name| (name.clone(), RecordPolicy { name: name.clone(), ..record() }))
            .collect();
        policy.velocity.insert("zone".into(), Velocity::Records(velocity));
        let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
        let faces = BTreeMap::from([("zone".into(), face)]);
        let mut decision = Decision::new(policy, faces, Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        let mut pair = Pair { decision, names };
        for which in [0, 1] {
            let _ = pair.reads(0, which);
        }
        for (second, address, passed) in
            [(1, A4, true), (1, A6, true), (1, B4, true), (2, A4, false), (2, A6, false), (3, B4, true)]
        {
            let seen = observation("web", address, (second, second), Some(passed));
            let _ = pair.decision.handle(&now(second), Input::Observed(seen));
        }
        pair
    }

    fn reads(&mut self, second: i64, which: usize) -> Vec<Effect> {
        let record = self.names[which].clone();
        let result = Ok(providers::Snapshot { name: record.clone(), ..holding(&[A4, A6]) });
        self.decision.handle(&now(second), Input::Read { record, result })
    }

    fn fails(&mut self, second: i64, which: usize, fault: Fault) -> Vec<Effect> {
        let record = self.names[which].clone();
        self.decision.handle(&now(second), Input::Written { record, result: Err(fault) })
    }
}

fn writes(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Write(_)))
}

fn down() -> Fault {
    Fault::Unavailable("refused".into())
}

#[test]
fn a_write_that_came_to_nothing_takes_nobodys_turn_and_half_a_write_does() {
    let second_is_written = |fault: Fault| {
        let mut pair = Pair::new(1);
        assert!(writes(&pair.reads(4, 0)));
        let _ = pair.fails(5, 0, fault);
        writes(&pair.reads(6, 1))
    };
    assert!(second_is_written(down()));
    let half = Box::new(holding(&[B4, A6]));
    assert!(!second_is_written(Fault::Partial { now: half }));
}

#[test]
fn a_few_conflicts_are_read_again_at_once_and_then_it_waits() {
    let mut pair = Pair::new(2);
    for conflict in 0..=CONFLICTS_AT_ONCE {
        assert!(writes(&pair.reads(4, 0)), "{conflict}");
        let out = pair.fails(4, 0, Fault::Conflict("it holds something else".into()));
        let reads = out.iter().any(|effect| matches!(effect, Effect::Read(_)));
        assert_eq!(reads, conflict < CONFLICTS_AT_ONCE, "{conflict}: {out:?}");
    }
}

/// A reply was lost, and the next attempt failed: the first may still have been made.
#[test]
fn a_change_in_doubt_is_not_closed_by_a_later_attempt_that_fails() {
    let mut pair = Pair::new(2);
    let closed = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Close { .. }));
    assert!(writes(&pair.reads(4, 0)));
    let _ = pair.fails(5, 0, Fault::Unknown("no reply".into()));
    assert!(writes(&pair.reads(6, 0)), "tried again");
    assert!(!closed(&pair.fails(7, 0, down())));
    let mut sure = Pair::new(2);
    assert!(writes(&sure.reads(4, 0)));
    assert!(closed(&sure.fails(5, 0, down())), "no doubt about this one");
}

#[test]
fn trouble_that_time_may_mend_is_told_when_it_lasts_and_other_trouble_at_once() {
    let told_after = |fault: fn() -> Fault| {
        let mut pair = Pair::new(2);
        for attempt in 1..12_u32 {
            let second = 4 + 31 * (i64::from(attempt) - 1);
            for (address, passed) in [(A4, false), (A6, false), (B4, true)] {
                let seen = observation("web", address, (second, second), Some(passed));
                let _ = pair.decision.handle(&now(second), Input::Observed(seen));
            }
            let out = pair.reads(second, 0);
            assert!(writes(&out), "attempt {attempt}: {out:?}");
            let told: Vec<Event> = pair
                .fails(second, 0, fault())
                .into_iter()
                .filter_map(|effect| match effect {
                    Effect::Say(event, _) => Some(*event),
                    _ => None,
                })
                .collect();
            if !told.is_empty() {
                return attempt;
            }
        }
        0
    };
    assert_eq!(told_after(down), 3);
    let conflict = || Fault::Conflict("it holds something else".into());
    assert_eq!(told_after(conflict), CONFLICTS_AT_ONCE + 3, "after those that were tried again at once");
    assert_eq!(told_after(|| Fault::Auth("the key is refused".into())), 1);
}

#[test]
fn a_write_that_is_lost_is_tried_again_at_once_and_then_with_patience() {
    let mut pair = Pair::new(2);
    for (second, at_once) in [(4, true), (6, false)] {
        assert!(writes(&pair.reads(second, 0)) || second > 4);
        let _ = pair.fails(second + 1, 0, Fault::Unknown("no reply".into()));
        assert_eq!(writes(&pair.reads(second + 2, 0)), at_once, "{second}");
    }
}

/// Somebody else came between: that the name changed proves nothing.
#[test]
fn a_lost_write_is_not_believed_because_the_name_holds_something_new() {
    for found in [&["192.0.2.99"][..], &[A4]] {
        let mut pair = Pair::new(2);
        assert!(writes(&pair.reads(4, 0)));
        let _ = pair.fails(5, 0, Fault::Unknown("no reply".into()));
        let record = pair.names[0].clone();
        let result = Ok(providers::Snapshot { name: record.clone(), ..holding(found) });
        let out = pair.decision.handle(&now(6), Input::Read { record, result });
        let closed = |happened| {
            out.iter().any(|effect| matches!(effect, Effect::Close { happened: so, .. } if *so == happened))
        };
        assert!(closed(false) && !closed(true), "{found:?}: {out:?}");
    }
}
