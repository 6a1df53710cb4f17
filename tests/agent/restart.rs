//! kill -9 at any instant: no second write, no lost message, none told twice.

use std::time::Duration;

use providers::mock::{Call, FaultStep, Trouble};
use tokio::time::sleep;

use crate::chat::Mood;
use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO};

async fn dying_primary(steps: impl IntoIterator<Item = FaultStep>) -> Stage {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.script(steps);
    stage.host("toronto", Host::Refuses);
    stage
}

/// A new agent on the same state: one write in all, one message of it.
async fn ends_well(stage: &Stage, what: &str) {
    stage.chat.set(Mood::Takes);
    stage.start().await;
    stage.pass(60).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL), "{what}: {:#?}", stage.lines());
    assert_eq!(stage.heard("failover.completed").len(), 1, "{what}: {:#?}", stage.lines());
    assert!(stage.heard("drift.detected").is_empty(), "{what}: {:#?}", stage.lines());
    assert!(stage.heard("target.down").len() <= 1, "{what}: {:#?}", stage.lines());
    stage.crash().await;
    stage.check();
}

/// bad day: agent: kill -9 before the write | decided anew, one write, one message
#[tokio::test(start_paused = true)]
async fn before_the_write() {
    let slow = FaultStep::on_swap(Trouble::Nothing).delayed(Duration::from_secs(5));
    let stage = dying_primary([slow]).await;
    stage.until("the call", |stage| stage.calls(Call::Swap) == 1).await;
    stage.crash().await;
    stage.pass(30).await;
    assert_eq!(stage.www(), TORONTO, "the write died with the agent");
    ends_well(&stage, "before the write").await;
}

/// bad day: agent: kill -9 right after the write | the next start finds it, tells it once, writes nothing
#[tokio::test(start_paused = true)]
async fn right_after_the_write() {
    let slow = FaultStep::on_read(Trouble::Nothing).delayed(Duration::from_secs(5));
    let stage = dying_primary([FaultStep::on_read(Trouble::Nothing), slow]).await;
    stage.until("the write", |stage| stage.writes() == 1).await;
    stage.crash().await;
    assert!(stage.heard("failover.completed").is_empty());
    stage.pass(30).await;
    ends_well(&stage, "right after the write").await;
    let heard = stage.heard("failover.completed").remove(0);
    assert!(heard.event.event.reason.is_some() && heard.event.event.before.is_some(), "{}", heard.text());
}

/// bad day: agent: kill -9 before anybody was told | told after the start, once
#[tokio::test(start_paused = true)]
async fn after_the_proof_and_before_anybody_was_told() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.chat.set(Mood::Hangs);
    stage.host("toronto", Host::Refuses);
    stage.until("the write", |stage| stage.writes() == 1).await;
    stage.pass(5).await;
    stage.crash().await;
    ends_well(&stage, "before anybody was told").await;
}

/// bad day: agent: kill -9 at any instant of an outage | one write, one message
#[tokio::test(start_paused = true)]
async fn at_any_instant() {
    // Every call takes its time, so that there are many instants: from the first failure to long after the message.
    for instant in 0..75 {
        let slow = |step: FaultStep| step.delayed(Duration::from_millis(150)).times(usize::MAX);
        let stage = dying_primary([
            slow(FaultStep::on_read(Trouble::Nothing)),
            slow(FaultStep::on_swap(Trouble::Nothing)),
        ])
        .await;
        sleep(Duration::from_millis(6500 + instant * 49)).await;
        stage.crash().await;
        ends_well(&stage, &format!("instant {instant}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn at_any_instant_of_the_way_back() {
    for instant in 0..20 {
        let stage = Stage::new().await;
        stage.start_and_settle().await;
        stage.host("toronto", Host::Refuses);
        stage.hear("failover.completed").await;
        stage.host("toronto", Host::Works);
        stage.hear("target.up").await;
        let slow = |step: FaultStep| step.delayed(Duration::from_millis(150)).times(usize::MAX);
        stage
            .script([slow(FaultStep::on_read(Trouble::Nothing)), slow(FaultStep::on_swap(Trouble::Nothing))]);
        sleep(Duration::from_millis(299_700 + instant * 55)).await;
        stage.crash().await;
        stage.start().await;
        // What was counted before the crash may be too old: then toronto must be up for another five minutes.
        stage.pass(420).await;
        assert_eq!((stage.writes(), stage.www().as_str()), (2, TORONTO), "{instant}: {:#?}", stage.lines());
        assert_eq!(stage.heard("failback.completed").len(), 1, "{instant}: {:#?}", stage.lines());
        stage.crash().await;
        stage.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_of_an_outage_changes_and_tells_nothing() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    stage.hear("propagation.completed").await;
    for _ in 0..5 {
        stage.crash().await;
        stage.pass(20).await;
        stage.start().await;
        stage.pass(60).await;
    }
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    for kind in ["target.down", "failover.completed"] {
        assert_eq!(stage.heard(kind).len(), 1, "{kind}: {:#?}", stage.lines());
    }
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_and_told_is_not_told_again_after_a_restart() {
    let stage = Stage::new().await;
    stage.edit(crate::stage::WWW, &["192.0.2.99"]);
    stage.start().await;
    stage.hear("change.withheld").await;
    stage.crash().await;
    stage.start().await;
    stage.pass(300).await;
    assert_eq!(stage.heard("change.withheld").len(), 1);
}
