//! The main story: the primary dies, the record moves, once; the agent may be killed at any moment of it; the primary
//! comes back, and so does the record, once.

use testkit::Mode;

use crate::agent::Site;
use crate::relay::Trick;
use crate::stage::{ALPHA, BETA, PRIMARY, Stage, Way, on_each};

/// A running agent sees the record in order, and has written nothing.
fn all_is_well(stage: &Stage, site: &Site) -> u32 {
    let serial = stage.serial();
    site.wait_for("in_sync", &["alpha"]);
    serial
}

/// From a record at the stand-by and a running agent: the primary comes back.
fn and_back_again(stage: &Stage, serial: u32) {
    stage.backend.set(PRIMARY, &Mode::Ok);
    stage.wait_for_answer(ALPHA);
    let event = stage.wait_until_told("failback.completed");
    assert_eq!(event["before"]["targets"][0], "beta");
    assert_eq!(event["after"]["values"][0], ALPHA);
    assert_eq!(stage.serial(), serial + 2, "two writes in all");
    stage.assert_told("failover.completed", 1);
    stage.assert_told("failback.completed", 1);
    stage.assert_told("failover.failed", 0);
}

fn killed_right_after_the_write(way: Way) {
    let stage = Stage::start(way);
    let site = stage.site();
    let agent = site.run();
    let serial = all_is_well(&stage, &site);
    stage.backend.set(PRIMARY, &Mode::Closed);
    stage.wait_for_answer(BETA);
    agent.kill();
    assert_eq!(stage.serial(), serial + 1, "one write");

    let agent = site.run();
    let event = stage.wait_until_told("failover.completed");
    site.wait_for("in_sync", &["beta"]);
    assert_eq!(stage.serial(), serial + 1, "no second write");
    let told = (&event["before"]["values"][0], &event["after"]["values"][0], &event["after"]["targets"][0]);
    assert_eq!(told, (&ALPHA.into(), &BETA.into(), &"beta".into()), "{event:#}");
    let reason = event["reason"].as_str().expect("why");
    assert!(reason.contains("alpha is down") && reason.contains("refused"), "{reason}");
    assert!(event["effective_by"].is_string() && event["incident"].is_string(), "{event:#}");

    and_back_again(&stage, serial);
    agent.terminate();
    assert_eq!(stage.serial(), serial + 2, "a stopping agent writes nothing");
}

#[test]
fn the_primary_dies_the_agent_is_killed_right_after_the_write_and_all_come_back() {
    on_each(killed_right_after_the_write);
}

/// The server has written, and the agent dies before it hears of it.
fn killed_before_the_answer(way: Way) {
    let mut stage = Stage::start(way);
    let relay = stage.relay();
    let site = stage.site();
    let agent = site.run();
    let serial = all_is_well(&stage, &site);
    relay.next(Trick::HoldAnswer);
    stage.backend.set(PRIMARY, &Mode::Closed);
    relay.wait_until_held();
    stage.wait_for_answer(BETA);
    agent.kill();
    relay.drop_it();
    stage.assert_told("failover.completed", 0);

    let _agent = site.run();
    stage.wait_until_told("failover.completed");
    site.wait_for("in_sync", &["beta"]);
    assert_eq!((stage.serial(), relay.writes()), (serial + 1, 1), "it was written once");
    and_back_again(&stage, serial);
}

#[test]
fn an_agent_that_dies_between_the_write_and_its_record_neither_repeats_nor_forgets_it() {
    on_each(killed_before_the_answer);
}

/// The agent has kept its intent, and dies before anything was sent.
fn killed_before_the_request(way: Way) {
    let mut stage = Stage::start(way);
    let relay = stage.relay();
    let site = stage.site();
    let agent = site.run();
    let serial = all_is_well(&stage, &site);
    relay.next(Trick::HoldRequest);
    stage.backend.set(PRIMARY, &Mode::Closed);
    relay.wait_until_held();
    agent.kill();
    relay.drop_it();
    assert_eq!((stage.serial(), stage.answer()), (serial, vec![ALPHA.to_owned()]), "nothing was written");

    let _agent = site.run();
    stage.wait_for_answer(BETA);
    stage.wait_until_told("failover.completed");
    assert_eq!(stage.serial(), serial + 1);
    and_back_again(&stage, serial);
}

#[test]
fn an_agent_that_dies_before_the_write_makes_it_after_its_return() {
    on_each(killed_before_the_request);
}

/// The server has written, and its answer never arrives.
fn the_reply_is_lost(way: Way) {
    let mut stage = Stage::start(way);
    let relay = stage.relay();
    let site = stage.site();
    let agent = site.run();
    let serial = all_is_well(&stage, &site);
    relay.next(Trick::LoseAnswer);
    stage.backend.set(PRIMARY, &Mode::Closed);
    stage.wait_until_told("failover.completed");
    assert!(relay.is_played(), "{}", agent.log());
    site.wait_for("in_sync", &["beta"]);
    assert_eq!((stage.serial(), relay.writes()), (serial + 1, 1), "one write");

    // The same again, silent instead of broken, on the way back: the agent's own limit ends the wait.
    relay.next(Trick::HoldAnswer);
    stage.backend.set(PRIMARY, &Mode::Ok);
    relay.wait_until_held();
    stage.wait_until_told("failback.completed");
    relay.pass();
    site.wait_for("in_sync", &["alpha"]);
    assert_eq!((stage.serial(), relay.writes()), (serial + 2, 2), "one write more");
    for (kind, times) in [("failover.completed", 1), ("failback.completed", 1), ("failover.failed", 0)] {
        stage.assert_told(kind, times);
    }
}

/// bad day: provider: a real server's answer to a write is lost | one write, one message
#[test]
fn a_lost_reply_is_one_write_and_one_message() {
    on_each(the_reply_is_lost);
}
