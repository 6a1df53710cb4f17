//! One channel's deliveries, one after the other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, Notify, watch};

use super::backoff::{self, LONGEST_ASKED};
use super::outbox::{ATTEMPT_LIMIT, World};
use super::{SendResult, Sender};
use crate::decision::{ChannelId, Event, EventKind, Recorded};
use crate::store::{Attempt, Delivery, Next, Store, StoreError};

/// When the store is tried again after it did not take the outcome of an attempt.
const RECORD_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// Outcomes that are remembered until the store takes them; beyond that the lane waits for the store.
const UNRECORDED_LIMIT: usize = 1000;
/// How often the others are told that this channel gives messages up.
const TELL_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// A channel, what it is sent from, and what must be remembered between two attempts.
pub(super) struct Lane {
    pub(super) channel: ChannelId,
    pub(super) wake: Notify,
    sender: std::sync::Mutex<Arc<dyn Sender>>,
    /// Its channel is no longer configured: no attempt is begun any more.
    retired: AtomicBool,
    store: Store,
    /// Whether the store outlives the process, and others may write to it.
    pub(super) kept: bool,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// What the store did not take yet. Without this a full disk would send a message again and again.
    unrecorded: BTreeMap<i64, Outcome>,
    /// The service asked for patience until then.
    paused_until: Option<Timestamp>,
    /// When the others were last told that this channel gives messages up; `None` after a success.
    told: Option<Timestamp>,
}

