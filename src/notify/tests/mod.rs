//! Stories of messages on their way.

mod secrets;
mod server;
mod services;
mod worker;

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::message::tests::{the_failover, time};
use super::*;
use crate::clock::Clock;
use crate::decision::{ChannelId, Moment, Now, Recorded};
use crate::store::{Batch, Store};

/// A clock that stands still until it is moved.
pub(super) struct ScriptedClock(Mutex<Now>);

impl ScriptedClock {
    pub(super) fn at(wall: Timestamp) -> Self {
        ScriptedClock(Mutex::new(Now { moment: Moment::ZERO, wall }))
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = Now { moment: now.moment + by, wall: now.wall + by };
    }
}

impl Clock for ScriptedClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap()
    }
}

/// The failover under another id.
pub(super) fn event(id: &str) -> Recorded {
    Recorded { id: id.into(), ..the_failover() }
}

pub(super) async fn commit(store: &Store, ids: &[&str], channels: &[&str]) {
    let channels: Vec<ChannelId> = channels.iter().map(|c| ChannelId::from(*c)).collect();
    let events = ids.iter().map(|id| (event(id), channels.clone())).collect();
    store.commit(Batch { at: Some(time("12:04:00")), events, ..Batch::default() }).await.unwrap();
}

/// Everything to every channel.
pub(super) fn everything_to(channels: &[&str]) -> NotifySettings {
    let route = |channel: &&str| Route {
        channel: ChannelId::from(*channel),
        events: vec!["*".into()],
        min_severity: crate::decision::Severity::Info,
    };
    NotifySettings { channels: [].into(), routes: channels.iter().map(route).collect() }
}
