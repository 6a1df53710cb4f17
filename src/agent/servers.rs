//! Asking the authoritative servers: one look, or a watch until all of them serve a change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use providers::{DomainName, RecordSet, RecordType};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::decision::{Input, Now, ServerSeen, Watch};
use crate::live::{self, LiveDns, LiveFault, Server, Watched};

/// After this long a server that does not serve the change is told of.
const SLOW_AFTER: Duration = Duration::from_secs(30);
/// While a crowd of changes is written, nothing is asked for so long: its questions would take the processor from the
/// writes.
const HELD_BACK: Duration = Duration::from_secs(2);
/// After this long nobody waits for it any more; the usual looks will see it.
const GIVE_UP_AFTER: Duration = Duration::from_mins(10);

/// What both need.
#[derive(Clone)]
pub(super) struct Servers {
    pub(super) live: Arc<dyn LiveDns>,
    pub(super) clock: Arc<dyn Clock>,
    /// Servers that are known without asking, by record.
    pub(super) known: Arc<BTreeMap<DomainName, Vec<Server>>>,
    pub(super) out: mpsc::Sender<Vec<Input>>,
    /// Are so many changes being written that whoever only looks had better wait?
    pub(super) crowd: watch::Receiver<bool>,
}

impl Servers {
    async fn of(&self, record: &DomainName, zone: &DomainName) -> Result<Vec<Server>, LiveFault> {
        match self.known.get(record) {
            Some(servers) => Ok(servers.clone()),
            None => self.live.servers(zone).await,
        }
    }

    /// Asks every server once.
    pub(super) async fn look(self, record: DomainName, zone: DomainName) {
        let servers = match self.of(&record, &zone).await {
            Ok(servers) => servers,
            Err(fault) => {
                let unknown = vec![(zone.to_string(), Err(fault.to_string()))];
                return self.report(Input::Looked { record, servers: unknown }).await;
            }
        };
        let asks = servers.iter().map(|server| async {
            let seen = self.live.ask(server, &record).await.map_err(|fault| fault.to_string());
            (server.to_string(), seen)
        });
        let seen = futures_util::future::join_all(asks).await;
        self.report(Input::Looked { record, servers: seen }).await;
    }

    /// Asks every server until all serve the change; tells when some are slow.
    pub(super) async fn watch(mut self, order: Watch, zone: DomainName) {
        // In time or not: then it is asked. The sender is gone only when the process ends.
        let _ = timeout(HELD_BACK, self.crowd.wait_for(|crowd| !crowd)).await;
        let servers = match self.of(&order.record, &zone).await {
            Ok(servers) => servers,
            Err(fault) => {
                tracing::warn!(record = %order.record, error = %fault, "cannot watch the change arrive");
                return self.propagated(&order, Vec::new(), true).await;
            }
        };
        let mut limit = SLOW_AFTER;
        let mut arrived: BTreeMap<Server, ServerSeen> = BTreeMap::new();
        let mut behind = servers;
        loop {
            let (live, clock) = (self.live.as_ref(), self.clock.as_ref());
            let watched = live::watch(live, clock, &behind, &order.record, &order.answer, limit).await;
            behind = watched.iter().filter(|w| w.served_at.is_none()).map(|w| w.server.clone()).collect();
            arrived.extend(watched.into_iter().map(|w| (w.server.clone(), seen(w))));
            let given_up = !behind.is_empty() && limit == GIVE_UP_AFTER;
            self.propagated(&order, arrived.values().cloned().collect(), given_up).await;
            if behind.is_empty() || given_up {
                return;
            }
            limit = GIVE_UP_AFTER;
        }
    }

    async fn propagated(&self, order: &Watch, servers: Vec<ServerSeen>, given_up: bool) {
        let (record, change) = (order.record.clone(), order.change.clone());
        self.report(Input::Propagated { record, change, servers, given_up }).await;
    }

    async fn report(&self, input: Input) {
        // The agent is gone only when the process ends.
        let _ = self.out.send(vec![input]).await;
    }
}

fn seen(watched: Watched) -> ServerSeen {
    let serves = match watched.last {
        Ok(sets) => values(&sets),
        Err(fault) => format!("unknown: {fault}"),
    };
    ServerSeen { server: watched.server.to_string(), at: watched.served_at.map(|now: Now| now.wall), serves }
}

fn values(sets: &BTreeMap<RecordType, RecordSet>) -> String {
    if sets.is_empty() {
        return "nothing".into();
    }
    sets.values().flat_map(|set| set.values.to_strings()).collect::<Vec<_>>().join(", ")
}
