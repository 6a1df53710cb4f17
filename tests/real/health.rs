//! Targets that cannot decide, and targets that are all gone.

use testkit::{Mode, wait_until};

use crate::agent::PATIENCE;
use crate::stage::{ALPHA, BETA, PRIMARY, STANDBY, Stage, Way, on_each};

fn alternating(way: Way) {
    let mut stage = Stage::start(way);
    stage.settings.check =
        "interval: 500ms, fast_interval: 100ms, timeout: 500ms, fall: 3, rise: 3, clear: 6";
    stage.settings.failback_after = "100ms";
    let site = stage.site();
    let _agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    let serial = stage.serial();
    // Each pass begins a count at the fast interval, each failure ends it: as many of both as a minute has at the usual
    // times.
    let before = stage.backend.requests(PRIMARY);
    stage.backend.set(PRIMARY, &Mode::Alternating(503));
    wait_until("40 probes", PATIENCE, || (stage.backend.requests(PRIMARY) >= before + 40).then_some(()));
    assert_eq!(stage.answer(), [BETA]);
    assert_eq!(stage.serial(), serial + 1, "it went down, and stayed down");
    stage.assert_told("failover.completed", 1);
    stage.assert_told("target.down", 1);
    stage.assert_told("target.up", 0);
    // Then it makes up its mind.
    stage.backend.set(PRIMARY, &Mode::Ok);
    stage.wait_for_answer(ALPHA);
    stage.wait_until_told("failback.completed");
    assert_eq!(stage.serial(), serial + 2);
}

#[test]
fn a_target_that_fails_every_other_probe_goes_down_once() {
    on_each(alternating);
}

fn all_down(way: Way) {
    let stage = Stage::start(way);
    let site = stage.site();
    let _agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    let serial = stage.serial();
    for target in [STANDBY, PRIMARY] {
        stage.backend.set(target, &Mode::Closed);
    }
    let event = stage.wait_until_told("all_down");
    assert_eq!(event["before"]["values"][0], ALPHA, "{event:#}");
    let record = site.wait_for("holding", &["alpha"]);
    assert!(record["reason"].as_str().is_some_and(|why| why.contains("all targets are down")), "{record:#}");
    let done = site.plan(&["--detailed-exitcode"]).ended(6);
    assert_eq!(done.record()["status"], "holding");
    site.plan(&[]).ended(0);
    // The stand-by returns: it is taken. So nothing was stuck.
    stage.backend.set(STANDBY, &Mode::Ok);
    stage.wait_for_answer(BETA);
    stage.wait_until_told("failover.completed");
    assert_eq!(stage.serial(), serial + 1, "nothing was written while all were down");
    stage.assert_told("all_down", 1);
}

#[test]
fn all_targets_down_change_nothing_and_are_told_once() {
    on_each(all_down);
}
