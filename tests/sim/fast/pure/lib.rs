//! The pure files of the program, and no others: see `tests/sim/fast/Cargo.toml`.

#![allow(
    dead_code,
    unexpected_cfgs,
    unreachable_pub,
    rustdoc::broken_intra_doc_links,
    reason = "the rest of the program uses it"
)]

pub mod agent;
#[path = "../../../../src/decision/mod.rs"]
pub mod decision;
pub mod notify;
pub mod probe;
pub mod store;
