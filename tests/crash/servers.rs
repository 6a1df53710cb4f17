//! The DNS server is frozen, stopped or killed at random moments of a failover, and comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::dice::Dice;
use crate::lane::{Lane, on_lanes};
use crate::moment::Moment;
use crate::round::Phase;
use crate::stage::Way;
use crate::wire::Weather;

const LANES: [(Way, u32); 2] = [(Way::Bind, 12), (Way::PowerDnsHttp, 12)];
/// The longest that it is away.
const AWAY: Duration = Duration::from_millis(2500);

/// What becomes of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fall {
    Frozen,
    Stopped,
    Killed,
}

#[derive(Default)]
struct Count {
    falls: u32,
    agents_killed: u32,
    phases: BTreeMap<Phase, u32>,
    writes: u32,
    told_away: usize,
    told_back: usize,
}

/// bad day: provider: a real server is frozen, stopped or killed in a failover | one write when it is back; told if it lasts
#[test]
fn a_server_that_falls_in_a_failover_gets_one_write_when_it_is_back() {
    let counts = on_lanes(&LANES, 200, Weather::Calm, |lane, times, dice| {
        let mut count = Count::default();
        (0..times).for_each(|n| one_fall(lane, n, dice, &mut count));
        count
    });
    let mut phases: BTreeMap<Phase, u32> = BTreeMap::new();
    for (phase, n) in counts.iter().flat_map(|count| &count.phases) {
        *phases.entry(*phase).or_default() += n;
    }
    let (falls, writes): (u32, u32) =
        counts.iter().fold((0, 0), |sum, count| (sum.0 + count.falls, sum.1 + count.writes));
    println!(
        "the server fell {falls} times {phases:?}, the agent with it {} times: {writes} writes; told away {}, told back {}",
        counts.iter().map(|count| count.agents_killed).sum::<u32>(),
        counts.iter().map(|count| count.told_away).sum::<usize>(),
        counts.iter().map(|count| count.told_back).sum::<usize>(),
    );
    assert_eq!(falls, writes, "one write a failover");
}

fn one_fall(lane: &mut Lane, n: u32, dice: &mut Dice, count: &mut Count) {
    let fall = [Fall::Frozen, Fall::Stopped, Fall::Killed][(n % 3) as usize];
    let (moment, away) = (Moment::any(dice, lane.whole), dice.within(AWAY));
    let agent_too = n % 4 == 3;
    let mut round =
        lane.round(&format!("{fall:?} {n} at {moment:?} for {away:?}, the agent killed: {agent_too}"));
    round.also.extend(["provider.unavailable", "provider.recovered", "failover.failed"]);
    round.outage();
    moment.wait(&round);
    *count.phases.entry(round.phase()).or_default() += 1;
    match fall {
        Fall::Frozen => round.lane.stage.server.freeze(),
        Fall::Stopped => round.lane.stage.server.stop(),
        Fall::Killed => round.lane.stage.server.kill(),
    }
    std::thread::sleep(away / 2);
    if agent_too {
        round.kill();
        round.start();
        count.agents_killed += 1;
    }
    std::thread::sleep(away / 2);
    match fall {
        Fall::Frozen => round.lane.stage.server.thaw(),
        Fall::Stopped | Fall::Killed => round.lane.stage.server.start_again(),
    }
    count.writes += round.in_the_end();
    count.falls += 1;
    let [told_away, told_back] =
        ["provider.unavailable", "provider.recovered"].map(|kind| round.told(kind).len());
    // An agent that was killed meanwhile does not know what it had told.
    assert!(told_away == told_back || agent_too, "told away {told_away}, told back {told_back}");
    count.told_away += told_away;
    count.told_back += told_back;
}
