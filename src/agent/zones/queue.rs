//! What waits: to be read, provider by provider, and to be written, zone by zone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use providers::{DomainName, SwapTier, Zone};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::decision::{ProviderId, Work};

/// What is to be read at a provider.
#[derive(Default)]
pub(in crate::agent) struct Wanted {
    /// The records.
    pub(in crate::agent) records: BTreeSet<DomainName>,
    /// The zones that need not be found.
    pub(in crate::agent) configured: BTreeMap<DomainName, DomainName>,
    /// The records that are to hold a CNAME, which cannot stand at a zone's own name (RFC 1912 section 2.4).
    pub(in crate::agent) aliases: BTreeSet<DomainName>,
    /// Those that have a marker.
    pub(in crate::agent) marked: BTreeSet<DomainName>,
}

/// What waits to be read.
#[derive(Clone, Default)]
pub(super) struct Readings(Arc<Mutex<BTreeMap<ProviderId, Wanted>>>);

impl Readings {
    /// Whoever adds must then wait for its turn and take.
    pub(super) fn add(&self, provider: &ProviderId, wanted: Wanted) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = waiting.entry(provider.clone()).or_default();
        all.records.extend(wanted.records);
        all.configured.extend(wanted.configured);
        all.aliases.extend(wanted.aliases);
        all.marked.extend(wanted.marked);
    }

    /// All of it; `None` when somebody else took it.
    pub(super) fn take(&self, provider: &ProviderId) -> Option<Wanted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(provider)
    }
}

/// Transactions under way at one zone, where the server itself compares. Elsewhere each would be taken for somebody
/// else's by the next.
const WRITES_AT_ONCE: usize = 2;

/// The queues of all zones that were written to.
#[derive(Clone, Default)]
pub(super) struct Queues(Arc<Mutex<ByZone>>);

type ByZone = BTreeMap<(ProviderId, Zone), Arc<Queue>>;

impl Queues {
    /// That of a zone.
    pub(super) fn of(&self, provider: &ProviderId, zone: &Zone, tier: SwapTier) -> Arc<Queue> {
        let at_once = if tier == SwapTier::ServerCompared { WRITES_AT_ONCE } else { 1 };
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues
            .entry((provider.clone(), zone.clone()))
            .or_insert_with(|| Arc::new(Queue { waiting: Mutex::default(), turns: Semaphore::new(at_once) }));
        Arc::clone(queue)
    }
}

/// What waits at one zone, first come first. Each change is there once: the decision asks for one of a record at a time.
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Arc<Work>>>,
    turns: Semaphore,
}

impl Queue {
    /// Whoever adds must then take its turn and take until nothing is left.
    pub(super) fn add(&self, works: Vec<Arc<Work>>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(works);
    }

    /// One of the few that write.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// The next transaction, of at most so many names (one, if that is none); `None` when nothing waits.
    pub(super) fn take(&self, names: usize) -> Option<Vec<Arc<Work>>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.max(1).min(waiting.len());
        (names > 0).then(|| waiting.drain(..names).collect())
    }

    /// The names that still wait, which are forgotten.
    pub(super) fn abandon(&self) -> Vec<DomainName> {
        let works = self.take(usize::MAX).unwrap_or_default();
        works.iter().map(|work| work.swap.name().clone()).collect()
    }
}
