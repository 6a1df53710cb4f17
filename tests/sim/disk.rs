//! The disk: rows, and the transactions that write them. Mirrors `src/store/state.rs` (commit, load) and
//! `src/store/outbox.rs` (deliveries) without SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use failover::decision::{ChannelId, Endpoint, OverrideKey, Recorded, SavedTracker};
use failover::notify::Ended;
use failover::store::{
    Batch, ChangeRow, ChangeState, Delivery, DeliveryState, Loaded, Next, OverrideRow, RecordRow,
};
use jiff::{SignedDuration, Timestamp};
use providers::DomainName;

/// See `FAR_MINUTES` in `src/store/outbox.rs`.
const FAR: SignedDuration = SignedDuration::from_mins(120);

/// How the disk behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Well,
    /// Nothing can be written.
    Full,
    /// What is written is there, and the answer comes too late to be believed.
    Late,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) mood: Mood,
    saved: Option<Timestamp>,
    trackers: BTreeMap<Endpoint, SavedTracker>,
    records: BTreeMap<DomainName, RecordRow>,
    changes: BTreeMap<String, Arc<ChangeRow>>,
    overrides: BTreeMap<OverrideKey, OverrideRow>,
    events: BTreeSet<String>,
    deliveries: BTreeMap<i64, Delivery>,
    next_id: i64,
}

impl Disk {
    /// An empty one in its place.
    pub(crate) fn replaced(&self) -> Disk {
        Disk { mood: self.mood, ..Disk::default() }
    }

    /// Is an event of this id kept already? It is left alone then.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.events.contains(id)
    }

    /// All of it, or nothing.
    pub(crate) fn commit(&mut self, batch: Batch) -> Result<(), String> {
        if self.mood == Mood::Full {
            return Err("the disk is full".into());
        }
        self.trackers.extend(batch.trackers);
        self.records.extend(batch.records.into_iter().map(|row| (row.name.clone(), row)));
        self.changes.extend(batch.changes.into_iter().map(|row| (row.id.clone(), row)));
        for (key, row) in batch.overrides {
            match row {
                Some(row) => self.overrides.insert(key, row),
                None => self.overrides.remove(&key),
            };
        }
        for (recorded, channels) in batch.events {
            self.put_event(&recorded, &channels, batch.at);
        }
        for made in &batch.deliveries {
            self.put_delivery(made);
        }
        self.saved = batch.at.or(self.saved);
        if self.mood == Mood::Late { Err("the disk did not answer within 3 s".into()) } else { Ok(()) }
    }

    fn put_event(&mut self, recorded: &Recorded, channels: &[ChannelId], at: Option<Timestamp>) {
        if !self.events.insert(recorded.id.clone()) {
            return;
        }
        let created = at.unwrap_or(recorded.event.time);
        for channel in channels.iter().collect::<BTreeSet<_>>() {
            self.next_id += 1;
            let delivery = Delivery {
                id: self.next_id,
                channel: channel.clone(),
                event: recorded.clone(),
                state: DeliveryState::Pending,
                created,
                next_attempt: Some(created),
                first_attempt: None,
                round: 0,
                attempts: 0,
                last_error: None,
            };
            self.deliveries.insert(self.next_id, delivery);
        }
    }

    /// `put_delivery` in `src/store/unsaved.rs`: taken over as it stands; one whose end is known is left alone.
    fn put_delivery(&mut self, made: &Delivery) {
        self.events.insert(made.event.id.clone());
        let id = match self.delivery_of(made) {
            Some(id) if self.deliveries[&id].state != DeliveryState::Pending => return,
            Some(id) => id,
            None => {
                self.next_id += 1;
                self.next_id
            }
        };
        self.deliveries.insert(id, Delivery { id, ..made.clone() });
    }

    /// The number here of the same message to the same channel.
    pub(crate) fn delivery_of(&self, other: &Delivery) -> Option<i64> {
        let same = |d: &&Delivery| d.event.id == other.event.id && d.channel == other.channel;
        self.deliveries.values().find(same).map(|delivery| delivery.id)
    }

    pub(crate) fn all_deliveries(&self) -> Vec<Delivery> {
        self.deliveries.values().cloned().collect()
    }

    pub(crate) fn load(&self, age_limit: Option<Duration>, now: Timestamp) -> Loaded {
        let limit = age_limit.and_then(|limit| SignedDuration::try_from(limit).ok());
        let fresh = |tracker: &SavedTracker| match (limit, tracker.last) {
            (Some(limit), Some(last)) => now.duration_since(last) <= limit,
            (Some(_), None) => false,
            (None, _) => true,
        };
        let begun = self.changes.values().filter(|row| row.state == ChangeState::Started);
        let mut open: Vec<ChangeRow> = begun.map(|row| ChangeRow::clone(row)).collect();
        open.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        Loaded {
            saved: self.saved,
            overrides: self.overrides.values().cloned().collect(),
            trackers: self
                .trackers
                .iter()
                .filter(|(_, t)| fresh(t))
                .map(|(e, t)| (e.clone(), t.clone()))
                .collect(),
            records: self.records.clone(),
            open_changes: open,
            certificates: BTreeSet::new(),
        }
    }

    /// Pending deliveries of a channel whose time has come, oldest first.
    pub(crate) fn due<'a>(
        &'a self,
        channel: &'a ChannelId,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Delivery> {
        self.pending(channel).filter(move |d| d.next_attempt.is_none_or(|at| at <= now || at > now + FAR))
    }

    pub(crate) fn next_due(&self, channel: &ChannelId, now: Timestamp) -> Option<Timestamp> {
        self.pending(channel)
            .filter_map(|d| d.next_attempt)
            .map(|at| if at > now + FAR { now } else { at })
            .min()
    }

    fn pending<'a>(&'a self, channel: &'a ChannelId) -> impl Iterator<Item = &'a Delivery> {
        self.deliveries.values().filter(move |d| d.state == DeliveryState::Pending && d.channel == *channel)
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.deliveries.values().any(|d| d.state == DeliveryState::Pending)
    }

    /// Keeps one attempt and what follows from it.
    pub(crate) fn record_attempt(&mut self, id: i64, ended: &Ended) -> Result<(), String> {
        if self.mood == Mood::Full {
            return Err("the disk is full".into());
        }
        let Some(delivery) = self.deliveries.get_mut(&id) else { return Ok(()) };
        (delivery.state, delivery.next_attempt) = match ended.next {
            Next::Delivered => (DeliveryState::Delivered, None),
            Next::RetryAt(at) => (DeliveryState::Pending, Some(at)),
            Next::Dead => (DeliveryState::Dead, None),
        };
        delivery.attempts += 1;
        delivery.round += 1;
        delivery.first_attempt.get_or_insert(ended.attempt.at);
        delivery.last_error.clone_from(&ended.attempt.error);
        for (recorded, channels) in ended.events.clone() {
            self.put_event(&recorded, &channels, Some(ended.attempt.at));
        }
        Ok(())
    }

    /// A message that is told from elsewhere, or that a saboteur loses.
    pub(crate) fn forget(&mut self, id: i64) {
        self.deliveries.remove(&id);
    }

    pub(crate) fn forget_records(&mut self) {
        for row in self.records.values_mut() {
            row.last_change = None;
        }
    }
}
