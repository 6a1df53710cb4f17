//! Holds what the compiler does not: who may import whom, the purity of `src/decision`, and the size of things.
//!
//! Every breach is printed as `file:line: what is wrong; what to do`. The rules are in the tables below; a rule that
//! is wrong is changed here, in the same commit as the code that needs it, with the reason in its message.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::Source;

#[path = "tidy/source.rs"]
mod source;

/// Who may import whom inside `src/` (DESIGN: siblings never import each other, only `agent` knows everyone).
///
/// `clock` is a leaf that everybody at the edge is handed, `dns` one question to one server, which `live` and `probe`
/// ask; `resolve` is for all who need a host name's addresses; `config` names the settings that `probe` and `notify`
/// define, and whom `resolve` asks; `api` and `cli` show the rows of `store`, and the outbox of `notify` lives in it.
/// `lab` builds the agent's world as `agent` does, of stand-ins for what `probe`, `live`, `notify` and `store` put
/// there, and speaks to it as `api` does. `doctor` looks into every room that touches the world, and `failover probe`
/// is a command over `probe` alone. A room that is not listed may import nothing.
const WALLS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["agent", "lab", "doctor", "config", "store", "notify", "api", "probe", "decision", "clock"]),
    ("doctor", &["config", "decision", "clock", "live", "probe", "store", "api"]),
    ("lab", &["agent", "api", "config", "decision", "clock", "live", "notify", "probe", "resolve", "store"]),
    (
        "agent",
        &[
            "probe", "live", "decision", "store", "notify", "receive", "cluster", "api", "config", "clock",
            "resolve",
        ],
    ),
    ("config", &["decision", "probe", "notify", "resolve"]),
    ("probe", &["decision", "clock", "dns", "resolve"]),
    ("live", &["decision", "clock", "dns", "resolve"]),
    ("resolve", &["decision", "clock"]),
    ("notify", &["decision", "clock", "store"]),
    ("store", &["decision", "clock"]),
    ("receive", &["decision", "clock"]),
    ("cluster", &["decision", "clock"]),
    ("api", &["decision", "clock", "store"]),
    ("clock", &["decision"]),
    ("dns", &[]),
    ("decision", &[]),
    // For `fuzz/` alone: a list of what the rooms offer it.
    ("fuzzing", &["cli", "config", "decision", "dns", "live", "notify", "probe", "store"]),
];

/// What `src/decision` may not name: time, the world, chance, tasks, logs, and whatever has no order.
const IMPURE: &[&str] = &[
    "Instant",
    "SystemTime",
    "now(",
    "tokio",
    "futures_util",
    "async",
    "await",
    "spawn",
    "std::thread",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "reqwest",
    "rusqlite",
    "hickory_resolver",
    "hickory_net",
    "rand",
    "thread_rng",
    "tracing",
    "log::",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "HashMap",
    "HashSet",
    "Mutex",
    "RwLock",
    "OnceLock",
    "static",
];

/// Of `providers`, `src/decision` knows the values; these do things.
const DOERS: &[&str] =
    &["Provider", "ReadProvider", "build", "build_reader", "mock", "rfc2136", "powerdns", "conformance"];

/// The most lines of a Rust file, tests included.
const MOST_LINES: usize = 500;
/// The most columns of a line of Rust.
const MOST_COLUMNS: usize = 130;
/// Files that are longer, with the lines they have. This list only ever gets shorter.
const LONG: &[(&str, usize)] = &[];

/// The global options that take a value, so that what follows is not taken for a command.
const WITH_VALUE: &[&str] = &["-c", "--config", "-o", "--color", "--log-format", "--log-level"];

/// Paths of one machine; in two pieces each, so that this file passes its own rule.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// One line that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Breach {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

fn breach(source: &Source, line: usize, what: impl Into<String>) -> Breach {
    Breach { file: source.path.clone(), line, what: what.into() }
}

// The rules.

/// A room imports only the rooms the table gives it. Tests are free: a wall is about what ships.
fn walls(source: &Source) -> Vec<Breach> {
    let Some(room) = source.room() else { return Vec::new() };
    if room == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = WALLS.iter().find(|(name, _)| *name == room) else {
        return vec![breach(source, 1, format!("`{room}` has no row in WALLS; add one to tests/tidy.rs"))];
    };
    let strangers = source.imports().into_iter().filter(|(_, other)| *other != room);
    strangers
        .filter(|(_, other)| WALLS.iter().any(|(name, _)| name == other) && !allowed.contains(&other.as_str()))
        .map(|(line, other)| {
            let what = format!(
                "`{room}` imports `{other}`; it may import {allowed:?}. Hand the value in, or move it to `decision`"
            );
            breach(source, line, what)
        })
        .collect()
}

