//! `once` from cron, and `plan`.

use std::time::Duration;

use failover::decision::RecordStatus;
use providers::mock::{Call, FaultStep, Trouble};

use crate::chat::Mood;
use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO, WWW};

#[tokio::test(start_paused = true)]
async fn ten_times_on_the_same_outage_is_one_write_and_one_message() {
    let stage = Stage::new().await;
    stage.host("toronto", Host::Refuses);
    for run in 0..10 {
        let ending = stage.once().await;
        let record = &ending.report.records[0];
        assert!(ending.settled, "run {run}: {record:?}");
        assert_eq!(record.status, RecordStatus::InSync, "run {run}: {record:?}");
        assert_eq!(record.changes_made, u32::from(run == 0), "run {run}");
        stage.pass(60).await;
    }
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    assert_eq!(stage.kinds(), ["target.down", "failover.completed", "propagation.completed"]);
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn ten_times_on_a_good_day_says_and_writes_nothing() {
    let stage = Stage::new().await;
    for _ in 0..10 {
        let ending = stage.once().await;
        assert!(ending.settled);
        assert_eq!(ending.report.records[0].status, RecordStatus::InSync);
        stage.pass(60).await;
    }
    assert_eq!((stage.writes(), stage.kinds().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn cron_alone_fails_over_and_back() {
    let stage = Stage::new().await;
    stage.once().await;
    stage.host("toronto", Host::Hangs);
    stage.pass(60).await;
    stage.once().await;
    assert_eq!(stage.www(), MONTREAL);
    stage.host("toronto", Host::Works);
    for _ in 0..20 {
        stage.pass(60).await;
        stage.once().await;
    }
    assert_eq!((stage.writes(), stage.www().as_str()), (2, TORONTO));
    assert_eq!((stage.heard("failover.completed").len(), stage.heard("failback.completed").len()), (1, 1));
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn a_plan_shows_the_change_and_makes_none() {
    let stage = Stage::new().await;
    stage.host("toronto", Host::Refuses);
    let ending = stage.plan().await;
    let record = &ending.report.records[0];
    assert_eq!(record.status, RecordStatus::Pending);
    let change = record.change.as_ref().unwrap();
    assert_eq!((change.kind.as_str(), change.targets[0].as_str()), ("failover", "montreal"));
    assert_eq!(change.reason.as_deref(), Some("toronto is down: connection refused"));
    assert!(change.effective_by.is_some());
    assert_eq!((stage.calls(Call::Swap), stage.kinds().len()), (0, 0));
    assert_eq!(stage.www(), TORONTO);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_value_is_refused_by_both_with_the_line_to_add() {
    let stage = Stage::new().await;
    stage.edit(WWW, &["192.0.2.99"]);
    for ending in [stage.plan().await, stage.once().await] {
        let record = &ending.report.records[0];
        assert!(ending.settled);
        assert_eq!((record.status, record.guard.as_deref()), (RecordStatus::Refused, Some("foreign")));
        let remedy = record.remedy.as_deref().unwrap();
        assert!(remedy.contains("add `adopt: [\"192.0.2.99\"]` to the record www.workshopco.ca"), "{remedy}");
    }
    assert_eq!(stage.calls(Call::Swap), 0);
}

/// What it is called, how it is set, and what is said of it.
type State<'a> = (&'a str, &'a dyn Fn(&Stage), RecordStatus);

#[tokio::test(start_paused = true)]
async fn in_every_state_a_plan_writes_nothing_and_tells_nobody() {
    let down = |stage: &Stage| ["toronto", "montreal"].iter().for_each(|t| stage.host(t, Host::Refuses));
    let states: [State; 5] = [
        ("well", &|_| {}, RecordStatus::InSync),
        ("all down", &down, RecordStatus::Holding),
        ("cut off", &|stage| stage.uplink(Host::Hangs), RecordStatus::Holding),
        ("no provider", &|stage| stage.script([FaultStep::on_zone(Trouble::Deny)]), RecordStatus::Failed),
        ("one lost", &|stage| stage.host("toronto", Host::Hangs), RecordStatus::Pending),
    ];
    for (what, set, status) in states {
        let stage = Stage::new().await;
        set(&stage);
        let ending = stage.plan().await;
        assert_eq!(ending.report.records[0].status, status, "{what}: {:?}", ending.report.records[0]);
        assert_eq!(
            (stage.calls(Call::Swap), stage.kinds().len(), stage.chat.attempts()),
            (0, 0, 0),
            "{what}"
        );
    }
}

/// bad day: once: the provider is down | tried until the deadline, then exit code 1
#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_is_tried_until_the_deadline() {
    let stage = Stage::new().await;
    stage.host("toronto", Host::Refuses);
    stage.script([FaultStep::on_zone(Trouble::Refuse).times(usize::MAX)]);
    let ending = stage.once().await;
    assert!(!ending.settled);
    assert_eq!(ending.report.records[0].status, RecordStatus::Failed);
    assert_eq!(stage.heard("provider.unavailable").len(), 1);
    stage.mock.clear_script();
    stage.once().await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    stage.check();
}

/// bad day: once: the chat hangs | the run ends in time, the next one delivers
#[tokio::test(start_paused = true)]
async fn a_hanging_chat_does_not_hold_up_a_run_and_the_next_one_delivers() {
    let stage = Stage::new().await;
    stage.chat.set(Mood::Hangs);
    stage.host("toronto", Host::Refuses);
    let before = stage.true_wall();
    stage.once().await;
    let took = stage.true_wall().duration_since(before).unsigned_abs();
    assert!(took < Duration::from_secs(40), "{took:?}");
    assert_eq!(stage.www(), MONTREAL);
    stage.chat.set(Mood::Takes);
    for _ in 0..3 {
        stage.pass(60).await;
        stage.once().await;
    }
    assert_eq!(stage.heard("failover.completed").len(), 1);
    assert_eq!(stage.writes(), 1);
    stage.check();
}
