//! One state file, one agent.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::place;

/// How often a taken lock is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The right to be the only agent on a state file, held until it is dropped or the process ends, however it ends.
///
/// An advisory lock (flock) on `<state>.lock`; the file itself stays, and says who holds or last held it. Commands
/// that only look at the state, or put a delivery back into the outbox, do not need it.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// What the holder of the lock does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockRole {
    /// `failover run`: for as long as it lives.
    Run,
    /// `failover once`: for some seconds.
    Once,
}

impl LockRole {
    /// The word in the lock file.
    pub fn as_str(self) -> &'static str {
        match self {
            LockRole::Run => "run",
            LockRole::Once => "once",
        }
    }
}

impl fmt::Display for LockRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why the lock was not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Another agent has it. **Next:** `once` ends quietly, `run` is a mistake.
    #[error("{} uses the state file of {path}; stop it, or give this one another agent.state", holder(*pid, role.as_deref()))]
    Held {
        /// The lock file.
        path: String,
        /// The holder's process, if it says so.
        pid: Option<u32>,
        /// What the holder does: `run` or `once`.
        role: Option<String>,
    },
    /// What is there may be another user's. **Next:** as for an unwritable state.
    #[error("{0}")]
    Foreign(String),
    /// The lock file cannot be made or opened. **Next:** as for an unwritable state.
    #[error("the lock file {path} cannot be opened: {detail}; look at the owner and mode of its folder")]
    Unwritable {
        /// The lock file.
        path: String,
        /// What the system said.
        detail: String,
    },
}

fn holder(pid: Option<u32>, role: Option<&str>) -> String {
    let pid = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    match role {
        Some(role) => format!("`failover {role}`{pid}"),
        None => format!("another agent{pid}"),
    }
}

impl StateLock {
    /// Takes the lock of this state file; waits for at most `wait` (rounded up to 50 ms) while another one holds it.
    ///
    /// # Errors
    /// `Held` with the holder's process, `Unwritable` with the system's word.
    pub async fn acquire(state: &Path, role: LockRole, wait: Duration) -> Result<StateLock, LockError> {
        let path = lock_path(state);
        let unwritable = |error: std::io::Error| LockError::Unwritable {
            path: path.display().to_string(),
            detail: error.to_string(),
        };
        place::trust(state).map_err(|error| LockError::Foreign(error.to_string()))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // It is emptied below: a link to another file must not lead there.
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = options.open(&path).map_err(unwritable)?;
        let mut looks = wait.as_millis().div_ceil(LOOK.as_millis());
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if looks > 0 => looks -= 1,
                Err(TryLockError::WouldBlock) => return Err(held(&path, &mut file)),
                Err(TryLockError::Error(error)) => return Err(unwritable(error)),
            }
            tokio::time::sleep(LOOK).await;
        }
        // Who holds it is for people only: a full disk must not turn a lock that was got into one that was not.
        let _ = sign(&mut file, role);
        Ok(StateLock { _file: file })
    }
}

impl StateLock {
    /// Who holds the lock of this state file now, in words: `` `failover run` (process 12) ``; `None` when nobody does.
    ///
    /// For people who look: it leaves no file behind and keeps nobody waiting, and the next moment it may be wrong.
    ///
    /// # Errors
    /// `Unwritable` when the lock file is there and cannot be opened.
    pub fn holder(state: &Path) -> Result<Option<String>, LockError> {
        let path = lock_path(state);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let detail = error.to_string();
                return Err(LockError::Unwritable { path: path.display().to_string(), detail });
            }
        };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => match held(&path, &mut file) {
                LockError::Held { pid, role, .. } => Ok(Some(holder(pid, role.as_deref()))),
                other => Err(other),
            },
            // A shared lock of our own ends with the file, here.
            _ => Ok(None),
        }
    }
}

fn lock_path(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn sign(file: &mut File, role: LockRole) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} {role}", std::process::id())
}

fn held(path: &Path, file: &mut File) -> LockError {
    let mut text = String::new();
    // Not signed yet, or not readable: the holder stays nameless.
    let _ = file.rewind();
    let _ = file.take(64).read_to_string(&mut text);
    let mut words = text.split_whitespace();
    LockError::Held {
        path: path.display().to_string(),
        pid: words.next().and_then(|word| word.parse().ok()),
        role: words.next().map(str::to_owned),
    }
}
