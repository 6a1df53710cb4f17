//! The shared handle: every call runs off the async threads, one at a time.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{StoreError, schema};

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
    connection: Mutex<Connection>,
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
        Ok(Store::around(path.display().to_string(), schema::open(path)?, Bounds::USUAL))
    }

    /// Opens the state file for looking at it, beside a running agent or without one.
    ///
    /// # Errors
    /// `Missing` when nothing has run with it yet; later writes are `Unwritable`.
    pub fn open_read_only(path: &Path) -> Result<Store, StoreError> {
        Ok(Store::around(path.display().to_string(), schema::open_read_only(path)?, Bounds::USUAL))
    }

    /// A state that ends with the process: for tests, and for an agent whose state file cannot be written.
    ///
    /// # Errors
    /// `Other`, when there is no memory for it.
    pub fn in_memory() -> Result<Store, StoreError> {
        Ok(Store::around(IN_MEMORY.into(), schema::open_in_memory()?, Bounds::USUAL))
    }

    fn around(path: String, connection: Connection, bounds: Bounds) -> Store {
        Store { inner: Arc::new(Inner { path, bounds, connection: Mutex::new(connection) }) }
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

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, &Bounds) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let task = tokio::task::spawn_blocking(move || {
            // A panic inside a call rolled its transaction back; the connection is as good as before.
            let mut connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection, &inner.bounds).map_err(|error| StoreError::of(&inner.path, &error))
        });
        task.await.unwrap_or_else(|error| {
            Err(StoreError::Other {
                path: self.inner.path.clone(),
                detail: format!("the call did not end: {error}"),
            })
        })
    }
}

#[cfg(test)]
impl Store {
    /// A state in memory that keeps less.
    pub(super) fn in_memory_with(bounds: Bounds) -> Store {
        Store::around(IN_MEMORY.into(), schema::open_in_memory().expect("memory"), bounds)
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
