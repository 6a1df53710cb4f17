//! Another policy for a decision that goes on: what stays keeps what is known of it.
//!
//! | of | that stays | that is new | that is gone |
//! |---|---|---|---|
//! | endpoint (target, address, check) | counters, verdict, last words | no verdict | forgotten |
//! | target | its incident and what was told of it | a first verdict is no news, unless it is bad | forgotten |
//! | record | everything; with other settings it is read and judged anew | read first, held for a grace of its own | forgotten, its doubtful change closed |
//! | override | goes on | | ended, and told |
//! | witness | its last word | not asked yet; while blind: not seen | forgotten |

use std::collections::{BTreeMap, BTreeSet};

use providers::DomainName;

use super::record::{Phase, RecordState};
use super::{
    Decision, Effect, Hold, Now, Pace, Policy, ProviderFace, ProviderId, SightChange, TargetId, Targets,
    Verdict, owners, say,
};

impl Decision {
    /// Goes on with another policy. Verdicts, counters, incidents and open changes stay wherever their subject does;
    /// the same policy changes nothing. Nothing is written from here: that takes a fresh reading.
    ///
    /// A record that is gone while [`Decision::is_changing`] loses its open change: it is closed as one that is not
    /// known to have happened. Wait for it first.
    #[must_use]
    pub fn reconfigure(
        &mut self,
        now: &Now,
        policy: Policy,
        faces: BTreeMap<ProviderId, ProviderFace>,
    ) -> Vec<Effect> {
        let mut out = Vec::new();
        self.wakeup = None;
        self.faces = faces;
        let faces = &self.faces;
        self.troubles.retain(|provider, _| faces.contains_key(provider));
        if self.policy == policy {
            return out;
        }
        let before: BTreeMap<TargetId, Verdict> =
            self.policy.targets.keys().map(|target| (target.clone(), self.verdict(target))).collect();
        let old = std::mem::replace(&mut self.policy, policy);
        self.sweep = super::silence::sweep_every(&self.policy);
        self.reshape_targets(now);
        self.drop_lost_overrides(now, &mut out);
        let sighted = self.reshape_witnesses(now, &old, &mut out);
        let touched = self.reshape_records(now, &old, &mut out);
        let lanes = std::mem::take(&mut self.lanes);
        self.lanes = super::velocity::lanes(&self.policy, &self.records, lanes);
        if let Some(SightChange::Sighted { since }) = sighted {
            self.begin_anew(now, say::sighted(now, since), &mut out);
        }
        self.review_witness_pace(&mut out);
        let changed = |target: &&TargetId| before.get(*target).is_some_and(|b| *b != self.verdict(target));
        let changed: Vec<TargetId> = self.policy.targets.keys().filter(changed).cloned().collect();
        for target in changed {
            self.review_target(now, &target, false, &mut out);
        }
        for name in touched {
            self.judge_anew(&name, &mut out);
        }
        out
    }

    /// Is a change of this record being written, or waiting for its proof?
    pub fn is_changing(&self, name: &DomainName) -> bool {
        let phase = self.records.get(name).map(|state| &state.phase);
        matches!(phase, Some(Phase::Writing(_) | Phase::Confirming { .. }))
    }

    /// A provider was set up anew: its records are read now, whatever they were waiting for.
    #[must_use]
    pub fn provider_renewed(&mut self, provider: &ProviderId) -> Vec<Effect> {
        let mut out = Vec::new();
        let of = self.policy.records.values().filter(|record| record.provider == *provider);
        for name in of.map(|record| record.name.clone()).collect::<Vec<_>>() {
            let state = self.state(&name);
            match state.phase {
                Phase::Idle => self.begin_read(&name, &mut out),
                Phase::Reading => state.reread = true,
                Phase::Confirming { .. } if state.retry_at.take().is_some() => out.push(Effect::Read(name)),
                _ => {}
            }
        }
        out
    }

    fn reshape_targets(&mut self, now: &Now) {
        self.targets.reshape(Targets::new(&self.policy, &BTreeMap::new(), now));
        let targets = &self.targets;
        self.unsettled.retain(|endpoint| targets.tracker(endpoint).is_some());
        self.certificates.retain(|endpoint| targets.tracker(endpoint).is_some());
        let known = &self.policy.targets;
        self.told.retain(|target, _| known.contains_key(target));
        self.incidents.retain(|target, _| known.contains_key(target));
    }

