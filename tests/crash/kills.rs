//! kill -9 at 200 random moments of a failover. Afterwards: the record at the stand-by, one change of the zone's
//! serial, one message.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::dice::Dice;
use crate::lane::{Lane, on_lanes};
use crate::moment::{After, Moment};
use crate::round::{Phase, Round};
use crate::stage::Way;
use crate::troubles::forget;
use crate::wire::Weather;

/// Which server, how it is written, and how many failovers are disturbed there.
const LANES: [(Way, u64); 4] =
    [(Way::Bind, 50), (Way::Bind, 50), (Way::PowerDnsHttp, 60), (Way::PowerDnsUpdate, 40)];

/// How late a request and its answer may be, each: so each step takes the time that it takes over the Internet, and can
/// be hit.
const LATENCY: Duration = Duration::from_millis(12);

/// What was counted.
#[derive(Debug, Default)]
struct Count {
    failovers: u32,
    kills: u32,
    phases: BTreeMap<Phase, u32>,
    disks_lost: u32,
    writes: u32,
    messages: usize,
    events: usize,
}

impl Count {
    fn add(&mut self, other: &Count) {
        self.failovers += other.failovers;
        self.kills += other.kills;
        for (phase, n) in &other.phases {
            *self.phases.entry(*phase).or_default() += n;
        }
        self.disks_lost += other.disks_lost;
        self.writes += other.writes;
        self.messages += other.messages;
        self.events += other.events;
    }
}

/// bad day: agent: killed at any moment of a failover, again and again, or with its disk | one write, one message
#[test]
fn killed_at_200_moments_of_a_failover_it_writes_once_and_tells_once() {
    let counts = on_lanes(&LANES, 0, Weather::Far(LATENCY), |lane, times, dice| {
        let mut count = Count::default();
        (0..times).for_each(|n| disturbed(lane, n, dice, &mut count));
        println!("{:?}: {count:?}", lane.way);
        count
    });
    let mut all = Count::default();
    for count in &counts {
        all.add(count);
    }
    let of = |phase: Phase| all.phases.get(&phase).copied().unwrap_or_default();
    println!(
        "killed {} times in {} failovers (before the decision {}, kept and not written {}, written and not confirmed {}, \
         confirmed and not told {}, told {}), {} disks lost: {} writes, {} messages of {} events",
        all.kills,
        all.failovers,
        of(Phase::Undecided),
        of(Phase::Kept),
        of(Phase::Written),
        of(Phase::Confirmed),
        of(Phase::Told),
        all.disks_lost,
        all.writes,
        all.messages,
        all.events
    );
    assert_eq!(all.writes, all.failovers, "one write a failover");
    for phase in [Phase::Undecided, Phase::Kept, Phase::Written, Phase::Confirmed, Phase::Told] {
        assert!(of(phase) > 0, "no blow fell at {phase:?}: move the moments ({:?})", all.phases);
    }
}

fn disturbed(lane: &mut Lane, n: u64, dice: &mut Dice, count: &mut Count) {
    let moment = Moment::any(dice, lane.whole);
    // Every fifth failover sees more kills soon after, every seventh a start without a disk.
    let again = if n % 5 == 4 { 1 + dice.below(4) } else { 0 };
    let loses_disk = n % 7 == 6;
    let mut round =
        lane.round(&format!("failover {n}, killed {moment:?}, {again} times more, disk lost: {loses_disk}"));
    round.outage();
    moment.wait(&round);
    strike(&mut round, count);
    for _ in 0..again {
        round.start();
        let soon = Moment { after: After::Outage, delay: dice.within(Duration::from_millis(600)) };
        soon.wait(&round);
        strike(&mut round, count);
    }
    if loses_disk {
        forget(&round);
        round.forgot = true;
        count.disks_lost += 1;
    }
    round.start();
    count.failovers += 1;
    count.writes += round.in_the_end();
    let (messages, events) = round.messages();
    count.messages += messages;
    count.events += events;
}

fn strike(round: &mut Round, count: &mut Count) {
    round.kill();
    round.told_what_was_confirmed();
    count.kills += 1;
    *count.phases.entry(round.phase()).or_default() += 1;
}
