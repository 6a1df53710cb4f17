//! What follows from one attempt of one delivery. PURE, so that the simulation in `tests/sim` runs this and no copy.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::SendResult;
use super::backoff::{self, LONGEST_ASKED};
use crate::decision::{ChannelId, Event, EventKind, Now, Recorded};
use crate::store::{Attempt, Delivery, Next};

/// How often the others are told that this channel gives messages up.
const TELL_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// What a lane must remember between two attempts.
#[derive(Debug, Default)]
pub struct Memory {
    /// What the store did not take yet. Without this a full disk would send a message again and again.
    pub unrecorded: BTreeMap<i64, Ended>,
    /// The service asked for patience until then.
    paused_until: Option<Timestamp>,
    /// When the others were last told that this channel gives messages up; `None` after a success.
    told: Option<Timestamp>,
}

/// How an attempt ended, and what follows from it: what the store is to keep in one transaction.
#[derive(Clone, Debug)]
pub struct Ended {
    /// For the log.
    pub attempt: Attempt,
    /// What follows.
    pub next: Next,
    /// What tells of it.
    pub events: Vec<(Recorded, Vec<ChannelId>)>,
    /// Failures in a row, this one included.
    pub(super) failures: u32,
}

/// Whose attempt it is.
pub struct Case<'a> {
    /// The channel.
    pub channel: &'a ChannelId,
    /// Does the delivery outlive the process?
    pub kept: bool,
    /// The agent's id, for the events of the outbox itself.
    pub agent: &'a str,
    /// Spreads the retries.
    pub seed: u64,
    /// Who hears that a message was given up.
    pub hearers: &'a dyn Fn(&Event) -> Vec<ChannelId>,
    /// When the attempt began.
    pub begun: Now,
    /// When it ended.
    pub ended: Now,
}

impl Memory {
    /// Until when the service asked for patience. A pause further away than can be asked for was written before the
    /// wall clock was set back.
    pub fn pause(&mut self, now: Timestamp) -> Option<Timestamp> {
        let longest = SignedDuration::try_from(LONGEST_ASKED).unwrap_or(SignedDuration::MAX);
        self.paused_until =
            self.paused_until.filter(|until| *until > now && until.duration_since(now) <= longest);
        self.paused_until
    }

    /// May it be tried now, whatever the store believes?
    pub fn allows(&self, delivery: &Delivery, now: Timestamp) -> bool {
        self.unrecorded
            .get(&delivery.id)
            .is_none_or(|ended| matches!(ended.next, Next::RetryAt(at) if at <= now))
    }

    /// An attempt came to this.
    pub fn conclude(&mut self, case: &Case<'_>, delivery: &Delivery, result: SendResult) -> Ended {
        let Case { begun, ended, .. } = case;
        let took = ended.moment.since(begun.moment).as_millis();
        let earlier = self.unrecorded.get(&delivery.id).map_or(delivery.round, |ended| ended.failures);
        let mut outcome = Ended {
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
        let error = match result {
            SendResult::Delivered { status, .. } => {
                outcome.attempt = Attempt { delivered: true, status, ..outcome.attempt };
                self.told = None;
                return outcome;
            }
            SendResult::Retry { after, status, error } => {
                outcome.attempt.status = status;
                let first = delivery.first_attempt.unwrap_or(begun.wall);
                let random = backoff::mix(case.seed, delivery.id, outcome.failures);
                outcome.next = backoff::after_failure(ended.wall, first, outcome.failures, after, random);
                if let (Some(_), Next::RetryAt(at)) = (after, outcome.next) {
                    self.paused_until = Some(at);
                }
                error
            }
            SendResult::Permanent { status, error } => {
                outcome.attempt.status = status;
                outcome.next = Next::Dead;
                error
            }
        };
        if outcome.next == Next::Dead {
            outcome.events = self.tell_the_others(case, delivery, &error);
        }
        outcome.attempt.error = Some(error);
        outcome
    }

    /// The event that says that a message was given up, for the channels that are not this one. Not for such an event
    /// itself, and once an hour: two dead channels must not write each other for ever.
    fn tell_the_others(
        &mut self,
        case: &Case<'_>,
        delivery: &Delivery,
        error: &str,
    ) -> Vec<(Recorded, Vec<ChannelId>)> {
        let (channel, now) = (case.channel, case.ended.wall);
        let said = self.told.is_some_and(|told| now.duration_since(told).abs() < TELL_AGAIN);
        if delivery.kind() == EventKind::DeliveryExhausted || said {
            return Vec::new();
        }
        self.told = Some(now);
        let lost = &delivery.event.event;
        let summary = format!("a message to the channel {channel} was given up: {}", lost.summary);
        let mut event = Event::new(EventKind::DeliveryExhausted, now, summary);
        event.incident.clone_from(&lost.incident);
        event.record.clone_from(&lost.record);
        event.reason = Some(error.to_owned());
        event.since = delivery.first_attempt;
        event.remedy = case.kept.then(|| {
            format!(
                "mend the channel (failover notify test {channel}), then: failover deliveries retry {}",
                delivery.id
            )
        });
        let mut channels = (case.hearers)(&event);
        channels.retain(|other| other != channel);
        let id = format!("{}-given-up-{}-{}", delivery.event.id, delivery.id, delivery.attempts + 1);
        vec![(Recorded { id, agent: case.agent.to_owned(), event }, channels)]
    }
}
