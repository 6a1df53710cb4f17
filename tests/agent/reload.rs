//! The configuration changes while the agent runs.

use std::time::Duration;

use failover::agent::Refused;
use providers::mock::{Call, FaultStep, Trouble};

use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO, WORKSHOP};

const SHOP: &str = "shop.workshopco.ca";

/// Another record beside the old one.
fn with_shop() -> String {
    let shop =
        "  - {name: shop.workshopco.ca, provider: zone, ttl: 60, targets: [toronto, montreal]}\nnotify:";
    WORKSHOP.replace("notify:", shop)
}

/// bad day: configuration: it changes in the middle of an outage | what was counted stays; one failover
#[tokio::test(start_paused = true)]
async fn an_outage_that_has_begun_goes_on_through_a_reload() {
    let stage = Stage::new().await;
    stage.edit(SHOP, &[TORONTO]);
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    while stage.failures("toronto").await < 2 {
        stage.pass(1).await;
    }
    stage.reload(&with_shop()).await;
    assert_eq!(stage.failures("toronto").await, 2, "what was counted stays");
    stage.until("both failed over", |stage| stage.heard("failover.completed").len() == 2).await;
    assert_eq!((stage.www().as_str(), stage.holds(SHOP).as_str()), (MONTREAL, MONTREAL));
    assert_eq!(stage.heard("target.down").len(), 1, "{:#?}", stage.lines());
    let told = &stage.heard("config.reloaded")[0].event.event;
    assert_eq!(told.reason.as_deref(), Some("records: added shop.workshopco.ca"));
    stage.pass(600).await;
    assert_eq!(stage.writes(), 1, "both in one transaction, and nothing after it");
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn after_a_failover_a_reload_changes_nothing_and_tells_only_of_itself() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    stage.hear("propagation.completed").await;
    stage.pass(60).await;
    let (told, before) = (stage.kinds().len(), stage.status().await);
    stage.reload(&WORKSHOP.replace("timeout: 3s", "timeout: 2s")).await;
    stage.pass(120).await;
    assert_eq!(stage.kinds()[told..], ["config.reloaded"], "{:#?}", stage.lines());
    let after = stage.status().await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    assert_eq!(after.records[0].last_change, before.records[0].last_change);
    assert_eq!(
        after.targets.iter().map(|t| t.since).collect::<Vec<_>>(),
        before.targets.iter().map(|t| t.since).collect::<Vec<_>>()
    );
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn the_cadence_of_what_stays_goes_on() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    let montreal = MONTREAL.parse().unwrap();
    let before = stage.hosts.probes(montreal);
    for round in 0..30 {
        // A reload every 2 s for a minute: one that began every job anew would probe at each of them.
        let ttl = if round % 2 == 0 { "ttl: 61" } else { "ttl: 60" };
        stage.reload(&WORKSHOP.replace("hold_down: 60s", "hold_down: 1h").replace("ttl: 60", ttl)).await;
        stage.pass(2).await;
    }
    let probes = stage.hosts.probes(montreal) - before;
    assert!((5..=8).contains(&probes), "{probes} probes in a minute");
    stage.check();
}

/// bad day: configuration: a record is taken away while it is written | the write is finished and proved first
#[tokio::test(start_paused = true)]
async fn a_record_is_not_taken_away_from_under_its_own_write() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.script([FaultStep::on_swap(Trouble::Nothing).delayed(Duration::from_secs(5))]);
    stage.host("toronto", Host::Refuses);
    stage.until("the call", |stage| stage.calls(Call::Swap) == 1).await;
    let only_shop = with_shop().replace("{name: www.workshopco.ca,", "{name: www2.workshopco.ca,");
    stage.edit("www2.workshopco.ca", &[MONTREAL]);
    stage.edit(SHOP, &[MONTREAL]);
    stage.reload(&only_shop).await;
    assert!(stage.heard("config.reloaded").is_empty(), "it waits");
    stage.hear("config.reloaded").await;
    assert_eq!(
        stage.heard("failover.completed").len(),
        1,
        "the change was proved and told: {:#?}",
        stage.lines()
    );
    assert_eq!(stage.www(), MONTREAL);
    let names: Vec<String> = stage.status().await.records.iter().map(|r| r.name.to_string()).collect();
    assert_eq!(names, [SHOP, "www2.workshopco.ca"]);
    stage.pass(60).await;
    stage.check();
}

/// bad day: configuration: a record is taken away while its write hangs | waited for 35 s, then taken
#[tokio::test(start_paused = true)]
async fn a_write_that_never_ends_does_not_hold_up_a_reload_for_ever() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.script([FaultStep::on_swap(Trouble::Hang).times(9)]);
    stage.script([FaultStep::on_read(Trouble::Refuse).times(99)]);
    stage.host("toronto", Host::Refuses);
    stage.until("the call", |stage| stage.calls(Call::Swap) >= 1 || stage.calls(Call::Read) > 3).await;
    let without = WORKSHOP.replace("{name: www.workshopco.ca,", "{name: www2.workshopco.ca,");
    stage.reload(&without).await;
    stage.pass(60).await;
    assert_eq!(stage.heard("config.reloaded").len(), 1, "{:#?}", stage.lines());
    assert_eq!(stage.status().await.records.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_joins_hears_and_one_that_goes_does_not() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    let (head, _) = WORKSHOP.split_once("notify:").unwrap();
    stage.reload(head).await;
    stage.host("toronto", Host::Refuses);
    stage.until("the failover", |stage| stage.www() == MONTREAL).await;
    stage.pass(60).await;
    assert!(stage.heard("failover.completed").is_empty(), "nobody is to be told");
    stage.reload(WORKSHOP).await;
    stage.host("toronto", Host::Works);
    stage.hear("failback.completed").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_and_changes_nothing() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    let faults = ["a.yaml:3:1: one (mend it)", "a.yaml:4:1: two", "a.yaml:5:1: three", "a.yaml:6:1: four"];
    stage.refuse(Refused::Faults(faults.map(String::from).to_vec())).await;
    let told = stage.hear("config.refused").await;
    let event = &told.event.event;
    assert_eq!(event.summary, "the changed configuration was refused: 4 faults");
    let reason = "a.yaml:3:1: one (mend it); a.yaml:4:1: two; a.yaml:5:1: three; and 1 more";
    assert_eq!(event.reason.as_deref(), Some(reason));
    stage.refuse(Refused::NeedsRestart(vec!["agent.state".into(), "api.socket".into()])).await;
    stage.until("the other", |stage| stage.heard("config.refused").len() == 2).await;
    let summary = &stage.heard("config.refused")[1].event.event.summary;
    assert_eq!(summary, "the changed configuration was refused: needs a restart: agent.state, api.socket");
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    stage.check();
}
