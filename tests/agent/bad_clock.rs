//! Clocks that jump, and processes that stand still.

use std::time::Duration;

use providers::mock::{FaultStep, Trouble};
use tokio::time::{advance, sleep};

use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO};

/// Seconds from the start to each write, in a story with an outage of ten minutes.
async fn writes_with(steps: &[(u64, i64)]) -> Vec<i64> {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    let begun = stage.true_wall();
    let mut writes = Vec::new();
    for second in 0..1500 {
        match second {
            10 => stage.host("toronto", Host::Refuses),
            610 => stage.host("toronto", Host::Works),
            _ => {}
        }
        for (_, jump) in steps.iter().filter(|(at, _)| *at == second) {
            stage.step_wall_clock(*jump);
        }
        stage.pass(1).await;
        if stage.writes() > writes.len() {
            writes.push(stage.true_wall().duration_since(begun).as_secs());
        }
    }
    stage.check();
    assert_eq!((stage.www().as_str(), stage.heard("failover.completed").len()), (TORONTO, 1));
    writes
}

/// bad day: clock: the wall clock jumps by an hour, either way | no decision sees it: the same writes at the same moments
#[tokio::test(start_paused = true)]
async fn steps_of_the_wall_clock_change_no_decision() {
    let usual = writes_with(&[]).await;
    assert_eq!(usual.len(), 2);
    for steps in [&[(5, 3600), (300, -7200)], &[(14, -3600), (700, 3600)], &[(20, -3600), (800, -3600)]] {
        assert_eq!(writes_with(steps).await, usual, "{steps:?}");
    }
}

/// bad day: agent: stands still for ten minutes (SIGSTOP, suspend) | verdicts are formed anew before anything is written
#[tokio::test(start_paused = true)]
async fn after_standing_still_verdicts_are_formed_anew_before_anything_is_written() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    // Two of three failures are counted, then the process is frozen; meanwhile the host comes back.
    while stage.failures("toronto").await < 2 {
        sleep(Duration::from_millis(100)).await;
    }
    stage.host("toronto", Host::Works);
    advance(Duration::from_mins(10)).await;
    stage.pass(600).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (0, TORONTO), "{:#?}", stage.lines());
    stage.check();
}

/// bad day: agent: stands still while it reads the record | what it read is not acted upon
#[tokio::test(start_paused = true)]
async fn a_reading_that_was_under_way_while_standing_still_leads_to_no_write() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    let slow = FaultStep::on_read(Trouble::Nothing).delayed(Duration::from_secs(5));
    stage.script([slow]);
    stage.host("toronto", Host::Refuses);
    stage.hear("target.down").await;
    stage.pass(1).await;
    assert_eq!(stage.writes(), 0, "the reading is under way");
    stage.host("toronto", Host::Works);
    advance(Duration::from_mins(10)).await;
    stage.pass(600).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (0, TORONTO), "{:#?}", stage.lines());
    stage.check();
}

/// bad day: agent: stands still while all is well | told once, with how long; nobody is down for it
#[tokio::test(start_paused = true)]
async fn standing_still_is_told_once_and_is_nobodys_fault() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    advance(Duration::from_mins(10)).await;
    stage.pass(120).await;
    let told: Vec<String> = stage.kinds().into_iter().skip(1).collect();
    assert_eq!(told, ["agent.sighted"], "{:#?}", stage.lines());
    let text = stage.heard("agent.sighted")[0].text();
    assert!(text.contains("stood still for 10 min"), "{text}");
    assert_eq!(stage.writes(), 0);
    stage.check();
}

/// bad day: agent: stands still while the primary dies | it is found afterwards, and handled
#[tokio::test(start_paused = true)]
async fn an_outage_that_began_while_standing_still_is_handled() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    advance(Duration::from_mins(10)).await;
    stage.hear("failover.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    stage.check();
}
