//! `coordination: zone`: what the marker beside a record tells, and what every change of the record writes into it.
//! `marker.rs` has the marker itself.

use std::time::Duration;

use jiff::Timestamp;
use providers::{DomainName, RecordSet, Snapshot, Swap};
use serde::{Deserialize, Serialize};

use super::record::RecordState;
use super::{
    Coordination, Decision, Effect, Event, EventKind, Fate, Flapping, Guard, Judgement, KnownMarker, Marker,
    MarkerSeen, Moment, Now, PER_CHANGE, Penalty, RecordPolicy, Refusal, Side, TargetId, Work, fate, human,
    next_generation, say,
};

/// A marker may be so much ahead of our clock before anybody is told: two clocks are never quite the same.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

/// A record's marker, as a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerReport {
    /// Where it stands.
    pub name: String,
    /// The number of the last change; absent where there is no marker, or none that can be followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The agent that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// When, by that agent's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
    /// How long ago that is, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
    /// Why no change can be built on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// The most changes of one record that all its agents together can make within any `window`, whatever they see and
/// believe: the smaller of what `hold_down` and what `flapping` lets through. `failover ack` begins the second anew.
///
/// `hold_down`: two changes are at least that far apart. `flapping`: before each change the penalty is below `suppress`,
/// each change adds [`PER_CHANGE`], and time takes away at most ln 2 / `half_life` of the [ceiling](Flapping::ceiling) in a unit
/// of it; what was added in the window was in it at the end or was taken away by time.
pub fn changes_at_most(window: Duration, hold_down: Duration, flapping: &Flapping) -> u64 {
    let apart = match window.as_nanos().checked_div(hold_down.as_nanos()) {
        Some(times) => u64::try_from(times).unwrap_or(u64::MAX).saturating_add(1),
        None => u64::MAX,
    };
    let halvings = window.as_secs_f64() / flapping.half_life.as_secs_f64().max(f64::MIN_POSITIVE);
    let ceiling = f64::from(flapping.ceiling()) / f64::from(PER_CHANGE);
    let damped = (ceiling * (1.0 + std::f64::consts::LN_2 * halvings)).floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "more than 0; `as` saturates"
    )]
    let damped = damped as u64;
    apart.min(damped)
}

/// When a record in this state was last changed: see [`Decision::held_since`].
pub(super) fn held_since(record: &RecordPolicy, state: &RecordState) -> Option<Moment> {
    let by_marker = match record.coordination {
        Coordination::Zone => state.marker.as_ref().map(|marker| marker.changed),
        Coordination::None => None,
    };
    state.last_change.max(by_marker)
}

impl Decision {
    /// What stands at the marker's name, as last read; `None` for a record without one.
    fn marker_seen(&self, name: &DomainName) -> Option<MarkerSeen> {
        let zone = self.record(name).coordination == Coordination::Zone;
        let snapshot = self.records.get(name)?.snapshot.as_ref().filter(|_| zone)?;
        Some(MarkerSeen::parse(snapshot.marker.as_ref()))
    }

    /// Why nothing may be written beside the marker that was read, if so.
    pub(super) fn marker_trouble(&self, name: &DomainName) -> Option<Refusal> {
        let seen = self.marker_seen(name)?;
        next_generation(name, &seen, self.records.get(name)?.marker.as_ref()).err()
    }

    /// What became of a write, by the marker that it carried.
    pub(super) fn fate_by_marker(&self, name: &DomainName, work: &Work, same_values: bool) -> Fate {
        let MarkerSeen::Known(ours) = MarkerSeen::parse(work.swap.marker.as_ref()) else {
            return Fate::Unsaid;
        };
        self.marker_seen(name).map_or(Fate::Unsaid, |seen| fate(&ours, &seen, same_values))
    }

    /// A write of ours was proved: its marker is no news.
    pub(super) fn remember_own_marker(&mut self, now: &Now, name: &DomainName, work: &Work) {
        let MarkerSeen::Known(ours) = MarkerSeen::parse(work.swap.marker.as_ref()) else { return };
        let found = self.marker_seen(name).and_then(|seen| seen.known().cloned());
        // Another attempt of the same change.
        let ours = found.filter(|found| found.generation() == ours.generation()).unwrap_or(ours);
        self.remember_marker(now, name, &ours, now.moment);
    }

    fn remember_marker(&mut self, now: &Now, name: &DomainName, marker: &Marker, changed: Moment) {
        let flapping = self.record(name).flapping;
        let state = self.state(name);
        state.marker = Some(KnownMarker {
            generation: marker.generation(),
            writer: marker.writer().to_owned(),
            written: marker.changed(),
            changed: changed.min(now.moment),
        });
        state.penalty = Some(Penalty { value: marker.penalty().min(flapping.ceiling()), at: changed });
    }

