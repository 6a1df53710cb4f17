//! What of `src/store` is pure.

#[path = "../../../../src/store/rows.rs"]
mod rows;

pub use rows::{
    Attempt, Batch, ChangeRow, ChangeState, Delivery, DeliveryFilter, DeliveryState, Loaded, Next, RecordRow,
};
