//! What is told from memory while the state cannot be written, and its way into the file when that can be written again.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::attempt::{Ended, Memory};
use crate::decision::{ChannelId, Recorded};
use crate::store::{Batch, Delivery, Store, StoreError};

/// More deliveries than the store for them ever holds.
const ALL: u32 = 100_000;

/// The store in memory, and what of it is in flight. A clone is another handle.
#[derive(Clone, Default)]
pub(super) struct Unsaved {
    /// Made for the first message: most agents never need it, and to make it was a fifth of what `once` takes.
    store: Arc<OnceLock<Store>>,
    /// Held while an attempt is begun or ended, and for the whole of a hand-over: so none falls into its middle.
    flights: Arc<Mutex<Flights>>,
}

#[derive(Default)]
struct Flights {
    /// Deliveries with an attempt in flight.
    here: BTreeSet<i64>,
    /// Those of them that are in the file by now: the file is told how the attempt ended.
    moved: BTreeSet<i64>,
}

/// Where the outcome of an attempt belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// It is kept here.
    Here,
    /// In the file: the delivery was handed over while the attempt was in flight.
    File,
}

/// The deliveries that were made from memory, on their way into the file. No attempt of them is begun or ended until
/// this is dropped; without [`HandOver::done`] they stay where they are.
pub struct HandOver {
    store: Option<Store>,
    flights: OwnedMutexGuard<Flights>,
    deliveries: Vec<Delivery>,
}

impl Unsaved {
    /// The store, if anything was ever put into it.
    pub(super) fn store(&self) -> Option<&Store> {
        self.store.get()
    }

    fn make_store(&self) -> Result<&Store, StoreError> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let made = Store::for_unsaved()?;
        Ok(self.store.get_or_init(|| made))
    }

    /// How many messages wait here.
    pub(super) async fn pending(&self) -> Result<u64, StoreError> {
        match self.store() {
            Some(store) => store.pending().await,
            None => Ok(0),
        }
    }

    /// The ids of the events that this channel hears of from here.
    pub(super) async fn events_to(&self, channel: &ChannelId) -> Result<BTreeSet<String>, StoreError> {
        match self.store() {
            Some(store) => store.events_to(channel).await,
            None => Ok(BTreeSet::new()),
        }
    }

    /// Takes events over; those that nobody hears of are not needed here.
    pub(super) async fn add(
        &self,
        mut events: Vec<(Recorded, Vec<ChannelId>)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        events.retain(|(_, channels)| !channels.is_empty());
        self.make_store()?.commit(Batch { at: Some(now), events, ..Batch::default() }).await
    }

    /// Begins an attempt of the oldest delivery to this channel that is due and may be tried.
    pub(super) async fn begin(
        &self,
        channel: &ChannelId,
        now: Timestamp,
        memory: &Memory,
    ) -> Result<Option<Delivery>, StoreError> {
        let Some(store) = self.store() else { return Ok(None) };
        let mut flights = self.flights.lock().await;
        let limit = u32::try_from(memory.unrecorded.len() + 1).unwrap_or(u32::MAX);
        let due = store.due(Some(channel), now, limit).await?;
        let found = due.into_iter().find(|delivery| memory.allows(delivery, now));
        flights.here.extend(found.iter().map(|delivery| delivery.id));
        Ok(found)
    }

    /// Ends an attempt, and keeps its outcome if that belongs here.
    pub(super) async fn end(&self, delivery: i64, outcome: Ended) -> Result<Home, StoreError> {
        let mut flights = self.flights.lock().await;
        flights.here.remove(&delivery);
        if flights.moved.remove(&delivery) {
            return Ok(Home::File);
        }
        self.make_store()?.record_attempt(delivery, outcome.attempt, outcome.next, outcome.events).await?;
        Ok(Home::Here)
    }

    /// Everything that was made from memory, to be handed over.
    pub(super) async fn hand_over(&self) -> Result<HandOver, StoreError> {
        let flights = Arc::clone(&self.flights).lock_owned().await;
        let Some(store) = self.store() else {
            return Ok(HandOver { store: None, flights, deliveries: Vec::new() });
        };
        let mut deliveries = store.all_deliveries(ALL).await?;
        // They are in the file already.
        deliveries.retain(|delivery| !flights.moved.contains(&delivery.id));
        Ok(HandOver { store: Some(store.clone()), flights, deliveries })
    }
}

impl HandOver {
    /// As they stand; one whose attempt is in flight still waits.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.clone()
    }

    /// They are in the file, so they are forgotten here; one in flight when its attempt has ended.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn done(mut self) -> Result<(), StoreError> {
        let (flying, landed): (BTreeSet<i64>, _) =
            self.deliveries.iter().map(|delivery| delivery.id).partition(|id| self.flights.here.contains(id));
        self.flights.moved.extend(flying);
        match self.store {
            Some(store) => store.forget(landed).await,
            None => Ok(()),
        }
    }
}
