//! From files to a [`Config`]: finding them, reading them within limits, and the order of the steps.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::context::{Context, Fault};
use super::fault::{self, ConfigErrors};
use super::model::Config;
use super::read::Desk;
use super::source::{Source, Sources};
use super::tree::Node;
use super::{document, interpolate, merge, secret, yaml};

/// A file may be this long, bytes.
pub(super) const MAX_FILE: u64 = 1024 * 1024;
/// A folder may hold this many files.
const MAX_FILES: usize = 256;
/// Where a configuration is looked for when nothing is said.
const USUAL: &[&str] = &["./failover.yaml", "/etc/failover/failover.yaml"];
/// The variable that names a configuration.
const VARIABLE: &str = "FAILOVER_CONFIG";

impl Config {
    /// The example configuration, with all keys explained: `failover.example.yaml`.
    pub const EXAMPLE: &'static str = include_str!("../../failover.example.yaml");

    /// The example configuration, ready to be rehearsed. It needs no environment.
    pub fn example() -> Config {
        let config = Config::parse("failover.example.yaml", Config::EXAMPLE, &|_| None);
        config.expect("a test loads the example")
    }

    /// Finds the configuration: `explicit` (from `-c`), else what `FAILOVER_CONFIG` names, else
    /// `./failover.yaml`, else `/etc/failover/failover.yaml`. The first two need not exist to be chosen:
    /// whoever names a file must not silently get another.
    ///
    /// # Errors
    /// One fault that lists where was looked.
    pub fn find(explicit: Option<&Path>) -> Result<PathBuf, ConfigErrors> {
        find(explicit, &|name| std::env::var(name).ok(), &|path| path.exists())
    }

    /// Loads a file, or a folder of `*.yaml` and `*.yml` files, sorted by name and read as one.
    ///
    /// `env` answers for the environment. Relative paths within are relative to the current directory.
    ///
    /// # Errors
    /// Every fault of all files.
    pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
        Loading::of(path, env).result
    }

    /// Reads the text of one file; `name` is its name in messages.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn parse(
        name: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigErrors> {
        build(Context::new(env), vec![(name.to_owned(), text.to_owned(), false)]).result
    }
}

/// What came of loading, and what it depends on beside the files of the configuration.
#[derive(Debug)]
pub struct Loading {
    /// The configuration, or every fault of all files.
    pub result: Result<Config, ConfigErrors>,
    /// The files that values were taken from (`${file:...}`) or name (`ca`), whether they could be read or not.
    pub taken: BTreeSet<PathBuf>,
}

impl Loading {
    /// As [`Config::load`].
    pub fn of(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Loading {
        let cx = Context::new(env);
        let mut texts = Vec::new();
        let files = match files(path) {
            Ok(files) => files,
            Err(errors) => return Loading { result: Err(errors), taken: BTreeSet::new() },
        };
        for file in files {
            let name = file.display().to_string();
            match read(&file) {
                Ok((text, open)) => texts.push((name, text, open)),
                Err((why, remedy)) => cx.fault(Fault::file(name, why).help(remedy)),
            }
        }
        build(cx, texts)
    }
}

/// Name, text, and whether everybody on this machine may read the file.
type Text = (String, String, bool);

fn build(cx: Context<'_>, texts: Vec<Text>) -> Loading {
    let mut sources = Sources::default();
    let mut whole: Option<Node> = None;
    let mut trees = Vec::new();
    for (name, text, open) in texts {
        let index = sources.add(Source::new(&name, &text));
        trees.push((index, open));
    }
    for (index, open) in trees {
        let source = sources.get(index).clone();
        let parsed = yaml::parse(&cx, index, &source);
        parsed.second.iter().for_each(|node| secret::collect(&cx, &sources, node));
        parsed.lost.iter().for_each(|node| secret::hide(&cx, &sources, node, true));
        let Some(mut tree) = parsed.root else { continue };
        interpolate::resolve(&cx, &sources, &mut tree);
        let hidden = cx.hidden();
        secret::collect(&cx, &sources, &tree);
        if open && cx.hidden() > hidden {
            let name = &source.name;
            cx.warn(None, format!("{name} holds a secret and everybody can read it: chmod 640 {name}"));
        }
        match &mut whole {
            None => whole = Some(tree),
            Some(whole) => merge::merge(&cx, whole, tree, &mut Vec::new()),
        }
    }
    if whole.is_none() {
        let name = sources.iter().next().map_or(String::new(), |source| source.name.clone());
        cx.fault_if_none(Fault::file(name, "nothing is configured").help("start from failover.example.yaml"));
    }
    let desk = Desk { cx: &cx, sources: &sources };
    let config = whole.and_then(|whole| document::read(desk, &whole));
    let taken = cx.files.borrow().keys().chain(cx.taken.borrow().keys()).map(PathBuf::from).collect();
    let findings = cx.into_findings();
    let result = match config {
        Some(config) if findings.faults.is_empty() => {
            Ok(Config { warnings: fault::warnings(&sources, findings), ..config })
        }
        _ => Err(ConfigErrors::new(&sources, findings)),
    };
    Loading { result, taken }
}

fn find(
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
        ConfigErrors::one("failover", &message, "write one of them, or name one with -c FILE")
    })
}

/// The files to read.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, ConfigErrors> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        ConfigErrors::one(&name, &format!("cannot be read: {error}"), "check the path and its permissions")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let yaml = file.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if yaml && !hidden && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    match files.len() {
        0 => Err(ConfigErrors::one(
            &name,
            "there is no *.yaml and no *.yml in this folder",
            "put the files there",
        )),
        1..=MAX_FILES => Ok(files),
        count => {
            let message = format!("{count} files, and at most {MAX_FILES} are read");
            Err(ConfigErrors::one(&name, &message, "put them together"))
        }
    }
}

/// The text of a file, and whether everybody may read it; or why not, and what to do.
fn read(path: &Path) -> Result<(String, bool), (String, &'static str)> {
    let unreadable =
        |error: std::io::Error| (format!("cannot be read: {error}"), "check the path and its permissions");
    let file = File::open(path).map_err(unreadable)?;
    let open = file.metadata().map_err(unreadable)?.permissions().mode() & 0o004 != 0;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err((
            format!("longer than {} KiB", MAX_FILE / 1024),
            "divide it: a folder of files is read as one",
        ));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, open)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err((format!("not UTF-8, from byte {at} on"), "save it as UTF-8"))
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