/// `src/decision` judges and does nothing else.
fn purity(source: &Source) -> Vec<Breach> {
    if source.room() != Some("decision".into()) {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for (line, code) in source.shipped() {
        for word in IMPURE.iter().filter(|word| source::has_word(code, word)) {
            let what =
                format!("`{word}` in `decision`; take the value as an argument, return the effect as data");
            breaches.push(breach(source, line, what));
        }
    }
    for (line, name) in source.paths_after("providers::") {
        if DOERS.contains(&name.as_str()) {
            breaches.push(breach(
                source,
                line,
                format!("`providers::{name}` in `decision`; it knows values only"),
            ));
        }
    }
    breaches
}

/// Files fit a head, lines fit a screen.
fn size(source: &Source, long: &[(&str, usize)]) -> Vec<Breach> {
    let lines = source.lines.len();
    let listed = long.iter().find(|(path, _)| *path == source.path).map(|(_, lines)| *lines);
    let mut breaches = Vec::new();
    match listed {
        None if lines > MOST_LINES => {
            breaches.push(breach(
                source,
                lines,
                format!("{lines} lines, {MOST_LINES} are allowed; split it"),
            ));
        }
        Some(known) if lines > known => {
            let what = format!("{lines} lines, {known} before; a file in LONG must shrink");
            breaches.push(breach(source, lines, what));
        }
        Some(_) if lines <= MOST_LINES => {
            breaches.push(breach(source, lines, "short enough now; take it off LONG in tests/tidy.rs"));
        }
        _ => {}
    }
    // A row of a table in the documentation cannot be broken.
    let row = |line: &str| ["//! |", "/// |"].iter().any(|start| line.trim_start().starts_with(start));
    let wide = source
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.raw.chars().count() > MOST_COLUMNS && !row(&line.raw));
    breaches
        .extend(wide.map(|(at, _)| breach(source, at + 1, format!("over {MOST_COLUMNS} columns; break it"))));
    breaches
}

/// What must not ship.
fn words(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let ships = source.path.starts_with("src/") || source.path.starts_with("providers/src/");
    for (line, code) in source.shipped() {
        if ships && code.contains(".unwrap()") {
            breaches.push(breach(source, line, "`unwrap()`; return an error, or `expect(\"the proof\")`"));
        }
        if code.contains("#![allow(") {
            let what = "a whole file without a lint; #[expect(lint, reason = \"...\")] where it is needed";
            breaches.push(breach(source, line, what));
        }
    }
    for (at, line) in source.lines.iter().enumerate() {
        for word in ["todo!", "unimplemented!", "dbg!"] {
            if source::has_word(&line.code, word) {
                breaches.push(breach(source, at + 1, format!("`{word}`; finish it or take it out")));
            }
        }
    }
    breaches
}

/// Nothing tells on which machine it was written.
fn machine_paths(path: &str, text: &str) -> Vec<Breach> {
    let found = text.lines().enumerate().filter_map(|(at, line)| {
        let word = MACHINE_PATHS.iter().find(|word| line.contains(**word))?;
        let what = format!("`{word}` is a path of one machine; make it relative");
        Some(Breach { file: path.into(), line: at + 1, what })
    });
    found.collect()
}

/// Links of the documents to files of this repository lead somewhere.
fn links(path: &str, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<Breach> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut breaches = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next()) {
            let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !outside && !exists(&folder.join(target)) {
                let what = format!("the link to `{target}` leads nowhere");
                breaches.push(Breach { file: path.into(), line: at + 1, what });
            }
        }
    }
    breaches
}

/// The commands (`failover plan`, `cargo run -- plan`) in the code blocks of a document, with their lines.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let line = line.trim_start().trim_start_matches("$ ").trim_start_matches("sudo ");
        let given = if let Some(rest) = line.strip_prefix("failover ") {
            Some(rest)
        } else if line.starts_with("cargo run") {
            line.split_once(" -- ").map(|(_, rest)| rest)
        } else {
            None
        };
        let mut words = given.filter(|_| in_block).into_iter().flat_map(str::split_whitespace).peekable();
        while words.next_if(|word| word.starts_with('-')).is_some_and(|word| WITH_VALUE.contains(&word)) {
            words.next();
        }
        found.extend(words.next().map(|word| (at + 1, word.to_owned())));
    }
    found
}

// The house they are held against.

