//! Certificates that end soon.

use std::sync::Arc;

use failover::decision::Certificate;
use jiff::SignedDuration;

use crate::stage::{MONTREAL, Stage, TORONTO};

const DAY: u64 = 24 * 60 * 60;

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

fn told(stage: &Stage) -> Vec<String> {
    stage.heard("certificate.expiring").iter().map(|heard| heard.event.event.summary.clone()).collect()
}

/// bad day: target: its certificate ends soon | told at 21, 7, 3 and 1 days, and when it has ended; each once
#[tokio::test(start_paused = true)]
async fn a_certificate_is_told_of_once_for_each_threshold_over_restarts() {
    let stage = ending_in(9).await;
    stage.start_and_settle().await;
    assert_eq!(told(&stage), ["the certificate that montreal shows (www.workshopco.ca) ends in 8 days"]);
    stage.crash().await;
    stage.start_and_settle().await;
    assert_eq!(told(&stage).len(), 1, "known from before");
    stage.pass(3 * DAY).await;
    assert_eq!(told(&stage).len(), 2);
    stage.stop().await;
    stage.start().await;
    stage.pass(7 * DAY).await;
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
