//! The program itself, as a process, on bad days: stopped, killed, without its disk, its provider, its chat or its
//! uplink. Each file is a topic; `stage.rs` has the small company that they all play, `agent.rs` the running program.
//!
//! Needs root for the tests with network and mount namespaces, and fails loudly without it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage fails")]

mod agent;
mod chat;
mod crash;
mod damage;
mod doctor;
mod exhausted;
mod flapping;
mod history;
mod least;
mod lock;
mod log;
mod manual;
mod metrics;
mod orders;
mod private;
mod probe;
mod provider;
mod reload;
mod secrets;
mod stage;
mod state;
mod status;
mod stop;
mod systemd;
mod targets;
mod tripwire;
mod uplink;
mod usage;
mod verified;
