//! PURE. All judgement: plain functions from values to values.
//!
//! Invariant: nothing here reads a clock, opens a socket, logs, counts a metric or knows tokio.
//! Time is an argument, the next wake-up is a return value, effects are data. `tests/tidy.rs` holds this.

mod event;
mod health;
mod ids;
mod observation;
mod policy;
mod time;

pub use event::{Event, EventKind, Recorded, ServerSeen, Severity, Side};
pub use health::{SavedTracker, Tracker, Verdict};
pub use ids::{ChannelId, CheckId, ProviderId, TargetId, WitnessId};
pub use observation::{Endpoint, Observation, Outcome, Sighting, Timings};
pub use policy::{CheckPolicy, FailbackMode, Policy, RecordPolicy, Serve, TargetPolicy, Thresholds};
pub use time::{Moment, Now};
