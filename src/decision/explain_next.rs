//! The next moment at which something can change for a record, and what would make it. All words of it are here.

use std::time::Duration;

use providers::DomainName;

use super::record::Phase;
use super::select::failback_due_at;
use super::steps::{NextStep, Steps};
use super::{
    Decision, Endpoint, FailbackMode, Hold, Now, Place, RecordPolicy, Serve, TargetId, Tracker, Verdict,
    counted, human,
};

impl Decision {
    /// What can happen next to a record, soonest first; what no clock tells comes last.
    pub(super) fn next_steps(&self, now: &Now, name: &DomainName) -> Vec<NextStep> {
        let mut steps = Steps { now, found: Vec::new() };
        let (record, state) = (self.record(name), &self.records[name]);
        self.of_the_provider(&mut steps, name);
        self.of_the_overrides(&mut steps, name);
        if let Some(refusal) = &state.refusal {
            match refusal.until {
                Some(until) => steps.at(until, |left| {
                    format!("the change is written in {left}, when {} ends", refusal.guard.as_str())
                }),
                None => steps.when(format!(
                    "the change is written once {} has nothing against it: {}",
                    refusal.guard.as_str(),
                    refusal.remedy
                )),
            }
        }
        if let Some(hold) = &state.hold {
            self.of_the_hold(&mut steps, record, hold);
        } else if self.overrides.pin(now.moment, name).is_none() {
            self.of_failback(&mut steps, name);
            self.of_failover(&mut steps, record, &state.current);
        }
        // A stable sort: what no clock tells keeps its order, behind the rest.
        steps.found.sort_by_key(|step| (step.at.is_none(), step.at));
        steps.found
    }

    fn of_the_provider(&self, steps: &mut Steps<'_>, name: &DomainName) {
        let state = &self.records[name];
        match (&state.phase, state.retry_at) {
            (Phase::Reading, _) => steps.when("the provider answers the reading that is under way"),
            (Phase::Writing(_), _) => steps.when("the provider answers the write that is under way"),
            (Phase::Confirming { .. }, Some(at)) => {
                steps.at(at, |left| format!("the change is looked for at the provider again in {left}"));
            }
            (Phase::Confirming { .. }, None) => steps.when("a reading shows whether the change was made"),
            (Phase::Idle, Some(at)) if state.fault.is_some() => {
                steps.at(at, |left| format!("the provider is tried again in {left}"));
            }
            (Phase::Idle, _) => {}
        }
    }

    fn of_the_hold(&self, steps: &mut Steps<'_>, record: &RecordPolicy, hold: &Hold) {
        match hold {
            Hold::Unread => {
                if steps.found.is_empty() {
                    steps.when("the provider is read");
                }
            }
            Hold::Settling { waiting_for } => {
                let own = self.records[&record.name].settles_until;
                let until = own.map_or(self.settles_until, |own| own.max(self.settles_until));
                let names = list(waiting_for);
                steps.at(until, |left| {
                    format!(
                        "in {left} it is decided without a verdict of {names}, or as soon as there is one"
                    )
                });
            }
            Hold::Blind => {
                steps.when("a witness that answers ends the blindness, and every verdict is formed anew");
            }
            Hold::AwaitingWitness { target } => {
                steps.when(format!("{target} counts as down as soon as a witness is seen alive"));
            }
            Hold::Verifying { target } => {
                steps.when(format!(
                    "the change is made as soon as {target} passes a probe; it is being probed now"
                ));
            }
            Hold::Recovering { target } => {
                if let Some(left) = self.passes_left(target) {
                    steps.when(format!(
                        "{target} is up again after {}, or fails and is left",
                        more(left, "pass", "passes")
                    ));
                }
            }
            Hold::Remembered { target } => {
                steps.when(format!("{target} is left if its probe fails, too; it is being probed now"));
            }
            Hold::Paused { .. } | Hold::Pinned { .. } | Hold::Drained { .. } => {}
            Hold::AllDown | Hold::NoneUp => {
                for target in record.targets() {
                    if let Some(left) = self.passes_left(target) {
                        let passes = more(left, "pass", "passes");
                        steps.when(format!("{target} is up after {passes}, and serves then"));
                    }
                }
            }
        }
    }

