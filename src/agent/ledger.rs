//! What must outlive the process is kept here before its effect. A file that cannot be written does not stop a
//! failover: the ledger goes on in memory, says so loudly, and returns to the file when it can be written again.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::State;
use crate::decision::{ChannelId, Event, EventKind, Moment, Now, Recorded};
use crate::notify::NotifySettings;
use crate::store::{Batch, Loaded, Store, StoreError};

/// The longest the agent waits for the disk before it goes on from memory.
const DISK_LIMIT: Duration = Duration::from_secs(3);
/// How often a file that could not be opened is tried again.
const REOPEN: Duration = Duration::from_secs(30);

/// Where the agent keeps things now.
pub(super) struct Ledger {
    agent: String,
    notify: NotifySettings,
    file: Option<Store>,
    /// The file that could not be opened.
    broken: Option<PathBuf>,
    memory: Store,
    trouble: Option<Trouble>,
    next_reopen: Moment,
    counter: u64,
    nonce: u64,
}

struct Trouble {
    why: String,
    since: Timestamp,
}

impl Ledger {
    pub(super) fn new(
        agent: String,
        notify: NotifySettings,
        state: State,
        now: &Now,
        seed: u64,
    ) -> Result<Self, StoreError> {
        let (file, broken, why) = match state {
            State::File(store) => (Some(store), None, None),
            State::Broken { path, why } => (None, Some(path), Some(why)),
            State::Nowhere => (None, None, None),
        };
        Ok(Ledger {
            agent,
            notify,
            file,
            broken,
            memory: Store::in_memory()?,
            trouble: why.map(|why| Trouble { why, since: now.wall }),
            next_reopen: now.moment + REOPEN,
            counter: 0,
            nonce: seed,
        })
    }

    /// The stores whose outboxes must be worked off: the file's, if there is one, and the memory's.
    pub(super) fn stores(&self) -> Vec<Store> {
        self.file.iter().chain([&self.memory]).cloned().collect()
    }

    /// Why the state cannot be written, if it cannot.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.why.as_str())
    }

    /// What an earlier run left behind. A file that cannot be read is trouble, not the end.
    pub(super) async fn load(&mut self, age_limit: Option<Duration>, now: &Now) -> Loaded {
        let Some(file) = &self.file else { return Loaded::default() };
        match file.load(age_limit, now.wall).await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.trouble = Some(Trouble { why: error.to_string(), since: now.wall });
                Loaded::default()
            }
        }
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

    /// Keeps a batch, in the file or else in memory. Returns what must be said of the state itself, if anything.
    pub(super) async fn commit(&mut self, mut batch: Batch, now: &Now) -> Option<Event> {
        batch.at = Some(now.wall);
        self.reopen(now);
        let Some(file) = self.file.clone() else {
            self.keep_in_memory(batch).await;
            return None;
        };
        let error = match timeout(DISK_LIMIT, file.commit(batch.clone())).await {
            Ok(Ok(())) => {
                return self.trouble.take().map(|trouble| {
                    let mut event = Event::new(EventKind::StateRecovered, now.wall, "the state can be written again");
                    event.since = Some(trouble.since);
                    event
                });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the disk did not answer within {} s", DISK_LIMIT.as_secs()),
        };
        // A batch that the disk may still take later is kept twice rather than lost: its events have ids.
        self.keep_in_memory(batch).await;
        let first = self.trouble.is_none();
        self.trouble = Some(Trouble { why: error, since: now.wall });
        first.then(|| self.unwritable(now))
    }

    /// What is said when the state cannot be written.
    pub(super) fn unwritable(&self, now: &Now) -> Event {
        let why = self.trouble().unwrap_or("no reason is known");
        let mut event =
            Event::new(EventKind::StateUnwritable, now.wall, format!("the state cannot be written: {why}"));
        event.next = Some("the agent goes on from memory; after a restart it would not know what it had done".into());
        event
    }

    async fn keep_in_memory(&self, batch: Batch) {
        // Memory has no reason to refuse but its own end, and then nobody is left to be told.
        let _ = self.memory.commit(batch).await;
    }

    fn reopen(&mut self, now: &Now) {
        let Some(path) = self.broken.clone() else { return };
        if now.moment < self.next_reopen {
            return;
        }
        self.next_reopen = now.moment + REOPEN;
        if let Ok(store) = Store::open(&path) {
            self.file = Some(store);
            self.broken = None;
        }
    }
}
