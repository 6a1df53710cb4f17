//! What outlives the process: state, history and the outbox, in one SQLite file.

mod rows;

pub use rows::{Attempt, Batch, ChangeRow, ChangeState, Delivery, DeliveryState, Loaded, RecordRow};
