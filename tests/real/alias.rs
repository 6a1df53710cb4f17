//! Targets with host names: the record is a CNAME, and the server that holds it is the resolver, too.

use testkit::Mode;

use crate::agent::Site;
use crate::stage::{ALPHA, BETA, PRIMARY, Stage, WWW, Way, on_each};

const ALPHAS_NAME: &str = "alpha.example.test";
const BETAS_NAME: &str = "beta.example.test";

/// A record that is an alias of the primary's name.
fn aliased(stage: &Stage) -> String {
    stage.server.set(ALPHAS_NAME, &[&format!("1 A {ALPHA}")]);
    stage.server.set(BETAS_NAME, &[&format!("1 A {BETA}")]);
    stage.server.set(WWW, &[&format!("60 CNAME {ALPHAS_NAME}.")]);
    let config = stage.config();
    let config = config.replace(&format!("address: {ALPHA}"), &format!("address: {ALPHAS_NAME}"));
    let config = config.replace(&format!("address: {BETA}"), &format!("address: {BETAS_NAME}"));
    let resolvers = format!("agent: {{resolvers: [\"{}\"], ", stage.server.dns());
    config.replace("agent: {", &resolvers)
}

fn alias(stage: &Stage) -> Vec<String> {
    stage.server.ask(WWW, "CNAME").values().into_iter().map(ToOwned::to_owned).collect()
}

#[track_caller]
fn wait_for_alias(stage: &Stage, name: &str) {
    testkit::wait_until(&format!("the server answers {name}"), crate::agent::PATIENCE, || {
        (alias(stage) == [name]).then_some(())
    });
}

fn out_and_back(way: Way) {
    let stage = Stage::start(way);
    let site = Site::new(&aliased(&stage));
    let agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    let serial = stage.serial();
    stage.backend.set(PRIMARY, &Mode::Status(503));
    wait_for_alias(&stage, BETAS_NAME);
    let event = stage.wait_until_told("failover.completed");
    assert_eq!(
        (&event["before"]["values"][0], &event["after"]["values"][0]),
        (&ALPHAS_NAME.into(), &BETAS_NAME.into())
    );
    let reason = event["reason"].as_str().expect("why");
    assert!(reason.contains("503") && reason.contains(ALPHA), "{reason}");
    stage.backend.set(PRIMARY, &Mode::Ok);
    wait_for_alias(&stage, ALPHAS_NAME);
    stage.wait_until_told("failback.completed");
    assert_eq!(stage.serial(), serial + 2, "two writes in all");
    stage.assert_told("failover.completed", 1);
    stage.assert_told("failback.completed", 1);
    // Somebody makes addresses of it, which are no target's, whosever they are.
    stage.publish(&[ALPHA]);
    let withheld = stage.wait_until_told("change.withheld");
    assert_eq!(withheld["guard"], "foreign", "{withheld:#}");
    assert_eq!(stage.answer(), [ALPHA]);
    agent.terminate();
}

#[test]
fn one_cname_moves_and_comes_back_and_addresses_made_of_it_are_foreign() {
    on_each(out_and_back);
}

fn name_deleted(way: Way) {
    let stage = Stage::start(way);
    let site = Site::new(&aliased(&stage));
    let _agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    stage.server.set(ALPHAS_NAME, &[]);
    wait_for_alias(&stage, BETAS_NAME);
    let event = stage.wait_until_told("failover.completed");
    let reason = event["reason"].as_str().expect("why");
    assert!(reason.contains("does not exist (NXDOMAIN)"), "{reason}");
}

#[test]
fn a_target_whose_name_was_deleted_is_down() {
    on_each(name_deleted);
}

/// The record is the zone's own name: the provider does not write it, and says why.
fn apex(way: Way) {
    let stage = Stage::start(way);
    let elsewhere = |text: String, name: &str| text.replace(name, &name.replace(".test", ".net"));
    let config = elsewhere(elsewhere(aliased(&stage), ALPHAS_NAME), BETAS_NAME);
    let site = Site::new(&config.replace(&format!("name: {WWW}"), "name: example.test\n    create: true"));
    let serial = stage.serial();
    let done = site.failover(&["once"]).ended(1);
    assert!(done.text().contains("zone's own name, where no CNAME can stand"), "{}", done.text());
    assert_eq!(stage.serial(), serial, "nothing was written");
}

#[test]
fn the_zone_s_own_name_is_no_alias() {
    on_each(apex);
}