    fn reshape_witnesses(&mut self, now: &Now, old: &Policy, out: &mut Vec<Effect>) -> Option<SightChange> {
        if self.witness_pace == Pace::Fast {
            let new = self.policy.witnesses.difference(&old.witnesses);
            out.extend(new.map(|witness| Effect::WitnessPace(witness.clone(), Pace::Fast)));
        }
        if self.policy.witnesses == old.witnesses {
            return None;
        }
        self.sight.reshape(&self.policy.witnesses, now.moment)
    }

    /// Drops, adds and adjusts the states of records. Gives those that have to be judged anew.
    fn reshape_records(&mut self, now: &Now, old: &Policy, out: &mut Vec<Effect>) -> Vec<DomainName> {
        let gone: Vec<DomainName> =
            self.records.keys().filter(|name| !self.policy.records.contains_key(name)).cloned().collect();
        for name in gone {
            let Some(state) = self.records.remove(&name) else { continue };
            let open = match state.phase {
                Phase::Writing(work) | Phase::Confirming { work, .. } => Some(work.id.clone()),
                Phase::Idle | Phase::Reading => None,
            };
            let changes: BTreeSet<String> =
                open.into_iter().chain(state.doubt.map(|d| d.id.clone())).collect();
            out.extend(changes.into_iter().map(|change| Effect::Close { change, happened: false }));
        }
        for (name, record) in self.policy.records.iter() {
            let moved = old.records.get(name).is_some_and(|before| before.provider != record.provider);
            if let Some(state) = self.records.get_mut(name).filter(|_| moved) {
                state.own_ttl = None;
                state.reread |= state.phase == Phase::Reading;
            }
        }
        let same_targets = |record: &super::RecordPolicy| {
            record.targets().all(|target| old.targets.get(target) == self.policy.targets.get(target))
        };
        let mut touched = Vec::new();
        let mut joins = Vec::new();
        for (name, record) in self.policy.records.iter() {
            if !self.records.contains_key(name) {
                joins.push(name.clone());
            } else if old.records.get(name) != Some(record)
                || !same_targets(record)
                || old.velocity.get(&record.provider) != self.policy.velocity.get(&record.provider)
            {
                touched.push(name.clone());
            }
        }
        for name in joins {
            let settles_until = Some(now.moment + self.policy.startup_grace);
            let state = RecordState {
                phase: Phase::Reading,
                hold: Some(Hold::Unread),
                settles_until,
                ..RecordState::default()
            };
            self.records.insert(name.clone(), state);
            out.push(Effect::Read(name));
        }
        for name in &touched {
            self.rename_current(name, out);
        }
        touched
    }

    /// The targets that serve, by their names of now: one that was given another name is the same host.
    fn rename_current(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        let record = &self.policy.records[name];
        let state = self.records.get_mut(name).expect("the caller has found the record");
        if state.current.iter().all(|target| record.tier_of(target).is_some()) {
            return;
        }
        let published = owners(&self.policy, record, &state.published);
        state.current.retain(|target| record.tier_of(target).is_some());
        if !published.is_empty() {
            state.current = published;
        }
        out.push(Effect::KeepRecord(name.clone()));
    }