    /// The way back to a better target.
    fn of_failback(&self, steps: &mut Steps<'_>, name: &DomainName) {
        let (record, state) = (self.record(name), &self.records[name]);
        let Some(held) = state.current.iter().filter_map(|target| record.tier_of(target)).min() else {
            return;
        };
        let drained = |target: &&TargetId| self.overrides.drain(steps.now.moment, target).is_some();
        let better = || record.tiers[..held].iter().flatten().filter(|t| !drained(t));
        if let Some(due) = failback_due_at(&self.view(steps.now.moment), record, &state.current) {
            let up = better().filter(|target| self.verdict(target) == Verdict::Up);
            let first = up.min_by_key(|target| self.targets.since(target, &self.sight));
            let to = first.map_or_else(String::new, ToString::to_string);
            let due = self.held_down_until(steps.now, name).map_or(due, |until| until.max(due));
            steps.at(due, |left| format!("failback to {to} in {left} if it stays up"));
        }
        for target in better() {
            match self.verdict(target) {
                Verdict::Up if record.failback == FailbackMode::Manual => {
                    steps.when(format!(
                        "failback to {target} when a person says so: failover failback {name}"
                    ));
                }
                Verdict::Down | Verdict::Unknown => {
                    let Some(left) = self.passes_left(target) else { continue };
                    let passes = more(left, "pass", "passes");
                    let then = match record.failback {
                        FailbackMode::Auto if record.failback_after == Duration::ZERO => {
                            "failback follows".into()
                        }
                        FailbackMode::Auto => format!("failback {} later", human(record.failback_after)),
                        FailbackMode::Manual => "failback when a person says so".into(),
                    };
                    steps.when(format!("{target} is up after {passes}; {then}"));
                }
                Verdict::Up => {}
            }
        }
    }

    /// What it would take to go away from the targets that serve.
    fn of_failover(&self, steps: &mut Steps<'_>, record: &RecordPolicy, current: &[TargetId]) {
        for target in current {
            let Some(left) = self.failures_left(target) else { continue };
            let several = self.policy.targets.get(target).is_some_and(|t| t.places.len() > 1);
            let each = if several { " at each of its addresses" } else { "" };
            let works = |other: &&TargetId| *other != target && self.is_eligible(steps.now, other);
            let stays = current.iter().any(|other| works(&other));
            let then = match record.targets().find(works) {
                _ if record.serve == Serve::All && stays => "it leaves the answer".to_owned(),
                Some(next) => format!("failover to {next}"),
                None => "nothing that works is left, and the record stays".to_owned(),
            };
            steps.when(format!(
                "{target} goes down after {}{each}; then {then}",
                more(left, "failure", "failures")
            ));
        }
    }

    /// Failures until a target that is Up, or of which nothing is known, is Down: until each of its places is, by so
    /// many checks that the rest is not enough.
    fn failures_left(&self, target: &TargetId) -> Option<u32> {
        let settings = self.policy.targets.get(target)?;
        let of_place = |place: &Place| {
            let left = self.left_at(target, place, |endpoint, tracker| match tracker.verdict() {
                Verdict::Down => 0,
                _ => self.thresholds(endpoint).fall.saturating_sub(tracker.failures()).max(1),
            });
            left.get(settings.require.spare(left.len())).copied()
        };
        settings.places.iter().filter_map(of_place).max().filter(|left| *left > 0)
    }

