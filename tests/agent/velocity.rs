//! More changes are due than a provider may be asked for.

use failover::decision::RecordStatus;

use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO, WORKSHOP, WWW};

const NAMES: [&str; 3] = ["a.workshopco.ca", "b.workshopco.ca", "c.workshopco.ca"];

/// Three records that may be changed one a minute, all at toronto.
async fn three_records() -> Stage {
    let records: String = NAMES
        .map(|name| format!("  - {{name: {name}, provider: zone, ttl: 60, targets: [toronto, montreal]}}\n"))
        .concat();
    let (before, rest) = WORKSHOP.split_once("records:\n").unwrap();
    let (_, after) = rest.split_once("notify:").unwrap();
    let before = before.replace("{type: mock}", "{type: mock, velocity: {per_minute: 1}}");
    let stage = Stage::with(&format!("{before}records:\n{records}notify:{after}")).await;
    for name in NAMES {
        stage.edit(name, &[TORONTO]);
    }
    stage
}

/// bad day: record: hundreds are to change at once | with `velocity` so many a minute in order, one message for the rest
#[tokio::test(start_paused = true)]
async fn one_a_minute_in_order_and_over_a_restart() {
    let stage = three_records().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    let moved = |count| move |stage: &Stage| stage.heard("failover.completed").len() == count;
    stage.until("the first moved", moved(1)).await;
    let withheld = stage.hear("change.withheld").await.event.event;
    assert_eq!(withheld.summary, "2 changes at zone have to wait: it may change 1 record a minute");
    assert_eq!(withheld.reason.as_deref(), Some("in this order: b.workshopco.ca, c.workshopco.ca"));
    stage.until("the second moved", moved(2)).await;
    // What counts is known from the last changes, so a new agent waits as well.
    stage.stop().await;
    stage.start().await;
    stage.until("the third moved", moved(3)).await;
    let done = stage.heard("failover.completed");
    let order: Vec<String> =
        done.iter().map(|heard| heard.event.event.record.as_ref().unwrap().to_string()).collect();
    assert_eq!(order, NAMES);
    for pair in done.windows(2) {
        let apart = pair[1].event.event.time.duration_since(pair[0].event.event.time);
        assert!((59..=91).contains(&apart.as_secs()), "{apart}");
    }
    for name in NAMES {
        assert_eq!(stage.holds(name), MONTREAL);
    }
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_what_would_be_written_and_what_would_have_to_wait() {
    let stage = three_records().await;
    stage.host("toronto", Host::Refuses);
    let report = stage.plan().await.report;
    let standing: Vec<(RecordStatus, Option<&str>)> =
        report.records.iter().map(|record| (record.status, record.guard.as_deref())).collect();
    let waits = (RecordStatus::Refused, Some("velocity"));
    assert_eq!(standing, [(RecordStatus::Pending, None), waits, waits]);
    assert_eq!(report.records[2].next.as_deref(), Some("allowed in 2 min"));
    assert_eq!((stage.writes(), stage.lines().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_plan_knows_of_a_record_that_changed_too_often() {
    let flapping = "hold_down: 60s, flapping: {half_life: 15m, suppress: 1000, reuse: 500}";
    let stage = Stage::with(&WORKSHOP.replace("hold_down: 60s", flapping)).await;
    stage.edit(WWW, &[TORONTO]);
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    stage.stop().await;
    stage.host("toronto", Host::Works);
    stage.host("montreal", Host::Refuses);
    stage.pass(90).await;
    let report = stage.plan().await.report;
    let [record] = report.records.as_slice() else { panic!("{report:?}") };
    assert_eq!((record.status, record.guard.as_deref()), (RecordStatus::Refused, Some("flapping")));
    assert!(record.remedy.as_deref().is_some_and(|remedy| remedy.contains("failover ack")), "{record:?}");
    assert_eq!(stage.www(), MONTREAL);
}
