//! Where everybody may make files, a state file may be somebody else's trap.

use std::fs::{Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;

/// What stands beside the state file: the files that `SQLite` and the lock make of its name.
const ENDINGS: [&str; 5] = ["", "-wal", "-shm", "-journal", ".lock"];

/// Refuses files that another user may have put there: in a folder that everybody may write (`/tmp`), each must be a
/// plain file with one name that belongs to this user or to root. What is in a log (`-wal`) beside the state would
/// be taken for state, and what a link leads to would be written.
///
/// In any other folder, its owner decides who may do what, and links are followed.
///
/// # Errors
/// `Unwritable`.
pub(super) fn trust(state: &Path) -> Result<(), StoreError> {
    let folder = state.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !std::fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o002 != 0) {
        return Ok(());
    }
    for ending in ENDINGS {
        let path = beside(state, ending);
        let why = match std::fs::symlink_metadata(&path) {
            Ok(found) => foreign(&found),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::of_io(&path, &error)),
        };
        if let Some(why) = why {
            return Err(StoreError::Unwritable {
                path: state.display().to_string(),
                detail: format!("{} {why}, in a folder that everybody may write", path.display()),
                remedy: "look who made it; give the state a folder of the agent's own".into(),
            });
        }
    }
    Ok(())
}

fn foreign(found: &Metadata) -> Option<String> {
    let (owner, own) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != own && owner != 0 {
        return Some(format!("belongs to uid {owner}"));
    }
    if !found.is_file() {
        return Some("is no plain file".into());
    }
    (found.nlink() > 1).then(|| "has more than one name".into())
}

/// Takes from others the right to write a state file of ours that an earlier hand gave them; who may read it stays.
pub(super) fn close(state: &Path) {
    let Ok(found) = std::fs::metadata(state) else { return };
    let mode = found.mode() & 0o7777;
    let ours = found.is_file() && found.uid() == rustix::process::geteuid().as_raw();
    if ours && mode & 0o022 != 0 {
        let closed = mode & !0o022;
        match std::fs::set_permissions(state, Permissions::from_mode(closed)) {
            Ok(()) => tracing::warn!(
                "others could write the state file {}: its mode was {mode:04o} and is now {closed:04o}",
                state.display()
            ),
            Err(error) => tracing::warn!(%error, "others can write the state file {}", state.display()),
        }
    }
}

fn beside(state: &Path, ending: &str) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
