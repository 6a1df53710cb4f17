//! People who edit the zone while the agent works.

use failover::decision::RecordStatus;
use providers::mock::{Call, Edit, FaultStep, Trouble};

use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO, WWW, sets, www};

/// bad day: record: somebody edits it between our reading and our write | a conflict: read again, nothing clobbered
#[tokio::test(start_paused = true)]
async fn an_edit_between_our_reading_and_our_write_is_not_clobbered() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    let edit = Edit { name: www(), sets: sets(&["192.0.2.99"], 60) };
    stage.script([FaultStep::on_swap(Trouble::Intruder(edit))]);
    stage.host("toronto", Host::Refuses);
    let withheld = stage.hear("change.withheld").await;
    assert!(withheld.text().contains("adopt: [\"192.0.2.99\"]"), "{}", withheld.text());
    stage.pass(1800).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (0, "192.0.2.99"));
    assert_eq!(stage.calls(Call::Swap), 1, "refused from then on, not tried");
    assert!(stage.heard("failover.completed").is_empty());
    assert_eq!(stage.record_status().await.status, RecordStatus::Refused);
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn an_edit_to_what_we_want_leaves_nothing_to_do() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    let edit = Edit { name: www(), sets: sets(&[MONTREAL], 60) };
    stage.script([FaultStep::on_swap(Trouble::Intruder(edit))]);
    stage.host("toronto", Host::Refuses);
    let heard = stage.hear("drift.detected").await;
    stage.pass(1800).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (0, MONTREAL));
    assert!(heard.event.event.next.as_deref().unwrap().contains("stays"), "{}", heard.text());
    assert!(stage.heard("failover.completed").is_empty(), "we did not do it");
    assert_eq!(stage.record_status().await.status, RecordStatus::InSync);
    stage.host("toronto", Host::Works);
    stage.hear("failback.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, TORONTO));
    stage.check();
}

/// bad day: record: set by hand to another of its targets | told, and put right
#[tokio::test(start_paused = true)]
async fn drift_is_told_and_put_right() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.edit(WWW, &[MONTREAL]);
    let drift = stage.hear("drift.detected").await;
    let fixed = stage.hear("adjust.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, TORONTO));
    let text = drift.text();
    assert!(text.contains("From:") && text.contains("To:") && text.contains("Next:"), "{text}");
    assert!(
        fixed.event.event.reason.as_deref().unwrap().contains("montreal (198.51.100.5)"),
        "{}",
        fixed.text()
    );
    stage.pass(600).await;
    assert_eq!(stage.writes(), 1);
    stage.check();
}

/// bad day: record: its TTL is changed by hand | put right; the message says how long caches hold the old answer
#[tokio::test(start_paused = true)]
async fn a_wrong_ttl_is_put_right() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.mock.edit(&www(), sets(&[TORONTO], 86400)).unwrap();
    let fixed = stage.hear("adjust.completed").await;
    let by = fixed.event.event.effective_by.unwrap().duration_since(fixed.event.event.time).as_secs();
    assert_eq!(by, 86400, "caches hold the old answer for the old TTL");
    assert_eq!(stage.writes(), 1);
    stage.check();
}

/// bad day: record: somebody writes it back again and again | one write per `hold_down`
#[tokio::test(start_paused = true)]
async fn two_who_fight_over_a_record_write_once_per_hold_down() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    for _ in 0..120 {
        stage.edit(WWW, &[MONTREAL]);
        stage.pass(5).await;
    }
    assert!((5..=11).contains(&stage.writes()), "{} writes in ten minutes", stage.writes());
    stage.check();
}

/// bad day: record: edited right after our write | left for `hold_down`
#[tokio::test(start_paused = true)]
async fn an_edit_right_after_our_write_is_not_overwritten_within_hold_down() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.script([
        FaultStep::on_read(Trouble::Nothing),
        FaultStep::on_read(Trouble::Nothing).delayed(std::time::Duration::from_secs(2)),
    ]);
    stage.host("toronto", Host::Refuses);
    stage.until("our write", |stage| stage.www() == MONTREAL).await;
    stage.edit(WWW, &[TORONTO]);
    stage.pass(45).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, TORONTO), "{:#?}", stage.lines());
    stage.hear("failover.completed").await;
    stage.pass(60).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (2, MONTREAL));
    assert_eq!(stage.heard("failover.completed").len(), 1);
    stage.check();
}

/// bad day: record: deleted by hand | not made again without `create: true`; told with that line
#[tokio::test(start_paused = true)]
async fn a_deleted_record_is_not_made_again() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.edit(WWW, &[]);
    stage.hear("drift.detected").await;
    let withheld = stage.hear("change.withheld").await;
    assert!(withheld.text().contains("create: true"), "{}", withheld.text());
    stage.pass(1800).await;
    assert_eq!(stage.writes(), 0);
    stage.check();
}
