//! `coordination: zone`, explored whole: every order of what can happen to two or three agents that see opposite things.
//!
//! The agents are real [`Decision`](failover::decision::Decision)s. What is modelled is the world around them: a zone that
//! compares and swaps, readings that grow old on the way, writes that are lost, late or come twice, replies that are lost,
//! processes that are killed (with and without their state) or stand still, and time in coarse steps. The checker (stateright)
//! visits every state that these can lead to, within the bounds of the configuration, and holds the properties in each.
//!
//! ```text
//! cargo test -p failover-sim --test model -- --nocapture      prints how many states that are; docs/verification.md quotes it
//! ```

#![expect(clippy::unwrap_used, reason = "a test that cannot build its world fails")]

#[path = "model/mind.rs"]
mod mind;
#[path = "model/world.rs"]
mod world;

use stateright::{Checker, Model};

use world::{Bounds, Company};

/// Explores everything and returns the number of states. A property that does not hold panics with the shortest way there.
fn explore(name: &str, bounds: Bounds) -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = Company { bounds }.checker().threads(threads).spawn_bfs().join();
    println!(
        "{name}: {} states, {} of them different, depth {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
    checker.unique_state_count()
}

const CALM: Bounds =
    Bounds { agents: 2, steps: 1, losses: 0, late: 0, kills: 0, edits: 0, marker: true, forgets: false };

#[test]
fn two_agents_that_see_opposite_things() {
    explore("two agents", CALM);
    explore("two agents, for longer", Bounds { steps: 2, ..CALM });
}

#[test]
fn replies_and_requests_are_lost_late_and_doubled() {
    explore("two agents, lost and late writes", Bounds { losses: 1, late: 1, ..CALM });
}

#[test]
fn agents_are_killed_with_and_without_their_state() {
    explore("two agents, one killed", Bounds { kills: 1, ..CALM });
    explore("two agents, one killed without its state", Bounds { kills: 1, forgets: true, ..CALM });
}

#[test]
fn a_person_edits_the_record_meanwhile() {
    explore("two agents and a person", Bounds { edits: 1, ..CALM });
}

#[test]
fn three_agents() {
    explore("three agents", Bounds { agents: 3, steps: 0, ..CALM });
}

/// The properties can fail: without a marker two agents break them, and the checker finds the way.
#[test]
fn without_a_marker_the_bound_does_not_hold() {
    let checker = Company { bounds: Bounds { marker: false, ..CALM } }.checker().spawn_bfs().join();
    let way = checker.discovery("changes are hold_down apart").expect("a way to break it");
    println!("without a marker, after {} steps:\n{way}", way.clone().into_actions().len());
}
