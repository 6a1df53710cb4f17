//! What is known, as a report: for `status`, `plan` and `once`, for people and in a stable JSON form.

use jiff::Timestamp;
use providers::{Change, DomainName};
use serde::{Deserialize, Serialize};

use super::coordinate::generation_of;
use super::record::Phase;
use super::select::failback_due_at;
use super::{
    CheckId, Decision, Moment, Motive, Now, Outcome, OverrideReport, Place, ProviderId, TargetId, Verdict,
    WitnessId, human, say,
};

/// Everything that is known now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When the report was made.
    pub time: Timestamp,
    /// Since when the agent is cut off, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind_since: Option<Timestamp>,
    /// The records, by name.
    pub records: Vec<RecordReport>,
    /// The targets, by name.
    pub targets: Vec<TargetReport>,
    /// The witnesses, by name.
    pub witnesses: Vec<WitnessReport>,
    /// What a person orders, by kind and subject.
    #[serde(default)]
    pub overrides: Vec<OverrideReport>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordStatus {
    /// It holds what it should.
    InSync,
    /// In a dry run: a change would be written.
    Pending,
    /// A change is being written or proved.
    Changing,
    /// It is left as it is; `reason` says why.
    Holding,
    /// A change is due and a guard withholds it.
    Refused,
    /// The provider cannot be read or written.
    Failed,
    /// It has not been looked at yet.
    Unread,
}

impl RecordStatus {
    /// Every one.
    pub const ALL: [RecordStatus; 7] = [
        RecordStatus::InSync,
        RecordStatus::Pending,
        RecordStatus::Changing,
        RecordStatus::Holding,
        RecordStatus::Refused,
        RecordStatus::Failed,
        RecordStatus::Unread,
    ];

    /// The stable name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordStatus::InSync => "in_sync",
            RecordStatus::Pending => "pending",
            RecordStatus::Changing => "changing",
            RecordStatus::Holding => "holding",
            RecordStatus::Refused => "refused",
            RecordStatus::Failed => "failed",
            RecordStatus::Unread => "unread",
        }
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReport {
    /// The name.
    pub name: DomainName,
    /// Where it is written.
    pub provider: ProviderId,
    /// Where it stands.
    pub status: RecordStatus,
    /// The targets that serve now.
    pub targets: Vec<TargetId>,
    /// What is published, as last read.
    pub values: Vec<String>,
    /// The published TTL in seconds; the longest where the families differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// Why it stands there.
    pub reason: String,
    /// The guard that withholds a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// What a person can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// What would be, or is being, written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeReport>,
    /// When we last changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<Timestamp>,
    /// Its marker, where several agents look after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<super::MarkerReport>,
    /// When the last cache that holds an older answer will have dropped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_by: Option<Timestamp>,
    /// Changes written and confirmed since the agent started.
    pub changes_made: u32,
    /// What happens next by itself, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What the authoritative servers were last seen to serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerReport>,
}

/// A change that would be, or is being, written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeReport {
    /// `failover`, `failback` or `adjust`.
    pub kind: String,
    /// The targets that would serve.
    pub targets: Vec<TargetId>,
    /// Record sets before and after, sorted by type.
    pub changes: Vec<Change>,
    /// The generation that it gives the marker, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// By when caches would have dropped the old answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_by: Option<Timestamp>,
}

/// One authoritative server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerReport {
    /// Its name and address.
    pub server: String,
    /// What it serves, or why that is not known.
    pub serves: String,
    /// Does it serve what the provider holds?
    pub agrees: bool,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    /// The target.
    pub name: TargetId,
    /// Its verdict.
    pub verdict: Verdict,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What is probed of it.
    pub endpoints: Vec<EndpointReport>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// The address, or the host name.
    pub address: Place,
    /// The check.
    pub check: CheckId,
    /// The verdict of this place by this check.
    pub verdict: Verdict,
    /// Failures counted.
    pub failures: u32,
    /// Passes in a row.
    pub passes: u32,
    /// When it was probed last in this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// What that probe said: in JSON the two keys `outcome` and, but for a pass, `reason`.
    #[serde(flatten)]
    pub outcome: Option<Outcome>,
}

