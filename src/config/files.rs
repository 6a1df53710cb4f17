//! Which files are read, in which order, and within which limits.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::context::{Context, Fault};
use super::fault::ConfigErrors;
use super::limits;

/// Where a configuration is looked for when nothing is said.
const USUAL: &[&str] = &["./failover.yaml", "/etc/failover/failover.yaml"];
/// The variable that names a configuration.
const VARIABLE: &str = "FAILOVER_CONFIG";
const PERMISSIONS: &str = "check the path and its permissions";

/// A file that was read.
pub(super) struct Text {
    /// Its name, as in messages.
    pub(super) name: String,
    pub(super) content: String,
    /// Everybody on this machine may read it.
    pub(super) open: bool,
    /// Everybody on this machine may write it.
    pub(super) loose: bool,
}

/// Why a file was not read, and what to do.
type Unread = (String, &'static str);

/// See `Config::find`.
pub(super) fn find(
    explicit: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<PathBuf, ConfigErrors> {
    if let Some(path) = explicit {
        return Ok(path.to_owned());
    }
    if let Some(path) = env(VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    USUAL.iter().map(PathBuf::from).find(|path| exists(path)).ok_or_else(|| {
        let places = USUAL.join(", ");
        let message =
            format!("no configuration: -c was not given, {VARIABLE} is not set, and none of {places} exists");
        ConfigErrors::nowhere(message, "write one of them, or name one with -c FILE")
    })
}

/// Reads a file, or those of a folder. One that cannot be read is noted, and the others are read all the same.
pub(super) fn read_all(cx: &Context<'_>, path: &Path) -> Result<Vec<Text>, ConfigErrors> {
    let mut texts = Vec::new();
    let mut left = limits::TOTAL;
    for file in files(path)? {
        let name = file.display().to_string();
        match read(&file, file == path) {
            Ok((text, _)) if text.len() as u64 > left => {
                let most = limits::TOTAL / (1024 * 1024);
                let fault =
                    Fault::file(name, format!("with this file there are more than {most} MiB in the folder"));
                cx.fault(fault.help("divide them among several agents"));
                cx.lacks();
                break;
            }
            Ok((text, mode)) => {
                left -= text.len() as u64;
                texts.push(Text { name, content: text, open: mode & 0o004 != 0, loose: mode & 0o002 != 0 });
            }
            Err((why, remedy)) => {
                cx.fault(Fault::file(name, why).help(remedy));
                cx.lacks();
            }
        }
    }
    Ok(texts)
}

/// The files to read: the one that is named, or those of a folder in the order of their names, byte by byte.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, ConfigErrors> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let name = path.display().to_string();
    let unreadable =
        |error: io::Error| ConfigErrors::one(&name, &format!("cannot be read: {error}"), PERMISSIONS);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if is_one(&file) {
            files.push(file);
        }
    }
    files.sort();
    match files.len() {
        0 => {
            let message = "there is no *.yaml and no *.yml in this folder";
            Err(ConfigErrors::one(&name, message, "put the files there"))
        }
        count if count > limits::FILES => {
            let message = format!("{count} files, and at most {} are read", limits::FILES);
            Err(ConfigErrors::one(&name, &message, "put them together"))
        }
        _ => Ok(files),
    }
}

/// `*.yaml` and `*.yml`, but what is hidden, what an editor left (`a.yaml~`, `a.yaml.bak`, `#a.yaml#`), and folders.
/// A link that leads nowhere is one: who put it there wanted something read.
fn is_one(file: &Path) -> bool {
    let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let yaml = file.extension().is_some_and(|end| end == "yaml" || end == "yml");
    yaml && !hidden && !file.is_dir()
}

/// The text of a file, and its mode (0 for a pipe). Only one that was `named` may be a pipe.
fn read(path: &Path, named: bool) -> Result<(String, u32), Unread> {
    let unreadable = |error: io::Error| {
        let dangling = error.kind() == io::ErrorKind::NotFound && path.is_symlink();
        let what = if dangling { "is a link that leads nowhere" } else { "cannot be read" };
        (format!("{what}: {error}"), PERMISSIONS)
    };
    // Opening a FIFO would wait for a writer.
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !named && !meta.is_file() {
        return Err(("is no plain file".into(), "a folder of the configuration holds plain files"));
    }
    let mode = if meta.is_file() { meta.permissions().mode() } else { 0 };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limits::FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limits::FILE {
        let remedy = "divide it: a folder of files is read as one";
        return Err((format!("longer than {} KiB", limits::FILE / 1024), remedy));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, mode)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
            Err((format!("not UTF-8, from byte {at} on, in line {line}"), "save it as UTF-8"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_named_or_exists_is_taken() {
        let none = |_: &str| None;
        let set = |name: &str| (name == VARIABLE).then(|| "/srv/f.yaml".to_owned());
        let nowhere = |_: &Path| false;
        let etc = |path: &Path| path.starts_with("/etc");
        assert_eq!(find(Some(Path::new("a.yaml")), &set, &etc).unwrap(), Path::new("a.yaml"));
        assert_eq!(find(None, &set, &etc).unwrap(), Path::new("/srv/f.yaml"));
        assert_eq!(find(None, &none, &etc).unwrap(), Path::new("/etc/failover/failover.yaml"));
        let error = find(None, &none, &nowhere).unwrap_err().to_string();
        for place in ["-c", VARIABLE, "./failover.yaml", "/etc/failover/failover.yaml"] {
            assert!(error.contains(place), "{error}");
        }
    }
}
