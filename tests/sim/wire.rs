//! Calls of providers and questions to servers, on a network that loses, delays and repeats. The way of a batch through
//! single calls mirrors `src/agent/zones.rs`, that of a watched change `src/agent/servers.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use failover::decision::{Input, ProviderId, ServerSeen, Work};
use providers::{DomainName, Fault, Snapshot, Swap};

use crate::agent::wall_at;
use crate::cast::{MILLI, SECOND, Sets, Tier};
use crate::plan::{Line, Link};
use crate::provider::{Mode, snapshot_of};
use crate::sabotage::Sabotage;
use crate::world::{Happening, Mine, Watching, World, note};

/// `SLOW_AFTER` and `GIVE_UP_AFTER` in `servers.rs`.
const SLOW_AFTER: i64 = 30 * SECOND;
const GIVE_UP_AFTER: i64 = 600 * SECOND;

/// One request on its way, and what is left to do after it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) agent: usize,
    epoch: u64,
    vendor: usize,
    /// What is read; empty for a write.
    names: Vec<DomainName>,
    /// What this request writes.
    chunk: Vec<Arc<Work>>,
    rest: VecDeque<Vec<Arc<Work>>>,
    results: Vec<Input>,
    /// When the change was decided.
    decided: i64,
    /// Nobody waits for the answer any more.
    pub(crate) silent: bool,
    /// The second copy of a request.
    copy: bool,
}

pub(crate) enum Answer {
    Read(Result<Vec<Snapshot>, Fault>),
    Written(Result<(), Fault>),
}

impl Call {
    fn refused(&self, fault: Fault) -> Answer {
        if self.chunk.is_empty() { Answer::Read(Err(fault)) } else { Answer::Written(Err(fault)) }
    }
}

impl World {
    fn vendor(&self, provider: &ProviderId) -> usize {
        self.setup.vendors.iter().position(|vendor| vendor.id == *provider).unwrap()
    }

    fn call(&self, agent: usize, provider: &ProviderId) -> Call {
        Call {
            agent,
            epoch: self.agents[agent].epoch,
            vendor: self.vendor(provider),
            names: Vec::new(),
            chunk: Vec::new(),
            rest: VecDeque::new(),
            results: Vec::new(),
            decided: self.now,
            silent: false,
            copy: false,
        }
    }

    pub(crate) fn begin_read(&mut self, agent: usize, provider: &ProviderId, names: Vec<DomainName>) {
        note!(self, "agent {agent} reads {names:?}");
        let call = Call { names, ..self.call(agent, provider) };
        self.send(Box::new(call));
    }

    pub(crate) fn begin_write(
        &mut self,
        agent: usize,
        provider: &ProviderId,
        works: &[Arc<Work>],
        frozen: bool,
    ) {
        let at_once = self.setup.vendors[self.vendor(provider)].names_per_swap;
        let mut rest: VecDeque<Vec<Arc<Work>>> = works.chunks(at_once).map(<[Arc<Work>]>::to_vec).collect();
        let chunk = rest.pop_front().unwrap();
        let call = Box::new(Call { chunk, rest, ..self.call(agent, provider) });
        if frozen {
            self.agents[agent].deferred.push(Mine::Send(call));
        } else {
            self.send(call);
        }
    }

    /// On its way: it gets there or not, once or twice, and so does the answer.
    pub(crate) fn send(&mut self, mut call: Box<Call>) {
        let (agent, vendor) = (call.agent, call.vendor);
        if !call.chunk.is_empty() && !self.is_in_time(&mut call) {
            return self.next_chunk(agent, call);
        }
        for work in &call.chunk {
            self.court.sent(agent, self.now, work);
            note!(
                self,
                "agent {agent} asks {}: {} -> {}",
                self.setup.vendors[vendor].id,
                work.swap.name(),
                work.swap.after
            );
        }
        let mut there = self.latency();
        let limit = self.now + self.rng.range(5 * SECOND, 10 * SECOND);
        let late = |call: &Call| {
            let fault = if call.chunk.is_empty() { Fault::Unavailable } else { Fault::Unknown };
            call.refused(fault("no answer in time".into()))
        };
        let line = self.line(agent, Link::Vendor(vendor));
        match line {
            Some(Line::Cut) => {
                self.count("calls cut");
                let result = call.refused(Fault::Unavailable("network unreachable".into()));
                return self.mine(self.now + 20 * MILLI, agent, Mine::Answered { call, result });
            }
            Some(Line::Slow) => there += self.rng.range(0, 6 * SECOND),
            Some(Line::Lossy(percent)) => {
                if self.rng.percent(percent) {
                    self.count("requests lost");
                    let result = late(&call);
                    return self.mine(limit, agent, Mine::Answered { call, result });
                }
                if self.rng.percent(percent) {
                    self.count("replies lost");
                    call.silent = true;
                }
            }
            _ => {}
        }
        if line == Some(Line::Twice) && !call.chunk.is_empty() {
            self.count("requests duplicated");
            let mut copy = call.clone();
            (copy.silent, copy.copy) = (true, true);
            let at = self.now + there + self.rng.range(0, 4 * SECOND);
            self.at(at, Happening::Arrive(copy));
        }
        if call.silent || self.now + there >= limit {
            let result = late(&call);
            self.mine(limit, agent, Mine::Answered { call: call.clone(), result });
            call.silent = true;
        }
        self.at(self.now + there, Happening::Arrive(call));
    }