#[derive(Clone)]
struct Outcome {
    attempt: Attempt,
    next: Next,
    events: Vec<(Recorded, Vec<ChannelId>)>,
    failures: u32,
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
    pub(super) fn new(channel: ChannelId, sender: Arc<dyn Sender>, store: Store, kept: bool) -> Self {
        Lane {
            channel,
            wake: Notify::new(),
            sender: std::sync::Mutex::new(sender),
            retired: AtomicBool::new(false),
            store,
            kept,
            memory: Mutex::default(),
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
        let Some(delivery) = self.next(&memory, now).await? else {
            let again = now.checked_add(RECORD_AGAIN).ok().filter(|_| !memory.unrecorded.is_empty());
            return match again {
                Some(again) => Ok(Step::Idle(Some(again))),
                None => Ok(Step::Idle(self.store.next_due(Some(&self.channel), now).await?)),
            };
        };
        let outcome = self.attempt(world, &delivery, &mut memory, stop).await;
        let step = match (outcome.attempt.delivered, outcome.events.is_empty()) {
            (true, _) => Step::Delivered,
            (false, true) => Step::Failed,
            (false, false) => Step::GivenUp,
        };
        self.record(delivery.id, outcome, &mut memory).await;
        Ok(step)
    }

    /// The oldest delivery that is due and whose last outcome, if the store does not know it, does not forbid it.
    async fn next(&self, memory: &Memory, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
        if memory.unrecorded.len() >= UNRECORDED_LIMIT {
            return Ok(None);
        }
        let limit = u32::try_from(memory.unrecorded.len() + 1).unwrap_or(u32::MAX);
        let due = self.store.due(Some(&self.channel), now, limit).await?;
        Ok(due.into_iter().find(|delivery| match memory.unrecorded.get(&delivery.id) {
            None => true,
            Some(outcome) => matches!(outcome.next, Next::RetryAt(at) if at <= now),
        }))
    }

    async fn attempt(
        &self,
        world: &World,
        delivery: &Delivery,
        memory: &mut Memory,
        stop: &mut Stop,
    ) -> Outcome {
        let begun = world.clock.now();
        let sender = self.sender();
        let result = tokio::select! {
            result = sender.send(delivery, begun.wall) => result,
            () = tokio::time::sleep(ATTEMPT_LIMIT) => too_slow("no end of the attempt within 15 s"),
            () = cut_off(stop) => too_slow("cut off: the program had to stop before there was an answer"),
        };
        let ended = world.clock.now();
        let took = ended.moment.since(begun.moment).as_millis();
        let earlier = memory.unrecorded.get(&delivery.id).map_or(delivery.round, |o| o.failures);
        let mut outcome = Outcome {
            attempt: Attempt {
                at: begun.wall,
                delivered: false,
                status: None,
                error: None,
                took_ms: u64::try_from(took).unwrap_or(u64::MAX),
            },
            next: Next::Delivered,
            events: Vec::new(),
            failures: earlier.saturating_add(1),
        };
        match result {
            SendResult::Delivered { status, .. } => {
                tracing::debug!(channel = %self.channel, delivery = delivery.id, "delivered");
                outcome.attempt = Attempt { delivered: true, status, ..outcome.attempt };
                memory.told = None;
            }
            SendResult::Retry { after, status, error } => {
                outcome.attempt.status = status;
                let first = delivery.first_attempt.unwrap_or(begun.wall);
                let random = backoff::mix(world.seed, delivery.id, outcome.failures);
                outcome.next = backoff::after_failure(ended.wall, first, outcome.failures, after, random);
                if let (Some(_), Next::RetryAt(at)) = (after, outcome.next) {
                    memory.paused_until = Some(at);
                }
                self.failed(world, delivery, memory, &mut outcome, error);
            }
            SendResult::Permanent { status, error } => {
                outcome.attempt.status = status;
                outcome.next = Next::Dead;
                self.failed(world, delivery, memory, &mut outcome, error);
            }
        }
        outcome
    }

    fn failed(
        &self,
        world: &World,
        delivery: &Delivery,
        memory: &mut Memory,
        outcome: &mut Outcome,
        error: String,
    ) {
        let (channel, number, attempt) = (&self.channel, delivery.id, outcome.failures);
        if let Next::RetryAt(next) = outcome.next {
            tracing::warn!(%channel, delivery = number, attempt, error, %next, "not delivered; another attempt follows");
        } else {
            tracing::error!(%channel, delivery = number, attempt, error, "not delivered, given up");
            outcome.events = self.tell_the_others(world, delivery, memory, &error);
        }
        outcome.attempt.error = Some(error);
    }

    /// The event that says that a message was given up, for the channels that are not this one. Not for such an event
    /// itself, and once an hour: two dead channels must not write each other for ever.
    fn tell_the_others(
        &self,
        world: &World,
        delivery: &Delivery,
        memory: &mut Memory,
        error: &str,
    ) -> Vec<(Recorded, Vec<ChannelId>)> {
        let now = world.clock.now().wall;
        let said = memory.told.is_some_and(|told| now.duration_since(told).abs() < TELL_AGAIN);
        if delivery.kind() == EventKind::DeliveryExhausted || said {
            return Vec::new();
        }
        memory.told = Some(now);
        let lost = &delivery.event.event;
        let summary = format!("a message to the channel {} was given up: {}", self.channel, lost.summary);
        let mut event = Event::new(EventKind::DeliveryExhausted, now, summary);
        event.incident.clone_from(&lost.incident);
        event.record.clone_from(&lost.record);
        event.reason = Some(error.to_owned());
        event.since = delivery.first_attempt;
        event.remedy = self.kept.then(|| {
            format!(
                "mend the channel (failover notify test {}), then: failover deliveries retry {}",
                self.channel, delivery.id
            )
        });
        let mut channels = world.channels_for(event.kind, event.severity);
        channels.retain(|channel| *channel != self.channel);
        let id = format!("{}-given-up-{}-{}", delivery.event.id, delivery.id, delivery.attempts + 1);
        vec![(Recorded { id, agent: world.agent.clone(), event }, channels)]
    }

    async fn record(&self, id: i64, outcome: Outcome, memory: &mut Memory) {
        let Outcome { attempt, next, events, .. } = outcome.clone();
        match self.store.record_attempt(id, attempt, next, events).await {
            Ok(()) => {
                memory.unrecorded.remove(&id);
            }
            Err(error) => {
                let channel = &self.channel;
                tracing::error!(%channel, delivery = id, %error, "an attempt cannot be recorded; it is remembered");
                memory.unrecorded.insert(id, outcome);
            }
        }
    }

    /// Stops at the first that the store does not take: the others would not be taken either.
    async fn record_what_is_left(&self, memory: &mut Memory) {
        while let Some((&id, outcome)) = memory.unrecorded.first_key_value() {
            let Outcome { attempt, next, events, .. } = outcome.clone();
            if self.store.record_attempt(id, attempt, next, events).await.is_err() {
                return;
            }
            memory.unrecorded.remove(&id);
        }
    }
}

impl Memory {
    /// Until when the service asked for patience. A pause further away than can be asked for was written before the
    /// wall clock was set back.
    fn pause(&mut self, now: Timestamp) -> Option<Timestamp> {
        let longest = SignedDuration::try_from(LONGEST_ASKED).unwrap_or(SignedDuration::MAX);
        self.paused_until =
            self.paused_until.filter(|until| *until > now && until.duration_since(now) <= longest);
        self.paused_until
    }
}

async fn cut_off(stop: &mut Stop) {
    stop.set().await;
    tokio::time::sleep(stop.grace).await;
}

fn too_slow(error: &str) -> SendResult {
    SendResult::Retry { after: None, status: None, error: error.into() }
}
