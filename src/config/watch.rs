//! Have the files of a configuration changed? By their content: editors and Kubernetes replace files by rename and by
//! symbolic links, and neither a new time nor a new inode says that anything else is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{files, limits};

/// What all files of a configuration looked like when they were last looked at.
#[derive(Clone, Debug, Default)]
pub struct Prints(BTreeMap<PathBuf, Print>);

/// One file.
#[derive(Clone, Debug)]
struct Print {
    /// Device, inode, size, times of content and of inode.
    meta: Option<[i64; 7]>,
    /// Its content; `None` for a file that cannot be read.
    content: Option<u64>,
    /// Looked at twice without a change between: what was read is what is there.
    settled: bool,
}

impl Prints {
    /// Looks at the files of the configuration at `path` and at those that values are `taken` from. Reads again only
    /// what has changed, or may have since it was last read.
    pub fn look(&mut self, path: &Path, taken: &BTreeSet<PathBuf>) {
        // A folder that cannot be read, or holds nothing, looks like one file without content.
        let mut found = files::files(path).unwrap_or_else(|_| vec![path.to_owned()]);
        found.extend(taken.iter().cloned());
        let mut old = std::mem::take(&mut self.0);
        for file in found {
            let print = print(&file, old.remove(&file));
            self.0.insert(file, print);
        }
    }

    /// Do both show the same names and contents?
    pub fn same(&self, other: &Prints) -> bool {
        self.contents().eq(other.contents())
    }

    /// Do both show the same contents of the files that both know?
    pub fn agree(&self, other: &Prints) -> bool {
        self.0
            .iter()
            .all(|(path, print)| other.0.get(path).is_none_or(|known| known.content == print.content))
    }

    fn contents(&self) -> impl Iterator<Item = (&PathBuf, Option<u64>)> {
        self.0.iter().map(|(path, print)| (path, print.content))
    }
}

fn print(path: &Path, old: Option<Print>) -> Print {
    let meta = std::fs::metadata(path).ok().map(|meta| facts(&meta));
    match old {
        Some(old) if old.meta == meta && old.settled => old,
        old => {
            let settled = old.is_some_and(|old| old.meta == meta);
            Print { meta, content: content(path), settled }
        }
    }
}

fn facts(meta: &Metadata) -> [i64; 7] {
    let number = |value: u64| value.cast_signed();
    [
        number(meta.dev()),
        number(meta.ino()),
        number(meta.size()),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ]
}

fn content(path: &Path) -> Option<u64> {
    let file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(limits::FILE + 1).read_to_end(&mut bytes).ok()?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(prints: &mut Prints, path: &Path) -> bool {
        let before = prints.clone();
        prints.look(path, &BTreeSet::new());
        !prints.same(&before)
    }

    #[test]
    fn content_counts_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.yaml"), folder.path().join("b"));
        std::fs::write(&path, "a: 1").unwrap();
        let mut prints = Prints::default();
        assert!(changed(&mut prints, &path));
        assert!(!changed(&mut prints, &path));
        std::fs::write(&path, "a: 1").unwrap();
        assert!(!changed(&mut prints, &path), "written again, the same");
        std::fs::write(&other, "a: 2").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(changed(&mut prints, &path), "replaced by a rename");
        std::fs::remove_file(&path).unwrap();
        assert!(changed(&mut prints, &path), "gone");
        assert!(!changed(&mut prints, &path));
    }

    #[test]
    fn a_folder_of_links_as_kubernetes_makes_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "a: 1"), ("..2", "a: 2")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("a.yaml"), text).unwrap();
        }
        std::os::unix::fs::symlink("..1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.yaml", at("a.yaml")).unwrap();
        let mut prints = Prints::default();
        assert!(changed(&mut prints, folder.path()));
        assert!(!changed(&mut prints, folder.path()));
        std::os::unix::fs::symlink("..2", at("..new")).unwrap();
        std::fs::rename(at("..new"), at("..data")).unwrap();
        assert!(changed(&mut prints, folder.path()));
        std::fs::write(at("b.yaml"), "b: 1").unwrap();
        assert!(changed(&mut prints, folder.path()), "another file");
    }
}
