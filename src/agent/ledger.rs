//! What must outlive the process is kept here before its effect. A file that cannot be written does not stop a
//! failover, nor hold it up: the agent goes on from memory, says so loudly, and what was not kept meanwhile is written
//! as soon as the file can be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::State;
use super::agenda::Scribe;
use super::books::{Books, Entry, LATE, Told};
use crate::decision::{ChannelId, Event, LatencyRow, Moment, Now, Recorded};
use crate::notify::{HandOver, NotifySettings, Outbox, Sender};
use crate::store::{Batch, GivenUp, Loaded, PRUNED_AT_ONCE, Store, StoreError};

/// The longest the agent waits for the disk before it goes on from memory.
const DISK_LIMIT: Duration = Duration::from_secs(3);
/// The same at the start, when nothing else waits: of a hundred thousand endpoints there is a lot to read.
const LOAD_LIMIT: Duration = Duration::from_secs(10);
/// The same while the file is in trouble: nobody's verdict must grow old meanwhile.
const TROUBLE_LIMIT: Duration = Duration::from_millis(500);

/// Rows of latency that are kept in one transaction.
const LATENCY_ROWS: usize = 1000;
/// So often old history is dropped in a row, some of it each time: a hundred thousand endpoints add as many rows a minute.
const PRUNE_STEPS: usize = 64;

/// Where the agent keeps things.
pub(super) struct Ledger {
    pub(super) scribe: Scribe,
    pub(super) notify: NotifySettings,
    store: Store,
    /// `None` in a dry run, which tells nobody.
    outbox: Option<Outbox>,
    books: Books,
    /// The commit that was not waited for to its end.
    late: GivenUp,
    limit: Duration,
}

/// A batch that is being kept.
pub(super) enum Keeping {
    Written(Arc<Batch>),
    /// The file is in trouble.
    Remembered(Told, Option<Box<Batch>>),
}

impl Ledger {
    /// `outbox` makes the outbox over the store that is used.
    pub(super) fn new(
        agent: String,
        notify: NotifySettings,
        state: State,
        outbox: impl FnOnce(Store) -> Option<Outbox>,
        nonce: u64,
    ) -> Result<Self, StoreError> {
        let store = match state {
            State::File(store) => store,
            State::Nowhere => Store::in_memory()?,
        };
        Ok(Ledger {
            outbox: outbox(store.clone()),
            scribe: Scribe::new(agent, nonce),
            notify,
            store,
            books: Books::default(),
            late: GivenUp::default(),
            limit: DISK_LIMIT,
        })
    }

    /// The end is near: a file in trouble is tried once more, and the disk is waited for no longer than `limit`.
    pub(super) fn closing(&mut self, limit: Option<Duration>, now: &Now) {
        self.limit = limit.unwrap_or(self.limit);
        self.books.hurry(now);
    }

    /// When a file in trouble is tried again.
    pub(super) fn next_try(&self) -> Option<Moment> {
        self.books.next_try()
    }

    /// How many messages wait; those in a file that does not say so in time are not counted.
    pub(super) async fn pending(&self) -> u64 {
        let kept = async {
            let busy = self.late.is_watched();
            if busy { Ok(0) } else { self.store.pending().await }
        };
        let limit = if self.books.trouble().is_some() { TROUBLE_LIMIT } else { self.limit };
        let kept = timeout(limit, kept).await.ok().and_then(Result::ok).unwrap_or(0);
        let unsaved = match &self.outbox {
            Some(outbox) => outbox.unsaved().await.unwrap_or(0),
            None => 0,
        };
        kept + unsaved
    }

