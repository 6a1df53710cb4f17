//! A write that the network holds up until nobody expects it any more.

use testkit::{Mode, wait_until};

use crate::agent::PATIENCE;
use crate::dice::{Dice, seed};
use crate::lane::Lane;
use crate::relay::Trick;
use crate::round::{AWAY, HOME};
use crate::stage::{ALPHA, PRIMARY, Way};
use crate::wire::Weather;

/// bad day: provider: the network delivers a given-up UPDATE after the failback | taken; told as drift, put right
/// Its precondition is true again, and its signature is still young enough (RFC 8945 section 5.2.3): no server can know
/// better, and the agent must.
#[test]
fn an_update_that_arrives_after_the_failback_is_put_right() {
    let mut lane = Lane::start(Way::Bind, &mut Dice::new(seed(), 500), Weather::Calm);
    lane.stage.settings.failback_after = "500ms";
    let relay = lane.stage.relay();
    let mut round = lane.round("an update held up");
    let serial = round.lane.stage.serial();
    relay.next(Trick::HoldRequest);
    round.outage();
    relay.wait_until_held();
    // The agent gives it up, looks, and writes anew; later the primary is back.
    round.settled(AWAY);
    round.lane.stage.backend.set(PRIMARY, &Mode::Ok);
    round.settled(HOME);
    assert_eq!(round.lane.stage.serial(), serial + 2, "there and back");

    relay.pass();
    wait_until("the late update is executed", PATIENCE, || {
        (round.lane.stage.serial() > serial + 2).then_some(())
    });
    round.wait_for("told as drift", || (!round.told("drift.detected").is_empty()).then_some(()));
    round.lane.stage.wait_for_answer(ALPHA);
    round.settled(HOME);
    let writes = round.lane.stage.serial() - serial;
    assert_eq!(writes, 4, "there, back, there by the late one, and put right");
    println!("a late update after the failback: {writes} writes, {:?}", round.kinds());
    for kind in ["failover.completed", "failback.completed"] {
        assert_eq!(round.told(kind).len(), 1, "{kind}: {:?}", round.kinds());
    }
    round.agent.take().expect("it runs").terminate();
}
