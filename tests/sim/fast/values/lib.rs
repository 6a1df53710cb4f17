//! The values of `providers`, without anybody who does something with them: see `tests/sim/fast/Cargo.toml`.

#![allow(dead_code, unreachable_pub, rustdoc::broken_intra_doc_links, reason = "the adapters use it")]

#[path = "../../../../providers/src/capabilities.rs"]
mod capabilities;
#[path = "../../../../providers/src/fault.rs"]
mod fault;
#[path = "../../../../providers/src/name.rs"]
mod name;
#[path = "../../../../providers/src/record.rs"]
mod record;

pub use capabilities::{Capabilities, Consistency, SwapTier};
pub use fault::Fault;
pub use name::{DomainName, NameError};
pub use record::{
    AnswerSets, Change, NonEmpty, RecordSet, RecordType, Snapshot, Swap, Ttl, Values, Version, Zone,
};
