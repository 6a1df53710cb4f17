//! The DNS server itself is away when it is needed.

use testkit::Mode;

use crate::stage::{BETA, PRIMARY, Stage, Way, on_each};

fn stopped(way: Way) {
    let mut stage = Stage::start(way);
    let site = stage.site();
    let agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    let serial = stage.serial();
    stage.server.stop();
    stage.backend.set(PRIMARY, &Mode::Closed);
    stage.wait_until_told("target.down");
    let event = stage.wait_until_told("provider.unavailable");
    assert!(event["summary"].as_str().is_some_and(|text| text.contains("cannot reach")), "{event:#}");
    // A run from cron meets the agent's lock; a plan sees what the agent sees.
    site.plan(&["--deadline", "1s"]).ended(1);
    stage.server.start_again();
    stage.wait_for_answer(BETA);
    stage.wait_until_told("provider.recovered");
    stage.wait_until_told("failover.completed");
    assert_eq!(stage.serial(), serial + 1);
    stage.assert_told("provider.unavailable", 1);
    stage.assert_told("failover.completed", 1);
    agent.terminate();
}

/// bad day: provider: a real server is stopped in an outage | the change is made when it is back; told once each
#[test]
fn a_server_that_is_down_in_an_outage_gets_the_change_when_it_is_back() {
    on_each(stopped);
}

/// It takes connections and never answers; the agent was started meanwhile.
fn frozen(way: Way) {
    let stage = Stage::start(way);
    let (site, serial) = (stage.site(), stage.serial());
    stage.server.freeze();
    let thaw = Thaw(&stage);
    stage.backend.set(PRIMARY, &Mode::Closed);
    let agent = site.run();
    stage.wait_until_told("target.down");
    stage.wait_until_told("provider.unavailable");
    drop(thaw);
    stage.wait_for_answer(BETA);
    stage.wait_until_told("failover.completed");
    assert_eq!(stage.serial(), serial + 1);
    stage.assert_told("failover.completed", 1);
    agent.terminate();
}

/// A frozen server must not stay so, or its own end would take long.
struct Thaw<'a>(&'a Stage);

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        self.0.server.thaw();
    }
}

/// bad day: provider: a real server hangs at the start | the change is made when it answers
#[test]
fn a_server_that_hangs_at_the_start_gets_the_change_when_it_answers() {
    on_each(frozen);
}