    /// What is too late is not sent: `in_time` in `zones.rs`. Whether anything is left.
    fn is_in_time(&mut self, call: &mut Call) -> bool {
        let now = self.now_of(call.agent).moment;
        let (good, late) = call.chunk.drain(..).partition(|work| now <= work.send_by);
        call.chunk = good;
        let late: Vec<Arc<Work>> = late;
        if !late.is_empty() {
            self.count("writes too late to be sent");
        }
        call.results.extend(late.iter().map(|work| Input::Unsent { record: work.swap.name().clone() }));
        !call.chunk.is_empty()
    }

    fn next_chunk(&mut self, agent: usize, mut call: Box<Call>) {
        match call.rest.pop_front() {
            Some(chunk) => {
                (call.chunk, call.silent) = (chunk, false);
                self.send(call);
            }
            None => self.take(agent, call.results),
        }
    }

    fn answer(&mut self, call: Box<Call>, result: Answer) {
        if call.silent {
            return;
        }
        let at = self.now + self.latency();
        let (agent, epoch) = (call.agent, call.epoch);
        self.at(at, Happening::Mine { agent, epoch, what: Mine::Answered { call, result } });
    }

    /// A request at the provider.
    pub(crate) fn arrive(&mut self, call: Box<Call>) {
        let mode = self.providers[call.vendor].mode;
        let fault = match mode {
            Mode::Busy => Some(Fault::Busy("try again".into())),
            Mode::Throttled => {
                let after = std::time::Duration::from_secs(3 + self.rng.next() % 15);
                Some(Fault::Throttled { after: Some(after), detail: "too many requests".into() })
            }
            Mode::Locked => Some(Fault::Auth("401".into())),
            Mode::BreaksOff if !call.chunk.is_empty() && self.setup.vendors[call.vendor].tier != Tier::T4 => {
                Some(Fault::Unknown("connection reset".into()))
            }
            _ => None,
        };
        if let Some(fault) = fault {
            self.count("calls refused");
            let result = call.refused(fault);
            return self.answer(call, result);
        }
        if call.chunk.is_empty() {
            let provider = &self.providers[call.vendor];
            let snapshots =
                call.names.iter().map(|name| provider.read(name, self.now, self.sabotage)).collect();
            if provider.lag > 0 {
                self.count("stale reads");
            }
            return self.answer(call, Answer::Read(Ok(snapshots)));
        }
        let swaps: Vec<&Swap> = call.chunk.iter().map(|work| &work.swap).collect();
        if let Err(fault) = self.providers[call.vendor].compare(&swaps, self.now, self.sabotage) {
            self.count("conflicts");
            note!(self, "{} refuses: {fault}", self.setup.vendors[call.vendor].id);
            return self.answer(call, Answer::Written(Err(fault)));
        }
        match self.setup.vendors[call.vendor].tier {
            Tier::T1 | Tier::T2 => self.apply(call),
            // Looks first, writes a moment later: whatever is there by then is overwritten.
            Tier::T3 | Tier::T4 => {
                let race = self.rng.range(MILLI, 120 * MILLI);
                self.at(self.now + race, Happening::Apply(call));
            }
        }
    }

    /// The write takes effect.
    pub(crate) fn apply(&mut self, call: Box<Call>) {
        let (vendor, agent) = (call.vendor, call.agent);
        let mode = self.providers[vendor].mode;
        let compared = matches!(self.setup.vendors[vendor].tier, Tier::T1 | Tier::T2);
        for work in &call.chunk {
            let name = work.swap.name();
            let steps = self.providers[vendor].steps(&work.swap, self.sabotage);
            let breaks_off = mode == Mode::BreaksOff && steps.len() > 1;
            for (number, sets) in steps.iter().enumerate() {
                let before = self.providers[vendor].truth(name).clone();
                let partial = number + 1 < steps.len();
                let marker_before = self.providers[vendor].marker_now(name).cloned();
                let torn = self.sabotage == Sabotage::TornProvider;
                let marker = if torn { marker_before.as_ref() } else { work.swap.marker.as_ref() };
                note!(
                    self,
                    "{} holds {} for {name}",
                    self.setup.vendors[vendor].id,
                    crate::provider::words(sets)
                );
                self.court.applied(&crate::changes::Applying {
                    at: self.now,
                    agent,
                    work,
                    decided: call.decided,
                    before: &before,
                    after: sets,
                    marker_before: marker_before.as_ref(),
                    marker_after: marker,
                    compared,
                    partial,
                    late: call.silent || call.copy,
                    setup: &self.setup,
                });
                self.providers[vendor].put(name, sets.clone(), self.now);
                if breaks_off {
                    break;
                }
            }
            let torn = breaks_off || self.sabotage == Sabotage::TornProvider;
            if let (Some(marker), Some(beside), false) = (&work.swap.marker, name.marker(), torn) {
                let sets = Sets::from([(marker.record_type(), marker.clone())]);
                self.providers[vendor].put(&beside, sets, self.now);
            }
            if breaks_off {
                let now = Box::new(snapshot_of(name, self.providers[vendor].truth(name).clone()));
                self.count("writes broken off");
                return self.answer(call, Answer::Written(Err(Fault::Partial { now })));
            }
            if self.sabotage == Sabotage::StrayProvider {
                self.providers[vendor].put(
                    &crate::provider::bystander(),
                    steps.last().unwrap().clone(),
                    self.now,
                );
            }
        }
        let strays = self.providers[vendor].all().map(|(name, sets)| (name.clone(), sets.clone())).collect();
        self.court.whole_zone(&self.setup, &strays);
        if mode == Mode::FailsAfter {
            self.count("failed after applying");
            return self.answer(call, Answer::Written(Err(Fault::Unknown("502 bad gateway".into()))));
        }
        self.answer(call, Answer::Written(Ok(())));
    }

