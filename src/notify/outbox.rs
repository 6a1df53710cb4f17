//! The outbox worker: takes every delivery to its end, and delays nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::lane::{Lane, Step, Stop};
use super::unsaved::{HandOver, Unsaved};
use super::{NotifySettings, SendResult, Sender};
use crate::clock::Clock;
use crate::decision::{ChannelId, Event, EventKind, Recorded, Severity};
use crate::store::{Delivery, DeliveryState, Store, StoreError};

/// How often the store is looked at when nobody calls [`Outbox::wake`]: another process may have put a delivery back.
const POLL: Duration = Duration::from_secs(10);
/// How long an attempt in flight goes on when the agent is asked to stop.
const GRACE: Duration = Duration::from_millis(1500);
/// How long an attempt may take, whatever the sender thinks.
pub(super) const ATTEMPT_LIMIT: Duration = Duration::from_secs(15);
/// The longest sleep of a lane whose store only this process writes, and which is woken then.
const LONGEST_SLEEP: Duration = Duration::from_hours(1);
/// The shortest sleep, so that a fault of ours cannot make a busy loop.
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);

/// Delivers what the store holds. A clone is another handle.
///
/// Each channel has a lane of its own with one attempt in flight, so a slow or dead channel never delays another one,
/// and none of them ever delays a change of DNS.
///
/// Delivery is at least once: a process killed between sending and recording sends the message again, with the same
/// event id (`webhook-id`), by which a receiver can tell. Chats have no such test; a doubled line there is possible.
#[derive(Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

struct Inner {
    /// By channel, and by whether their store outlives the process.
    lanes: Mutex<BTreeMap<(bool, ChannelId), Arc<Lane>>>,
    /// There are other lanes now.
    changed: Notify,
    store: Store,
    /// What could not be put into the store.
    unsaved: Unsaved,
    world: World,
}

/// What every lane needs to know.
pub(super) struct World {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Mutex<NotifySettings>,
    pub(super) agent: String,
    pub(super) seed: u64,
}

impl World {
    /// The channels that hear of such an event.
    pub(super) fn channels_for(&self, kind: EventKind, severity: Severity) -> Vec<ChannelId> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).channels_for(kind, severity)
    }
}

/// What [`Outbox::drain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Deliveries that reached their channel.
    pub delivered: usize,
    /// Attempts that failed.
    pub failed: usize,
    /// Deliveries that still wait, for a retry or for their first attempt.
    pub left: u64,
}

impl Outbox {
    /// An outbox over `store`.
    ///
    /// - `senders`: the channels, see [`super::senders`];
    /// - `settings`: whose routes say which channels hear of a delivery that was given up;
    /// - `clock`: for due times and durations;
    /// - `agent`: the agent's id, for events of the outbox itself;
    /// - `seed`: spreads the retries.
    pub fn new(
        store: Store,
        senders: BTreeMap<ChannelId, Arc<dyn Sender>>,
        settings: NotifySettings,
        clock: Arc<dyn Clock>,
        agent: impl Into<String>,
        seed: u64,
    ) -> Self {
        let world = World { clock, settings: Mutex::new(settings), agent: agent.into(), seed };
        let inner = Inner {
            lanes: Mutex::default(),
            changed: Notify::new(),
            store,
            unsaved: Unsaved::default(),
            world,
        };
        let outbox = Outbox { inner: Arc::new(inner) };
        outbox.set_senders(senders);
        outbox
    }

    /// Other channels and routes from now on. A lane whose channel stays goes on, with its memory and with the attempt
    /// in flight, and sends the next one by the new sender; what waits for a channel that is gone is given up.
    pub fn reconfigure(&self, senders: BTreeMap<ChannelId, Arc<dyn Sender>>, settings: NotifySettings) {
        *self.inner.world.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        self.set_senders(senders);
        self.inner.changed.notify_one();
    }

