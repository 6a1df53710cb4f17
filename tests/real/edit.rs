//! A person edits the record between the agent's reading and its write: nobody's word is lost.

use testkit::Mode;

use crate::agent::{Agent, Site};
use crate::relay::{Relay, Trick};
use crate::stage::{ALPHA, BETA, PRIMARY, Stage, Way, on_each};

struct Scene {
    agent: Agent,
    site: Site,
    relay: Relay,
    stage: Stage,
    /// The serial before anybody wrote.
    serial: u32,
}

/// The primary dies, the agent is about to write, and a person is faster.
fn a_person_is_faster(way: Way, values: &[&str]) -> Scene {
    let mut stage = Stage::start(way);
    let relay = stage.relay();
    let site = stage.site();
    let agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    let serial = stage.serial();
    relay.next(Trick::HoldRequest);
    stage.backend.set(PRIMARY, &Mode::Closed);
    relay.wait_until_held();
    stage.publish(values);
    relay.pass();
    Scene { agent, site, relay, stage, serial }
}

fn to_a_stranger(way: Way) {
    let Scene { agent, site, stage, serial, .. } = a_person_is_faster(way, &["192.0.2.66"]);
    let event = stage.wait_until_told("change.withheld");
    assert_eq!(event["guard"], "foreign");
    assert!(
        event["remedy"].as_str().is_some_and(|text| text.contains(r#"adopt: ["192.0.2.66"]"#)),
        "{event:#}"
    );
    site.wait_for("refused", &[]);
    assert_eq!((stage.answer(), stage.serial()), (vec!["192.0.2.66".to_owned()], serial + 1), "the person's");
    stage.assert_told("failover.completed", 0);
    assert!(stage.told("drift.detected").len() == 1, "{:#?}", stage.gist());
    agent.terminate();
}

/// bad day: record: a stranger's value is put in between | not overwritten; the line to adopt it is told
#[test]
fn a_strangers_value_put_in_between_is_not_overwritten() {
    on_each(to_a_stranger);
}

fn to_the_wish_itself(way: Way) {
    let Scene { agent, site, relay, stage, serial } = a_person_is_faster(way, &[BETA]);
    site.wait_for("in_sync", &["beta"]);
    assert_eq!(
        (stage.answer(), stage.serial()),
        (vec![BETA.to_owned()], serial + 1),
        "the person's write alone"
    );
    stage.assert_told("failover.failed", 0);
    stage.assert_told("change.withheld", 0);
    // And from there the agent goes on as if it had written it itself.
    stage.backend.set(PRIMARY, &Mode::Ok);
    stage.wait_for_answer(ALPHA);
    stage.wait_until_told("failback.completed");
    assert_eq!(stage.serial(), serial + 2);
    // An update whose condition did not hold was sent before; by HTTP the agent looked first and sent none.
    assert_eq!(relay.writes(), if way == Way::PowerDnsHttp { 1 } else { 2 });
    agent.terminate();
}

/// bad day: record: a person makes the same change first | no conflict, no second write
#[test]
fn a_person_who_does_the_same_is_no_conflict() {
    on_each(to_the_wish_itself);
}

/// Both families, and the person adds a third address to one of them.
fn half_of_it(way: Way) {
    let mut stage = Stage::start(way).with_ipv6();
    let relay = stage.relay();
    let site = stage.site();
    let _agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    let serial = stage.serial();
    relay.next(Trick::HoldRequest);
    stage.backend.set(PRIMARY, &Mode::Closed);
    stage.backend.set(crate::stage::PRIMARY_V6, &Mode::Closed);
    relay.wait_until_held();
    stage.publish(&[ALPHA, "::1", "2001:db8::66"]);
    relay.pass();
    stage.wait_until_told("change.withheld");
    let v6 = stage.server.ask(crate::stage::WWW, "AAAA");
    assert_eq!((stage.answer(), v6.values()), (vec![ALPHA.to_owned()], vec!["2001:db8::66", "::1"]));
    assert_eq!(stage.serial(), serial + 1);
}

/// bad day: record: a value is added to one family within our write | both families stay as they are
#[test]
fn a_value_added_to_one_family_keeps_both() {
    on_each(half_of_it);
}
