//! Deterministic simulation of whole agents: the real decision, agenda, books, restore, back-off and judgement of replies
//! over virtual time, simulated hosts, providers of every tier, networks, chats and disks, and seeded schedules of faults.
//! After every step the invariants of `sim/court.rs` are held against what really happened.
//!
//! ```text
//! just sim 4711                                          one schedule, told as a story
//! SIM_SCHEDULES=100000 cargo test -p failover-sim --test sim     what the pipeline runs
//! SIM_FROM=1000000 SIM_SCHEDULES=20000 ...                other seeds
//! tests/sim/bites.sh                                     breaks the decision on purpose, and sees who notices
//! ```
//!
//! A seed that fails prints what was broken, its faults, as few of them as still break it, and the last of the story.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails")]

#[path = "sim/agent.rs"]
mod agent;
#[path = "sim/bound.rs"]
mod bound;
#[path = "sim/cast.rs"]
mod cast;
#[path = "sim/changes.rs"]
mod changes;
#[path = "sim/conclude.rs"]
mod conclude;
#[path = "sim/court.rs"]
mod court;
#[path = "sim/disk.rs"]
mod disk;
#[path = "sim/faults.rs"]
mod faults;
#[path = "sim/heard.rs"]
mod heard;
#[path = "sim/lanes.rs"]
mod lanes;
#[path = "sim/marks.rs"]
mod marks;
#[path = "sim/orders.rs"]
mod orders;
#[path = "sim/plan.rs"]
mod plan;
#[path = "sim/probes.rs"]
mod probes;
#[path = "sim/provider.rs"]
mod provider;
#[path = "sim/rng.rs"]
mod rng;
#[path = "sim/sabotage.rs"]
mod sabotage;
#[path = "sim/season.rs"]
mod season;
#[path = "sim/told.rs"]
mod told;
#[path = "sim/turn.rs"]
mod turn;
#[path = "sim/wire.rs"]
mod wire;
#[path = "sim/world.rs"]
mod world;

use cast::Setup;
use sabotage::Sabotage;
use season::{Season, play, tell};

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn no_schedule_of_faults_breaks_an_invariant() {
    let (from, count) = (asked("SIM_FROM", 0), asked("SIM_SCHEDULES", 300));
    let season = Season::play(from, count, Sabotage::None);
    println!("{season}");
    if let Some((seed, violation)) = season.first_violation() {
        panic!("{}", tell(seed, &violation));
    }
}

#[test]
fn a_seed_is_one_story_for_ever() {
    let seed = asked("SIM_SEED", 7);
    let story = play(Setup::draw(seed), None, Sabotage::None, true).story;
    let again = play(Setup::draw(seed), None, Sabotage::None, true).story;
    assert_eq!(story, again, "the same seed is another story");
    if std::env::var("SIM_SEED").is_ok() {
        println!("{}", story.join("\n"));
    }
}

/// A broken part of the harness, the invariant that it breaks, and how many schedules may pass before that is seen.
const SABOTEURS: [(Sabotage, &str, u64); 20] = [
    (Sabotage::EmptyingProvider, "never_empty", 50),
    (Sabotage::StrayProvider, "never_another_key", 50),
    (Sabotage::LyingProbe, "never_to_down", 400),
    (Sabotage::BlindProvider, "chain", 1500),
    (Sabotage::BlindProvider, "never_foreign", 6000),
    (Sabotage::ForgetfulStore, "bound", 1500),
    (Sabotage::Repeater, "quiet", 100),
    (Sabotage::ActsFirst, "messages", 1500),
    (Sabotage::DroppingOutbox, "messages", 400),
    (Sabotage::Sleeper, "converged", 400),
    (Sabotage::NoLimit, "velocity", 1500),
    (Sabotage::DeafToOrders, "orders", 1500),
    (Sabotage::ServesAll, "all_down", 1500),
    // Of several agents.
    (Sabotage::TornProvider, "chain", 400),
    (Sabotage::MarkerBlind, "marker", 1500),
    (Sabotage::SecretClocks, "bound", 1500),
    (Sabotage::LyingPeer, "never_to_down", 1500),
    (Sabotage::StuckPeer, "converged", 400),
    (Sabotage::RepeatingPeer, "quiet", 1500),
    (Sabotage::RepeatingPeer, "bound", 1500),
];

#[test]
fn every_saboteur_is_caught() {
    let mut missed = Vec::new();
    for (sabotage, invariant, within) in SABOTEURS {
        let caught = (0..within).find(|seed| {
            let ended = play(Setup::draw(*seed), None, sabotage, false);
            ended.violation.is_some_and(|violation| violation.invariant == invariant)
        });
        println!("{sabotage:?} breaks {invariant}: seen at seed {caught:?}");
        if caught.is_none() {
            missed.push(format!("{sabotage:?} was not seen to break {invariant} in {within} schedules"));
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
