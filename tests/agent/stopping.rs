//! SIGTERM: what is in flight ends, everything is kept, and the agent is gone within two seconds.

use std::time::Duration;

use providers::mock::{Call, FaultStep, Trouble};

use crate::chat::Mood;
use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage};

const LIMIT: Duration = Duration::from_secs(2);

async fn stop_during(step: FaultStep) -> (Stage, Duration) {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.script([step]);
    stage.host("toronto", Host::Refuses);
    stage.until("the call", |stage| stage.calls(Call::Swap) == 1).await;
    let (_, took) = stage.stop().await;
    (stage, took)
}

#[tokio::test(start_paused = true)]
async fn a_write_in_flight_ends_and_is_recorded_and_told() {
    let slow = FaultStep::on_swap(Trouble::Nothing).delayed(Duration::from_millis(700));
    let (stage, took) = stop_during(slow).await;
    assert!(took <= LIMIT, "{took:?}");
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    assert_eq!(stage.heard("failover.completed").len(), 1, "{:#?}", stage.lines());
    assert_eq!(stage.kinds().last().map(String::as_str), Some("agent.stopped"));
    stage.start().await;
    stage.pass(120).await;
    assert_eq!((stage.writes(), stage.heard("failover.completed").len()), (1, 1));
    stage.check();
}

/// bad day: agent: stopped in a write that does not end | ends in two seconds; the next start finds out
#[tokio::test(start_paused = true)]
async fn a_write_that_does_not_end_is_left_to_the_next_start() {
    let (stage, took) = stop_during(FaultStep::on_swap(Trouble::Hang)).await;
    assert!(took <= LIMIT, "{took:?}");
    assert_eq!(stage.writes(), 0);
    stage.start().await;
    stage.hear("failover.completed").await;
    stage.pass(120).await;
    assert_eq!((stage.writes(), stage.heard("failover.completed").len()), (1, 1));
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn not_even_with_everything_hanging_does_it_take_longer() {
    let stage = Stage::new().await;
    stage.chat.set(Mood::Hangs);
    stage.start_and_settle().await;
    stage.script([FaultStep::on_swap(Trouble::Hang)]);
    stage.host("toronto", Host::Refuses);
    stage.host("montreal", Host::Works);
    stage.until("the call", |stage| stage.calls(Call::Swap) == 1).await;
    stage.uplink(Host::Hangs);
    stage.pass(2).await;
    let (_, took) = stage.stop().await;
    assert!(took <= LIMIT, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_agent_stops_at_once_and_changes_nothing() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    let (ending, took) = stage.stop().await;
    assert!(took <= Duration::from_millis(500), "{took:?}");
    assert!(ending.state_trouble.is_none());
    assert_eq!((stage.writes(), stage.kinds()), (0, vec!["agent.started".into(), "agent.stopped".into()]));
}
