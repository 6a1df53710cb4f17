//! Telling people and programs: channels, messages, and the outbox worker that never loses one.
//!
//! An event's way: the agent commits it to the store together with one delivery per channel; a lane per
//! channel takes each delivery, a [`Sender`] renders and sends it, `reply` judges the service's answer by the service's
//! own idea of success, `backoff` says when to try again, and the store keeps every attempt. See `docs/notifications.md`.
//!
//! Invariants: a channel never delays another one, and none delays a change of DNS; no text of this room shows more of
//! a URL than its host. Deliberately absent: redirects, proxies from the environment, and secrets in the store.

mod attempt;
mod backoff;
mod channel;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod http;
mod lane;
mod log;
mod message;
mod outbox;
mod render;
mod reply;
mod settings;
mod sign;
#[cfg(test)]
mod tests;
mod unsaved;

pub use attempt::{Case, Ended, Memory};
pub use channel::{ChannelError, Sender, senders};
pub use message::{Fact, Message, clock_time};
pub use outbox::{Drained, Outbox};
pub use reply::{Reply, SendResult, Service, judge};
pub use settings::{Channel, ChannelKind, NotifySettings, Route};
pub use sign::{KeyError, SigningKey};
pub use unsaved::HandOver;
