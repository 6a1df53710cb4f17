//! A thousand things at once: nothing is lost, nothing grows without a bound, and the agent still answers.

use std::fmt::Write;

use failover::store::DeliveryFilter;

use crate::hosts::Host;
use crate::stage::{Kept, Stage, WWW};

const MANY: usize = 1000;

/// A thousand targets and one record that only ever looks at two of them.
fn a_thousand_targets() -> String {
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
    for number in 0..MANY {
        let (high, low) = (number / 250, number % 250);
        writeln!(yaml, "  t{number}: {{address: 10.1.{high}.{low}, checks: [web]}}").unwrap();
    }
    yaml
}

/// bad day: agent: 1,000 events in a second | all are kept and told, one after the other; it answers all the while
#[tokio::test(start_paused = true)]
async fn a_thousand_targets_that_fail_at_once_are_all_told_and_the_agent_answers() {
    let stage = Stage::with(&a_thousand_targets()).await;
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
