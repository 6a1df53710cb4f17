//! Why a record is where it is: everything that was weighed, as values. `explain_next.rs` has what can change it.

use jiff::Timestamp;
use providers::DomainName;
use serde::{Deserialize, Serialize};

use super::{
    ChangeUnderWay, CheckId, Decision, Endpoint, Letter, NextStep, Now, Outcome, OverrideReport, Place,
    ProviderId, RecordReport, TargetId, Tracker, Verdict,
};

/// Why one record is where it is. The form of `explain -o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// When it was explained.
    pub time: Timestamp,
    /// Since when the agent is cut off, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_since: Option<Timestamp>,
    /// Where the record stands, as in `status`.
    pub record: RecordReport,
    /// Since when that is published, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_since: Option<Timestamp>,
    /// The targets that should serve; absent while the record is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wish: Vec<TargetId>,
    /// The change that is under way, and how far it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeUnderWay>,
    /// Every guard and what it sees: those that refuse a change now come first.
    pub guards: Vec<GuardExplained>,
    /// What a person orders of this record, of its targets, or of every record.
    pub overrides: Vec<OverrideReport>,
    /// The provider's trouble, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<ProviderTrouble>,
    /// The record's targets, in order of priority.
    pub targets: Vec<TargetExplained>,
    /// What can happen next, soonest first; what no clock tells comes last.
    pub next: Vec<NextStep>,
}

/// A guard, and what it sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardExplained {
    /// Its name.
    pub guard: String,
    /// Does it refuse a change now, or would it?
    #[serde(default = "yes")]
    pub refuses: bool,
    /// What it sees.
    pub text: String,
    /// What a person can do, or when it is over.
    pub remedy: String,
    /// When it lets changes through by itself, if it will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// An agent of an earlier version tells only of guards that refuse.
fn yes() -> bool {
    true
}

/// A provider that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderTrouble {
    /// Which.
    pub provider: ProviderId,
    /// Since when.
    pub since: Timestamp,
    /// What it said last.
    pub fault: String,
}

/// One target of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetExplained {
    /// The target.
    pub name: TargetId,
    /// Its priority, 1 for the best; several may share one.
    pub tier: usize,
    /// Is it published?
    pub serves: bool,
    /// Its verdict.
    pub verdict: Verdict,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What is counted of it.
    pub endpoints: Vec<EndpointExplained>,
}

/// One endpoint, with its counters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointExplained {
    /// The address, or the host name.
    pub address: Place,
    /// The check.
    pub check: CheckId,
    /// The verdict.
    pub verdict: Verdict,
    /// Failures counted.
    pub failures: u32,
    /// So many make it Down.
    pub fall: u32,
    /// Passes in a row.
    pub passes: u32,
    /// So many make it Up again.
    pub rise: u32,
    /// The last probes, oldest first.
    pub probes: Vec<ProbeSeen>,
    /// Why the last probe was no pass; of one that is Down, why it last failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSeen {
    /// When it ended.
    pub at: Timestamp,
    /// What it said.
    pub said: Letter,
    /// How long it took, microseconds.
    pub took_us: u64,
}

impl Decision {
    /// Why a record is where it is; `None` when there is no such record.
    pub fn explain(&self, now: &Now, name: &DomainName) -> Option<Explanation> {
        let state = self.records.get(name)?;
        let record = self.record(name);
        let report = self.record_report(now, name);
        let targets = record.targets().map(|target| {
            let serves = report.targets.contains(target);
            let tier = record.tier_of(target).unwrap_or_default() + 1;
            self.target_explained(now, target, tier, serves)
        });
        let since = state.shown_since.or(state.last_change);
        let trouble = self.troubles.get(&record.provider).map(|trouble| ProviderTrouble {
            provider: record.provider.clone(),
            since: now.wall_of(trouble.since),
            fault: state.fault.as_ref().map_or_else(|| "it could not be used".into(), ToString::to_string),
        });
        Some(Explanation {
            time: now.wall,
            blind_since: self.sight.blind_since().map(|m| now.wall_of(m)),
            published_since: since.map(|m| now.wall_of(m)),
            wish: state.wish.as_ref().map(|wish| wish.targets.clone()).unwrap_or_default(),
            change: self.change_under_way(now, name),
            guards: self.guards_explained(now, name),
            overrides: self.orders_of(now, name).map(|order| order.report(now)).collect(),
            trouble,
            targets: targets.collect(),
            next: self.next_steps(now, name),
            record: report,
        })
    }

    fn target_explained(&self, now: &Now, target: &TargetId, tier: usize, serves: bool) -> TargetExplained {
        let report = self.target_report(now, target);
        let endpoints = self.targets.endpoints(target).map(|(e, t)| self.endpoint_explained(now, e, t));
        TargetExplained {
            name: target.clone(),
            tier,
            serves,
            verdict: report.verdict,
            since: report.since,
            endpoints: endpoints.collect(),
        }
    }

