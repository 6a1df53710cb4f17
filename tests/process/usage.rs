//! The command line and the configuration, as somebody gets to know them who makes every mistake.

use std::process::Command;

use crate::agent::{Ended, clean, program};
use crate::stage::{SIGNING, Stage};

/// Every command, as the help lists them, with those below it.
fn commands() -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut at = 0;
    while at < found.len() {
        let path: Vec<String> = found[at].clone();
        let help = Ended::of(program().args(&path).arg("--help")).stdout;
        let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        // What goes on from the line above stands further in.
        let names = list
            .take_while(|line| !line.is_empty())
            .filter(|line| line.len() - line.trim_start().len() == 2)
            .filter_map(|line| line.split_whitespace().next());
        found.extend(
            names.filter(|name| *name != "help").map(|name| [&path[..], &[name.to_owned()]].concat()),
        );
        at += 1;
    }
    found
}

#[test]
fn every_help_fits_a_terminal_and_has_an_example() {
    let commands = commands();
    assert!(commands.len() > 12, "{commands:?}");
    let page = include_str!("../../docs/cli.md");
    for path in commands {
        let named = path.is_empty() || page.contains(&format!("`{}", path[0]));
        assert!(named, "docs/cli.md does not name {path:?}");
        let help = Ended::of(program().args(&path).arg("--help"));
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{path:?}");
        let wide = help.stdout.lines().find(|line| line.chars().count() > 100);
        assert_eq!(wide, None, "{path:?}");
        assert!(help.stdout.contains("Example"), "{path:?} has no example:\n{}", help.stdout);
        let example = format!("failover {}", path.join(" "));
        assert!(help.stdout.contains(&format!("  {}", example.trim())), "{path:?}: of another command");
    }
}

