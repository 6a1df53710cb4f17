//! Properties of the decision, held against random days. What fails is printed, made as small as possible, and its seed
//! is kept in `tests/properties/*.regressions`: commit that file. `PROPTEST_CASES=20000` looks longer.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage fails")]

#[path = "properties/days.rs"]
mod days;
#[path = "properties/judging.rs"]
mod judging;
#[path = "properties/tracking.rs"]
mod tracking;
#[path = "properties/world.rs"]
mod world;
