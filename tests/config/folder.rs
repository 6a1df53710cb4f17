//! A folder read as one: which files, in which order, and what may be said twice.

use std::path::Path;

use failover::config::{Config, ConfigErrors};

use super::{SMALL, name};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().expect("in a test"))
    }

    fn write(&self, file: &str, text: &str) -> &Self {
        std::fs::write(self.0.path().join(file), text).expect("in a test");
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Result<Config, ConfigErrors> {
        Config::load(self.path(), &|_| None)
    }

    /// The faults, the folder left out.
    fn faults(&self) -> Vec<String> {
        let folder = format!("{}/", self.path().display());
        let errors = self.load().expect_err("in a test");
        errors.faults().iter().map(|fault| fault.to_string().replace(&folder, "")).collect()
    }
}

#[test]
fn mappings_are_united_and_lists_appended_in_the_order_of_the_names() {
    let folder = Folder::new();
    let second = "records: [{name: b.example.com, provider: zone, targets: [c]}]\n\
                  targets: {c: {address: 192.0.2.3, checks: up}}\n";
    folder.write("20-b.yaml", second);
    folder.write("10-a.yaml", SMALL).write("9-c.yaml", "agent: {witnesses: [{tcp: \"9.9.9.9:443\"}]}\n");
    let config = folder.load().unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((config.records.len(), config.targets.len(), config.agent.witnesses.len()), (2, 3, 2));
    // Byte by byte: 10 before 20 before 9.
    let shown = Config::show(folder.path(), &|_| None, false).expect("in a test").yaml();
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text} is not in\n{shown}"));
    assert!(at("1.1.1.1:443") < at("9.9.9.9:443") && at("www.example.com") < at("b.example.com"), "{shown}");
}

#[test]
fn what_is_no_file_of_the_configuration_is_not_read() {
    let folder = Folder::new();
    folder.write("a.yaml", SMALL).write("b.yml", "# nothing\n").write("c.yaml", "");
    for other in
        [".hidden.yaml", "a.yaml~", "a.yaml.bak", "#a.yaml#", "a.yaml.swp", "a.json", "notes", "A.YAML"]
    {
        folder.write(other, "not: [yaml");
    }
    std::fs::create_dir(folder.path().join("more.yaml")).expect("in a test");
    std::fs::create_dir(folder.path().join("sub")).expect("in a test");
    std::fs::write(folder.path().join("sub/d.yaml"), "not: [yaml").expect("in a test");
    assert_eq!(folder.load().expect("in a test").records.len(), 1);
}

#[test]
fn nothing_is_said_twice() {
    let folder = Folder::new();
    folder.write("a.yaml", SMALL);
    folder.write(
        "b.yaml",
        "checks: {up: {tcp: {port: 0}}}\n\
         records: [{name: WWW.example.com., provider: zone, targets: [a]}]\n\
         agent: {witnesses: [{tcp: \"1.1.1.1:443\"}]}\n\
         notify: {channels: {c: {type: log}}}\n",
    );
    folder.write("c.yaml", "notify: {channels: {c: {type: log}}}\nagent: [x]\nrecords: {}\n");
    assert_eq!(
        folder.faults(),
        [
            "b.yaml:1:10: second definition of `up`; first here; rename one of them or remove it",
            // The second one is read all the same.
            "b.yaml:1:27: port 0 is not between 1 and 65535; write a whole number between 1 and 65535",
            "b.yaml:2:18: second definition of `www.example.com`; first here; rename one of them or remove it",
            "b.yaml:3:27: second definition of `1.1.1.1:443`; first here; rename one of them or remove it",
            "c.yaml:1:21: second definition of `c`; first here; rename one of them or remove it",
            "c.yaml:2:8: `agent` is set in two files; keep one of them",
            "c.yaml:3:10: `records` is set in two files; keep one of them",
        ]
    );
    let both = folder.load().expect_err("in a test").to_string();
    assert!(both.contains("a.yaml:3:10") && both.contains("first here"), "{both}");
}

/// A file that cannot be read hides no fault of another, and does not make names unknown that it may define.
#[test]
fn a_broken_file_hides_nothing_and_invents_nothing() {
    let folder = Folder::new();
    folder.write(
        "a.yaml",
        "checks: {up: {tcp: {port: 80}}}\ntargets: {a: {address: 192.0.2.1, checks: [up, ssh]}}\n",
    );
    folder.write("b.yaml", "checks: {ssh: {tcp: {port: 22}}\n").write("c.yaml", "agent: {id: \"a b\"}\n");
    std::fs::write(folder.path().join("d.yaml"), b"agent:\n  id: \xff").expect("in a test");
    std::os::unix::fs::symlink("nowhere.yaml", folder.path().join("e.yaml")).expect("in a test");
    folder.write("f.yaml", "- a\n- b\n");
    let faults = folder.faults();
    let starts: Vec<&str> = faults.iter().map(|fault| fault.split(": ").next().expect("in a test")).collect();
    assert_eq!(starts, ["d.yaml", "e.yaml", "b.yaml:1:9", "c.yaml:1:13", "f.yaml:1:1"], "{faults:#?}");
    assert!(faults[0].contains("not UTF-8, from byte 13 on, in line 2"), "{faults:#?}");
    assert!(faults[1].contains("is a link that leads nowhere"), "{faults:#?}");
}

#[test]
fn a_file_without_permission_is_told_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    folder.write("a.yaml", SMALL).write("b.yaml", "agent: {}");
    let file = folder.path().join("b.yaml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).expect("in a test");
    if std::fs::read(&file).is_ok() {
        return; // The superuser reads everything.
    }
    assert!(folder.faults()[0].starts_with("b.yaml: cannot be read: Permission denied"));
}

#[test]
fn a_folder_of_nothing_is_told_of() {
    let folder = Folder::new();
    assert!(folder.faults()[0].contains("there is no *.yaml and no *.yml in this folder"));
    folder.write("a.yaml", "# nothing\n");
    assert!(folder.faults()[0].contains("nothing is configured"));
}

#[test]
fn a_pipe_in_a_folder_is_not_waited_for() {
    let folder = Folder::new();
    folder.write("a.yaml", SMALL);
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("b.yaml")).status();
    if made.is_ok_and(|status| status.success()) {
        assert!(folder.faults()[0].starts_with("b.yaml: is no plain file"));
    }
}

#[test]
fn one_file_and_the_same_in_pieces_mean_the_same() {
    let whole = Config::parse("x", SMALL, &|_| None).expect("in a test");
    let folder = Folder::new();
    for (place, line) in SMALL.lines().filter(|line| !line.is_empty()).enumerate() {
        folder.write(&format!("{}.yaml", 9 - place), line);
    }
    let pieces = folder.load().unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(
        pieces.records[&name("www.example.com")].policy,
        whole.records[&name("www.example.com")].policy
    );
    assert_eq!(pieces.warnings.len(), whole.warnings.len());
}
