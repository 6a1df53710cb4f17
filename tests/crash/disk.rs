//! A small disk of its own, which outlives the agent on it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A file system of two megabytes, mounted where only a process that holds it can see it (`mount_namespaces(7)`), so that
/// nothing stays mounted whatever happens to the test.
pub(crate) struct Disk {
    holder: Child,
    folder: tempfile::TempDir,
}

impl Disk {
    pub(crate) fn new() -> Disk {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = "mount -t tmpfs -o size=2m none \"$0\" && echo ready && exec sleep infinity";
        let mut holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "bash", "-c", script])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv (util-linux) is there");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line).expect("it speaks");
        assert_eq!(line, "ready\n", "this test mounts: it needs root and CAP_SYS_ADMIN");
        Disk { holder, folder }
    }

    /// The words that run a program where the disk is mounted.
    pub(crate) fn place(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        ["nsenter", "--mount", "--target", &pid].map(ToOwned::to_owned).to_vec()
    }

    /// A file on it as the agent sees it.
    pub(crate) fn inside(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The same file as it is seen from here.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.holder.id(), self.inside(name)))
    }

    /// Leaves no room on it.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.outside("fill")).expect("it is ours");
        // The last part is short.
        for part in [&[0; 8192][..], &[0; 512], &[0]] {
            while file.write_all(part).is_ok() {}
        }
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.outside("fill")).expect("it was filled");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