/// One witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessReport {
    /// The witness.
    pub name: WitnessId,
    /// Was it seen when last probed? Absent before the first probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<bool>,
}

/// Faults in a row after which a plan is given up.
const PLAN_TRIES: u32 = 3;

impl Decision {
    /// What is known now.
    pub fn report(&self, now: &Now) -> Report {
        Report {
            time: now.wall,
            blind_since: self.sight.blind_since().map(|m| now.wall_of(m)),
            records: self.records.keys().map(|name| self.record_report(now, name)).collect(),
            targets: self.policy.targets.keys().map(|id| self.target_report(now, id)).collect(),
            witnesses: self
                .sight
                .witnesses()
                .map(|(id, seen)| WitnessReport { name: id.clone(), seen })
                .collect(),
            overrides: self.overrides.iter(now.moment).map(|order| order.report(now)).collect(),
        }
    }

    pub(super) fn target_report(&self, now: &Now, id: &TargetId) -> TargetReport {
        let endpoints = self.targets.endpoints(id).map(|(endpoint, tracker)| {
            let last = self.targets.last(endpoint);
            EndpointReport {
                address: endpoint.address.clone(),
                check: endpoint.check.clone(),
                verdict: tracker.verdict(),
                failures: tracker.failures(),
                passes: tracker.passes(),
                last: last.map(|(at, _)| now.wall_of(*at)),
                outcome: last.map(|(_, outcome)| outcome.clone()),
            }
        });
        TargetReport {
            name: id.clone(),
            verdict: self.verdict(id),
            since: self.targets.since(id, &self.sight).map(|m| now.wall_of(m)),
            endpoints: endpoints.collect(),
        }
    }

    pub(super) fn record_report(&self, now: &Now, name: &DomainName) -> RecordReport {
        let record = self.record(name);
        let state = &self.records[name];
        let (status, reason) = self.standing(now.moment, name);
        let side = state.snapshot.as_ref().map(|s| say::side(&self.policy, record, s)).unwrap_or_default();
        let work = match &state.phase {
            Phase::Writing(work) | Phase::Confirming { work, .. } => Some(work),
            Phase::Idle | Phase::Reading => state.pending.as_ref(),
        };
        let held = state.snapshot.as_ref().map(|s| &s.sets);
        RecordReport {
            name: name.clone(),
            provider: record.provider.clone(),
            status,
            // Before the first reading: what an earlier run knew.
            targets: if state.snapshot.is_some() { side.targets } else { state.current.clone() },
            values: side.values,
            ttl: state
                .snapshot
                .as_ref()
                .and_then(providers::Snapshot::longest_ttl)
                .map(providers::Ttl::seconds),
            reason,
            guard: state.refusal.as_ref().map(|r| r.guard.as_str().to_owned()),
            remedy: state.refusal.as_ref().map(|r| r.remedy.clone()),
            change: work.map(|work| ChangeReport {
                kind: kind(work.motive).to_owned(),
                targets: work.targets.clone(),
                changes: work.swap.changes(),
                generation: generation_of(work.swap.marker.as_ref()),
                reason: work.completed.reason.clone(),
                effective_by: work.completed.effective_by,
            }),
            last_change: state.last_change.map(|m| now.wall_of(m)),
            marker: self.marker_report(now, name),
            effective_by: state.effective_by.map(|m| now.wall_of(m)),
            changes_made: state.changes,
            next: self.next_step(now.moment, name),
            servers: state
                .live
                .iter()
                .map(|(server, (seen, _))| ServerReport {
                    server: server.clone(),
                    serves: match seen {
                        Ok(sets) => super::engine::values_of(sets),
                        Err(why) => format!("unknown: {why}"),
                    },
                    agrees: matches!((seen, held), (Ok(sets), Some(held)) if sets == held),
                })
                .collect(),
        }
    }

