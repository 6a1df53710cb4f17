//! Certificates that end soon.

use std::sync::Arc;

use failover::decision::Certificate;
use jiff::SignedDuration;

use crate::stage::{MONTREAL, Stage, TORONTO};

const DAY: i64 = 24 * 60 * 60;

/// Both hosts show one certificate with so many days left.
async fn ending_in(days: i64) -> Stage {
    let stage = Stage::new().await;
    let not_after = stage.true_wall() + SignedDuration::from_hours(days * 24);
    let shown = Certificate { fingerprint: "ab".repeat(32), names: "www.workshopco.ca".into(), not_after };
    for address in [TORONTO, MONTREAL] {
        stage.hosts.certificates.lock().unwrap().insert(address.parse().unwrap(), Arc::new(shown.clone()));
    }
    stage
}

/// Days by the calendar, an hour at a time: what a certificate has left is a matter of the wall clock, and ten days of
/// probes would show nothing more.
async fn days_go_by(stage: &Stage, days: i64) {
    for _ in 0..days * 24 {
        stage.step_wall_clock(DAY / 24);
        stage.pass(30).await;
    }
}

fn told(stage: &Stage) -> Vec<String> {
    stage.heard("certificate.expiring").iter().map(|heard| heard.event.event.summary.clone()).collect()
}

/// bad day: target: its certificate ends soon | told at 21, 7, 3 and 1 days, and when it has ended; each once
#[tokio::test(start_paused = true)]
async fn a_certificate_is_told_of_once_for_each_threshold_over_restarts() {
    let stage = ending_in(9).await;
    stage.start_and_settle().await;
    assert_eq!(told(&stage), ["the certificate that montreal shows (www.workshopco.ca) ends in 9 days"]);
    stage.crash().await;
    stage.start_and_settle().await;
    assert_eq!(told(&stage).len(), 1, "known from before");
    days_go_by(&stage, 3).await;
    assert_eq!(told(&stage).len(), 2);
    stage.stop().await;
    stage.start().await;
    days_go_by(&stage, 7).await;
    assert_eq!(told(&stage).len(), 5, "{:#?}", told(&stage));
    assert_eq!(stage.writes(), 0);
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn runs_from_cron_tell_it_once_in_all() {
    let stage = ending_in(2).await;
    for _ in 0..3 {
        stage.once().await;
        stage.pass(60).await;
    }
    assert_eq!(told(&stage).len(), 1);
    stage.plan().await;
    assert_eq!(told(&stage).len(), 1);
}