    /// An answer, or the end of the wait for it: `read_zone` and `write_chunk` in `zones.rs`.
    pub(crate) fn answered(&mut self, agent: usize, mut call: Box<Call>, result: Answer) {
        match result {
            Answer::Read(result) => {
                let inputs = match result {
                    Ok(snapshots) => {
                        self.agents[agent].process.as_mut().unwrap().found.extend(call.names);
                        let read = |s: Snapshot| Input::Read { record: s.name.clone(), result: Ok(s) };
                        snapshots.into_iter().map(read).collect()
                    }
                    Err(fault) => {
                        let failed = |record| Input::Read { record, result: Err(fault.clone()) };
                        call.names.into_iter().map(failed).collect()
                    }
                };
                self.take(agent, inputs);
            }
            Answer::Written(result) => {
                let spoilt =
                    matches!(result, Err(Fault::Conflict(_) | Fault::Invalid(_) | Fault::Unsupported(_)));
                if call.chunk.len() > 1 && spoilt {
                    for work in call.chunk.drain(..).rev() {
                        call.rest.push_front(vec![work]);
                    }
                } else {
                    for work in &call.chunk {
                        let record = work.swap.name().clone();
                        call.results.push(Input::Written { record, result: result.clone() });
                    }
                }
                self.next_chunk(agent, call);
            }
        }
    }

    /// What a server serves now.
    fn served(&self, name: &DomainName, server: usize) -> Sets {
        let provider = &self.providers[self.setup.vendor_of(name)];
        provider.held(name, self.now - provider.behind[server]).clone()
    }

    fn servers(&self, name: &DomainName) -> usize {
        self.providers[self.setup.vendor_of(name)].behind.len()
    }

    pub(crate) fn look(&mut self, agent: usize, record: DomainName) {
        let seen = |server| (format!("ns{server}"), Ok(self.served(&record, server)));
        let servers = (0..self.servers(&record)).map(seen).collect();
        let last = self.agents.len() > 1 && agent + 1 == self.agents.len();
        if (self.sabotage == Sabotage::Repeater || (self.sabotage == Sabotage::RepeatingPeer && last))
            && let Some(work) = self.court.last_sent(agent, &record)
        {
            let provider = self.setup.policy.records[&record].provider.clone();
            self.begin_write(agent, &provider, &[Arc::new(work)], false);
        }
        self.take(agent, vec![Input::Looked { record, servers }]);
    }

    pub(crate) fn watch(&mut self, agent: usize, mut watching: Box<Watching>) {
        let record = watching.order.record.clone();
        let count = self.servers(&record);
        let wall = wall_at(self.now + self.agents[agent].wall_offset);
        for server in 0..count {
            let served = self.served(&record, server);
            let values = |sets: &mut dyn Iterator<Item = &providers::RecordSet>| -> Vec<String> {
                sets.flat_map(|set| set.values.to_strings()).collect()
            };
            if values(&mut served.values()) == values(&mut watching.order.answer.iter()) {
                watching.arrived.entry(server).or_insert(wall);
            }
        }
        let all = watching.arrived.len() == count;
        let waited = self.now - watching.begun;
        let slow = waited >= SLOW_AFTER && !watching.told_slow;
        let given_up = !all && waited >= SLOW_AFTER + GIVE_UP_AFTER;
        let servers: Vec<ServerSeen> = (0..count)
            .map(|server| ServerSeen {
                server: format!("ns{server}"),
                at: watching.arrived.get(&server).copied(),
                serves: String::new(),
            })
            .collect();
        if !all && !given_up {
            watching.told_slow |= slow;
            let change = watching.order.change.clone();
            self.mine(self.now + 2 * SECOND, agent, Mine::Watch(watching));
            if slow {
                self.take(agent, vec![Input::Propagated { record, change, servers, given_up }]);
            }
            return;
        }
        let change = watching.order.change.clone();
        self.take(agent, vec![Input::Propagated { record, change, servers, given_up }]);
    }
}

/// So that every name has its own line in a map of what a zone holds.
pub(crate) type Zone = BTreeMap<DomainName, Sets>;