    fn endpoint_explained(&self, now: &Now, endpoint: &Endpoint, tracker: &Tracker) -> EndpointExplained {
        let thresholds = self.thresholds(endpoint);
        let probes = self.targets.last_probes(endpoint).map(|glance| ProbeSeen {
            at: now.wall_of(glance.at),
            said: glance.said,
            took_us: u64::try_from(glance.took.as_micros()).unwrap_or(u64::MAX),
        });
        let last = self.targets.last(endpoint).map(|(_, outcome)| outcome);
        let reason = match last {
            Some(Outcome::Pass) | None => None,
            Some(outcome) => Some(outcome.reason().to_owned()),
        };
        let failed = || self.targets.complaint_of(&endpoint.target, &endpoint.address);
        EndpointExplained {
            address: endpoint.address.clone(),
            check: endpoint.check.clone(),
            verdict: tracker.verdict(),
            failures: tracker.failures(),
            fall: thresholds.fall,
            passes: tracker.passes(),
            rise: thresholds.rise,
            probes: probes.collect(),
            reason: reason.or_else(|| failed().filter(|_| tracker.verdict() == Verdict::Down)),
        }
    }

    pub(super) fn thresholds(&self, endpoint: &Endpoint) -> super::Thresholds {
        let check = self.policy.targets.get(&endpoint.target).and_then(|t| t.checks.get(&endpoint.check));
        check.map_or(super::Thresholds { fall: 1, rise: 1, clear: 1 }, |check| check.thresholds)
    }

    /// Until when no change is allowed after the last one, if that is still to come.
    pub(super) fn held_down_until(&self, now: &Now, name: &DomainName) -> Option<super::Moment> {
        let until = self.held_since(name)? + self.record(name).hold_down;
        (until > now.moment).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
    use super::super::{Input, Options, Policy, Saved};
    use super::*;

    fn decision(policy: Policy, saved: Saved) -> Decision {
        let now = Now { moment: at(0), wall: Timestamp::UNIX_EPOCH };
        let mut decision = Decision::new(policy, BTreeMap::new(), Options::default(), saved, &now);
        let _ = decision.start(&now);
        decision
    }

    #[test]
    fn a_picture_is_shown_since_the_reading_that_found_it_changed() {
        let now = |second: i64| Now {
            moment: at(second),
            wall: Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second),
        };
        let mut decision = decision(policy(), Saved::default());
        let first = &[A4, A6][..];
        for (second, held, since) in [
            (1, first, None),
            (2, first, None),
            (3, &[B4], Some(3)),
            (4, &[B4], Some(3)),
            (5, first, Some(5)),
        ] {
            let read = Input::Read { record: record().name, result: Ok(holding(held)) };
            let _ = decision.handle(&now(second), read);
            let explained = decision.explain(&now(9), &record().name).unwrap();
            assert_eq!(explained.published_since, since.map(|second| now(second).wall), "{second}");
        }
    }

    /// Where a pass does not make a target Up yet, nor one failure Down.
    #[test]
    fn who_is_down_has_the_failure_for_a_reason_though_it_passes_again_and_who_is_up_has_none() {
        let now = Now { moment: at(9), wall: Timestamp::UNIX_EPOCH };
        for (fall, verdict, reason) in
            [(1, Verdict::Down, Some("connection refused")), (2, Verdict::Up, None)]
        {
            let mut policy = policy();
            for check in policy.targets.values_mut().flat_map(|target| target.checks.values_mut()) {
                (check.thresholds.fall, check.thresholds.rise) = (fall, 2);
            }
            let mut decision = decision(policy, Saved::default());
            for (second, passed) in [(1, true), (2, true), (3, false), (4, true)] {
                let seen = observation("web", B4, (second, second), Some(passed));
                let _ = decision.handle(&now, Input::Observed(seen));
            }
            let explained = decision.explain(&now, &record().name).unwrap();
            let tiers: Vec<(&str, usize)> =
                explained.targets.iter().map(|target| (target.name.as_str(), target.tier)).collect();
            assert_eq!(tiers, [("a", 1), ("b", 2)]);
            let endpoint = &explained.targets[1].endpoints[0];
            assert_eq!((endpoint.verdict, endpoint.reason.as_deref()), (verdict, reason), "fall {fall}");
        }
    }

    #[test]
    fn a_guard_of_an_earlier_version_refuses() {
        let text = r#"{"guard": "flapping", "text": "it flaps", "remedy": "wait"}"#;
        assert!(serde_json::from_str::<GuardExplained>(text).unwrap().refuses);
    }

    #[test]
    fn the_guard_that_refused_comes_first_then_others_that_refuse_then_those_that_do_not() {
        let kept = super::super::SavedRecord { last_change: Some(at(-5)), ..Default::default() };
        let saved = Saved { records: BTreeMap::from([(record().name, kept)]), ..Saved::default() };
        let mut decision = decision(policy(), saved);
        let now = |second| Now { moment: at(second), wall: Timestamp::UNIX_EPOCH };
        let held = holding(&[A4, A6, "192.0.2.99"]);
        let read = || Input::Read { record: record().name, result: Ok(held.clone()) };
        let _ = decision.handle(&now(0), read());
        for (second, address, passed) in [(1, B4, true), (2, A4, false), (2, A6, false), (3, B4, true)] {
            let seen = observation("web", address, (second, second), Some(passed));
            let _ = decision.handle(&now(second), Input::Observed(seen));
        }
        let _ = decision.handle(&now(4), read());
        let guards = decision.explain(&now(4), &record().name).unwrap().guards;
        let seen: Vec<(&str, bool)> =
            guards.iter().map(|guard| (guard.guard.as_str(), guard.refuses)).collect();
        assert_eq!(seen[..2], [("foreign", true), ("hold_down", true)], "{seen:?}");
        assert!(seen[2..].iter().all(|(_, refuses)| !refuses), "{seen:?}");
    }
}
