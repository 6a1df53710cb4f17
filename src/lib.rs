//! `failover` watches a primary host and its stand-bys and keeps DNS pointing at one that works.
//!
//! This is the map. `ARCHITECTURE.md` says more, `docs/decisions/` says why.
//!
//! | room | what is there |
//! |---|---|
//! | [`decision`] | PURE: all judgement, from values to values |
//! | [`agent`] | the one event loop: hands time and results to the decision, does what it asks |
//! | [`probe`] | one file per kind of check, and the scheduler |
//! | [`dns`] | one DNS question to one server |
//! | [`live`] | the record as the authoritative servers answer it |
//! | [`resolve`] | asking resolvers where a host name leads |
//! | [`store`] | what outlives the process: state, history, outbox, in one `SQLite` file |
//! | [`notify`] | messages, channels, and the worker that takes each delivery to its end |
//! | [`config`] | YAML -> checked [`Config`](config::Config), every fault at once with its place |
//! | [`api`] | the running agent's door, a local socket |
//! | [`lab`] | the rehearsal: the real program on a stage of our own |
//! | [`doctor`] | is everything in place for the day it matters? Looks and changes nothing |
//! | [`cli`] | one file per command |
//! | [`clock`] | the one place where a clock is read |
//! | [`providers`] | a crate of its own: reading and swapping records |
//!
//! # The way of one result
//!
//! ```text
//! probe -> Observation -> Sight: may it count? -> Tracker, Targets: verdicts -> select: a Wish or a Hold
//!   -> read the provider -> judge: in sync, refused by a guard, or Work
//!   -> Ledger: state, change and event in one transaction -> swap -> read back
//!   -> every authoritative server -> events -> outbox -> channel
//! ```
//!
//! The wish is compared with what is there; nobody is told "switch". Every step that can fail leads back to a reading.
//!
//! # Deliberately absent
//!
//! - A clock, I/O, tasks, chance and logs in [`decision`]; a clock anywhere but in [`clock`].
//! - A verb to delete, and an empty answer: a provider swaps one whole answer for another.
//! - A write without a fresh reading, and any write in a plan: it is handed readers, which have none.
//! - A fallback from a failed transaction to single calls for one name.
//! - Following redirects or keeping connections in probes, and resolving any name but a target's own.
//! - Secrets in values that print, in errors, in the store.

pub mod agent;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decision;
pub mod dns;
pub mod doctor;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod lab;
pub mod live;
pub mod notify;
pub mod probe;
pub mod resolve;
pub mod store;