    /// Forgets old history.
    pub(super) fn prune(&self, now: Timestamp) -> impl Future<Output = ()> + Send + use<> {
        let store = self.books.trouble().is_none().then(|| self.store.clone());
        let outbox = self.outbox.clone();
        async move {
            if let Some(outbox) = outbox
                && let Err(error) = outbox.prune_unsaved(now).await
            {
                tracing::debug!(%error, "what was told from memory could not be dropped");
            }
            let Some(store) = store else { return };
            for _ in 0..PRUNE_STEPS {
                match timeout(DISK_LIMIT, store.prune(now)).await {
                    Ok(Ok(removed)) if removed < PRUNED_AT_ONCE => break,
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => return tracing::debug!(%error, "old history could not be dropped"),
                    Err(_) => return tracing::debug!("the disk took too long to drop old history"),
                }
            }
            into_the_file(&store).await;
        }
    }

    /// Keeps how long probes took. While the state cannot be written it is lost: nothing depends on it.
    pub(super) fn keep_latency(&self, rows: Vec<LatencyRow>) -> impl Future<Output = ()> + Send + use<> {
        let store = (self.books.trouble().is_none() && !rows.is_empty()).then(|| self.store.clone());
        async move {
            let Some(store) = store else { return };
            let mut rows = rows.into_iter();
            loop {
                // Some at a time: a change that is due gets to the file between two of them.
                let some: Vec<LatencyRow> = rows.by_ref().take(LATENCY_ROWS).collect();
                if some.is_empty() {
                    return;
                }
                match timeout(DISK_LIMIT, store.add_latency(some)).await {
                    Ok(Ok(())) => into_the_file(&store).await,
                    Ok(Err(error)) => return tracing::debug!(%error, "latency could not be kept"),
                    Err(_) => return tracing::debug!("the disk took too long to keep latency"),
                }
            }
        }
    }

    /// Other channels and routes from now on.
    pub(super) fn reconfigure(
        &mut self,
        senders: BTreeMap<ChannelId, Arc<dyn Sender>>,
        notify: NotifySettings,
    ) {
        if let Some(outbox) = &self.outbox {
            outbox.reconfigure(senders, notify.clone());
        }
        self.notify = notify;
    }

