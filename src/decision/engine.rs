//! The state machine of the whole agent: events in, effects out. It owns every verdict and every record's state;
//! `reconcile.rs` has the part that follows a reading or a write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use providers::{DomainName, RecordSet, RecordType};

use super::record::{Phase, RecordState, Word};
use super::select::View;
use super::{
    ByName, Effect, Endpoint, Event, Hold, Input, Moment, Now, Overrides, Pace, Penalty, Policy,
    ProviderFace, ProviderId, RecordPolicy, SavedTracker, Sight, SightChange, Sighting, TargetId, Targets,
    Verdict, Work, say,
};

/// What an earlier run left behind.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Trackers by endpoint.
    pub trackers: BTreeMap<Endpoint, SavedTracker>,
    /// Records by name.
    pub records: BTreeMap<DomainName, SavedRecord>,
    /// Changes that were begun and never closed: they may have happened.
    pub unconfirmed: BTreeMap<DomainName, Work>,
    /// The keys under which certificates were told of.
    pub certificates: BTreeSet<String>,
    /// The overrides in force, or over meanwhile.
    pub overrides: Overrides,
}

/// What is kept of a record between two runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedRecord {
    /// The targets that served.
    pub current: Vec<TargetId>,
    /// When we last changed it.
    pub last_change: Option<Moment>,
    /// The running incident.
    pub incident: Option<String>,
    /// What was said and must not be said twice.
    pub said: BTreeMap<String, String>,
    /// What its changes add up to.
    pub penalty: Option<super::KeptPenalty>,
    /// The last marker that was followed.
    pub marker: Option<super::KnownMarker>,
    /// What the provider makes of our TTL.
    pub own_ttl: Option<super::OwnTtl>,
}

/// How the decision is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Decide, and write nothing: what would be written is kept as pending.
    pub dry: bool,
    /// Verdicts stay valid for at least this long without a probe: the age limit of a one-shot run.
    pub stale_floor: Duration,
    /// A one-shot run: a target that was probed and of which nothing can be known is not waited for.
    pub one_shot: bool,
}

/// All judgement over one configuration.
#[derive(Clone, Debug)]
pub struct Decision {
    pub(super) policy: Policy,
    pub(super) faces: BTreeMap<ProviderId, ProviderFace>,
    pub(super) options: Options,
    pub(super) targets: Targets,
    pub(super) sight: Sight,
    pub(super) records: ByName<DomainName, RecordState>,
    pub(super) certificates: super::certificates::Certificates,
    pub(super) overrides: Overrides,
    /// Whose turn it is, by provider.
    pub(super) lanes: BTreeMap<ProviderId, super::velocity::Lane>,
    /// Providers that cannot be used.
    pub(super) troubles: BTreeMap<ProviderId, super::troubles::Trouble>,
    /// The running incident of each target that is not well.
    pub(super) incidents: BTreeMap<TargetId, String>,
    /// The verdict last told of each target.
    pub(super) told: BTreeMap<TargetId, Verdict>,
    pub(super) unsettled: BTreeSet<Endpoint>,
    pub(super) witness_pace: Pace,
    pub(super) settles_until: Moment,
    pub(super) settled_reviewed: bool,
    /// How long an agent that nothing else wakes goes without looking for silence.
    pub(super) sweep: Duration,
    /// When it was last looked for.
    pub(super) swept: Moment,
    /// The next wake-up but for silence, as long as nothing has happened that could move it: most probes say what was known,
    /// and there may be ten thousand records to ask.
    pub(super) wakeup: Option<Moment>,
}

