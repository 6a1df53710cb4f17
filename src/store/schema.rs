//! Opening the file: who may read it, how it is written, and which version it has.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, place};

/// How long a write waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The version of a file that took every step.
const NEWEST: u32 = 4;

/// The steps from an empty file to the newest version; step N makes version N + 1. Only ever appended to.
const MIGRATIONS: [&str; NEWEST as usize] = [V1, V2, V3, V4];

/// Times are microseconds since 1970 (UTC), so that they sort and index; values are JSON, so that a field can be added
/// without a migration. `seq` is the order in which this file heard of the events.
const V1: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE trackers (endpoint TEXT PRIMARY KEY, last INTEGER, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE changes (
  id TEXT PRIMARY KEY, state TEXT NOT NULL, started INTEGER NOT NULL, body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX changes_by_state ON changes (state, started);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, time INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (time);
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
  channel TEXT NOT NULL,
  severity INTEGER NOT NULL,
  state TEXT NOT NULL,
  created INTEGER NOT NULL,
  next_attempt INTEGER,
  first_attempt INTEGER,
  round INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  last_error TEXT
) STRICT;
CREATE INDEX deliveries_pending ON deliveries (channel, next_attempt) WHERE state = 'pending';
CREATE INDEX deliveries_by_event ON deliveries (event);
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  delivery INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
  at INTEGER NOT NULL, delivered INTEGER NOT NULL, status INTEGER, error TEXT, took_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_by_delivery ON attempts (delivery);
CREATE INDEX attempts_by_time ON attempts (at);
";

/// Latency, added up by the minute and by the hour: `span` is 60 or 3600, `start` is in seconds since 1970 (UTC), times are
/// microseconds. An endpoint is written out once.
const V2: &str = "
CREATE TABLE endpoints (id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE latency (
  span INTEGER NOT NULL, start INTEGER NOT NULL, endpoint INTEGER NOT NULL REFERENCES endpoints (id) ON DELETE CASCADE,
  body TEXT NOT NULL, PRIMARY KEY (span, start, endpoint)
) STRICT, WITHOUT ROWID;
CREATE INDEX latency_by_endpoint ON latency (endpoint, span, start);
";

/// Overrides by key: see `OverrideKey`.
const V3: &str = "
CREATE TABLE overrides (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// A change has 1.1 KB, and what a row of a table without rowid has beyond 1 KB gets a page of its own: 10,000 changes took
/// 47 MB of the file and of its log, and now 15.
const V4: &str = "
CREATE TABLE changes_by_rowid (
  id TEXT PRIMARY KEY, state TEXT NOT NULL, started INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
INSERT INTO changes_by_rowid SELECT id, state, started, body FROM changes;
DROP TABLE changes;
ALTER TABLE changes_by_rowid RENAME TO changes;
CREATE INDEX changes_by_state ON changes (state, started);
";

/// Opens the file for reading and writing, makes it if need be, and brings it to the newest version.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    place::trust(path)?;
    make_private(path)?;
    place::close(path);
    let shown = path.display().to_string();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let told = |error: rusqlite::Error| StoreError::of(&shown, &error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(told)?;
    // SQLite opens a file that it may not write for reading, and says so only at the first write.
    if connection.is_readonly("main").map_err(told)? {
        return Err(StoreError::Unwritable {
            path: shown,
            detail: "the file is read-only".into(),
            remedy: "look at its owner and mode".into(),
        });
    }
    prepare(&mut connection, &shown)?;
    Ok(connection)
}

/// Opens an existing file for reading; another process may be writing it.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    let shown = path.display().to_string();
    if !path.exists() {
        return Err(StoreError::Missing { path: shown });
    }
    place::trust(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let told = |error: rusqlite::Error| StoreError::of(&shown, &error);
    let connection = Connection::open_with_flags(path, flags).map_err(told)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(told)?;
    match version(&connection).map_err(told)? {
        0 => Err(StoreError::Missing { path: shown }),
        found if found > i64::from(NEWEST) => {
            Err(StoreError::Newer { path: shown, found, known: NEWEST.into() })
        }
        _ => Ok(connection),
    }
}

/// A state that ends with the process.
pub(super) fn open_in_memory() -> Result<Connection, StoreError> {
    let mut connection =
        Connection::open_in_memory().map_err(|error| StoreError::of(super::IN_MEMORY, &error))?;
    prepare(&mut connection, super::IN_MEMORY)?;
    Ok(connection)
}

/// `SQLite` gives its -wal and -shm files the mode of the main file, so that is the only one to be made by hand.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(StoreError::Unwritable {
            path: path.display().to_string(),
            detail: format!("the folder {} does not exist", folder.display()),
            remedy: format!("mkdir -p {0} and give it to the user that runs failover", folder.display()),
        });
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::of_io(path, &error)),
    }
}

fn prepare(connection: &mut Connection, shown: &str) -> Result<(), StoreError> {
    let told = |error: rusqlite::Error| StoreError::of(shown, &error);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(told)?;
    let found = version(connection).map_err(told)?;
    if found > i64::from(NEWEST) {
        return Err(StoreError::Newer { path: shown.to_owned(), found, known: NEWEST.into() });
    }
    // FULL: with WAL, NORMAL may lose the last commits with the power (https://www.sqlite.org/pragma.html#pragma_synchronous).
    // No spilling: of thousands of rows in one batch each page would go to the WAL many times. Batches are bounded.
    // No checkpoint in the middle of a failover, where each commit is waited for: that is done between two of them (see
    // `Store::checkpoint`), unless 40 MiB of log (10,000 pages) come sooner. What was in a longer log is then given back.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_spill = OFF; \
             PRAGMA wal_autocheckpoint = 10000; PRAGMA journal_size_limit = 1048576;",
        )
        .map_err(told)?;
    migrate(connection).map_err(told)
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    // The version is read again inside the transaction: two processes may open a new file at once.
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = usize::try_from(version(&transaction)?).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(found) {
        transaction.execute_batch(step)?;
    }
    if found < MIGRATIONS.len() {
        transaction.pragma_update(None, "user_version", NEWEST)?;
    }
    transaction.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// An empty file as an earlier version made it.
#[cfg(test)]
pub(super) fn make_old(path: &Path, version: usize) {
    let connection = Connection::open(path).expect("a new file");
    for step in &MIGRATIONS[..version] {
        connection.execute_batch(step).expect("an old step");
    }
    connection
        .pragma_update(None, "user_version", i64::try_from(version).expect("small"))
        .expect("a version");
}
