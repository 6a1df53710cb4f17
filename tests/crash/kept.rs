//! What the agent has kept in its state file, seen from outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// A state file that is looked into. A running agent is not disturbed: readers of a WAL hold up nobody.
pub(crate) struct Kept {
    connection: Connection,
    /// The copy that is read, where it is one.
    _copy: Option<tempfile::TempDir>,
}

impl Kept {
    /// Of a running agent; `None` as long as there is nothing to read.
    pub(crate) fn of_running(file: &Path) -> Option<Kept> {
        // In another mount namespace: `SQLite` would follow the link of proc(5) to a path of this one.
        if file.starts_with("/proc") {
            return Kept::of_dead(file);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).ok()?;
        connection.prepare("SELECT state FROM changes").ok()?;
        Some(Kept { connection, _copy: None })
    }

    /// Of an agent that was killed: a copy, since opening the file would mend it before the next start can.
    pub(crate) fn of_dead(file: &Path) -> Option<Kept> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copy = folder.path().join("copy.db");
        fs::copy(file, &copy).ok()?;
        let beside = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
        if beside(file).exists() {
            fs::copy(beside(file), beside(&copy)).ok()?;
        }
        let connection = Connection::open(&copy).ok()?;
        connection.prepare("SELECT state FROM changes").ok()?;
        Some(Kept { connection, _copy: Some(folder) })
    }

    /// The states of all changes, oldest first. Empty while another connection recovers the file.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.texts("SELECT state FROM changes ORDER BY started")
    }

    /// The ids of all events.
    pub(crate) fn events(&self) -> BTreeSet<String> {
        self.texts("SELECT id FROM events").into_iter().collect()
    }

    /// The ids of those that it holds for delivered.
    pub(crate) fn delivered(&self) -> BTreeSet<String> {
        let query = "SELECT events.id FROM events JOIN deliveries ON event = seq WHERE state = 'delivered'";
        self.texts(query).into_iter().collect()
    }

    /// How many deliveries are not done.
    pub(crate) fn undelivered(&self) -> usize {
        self.texts("SELECT state FROM deliveries WHERE state <> 'delivered'").len()
    }

    /// By `SQLite`'s own account.
    pub(crate) fn is_sound(&self) -> bool {
        self.texts("PRAGMA integrity_check") == ["ok"]
    }

    fn texts(&self, query: &str) -> Vec<String> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut rows = self.connection.prepare_cached(query)?;
            rows.query_map([], |row| row.get(0))?.collect()
        };
        read().unwrap_or_default()
    }
}
