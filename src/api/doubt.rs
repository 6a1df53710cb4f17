//! Whether what stands at the path of the socket is an agent's at all.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Why what was found at `path` (not followed, if it is a link) is neither listened on nor asked; `None` when it may be.
///
/// Where everybody may make files (`/tmp`), only what belongs to this user or to root is an agent's: anybody else could
/// have put a socket there first, to be asked in the agent's place, or a link, to have what it points to removed.
pub(super) fn doubt(path: &Path, found: &Metadata) -> Option<String> {
    if !found.file_type().is_socket() {
        return Some("what is there is no socket; remove it, or change `api.socket`".into());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let open = std::fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o002 != 0);
    let (owner, own) = (found.uid(), rustix::process::geteuid().as_raw());
    (open && owner != own && owner != 0).then(|| {
        format!(
            "it belongs to uid {owner} in a folder that everybody may write; give the socket a folder of the agent's own"
        )
    })
}
