//! What follows a reading or a write: the second half of [`Decision`], from the picture to the change and its proof.

use std::collections::BTreeMap;
use std::time::Duration;

use providers::{DomainName, Fault, Snapshot};

use super::engine::{provider_severity, values_of};
use super::record::{CONFIRM_TRIES, CONFLICTS_AT_ONCE, Phase, RETRY_MAX};
use super::{
    Bench, Decision, Effect, Event, EventKind, Judgement, Motive, Now, ProviderId, Refusal, Seen, Selection,
    ServerSeen, Severity, Verdict, Watch, Wish, Work, foreign_values, human, judge, owner_of, say,
};

/// Looks in a row at which a server contradicts the provider before it is told: one can be the tail of a transfer.
const LOOKS_UNTIL_DRIFT: u32 = 2;
/// Pause before a write is read back again, doubled each time: 50 ms … 1.6 s.
const CONFIRM_PAUSE: Duration = Duration::from_millis(50);

impl Decision {
    pub(super) fn on_read(
        &mut self,
        now: &Now,
        name: &DomainName,
        result: Result<Snapshot, Fault>,
        out: &mut Vec<Effect>,
    ) {
        let provider = self.record(name).provider.clone();
        let phase = std::mem::take(&mut self.state(name).phase);
        match result {
            Err(fault) => {
                self.provider_fault(now, &provider, &fault, out);
                let state = self.state(name);
                state.back_off(now.moment, fault);
                // A write that waits for its proof goes on waiting: only a reading can tell.
                if let Phase::Confirming { .. } = phase {
                    state.phase = phase;
                }
            }
            Ok(snapshot) => {
                self.provider_works(now, &provider, out);
                let state = self.state(name);
                state.calm();
                state.snapshot = Some(snapshot);
                if let Phase::Confirming { work, acknowledged, tries } = phase
                    && self.proves(now, name, work, acknowledged, tries, out)
                {
                    return;
                }
                self.compare_with_expected(now, name, out);
                self.act(now, name, out);
            }
        }
    }

    /// Did the write happen? Returns whether the question is still open.
    fn proves(
        &mut self,
        now: &Now,
        name: &DomainName,
        work: Box<Work>,
        acknowledged: bool,
        tries: u32,
        out: &mut Vec<Effect>,
    ) -> bool {
        let state = self.state(name);
        let snapshot = state.snapshot.as_ref().expect("set by the reading that led here");
        if snapshot.holds(&work.swap.after) {
            self.complete(now, name, *work, out);
            return false;
        }
        let untouched = snapshot.sets == work.swap.before.sets;
        if acknowledged && untouched && tries < CONFIRM_TRIES {
            // The provider said yes and shows the old values: its readers are late.
            state.retry_at = Some(now.moment + CONFIRM_PAUSE * 2u32.saturating_pow(tries));
            state.phase = Phase::Confirming { work, acknowledged, tries: tries + 1 };
            return true;
        }
        out.push(Effect::Close { change: work.id.clone(), happened: false });
        if acknowledged {
            let why = format!("the provider accepted it, but holds {}", snapshot.summary());
            if state.says_anew("failed", &why) {
                let event = say::failed(&work.completed, work.motive, now, &why, true);
                out.push(Effect::Say(Box::new(event), None));
            }
            state.back_off(now.moment, Fault::Unknown(why));
        }
        false
    }

    fn complete(&mut self, now: &Now, name: &DomainName, work: Work, out: &mut Vec<Effect>) {
        let best = work.targets.iter().filter_map(|t| self.record(name).tier_of(t)).min() == Some(0);
        let state = self.state(name);
        state.current.clone_from(&work.targets);
        state.settled = state.snapshot.as_ref().map(|s| s.sets.clone());
        // A change of an earlier run counts from when it was decided.
        state.last_change = Some(work.decided.max(state.last_change.unwrap_or(work.decided)));
        state.changes += 1;
        state.conflicts = 0;
        state.failback_asked = false;
        // An earlier run's change no longer knows the old TTL, only what was reckoned with it when it was decided.
        let reckoned = work.completed.effective_by.map(|t| now.moment_ahead(t));
        let old = say::cached_for(&work.swap.before);
        state.cached_for = old.or(reckoned.map(|by| by.since(work.decided)));
        state.effective_by = old.map(|ttl| now.moment + ttl).or(reckoned);
        state.propagating = Some(work.id.clone());
        state.live.clear();
        for topic in ["withheld", "failed", "drift"] {
            state.said.remove(topic);
        }
        let mut event = work.completed;
        event.time = now.wall;
        event.effective_by = state.effective_by.map(|m| now.wall_of(m));
        state.incident = if best { None } else { event.incident.clone() };
        out.push(Effect::Close { change: work.id.clone(), happened: true });
        out.push(Effect::Say(Box::new(event), Some(format!("{}-completed", work.id))));
        out.push(Effect::KeepRecord(name.clone()));
        out.push(Effect::Watch(Box::new(Watch {
            record: name.clone(),
            change: work.id,
            answer: work.swap.after,
        })));
    }

