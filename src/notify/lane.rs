//! One channel's deliveries, one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, Notify, watch};

use super::attempt::{Case, Ended, Memory};
use super::outbox::{ATTEMPT_LIMIT, World};
use super::unsaved::{Home, Unsaved};
use super::{SendResult, Sender};
use crate::decision::{ChannelId, Event};
use crate::store::{Delivery, Next, Store, StoreError};

/// When the store is looked at again after it did not take the outcome of an attempt, and while memory has what is due.
const RECORD_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// Outcomes that are remembered until the store takes them; beyond that the lane waits for the store.
const UNRECORDED_LIMIT: usize = 1000;

/// A channel, what it is sent from, and what must be remembered between two attempts.
pub(super) struct Lane {
    pub(super) channel: ChannelId,
    pub(super) wake: Notify,
    sender: std::sync::Mutex<Arc<dyn Sender>>,
    /// Its channel is no longer configured: no attempt is begun any more.
    retired: AtomicBool,
    /// What could not be put into the store that outlives the process.
    unsaved: Unsaved,
    source: Source,
    memory: Mutex<Memory>,
}

/// Where a lane takes its deliveries from.
enum Source {
    /// The store that outlives the process, and that others may write to.
    Kept(Store),
    /// What could not be put there; and the lane of the same channel that has that store.
    Unsaved(Arc<Lane>),
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A message was delivered.
    Delivered,
    /// An attempt failed.
    Failed,
    /// A message was given up, and the other channels have something to tell of it.
    GivenUp,
    /// There is nothing to do until then; until something new comes, if there is no time.
    Idle(Option<Timestamp>),
}

/// What there is to do.
enum Found {
    /// This is next.
    One(Box<Delivery>),
    /// Something is due, and may not be tried before more is known of it.
    NotYet,
    /// Nothing is due.
    Nothing,
}

/// The wish to stop, and how long an attempt in flight goes on after it.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) signal: watch::Receiver<bool>,
    pub(super) grace: Duration,
}

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        *self.signal.borrow() || self.signal.has_changed().is_err()
    }

    /// Ends when the wish is there, or when nobody is left who could have it.
    pub(super) async fn set(&mut self) {
        let _ = self.signal.wait_for(|stop| *stop).await;
    }
}

impl Lane {
    /// The two lanes of a channel: that over the store that outlives the process first.
    pub(super) fn pair(
        channel: &ChannelId,
        sender: &Arc<dyn Sender>,
        store: Store,
        unsaved: &Unsaved,
    ) -> [Arc<Lane>; 2] {
        let lane = |source| {
            Arc::new(Lane {
                channel: channel.clone(),
                wake: Notify::new(),
                sender: std::sync::Mutex::new(Arc::clone(sender)),
                retired: AtomicBool::new(false),
                unsaved: unsaved.clone(),
                source,
                memory: Mutex::default(),
            })
        };
        let kept = lane(Source::Kept(store));
        [Arc::clone(&kept), lane(Source::Unsaved(kept))]
    }