    /// The marker that was just read: what it tells is taken over, what is wrong with it is told. Returns whether the
    /// record was changed by another agent, or by a write of ours that nobody waited for any more.
    pub(super) fn follow_marker(
        &mut self,
        now: &Now,
        name: &DomainName,
        before: Option<&Snapshot>,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(seen) = self.marker_seen(name) else { return false };
        if let Some(refusal) = self.marker_trouble(name) {
            if let Some(odd) = seen.known() {
                let found = (odd.generation(), odd.changed());
                let state = self.state(name);
                if state.odd_marker.is_none_or(|(generation, written, _)| (generation, written) != found) {
                    state.odd_marker = Some((found.0, found.1, now.moment));
                }
            }
            self.suspect(now, name, "marker", refusal.text, Some(refusal.remedy), out);
            return false;
        }
        let known = self.records[name].marker.clone();
        let MarkerSeen::Known(marker) = seen else {
            if let Some(known) = known {
                let text = format!(
                    "the marker of {name} is gone; the last one had generation {} by {}",
                    known.generation, known.writer
                );
                self.suspect(now, name, "marker", text, None, out);
            }
            return false;
        };
        self.state(name).said.remove("marker");
        if known.as_ref().is_some_and(|known| known.generation >= marker.generation()) {
            return false;
        }
        // Whoever watched while it was written knows that it is no older than this reading, whatever the writer's clock
        // said and however long the write took. Whoever has just come can only believe the clocks.
        let watched = known.is_some() || before.is_some();
        let changed = if watched { now.moment } else { now.moment_of(marker.changed()) };
        self.doubt_marker(now, name, &marker, out);
        self.remember_marker(now, name, &marker, changed);
        out.push(Effect::KeepRecord(name.clone()));
        if watched {
            let event = self.changed_by_peer(now, name, before, known.as_ref(), &marker);
            out.push(Effect::Say(Box::new(event), None));
        }
        watched
    }

    /// Tells of numbers in a marker that cannot be right.
    fn doubt_marker(&mut self, now: &Now, name: &DomainName, marker: &Marker, out: &mut Vec<Effect>) {
        let ahead = Duration::try_from(marker.changed().duration_since(now.wall)).unwrap_or_default();
        if ahead > CLOCKS_DIFFER {
            let (writer, ahead) = (marker.writer(), human(ahead));
            if self.state(name).says_anew("clock", writer) {
                let text = format!("the clock of {writer} is {ahead} ahead of ours, by the marker of {name}");
                let remedy = format!(
                    "set both clocks right; until then {name} counts its changes from when they are seen"
                );
                self.tell_suspicion(now, name, text, Some(remedy), out);
            }
        }
        let ceiling = self.record(name).flapping.ceiling();
        if marker.penalty() > ceiling {
            let text = format!(
                "the marker of {name} has a penalty of {}; {ceiling} is the most that can be, and counts",
                marker.penalty()
            );
            let remedy = "give all agents the same `flapping` for this record".to_owned();
            if self.state(name).says_anew("penalty", marker.writer()) {
                self.tell_suspicion(now, name, text, Some(remedy), out);
            }
        }
    }

    fn suspect(
        &mut self,
        now: &Now,
        name: &DomainName,
        topic: &str,
        text: String,
        remedy: Option<String>,
        out: &mut Vec<Effect>,
    ) {
        if self.state(name).says_anew(topic, &text) {
            self.tell_suspicion(now, name, text, remedy, out);
            out.push(Effect::KeepRecord(name.clone()));
        }
    }

    fn tell_suspicion(
        &self,
        now: &Now,
        name: &DomainName,
        text: String,
        remedy: Option<String>,
        out: &mut Vec<Effect>,
    ) {
        let mut event = Event::new(EventKind::MarkerSuspect, now.wall, text);
        event.record = Some(name.clone());
        event.next = Some(match self.marker_trouble(name) {
            Some(_) => "until then every change of the record is withheld".into(),
            None => "changes go on, each with the next generation".into(),
        });
        event.remedy = remedy;
        out.push(Effect::Say(Box::new(event), None));
    }

    fn changed_by_peer(
        &self,
        now: &Now,
        name: &DomainName,
        before: Option<&Snapshot>,
        known: Option<&KnownMarker>,
        marker: &Marker,
    ) -> Event {
        let record = self.record(name);
        let side = |snapshot| say::side(&self.policy, record, snapshot);
        let after = self.records[name].snapshot.as_ref().map(side);
        let to = after.as_ref().map(Side::to_string).unwrap_or_default();
        let by = if marker.writer() == self.policy.agent {
            "by an earlier write of this agent".to_owned()
        } else {
            format!("by {}", marker.writer())
        };
        let summary = format!("{name} was changed to {to} {by}");
        let mut event = Event::new(EventKind::ChangeByPeer, now.wall, summary);
        event.record = Some(name.clone());
        event.before = before.map(side);
        event.after = after;
        event.since = Some(marker.changed().min(now.wall));
        let was = known.map_or_else(String::new, |known| format!(", after generation {}", known.generation));
        event.reason = Some(format!("its marker has generation {}{was}", marker.generation()));
        event.next = Some(format!("nothing to do; hold_down ({}) counts from now", human(record.hold_down)));
        event.incident = self.incident_of(name);
        event
    }

