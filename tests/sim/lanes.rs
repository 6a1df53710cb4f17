//! Messages: one lane per channel and store, as `src/notify/lane.rs` has it, over the real memory, back-off and judgement
//! of replies; and the chats at the other end.

use failover::decision::{ChannelId, Event, Now};
use failover::notify::{Case, Memory, Reply, SendResult, Service, judge};
use failover::store::Delivery;

use crate::agent::wall_at;
use crate::cast::{MILLI, SECOND, channel};
use crate::disk::Disk;
use crate::plan::{ChatMood, Line, Link};
use crate::sabotage::Sabotage;
use crate::world::{Mine, World, note};

/// `RECORD_AGAIN` in `lane.rs`, `POLL` and `ATTEMPT_LIMIT` in `outbox.rs`.
const RECORD_AGAIN: i64 = 5 * SECOND;
const POLL: i64 = 10 * SECOND;
const ATTEMPT_LIMIT: i64 = 15 * SECOND;

pub(crate) struct Lane {
    channel: ChannelId,
    number: usize,
    /// Over the store that outlives the process.
    kept: bool,
    memory: Memory,
    busy: bool,
    in_flight: Option<i64>,
    /// When it looks again, and the number of that alarm.
    alarm: (i64, u64),
}

impl Lane {
    pub(crate) fn all(channels: usize) -> Vec<Lane> {
        let lane = |number: usize, kept| Lane {
            channel: channel(number).into(),
            number,
            kept,
            memory: Memory::default(),
            busy: false,
            in_flight: None,
            alarm: (i64::MAX, 0),
        };
        (0..channels).flat_map(|number| [lane(number, true), lane(number, false)]).collect()
    }

    /// Does it try this delivery from memory at this moment?
    pub(crate) fn has_in_flight(&self, id: i64) -> bool {
        !self.kept && self.in_flight == Some(id)
    }
}

impl World {
    pub(crate) fn wake_lanes(&mut self, agent: usize) {
        let lanes = self.agents[agent].process.as_ref().map_or(0, |process| process.lanes.len());
        for lane in 0..lanes {
            let this = &self.agents[agent].process.as_ref().unwrap().lanes[lane];
            let (busy, channel, kept) = (this.busy, &this.channel, this.kept);
            let now = wall_at(self.now + self.agents[agent].wall_offset);
            let waits = self.store(agent, kept).next_due(channel, now).is_some();
            if !busy && waits {
                self.set_lane(agent, lane, self.now);
            }
        }
    }

    fn store(&self, agent: usize, kept: bool) -> &Disk {
        if kept { &self.agents[agent].disk } else { &self.agents[agent].process.as_ref().unwrap().unsaved }
    }

    fn set_lane(&mut self, agent: usize, lane: usize, at: i64) {
        let this = &mut self.agents[agent].process.as_mut().unwrap().lanes[lane];
        if this.alarm.0 == at {
            return;
        }
        this.alarm = (at, this.alarm.1 + 1);
        let token = this.alarm.1;
        self.mine(at, agent, Mine::Lane { lane, token });
    }

    /// `Lane::step`.
    pub(crate) fn step_lane(&mut self, agent: usize, lane: usize, token: u64) {
        let offset = self.agents[agent].wall_offset;
        let now = wall_at(self.now + offset);
        let this = &mut self.agents[agent];
        let process = this.process.as_mut().unwrap();
        let entry = &mut process.lanes[lane];
        if entry.busy || entry.alarm.1 != token {
            return;
        }
        entry.alarm.0 = i64::MAX;
        let store = if entry.kept { &mut this.disk } else { &mut process.unsaved };
        while let Some((&id, ended)) = entry.memory.unrecorded.first_key_value() {
            if store.record_attempt(id, ended).is_err() {
                break;
            }
            entry.memory.unrecorded.remove(&id);
        }
        let later = |at: jiff::Timestamp| at.as_microsecond() - now.as_microsecond();
        if let Some(until) = entry.memory.pause(now) {
            let wait = later(until).clamp(10 * MILLI, POLL);
            return self.set_lane(agent, lane, self.now + wait);
        }
        // What is told from memory is not told from the file before both know the same of it, and what was handed over
        // not from memory.
        let elsewhere = |delivery: &&Delivery| {
            if entry.kept {
                process.unsaved.delivery_of(delivery).is_some()
            } else {
                process.moved.contains(&delivery.id)
            }
        };
        let store = if entry.kept { &this.disk } else { &process.unsaved };
        let blocked = store.due(&entry.channel, now).any(|delivery| elsewhere(&delivery));
        let may = |delivery: &&Delivery| !elsewhere(delivery) && entry.memory.allows(delivery, now);
        let found = store.due(&entry.channel, now).find(may).cloned();
        let Some(delivery) = found else {
            let wait = if entry.memory.unrecorded.is_empty() && !blocked {
                store.next_due(&entry.channel, now).map(|at| later(at).clamp(10 * MILLI, POLL))
            } else {
                Some(RECORD_AGAIN)
            };
            if let Some(wait) = wait {
                self.set_lane(agent, lane, self.now + wait);
            }
            return;
        };
        entry.busy = true;
        entry.in_flight = Some(delivery.id);
        let number = entry.number;
        let (result, took) = self.attempt(agent, number, &delivery, now);
        let begun = self.now;
        self.mine(self.now + took, agent, Mine::Sent { lane, delivery: Box::new(delivery), begun, result });
    }

