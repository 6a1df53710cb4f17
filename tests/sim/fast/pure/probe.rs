//! What of `src/probe` is pure, as far as the simulation uses it.

#[path = "../../../../src/probe/cadence.rs"]
mod cadence;

pub use cadence::{Cadence, Pace, Rhythm};