    /// When the record was last changed, by us or by another agent: what `hold_down` counts from.
    pub(super) fn held_since(&self, name: &DomainName) -> Option<Moment> {
        held_since(self.record(name), self.records.get(name)?)
    }

    /// A judgement under the marker: a write carries the next one, and is refused where none can be written.
    pub(super) fn under_marker(
        &self,
        now: &Now,
        record: &RecordPolicy,
        targets: &[TargetId],
        judgement: Judgement,
    ) -> Judgement {
        if record.coordination == Coordination::None {
            return judgement;
        }
        // What needs a person speaks before what needs only time.
        let (swap, patient) = match judgement {
            Judgement::Write(swap) => (swap, None),
            Judgement::Refused { refusal, withheld } if refusal.until.is_some() => (withheld, Some(refusal)),
            other => return other,
        };
        match self.marked(now, record, targets, swap.clone()) {
            Err(refusal) => Judgement::Refused { refusal, withheld: swap },
            Ok(swap) => match patient {
                Some(refusal) => Judgement::Refused { refusal, withheld: swap },
                None => Judgement::Write(swap),
            },
        }
    }

    fn marked(
        &self,
        now: &Now,
        record: &RecordPolicy,
        targets: &[TargetId],
        swap: Swap,
    ) -> Result<Swap, Refusal> {
        let name = &record.name;
        if !self.faces.get(&record.provider).is_some_and(|face| face.marker) || name.marker().is_none() {
            return Err(Refusal {
                guard: Guard::Capability,
                text: format!(
                    "{name} needs a marker beside it, and its provider cannot change both in one transaction"
                ),
                remedy: format!(
                    "use a provider that can (docs/providers.md has the table), or `coordination: none` and one agent \
                     for {name}"
                ),
                until: None,
            });
        }
        let state = &self.records[name];
        let seen = MarkerSeen::parse(swap.before.marker.as_ref());
        let generation = next_generation(name, &seen, state.marker.as_ref())?;
        let penalty = Penalty::after_change(state.penalty, now.moment, &record.flapping);
        let marker = Marker::new(generation, &self.policy.agent, now.wall, targets, penalty.value);
        let Some(marker) = marker else {
            return Err(Refusal {
                guard: Guard::Capability,
                text: format!("`{}` cannot stand in the marker of {name}", self.policy.agent),
                remedy: "set `agent.id` to 1 to 64 of A-Z a-z 0-9 . _ -, another one for each agent".into(),
                until: None,
            });
        };
        Ok(Swap { marker: Some(marker.record_set(record.ttl)), ..swap })
    }

    /// A person says that the marker is right as it is: from now on changes are built on it. `hold_down` goes on: what
    /// the marker stands for was there when it was first seen, and not long before, for all that we know.
    pub(super) fn accept_marker(&mut self, now: &Now, name: &DomainName) -> bool {
        let Some(MarkerSeen::Known(marker)) = self.marker_seen(name) else { return false };
        let Some(known) = &self.records[name].marker else { return false };
        if (known.generation, known.written) == (marker.generation(), marker.changed()) {
            return false;
        }
        let found = (marker.generation(), marker.changed());
        let odd =
            self.records[name].odd_marker.filter(|(generation, written, _)| (*generation, *written) == found);
        let changed = known.changed.max(odd.map_or(now.moment, |(.., since)| since));
        self.remember_marker(now, name, &marker, changed);
        self.state(name).said.remove("marker");
        true
    }

    pub(super) fn marker_report(&self, now: &Now, name: &DomainName) -> Option<MarkerReport> {
        let seen = self.marker_seen(name)?;
        let marker = seen.known();
        let age = marker.map(|marker| now.moment.since(now.moment_of(marker.changed())).as_secs());
        Some(MarkerReport {
            name: name.marker().map(|name| name.to_string()).unwrap_or_default(),
            generation: marker.map(Marker::generation),
            writer: marker.map(|marker| marker.writer().to_owned()),
            changed: marker.map(Marker::changed),
            age_s: age,
            trouble: self.marker_trouble(name).map(|refusal| refusal.text),
        })
    }
}

/// The generation that a swap writes, if it writes a marker.
pub(super) fn generation_of(marker: Option<&RecordSet>) -> Option<u64> {
    MarkerSeen::parse(marker).known().map(Marker::generation)
}

#[cfg(test)]
mod tests;