    /// Where a record stands, and why.
    fn standing(&self, now: Moment, name: &DomainName) -> (RecordStatus, String) {
        let state = &self.records[name];
        if matches!(state.phase, Phase::Writing(_) | Phase::Confirming { .. }) {
            return (RecordStatus::Changing, "a change is being written".into());
        }
        if let Some(fault) = &state.fault {
            return (RecordStatus::Failed, fault.to_string());
        }
        if let Some(work) = &state.pending {
            return (RecordStatus::Pending, work.completed.reason.clone().unwrap_or_default());
        }
        if let Some(refusal) = &state.refusal {
            return (RecordStatus::Refused, refusal.text.clone());
        }
        match &state.hold {
            Some(super::Hold::Unread) => return (RecordStatus::Unread, super::Hold::Unread.text()),
            Some(hold) => return (RecordStatus::Holding, hold.text()),
            None => {}
        }
        let (Some(wish), Some(_)) = (&state.wish, &state.snapshot) else {
            return (RecordStatus::Unread, super::Hold::Unread.text());
        };
        if wish.motive == Motive::AllDown {
            return (
                RecordStatus::InSync,
                format!("every target is down; {}", super::all_down::serves(wish)),
            );
        }
        let names = wish.targets.iter().map(TargetId::as_str).collect::<Vec<_>>().join(" + ");
        let since = wish.targets.first().and_then(|t| self.targets.since(t, &self.sight));
        let held = since.map_or_else(String::new, |s| format!(" for {}", human(now.since(s))));
        (RecordStatus::InSync, format!("{names} has been up{held}"))
    }

    /// The next thing that can happen by itself.
    fn next_step(&self, now: Moment, name: &DomainName) -> Option<String> {
        let state = &self.records[name];
        let record = self.record(name);
        if state.fault.is_some() {
            // A one-shot run that tells this has ended.
            if self.options.one_shot {
                return None;
            }
            return state.retry_at.map(|at| format!("tried again in {}", human(at.since(now))));
        }
        if let Some(refusal) = &state.refusal {
            return refusal.until.map(|at| format!("allowed in {}", human(at.since(now))));
        }
        let due = failback_due_at(&self.view(now), record, &state.current)?;
        Some(format!("failback to the better target in {}", human(due.since(now))))
    }

    /// Is some change still on its way to the authoritative servers?
    pub fn is_propagating(&self) -> bool {
        self.records.values().any(|state| state.propagating.is_some())
    }

    /// Is there nothing left to find out or to do right now? A one-shot run ends here.
    ///
    /// Every endpoint was probed in this run, no failure waits for its confirmation, no Down for a witness, and
    /// every record is in sync, held, refused, pending, or fails in a way that time alone will not mend.
    pub fn is_quiescent(&self) -> bool {
        let blind = self.sight.blind_since().is_some();
        let confirmed =
            |(endpoint, tracker): (&super::Endpoint, &super::Tracker)| match self.targets.last(endpoint) {
                None => false,
                Some((_, Outcome::Fail(_))) => tracker.verdict() == Verdict::Down,
                Some(_) => true,
            };
        let probed = blind
            || (self.targets.iter().all(confirmed)
                && !self.policy.targets.keys().any(|t| self.targets.awaits_witness(t, &self.sight)));
        // Who waits for a turn at a provider is told of a moment later; a dry run tells nobody.
        let told = self.options.dry || self.next_queue_news().is_none();
        probed && told && self.records.values().all(|state| self.is_at_rest(state))
    }

    fn is_at_rest(&self, state: &super::record::RecordState) -> bool {
        if state.phase != Phase::Idle {
            return false;
        }
        if let Some(fault) = &state.fault {
            // A plan that cannot be made is said soon; a one-shot run uses its time, for something may have to be done.
            return !fault.is_transient() || (self.options.dry && state.faults >= PLAN_TRIES);
        }
        state.snapshot.is_some()
            && (state.pending.is_some()
                || state.refusal.is_some()
                || state.hold.as_ref().is_some_and(|hold| !matches!(hold, super::Hold::Verifying { .. }))
                || self.is_in_sync(state))
    }

