//! PURE: from what was found to what is said of it.

mod machine;
mod record;
mod servers;
mod targets;
mod zone;

pub(super) use machine::{Door, Entry, StateFacts, descriptors, icmp, socket, state};
pub(super) use record::{RecordFacts, record};
pub(super) use servers::{ServerFacts, serials_differ, servers, values_differ};
pub(super) use targets::{Looks, channels, standby, witnesses};
pub(super) use zone::{clock, permission, provider};