    /// The outbox over it.
    pub(super) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.as_ref()
    }

    /// Why the state cannot be written, if it cannot.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.books.trouble()
    }

    /// What an earlier run left behind. A file that cannot be read is trouble, not the end.
    pub(super) async fn load(&mut self, age_limit: Option<Duration>, now: &Now) -> Loaded {
        let why = match timeout(LOAD_LIMIT, self.store.load(age_limit, now.wall)).await {
            Ok(Ok(loaded)) => return loaded,
            Ok(Err(error)) => error.to_string(),
            Err(_) => too_late(LOAD_LIMIT),
        };
        self.books.in_trouble(why, now);
        Loaded::default()
    }

    /// An event with its identity: see [`Scribe::record`].
    pub(super) fn record(&mut self, event: Event, key: Option<String>) -> Recorded {
        self.scribe.record(event, key)
    }

    /// The channels that must hear of an event.
    pub(super) fn channels_for(&self, event: &Event) -> Vec<ChannelId> {
        self.notify.channels_for(event.kind, event.severity)
    }

    /// Keeps a batch. Returns what must be said of the state itself, if anything: that it cannot be written any more
    /// (its events are then told from memory), or that it can again.
    pub(super) async fn commit(&mut self, batch: Batch, now: &Now) -> Option<Event> {
        let (keeping, written) = self.begin(batch, now);
        let written = written.await;
        self.end(keeping, written, now).await
    }

    /// The same in two steps, for a caller who has something to do in between: what comes of the second value is for
    /// [`Ledger::end`], before anything else is kept.
    pub(super) fn begin(
        &mut self,
        batch: Batch,
        now: &Now,
    ) -> (Keeping, impl Future<Output = Result<(), String>> + use<>) {
        let keeping = match self.books.enter(batch, now) {
            Entry::Write(batch) => Keeping::Written(Arc::new(batch)),
            Entry::Remember { events, again } => Keeping::Remembered(events, again.map(Box::new)),
        };
        let write = match &keeping {
            Keeping::Written(batch) => Some(self.write(Arc::clone(batch), self.limit)),
            Keeping::Remembered(..) => None,
        };
        let written = async move {
            match write {
                Some(write) => write.await,
                None => Ok(()),
            }
        };
        (keeping, written)
    }

    pub(super) async fn end(
        &mut self,
        keeping: Keeping,
        written: Result<(), String>,
        now: &Now,
    ) -> Option<Event> {
        match keeping {
            Keeping::Written(batch) => {
                let Err(why) = written else {
                    self.outbox.iter().for_each(Outbox::wake);
                    return None;
                };
                let (events, word) = self.books.refused(Arc::unwrap_or_clone(batch), why, now);
                self.tell_from_memory(events).await;
                Some(word)
            }
            Keeping::Remembered(events, again) => {
                self.tell_from_memory(events).await;
                let mut again = again?;
                let hand_over = self.hand_over().await;
                again.deliveries = hand_over.as_ref().map(HandOver::deliveries).unwrap_or_default();
                if let Err(why) = self.write(Arc::new(*again), self.limit.min(TROUBLE_LIMIT)).await {
                    self.books.still_refused(why, now);
                    return None;
                }
                if let Some(hand_over) = hand_over
                    && let Err(error) = hand_over.done().await
                {
                    tracing::error!(%error, "messages stay in memory that are in the file; they may be told twice");
                }
                self.outbox.iter().for_each(Outbox::wake);
                self.books.recovered(now)
            }
        }
    }

    /// One commit; one at a time, whatever the disk does with the one before.
    fn write(
        &mut self,
        batch: Arc<Batch>,
        limit: Duration,
    ) -> impl Future<Output = Result<(), String>> + use<> {
        let busy = self.late.is_watched();
        if !busy {
            self.late = GivenUp::default();
        }
        let (store, late) = (self.store.clone(), self.late.clone());
        async move {
            if busy {
                return Err(too_late(limit));
            }
            let Ok(result) = timeout(limit, store.commit_unless(batch, late.clone())).await else {
                late.set();
                return Err(too_late(limit));
            };
            result.map_err(|error| error.to_string())
        }
    }

    /// What was told from memory and what still waits there, for the file. Until it is dropped nothing is told from there.
    async fn hand_over(&self) -> Option<HandOver> {
        let hand_over = self.outbox.as_ref()?.hand_over().await;
        hand_over.inspect_err(|error| tracing::error!(%error, "messages stay in memory")).ok()
    }

    async fn tell_from_memory(&mut self, events: Told) {
        if let Some(outbox) = &self.outbox
            && !events.is_empty()
            && let Err(error) = outbox.tell_unsaved(events).await
        {
            tracing::error!(%error, "messages are lost: there is neither disk nor memory for them");
        }
    }

    /// What is said when the state cannot be written.
    pub(super) fn unwritable(&self, now: &Now) -> Event {
        self.books.unwritable(now)
    }
}

/// The log is brought into the file while nobody waits for it, a little at a time.
async fn into_the_file(store: &Store) {
    if let Ok(Err(error)) = timeout(DISK_LIMIT, store.checkpoint()).await {
        tracing::debug!(%error, "the log of the state file could not be brought into it");
    }
}

fn too_late(limit: Duration) -> String {
    format!("{LATE} within {}", crate::decision::human(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::SavedTracker;

    /// A hundred thousand endpoints add more in a minute than one call of the store drops.
    #[tokio::test]
    async fn old_history_is_dropped_to_its_end() {
        let store = Store::in_memory().unwrap();
        let body = serde_json::to_string(&SavedTracker::default()).unwrap();
        let old = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO trackers \
             SELECT json_object('target', 't' || i, 'check', 'web', 'address', '192.0.2.1'), 0, '{body}' FROM n",
            2 * PRUNED_AT_ONCE + 1
        );
        store.sql(&old).await;
        let state = State::File(store.clone());
        let ledger = Ledger::new("a".into(), NotifySettings::default(), state, |_| None, 1).unwrap();
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let kept = async || store.load(None, now).await.unwrap().trackers.len();
        assert_eq!(kept().await, 2 * PRUNED_AT_ONCE + 1);
        ledger.prune(now).await;
        assert_eq!(kept().await, 0);
    }
}
