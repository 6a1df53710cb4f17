//! What of `src/notify` is pure.

#[path = "../../../../src/notify/attempt.rs"]
mod attempt;
#[path = "../../../../src/notify/backoff.rs"]
mod backoff;
#[path = "../../../../src/notify/reply.rs"]
mod reply;
#[path = "../../../../src/notify/settings.rs"]
mod settings;

pub use attempt::{Case, Ended, Memory};
pub use reply::{Reply, SendResult, Service, judge};
pub use settings::{Channel, ChannelKind, NotifySettings, Route};
