//! A thousand things at once: nothing is lost, nothing grows without a bound, and the agent still answers.

use std::fmt::Write;
use std::time::Duration;

use failover::store::DeliveryFilter;

use crate::hosts::Host;
use crate::stage::{Kept, Stage, WWW};

const MANY: usize = 1000;

/// So many targets, and one record that only ever looks at two of them.
fn crowd(many: usize) -> String {
    let mut yaml = String::from(
        r#"
agent: {id: toronto-1, state: ./not-used.db, startup_grace: 30s, live_interval: 30s, witnesses: [{tcp: "192.0.2.1:443"}]}
checks: {web: {tcp: {port: 443}, interval: 10s, fast_interval: 1s, timeout: 3s}}
providers: {zone: {type: mock}}
records:
  - {name: www.workshopco.ca, provider: zone, ttl: 60, targets: [t0, t1]}
notify:
  channels: {team: {type: webhook, url: "https://chat.example.com/hook"}}
  routes: [{channel: team, events: ["*"], min_severity: info}]
targets:
"#,
    );
    for number in 0..many {
        let (high, low) = (number / 250, number % 250);
        writeln!(yaml, "  t{number}: {{address: 10.1.{high}.{low}, checks: [web]}}").unwrap();
    }
    yaml
}

/// bad day: agent: 1,000 events in a second | all are kept and told, one after the other; it answers all the while
#[tokio::test(start_paused = true)]
async fn a_thousand_targets_that_fail_at_once_are_all_told_and_the_agent_answers() {
    let stage = Stage::with(&crowd(MANY)).await;
    stage.edit(WWW, &["10.1.0.0"]);
    stage.start_and_settle().await;
    stage.uplink(Host::Refuses);
    stage.witnesses(Host::Works);
    // t1, the stand-by, is the only one that goes on.
    stage.host("t1", Host::Works);
    let mut answers = 0;
    while stage.www() != "10.1.0.1" {
        stage.pass(1).await;
        assert_eq!(stage.status().await.targets.len(), MANY);
        answers += 1;
        assert!(answers < 60, "a minute passed without the change");
    }
    stage.until("everybody is told", |stage| stage.heard("target.down").len() == MANY - 1).await;
    assert_eq!(stage.heard("failover.completed").len(), 1);
    stage.host("t1", Host::Works);
    stage.pass(300).await;
    let Kept::Store(store) = &stage.kept else { unreachable!("a stage keeps a store") };
    assert_eq!(store.pending().await.unwrap(), 0, "every lane is empty");
    let kept = store.deliveries(DeliveryFilter::default(), 10_000).await.unwrap().len();
    assert_eq!(kept, stage.kinds().len(), "what was kept was told");
    assert_eq!((stage.writes(), stage.heard("target.down").len()), (1, MANY - 1));
    stage.check();
}

/// What is kept in shares is kept whole.
#[tokio::test(start_paused = true)]
async fn the_counters_of_a_crowd_are_all_kept_by_the_minute_and_at_the_end() {
    const CROWD: usize = 2500;
    let stage = Stage::with(&crowd(CROWD)).await;
    stage.edit(WWW, &["10.1.0.0"]);
    stage.start_and_settle().await;
    // Each target is probed every 10 s, and everything is kept from second 60 on.
    stage.pass(50).await;
    stage.crash().await;
    // Whose last probe that is kept is no older than so many seconds.
    let fresh = async |seconds| {
        let Kept::Store(store) = &stage.kept else { unreachable!("a stage keeps a store") };
        let kept = store.load(None, stage.true_wall()).await.unwrap().trackers;
        let limit = stage.true_wall() - Duration::from_secs(seconds);
        kept.values().filter(|tracker| tracker.last.is_some_and(|last| last >= limit)).count()
    };
    assert_eq!(fresh(20).await, CROWD, "by the minute");
    stage.start_and_settle().await;
    stage.pass(25).await;
    let (ending, _) = stage.stop().await;
    assert_eq!(ending.state_trouble, None);
    assert_eq!(fresh(12).await, CROWD, "at the end");
}