    /// Was the record changed by somebody else since we last knew what it should hold?
    fn compare_with_expected(&mut self, now: &Now, name: &DomainName, out: &mut Vec<Effect>) {
        let record = self.record(name).clone();
        let policy = &self.policy;
        let state = self.records.get(name).expect("the caller has found the record");
        let snapshot = state.snapshot.clone().expect("set by the reading that led here");
        let found = say::side(policy, &record, &snapshot);
        let strangers = foreign_values(&record, &snapshot, &|a| owner_of(policy, &record, a));
        let ours = strangers.is_empty() && !snapshot.is_missing();
        let Some(expected) = state.settled.clone() else {
            if ours {
                let state = self.state(name);
                state.settled = Some(snapshot.sets);
                if !found.targets.is_empty() {
                    state.current = found.targets;
                }
            }
            return;
        };
        if expected == snapshot.sets {
            self.state(name).said.remove("drift");
            return;
        }
        let tier = |targets: &[super::TargetId]| targets.iter().filter_map(|t| record.tier_of(t)).min();
        let better = tier(&found.targets).is_some_and(|new| tier(&state.current).is_none_or(|old| new < old));
        let all_up = found.targets.iter().all(|target| self.verdict(target) == Verdict::Up);
        let accepted = ours && better && all_up && !found.targets.is_empty();
        let wanted = match self.selection(now.moment, name) {
            Selection::Serve(wish) => snapshot.holds(&self.stored_form(&record, &wish)),
            Selection::Hold(_) => false,
        };
        let next = if accepted {
            "it is a better target that works: the record stays there"
        } else if wanted {
            "it is what the agent would have written: the record stays there"
        } else if ours {
            "it is put right under the usual guards"
        } else {
            "it is left alone until a person decides"
        };
        let state = self.state(name);
        if state.says_anew("drift", &values_of(&snapshot.sets)) {
            let event = say::drift(now, &record, &found, &values_of(&expected), next);
            out.push(Effect::Say(Box::new(event), None));
            out.push(Effect::KeepRecord(name.clone()));
        }
        if accepted {
            let state = self.state(name);
            state.current = found.targets;
            state.settled = Some(snapshot.sets);
            out.push(Effect::KeepRecord(name.clone()));
        }
    }

    /// With a picture just read: writes, refuses, holds, or is content.
    fn act(&mut self, now: &Now, name: &DomainName, out: &mut Vec<Effect>) {
        if self.state(name).retry_at.is_some() {
            return;
        }
        let wish = match self.selection(now.moment, name) {
            Selection::Hold(hold) => return self.enter_hold(now, name, hold, out),
            Selection::Serve(wish) => wish,
        };
        let record = self.record(name).clone();
        let after = self.stored_form(&record, &wish);
        let state = self.records.get(name).expect("the caller has found the record");
        let snapshot = state.snapshot.as_ref().expect("set by the reading that led here");
        let bench = Bench {
            now: now.moment,
            policy: &self.policy,
            record: &record,
            targets: &self.targets,
            sight: &self.sight,
            last_change: state.last_change,
            atomic_name: self.faces.get(&record.provider).is_some_and(|face| face.atomic_name),
        };
        let judgement = judge(&bench, &wish, snapshot, after);
        let state = self.state(name);
        state.hold = None;
        state.wish = Some(wish.clone());
        state.said.remove("all_down");
        state.pending = None;
        match judgement {
            Judgement::InSync => {
                state.conflicts = 0;
                self.enter_sync(name, out);
            }
            Judgement::Refused { refusal, .. } => self.refuse(now, name, &wish, refusal, out),
            Judgement::Write(swap) => {
                state.refusal = None;
                state.refused = None;
                let work = Box::new(self.work(now, name, &wish, swap));
                let dry = self.options.dry;
                let state = self.state(name);
                if dry {
                    state.pending = Some(work);
                    return;
                }
                state.phase = Phase::Writing(work.clone());
                let started = say::started(&work.completed, work.motive, now);
                out.push(Effect::Say(Box::new(started), Some(format!("{}-started", work.id))));
                out.push(Effect::Write(work));
            }
        }
    }

