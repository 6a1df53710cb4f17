//! The next moment at which something can change for a record, and what would make it. All words of it are here.

use std::time::Duration;

use jiff::Timestamp;
use providers::DomainName;
use serde::{Deserialize, Serialize};

use super::record::Phase;
use super::select::failback_due_at;
use super::{
    Decision, FailbackMode, Hold, Moment, Now, RecordPolicy, Serve, TargetId, Verdict, counted, human,
};

/// Something that can happen next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    /// What, and what would make it.
    pub text: String,
    /// When, if a clock brings it about; absent where something else must happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// In how many seconds that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_s: Option<u64>,
}

/// Steps as they are found.
struct Steps<'a> {
    now: &'a Now,
    found: Vec<NextStep>,
}

impl Steps<'_> {
    fn at(&mut self, at: Moment, text: impl FnOnce(&str) -> String) {
        let left = at.since(self.now.moment);
        let text = text(&human(left));
        self.found.push(NextStep { text, at: Some(self.now.wall_of(at)), in_s: Some(left.as_secs()) });
    }

    fn when(&mut self, text: impl Into<String>) {
        self.found.push(NextStep { text: text.into(), at: None, in_s: None });
    }
}

impl Decision {
    /// What can happen next to a record, soonest first; what no clock tells comes last.
    pub(super) fn next_steps(&self, now: &Now, name: &DomainName) -> Vec<NextStep> {
        let mut steps = Steps { now, found: Vec::new() };
        let (record, state) = (self.record(name), &self.records[name]);
        self.of_the_provider(&mut steps, name);
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
        match &state.hold {
            Some(hold) => self.of_the_hold(&mut steps, record, hold),
            None => {
                self.of_failback(&mut steps, name);
                self.of_failover(&mut steps, record, &state.current);
            }
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
                steps.when("a witness that answers ends the blindness, and every verdict is formed anew")
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
        let better = || record.tiers[..held].iter().flatten();
        if let Some(due) = failback_due_at(&self.view(steps.now.moment), record, &state.current) {
            let up = better().filter(|target| self.verdict(target) == Verdict::Up);
            let first = up.min_by_key(|target| self.targets.since(target, &self.policy, &self.sight));
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
            let several = self.policy.targets.get(target).is_some_and(|t| t.addresses.len() > 1);
            let each = if several { " at each of its addresses" } else { "" };
            let works = |other: &&TargetId| *other != target && self.verdict(other) == Verdict::Up;
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

    /// Failures until a target that is Up, or of which nothing is known, is Down: until each of its addresses is.
    fn failures_left(&self, target: &TargetId) -> Option<u32> {
        let addresses = &self.policy.targets.get(target)?.addresses;
        let of_address = |address: &std::net::IpAddr| {
            let endpoints = self.targets.endpoints(target).filter(move |(e, _)| e.address == *address);
            let left = endpoints.map(|(endpoint, tracker)| match tracker.verdict() {
                Verdict::Down => 0,
                _ => self.thresholds(endpoint).fall.saturating_sub(tracker.failures()).max(1),
            });
            left.min()
        };
        addresses.iter().filter_map(of_address).max().filter(|left| *left > 0)
    }

    /// Passes until a target is Up: until one of its addresses is by every check.
    fn passes_left(&self, target: &TargetId) -> Option<u32> {
        let addresses = &self.policy.targets.get(target)?.addresses;
        let of_address = |address: &std::net::IpAddr| {
            let endpoints = self.targets.endpoints(target).filter(move |(e, _)| e.address == *address);
            let left = endpoints.map(|(endpoint, tracker)| match tracker.verdict() {
                Verdict::Up => 0,
                Verdict::Unknown => 1,
                Verdict::Down => self.thresholds(endpoint).rise.saturating_sub(tracker.passes()).max(1),
            });
            left.max()
        };
        addresses.iter().filter_map(of_address).min().filter(|left| *left > 0)
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
