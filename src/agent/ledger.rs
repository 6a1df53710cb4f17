//! What must outlive the process is kept here before its effect. A file that cannot be written does not stop a
//! failover: the agent goes on from memory, says so loudly, and the file is written again as soon as it can be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::State;
use crate::decision::{ChannelId, Event, EventKind, LatencyRow, Now, Recorded};
use crate::notify::{NotifySettings, Outbox, Sender};
use crate::store::{Batch, Loaded, Store, StoreError};

/// The longest the agent waits for the disk before it goes on from memory.
const DISK_LIMIT: Duration = Duration::from_secs(3);

/// Where the agent keeps things.
pub(super) struct Ledger {
    agent: String,
    notify: NotifySettings,
    store: Store,
    /// Is `store` a file, or all that is left of one that could not be opened?
    in_file: bool,
    /// `None` in a dry run, which tells nobody.
    outbox: Option<Outbox>,
    trouble: Option<Trouble>,
    counter: u64,
    nonce: u64,
}

struct Trouble {
    why: String,
    since: Timestamp,
}

impl Ledger {
    /// `outbox` makes the outbox over the store that is used.
    pub(super) fn new(
        agent: String,
        notify: NotifySettings,
        state: State,
        outbox: impl FnOnce(Store) -> Result<Option<Outbox>, StoreError>,
        now: &Now,
        nonce: u64,
    ) -> Result<Self, StoreError> {
        let (store, in_file, why) = match state {
            State::File(store) => (store, true, None),
            State::Broken(why) => (Store::in_memory()?, false, Some(why)),
            State::Nowhere => (Store::in_memory()?, false, None),
        };
        let outbox = outbox(store.clone())?;
        let trouble = why.map(|why| Trouble { why, since: now.wall });
        Ok(Ledger { agent, notify, store, in_file, outbox, trouble, counter: 0, nonce })
    }

    /// How many messages wait; 0 where the disk does not say so in time.
    pub(super) async fn pending(&self) -> u64 {
        timeout(DISK_LIMIT, self.store.pending()).await.ok().and_then(Result::ok).unwrap_or(0)
    }

    /// Forgets old history.
    pub(super) fn prune(&self, now: Timestamp) -> impl Future<Output = ()> + Send + use<> {
        let store = self.trouble.is_none().then(|| self.store.clone());
        async move {
            let Some(store) = store else { return };
            match timeout(DISK_LIMIT, store.prune(now)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(%error, "old history could not be dropped"),
                Err(_) => tracing::debug!("the disk took too long to drop old history"),
            }
        }
    }

    /// Keeps how long probes took. While the state cannot be written it is lost: nothing depends on it.
    pub(super) fn keep_latency(&self, rows: Vec<LatencyRow>) -> impl Future<Output = ()> + Send + use<> {
        let store = (self.trouble.is_none() && !rows.is_empty()).then(|| self.store.clone());
        async move {
            let Some(store) = store else { return };
            match timeout(DISK_LIMIT, store.add_latency(rows)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "latency could not be kept"),
                Err(_) => tracing::debug!("the disk took too long to keep latency"),
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
        self.trouble.as_ref().map(|trouble| trouble.why.as_str())
    }

    /// What an earlier run left behind. A file that cannot be read is trouble, not the end.
    pub(super) async fn load(&mut self, age_limit: Option<Duration>, now: &Now) -> Loaded {
        let why = match timeout(DISK_LIMIT, self.store.load(age_limit, now.wall)).await {
            Ok(Ok(loaded)) => return loaded,
            Ok(Err(error)) => error.to_string(),
            Err(_) => late(),
        };
        self.trouble = Some(Trouble { why, since: now.wall });
        Loaded::default()
    }

    /// An event with its identity. `key` makes it one for ever: told again after a crash it is the same event.
    pub(super) fn record(&mut self, event: Event, key: Option<String>) -> Recorded {
        let id = key.unwrap_or_else(|| {
            self.counter += 1;
            format!("evt-{}-{:08x}-{}", event.time.as_microsecond(), self.nonce & 0xffff_ffff, self.counter)
        });
        Recorded { id, agent: self.agent.clone(), event }
    }

    /// The channels that must hear of an event.
    pub(super) fn channels_for(&self, event: &Event) -> Vec<ChannelId> {
        self.notify.channels_for(event.kind, event.severity)
    }

    /// Keeps a batch. Returns what must be said of the state itself, if anything: that it cannot be written any more
    /// (its events are then told from memory), or that it can again.
    pub(super) async fn commit(&mut self, mut batch: Batch, now: &Now) -> Option<Event> {
        batch.at = Some(now.wall);
        let events = batch.events.clone();
        let why = match timeout(DISK_LIMIT, self.store.commit(batch)).await {
            Ok(Ok(())) => {
                self.outbox.iter().for_each(Outbox::wake);
                let trouble = if self.in_file { self.trouble.take()? } else { return None };
                let mut event =
                    Event::new(EventKind::StateRecovered, now.wall, "the state can be kept again");
                event.since = Some(trouble.since);
                return Some(event);
            }
            Ok(Err(error)) => error.to_string(),
            // The disk may still take it: the events have ids, so that nothing is told twice by the same outbox.
            Err(_) => late(),
        };
        if let Some(outbox) = &self.outbox
            && let Err(error) = outbox.tell_unsaved(events).await
        {
            tracing::error!(%error, "messages are lost: there is neither disk nor memory for them");
        }
        let since = self.trouble.as_ref().map(|trouble| trouble.since);
        self.trouble = Some(Trouble { why, since: since.unwrap_or(now.wall) });
        since.is_none().then(|| self.unwritable(now))
    }

    /// What is said when the state cannot be written.
    pub(super) fn unwritable(&self, now: &Now) -> Event {
        let why = self.trouble().unwrap_or("no reason is known");
        let summary = format!("the state cannot be kept: {why}");
        let mut event = Event::new(EventKind::StateUnwritable, now.wall, summary);
        event.since = self.trouble.as_ref().map(|trouble| trouble.since);
        event.next =
            Some("the agent goes on from memory; after a restart it would not know what it had done".into());
        event
    }
}

fn late() -> String {
    format!("the disk did not answer within {} s", DISK_LIMIT.as_secs())
}
