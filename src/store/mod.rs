//! What outlives the process: state, history and the outbox, in one `SQLite` file.
//!
//! State, event and outbox row are written in one transaction before the effect, so that a crash at any instruction
//! neither repeats a change nor loses a message. The file is written through a WAL with `synchronous = FULL`: what
//! [`Store::commit`] confirmed is there after a loss of power. A state that cannot be written stops nobody; see
//! [`StoreError`] for what to do then.
//!
//! Deliberately absent: secrets (a channel is kept by its name), the configuration, and every clock.

mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod handle;
mod history;
mod latency;
mod lock;
mod outbox;
mod place;
mod rows;
mod schema;
mod state;
#[cfg(test)]
mod tests;
mod unsaved;

pub use error::StoreError;
#[cfg(test)]
use handle::Bounds;
use handle::IN_MEMORY;
pub use handle::{GivenUp, Store};
pub use history::{EventFilter, PRUNED_AT_ONCE};
pub use latency::{LatencyPoint, Span};
pub use lock::{LockError, LockRole, StateLock};
pub use rows::{
    Attempt, Batch, ChangeRow, ChangeState, Delivery, DeliveryFilter, DeliveryState, Loaded, MarkerRow, Next,
    OverrideRow, RecordRow,
};