    /// Does what it takes outlive the process?
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.source, Source::Kept(_))
    }

    /// Where its deliveries are, if there ever were any.
    fn store(&self) -> Option<&Store> {
        match &self.source {
            Source::Kept(store) => Some(store),
            Source::Unsaved(_) => self.unsaved.store(),
        }
    }

    pub(super) fn sender(&self) -> Arc<dyn Sender> {
        Arc::clone(&self.sender.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next attempt is made with this sender; one in flight goes on with the old one.
    pub(super) fn set_sender(&self, sender: Arc<dyn Sender>) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = sender;
    }

    /// The attempt in flight is the last one.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Makes at most one attempt.
    pub(super) async fn step(&self, world: &World, stop: &mut Stop) -> Result<Step, StoreError> {
        let mut memory = self.memory.lock().await;
        self.record_what_is_left(&mut memory).await;
        let now = world.clock.now().wall;
        if let Some(until) = memory.pause(now) {
            return Ok(Step::Idle(Some(until)));
        }
        let delivery = match self.next(&memory, now).await? {
            Found::One(delivery) => delivery,
            Found::NotYet => return Ok(Step::Idle(now.checked_add(RECORD_AGAIN).ok())),
            Found::Nothing => {
                let Some(store) = self.store() else { return Ok(Step::Idle(None)) };
                return Ok(Step::Idle(store.next_due(Some(&self.channel), now).await?));
            }
        };
        let outcome = self.attempt(world, &delivery, &mut memory, stop).await;
        let step = match (outcome.attempt.delivered, outcome.events.is_empty()) {
            (true, _) => Step::Delivered,
            (false, true) => Step::Failed,
            (false, false) => Step::GivenUp,
        };
        self.record(&delivery, outcome, &mut memory).await;
        Ok(step)
    }

    /// The oldest delivery that is due and whose last outcome, if the store does not know it, does not forbid it.
    async fn next(&self, memory: &Memory, now: Timestamp) -> Result<Found, StoreError> {
        let nothing = if memory.unrecorded.is_empty() { Found::Nothing } else { Found::NotYet };
        if memory.unrecorded.len() >= UNRECORDED_LIMIT {
            return Ok(nothing);
        }
        let store = match &self.source {
            Source::Kept(store) => store,
            Source::Unsaved(_) => {
                let begun = self.unsaved.begin(&self.channel, now, memory).await?;
                return Ok(begun.map_or(nothing, |delivery| Found::One(Box::new(delivery))));
            }
        };
        // A commit that was given up may have been made all the same: what is told from memory is not told from here
        // before both know the same of it. In this order, for it may be handed over between the two.
        let elsewhere = self.unsaved.events_to(&self.channel).await?;
        let limit = u32::try_from(memory.unrecorded.len() + elsewhere.len() + 1).unwrap_or(u32::MAX);
        let mut due = store.due(Some(&self.channel), now, limit).await?;
        let count = due.len();
        due.retain(|delivery| !elsewhere.contains(&delivery.event.id));
        let nothing = if due.len() < count { Found::NotYet } else { nothing };
        let found = due.into_iter().find(|delivery| memory.allows(delivery, now));
        Ok(found.map_or(nothing, |delivery| Found::One(Box::new(delivery))))
    }

    async fn attempt(
        &self,
        world: &World,
        delivery: &Delivery,
        memory: &mut Memory,
        stop: &mut Stop,
    ) -> Ended {
        let begun = world.clock.now();
        let sender = self.sender();
        let result = tokio::select! {
            result = sender.send(delivery, begun.wall) => result,
            () = tokio::time::sleep(ATTEMPT_LIMIT) => too_slow("no end of the attempt within 15 s"),
            () = cut_off(stop) => too_slow("cut off: the program had to stop before there was an answer"),
        };
        let case = Case {
            channel: &self.channel,
            kept: self.is_kept(),
            agent: &world.agent,
            seed: world.seed,
            hearers: &|event: &Event| world.channels_for(event.kind, event.severity),
            begun,
            ended: world.clock.now(),
        };
        let ended = memory.conclude(&case, delivery, result);
        self.log(delivery, &ended);
        ended
    }

    fn log(&self, delivery: &Delivery, ended: &Ended) {
        let (channel, number, attempt) = (&self.channel, delivery.id, ended.failures);
        let error = ended.attempt.error.as_deref().unwrap_or_default();
        match ended.next {
            Next::Delivered => tracing::debug!(%channel, delivery = number, "delivered"),
            Next::RetryAt(next) => {
                tracing::warn!(%channel, delivery = number, attempt, error, %next, "not delivered; another attempt follows");
            }
            Next::Dead => {
                tracing::error!(%channel, delivery = number, attempt, error, "not delivered, given up");
            }
        }
    }

    async fn record(&self, delivery: &Delivery, outcome: Ended, memory: &mut Memory) {
        let kept = match &self.source {
            Source::Kept(store) => return self.keep(store, delivery.id, outcome, memory).await,
            Source::Unsaved(kept) => kept,
        };
        match self.unsaved.end(delivery.id, outcome.clone()).await {
            Ok(Home::Here) => {
                memory.unrecorded.remove(&delivery.id);
            }
            Ok(Home::File) => kept.take_over(delivery, outcome).await,
            Err(error) => self.remember(delivery.id, outcome, &error, memory),
        }
    }

    /// An attempt has ended whose delivery came into the store meanwhile.
    async fn take_over(&self, delivery: &Delivery, outcome: Ended) {
        let Some(store) = self.store() else { return };
        let mut memory = self.memory.lock().await;
        match store.delivery_of(&delivery.event.id, &self.channel).await {
            Ok(Some(id)) => self.keep(store, id, outcome, &mut memory).await,
            Ok(None) => {}
            Err(error) => {
                let channel = &self.channel;
                tracing::error!(%channel, %error, "the outcome of an attempt is lost; it may be made again");
            }
        }
        // From now on it is this lane's alone.
        if let Some(unsaved) = self.unsaved.store()
            && let Err(error) = unsaved.forget([delivery.id].into()).await
        {
            tracing::error!(%error, "a message stays in memory that is in the file");
        }
        self.wake.notify_one();
    }

    async fn keep(&self, store: &Store, id: i64, outcome: Ended, memory: &mut Memory) {
        let Ended { attempt, next, events, .. } = outcome.clone();
        match store.record_attempt(id, attempt, next, events).await {
            Ok(()) => {
                memory.unrecorded.remove(&id);
            }
            Err(error) => self.remember(id, outcome, &error, memory),
        }
    }

    fn remember(&self, id: i64, outcome: Ended, error: &StoreError, memory: &mut Memory) {
        let channel = &self.channel;
        tracing::error!(%channel, delivery = id, %error, "an attempt cannot be recorded; it is remembered");
        memory.unrecorded.insert(id, outcome);
    }

    /// Stops at the first that the store does not take: the others would not be taken either.
    async fn record_what_is_left(&self, memory: &mut Memory) {
        let Some(store) = self.store() else { return };
        while let Some((&id, outcome)) = memory.unrecorded.first_key_value() {
            let Ended { attempt, next, events, .. } = outcome.clone();
            if store.record_attempt(id, attempt, next, events).await.is_err() {
                return;
            }
            memory.unrecorded.remove(&id);
        }
    }
}

async fn cut_off(stop: &mut Stop) {
    stop.set().await;
    tokio::time::sleep(stop.grace).await;
}

fn too_slow(error: &str) -> SendResult {
    SendResult::Retry { after: None, status: None, error: error.into() }
}