    fn work(&self, now: &Now, name: &DomainName, wish: &Wish, swap: providers::Swap) -> Work {
        let state = self.records.get(name).expect("the caller has found the record");
        let incident = match wish.motive {
            Motive::Failover => state.current.iter().find_map(|t| self.incidents.get(t).cloned()),
            Motive::Failback | Motive::Stay => None,
        };
        let telling = say::Telling {
            now,
            policy: &self.policy,
            record: self.record(name),
            targets: &self.targets,
            sight: &self.sight,
            snapshot: &swap.before,
            wish,
            failback_asked: state.failback_asked,
            incident: incident.or_else(|| self.incident_of(name)),
        };
        let mut completed = telling.completed();
        completed.effective_by = say::cached_for(&swap.before).map(|ttl| now.wall_of(now.moment + ttl));
        // Dashes for dots: a webhook's id is signed with dots as separators.
        let id = format!("chg-{}-{}", name.as_str().replace('.', "-"), now.wall.as_microsecond());
        Work { id, swap, targets: wish.targets.clone(), motive: wish.motive, decided: now.moment, completed }
    }

    fn refuse(&mut self, now: &Now, name: &DomainName, wish: &Wish, refusal: Refusal, out: &mut Vec<Effect>) {
        let record = self.record(name).clone();
        let incident = self.incident_of(name);
        let state = self.records.get_mut(name).expect("the caller has found the record");
        let before = state.snapshot.as_ref().map(|s| say::side(&self.policy, &record, s)).unwrap_or_default();
        // Without the ages in its text, so that one refusal is told once.
        let words = format!("{} {} {before}", refusal.guard.as_str(), say::side_of_wish(wish));
        state.retry_at = Some(refusal.until.unwrap_or(now.moment + RETRY_MAX).min(now.moment + RETRY_MAX));
        state.refused = Some(wish.clone());
        if state.says_anew("withheld", &words) {
            let mut event = say::withheld(now, &record, &refusal, before, wish);
            event.incident = incident;
            out.push(Effect::Say(Box::new(event), None));
            out.push(Effect::KeepRecord(name.clone()));
        }
        state.refusal = Some(refusal);
    }

    pub(super) fn on_written(
        &mut self,
        now: &Now,
        name: &DomainName,
        result: Result<(), Fault>,
        out: &mut Vec<Effect>,
    ) {
        let state = self.state(name);
        let work = match std::mem::take(&mut state.phase) {
            Phase::Writing(work) => work,
            other => {
                state.phase = other;
                return;
            }
        };
        let fault = match result {
            Ok(()) => {
                state.phase = Phase::Confirming { work, acknowledged: true, tries: 0 };
                out.push(Effect::Read(name.clone()));
                return;
            }
            Err(Fault::Unknown(_)) => {
                // Sent, outcome unknown: read before anything else.
                state.phase = Phase::Confirming { work, acknowledged: false, tries: 0 };
                out.push(Effect::Read(name.clone()));
                return;
            }
            Err(fault) => fault,
        };
        out.push(Effect::Close { change: work.id.clone(), happened: false });
        if matches!(fault, Fault::Conflict(_)) && state.conflicts < CONFLICTS_AT_ONCE {
            state.conflicts += 1;
            self.begin_read(name, out);
            return;
        }
        if let Fault::Partial { now: held } = &fault {
            state.snapshot = Some((**held).clone());
        }
        state.back_off(now.moment, fault.clone());
        let tell = !fault.is_transient() || state.faults >= 3;
        if tell && state.says_anew("failed", fault.kind()) {
            let event =
                say::failed(&work.completed, work.motive, now, &fault.to_string(), fault.is_transient());
            out.push(Effect::Say(Box::new(event), None));
            out.push(Effect::KeepRecord(name.clone()));
        }
        if !fault.is_transient() {
            state.retry_at = Some(now.moment + RETRY_MAX);
        }
        // The provider itself is judged by readings, which come before every write.
    }

