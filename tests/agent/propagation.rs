//! The authoritative servers, which do not always do as they are told.

use failover::decision::Severity;

use crate::hosts::Host;
use crate::nameservers::Manner;
use crate::stage::{MONTREAL, Stage, sets, www};

async fn outage_with(server: &str, manner: Option<Manner>) -> Stage {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    match manner {
        Some(manner) => stage.nameservers.set(server, manner),
        None => stage.nameservers.freeze(server, &www()),
    }
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    stage
}

/// bad day: name servers: they disagree for minutes after a change | `propagation.slow` names it, then that it has caught up
#[tokio::test(start_paused = true)]
async fn a_server_that_lags_is_told_of_and_then_that_it_has_caught_up() {
    let stage = outage_with("ns2", None).await;
    let slow = stage.hear("propagation.slow").await;
    let text = slow.text();
    assert!(text.contains("ns2.workshopco.ca (192.0.2.52): does not serve it yet (203.0.113.10)"), "{text}");
    assert!(text.contains("1 of 2 authoritative servers does not serve"), "{text}");
    stage.pass(60).await;
    stage.nameservers.set("ns2", Manner::Honest);
    let done = stage.hear("propagation.completed").await;
    let late =
        done.event.event.servers.iter().find(|server| server.server.starts_with("ns2")).unwrap().at.unwrap();
    let early =
        done.event.event.servers.iter().find(|server| server.server.starts_with("ns1")).unwrap().at.unwrap();
    assert!(late.duration_since(early).as_secs() >= 60, "{}", done.text());
    assert!(
        stage.heard("drift.detected").is_empty(),
        "a change on its way is no drift: {:#?}",
        stage.lines()
    );
    stage.check();
}

/// Where the time of a failover went, from the first failure to the last server.
#[tokio::test(start_paused = true)]
async fn the_phases_of_a_failover_are_in_its_events() {
    let stage = outage_with("ns2", None).await;
    let written = stage.hear("failover.completed").await.event.event.phases.expect("phases");
    assert_eq!((written.first_served_ms, written.all_served_ms), (None, None));
    let slow = stage.hear("propagation.slow").await.event.event.phases.expect("phases");
    assert_eq!(slow.all_served_ms, None);
    stage.pass(60).await;
    stage.nameservers.set("ns2", Manner::Honest);
    let done = stage.hear("propagation.completed").await.event.event.phases.expect("phases");
    assert_eq!((done.written_ms, done.confirmed_ms), (written.written_ms, written.confirmed_ms));
    assert_eq!(done.first_served_ms, slow.first_served_ms);
    let steps = [
        done.down_ms,
        done.decided_ms,
        done.written_ms,
        done.confirmed_ms,
        done.first_served_ms,
        done.all_served_ms,
    ];
    let steps: Vec<u64> = steps.into_iter().map(|step| step.expect("each is known")).collect();
    assert!(steps.is_sorted(), "{done}");
    assert!(steps[5] >= 60_000, "{done}");
    stage.check();
}

/// bad day: name servers: one secondary is frozen | told as slow, then as drift; nothing is written for it
#[tokio::test(start_paused = true)]
async fn a_frozen_secondary_is_told_of_as_drift_in_the_end_and_nothing_is_written() {
    let stage = outage_with("ns2", None).await;
    stage.hear("propagation.slow").await;
    let drift = stage.hear("drift.detected").await;
    let text = drift.text();
    assert!(text.contains("ns2.workshopco.ca (192.0.2.52) serves 203.0.113.10"), "{text}");
    assert!(text.contains("You can:") && text.contains("zone transfer"), "{text}");
    stage.pass(3600).await;
    assert_eq!(stage.heard("drift.detected").len(), 1);
    assert_eq!(stage.heard("propagation.slow").len(), 1);
    assert_eq!(stage.writes(), 1);
    let report = stage.record_status().await;
    assert_eq!(report.servers.iter().filter(|server| server.agrees).count(), 1);

    stage.nameservers.set("ns2", Manner::Honest);
    let healed = stage.hear("propagation.completed").await;
    assert!(healed.text().contains("ns2.workshopco.ca"), "{}", healed.text());
    stage.check();
}

/// bad day: name servers: one serves something else out of the blue | told as drift of that server
#[tokio::test(start_paused = true)]
async fn a_server_that_lies_out_of_the_blue_is_told_of() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    let lie = sets(&["192.0.2.66"], 60).into_iter().map(|set| (set.record_type(), set)).collect();
    stage.nameservers.set("ns1", Manner::Serves(lie));
    let drift = stage.hear("drift.detected").await;
    assert_eq!(drift.event.event.severity, Severity::Warning);
    assert!(drift.text().contains("192.0.2.66"), "{}", drift.text());
    stage.pass(3600).await;
    assert_eq!((stage.heard("drift.detected").len(), stage.writes()), (1, 0));
    stage.check();
}

/// bad day: name servers: one does not answer | delays nobody
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_delays_nobody() {
    let stage = outage_with("ns1", Some(Manner::Silent)).await;
    assert_eq!(stage.www(), MONTREAL);
    let slow = stage.hear("propagation.slow").await;
    let text = slow.text();
    assert!(text.contains("ns1.workshopco.ca (192.0.2.51): does not serve it yet (unknown:"), "{text}");
    stage.pass(3600).await;
    assert_eq!((stage.heard("propagation.slow").len(), stage.writes()), (1, 1));
    stage.check();
}
