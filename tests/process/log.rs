//! The log: text on a terminal, JSON elsewhere, and one line for each change with before, after and why.

use std::process::Command;

use testkit::wait_until;

use crate::agent::{Agent, BINARY, clean};
use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage, WWW, text};

#[test]
fn each_change_is_one_line_that_a_program_can_read() {
    let stage = Stage::new();
    let agent = stage.agent();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    let said = agent.stop();
    for line in said.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        for key in ["timestamp", "level", "message"] {
            assert!(line[key].is_string(), "{key}: {line}");
        }
    }
    let lines = crate::agent::events(&said, "failover.completed");
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(line["record"], WWW, "{line}");
    assert_eq!(line["target"], "toronto", "{line}");
    assert_eq!(line["before"], format!("toronto ({PRIMARY})"), "{line}");
    assert_eq!(line["after"], format!("montreal ({STANDBY})"), "{line}");
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.starts_with("toronto is down: ") && reason.contains("refused"), "{line}");
    assert_eq!(line["message"], format!("{WWW} failed over from toronto to montreal"), "{line}");
    for key in ["id", "incident", "effective_by", "next"] {
        assert!(line[key].is_string(), "{key}: {line}");
    }
    // The same change, told by the log and by the chat.
    assert_eq!(line["id"], stage.told("failover.completed")[0]["id"]);
}

/// `script` gives the program a terminal.
fn on_a_terminal(stage: &Stage, arguments: &str) -> Agent {
    let command = format!(
        "exec setpriv --pdeathsig KILL -- {BINARY} {arguments} --config {}",
        stage.config().display()
    );
    let typescript = stage.path("typescript");
    let mut script = Command::new("setpriv");
    script.args(["--pdeathsig", "KILL", "--", "script", "--quiet", "--flush", "--return", "--command"]);
    script.arg(command).arg(&typescript).current_dir(stage.folder.path());
    clean(&mut script);
    Agent::start(script, &stage.path("script.log"))
}

#[test]
fn a_person_at_a_terminal_gets_text_and_colour() {
    let stage = Stage::new();
    let terminal = on_a_terminal(&stage, "run");
    stage.in_sync();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    let line = wait_until("the line of the change", PATIENCE, || {
        let shown = text(&stage.path("typescript"));
        shown
            .lines()
            .find(|line| line.contains("failed over from toronto to montreal"))
            .map(ToOwned::to_owned)
    });
    assert!(line.contains("\u{1b}["), "colours: {line:?}");
    assert!(!line.contains('{'), "no JSON: {line:?}");
    assert!(line.contains("before") && line.contains(PRIMARY) && line.contains(STANDBY), "{line:?}");
    terminal.kill();

    // As asked for, whatever stands behind standard error.
    let mut json = on_a_terminal(&stage, "once --log-format json --color never");
    json.wait(PATIENCE);
    let shown = text(&stage.path("typescript"));
    assert!(!shown.contains("\u{1b}["), "{shown}");
    let plain = stage.run(&["plan", "--log-format", "text", "--log-level", "debug"]);
    assert!(!plain.stderr.contains('\u{1b}') && !plain.stderr.contains('{'), "{plain:?}");
    assert!(plain.stderr.contains("DEBUG"), "{plain:?}");
}
