//! The program itself, broken on purpose against real servers: killed at random moments of a failover, its provider
//! behind a network that loses, delays, repeats and cuts, its DNS server stopped, its disk, its descriptors and its
//! state file taken away. What was written is counted at the server, what was told in the chat.
//!
//! `FAILOVER_SEED=n` plays one run again: each test prints the seed it took.
//!
//! Needs root for the rounds with a disk of their own (a mount namespace), and fails loudly without it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage fails")]

#[expect(dead_code, reason = "shared with `tests/real`, which uses the rest")]
#[path = "../real/agent.rs"]
mod agent;
mod corrupted;
mod dice;
mod disk;
mod kept;
mod kills;
mod lane;
mod late;
mod moment;
mod network;
#[expect(dead_code, reason = "shared with `tests/real`, which uses the rest")]
#[path = "../real/relay.rs"]
mod relay;
mod round;
mod servers;
#[expect(dead_code, reason = "shared with `tests/real`, which uses the rest")]
#[path = "../real/stage.rs"]
mod stage;
mod troubles;
mod wire;
