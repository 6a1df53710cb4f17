//! Properties of the decision, held against random days. proptest prints what it found, and keeps it as a seed in
//! `tests/properties.proptest-regressions`; commit that file when it appears.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage fails")]

#[path = "properties/days.rs"]
mod days;
#[path = "properties/judging.rs"]
mod judging;
#[path = "properties/tracking.rs"]
mod tracking;
#[path = "properties/world.rs"]
mod world;
