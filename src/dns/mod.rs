//! One DNS question to one server: what `live` and the `dns` check share.
//!
//! | room | what is there |
//! |---|---|
//! | `question.rs` | PURE: a question as octets, and whether the octets that come back answer it |
//! | `value.rs` | PURE: record data as text that can be compared |
//! | `wire.rs` | the two ways to a server, UDP and TCP |
//!
//! Own sockets and not a resolver's: a connected socket hears that server alone, and tells a refused
//! connection from silence at once. What an answer is worth, how long is waited and what comes after UDP is the
//! caller's affair.

#[cfg(test)]
pub(crate) mod fake;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod question;
mod value;
mod wire;

pub use question::{Question, Reply, mnemonic, response_code};
pub use value::{WRITABLE, text_from, text_of};
pub use wire::{by_tcp, by_udp, connected};