impl Decision {
    /// A decision over this policy, with what an earlier run left behind.
    pub fn new(
        policy: Policy,
        faces: BTreeMap<ProviderId, ProviderFace>,
        options: Options,
        saved: Saved,
        now: &Now,
    ) -> Self {
        let mut targets = Targets::new(&policy, &saved.trackers, now);
        let told = told_already(&targets);
        // What an earlier run found out too long ago is no verdict.
        targets.expire(now.moment, options.stale_floor);
        let sight = Sight::new(&policy.witnesses);
        let sweep = super::silence::sweep_every(&policy);
        let Saved { records: mut kept, mut unconfirmed, certificates, overrides, .. } = saved;
        let records = policy.records.keys().map(|name| {
            let SavedRecord { current, last_change, incident, said, penalty, marker, own_ttl } =
                kept.remove(name).unwrap_or_default();
            let penalty = penalty.map(|kept| Penalty::restore(&kept, now, &policy.records[name].flapping));
            let (penalty, corrected) =
                penalty.map_or((None, None), |(penalty, wrong)| (Some(penalty), wrong));
            let phase = unconfirmed.remove(name).map_or(Phase::Idle, |work| Phase::Confirming {
                work: Arc::new(work),
                word: Word::EarlierRun,
                tries: 0,
            });
            let known = RecordState {
                current,
                last_change,
                marker,
                incident,
                said,
                own_ttl,
                ..RecordState::default()
            };
            (name.clone(), RecordState { phase, penalty, corrected, ..known })
        });
        let records = records.collect();
        Decision {
            lanes: super::velocity::lanes(&policy, &records, BTreeMap::new()),
            records,
            settles_until: now.moment + policy.startup_grace,
            settled_reviewed: false,
            sweep,
            swept: now.moment,
            wakeup: None,
            witness_pace: Pace::Steady,
            unsettled: targets.iter().filter(|(_, t)| !t.is_settled()).map(|(e, _)| e.clone()).collect(),
            incidents: BTreeMap::new(),
            troubles: BTreeMap::new(),
            certificates: super::certificates::Certificates::new(&certificates),
            overrides,
            policy,
            faces,
            options,
            targets,
            sight,
            told,
        }
    }

    /// What is to be done first: read what is published, and go on where an earlier run was unsettled.
    pub fn start(&mut self, now: &Now) -> Vec<Effect> {
        let mut out: Vec<Effect> =
            self.unsettled.iter().map(|endpoint| Effect::Pace(endpoint.clone(), Pace::Fast)).collect();
        self.review_witness_pace(&mut out);
        for name in self.records.keys().cloned().collect::<Vec<_>>() {
            let state = self.state(&name);
            if state.phase == Phase::Idle {
                state.phase = Phase::Reading;
            }
            state.hold = Some(Hold::Unread);
            if let Some(wrong) = state.corrected.take() {
                let event = say::penalty_corrected(now, &name, &wrong);
                out.push(Effect::Say(Box::new(event), None));
                out.push(Effect::KeepRecord(name.clone()));
            }
            out.push(Effect::Read(name));
        }
        self.drop_lost_overrides(now, &mut out);
        self.expire_overrides(now, &mut out);
        out
    }

    /// Takes one event in and says what is to be done about it. The same state and the same input give the same
    /// effects, in the same order.
    #[must_use]
    pub fn handle(&mut self, now: &Now, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        if !matches!(input, Input::Observed(_)) {
            self.wakeup = None;
        }
        // Before anything else: nothing may be judged by verdicts that are too old, whatever woke us.
        self.sweep(now, &mut out);
        self.expire_overrides(now, &mut out);
        match input {
            Input::Observed(observation) => self.observed(now, &observation, &mut out),
            Input::Witnessed(sighting) => self.witnessed(now, &sighting, &mut out),
            Input::Read { record, result } if self.records.contains_key(&record) => {
                self.on_read(now, &record, result, &mut out);
            }
            Input::Written { record, result } if self.records.contains_key(&record) => {
                self.on_written(now, &record, result, &mut out);
            }
            Input::Unsent { record } if self.records.contains_key(&record) => {
                self.on_unsent(&record, &mut out);
            }
            Input::LookDue { record } if self.records.contains_key(&record) => {
                out.push(Effect::Look(record.clone()));
                // A refused wish is looked at again with each reading: somebody may have put the record right.
                let state = self.state(&record);
                let refused = state.phase == Phase::Idle && state.refusal.is_some() && state.fault.is_none();
                if refused || state.is_ready(now.moment) {
                    self.begin_read(&record, &mut out);
                }
            }
            Input::Looked { record, servers } if self.records.contains_key(&record) => {
                self.on_looked(now, &record, servers, &mut out);
            }
            Input::Propagated { record, change, servers, given_up } if self.records.contains_key(&record) => {
                self.on_propagated(now, &record, &change, servers, given_up, &mut out);
            }
            Input::Failback { record } if self.records.contains_key(&record) => {
                self.state(&record).failback_asked = true;
                self.evaluate(now, &record, &mut out);
            }
            Input::Override(order) => self.on_override(now, order, &mut out),
            Input::Ack { record } if self.records.contains_key(&record) => {
                self.acknowledged(now, &record, &mut out);
            }
            Input::Tick => self.tick(now, &mut out),
            // A record that was configured when this was asked for, and no longer is.
            Input::Read { .. }
            | Input::Written { .. }
            | Input::Unsent { .. }
            | Input::LookDue { .. }
            | Input::Looked { .. }
            | Input::Propagated { .. }
            | Input::Failback { .. }
            | Input::Ack { .. } => {}
        }
        if !out.is_empty() {
            self.wakeup = None;
        }
        out
    }