    /// What comes of sending it, and when that is known.
    fn attempt(
        &mut self,
        agent: usize,
        number: usize,
        delivery: &Delivery,
        now: jiff::Timestamp,
    ) -> (SendResult, i64) {
        let late = || SendResult::Retry { after: None, status: None, error: "no answer".into() };
        let mut took = self.rng.range(10 * MILLI, 200 * MILLI);
        let line = self.line(agent, Link::Channel(number));
        let (mut there, mut back) = (true, true);
        match line {
            Some(Line::Cut) => there = false,
            Some(Line::Lossy(percent)) => {
                there = !self.rng.percent(percent);
                back = !self.rng.percent(percent);
            }
            Some(Line::Slow) => took += self.rng.range(0, 5 * SECOND),
            _ => {}
        }
        let mood = self.chats.get(&number).copied();
        if there && matches!(mood, None | Some(ChatMood::Forgetful)) {
            self.court.arrived(number, delivery);
            back &= mood.is_none();
        }
        if !there || !back {
            self.count("messages or their answers lost");
            return (late(), ATTEMPT_LIMIT);
        }
        let reply = reply(self.setup.services[number], mood);
        (judge(self.setup.services[number], &reply, now), took)
    }

    /// The rest of `Lane::step`.
    pub(crate) fn message_sent(
        &mut self,
        agent: usize,
        lane: usize,
        delivery: &Delivery,
        begun: i64,
        result: SendResult,
    ) {
        let ended = self.now_of(agent);
        let begun = Now {
            moment: ended.moment - std::time::Duration::from_micros((self.now - begun).try_into().unwrap()),
            wall: wall_at(begun + self.agents[agent].wall_offset),
        };
        let drops =
            self.sabotage == Sabotage::DroppingOutbox && !matches!(result, SendResult::Delivered { .. });
        let name = self.agents[agent].name();
        let notify = &self.setup.notify;
        let this = &mut self.agents[agent];
        let process = this.process.as_mut().unwrap();
        let entry = &mut process.lanes[lane];
        let case = Case {
            channel: &entry.channel,
            kept: entry.kept,
            agent: &name,
            seed: self.setup.seed,
            hearers: &|event: &Event| notify.channels_for(event.kind, event.severity),
            begun,
            ended,
        };
        let concluded = entry.memory.conclude(&case, delivery, result);
        let moved = !entry.kept && process.moved.remove(&delivery.id);
        if moved {
            process.unsaved.forget(delivery.id);
        }
        // `take_over` in `lane.rs`: the file has it meanwhile, under a number of its own, and the lane of the file goes on.
        let id = if moved { this.disk.delivery_of(delivery) } else { Some(delivery.id) };
        let id = id.unwrap_or(i64::MAX);
        let store = if entry.kept || moved { &mut this.disk } else { &mut process.unsaved };
        let number = if moved { lane - 1 } else { lane };
        let entry = &mut process.lanes[number];
        match store.record_attempt(id, &concluded) {
            Ok(()) => {
                entry.memory.unrecorded.remove(&id);
            }
            Err(_) => {
                entry.memory.unrecorded.insert(id, concluded);
            }
        }
        if drops {
            store.forget(id);
        }
        let entry = &mut process.lanes[lane];
        (entry.busy, entry.in_flight) = (false, None);
        self.wake_lanes(agent);
        self.set_lane(agent, lane, self.now);
        note!(self, "agent {agent} sent {} to {}", delivery.event.id, delivery.channel);
    }
}

fn reply(service: Service, mood: Option<ChatMood>) -> Reply {
    let body = match service {
        Service::Slack => "ok",
        Service::RocketChat => r#"{"success":true}"#,
        Service::Webhook => "",
    };
    match mood {
        None | Some(ChatMood::Forgetful) => Reply { status: 200, retry_after: None, body: body.into() },
        Some(ChatMood::Dead) => Reply { status: 503, retry_after: None, body: "down".into() },
        Some(ChatMood::Throttles) => {
            Reply { status: 429, retry_after: Some("7".into()), body: "slow down".into() }
        }
        // For a webhook of anybody's, 200 is success whatever it says.
        Some(ChatMood::Html) => {
            let status = if service == Service::Webhook { 302 } else { 200 };
            Reply { status, retry_after: None, body: "<html>log in</html>".into() }
        }
    }
}
