//! What can go wrong with the state file, said as the caller's next move.

use std::path::Path;

use rusqlite::ErrorCode;

/// Why the state could not be read or written.
///
/// None of these stops a failover: the agent goes on from memory ([`super::Store::in_memory`]) and says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no state file yet. **Next:** nothing to read; `run` or `once` makes it.
    #[error("there is no state file {path} yet: nothing has run with it")]
    Missing {
        /// The state file.
        path: String,
    },
    /// The disk is full, read-only or forbidden. **Next:** go on from memory, tell a person, try again.
    #[error("the state file {path} cannot be written: {detail}; {remedy}")]
    Unwritable {
        /// The state file.
        path: String,
        /// What the system said.
        detail: String,
        /// What a person can do.
        remedy: String,
    },
    /// Another process held a write for longer than the busy time-out. **Next:** try again.
    #[error("the state file {path} is being written by another process: {detail}; try again")]
    Locked {
        /// The state file.
        path: String,
        /// What `SQLite` said.
        detail: String,
    },
    /// The content makes no sense. **Next:** a person moves it away; it is rebuilt from live DNS.
    #[error(
        "the state file {path} is damaged: {detail}; move it away (mv {path} {path}.damaged; rm -f {path}-wal {path}-shm) \
         and start again: the state is rebuilt from live DNS, only history and undelivered messages stay behind"
    )]
    Corrupt {
        /// The state file.
        path: String,
        /// What was found.
        detail: String,
    },
    /// Written by a newer version of this program. **Next:** a person runs that version, or another file.
    #[error(
        "the state file {path} has version {found} and this program knows {known}: it was written by a newer failover; \
         run that version, or point agent.state at another file"
    )]
    Newer {
        /// The state file.
        path: String,
        /// The version found.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// Anything else: a file that is sound to `SQLite` and contradicts itself, or a fault of this program. **Next:** go on
    /// from memory, try again, tell a person.
    #[error(
        "the state file {path}: {detail}; if it stays so, move it away (mv {path} {path}.damaged; rm -f {path}-wal \
         {path}-shm) and start again: the state is rebuilt from live DNS"
    )]
    Other {
        /// The state file.
        path: String,
        /// What was said.
        detail: String,
    },
}

impl StoreError {
    /// Sorts an error of `SQLite` by what the caller does next.
    pub(super) fn of(path: &str, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        if let rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) = error
        {
            return StoreError::Corrupt { path, detail };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                StoreError::Unwritable { path, detail, remedy: "free some space on that disk".into() }
            }
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure,
            ) => {
                let remedy = "look at the disk, and at the owner and mode of the file and its folder".into();
                StoreError::Unwritable { path, detail, remedy }
            }
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => StoreError::Locked { path, detail },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt { path, detail }
            }
            _ => StoreError::Other { path, detail },
        }
    }

    /// Sorts an error of the file system: whatever it is, the file cannot be written.
    pub(super) fn of_io(path: &Path, error: &std::io::Error) -> Self {
        StoreError::Unwritable {
            path: path.display().to_string(),
            detail: error.to_string(),
            remedy: "look at the owner and mode of its folder".into(),
        }
    }

    /// Should the agent go on from memory and try again later?
    pub fn is_unwritable(&self) -> bool {
        matches!(self, StoreError::Unwritable { .. } | StoreError::Locked { .. })
    }
}