    pub(super) fn state(&mut self, name: &DomainName) -> &mut RecordState {
        self.wakeup = None;
        self.records.get_mut(name).expect("every caller has found the record")
    }

    pub(super) fn view(&self, now: Moment) -> View<'_> {
        View {
            now,
            policy: &self.policy,
            targets: &self.targets,
            sight: &self.sight,
            settles_until: self.settles_until,
            overrides: &self.overrides,
            one_shot: self.options.one_shot,
        }
    }

    /// The records of a target, in the order of their names.
    pub(super) fn records_of(&self, target: &TargetId) -> Arc<[DomainName]> {
        self.targets.records_of(target)
    }

    pub(super) fn record(&self, name: &DomainName) -> &RecordPolicy {
        self.policy.records.get(name).expect("records and their policies have the same names")
    }

    fn observed(&mut self, now: &Now, observation: &super::Observation, out: &mut Vec<Effect>) {
        if !self.sight.counts(observation.started) {
            return;
        }
        let Some(counted) = self.targets.hear(now, observation, self.options.stale_floor) else { return };
        self.saw_certificate(now, observation, out);
        let endpoint = &observation.endpoint;
        if counted.first_failure {
            if !self.policy.witnesses.is_empty() {
                out.push(Effect::ProbeWitnesses);
            }
            self.probe_fellows(endpoint, out);
        }
        if counted.settled_changed {
            if counted.settled {
                self.unsettled.remove(endpoint);
            } else {
                self.unsettled.insert(endpoint.clone());
            }
            out.push(Effect::Pace(endpoint.clone(), if counted.settled { Pace::Steady } else { Pace::Fast }));
            self.review_witness_pace(out);
        }
        if counted.verdict_changed {
            self.wakeup = None;
            // Nothing but silence makes it Unknown; here an outcome that counts nothing came before the next sweep.
            let silent = counted.verdict == Verdict::Unknown;
            self.review_target(now, &endpoint.target.clone(), silent, out);
        } else {
            self.review_waiting(now, &endpoint.target, out);
        }
    }

    /// A pass may be the proof that a change waits for, and a failure the end of a recovery that it waited for.
    fn review_waiting(&mut self, now: &Now, target: &TargetId, out: &mut Vec<Effect>) {
        let waits = |name: &&DomainName| {
            let hold = self.records.get(name).and_then(|state| state.hold.as_ref());
            matches!(hold, Some(Hold::Verifying { .. } | Hold::Recovering { .. } | Hold::Remembered { .. }))
        };
        let waiting: Vec<DomainName> = self.records_of(target).iter().filter(waits).cloned().collect();
        for name in waiting {
            self.evaluate(now, &name, out);
        }
    }

    /// Whatever may be published instead of a failing endpoint must prove that it works since now: see
    /// [`Hold::Verifying`].
    fn probe_fellows(&self, failing: &Endpoint, out: &mut Vec<Effect>) {
        let records = self.records_of(&failing.target);
        let fellows: BTreeSet<&TargetId> =
            records.iter().flat_map(|name| self.record(name).targets()).collect();
        for target in fellows {
            let endpoints = self.targets.endpoints(target).map(|(endpoint, _)| endpoint);
            out.extend(endpoints.filter(|one| *one != failing).cloned().map(Effect::Probe));
        }
    }

    fn witnessed(&mut self, now: &Now, sighting: &Sighting, out: &mut Vec<Effect>) {
        let waiting: Vec<TargetId> = self.targets.awaiting_witness(&self.sight).cloned().collect();
        match self.sight.count(sighting) {
            Some(SightChange::WentBlind) => {
                out.push(Effect::Say(Box::new(say::went_blind(now, sighting)), None));
                self.evaluate_all(now, out);
            }
            Some(SightChange::Sighted { since }) => self.begin_anew(now, say::sighted(now, since), out),
            None => {}
        }
        self.review_witness_pace(out);
        // A witness that vouches turns a doubtful Down into a real one.
        for target in waiting {
            if !self.targets.awaits_witness(&target, &self.sight) {
                self.review_target(now, &target, false, out);
            }
        }
        // A verdict that an earlier run has told already is no news, but its records may have waited for this word.
        if sighting.outcome == super::Outcome::Pass {
            self.review_held(now, |hold| matches!(hold, Hold::AwaitingWitness { .. }), out);
        }
    }

    /// Looks again at the records that are held for such a reason.
    fn review_held(&mut self, now: &Now, reason: fn(&Hold) -> bool, out: &mut Vec<Effect>) {
        let held = self.records.iter().filter(|(_, state)| state.hold.as_ref().is_some_and(reason));
        for name in held.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.evaluate(now, &name, out);
        }
    }

    /// What was counted may be our own trouble, or too old to act upon: every verdict is formed anew.
    pub(super) fn begin_anew(&mut self, now: &Now, event: Event, out: &mut Vec<Effect>) {
        self.targets.forget();
        self.settles_until = now.moment + self.policy.startup_grace;
        self.settled_reviewed = false;
        for endpoint in std::mem::take(&mut self.unsettled) {
            out.push(Effect::Pace(endpoint, Pace::Steady));
        }
        out.push(Effect::Say(Box::new(event), None));
        out.push(Effect::ProbeTargets);
        self.review_witness_pace(out);
        self.evaluate_all(now, out);
    }

    pub(super) fn review_witness_pace(&mut self, out: &mut Vec<Effect>) {
        let doubtful = self.sight.is_doubtful() || !self.unsettled.is_empty();
        let pace = if doubtful { Pace::Fast } else { Pace::Steady };
        if pace != self.witness_pace {
            self.witness_pace = pace;
            out.extend(self.policy.witnesses.iter().map(|w| Effect::WitnessPace(w.clone(), pace)));
        }
    }

    pub(super) fn verdict(&self, target: &TargetId) -> Verdict {
        self.targets.target(target, &self.sight)
    }

    /// Tells a target's new verdict, once, and looks at its records again.
    pub(super) fn review_target(
        &mut self,
        now: &Now,
        target: &TargetId,
        silent: bool,
        out: &mut Vec<Effect>,
    ) {
        let verdict = self.verdict(target);
        let told = self.told.get(target).copied();
        let news = match (told, verdict) {
            (Some(before), verdict) if before == verdict => false,
            // The first verdict is no news, unless it is bad.
            (None, Verdict::Up) => false,
            // A verdict that ends in silence is news; one that is formed anew after blindness is not.
            (_, Verdict::Unknown) => silent && told.is_some(),
            _ => true,
        };
        if verdict != Verdict::Unknown || news {
            self.told.insert(target.clone(), verdict);
        }
        if verdict == Verdict::Down && !self.incidents.contains_key(target) {
            let at = now.wall.strftime("%Y%m%dT%H%M%SZ");
            self.incidents.insert(target.clone(), format!("{target}-{at}"));
        }
        if news {
            let mut event = say::target_changed(now, target, verdict, &self.targets, &self.sight);
            event.next = self.next_for(now, target, verdict);
            event.incident = self.incidents.get(target).cloned();
            if verdict == Verdict::Up {
                self.incidents.remove(target);
            }
            out.push(Effect::Say(Box::new(event), None));
        }
        out.push(Effect::KeepTarget(target.clone()));
        for name in self.records_of(target).iter() {
            self.evaluate(now, name, out);
        }
    }

    fn tick(&mut self, now: &Now, out: &mut Vec<Effect>) {
        self.settled_reviewed |= now.moment >= self.settles_until;
        self.evaluate_all(now, out);
        self.tell_of_queues(now, out);
    }

    /// Every record's name.
    pub fn record_names(&self) -> impl Iterator<Item = &DomainName> {
        self.records.keys()
    }
}

/// The verdicts that an earlier run has told already, by the trackers that it kept.
fn told_already(kept: &Targets) -> BTreeMap<TargetId, Verdict> {
    let sight = Sight::default();
    let formed = kept.verdicts(&sight).filter(|(_, verdict)| *verdict != Verdict::Unknown);
    formed.map(|(target, verdict)| (target.clone(), verdict)).collect()
}

/// Values of record sets as a person reads them.
pub(super) fn values_of(sets: &BTreeMap<RecordType, RecordSet>) -> String {
    if sets.is_empty() {
        return "nothing".into();
    }
    let ttls: BTreeSet<String> = sets.values().map(|set| set.ttl.to_string()).collect();
    let values: Vec<String> = sets.values().flat_map(|set| set.values.to_strings()).collect();
    format!("{} (TTL {})", values.join(", "), ttls.into_iter().collect::<Vec<_>>().join(" and "))
}

#[cfg(test)]
mod tests;
