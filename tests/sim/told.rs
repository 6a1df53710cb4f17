//! What was said, kept and heard: no message is lost, and none tells what did not happen.

use std::collections::BTreeSet;

use failover::agent::Told;
use failover::decision::{Coordination, EventKind};
use failover::store::Delivery;
use providers::DomainName;

use crate::cast::{SECOND, Sets, Setup};
use crate::changes::Applied;
use crate::court::Court;
use crate::provider::words;

pub(crate) struct Said {
    pub(crate) agent: usize,
    at: i64,
    id: String,
    kind: EventKind,
    record: Option<DomainName>,
}

impl Court {
    pub(crate) fn said(&mut self, agent: usize, at: i64, events: &Told) {
        for (recorded, _) in events {
            let event = &recorded.event;
            let (id, record) = (recorded.id.clone(), event.record.clone());
            if let Some(work) = id.strip_suffix("-completed") {
                self.was_closed(work);
            }
            self.said.push(Said { agent, at, id, kind: event.kind, record });
        }
    }

    /// Events that an agent owes to channels from now on.
    pub(crate) fn kept(&mut self, agent: usize, events: &Told, on_disk: bool) {
        for (recorded, channels) in events {
            for channel in channels {
                let key = (agent, channel.as_str().to_owned(), recorded.id.clone());
                *self.owed.entry(key).or_default() |= on_disk;
            }
        }
    }

    /// A message that was told from memory is in the file now.
    pub(crate) fn handed_over(&mut self, agent: usize, delivery: &Delivery) {
        let key = (agent, delivery.channel.as_str().to_owned(), delivery.event.id.clone());
        self.owed.entry(key).and_modify(|kept| *kept = true);
    }

    /// A message came through.
    pub(crate) fn arrived(&mut self, _channel: usize, delivery: &Delivery) {
        let (recorded, event) = (&delivery.event, &delivery.event.event);
        let agent: usize = recorded.agent["agent-".len()..].parse().unwrap();
        let channel = delivery.channel.as_str().to_owned();
        *self.arrived.entry((agent, channel, recorded.id.clone())).or_default() += 1;
        // A second attempt of one change may have another motive: the fact is the same.
        let kind = if recorded.id.ends_with("-started") { "" } else { event.kind.as_str() };
        let words = format!("{kind} {:?} {}", event.record, event.summary);
        let known = self.words.entry((agent, recorded.id.clone())).or_insert_with(|| words.clone());
        if *known != words {
            let text = format!("{} is told as \"{known}\" and as \"{words}\"", recorded.id);
            return self.accuse("messages", text);
        }
        if let Some(work) = recorded.id.strip_suffix("-completed")
            && !self.happened(work, event.record.as_ref(), event.after.as_ref())
        {
            self.accuse("messages", format!("told, and never happened: {}", event.summary));
        }
        if event.kind == EventKind::ChangeByPeer
            && let Some(record) = &event.record
            && !self.touched.contains(record)
            && let Some((_, writer)) = event.summary.rsplit_once(" by agent-")
            && !self.applied.iter().any(|a| a.record == *record && a.agent.to_string() == writer)
        {
            self.accuse("messages", format!("told, and there was none: {}", event.summary));
        }
        if event.kind == EventKind::TargetDown
            && let Some(target) = &event.target
            && !self.failures.contains_key(&(agent, target.clone()))
        {
            self.accuse("messages", format!("{target} is told to be down, and never failed"));
        }
    }

    /// Did this change take effect, or did somebody else bring about the same?
    fn happened(
        &self,
        work: &str,
        record: Option<&DomainName>,
        after: Option<&failover::decision::Side>,
    ) -> bool {
        let values = after.map(|side| side.values.clone()).unwrap_or_default();
        let same = |sets: &Sets| {
            let held: Vec<String> = sets.values().flat_map(|set| set.values.to_strings()).collect();
            held.iter().collect::<BTreeSet<_>>() == values.iter().collect::<BTreeSet<_>>()
        };
        self.applied.iter().any(|a| a.work == work || (Some(&a.record) == record && same(&a.after)))
            || self.edits.iter().any(|(name, _, sets)| Some(name) == record && same(sets))
    }

    /// Once every chat works again and every lane is empty.
    /// What is fought for without end, and was changed when only messages still went on, need not be proved.
    pub(crate) fn hear_everyone(&mut self, setup: &Setup, since: i64) {
        let lost = self.owed.keys().find(|key| !self.arrived.contains_key(*key)).cloned();
        if let Some((agent, channel, id)) = lost {
            self.accuse("messages", format!("agent {agent} never told {channel} of {id}"));
        }
        let untold = self.applied.iter().find(|a| {
            !(self.was_told(a) || setup.is_contested(&a.record) && a.at > since || self.was_hidden(setup, a))
        });
        if let Some(a) = untold {
            let text = format!("nobody was told that {} became {} ({})", a.record, words(&a.after), a.work);
            self.accuse("messages", text);
        }
    }

    /// Without a marker nobody can know of a change that was not proved before another agent made one; nor of a request that
    /// the network delivered late or twice, if another change undid it before anybody looked. With one: not if a person put
    /// back an older.
    pub(crate) fn was_hidden(&self, setup: &Setup, change: &Applied) -> bool {
        let other = |a: &Applied| a.agent != change.agent || (change.late && a.work != change.work);
        let hides = |a: &Applied| a.record == change.record && a.at >= change.at && other(a);
        let marked = setup.policy.records[&change.record].coordination == Coordination::Zone;
        if marked { self.was_put_back(&change.record, change.at) } else { self.applied.iter().any(hides) }
    }

    /// Did the agent say that it was made?
    pub(crate) fn was_proved(&self, change: &Applied) -> bool {
        let id = format!("{}-completed", change.work);
        self.said.iter().any(|said| said.agent == change.agent && said.id == id)
    }

    fn was_told(&self, change: &Applied) -> bool {
        let of_the_change = |id: &str| {
            let work = id.strip_suffix("-completed");
            work.is_some_and(|work| self.change_of(work) == self.change_of(&change.work))
        };
        let of_it = |said: &Said| {
            said.agent == change.agent
                && said.at >= change.at
                && said.record.as_ref() == Some(&change.record)
                && matches!(
                    said.kind,
                    EventKind::FailoverFailed
                        | EventKind::FailbackFailed
                        | EventKind::AdjustFailed
                        | EventKind::DriftDetected
                        | EventKind::ChangeWithheld
                )
        };
        // What came late and was undone by a person before anybody looked is seen by nobody.
        let covered = || {
            let soon = |at: i64| at >= change.at && at < change.at + 60 * SECOND;
            self.edits.iter().any(|(name, at, _)| *name == change.record && soon(*at))
        };
        self.arrived.keys().any(|(agent, _, told)| *agent == change.agent && of_the_change(told))
            || self.said.iter().any(of_it)
            || self.amnesia.iter().any(|(agent, at)| *agent == change.agent && *at >= change.decided)
            || covered()
    }
}