/// The texts that `tests/sim/bites.sh` breaks, each with the file under `src` that it is to stand in and its line.
fn broken_texts(script: &str) -> Vec<(usize, String, String)> {
    let begins = script.match_indices("\nat ").map(|(at, begin)| at + begin.len());
    let text = |at: usize| {
        let (file, rest) = script[at..].split_once(" '")?;
        let mut text = String::new();
        let mut pieces = rest.split('\'');
        text += pieces.next()?;
        // A quote within quotes is written '\''.
        while let Some("\\") = pieces.next() {
            text += "'";
            text += pieces.next()?;
        }
        Some((script[..at].matches('\n').count() + 1, file.to_owned(), text))
    };
    begins.filter_map(text).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What git knows, and what is new and not ignored: a fault is found before it is committed.
fn files() -> BTreeMap<String, String> {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is missing: apt-get install git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let named = names.split('\0').filter(|name| !name.is_empty());
    // What cannot be read as text (a picture, a file just deleted) has no lines to look at.
    named
        .filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?)))
        .collect()
}

fn is_a(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

fn sources(files: &BTreeMap<String, String>) -> Vec<Source> {
    let rust = files.iter().filter(|(path, _)| is_a(path, "rs"));
    let mut sources: Vec<Source> = rust.map(|(path, text)| Source::parse(path, text)).collect();
    let tests: BTreeSet<String> = sources.iter().flat_map(Source::test_files).collect();
    for source in &mut sources {
        source.is_test |= tests
            .iter()
            .any(|test| source.path == format!("{test}.rs") || source.path.starts_with(&format!("{test}/")));
    }
    sources
}

fn must_be_none(mut breaches: Vec<Breach>) {
    breaches.sort();
    let list: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} to put right:\n\n{}\n", list.len(), list.join("\n"));
}

#[test]
fn the_walls_between_the_rooms_stand() {
    must_be_none(sources(&files()).iter().flat_map(walls).collect());
}

#[test]
fn judgement_is_pure() {
    let sources = sources(&files());
    assert!(sources.iter().any(|source| source.room() == Some("decision".into())), "src/decision has moved");
    must_be_none(sources.iter().flat_map(purity).collect());
}

#[test]
fn nothing_is_too_long_or_unfinished() {
    let sources = sources(&files());
    must_be_none(sources.iter().flat_map(|source| [size(source, LONG), words(source)].concat()).collect());
    for (path, _) in LONG {
        assert!(sources.iter().any(|source| source.path == *path), "{path} is gone; take it off LONG");
    }
}

#[test]
fn nothing_tells_of_the_machine_it_was_written_on() {
    must_be_none(files().iter().flat_map(|(path, text)| machine_paths(path, text)).collect());
}

#[test]
fn the_documents_lead_to_what_exists() {
    let files = files();
    let documents = files.iter().filter(|(path, _)| is_a(path, "md"));
    must_be_none(
        documents.flat_map(|(path, text)| links(path, text, |target| root().join(target).exists())).collect(),
    );
}

#[test]
fn the_commands_of_the_readme_exist() {
    let files = files();
    let mut breaches = Vec::new();
    for (file, text) in files.iter().filter(|(path, _)| !path.contains('/') && is_a(path, "md")) {
        for (line, command) in commands(text) {
            let help = Command::new(env!("CARGO_BIN_EXE_failover")).args([&command, "--help"]).output();
            if !help.expect("our own program starts").status.success() {
                let what = format!("there is no command `failover {command}`");
                breaches.push(Breach { file: file.clone(), line, what });
            }
        }
    }
    must_be_none(breaches);
}

/// A break that breaks nothing would show that nothing notices it, after an hour.
#[test]
fn what_the_bites_break_is_there() {
    let files = files();
    let all = broken_texts(&files["tests/sim/bites.sh"]);
    assert!(all.len() > 15, "{all:?}");
    for (line, file, text) in all {
        let there = files.get(&format!("src/{file}")).is_some_and(|whole| whole.contains(&text));
        assert!(there, "tests/sim/bites.sh:{line}: this is not in {file}: {text}");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let files = files();
    let manifests =
        files.iter().filter(|(path, _)| path.ends_with("Cargo.toml") && !path.starts_with("fuzz/"));
    must_be_none(
        manifests
            .filter(|(_, text)| !text.contains("[lints]\nworkspace = true"))
            .map(|(path, _)| Breach {
                file: path.clone(),
                line: 1,
                what: "no `[lints] workspace = true`".into(),
            })
            .collect(),
    );
}

#[path = "tidy/bites.rs"]
mod bites;
#[path = "tidy/days.rs"]
mod days;