    /// What was refused or waited for by the old settings may be right by the new ones.
    fn judge_anew(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        let Some(state) = self.records.get_mut(name) else { return };
        if state.fault.is_none() {
            state.retry_at = state.retry_at.filter(|_| state.phase != Phase::Idle);
        }
        (state.refused, state.pending) = (None, None);
        let ceiling = self.policy.records[name].flapping.ceiling();
        state.penalty.iter_mut().for_each(|penalty| penalty.value = penalty.value.min(ceiling));
        if state.phase == Phase::Idle && state.retry_at.is_none() {
            self.begin_read(name, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::fixture::{A4, A6, B4, at, holding, ips, observation, places, policy, record};
    use super::super::{EventKind, Input, Options, Outcome, Saved, Sighting, TargetPolicy};
    use super::*;

    fn now(second: i64) -> Now {
        let start = jiff::Timestamp::UNIX_EPOCH;
        Now { moment: at(second), wall: start + Duration::from_secs(second.unsigned_abs()) }
    }

    fn faces() -> BTreeMap<ProviderId, ProviderFace> {
        BTreeMap::from([(
            "zone".into(),
            ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) },
        )])
    }

    /// Two failures make a target Down here, and an outage has begun where `probes` say so.
    fn patient() -> Policy {
        let mut policy = policy();
        policy.startup_grace = Duration::from_secs(30);
        for check in policy.targets.values_mut().flat_map(|target| target.checks.values_mut()) {
            check.thresholds.fall = 3;
        }
        policy
    }

    fn running(policy: Policy, probes: &[(i64, &str, bool)]) -> Decision {
        let mut decision = Decision::new(policy, faces(), Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        let _ = decision.handle(&now(0), read());
        for probe in probes {
            probe_now(&mut decision, *probe);
        }
        decision
    }

    fn probe_now(decision: &mut Decision, (second, address, passed): (i64, &str, bool)) -> Vec<Effect> {
        let seen = observation("web", address, (second, second), Some(passed));
        decision.handle(&now(second), Input::Observed(seen))
    }

    fn read() -> Input {
        Input::Read { record: record().name, result: Ok(holding(&[A4, A6])) }
    }

    const WELL: &[(i64, &str, bool)] = &[(31, A4, true), (31, A6, true), (31, B4, true)];
    const FAILING: &[(i64, &str, bool)] =
        &[(31, A4, true), (31, A6, true), (31, B4, true), (32, A4, false), (33, A4, false)];

    fn kinds(effects: &[Effect]) -> Vec<EventKind> {
        let kind = |effect: &Effect| match effect {
            Effect::Say(event, _) => Some(event.kind),
            _ => None,
        };
        effects.iter().filter_map(kind).collect()
    }

    #[test]
    fn the_same_policy_changes_nothing_and_asks_for_nothing() {
        let mut decision = running(patient(), FAILING);
        let before = decision.report(&now(34));
        assert_eq!(decision.reconfigure(&now(34), patient(), faces()), []);
        assert_eq!(decision.report(&now(34)), before);
    }

    #[test]
    fn counters_stay_and_a_new_threshold_counts_from_the_next_probe() {
        let mut decision = running(patient(), FAILING);
        let mut harder = patient();
        harder.targets.get_mut(&"a".into()).unwrap().checks.get_mut(&"web".into()).unwrap().thresholds.fall =
            5;
        let out = decision.reconfigure(&now(34), harder, faces());
        assert_eq!(kinds(&out), [], "{out:?}");
        assert_eq!(decision.report(&now(34)).targets[0].endpoints[0].failures, 2);
        probe_now(&mut decision, (34, A4, false));
        assert_eq!(decision.verdict(&"a".into()), Verdict::Up, "three of five");
    }

    #[test]
    fn a_record_with_other_settings_is_read_before_anything_is_done() {
        let mut decision = running(patient(), WELL);
        let mut other = patient();
        other.records.get_mut(&record().name).unwrap().ttl = providers::Ttl(30);
        let out = decision.reconfigure(&now(34), other, faces());
        assert_eq!(out, [Effect::Read(record().name)]);
        let out = decision.handle(&now(34), read());
        assert!(out.iter().any(|effect| matches!(effect, Effect::Write(_))), "the TTL: {out:?}");
    }

    #[test]
    fn a_new_target_makes_no_record_hold_and_its_first_verdict_is_no_news() {
        let mut decision = running(patient(), WELL);
        let mut more = patient();
        let new = TargetPolicy { places: places(&["192.0.2.7"]).into(), ..more.targets[&"b".into()].clone() };
        more.targets.insert("c".into(), new);
        more.records.get_mut(&record().name).unwrap().tiers.push(vec!["c".into()]);
        let out = decision.reconfigure(&now(34), more, faces());
        assert_eq!(
            (out, decision.records[&record().name].hold.clone()),
            (vec![Effect::Read(record().name)], None)
        );
        let _ = decision.handle(&now(34), read());
        let report = decision.report(&now(35));
        assert_eq!(report.records[0].status, super::super::RecordStatus::InSync, "{report:?}");
        assert_eq!(report.targets[2].verdict, Verdict::Unknown);
    }

    #[test]
    fn a_new_record_is_read_and_waits_for_the_verdicts_of_new_targets() {
        let mut decision = running(patient(), WELL);
        let mut more = patient();
        let new = TargetPolicy { places: places(&["192.0.2.7"]).into(), ..more.targets[&"b".into()].clone() };
        more.targets.insert("c".into(), new);
        let mut record = record();
        record.name = "new.example.com".parse().unwrap();
        record.tiers = vec![vec!["c".into()], vec!["b".into()]];
        more.records.insert(record.name.clone(), record.clone());
        let out = decision.reconfigure(&now(40), more, faces());
        assert_eq!(out, [Effect::Read(record.name.clone())]);
        assert_eq!(decision.records[&record.name].phase, Phase::Reading);
        assert_eq!(decision.records[&record.name].hold, Some(Hold::Unread));
        let snapshot = providers::Snapshot { name: record.name.clone(), ..holding(&["192.0.2.7"]) };
        let _ = decision.handle(&now(41), Input::Read { record: record.name.clone(), result: Ok(snapshot) });
        let waits = Hold::Settling { waiting_for: vec!["c".into()] };
        assert_eq!(decision.records[&record.name].hold, Some(waits));
        assert_eq!(
            decision.records[&super::super::fixture::record().name].hold,
            None,
            "the old one does not"
        );
        for second in 42..=71 {
            probe_now(&mut decision, (second, B4, true));
        }
        let _ = decision.handle(&now(72), Input::Tick);
        assert!(!matches!(decision.records[&record.name].hold, Some(Hold::Settling { .. })), "not for ever");
    }

    #[test]
    fn a_target_with_another_name_is_the_same_host_and_the_record_stays() {
        let mut decision = running(patient(), WELL);
        let mut other = patient();
        let host = other.targets.remove(&"a".into()).unwrap();
        other.targets.insert("tor".into(), host);
        other.records.get_mut(&record().name).unwrap().tiers[0] = vec!["tor".into()];
        let out = decision.reconfigure(&now(34), other, faces());
        assert_eq!(decision.records[&record().name].current, ["tor".into()]);
        assert_eq!(kinds(&out), []);
        let out = decision.handle(&now(34), read());
        assert!(!out.iter().any(|effect| matches!(effect, Effect::Write(_))), "{out:?}");
    }

    #[test]
    fn an_address_that_was_down_and_is_gone_is_told_as_a_recovery() {
        let mut decision = running(policy(), &[(31, A4, true), (31, A6, false), (31, B4, true)]);
        let mut bad = policy();
        bad.targets.get_mut(&"a".into()).unwrap().places = places(&[A6]).into();
        let _ = decision.reconfigure(&now(32), bad, faces());
        assert_eq!(decision.verdict(&"a".into()), Verdict::Down);
        let out = decision.reconfigure(&now(33), policy(), faces());
        assert_eq!(
            (decision.verdict(&"a".into()), kinds(&out)),
            (Verdict::Down, vec![]),
            "A4 has no verdict yet"
        );
    }

    #[test]
    fn what_was_refused_is_tried_at_once_when_the_refusal_may_be_over() {
        let mut decision = running(policy(), &[(31, A4, false), (31, A6, false), (32, B4, true)]);
        let foreign = Input::Read { record: record().name, result: Ok(holding(&["192.0.2.99"])) };
        let _ = decision.handle(&now(32), foreign.clone());
        assert!(decision.records[&record().name].refusal.is_some());
        let mut adopts = policy();
        adopts.records.get_mut(&record().name).unwrap().adopt = ips(&["192.0.2.99"]);
        assert_eq!(decision.reconfigure(&now(33), adopts, faces()), [Effect::Read(record().name)]);
        let out = decision.handle(&now(33), foreign);
        assert!(out.iter().any(|effect| matches!(effect, Effect::Write(_))), "{out:?}");
    }

    #[test]
    fn a_record_that_goes_while_it_is_written_closes_its_change() {
        let mut decision = running(policy(), &[(31, A4, false), (31, A6, false), (32, B4, true)]);
        let out = decision.handle(&now(32), read());
        assert!(out.iter().any(|effect| matches!(effect, Effect::Write(_))), "{out:?}");
        assert!(decision.is_changing(&record().name));
        let none = Policy { records: super::super::ByName::default(), ..policy() };
        let out = decision.reconfigure(&now(33), none, faces());
        assert!(matches!(&out[..], [Effect::Close { happened: false, .. }]), "{out:?}");
        let written = Input::Written { record: record().name, result: Ok(()) };
        assert_eq!(decision.handle(&now(34), written), []);
    }

    #[test]
    fn a_new_witness_gives_no_sight_until_it_is_seen() {
        let with = |names: &[&str]| Policy {
            witnesses: names.iter().map(|name| (*name).into()).collect(),
            ..policy()
        };
        let mut decision = running(with(&["w"]), &[]);
        let outcome = Outcome::Fail("no answer".into());
        let lost = Sighting { witness: "w".into(), started: at(5), ended: at(5), outcome };
        assert_eq!(kinds(&decision.handle(&now(5), Input::Witnessed(lost.clone()))), [EventKind::AgentBlind]);
        let out = decision.reconfigure(&now(6), with(&["w", "x"]), faces());
        assert_eq!(kinds(&out), []);
        assert_eq!(kinds(&decision.handle(&now(7), Input::Witnessed(lost))), [], "still blind");
        let seen = Sighting { witness: "x".into(), started: at(8), ended: at(8), outcome: Outcome::Pass };
        assert_eq!(kinds(&decision.handle(&now(8), Input::Witnessed(seen))), [EventKind::AgentSighted]);
    }

    /// While a reading by the old one is under way its answer leads to another.
    #[test]
    fn a_provider_that_is_set_up_anew_is_read_whatever_its_records_wait_for() {
        let read_again = [Effect::Read(record().name)];
        let mut decision = running(patient(), WELL);
        assert_eq!(decision.provider_renewed(&"other".into()), []);
        assert_eq!(decision.provider_renewed(&"zone".into()), read_again, "at rest");
        assert_eq!(decision.provider_renewed(&"zone".into()), [], "it is being read");
        assert_eq!(decision.handle(&now(34), read()), read_again);
        assert_eq!(decision.handle(&now(34), read()), []);

        let mut decision = running(policy(), &[(31, A4, false), (31, A6, false), (32, B4, true)]);
        let _ = decision.handle(&now(32), read());
        let written = Input::Written { record: record().name, result: Ok(()) };
        let _ = decision.handle(&now(33), written);
        assert_eq!(decision.handle(&now(33), read()), [], "the old answer: a late reader is waited for");
        assert_eq!(decision.provider_renewed(&"zone".into()), read_again);
        assert_eq!(decision.provider_renewed(&"zone".into()), [], "it is being read");
    }

    #[test]
    fn a_record_that_goes_to_another_provider_is_not_judged_by_the_old_one() {
        for (provider, expected) in [("zone", vec![]), ("other", vec![Effect::Read(record().name)])] {
            let mut decision = running(patient(), WELL);
            let _ = decision.provider_renewed(&"zone".into());
            let mut moved = patient();
            let policy = moved.records.get_mut(&record().name).unwrap();
            (policy.provider, policy.failback_after) = (provider.into(), Duration::from_hours(1));
            let faces = faces().into_values().map(|face| (provider.into(), face)).collect();
            assert_eq!(decision.reconfigure(&now(34), moved, faces), [], "it is being read");
            assert_eq!(decision.handle(&now(34), read()), expected, "{provider}");
        }
    }

    #[test]
    fn another_velocity_is_reason_enough_to_look_and_a_provider_in_trouble_is_left_alone() {
        let mut decision = running(patient(), WELL);
        assert!(!decision.is_changing(&record().name));
        let mut slower = patient();
        slower.velocity.insert("zone".into(), super::super::Velocity::Records(1));
        assert_eq!(decision.reconfigure(&now(34), slower, faces()), [Effect::Read(record().name)]);
        let refused = Err(providers::Fault::Auth("wrong key".into()));
        let _ = decision.handle(&now(35), Input::Read { record: record().name, result: refused });
        assert_eq!(decision.reconfigure(&now(35), patient(), faces()), [], "it is tried again in its time");
    }

    #[test]
    fn a_new_witness_hurries_with_the_others() {
        let with = |names: &[&str]| Policy {
            witnesses: names.iter().map(|name| (*name).into()).collect(),
            ..patient()
        };
        let hurries = vec![Effect::WitnessPace("x".into(), Pace::Fast)];
        for (probes, expected) in [(FAILING, hurries), (WELL, Vec::new())] {
            let mut decision = running(with(&["w"]), probes);
            let sighting =
                Sighting { witness: "w".into(), started: at(33), ended: at(33), outcome: Outcome::Pass };
            let _ = decision.handle(&now(33), Input::Witnessed(sighting));
            let out = decision.reconfigure(&now(34), with(&["w", "x"]), faces());
            let paces = out.into_iter().filter(|effect| matches!(effect, Effect::WitnessPace(..)));
            assert_eq!(paces.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn without_witnesses_nobody_says_that_we_are_blind() {
        let one = Policy { witnesses: BTreeSet::from(["w".into()]), ..policy() };
        let mut decision = running(one, &[]);
        let outcome = Outcome::Fail("no answer".into());
        let lost = Sighting { witness: "w".into(), started: at(5), ended: at(5), outcome };
        let _ = decision.handle(&now(5), Input::Witnessed(lost));
        let out = decision.reconfigure(&now(6), policy(), faces());
        assert_eq!(kinds(&out), [EventKind::AgentSighted]);
        assert_eq!(decision.sight.blind_since(), None);
    }
}
