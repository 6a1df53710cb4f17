//! The shared handle: every call runs off the async threads, one at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{StoreError, schema};

/// A log of so many octets is worth a checkpoint: four times what is left of it after one.
const LOG_OCTETS: u64 = 4 * 1024 * 1024;
/// What a state in memory is called in messages.
pub(super) const IN_MEMORY: &str = "(in memory)";

/// The state, history and outbox. A clone is another handle on the same file.
///
/// Every call is one transaction and runs on a blocking thread. A call that was begun is finished even when its
/// future is dropped.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: String,
    bounds: Bounds,
    file: Mutex<File>,
}

/// What is behind a handle.
enum File {
    Open(Connection),
    /// It could not be opened so far: every call tries.
    Closed(PathBuf),
    /// What was read in it makes no sense: it is left as it is, for a person to look at and for what can still be read.
    Damaged(StoreError),
}

/// Says to a commit under way that nobody waits for it any more: what is not certain by then is rolled back.
///
/// While a commit has not ended, its copy of this is alive.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    /// Gives up.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Has a commit not ended that was handed a copy of it?
    pub fn is_watched(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Pending deliveries.
    pub(super) pending: i64,
    /// Events, and attempts.
    pub(super) rows: i64,
    /// Rows of latency, by the minute and by the hour each.
    pub(super) latency: i64,
}

impl Bounds {
    const USUAL: Bounds = Bounds { pending: 10_000, rows: 100_000, latency: 1_000_000 };
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.inner.path).finish()
    }
}

impl Store {
    /// Opens the state file, makes it (mode 0600) when it is not there, and brings it to the newest version.
    ///
    /// Its folder must exist. Blocks for at most the busy time-out of 2 s.
    ///
    /// # Errors
    /// Any [`StoreError`] but `Missing`.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        Ok(Store::around(path.display().to_string(), File::Open(schema::open(path)?), Bounds::USUAL))
    }

    /// The same for an agent that goes on without: what cannot be opened now is tried again with every call, which
    /// until then ends in the error that [`Store::open`] would give.
    pub fn open_patiently(path: &Path) -> Store {
        Store::around(path.display().to_string(), File::Closed(path.to_owned()), Bounds::USUAL)
    }

    /// Opens the state file for looking at it, beside a running agent or without one.
    ///
    /// # Errors
    /// `Missing` when nothing has run with it yet; later writes are `Unwritable`.
    pub fn open_read_only(path: &Path) -> Result<Store, StoreError> {
        Ok(Store::around(
            path.display().to_string(),
            File::Open(schema::open_read_only(path)?),
            Bounds::USUAL,
        ))
    }

    /// A state that ends with the process: for tests, and for an agent whose state file cannot be written.
    ///
    /// # Errors
    /// `Other`, when there is no memory for it.
    pub fn in_memory() -> Result<Store, StoreError> {
        Store::in_memory_with(Bounds::USUAL)
    }

    /// A state in memory that keeps less.
    pub(super) fn in_memory_with(bounds: Bounds) -> Result<Store, StoreError> {
        Ok(Store::around(IN_MEMORY.into(), File::Open(schema::open_in_memory()?), bounds))
    }

    fn around(path: String, file: File, bounds: Bounds) -> Store {
        Store { inner: Arc::new(Inner { path, bounds, file: Mutex::new(file) }) }
    }

    /// Runs `work` in one transaction.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &Bounds) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(move |connection, bounds| {
            // IMMEDIATE: the write lock is taken at once or waited for; a deferred one cannot wait when it upgrades.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction, bounds)?;
            transaction.commit()?;
            Ok(result)
        })
        .await
    }

    /// Runs `work`, which only reads, on one state of the file.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(move |connection, _| work(&connection.transaction()?)).await
    }

    /// Brings what is in the log into the file itself, where that has become worth it: the log is read at every start.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        let log = PathBuf::from(format!("{}-wal", self.inner.path));
        self.call(move |connection, _| {
            if log.metadata().is_ok_and(|log| log.len() >= LOG_OCTETS) {
                connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            }
            Ok(())
        })
        .await
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &Bounds) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let task = tokio::task::spawn_blocking(move || {
            // A panic inside a call rolled its transaction back; the connection is as good as before.
            let mut file = inner.file.lock().unwrap_or_else(PoisonError::into_inner);
            let result = file
                .open()
                .and_then(|file| work(file, &inner.bounds).map_err(|why| StoreError::of(&inner.path, &why)));
            if let (File::Open(_), Err(error @ StoreError::Corrupt { .. })) = (&*file, &result) {
                *file = File::Damaged(error.clone());
            }
            result
        });
        task.await.unwrap_or_else(|error| {
            Err(StoreError::Other {
                path: self.inner.path.clone(),
                detail: format!("the call did not end: {error}"),
            })
        })
    }
}

impl File {
    fn open(&mut self) -> Result<&mut Connection, StoreError> {
        if let File::Closed(path) = self {
            *self = File::Open(schema::open(path)?);
        }
        match self {
            File::Open(connection) => Ok(connection),
            File::Damaged(error) => Err(error.clone()),
            File::Closed(path) => Err(StoreError::Missing { path: path.display().to_string() }),
        }
    }
}

#[cfg(test)]
impl Store {
    /// Every call waits until this is dropped.
    pub(super) fn in_use(&self) -> impl Sized + '_ {
        self.inner.file.lock().expect("no call has panicked")
    }

    /// An empty file of an earlier version.
    pub(super) fn make_old(path: &Path, version: usize) {
        schema::make_old(path, version);
    }

    /// Runs SQL, to set a stage.
    pub(crate) async fn sql(&self, sql: &str) {
        let sql = sql.to_owned();
        self.call(move |connection, _| connection.execute_batch(&sql)).await.expect("good SQL");
    }
}
