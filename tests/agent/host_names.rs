//! Targets with host names, and targets that can do without a check: the whole agent.

use failover::decision::{RecordStatus, Verdict};

use crate::hosts::Host;
use crate::stage::{Stage, WORKSHOP, WWW};

const TORONTO: &str = "toronto.example.net";
const MONTREAL: &str = "montreal.example.net";

async fn stage() -> Stage {
    let yaml = WORKSHOP.replace("203.0.113.10", TORONTO).replace("198.51.100.5", MONTREAL);
    let stage = Stage::with(&yaml).await;
    stage.edit(WWW, &[TORONTO]);
    stage
}

#[tokio::test(start_paused = true)]
async fn one_cname_moves_and_comes_back() {
    let stage = stage().await;
    stage.start_and_settle().await;
    assert_eq!(stage.status().await.targets[0].endpoints[0].address.to_string(), MONTREAL);
    stage.host("toronto", Host::Refuses);
    let over = stage.hear("failover.completed").await;
    assert_eq!((stage.www().as_str(), stage.writes()), (MONTREAL, 1));
    let text = over.text();
    assert!(text.contains("toronto (toronto.example.net)"), "{text}");
    assert!(text.contains("montreal (montreal.example.net)"), "{text}");
    stage.host("toronto", Host::Works);
    stage.hear("failback.completed").await;
    stage.pass(3600).await;
    assert_eq!((stage.www().as_str(), stage.writes()), (TORONTO, 2));
    assert_eq!(stage.heard("propagation.completed").len(), 2, "every server was seen to serve the alias");
    assert!(stage.heard("drift.detected").is_empty());
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn a_restart_remembers_the_verdict_of_a_name() {
    let stage = stage().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    stage.pass(5).await;
    stage.crash().await;
    stage.start_and_settle().await;
    stage.pass(600).await;
    assert_eq!((stage.www().as_str(), stage.writes()), (MONTREAL, 1));
    assert_eq!(stage.heard("target.down").len(), 1, "told once, over a restart: {:#?}", stage.lines());
    let first = stage.once().await;
    assert!(first.settled);
    assert_eq!(stage.writes(), 1, "a second run changes nothing");
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn addresses_made_of_it_by_hand_are_nobody_s_of_ours() {
    let stage = stage().await;
    stage.start_and_settle().await;
    stage.edit(WWW, &["203.0.113.10"]);
    let withheld = stage.hear("change.withheld").await;
    assert_eq!(withheld.event.event.guard.as_deref(), Some("foreign"));
    stage.host("toronto", Host::Refuses);
    stage.pass(1800).await;
    assert_eq!((stage.www().as_str(), stage.writes()), ("203.0.113.10", 0));
    assert_eq!(stage.record_status().await.status, RecordStatus::Refused);
    stage.edit(WWW, &[TORONTO]);
    stage.hear("failover.completed").await;
    assert_eq!((stage.www().as_str(), stage.writes()), (MONTREAL, 1));
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nothing_is_known_of_moves_nobody() {
    let stage = stage().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::NoRoute);
    stage.pass(3600).await;
    assert_eq!((stage.www().as_str(), stage.writes()), (TORONTO, 0));
    assert_eq!(stage.heard("target.down").len(), 0);
    assert_eq!(stage.status().await.targets[1].verdict, Verdict::Unknown);
    stage.check();
}
