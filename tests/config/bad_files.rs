//! Files that are wrong, and the words that each of them gets.

use std::path::{Path, PathBuf};

use failover::config::{Config, ConfigErrors};
use regex::Regex;

/// So many bad files there are at least; more may come, none may go.
const FILES: usize = 132;

/// The bad files, sorted by name, each with its text and what is said of it.
pub(crate) fn all() -> Vec<(PathBuf, String, ConfigErrors)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_config");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("in a test")
        .map(|entry| entry.expect("in a test").path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    assert!(files.len() >= FILES, "only {} bad files", files.len());
    let env = |name: &str| (name == "PORT").then(|| "swordfish".to_owned());
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("in a test");
        let name = file.file_name().expect("in a test").to_str().expect("in a test");
        match Config::parse(name, &text, &env) {
            Ok(_) => panic!("{name} was accepted"),
            Err(errors) => (file, text, errors),
        }
    };
    files.into_iter().map(read).collect()
}

/// Each file of `tests/bad_config` gives exactly the words beside it. `UPDATE=1` writes them anew.
#[test]
fn every_bad_file_is_refused_with_its_own_words() {
    let mut wrong = Vec::new();
    for (file, _, errors) in all() {
        let said = format!("{errors}\n");
        let expected = file.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &said).expect("in a test");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", file.display()));
        }
        assert!(!said.contains("hunter2") && !said.contains("swordfish"), "{said}");
    }
    assert!(
        wrong.is_empty(),
        "UPDATE=1 writes these anew; then look at the difference\n{}",
        wrong.join("\n")
    );
}

/// Every fault that is shown names its place and ends with a remedy, none is told twice, the count is right, and
/// all fits a terminal of 100 columns.
#[test]
fn every_message_names_the_line_and_the_remedy() {
    let place = Regex::new(r"^[a-z0-9_]+\.yaml(:[1-9][0-9]*:[1-9][0-9]*)?: .").expect("in a test");
    for (file, _, errors) in all() {
        let said = std::fs::read_to_string(file.with_extension("txt")).expect("in a test");
        let name = file.file_name().expect("in a test").to_str().expect("in a test");
        let heads: Vec<&str> = said.lines().filter(|line| line.starts_with(name)).collect();
        let helps = said.lines().filter(|line| line.contains("= help: ")).count();
        let (count, shown) = (errors.faults().len(), errors.faults().len().min(50));
        assert_eq!((heads.len(), helps), (shown, shown), "{said}");
        assert!(heads.iter().all(|head| place.is_match(head)), "{said}");
        let mut once = errors.faults().iter().map(|f| (f.line, f.column, &f.message)).collect::<Vec<_>>();
        assert!(once.is_sorted_by_key(|(line, column, _)| (*line, *column)), "{said}");
        once.dedup();
        assert_eq!(once.len(), count, "a fault is told twice:\n{said}");
        let sum = said.lines().last().expect("in a test");
        let word = if count == 1 { "fault" } else { "faults" };
        assert!(sum.starts_with(&format!("{count} {word}")), "{sum}");
        for fault in errors.faults() {
            assert!(fault.remedy.len() > 3, "{said}");
            assert!(fault.line.is_some() || said.contains("nothing is configured"), "{said}");
        }
        for line in said.lines() {
            assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        }
    }
}

/// One mistake, one fault: what follows from it is not told.
#[test]
fn a_mistake_is_one_fault() {
    for (text, message) in [
        ("checks: {a: {tcp: {prot: 80}}}", "unknown key `prot` in a tcp check"),
        ("checks: {a: {htpp: {path: /}}}", "unknown key `htpp` in a check"),
        ("providers: {a: {tpye: mock}}", "unknown key `tpye` in a provider"),
        ("checks: {a: {tcp: {port: \"${NONE}\"}}}", "the environment variable NONE is not set"),
        ("targets: {a: {address: 192.0.2.1, checks: [b]}}", "the check `b` is not defined"),
        ("- a\n- b", "a configuration is a mapping, and this is a list"),
    ] {
        let errors = Config::parse("a.yaml", text, &|_| None).expect_err("in a test");
        let said: Vec<&str> = errors.faults().iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(said, [message], "{text}");
    }
}

/// One mistake hides no other, be it in the same file, in a key written twice, or before a syntax error.
#[test]
fn a_mistake_hides_no_other() {
    let said = |text: &str| {
        let errors = Config::parse("a.yaml", text, &|_| None).expect_err("in a test");
        errors
            .faults()
            .iter()
            .map(|fault| (fault.line.expect("in a test"), fault.message.clone()))
            .collect::<Vec<_>>()
    };
    let twice =
        said("checks: {a: {tcp: {port: 1}}}\nchecks:\n  a: {tcp: {port: 0}}\n  b: {tcp: {port: -1}}\n");
    assert_eq!(twice.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 3, 4], "{twice:?}");
    let broken = said("checks: {a: {tcp: {port: 0}}}\nagent: {id: a b}\ntargets: {a: {address: ]\n");
    assert_eq!(broken.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3], "{broken:?}");
    assert!(broken[2].1.starts_with("this is not YAML"), "{broken:?}");
}
