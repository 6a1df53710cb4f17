//! What the authoritative servers are seen to serve: a change on its way to them, and servers that go their own.

use std::collections::BTreeMap;

use providers::DomainName;

use super::engine::values_of;
use super::record::Phase;
use super::{Decision, Effect, Now, Phases, Seen, ServerSeen, say};

/// Looks in a row at which a server contradicts the provider before it is told: one can be the tail of a transfer.
const LOOKS_UNTIL_DRIFT: u32 = 2;

impl Decision {
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
        // A reading may be under way, a change may not.
        let quiet = matches!(state.phase, Phase::Idle | Phase::Reading) && state.propagating.is_none();
        let mut live = BTreeMap::new();
        let mut strays = Vec::new();
        let mut all_agree = held.is_some();
        for (server, seen) in servers {
            let before = state.live.get(&server).map_or(0, |(_, times)| *times);
            let differs = match (&seen, &held) {
                (Ok(sets), Some(held)) => {
                    sets.values().map(|s| &s.values).ne(held.values().map(|s| &s.values))
                }
                _ => false,
            };
            all_agree &= seen.is_ok() && !differs;
            let times = if quiet && differs { before + 1 } else { 0 };
            if let Ok(sets) = &seen
                && times >= LOOKS_UNTIL_DRIFT
            {
                strays.push((server.clone(), values_of(sets)));
            }
            live.insert(server, (seen, times));
        }
        state.live = live;
        let holds = held.as_ref().map(values_of).unwrap_or_default();
        let told = state.said.contains_key("stray");
        if all_agree && quiet && told {
            state.said.remove("stray");
            let servers: Vec<String> = state.live.keys().cloned().collect();
            out.push(Effect::Say(Box::new(say::servers_agree_again(now, &record, &servers)), None));
            out.push(Effect::KeepRecord(name.clone()));
        }
        let words = format!("{strays:?} {holds}");
        if !strays.is_empty() && state.says_anew("stray", &words) {
            for (server, serves) in strays {
                let event = say::server_drift(now, &record, &server, &serves, &holds);
                out.push(Effect::Say(Box::new(event), None));
            }
            out.push(Effect::KeepRecord(name.clone()));
        }
    }

    pub(super) fn on_propagated(
        &mut self,
        now: &Now,
        name: &DomainName,
        change: &str,
        servers: Vec<ServerSeen>,
        given_up: bool,
        out: &mut Vec<Effect>,
    ) {
        let snapshot = self.records.get(name).and_then(|state| state.snapshot.as_ref());
        let published = snapshot.map(|s| say::side(&self.policy, self.record(name), s)).unwrap_or_default();
        let state = self.state(name);
        let Some(arrival) = state.propagating.take_if(|arrival| arrival.change == change) else { return };
        let complete = servers.iter().all(|server| server.at.is_some());
        // The server that was last gave out the old answer until then; while one still does, nobody knows the time.
        let last = servers.iter().filter_map(|server| server.at).max();
        let first = servers.iter().filter_map(|server| server.at).min();
        let (decided, phases) = arrival.phases;
        let seen = |at: Option<jiff::Timestamp>| phases?.at(decided, now.moment_of(at?));
        let phases = phases.map(|phases| Phases {
            first_served_ms: seen(first),
            all_served_ms: seen(last.filter(|_| complete)),
            ..phases
        });
        let by = last.zip(state.cached_for).map(|(at, ttl)| now.moment_of(at) + ttl).filter(|_| complete);
        let by = state.effective_by.filter(|_| complete).max(by);
        state.effective_by = state.effective_by.max(by);
        // A provider without servers of its own (a mock in memory) has nothing to tell.
        if !servers.is_empty() && (complete || !given_up) {
            let mut event = say::arrival(now, name, published, servers);
            event.incident.clone_from(&arrival.incident);
            event.phases = phases;
            event.effective_by = by.map(|m| now.wall_of(m));
            let topic = if complete { "all" } else { "slow" };
            out.push(Effect::Say(Box::new(event), Some(format!("{change}-{topic}"))));
        }
        if !complete && !given_up {
            state.propagating = Some(arrival);
        }
    }
}

#[cfg(test)]
mod tests;
