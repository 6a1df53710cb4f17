//! A chat that is down is no reason to be late, and none to be silent.

use crate::chat::Mood;
use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage};

/// When the failover was written, with the chat in this mood all the while.
async fn failover_with(mood: Mood) -> (Stage, jiff::Timestamp) {
    let stage = Stage::new().await;
    stage.chat.set(mood);
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    stage.until("the write", |stage| stage.www() == MONTREAL).await;
    let at = stage.true_wall();
    (stage, at)
}

/// bad day: chat: hangs or fails for an hour | nothing waits for it, nothing is lost; each message says how late it is
#[tokio::test(start_paused = true)]
async fn a_chat_that_hangs_or_fails_for_an_hour_delays_nothing_and_loses_nothing() {
    let (_, good) = failover_with(Mood::Takes).await;
    for mood in [Mood::Hangs, Mood::Fails] {
        let (stage, at) = failover_with(mood).await;
        assert!(at.duration_since(good).as_millis().abs() < 200, "{mood:?}: {at} instead of {good}");
        stage.pass(3600).await;
        assert!(stage.kinds().is_empty());
        assert!(stage.chat.attempts() < 100, "{} attempts in an hour", stage.chat.attempts());
        stage.chat.set(Mood::Takes);
        stage.hear("propagation.completed").await;
        stage.pass(3600).await;
        let mut kinds = stage.kinds();
        kinds.sort();
        assert_eq!(
            kinds,
            ["agent.started", "failover.completed", "propagation.completed", "target.down"],
            "{mood:?}"
        );
        let text = stage.heard("failover.completed")[0].text();
        assert!(text.contains("; told 1 h"), "it says how late it is: {text}");
        stage.check();
    }
}

/// bad day: chat: down until the agent is restarted | the messages follow after the start
#[tokio::test(start_paused = true)]
async fn what_was_not_told_before_the_end_is_told_after_the_next_start() {
    let (stage, _) = failover_with(Mood::Hangs).await;
    stage.pass(60).await;
    stage.stop().await;
    stage.pass(600).await;
    stage.chat.set(Mood::Takes);
    stage.start().await;
    stage.hear("failover.completed").await;
    stage.pass(3600).await;
    assert_eq!(stage.heard("failover.completed").len(), 1);
    assert_eq!(stage.writes(), 1);
    stage.check();
}
