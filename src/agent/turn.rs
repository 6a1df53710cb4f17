//! A turn: inputs are judged, what only looks is begun, what must outlive us is kept, and only then is anything written.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join;
use providers::DomainName;
use tokio::task::yield_now;

use super::agenda::{Agenda, Desk};
use super::event_loop::{Agent, Mode};
use super::zones::Wanted;
use crate::decision::{Effect, Input, Now, ProviderId, Watch, Work};
use crate::probe::Finding;
use crate::store::Batch;

/// Inputs that are judged together, and what comes of them kept together.
const TOGETHER: usize = 500;
/// The same of what probes found, of which nothing comes as a rule.
const FOUND_TOGETHER: usize = 256;
/// Of more changes under way the servers are not asked meanwhile.
const CROWD: usize = 64;

/// A turn of which what only looks is under way.
struct Turn {
    now: Now,
    batch: Batch,
    writes: BTreeMap<ProviderId, Vec<Arc<Work>>>,
    watches: Vec<Watch>,
}

impl Agent {
    /// Hands inputs to the decision and does what it asks: of ten thousand readings some at a time, so that the first
    /// changes are on their way while the next ones are decided and kept.
    pub(super) async fn take(&mut self, inputs: Vec<Input>) {
        let mut inputs = inputs.into_iter();
        let first = inputs.by_ref().take(TOGETHER).collect();
        let mut turn = self.judge(first);
        loop {
            let next = self.act(turn, |agent| {
                if inputs.as_slice().is_empty() {
                    return None;
                }
                // No target is to look silent because it was not listened to.
                let mut some = Vec::new();
                agent.hear(&mut some);
                some.extend(inputs.by_ref().take(TOGETHER));
                Some(agent.judge(some))
            });
            let Some(next) = next.await else { return };
            turn = next;
            // The disk may be done by now, and then nobody else had a turn: what is to be written goes out.
            yield_now().await;
        }
    }

    /// What came back, with what came meanwhile.
    pub(super) async fn take_results(&mut self, mut inputs: Vec<Input>) {
        while inputs.len() < TOGETHER
            && let Ok(more) = self.results.try_recv()
        {
            inputs.extend(more);
        }
        self.take(inputs).await;
    }

    /// What probes found, with what they found meanwhile.
    pub(super) async fn take_findings(&mut self, found: Vec<Finding>) {
        let mut inputs: Vec<Input> = found.into_iter().map(input_of).collect();
        self.hear(&mut inputs);
        self.take(inputs).await;
    }

    /// What was found meanwhile.
    fn hear(&mut self, inputs: &mut Vec<Input>) {
        while inputs.len() < FOUND_TOGETHER
            && let Ok(more) = self.findings.try_recv()
        {
            inputs.extend(more.into_iter().map(input_of));
        }
    }

    /// What they come to.
    fn judge(&mut self, inputs: Vec<Input>) -> Turn {
        let now = self.clock.now();
        let mut effects = Vec::new();
        for input in inputs {
            if let Input::Written { record, .. } | Input::Unsent { record } = &input {
                self.writing.remove(record);
            }
            if let Input::Observed(observation) = &input {
                let (outcome, took) = (&observation.outcome, observation.timings.total);
                tracing::debug!(endpoint = %observation.endpoint, ?outcome, ?took, "probed");
            }
            effects.extend(self.decision.handle(&now, input));
        }
        self.look_first(effects)
    }

    /// Does what the decision asks. First what only looks; then everything that must outlive us is kept, in one
    /// transaction; only then is anything written.
    pub(super) async fn play(&mut self, effects: Vec<Effect>) {
        let turn = self.look_first(effects);
        self.act(turn, |_| ()).await;
    }

    /// Sorts the effects, and begins with what only looks.
    fn look_first(&mut self, effects: Vec<Effect>) -> Turn {
        let now = self.clock.now();
        let provider_of = |record: &DomainName| self.config.records[record].policy.provider.clone();
        let desk = Desk {
            decision: &self.decision,
            scribe: &mut self.ledger.scribe,
            notify: &self.ledger.notify,
            open: &mut self.open,
            provider_of: &provider_of,
        };
        let Agenda { asks, reads, mut batch, writes, watches } = Agenda::of(effects, &now, desk);
        for ask in asks {
            self.ask(ask);
        }
        if matches!(self.mode, Mode::Plan { .. }) {
            batch.events.clear();
        }
        for (recorded, channels) in &batch.events {
            self.log(recorded, channels);
        }
        for (provider, records) in reads {
            let configured = records
                .iter()
                .filter_map(|name| Some((name.clone(), self.config.records[name].zone.clone()?)))
                .collect();
            let aliases = records.iter().filter(|name| self.config.is_alias(name)).cloned().collect();
            let marked = records.iter().filter(|name| self.config.has_marker(name)).cloned().collect();
            let wanted = Wanted { records: records.into_iter().collect(), configured, aliases, marked };
            self.tasks.spawn(self.zones.clone().read(provider, wanted));
        }
        Turn { now, batch, writes, watches }
    }

    /// Keeps what must outlive us, does `meanwhile` while the disk is busy with it, and then writes.
    async fn act<T>(&mut self, turn: Turn, meanwhile: impl FnOnce(&mut Self) -> T) -> T {
        let Turn { now, batch, writes, watches } = turn;
        let done = if self.is_to_be_kept(&batch) {
            let (keeping, written) = self.ledger.begin(batch, &now);
            // The first of them is begun first: it goes on in a thread of its own.
            let (written, done) = join(written, async { meanwhile(&mut *self) }).await;
            if let Some(event) = self.ledger.end(keeping, written, &now).await {
                self.say_of_state(event, &now).await;
            }
            done
        } else {
            meanwhile(self)
        };
        for (provider, works) in writes {
            self.writing.extend(works.iter().map(|work| work.swap.name().clone()));
            self.tasks.spawn(self.zones.clone().write(provider, works));
        }
        let crowd = self.writing.len() > CROWD;
        self.crowd.send_if_modified(|was| std::mem::replace(was, crowd) != crowd);
        for watch in watches {
            if let Some(zone) = self.zones.zone_of(&watch.record) {
                self.tasks.spawn(self.servers.clone().watch(watch, zone.name));
            }
        }
        while self.tasks.try_join_next().is_some() {}
        done
    }
}

fn input_of(finding: Finding) -> Input {
    match finding {
        Finding::Observation(observation) => Input::Observed(observation),
        Finding::Sighting(sighting) => Input::Witnessed(sighting),
    }
}