    /// Passes until a target is Up: until one of its places is, by as many checks as are required.
    fn passes_left(&self, target: &TargetId) -> Option<u32> {
        let settings = self.policy.targets.get(target)?;
        let of_place = |place: &Place| {
            let left = self.left_at(target, place, |endpoint, tracker| match tracker.verdict() {
                Verdict::Up => 0,
                Verdict::Unknown => 1,
                Verdict::Down => self.thresholds(endpoint).rise.saturating_sub(tracker.passes()).max(1),
            });
            left.get(settings.require.needed(left.len()) - 1).copied()
        };
        settings.places.iter().filter_map(of_place).min().filter(|left| *left > 0)
    }

    /// What is left for each check of a place, the least first.
    fn left_at(
        &self,
        target: &TargetId,
        place: &Place,
        left: impl Fn(&Endpoint, &Tracker) -> u32,
    ) -> Vec<u32> {
        let endpoints = self.targets.endpoints(target).filter(|(endpoint, _)| endpoint.address == *place);
        let mut all: Vec<u32> = endpoints.map(|(endpoint, tracker)| left(endpoint, tracker)).collect();
        all.sort_unstable();
        all
    }
}

/// `2 more failures`.
fn more(count: u32, one: &str, many: &str) -> String {
    if count == 1 { format!("1 more {one}") } else { format!("{count} more {many}") }
}