    /// A provider that fails is told once: at once where only a person can help, else at the second fault in a row.
    fn provider_fault(&mut self, now: &Now, provider: &ProviderId, fault: &Fault, out: &mut Vec<Effect>) {
        let trouble = self.troubles.entry(provider.clone()).or_insert((now.moment, 0, false));
        trouble.1 += 1;
        if trouble.2 || (fault.is_transient() && trouble.1 < 2) {
            return;
        }
        trouble.2 = true;
        let needs_person = !fault.is_transient();
        let mut event = Event::new(
            EventKind::ProviderUnavailable,
            now.wall,
            format!("the DNS provider {provider} cannot be used: {fault}"),
        );
        event.severity = provider_severity(needs_person);
        event.since = Some(now.wall_of(trouble.0));
        event.next = Some(
            if needs_person {
                "the agent looks again every 30 s at most; a person must put it right"
            } else {
                "the agent keeps trying; no record at this provider can be changed until it works"
            }
            .into(),
        );
        out.push(Effect::Say(Box::new(event), None));
    }

    fn provider_works(&mut self, now: &Now, provider: &ProviderId, out: &mut Vec<Effect>) {
        let Some((since, _, told)) = self.troubles.remove(provider) else { return };
        if told {
            let lasted = human(now.moment.since(since));
            let mut event = Event::new(
                EventKind::ProviderRecovered,
                now.wall,
                format!("the DNS provider {provider} works again after {lasted}"),
            );
            event.since = Some(now.wall_of(since));
            out.push(Effect::Say(Box::new(event), None));
        }
    }

    /// What the authoritative servers say, compared with what the provider holds.
    pub(super) fn on_looked(
        &mut self,
        now: &Now,
        name: &DomainName,
        servers: Vec<(String, Seen)>,
        out: &mut Vec<Effect>,
    ) {
        let record = self.record(name).clone();
        let state = self.state(name);
        let held = state.snapshot.as_ref().map(|s| s.sets.clone());
        let quiet = state.phase == Phase::Idle && state.propagating.is_none();
        let mut live = BTreeMap::new();
        let mut strays = Vec::new();
        for (server, seen) in servers {
            let before = state.live.get(&server).map_or(0, |(_, times)| *times);
            let differs = match (&seen, &held) {
                (Ok(sets), Some(held)) => {
                    quiet && sets.values().map(|s| &s.values).ne(held.values().map(|s| &s.values))
                }
                _ => false,
            };
            let times = if differs { before + 1 } else { 0 };
            if let Ok(sets) = &seen
                && times >= LOOKS_UNTIL_DRIFT
            {
                strays.push((server.clone(), values_of(sets)));
            }
            live.insert(server, (seen, times));
        }
        state.live = live;
        let holds = held.as_ref().map(values_of).unwrap_or_default();
        let words = format!("{strays:?} {holds}");
        if strays.is_empty() {
            state.said.remove("stray");
            return;
        }
        if state.says_anew("stray", &words) {
            for (server, serves) in strays {
                let event = say::server_drift(now, &record, &server, &serves, &holds);
                out.push(Effect::Say(Box::new(event), None));
            }
        }
    }

    pub(super) fn on_propagated(
        &mut self,
        now: &Now,
        name: &DomainName,
        change: &str,
        servers: Vec<ServerSeen>,
        complete: bool,
        out: &mut Vec<Effect>,
    ) {
        let state = self.state(name);
        if state.propagating.as_deref() != Some(change) {
            return;
        }
        if complete {
            state.propagating = None;
            // The server that was last gave out the old answer until then.
            let last = servers.iter().filter_map(|server| server.at).max();
            let by = last.zip(state.cached_for).map(|(at, ttl)| now.moment_of(at) + ttl);
            state.effective_by = state.effective_by.max(by);
        }
        // A provider without servers of its own (a mock in memory) has nothing to tell.
        if servers.is_empty() {
            return;
        }
        let behind: Vec<&str> =
            servers.iter().filter(|s| s.at.is_none()).map(|s| s.server.as_str()).collect();
        let (kind, summary) = if complete {
            (
                EventKind::PropagationCompleted,
                match servers.len() {
                    1 => format!("the authoritative server serves the change of {name}"),
                    count => format!("all {count} authoritative servers serve the change of {name}"),
                },
            )
        } else {
            (
                EventKind::PropagationSlow,
                format!(
                    "{} of {} authoritative servers do not serve the change of {name} yet: {}",
                    behind.len(),
                    servers.len(),
                    behind.join(", ")
                ),
            )
        };
        let mut event = Event::new(kind, now.wall, summary);
        event.record = Some(name.clone());
        event.incident.clone_from(&state.incident);
        if complete {
            event.effective_by = state.effective_by.map(|m| now.wall_of(m));
        } else {
            event.severity = Severity::Warning;
            event.remedy = Some("look at the zone transfer to these servers".into());
        }
        event.servers = servers;
        let topic = if complete { "all" } else { "slow" };
        out.push(Effect::Say(Box::new(event), Some(format!("{change}-{topic}"))));
    }
}
