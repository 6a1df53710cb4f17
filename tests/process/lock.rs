//! One state, one agent.

use crate::stage::{PRIMARY, STANDBY, Stage};

/// bad day: agent: a second one on the same state | refused; `once` beside it does nothing and ends with 0
#[test]
fn a_second_agent_is_refused_and_cron_beside_one_is_harmless() {
    let stage = Stage::new();
    let agent = stage.agent();
    let second = stage.run(&["run"]);
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.stderr.contains(&format!("`failover run` (process {})", agent.pid())), "{second:?}");
    assert!(second.stderr.contains("agent.state"), "what to do: {second:?}");

    // The primary dies: the one-shot run leaves it to the agent.
    let once = stage.run(&["once"]);
    assert_eq!(once.code, 0, "{once:?}");
    assert!(once.stderr.contains(&format!("process {}", agent.pid())), "{once:?}");
    assert!(once.stderr.contains("this run changes nothing"), "{once:?}");
    assert_eq!(once.stdout, "", "there is no result to print");
    assert_eq!(stage.zone(), (1, PRIMARY.into()));

    // A dead agent holds nothing.
    agent.kill();
    stage.kill_primary();
    let once = stage.run(&["once", "--detailed-exitcode"]);
    assert_eq!(once.code, 5, "{once:?}");
    assert_eq!(stage.zone(), (2, STANDBY.into()));
    let agent = stage.start();
    stage.wait_status("the agent", |_| true);
    agent.stop();
}

/// bad day: once: runs overlap | one change
#[test]
fn overlapping_one_shot_runs_make_one_change() {
    let stage = Stage::new();
    assert_eq!(stage.run(&["once"]).code, 0);
    stage.kill_primary();
    stage.config();
    let runs: Vec<_> = std::thread::scope(|scope| {
        let commands: Vec<_> = (0..5).map(|_| stage.command(&["once", "--detailed-exitcode"])).collect();
        let runs: Vec<_> = commands
            .into_iter()
            .map(|mut command| scope.spawn(move || crate::agent::Ended::of(&mut command)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let changed = runs.iter().filter(|run| run.code == 5).count();
    let skipped = runs.iter().filter(|run| run.stderr.contains("this run changes nothing")).count();
    assert_eq!(changed, 1, "{runs:?}");
    assert!(skipped > 0, "none overlapped: {runs:?}");
    assert!(runs.iter().all(|run| [0, 5].contains(&run.code)), "{runs:?}");
    assert_eq!(stage.zone(), (2, STANDBY.into()), "one write");
    assert_eq!(stage.told("failover.completed").len(), 1);
}