fn list(targets: &[TargetId]) -> String {
    match targets {
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} and {}", counted(rest.len(), "other")),
        [] => "any target".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use providers::Fault;

    use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
    use super::super::{
        Explanation, Guard, Input, Options, Outcome, Policy, ProviderFace, Refusal, Saved, SavedRecord,
        Sighting,
    };
    use super::*;

    fn now(second: i64) -> Now {
        let start: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        Now { moment: at(second), wall: start + Duration::from_secs(second.unsigned_abs()) }
    }

    fn refusing(why: &Explanation) -> usize {
        why.guards.iter().filter(|guard| guard.refuses).count()
    }
    type Probes<'a> = &'a [(i64, &'a str, bool)];
    const WELL: Probes<'_> = &[(1, A4, true), (1, A6, true), (1, B4, true)];
    const A_DEAD: Probes<'_> = &[(1, A4, false), (1, A6, false), (2, B4, true)];

    struct Case {
        policy: Policy,
        atomic: bool,
        saved: Saved,
    }

    fn case(change: impl FnOnce(&mut Policy, &mut RecordPolicy)) -> Case {
        let mut policy = policy();
        let mut record = record();
        change(&mut policy, &mut record);
        policy.records.insert(record.name.clone(), record);
        Case { policy, atomic: true, saved: Saved::default() }
    }

    impl Case {
        /// The decision after a first reading of these addresses and these probes.
        fn after(self, holds: &[&str], probes: Probes<'_>) -> Decision {
            let face =
                ProviderFace { atomic_name: self.atomic, marker: true, normalize: Arc::new(|sets| sets) };
            let faces = BTreeMap::from([("zone".into(), face)]);
            let mut decision = Decision::new(self.policy, faces, Options::default(), self.saved, &now(0));
            let _ = decision.start(&now(0));
            read(&mut decision, 0, holds);
            for (second, address, passed) in probes {
                let seen = observation("web", address, (*second, *second), Some(*passed));
                let out = decision.handle(&now(*second), Input::Observed(seen));
                if out.iter().any(|effect| matches!(effect, super::super::Effect::Read(_))) {
                    read(&mut decision, *second, holds);
                }
            }
            decision
        }
    }

    fn read(decision: &mut Decision, second: i64, holds: &[&str]) {
        let result = Ok(holding(holds));
        let _ = decision.handle(&now(second), Input::Read { record: record().name, result });
    }

    fn explain(decision: &Decision, second: i64) -> Explanation {
        decision.explain(&now(second), &record().name).expect("it is configured")
    }

    #[track_caller]
    fn next(decision: &Decision, second: i64, expected: &[&str]) {
        let why = explain(decision, second);
        let texts: Vec<&str> = why.next.iter().map(|step| step.text.as_str()).collect();
        assert_eq!(
            texts,
            expected,
            "{}: {}",
            serde_json::to_string(&why.record.status).unwrap(),
            why.record.reason
        );
    }

    fn usual() -> Case {
        case(|_, _| {})
    }

    #[test]
    fn on_a_quiet_day_it_takes_failures() {
        let well = usual().after(&[A4, A6], WELL);
        next(&well, 2, &["a goes down after 1 more failure at each of its addresses; then failover to b"]);
        let patient = case(|policy, _| {
            for target in policy.targets.values_mut() {
                target.checks.get_mut(&"web".into()).unwrap().thresholds.fall = 3;
            }
        });
        let failing = patient.after(&[B4], &[(1, A4, true), (1, A6, true), (1, B4, true), (2, B4, false)]);
        next(
            &failing,
            3,
            &[
                "failback to a in 4 min 58 s if it stays up",
                "b goes down after 2 more failures; then failover to a",
            ],
        );
        let endpoint = &explain(&failing, 3).targets[1].endpoints[0];
        assert_eq!((endpoint.failures, endpoint.fall), (1, 3));
        assert_eq!(endpoint.reason.as_deref(), Some("connection refused"));
        assert_eq!(endpoint.probes.iter().map(|p| p.said.letter()).collect::<String>(), "PF");
    }

    #[test]
    fn the_way_back() {
        let a_dead = usual().after(&[B4], A_DEAD);
        next(
            &a_dead,
            3,
            &[
                "a is up after 1 more pass; failback 5 min later",
                "b goes down after 1 more failure; then nothing that works is left, and the record stays",
            ],
        );
        let manual = case(|_, record| record.failback = FailbackMode::Manual).after(&[B4], WELL);
        next(
            &manual,
            3,
            &[
                "failback to a when a person says so: failover failback www.example.com",
                "b goes down after 1 more failure; then failover to a",
            ],
        );
    }

    #[test]
    fn unread_remembered_and_settling() {
        let mut decision = usual().after(&[A4, A6], &[]);
        decision.records.get_mut(&record().name).unwrap().hold = Some(Hold::Unread);
        next(&decision, 0, &["the provider is read"]);
        decision.records.get_mut(&record().name).unwrap().hold =
            Some(Hold::Remembered { target: "a".into() });
        next(&decision, 0, &["a is left if its probe fails, too; it is being probed now"]);
        let decision = case(|policy, _| policy.startup_grace = Duration::from_secs(30)).after(&[A4, A6], &[]);
        next(
            &decision,
            10,
            &["in 20 s it is decided without a verdict of a and 1 other, or as soon as there is one"],
        );
        assert_eq!(explain(&decision, 10).next[0].in_s, Some(20));
    }

    #[test]
    fn blind_and_awaiting_a_witness() {
        let witness = || case(|policy, _| policy.witnesses = BTreeSet::from(["w".into()]));
        let waits = witness().after(&[A4, A6], A_DEAD);
        next(&waits, 3, &["a counts as down as soon as a witness is seen alive"]);
        let mut blind = witness().after(&[A4, A6], WELL);
        let outcome = Outcome::Fail("no answer".into());
        let lost = Sighting { witness: "w".into(), started: at(2), ended: at(2), outcome };
        let _ = blind.handle(&now(2), Input::Witnessed(lost));
        next(&blind, 3, &["a witness that answers ends the blindness, and every verdict is formed anew"]);
        assert!(explain(&blind, 3).blind_since.is_some());
    }

    #[test]
    fn verifying_and_recovering() {
        let old: Probes<'_> = &[(1, B4, true), (2, A4, false), (2, A6, false)];
        let verifying = usual().after(&[A4, A6], old);
        next(&verifying, 3, &["the change is made as soon as b passes a probe; it is being probed now"]);
        let slow = case(|policy, _| {
            policy
                .targets
                .get_mut(&"a".into())
                .unwrap()
                .checks
                .get_mut(&"web".into())
                .unwrap()
                .thresholds
                .rise = 3;
        });
        let back: Probes<'_> =
            &[(1, B4, false), (1, A4, false), (1, A6, false), (3, A4, true), (3, A6, true), (4, B4, true)];
        next(&slow.after(&[A4, A6], back), 4, &["a is up again after 2 more passes, or fails and is left"]);
    }

    #[test]
    fn all_down_and_none_up() {
        let all: Probes<'_> = &[(1, A4, false), (1, A6, false), (1, B4, false)];
        let passes =
            ["a is up after 1 more pass, and serves then", "b is up after 1 more pass, and serves then"];
        next(&usual().after(&[A4, A6], all), 2, &passes);
        next(&usual().after(&[A4, A6], &[(1, B4, false)]), 2, &passes);
    }

    #[test]
    fn foreign_and_capability_need_a_person() {
        let decision = usual().after(&["192.0.2.99"], WELL);
        let why = explain(&decision, 2);
        assert_eq!((why.guards[0].guard.as_str(), refusing(&why)), ("foreign", 1));
        assert!(
            why.next[0]
                .text
                .starts_with("the change is written once foreign has nothing against it: if it may")
        );
        let one_by_one = Case { atomic: false, ..usual() };
        assert_eq!(explain(&one_by_one.after(&[A4, A6], A_DEAD), 3).guards[0].guard, "capability");
    }

    #[test]
    fn hold_down_says_until_when_whether_a_change_is_due_or_not() {
        let changed = SavedRecord { last_change: Some(at(-20)), ..SavedRecord::default() };
        let saved =
            || Saved { records: BTreeMap::from([(record().name, changed.clone())]), ..Saved::default() };
        let calm = Case { saved: saved(), ..usual() }.after(&[A4, A6], WELL);
        let guards = explain(&calm, 2).guards;
        assert_eq!((guards[0].guard.as_str(), guards[0].remedy.as_str()), ("hold_down", "over in 38 s"));
        assert!(guards[0].until.is_some());
        let due = Case { saved: saved(), ..usual() }.after(&[A4, A6], A_DEAD);
        assert_eq!(refusing(&explain(&due, 2)), 1);
        let text = "the change is written in 38 s, when hold_down ends";
        assert_eq!(explain(&due, 2).next[0].text, text);
        assert_eq!(refusing(&explain(&usual().after(&[A4, A6], WELL), 2)), 0);
    }

    #[test]
    fn the_guards_that_time_alone_may_satisfy() {
        for guard in [Guard::UnverifiedTarget, Guard::Family] {
            let mut decision = usual().after(&[A4, A6], WELL);
            let (text, remedy) = ("not up".to_owned(), "the change follows when it passes".to_owned());
            let refusal = Refusal { guard, text, remedy, until: None };
            decision.records.get_mut(&record().name).unwrap().refusal = Some(refusal);
            let why = explain(&decision, 2);
            assert_eq!(why.guards[0].guard, guard.as_str());
            let expected = format!("the change is written once {} has nothing against it", guard.as_str());
            assert!(why.next[0].text.starts_with(&expected), "{:?}", why.next);
        }
    }

    #[test]
    fn a_provider_in_trouble() {
        let mut decision = usual().after(&[A4, A6], WELL);
        let _ = decision.provider_renewed(&"zone".into());
        let result = Err(Fault::Auth("wrong key".into()));
        let _ = decision.handle(&now(2), Input::Read { record: record().name, result });
        let why = explain(&decision, 2);
        assert!(why.trouble.as_ref().is_some_and(|trouble| trouble.fault.contains("wrong key")), "{why:?}");
        assert_eq!(why.next[0].text, "the provider is tried again in 1 s");
    }

    #[test]
    fn nobody_is_explained_who_is_not_there() {
        let other = "other.example.com".parse().unwrap();
        assert_eq!(usual().after(&[A4, A6], WELL).explain(&now(2), &other), None);
    }
}