#[test]
fn the_version_and_what_is_no_command() {
    let version = Ended::of(program().arg("--version"));
    assert_eq!(version.stdout, format!("failover {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(version.code, 0);
    for (arguments, says) in [
        (&["frobnicate"] as &[&str], "unrecognized subcommand 'frobnicate'"),
        (&["stat"], "status"),
        (&[], "Usage: failover"),
        (&["once", "--deadline", "soon"], "50s"),
        (&["once", "--deadline=-5s"], "cannot be negative"),
        (&["failback"], "<RECORD>"),
        (&["failback", "not a name"], "not a name"),
        (&["status", "-o", "xml"], "table, json, jsonl"),
        (&["deliveries", "show", "x"], "x"),
    ] {
        let ended = Ended::of(program().args(arguments));
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

/// bad day: configuration: it is wrong | exit code 3 with the place, before anything is touched
/// What every command that reads the configuration says of a bad one.
#[test]
fn a_bad_configuration_is_named_with_its_place() {
    let stage = Stage::new();
    let file = stage.path("bad.yaml");
    let run = |text: &str, arguments: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let mut command = program();
        Ended::of(command.args(arguments).arg("-c").arg(&file).current_dir(stage.folder.path()))
    };
    let good = std::fs::read_to_string(stage.config()).unwrap();
    let place = |line: &str| 1 + good.lines().position(|found| found.contains(line)).unwrap();

    // A typing mistake: line and column, what was meant.
    let typo = good.replace("hold_down: 0s", "hold_dwn: 0s");
    for command in ["run", "once", "plan", "status", "validate"] {
        let ended = run(&typo, &[command]);
        assert_eq!(ended.code, 3, "{command}: {ended:?}");
        let at = format!("{}:{}:5: ", file.display(), place("hold_down"));
        assert!(ended.stderr.contains(&at), "{command}: {at}: {ended:?}");
        assert!(ended.stderr.contains("did you mean `hold_down`?"), "{command}: {ended:?}");
        assert_eq!(ended.stdout, "", "{command}");
    }
    // No YAML at all.
    let ended = run("records: [", &["validate"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("bad.yaml:1:"), "{ended:?}");
    // A variable that is not set; one that is.
    let variable = good.replace(SIGNING, "${SIGNING_FOR_TEST}");
    let ended = run(&variable, &["validate"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("SIGNING_FOR_TEST"), "{ended:?}");
    assert!(ended.stderr.contains(&format!("bad.yaml:{}:", place("type: webhook"))), "{ended:?}");
    let mut command = program();
    command.args(["validate", "-c"]).arg(&file).env("SIGNING_FOR_TEST", SIGNING);
    assert_eq!(Ended::of(&mut command).code, 0);
    // A secret's file that cannot be read (modes do not stop root, a folder does).
    let secret = good.replace(SIGNING, &format!("${{file:{}}}", stage.folder.path().display()));
    let ended = run(&secret, &["run"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains(&stage.folder.path().display().to_string()), "{ended:?}");
    assert!(ended.stderr.contains(&format!("bad.yaml:{}:", place("type: webhook"))), "{ended:?}");
}

#[test]
fn a_missing_configuration_is_said_with_the_places_that_were_looked_at() {
    let empty = tempfile::tempdir().unwrap();
    let run = |command: &mut Command| Ended::of(command.current_dir(empty.path()));
    let nowhere = run(program().arg("validate"));
    assert_eq!(nowhere.code, 3, "{nowhere:?}");
    for place in ["./failover.yaml", "/etc/failover/failover.yaml", "FAILOVER_CONFIG"] {
        assert!(nowhere.stderr.contains(place), "{place}: {nowhere:?}");
    }
    let named = run(program().args(["run", "-c", "no/such.yaml"]));
    assert_eq!(named.code, 3, "{named:?}");
    assert!(named.stderr.contains("no/such.yaml"), "{named:?}");
    // A file below a file cannot be opened, whoever asks.
    std::fs::write(empty.path().join("plain"), "x").unwrap();
    let below = run(program().args(["once", "-c", "plain/failover.yaml"]));
    assert_eq!(below.code, 3, "{below:?}");
    assert!(below.stderr.contains("plain/failover.yaml"), "{below:?}");
    // The variable names one that is there.
    let stage = Stage::new();
    let mut command = program();
    let found = run(command.arg("validate").env("FAILOVER_CONFIG", stage.config()));
    assert_eq!(found.code, 0, "{found:?}");
}

#[test]
fn validate_answers_people_and_programs() {
    let stage = Stage::new();
    let text = stage.run(&["validate"]);
    assert_eq!(text.code, 0, "{text:?}");
    let path = stage.config();
    assert_eq!(text.stdout, format!("ok: {} is valid: 1 record, 2 targets\n", path.display()));
    let json = stage.run(&["validate", "-o", "json"]).json();
    let expected = serde_json::json!({
        "valid": true, "file": path.display().to_string(), "records": 1, "targets": 2,
        "faults": [], "warnings": []
    });
    assert_eq!(json, expected);
    // A program gets the faults in its own language, too.
    stage.edit("hold_down: 0s", "hold_down: 0");
    let bad = stage.run(&["validate", "-o", "json"]);
    assert_eq!(bad.code, 3, "{bad:?}");
    let json = bad.json();
    assert_eq!(json["valid"], false, "{json}");
    assert_eq!(json["file"], path.display().to_string(), "{json}");
    let fault = &json["faults"][0];
    assert_eq!(fault["file"], path.display().to_string(), "{json}");
    assert!(fault["line"].as_u64() > Some(1) && fault["column"] == 16, "{json}");
    assert_eq!(fault["message"], "hold_down `0` has no unit", "{json}");
    assert_eq!(fault["remedy"], "add a unit: `0s`, `0ms`, `0m`", "{json}");
}

/// Warnings have the form of faults, for people and for programs, and stop nobody.
#[test]
fn validate_warns_at_the_place() {
    let stage = Stage::new();
    stage.edit("hold_down: 0s", "hold_down: 1ms");
    let text = stage.run(&["validate"]);
    assert_eq!(text.code, 0, "{text:?}");
    assert!(text.stdout.contains(": warning: hold_down 1ms is shorter than the TTL"), "{text:?}");
    assert!(text.stdout.contains("= help: ") && text.stdout.ends_with("2 targets, 1 warning\n"), "{text:?}");
    let json = stage.run(&["validate", "-o", "json"]).json();
    let keys: Vec<&String> = json["warnings"][0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["column", "file", "line", "message", "remedy"], "{json}");
}

#[test]
fn what_is_in_force_is_shown_and_loads_again() {
    let stage = Stage::new();
    let shown = stage.run(&["config", "show", "--defaults"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
    assert!(shown.stdout.contains("  startup_grace: 30s\n"), "{shown:?}");
    assert!(!shown.stdout.contains(SIGNING) && shown.stdout.contains("\"***\""), "{shown:?}");
    let json = stage.run(&["config", "show", "-o", "json"]).json();
    assert!(json["records"][0]["name"].is_string(), "{json}");
    stage.edit("hold_down: 0s", "hold_dwn: 0s");
    let bad = stage.run(&["config", "show"]);
    assert_eq!((bad.code, bad.stdout.as_str()), (3, ""), "{bad:?}");
    assert!(bad.stderr.contains("did you mean `hold_down`?"), "{bad:?}");
}

#[test]
fn the_schema_needs_no_configuration() {
    let empty = tempfile::tempdir().unwrap();
    let schema = Ended::of(program().arg("schema").current_dir(empty.path()));
    assert_eq!(schema.code, 0, "{schema:?}");
    assert_eq!(schema.json()["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let stage = Stage::new();
    let mut shell = Command::new("bash");
    let script =
        r#"set -o pipefail; "$0" --help | true; "$0" validate -c "$1" | true; echo "${PIPESTATUS[0]}""#;
    clean(&mut shell);
    let ended = Ended::of(shell.args(["-c", script, crate::agent::BINARY]).arg(stage.config()));
    assert_eq!((ended.stdout.trim(), ended.stderr.as_str()), ("0", ""), "{ended:?}");
}
