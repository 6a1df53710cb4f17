//! Failovers and failbacks through a network that loses, delays, repeats and cuts what the agent and its DNS server say
//! to each other, updates (TCP), the API (HTTP) and questions (UDP) alike.

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::Mode;

use crate::dice::Dice;
use crate::lane::{Lane, on_lanes};
use crate::round::{AWAY, HOME};
use crate::stage::{PRIMARY, Way};
use crate::wire::{Weather, Wire};

/// Which server, how it is written, and how often the record goes there and back.
const LANES: [(Way, u32); 3] = [(Way::Bind, 6), (Way::PowerDnsHttp, 6), (Way::PowerDnsUpdate, 6)];
/// The longest that a storm lasts after it caught the failover.
const STORM: Duration = Duration::from_secs(5);
/// What is true in a storm: the provider cannot be used for a while, and an attempt fails.
const TRUE_IN_A_STORM: [&str; 6] = [
    "failback.started",
    "failback.completed",
    "failback.failed",
    "failover.failed",
    "provider.unavailable",
    "provider.recovered",
];

#[derive(Default)]
struct Count {
    changes: u32,
    writes: u32,
    faults: BTreeMap<&'static str, u32>,
    messages: usize,
    failures: usize,
}

/// bad day: provider: the network loses, delays, repeats and cuts | every change is made and told once; by UPDATE one write each
#[test]
fn through_a_storm_every_change_is_made_and_told_once() {
    let counts = on_lanes(&LANES, 100, Weather::Calm, |lane, times, dice| {
        lane.stage.settings.failback_after = "500ms";
        let mut count = Count::default();
        (0..times).for_each(|n| there_and_back(lane, n, dice, &mut count));
        let faults = lane.wires().flat_map(Wire::faults);
        faults.for_each(|(kind, n)| *count.faults.entry(kind).or_default() += n);
        println!(
            "{:?}: {} changes, {} writes, faults {:?}",
            lane.way, count.changes, count.writes, count.faults
        );
        count
    });
    let mut faults: BTreeMap<&str, u32> = BTreeMap::new();
    for (kind, n) in counts.iter().flat_map(|count| &count.faults) {
        *faults.entry(kind).or_default() += n;
    }
    println!(
        "{} changes through {} faults of the network {faults:?}: {} writes, {} messages, {} of failed attempts",
        counts.iter().map(|count| count.changes).sum::<u32>(),
        faults.values().sum::<u32>(),
        counts.iter().map(|count| count.writes).sum::<u32>(),
        counts.iter().map(|count| count.messages).sum::<usize>(),
        counts.iter().map(|count| count.failures).sum::<usize>(),
    );
    assert_eq!(faults.len(), 7, "every kind: {faults:?}");
}

fn there_and_back(lane: &mut Lane, n: u32, dice: &mut Dice, count: &mut Count) {
    let storms = [dice.within(STORM), dice.within(STORM)];
    let mut round = lane.round(&format!("storms {n} of {storms:?}"));
    round.also.extend(TRUE_IN_A_STORM);

    round.lane.set(Weather::Storm);
    round.outage();
    std::thread::sleep(storms[0]);
    round.lane.set(Weather::Calm);
    round.settled(AWAY);

    round.lane.set(Weather::Storm);
    round.lane.stage.backend.set(PRIMARY, &Mode::Ok);
    std::thread::sleep(storms[1]);
    round.lane.set(Weather::Calm);
    count.writes += round.ended(&[AWAY, HOME]);
    count.changes += 2;
    count.messages += round.messages().1;
    count.failures += round.told("failover.failed").len() + round.told("failback.failed").len();
    let pairs = ["provider.unavailable", "provider.recovered"].map(|kind| round.told(kind).len());
    assert_eq!(pairs[0], pairs[1], "what was told to be away was told to be back");
}