    fn set_senders(&self, mut senders: BTreeMap<ChannelId, Arc<dyn Sender>>) {
        let mut lanes = self.inner.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|(_, channel), lane| {
            match senders.get(channel) {
                Some(sender) => lane.set_sender(Arc::clone(sender)),
                None => lane.retire(),
            }
            senders.contains_key(channel)
        });
        senders.retain(|channel, _| !lanes.contains_key(&(true, channel.clone())));
        for (channel, sender) in &senders {
            for lane in Lane::pair(channel, sender, self.inner.store.clone(), &self.inner.unsaved) {
                lanes.insert((lane.is_kept(), channel.clone()), lane);
            }
        }
    }

    /// The lanes, those over the store that outlives the process first.
    fn lanes(&self) -> Vec<Arc<Lane>> {
        let lanes = self.inner.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.values().rev().cloned().collect()
    }

    /// Delivers until `shutdown` becomes true (or its sender is gone). An attempt in flight then gets 1.5 s more, and
    /// is recorded as failed if that is not enough; what waits stays in the store for the next start.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        let mut stop = Stop { signal: shutdown, grace: GRACE };
        let mut running = JoinSet::new();
        let mut begun: Vec<Arc<Lane>> = Vec::new();
        loop {
            self.abandon_unknown().await;
            let lanes = self.lanes();
            for lane in lanes.iter().filter(|lane| !begun.iter().any(|begun| Arc::ptr_eq(begun, lane))) {
                let (outbox, lane, stop) = (self.clone(), Arc::clone(lane), stop.clone());
                running.spawn(async move {
                    outbox.run_lane(&lane, stop).await;
                    if lane.is_retired() {
                        // Its last attempt may have failed, and then the message waits for a channel that is gone.
                        outbox.inner.changed.notify_one();
                    }
                });
            }
            begun = lanes;
            tokio::select! {
                () = self.inner.changed.notified() => {}
                () = stop.set() => break,
            }
            while running.try_join_next().is_some() {}
        }
        while running.join_next().await.is_some() {}
    }

    async fn run_lane(&self, lane: &Lane, mut stop: Stop) {
        let mut readable = true;
        while !stop.is_set() && !lane.is_retired() {
            let step = lane.step(&self.inner.world, &mut stop).await;
            // Said once, not every ten seconds.
            if let Err(error) = &step
                && std::mem::replace(&mut readable, false)
            {
                tracing::error!(channel = %lane.channel, %error, "the outbox cannot be read");
            }
            readable |= step.is_ok();
            let sleep = match step {
                Ok(Step::Delivered | Step::Failed) => continue,
                Ok(Step::GivenUp) => {
                    self.wake();
                    continue;
                }
                Ok(Step::Idle(next)) => self.until(next, if lane.is_kept() { POLL } else { LONGEST_SLEEP }),
                Err(_) => POLL,
            };
            tokio::select! {
                () = lane.wake.notified() => {}
                () = tokio::time::sleep(sleep) => {}
                () = stop.set() => {}
            }
        }
    }

    fn until(&self, next: Option<Timestamp>, longest: Duration) -> Duration {
        let now = self.inner.world.clock.now().wall;
        let wait =
            next.map_or(longest, |next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
        wait.clamp(SHORTEST_SLEEP, longest)
    }

    /// Says that something was put into the store: the next attempt is made at once.
    pub fn wake(&self) {
        for lane in self.lanes() {
            lane.wake.notify_one();
        }
    }

    /// Delivers what is due now, within `deadline`, and leaves the rest for the next run. For `once`.
    ///
    /// An attempt that is cut off by the deadline is recorded as failed, so that a hanging channel is waited for less
    /// and less often from run to run.
    ///
    /// # Errors
    /// See [`StoreError`]; what was sent by then was sent.
    pub async fn drain(&self, deadline: Duration) -> Result<Drained, StoreError> {
        self.abandon_unknown().await;
        let (expired, signal) = watch::channel(false);
        let stop = Stop { signal, grace: Duration::ZERO };
        let work = self.drain_lanes(&stop);
        tokio::pin!(work);
        let steps = tokio::select! {
            steps = &mut work => steps,
            () = tokio::time::sleep(deadline) => {
                expired.send_replace(true);
                work.await
            }
        }?;
        let delivered = steps.iter().filter(|step| **step == Step::Delivered).count();
        let left = self.inner.store.pending().await? + self.inner.unsaved.pending().await?;
        Ok(Drained { delivered, failed: steps.len() - delivered, left })
    }

    /// Every lane until it has nothing due; all of them again when one gave something up, because the others are told.
    async fn drain_lanes(&self, stop: &Stop) -> Result<Vec<Step>, StoreError> {
        let mut steps = Vec::new();
        loop {
            let lanes = self.lanes();
            let drains = lanes.iter().map(|lane| self.drain_lane(lane, stop.clone()));
            let round: Vec<Vec<Step>> = join_all(drains).await.into_iter().collect::<Result<_, _>>()?;
            let round = round.concat();
            let again = round.contains(&Step::GivenUp) && !stop.is_set();
            steps.extend(round);
            if !again {
                return Ok(steps);
            }
        }
    }

    async fn drain_lane(&self, lane: &Lane, mut stop: Stop) -> Result<Vec<Step>, StoreError> {
        let mut steps = Vec::new();
        while !stop.is_set() {
            match lane.step(&self.inner.world, &mut stop).await? {
                Step::Idle(_) => break,
                done => steps.push(done),
            }
        }
        Ok(steps)
    }

    /// Delivers events that could not be saved (the disk is full, the state is read-only) from memory. They are tried
    /// like all others, at most 1,000 wait, and those are lost when the process ends before they are delivered or
    /// handed over.
    ///
    /// # Errors
    /// See [`StoreError`]; there was no memory for them.
    pub async fn tell_unsaved(&self, events: Vec<(Recorded, Vec<ChannelId>)>) -> Result<(), StoreError> {
        self.inner.unsaved.add(events, self.inner.world.clock.now().wall).await?;
        self.wake();
        Ok(())
    }

    /// What was told from memory, for the transaction that writes what was not kept: see [`crate::store::Batch`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn hand_over(&self) -> Result<HandOver, StoreError> {
        self.inner.unsaved.hand_over().await
    }

    /// Forgets what of [`Outbox::tell_unsaved`] has been told, but for the newest 1,000.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn prune_unsaved(&self, now: Timestamp) -> Result<usize, StoreError> {
        match self.inner.unsaved.store() {
            Some(store) => store.prune(now).await,
            None => Ok(0),
        }
    }

    /// How many messages of [`Outbox::tell_unsaved`] wait.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn unsaved(&self) -> Result<u64, StoreError> {
        self.inner.unsaved.pending().await
    }

    /// Sends one test message to a channel, rendered and judged as any other, and returns what came of it; `None` when
    /// there is no such channel. Nothing is kept and nothing is retried.
    pub async fn send_test(&self, channel: &ChannelId) -> Option<SendResult> {
        let sender = self.lanes().into_iter().find(|lane| lane.channel == *channel)?.sender();
        let World { clock, agent, .. } = &self.inner.world;
        let now = clock.now().wall;
        let mut event = Event::new(
            EventKind::NotifyTest,
            now,
            format!("a test of the channel {channel}: nothing happened, nothing was changed"),
        );
        event.next = Some("nothing; real messages look like this one and say more".into());
        let id = format!("test-{agent}-{}", now.as_microsecond());
        let delivery = Delivery {
            id: 0,
            channel: channel.clone(),
            event: Recorded { id, agent: agent.clone(), event },
            state: DeliveryState::Pending,
            created: now,
            next_attempt: None,
            first_attempt: None,
            round: 0,
            attempts: 0,
            last_error: None,
        };
        let attempt = tokio::time::timeout(ATTEMPT_LIMIT, sender.send(&delivery, now)).await;
        Some(attempt.unwrap_or_else(|_| SendResult::Retry {
            after: None,
            status: None,
            error: format!("no answer within {} s", ATTEMPT_LIMIT.as_secs()),
        }))
    }

    async fn abandon_unknown(&self) {
        let known: BTreeSet<ChannelId> = self.lanes().iter().map(|lane| lane.channel.clone()).collect();
        for store in [Some(&self.inner.store), self.inner.unsaved.store()].into_iter().flatten() {
            match store.abandon_unknown(known.clone()).await {
                Ok(0) => {}
                Ok(count) => {
                    tracing::warn!(
                        count,
                        "messages given up: their channels are no longer in the configuration"
                    );
                }
                Err(error) => tracing::error!(%error, "the outbox cannot be cleaned"),
            }
        }
    }
}
