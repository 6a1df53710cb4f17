//! Channels of a rehearsal: they note what would be sent, and send nothing.

use async_trait::async_trait;
use jiff::Timestamp;

use super::cast::Cast;
use super::facts::{Book, Happened};
use super::timeline::{Entry, Kind};
use crate::decision::{ChannelId, Event, Severity};
use crate::notify::{Message, NotifySettings, SendResult, Sender};
use crate::store::Delivery;

/// Stands in for every channel; for the rehearsal's own it also tells the timeline.
pub(super) struct Notebook {
    pub(super) book: Book,
    /// The channels and routes as configured, and the rehearsal's own.
    pub(super) settings: NotifySettings,
}

impl Notebook {
    fn heard_by(&self, delivery: &Delivery) -> Vec<ChannelId> {
        let event = &delivery.event.event;
        let mut channels = self.settings.channels_for(event.kind, event.severity);
        channels.retain(|channel| *channel != Cast::own_channel());
        channels
    }

    fn tell(&self, delivery: &Delivery) {
        let event = &delivery.event.event;
        let at = self.book.time_of(event.time);
        let message = Message::of(&delivery.event, event.time);
        let entry = Entry {
            event: Some(event.kind),
            record: event.record.clone(),
            targets: event.target.clone().into_iter().collect(),
            heard_by: self.heard_by(delivery),
            minor: event.severity == Severity::Debug,
            message: Some(message.text()),
            ..Entry::new(at, Kind::Event, message.title)
        };
        self.book.tell(entry);
        self.tell_phases(event);
        let (kind, record, target) = (event.kind, event.record.clone(), event.target.clone());
        self.book.facts().events.push(Happened { at, kind, record, target });
    }

    /// Where the time of a failover went, once all of it is known.
    fn tell_phases(&self, event: &Event) {
        let (Some(record), Some(phases)) = (&event.record, event.phases) else { return };
        if phases.all_served_ms.is_some() {
            let text = format!("{record}, from the first failed probe: {phases}");
            let mut entry = Entry::new(self.book.time_of(event.time), Kind::Phases, text);
            (entry.record, entry.phases) = (Some(record.clone()), Some(phases));
            self.book.tell(entry);
        }
    }
}

#[async_trait]
impl Sender for Notebook {
    async fn send(&self, delivery: &Delivery, _now: Timestamp) -> SendResult {
        let mut facts = self.book.facts();
        let by_channel = facts.told.entry(delivery.channel.clone()).or_default();
        *by_channel.entry(delivery.event.id.clone()).or_default() += 1;
        drop(facts);
        if delivery.channel == Cast::own_channel() {
            self.tell(delivery);
        }
        SendResult::Delivered { status: None, said: "noted; a rehearsal sends nothing".into() }
    }
}