    fn is_in_sync(&self, state: &super::record::RecordState) -> bool {
        let (Some(snapshot), Some(wish)) = (&state.snapshot, &state.wish) else { return false };
        self.holds(&snapshot.name, &self.stored_form(self.record(&snapshot.name), wish))
    }
}

fn kind(motive: Motive) -> &'static str {
    match motive {
        Motive::Failover | Motive::AllDown => "failover",
        Motive::Failback => "failback",
        Motive::Stay => "adjust",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use providers::{Fault, Snapshot};

    use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
    use super::super::{Effect, Input, Options, ProviderFace, Saved};
    use super::*;

    fn now(second: i64) -> Now {
        Now { moment: at(second), wall: Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second) }
    }

    /// Every endpoint was probed, and those of `a` said this; the first reading is under way.
    fn probed(dry: bool, a_works: bool) -> Decision {
        let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
        let faces = BTreeMap::from([("zone".into(), face)]);
        let options = Options { dry, ..Options::default() };
        let mut decision = Decision::new(policy(), faces, options, Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        for (second, address, passed) in [(1, A4, a_works), (1, A6, a_works), (2, B4, true)] {
            let seen = observation("web", address, (second, second), Some(passed));
            let _ = decision.handle(&now(second), Input::Observed(seen));
        }
        decision
    }

    fn reads(decision: &mut Decision, second: i64, result: Result<Snapshot, Fault>) -> Vec<Effect> {
        decision.handle(&now(second), Input::Read { record: record().name, result })
    }

    #[test]
    fn a_plan_is_given_up_after_a_few_readings_that_fail_and_a_run_for_what_only_a_person_mends() {
        let ends_after = |dry: bool, fault: fn() -> Fault| {
            let mut decision = probed(dry, true);
            (1..=2 * PLAN_TRIES).find(|attempt| {
                let second = 2 + i64::from(*attempt) * 40;
                for address in [A4, A6, B4] {
                    let seen = observation("web", address, (second, second), Some(true));
                    let _ = decision.handle(&now(second), Input::Observed(seen));
                }
                let _ = reads(&mut decision, second, Err(fault()));
                decision.is_quiescent()
            })
        };
        let down = || Fault::Unavailable("refused".into());
        assert_eq!((ends_after(true, down), ends_after(false, down)), (Some(PLAN_TRIES), None));
        let refused = || Fault::Auth("the key is refused".into());
        assert_eq!((ends_after(true, refused), ends_after(false, refused)), (Some(1), Some(1)));
    }

    #[test]
    fn what_a_plan_would_do_has_the_name_of_its_kind() {
        for (a_works, held, kind) in
            [(false, &[A4, A6][..], "failover"), (true, &[B4], "failback"), (true, &[A4], "adjust")]
        {
            let mut decision = probed(true, a_works);
            let _ = reads(&mut decision, 2, Ok(holding(held)));
            let _ = decision.handle(&now(2), Input::Failback { record: record().name });
            let _ = reads(&mut decision, 2, Ok(holding(held)));
            let change = decision.report(&now(2)).records[0].change.clone();
            assert_eq!(change.map(|change| change.kind).as_deref(), Some(kind));
        }
    }

    #[test]
    fn a_change_is_on_its_way_until_its_servers_have_it() {
        let mut decision = probed(false, false);
        let out = reads(&mut decision, 2, Ok(holding(&[A4, A6])));
        assert!(out.iter().any(|effect| matches!(effect, Effect::Write(_))), "{out:?}");
        assert!(!decision.is_propagating(), "not written yet");
        let _ = decision.handle(&now(3), Input::Written { record: record().name, result: Ok(()) });
        let out = reads(&mut decision, 3, Ok(holding(&[B4])));
        let watch = out.into_iter().find_map(|effect| match effect {
            Effect::Watch(watch) => Some(watch.change),
            _ => None,
        });
        assert!(decision.is_propagating());
        let arrived = Input::Propagated {
            record: record().name,
            change: watch.unwrap(),
            servers: Vec::new(),
            given_up: false,
        };
        let _ = decision.handle(&now(4), arrived);
        assert!(!decision.is_propagating());
    }
}
