//! Telling people and programs: channels, messages, and the outbox worker that never loses one.

mod settings;

pub use settings::{Channel, ChannelKind, NotifySettings, Route};
