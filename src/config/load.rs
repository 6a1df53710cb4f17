//! From files to a [`Config`]: the order of the steps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::context::{Context, Fault};
use super::fault::{self, ConfigErrors};
use super::files::{self, Text};
use super::model::Config;
use super::read::Desk;
use super::show::Effective;
use super::source::{Source, Sources};
use super::tree::{Node, Value};
use super::{document, interpolate, merge, secret, yaml};

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
        files::find(explicit, &|name| std::env::var(name).ok(), &|path| path.exists())
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

    /// The effective configuration of a file or folder: see [`Effective`]. With `defaults`, every default filled in.
    ///
    /// # Errors
    /// Every fault of all files.
    pub fn show(
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
        defaults: bool,
    ) -> Result<Effective, ConfigErrors> {
        let cx = Context::new(env);
        let texts = files::read_all(&cx, path)?;
        build(cx, texts, |_, root, words| Effective::new(root, words, defaults)).0
    }

    /// The effective configuration of the text of one file.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn show_text(
        name: &str,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
        defaults: bool,
    ) -> Result<Effective, ConfigErrors> {
        build(Context::new(env), one(name, text), |_, root, words| Effective::new(root, words, defaults)).0
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
        build(Context::new(env), one(name, text), |config, _, _| config).0
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
        match files::read_all(&cx, path) {
            Err(errors) => Loading { result: Err(errors), taken: BTreeSet::new() },
            Ok(texts) => {
                let (result, taken) = build(cx, texts, |config, _, _| config);
                Loading { result, taken }
            }
        }
    }
}

fn one(name: &str, text: &str) -> Vec<Text> {
    vec![Text { name: name.to_owned(), content: text.to_owned(), open: false, loose: false }]
}

/// Reads the texts as one and makes something of the configuration, its tree and what must not be shown; and the files
/// that values were taken from.
pub(super) fn build<T>(
    cx: Context<'_>,
    texts: Vec<Text>,
    make: impl FnOnce(Config, &Node, &[String]) -> T,
) -> (Result<T, ConfigErrors>, BTreeSet<PathBuf>) {
    let mut sources = Sources::default();
    let whole = merged(&cx, &mut sources, texts);
    if whole.is_none() {
        let name = sources.iter().next().map_or(String::new(), |source| source.name.clone());
        cx.fault_if_none(Fault::file(name, "nothing is configured").help("start from failover.example.yaml"));
    }
    let desk = Desk { cx: &cx, sources: &sources };
    let config = whole.as_ref().and_then(|whole| document::read(desk, whole));
    let taken = cx.files.borrow().keys().chain(cx.taken.borrow().keys()).map(PathBuf::from).collect();
    let findings = cx.into_findings();
    let result = match (config, whole) {
        (Some(config), Some(whole)) if findings.faults.is_empty() => {
            let words = secret::words(findings.secrets.iter().cloned());
            let config = Config { warnings: fault::warnings(&sources, findings), ..config };
            Ok(make(config, &whole, &words))
        }
        _ => Err(ConfigErrors::new(&sources, findings)),
    };
    (result, taken)
}

/// All files as one tree, references resolved; `None` when there is nothing in them.
fn merged(cx: &Context<'_>, sources: &mut Sources, texts: Vec<Text>) -> Option<Node> {
    let mut open = Vec::new();
    for text in texts {
        let index = sources.add(Source::new(&text.name, &text.content));
        open.push((index, text.open));
        if text.loose {
            let warning =
                Fault::file(&text.name, "everybody on this machine can write it, and so decide what is done");
            cx.warn(warning.help(format!("chmod o-w {}", text.name)));
        }
    }
    let sources = &*sources;
    let mut whole: Option<Node> = None;
    for (index, open) in open {
        let Some(tree) = tree_of(cx, sources, index, open) else { continue };
        match &mut whole {
            None => whole = Some(tree),
            Some(whole) => merge::merge(cx, whole, tree, &mut Vec::new()),
        }
    }
    whole
}

/// The tree of one file, references resolved; `None` when there is nothing in it, or no mapping.
fn tree_of(cx: &Context<'_>, sources: &Sources, index: usize, open: bool) -> Option<Node> {
    let source = sources.get(index);
    let parsed = yaml::parse(cx, index, source);
    parsed.lost.iter().for_each(|node| secret::hide(cx, sources, node, true));
    let mut tree = parsed.root?;
    interpolate::resolve(cx, sources, &mut tree);
    let hidden = cx.hidden();
    secret::collect(cx, sources, &tree);
    if open && cx.hidden() > hidden {
        let name = &source.name;
        let warning = Fault::file(name, "it holds a secret, and everybody on this machine can read it");
        cx.warn(warning.help(format!("chmod 640 {name}")));
    }
    if !matches!(tree.value, Value::Map(_)) {
        // A text in the wrong place may be anything.
        secret::hide(cx, sources, &tree, true);
        let form = tree.form();
        let fault = Fault::at(tree.span, format!("a configuration is a mapping, and this is {form}"));
        cx.fault(fault.help("write `key: value` lines: `checks:`, `targets:`, `providers:`, `records:`"));
        cx.broken(index);
        return None;
    }
    Some(tree)
}
