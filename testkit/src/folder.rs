//! Folders for what a test leaves behind.

use std::path::Path;

/// An empty folder that goes with its value, in memory (`/dev/shm`) where the machine has that.
///
/// An agent waits for its disk to have written; after three seconds it goes on from memory and says so. On a machine
/// that also builds, a disk takes as long now and then, and a test that is not about the disk would see that trouble.
pub fn folder() -> tempfile::TempDir {
    let in_memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("failover-");
    builder.tempdir_in(in_memory).or_else(|_| builder.tempdir()).expect("a temporary folder can be made")
}
