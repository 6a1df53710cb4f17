//! The whole agent on paused time: the real event loop, ledger, store, outbox, zones and servers; around them a world
//! that does what the story says. See `stage.rs` for how a story is told.

#![expect(clippy::unwrap_used, reason = "a story that cannot set its stage fails")]

mod chat;
mod clock;
mod hosts;
mod nameservers;
mod stage;

mod bad_clock;
mod bad_provider;
mod batches;
mod certificates;
mod chats;
mod crowd;
mod edits;
mod holding;
mod host_names;
mod one_shot;
mod outage;
mod propagation;
mod reload;
mod restart;
mod state;
mod steady;
mod stopping;
mod velocity;
