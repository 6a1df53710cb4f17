//! What is known of one record, and how far its reconciliation has come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use providers::{AnswerSets, DomainName, Fault, RecordSet, RecordType, Snapshot};

use super::{
    Effect, Flapping, Hold, KnownMarker, Moment, OwnTtl, Penalty, Phases, Place, Refusal, TargetId, Wish,
    Work,
};

/// How far the reconciliation of a record has come.
///
/// ```text
/// Idle -> Reading -> (in sync | refused | held) -> Idle
///                 -> Writing -> Confirming -> Idle
/// ```
/// Every step that can fail leads back to Reading: nothing is ever written on an old picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Phase {
    /// Nothing under way.
    #[default]
    Idle,
    /// Waiting for what the provider holds.
    Reading,
    /// Waiting for the end of a write.
    Writing(Arc<Work>),
    /// Written, or perhaps written; waiting for the proof.
    Confirming {
        /// What was written.
        work: Arc<Work>,
        /// What is known of it so far.
        word: Word,
        /// Readings that contradicted it so far.
        tries: u32,
    },
}

/// What is known of a write that waits for its proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The provider said that it was written.
    Acknowledged,
    /// It was sent; whether it was written is not known.
    Unknown,
    /// An earlier run began it.
    EarlierRun,
}

/// A change on its way to the authoritative servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The change.
    pub(super) change: String,
    /// The incident it belongs to, which may be over by now.
    pub(super) incident: Option<String>,
    /// When it was decided, and what is known of the time since its first failure.
    pub(super) phases: (Moment, Option<Phases>),
}

/// One record.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordState {
    /// The targets that serve now, in order of priority.
    pub(super) current: Vec<TargetId>,
    /// What the provider held when it was last read.
    pub(super) snapshot: Option<Snapshot>,
    /// Where that leads: both are set by [`RecordState::shows`].
    pub(super) published: BTreeSet<Place>,
    /// Since when the provider was seen to hold that; `None` when it held it already at the first reading.
    pub(super) shown_since: Option<Moment>,
    /// What should be there as far as we know: our last confirmed change, or the first reading.
    pub(super) settled: Option<BTreeMap<RecordType, RecordSet>>,
    pub(super) phase: Phase,
    /// No reading or writing before this.
    pub(super) retry_at: Option<Moment>,
    /// Readings in a row that failed.
    pub(super) faults: u32,
    /// Writes in a row that failed, whatever the readings between them said.
    pub(super) write_faults: u32,
    /// The last fault.
    pub(super) fault: Option<Fault>,
    /// Conflicts in a row.
    pub(super) conflicts: u32,
    /// When the record was last changed by us.
    pub(super) last_change: Option<Moment>,
    /// The last marker that was followed.
    pub(super) marker: Option<KnownMarker>,
    /// A marker that cannot be followed: its generation and when it says it was written, and since when it is seen.
    pub(super) odd_marker: Option<(u64, jiff::Timestamp, Moment)>,
    /// What its changes add up to: see [`Guard::Flapping`](super::Guard::Flapping).
    pub(super) penalty: Option<Penalty>,
    /// Since when it waits for its turn: see [`Guard::Velocity`](super::Guard::Velocity).
    pub(super) queued: Option<Moment>,
    /// What an earlier run kept and cannot be true: to be told at the start.
    pub(super) corrected: Option<String>,
    pub(super) failback_asked: bool,
    /// The reading under way asks the old provider, or for the old settings: its result is worth nothing.
    pub(super) reread: bool,
    /// A record that joined a running agent is held this long while a target has no verdict.
    pub(super) settles_until: Option<Moment>,
    pub(super) incident: Option<String>,
    /// What was said and must not be said twice, by topic.
    pub(super) said: BTreeMap<String, String>,
    pub(super) wish: Option<Wish>,
    pub(super) hold: Option<Hold>,
    pub(super) refusal: Option<Refusal>,
    /// The wish that was refused: another one may be tried at once.
    pub(super) refused: Option<Wish>,
    /// In a dry run: what would be written.
    pub(super) pending: Option<Arc<Work>>,
    /// Changes confirmed in this run.
    pub(super) changes: u32,
    /// What each authoritative server served when last asked, and how often in a row it was not what the provider holds.
    pub(super) live: BTreeMap<String, (super::Seen, u32)>,
    /// When the provider acknowledged the last write.
    pub(super) written: Option<Moment>,
    /// The change that is on its way to the authoritative servers.
    pub(super) propagating: Option<Arrival>,
    /// A write that was sent and was not there when we looked: it may still come, or have been hidden by a late reader.
    pub(super) doubt: Option<Arc<Work>>,
    /// The id of that write was given by an earlier run, and nobody knows any more what was told under it: with a full
    /// disk, messages go out that the state file never hears of.
    pub(super) doubt_has_old_id: bool,
    /// What the provider makes of our TTL although its `normalize` does not say so.
    pub(super) own_ttl: Option<OwnTtl>,
    /// How long a cache may hold the answer before our last change.
    pub(super) cached_for: Option<Duration>,
    /// Until when caches may hold the old answer.
    pub(super) effective_by: Option<Moment>,
}

/// Conflicts in a row that are read again at once; after that the usual back-off.
pub(super) const CONFLICTS_AT_ONCE: u32 = 3;
/// Readings that may contradict a write before it counts as failed: a provider's readers can be late.
pub(super) const CONFIRM_TRIES: u32 = 6;
/// The longest pause between two attempts, and between two looks at a refused wish.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(30);
/// The longest a provider may make us wait in one go, whatever its Retry-After says.
const THROTTLE_MAX: Duration = Duration::from_mins(5);

impl RecordState {
    /// The provider holds this now. Gives what it held before.
    pub(super) fn shows(&mut self, snapshot: Snapshot) -> Option<Snapshot> {
        if self.snapshot.as_ref().is_none_or(|before| before.sets != snapshot.sets) {
            self.published = Place::published(&snapshot);
        }
        self.snapshot.replace(snapshot)
    }

    /// Does the name hold this answer, as last read, or what its provider is known to make of it?
    pub(super) fn holds(&self, after: &AnswerSets) -> bool {
        let Some(snapshot) = &self.snapshot else { return false };
        snapshot.holds(after) || self.own_ttl.is_some_and(|own| own.accepts(after, &snapshot.sets))
    }

    /// An earlier attempt of this change may still turn out to have happened: it is not closed yet.
    pub(super) fn may_still_hear_of(&self, work: &Work) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| doubt.id == work.id)
    }

    /// Reads what the provider holds.
    pub(super) fn begin_read(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        self.phase = Phase::Reading;
        self.retry_at = None;
        out.push(Effect::Read(name.clone()));
    }

    /// It is known whether the name holds the wish: where it does not, a reading comes first.
    pub(super) fn seek(&mut self, now: Moment, in_sync: bool, name: &DomainName, out: &mut Vec<Effect>) {
        if in_sync {
            self.enter_sync(name, out);
        } else if self.is_ready(now) && self.pending.is_none() {
            self.begin_read(name, out);
        }
    }

    /// The name holds the wish: see `Decision::enter_sync`.
    pub(super) fn enter_sync(&mut self, name: &DomainName, out: &mut Vec<Effect>) {
        let held = self.snapshot.as_ref().map(|snapshot| &snapshot.sets);
        if self.settled.as_ref() != held {
            self.settled = held.cloned();
        }
        if let Some(wish) = self.wish.as_ref().filter(|wish| wish.targets != self.current) {
            self.current.clone_from(&wish.targets);
            out.push(Effect::KeepRecord(name.clone()));
        }
        self.refusal = None;
        self.refused = None;
        for topic in ["withheld", "failed", "drift"] {
            self.said.remove(topic);
        }
        if self.faults == 0 {
            self.retry_at = None;
        }
    }

    /// Another attempt of the change in doubt: whichever of them arrives, it is told once, under one id. That is the one
    /// of the attempt before, or, where an earlier run gave that one, a new one: a receiver that drops repeated ids may
    /// have heard under the old one of a change that somebody undid since.
    pub(super) fn shares_id(&mut self, work: &mut Work, out: &mut Vec<Effect>) {
        let is_old = std::mem::take(&mut self.doubt_has_old_id);
        let Some(doubt) = &mut self.doubt else { return };
        if is_old {
            let change = std::mem::replace(&mut Arc::make_mut(doubt).id, work.id.clone());
            out.push(Effect::Close { change, happened: false });
        } else {
            work.id.clone_from(&doubt.id);
        }
    }

    /// The doubtful change is not what is wanted now.
    pub(super) fn drop_doubt(&mut self, out: &mut Vec<Effect>) {
        if let Some(doubt) = self.doubt.take() {
            out.push(Effect::Close { change: doubt.id.clone(), happened: false });
        }
    }

    /// May something be begun now?
    pub(super) fn is_ready(&self, now: Moment) -> bool {
        self.phase == Phase::Idle && self.retry_at.is_none_or(|at| now >= at)
    }

    /// The record was changed by us, or may have been for a moment.
    pub(super) fn was_changed(&mut self, at: Moment, flapping: &Flapping) {
        self.last_change = self.last_change.max(Some(at));
        self.penalty = Some(Penalty::after_change(self.penalty, at, flapping));
        // One suppression is over, or another one begins.
        self.said.remove("flapping");
    }

    /// A person knows of it: the past no longer counts against a change.
    pub(super) fn on_ack(&mut self) {
        self.penalty = None;
        for topic in ["withheld", "flapping"] {
            self.said.remove(topic);
        }
    }

    /// When something was last written that may have come to be: a change, or one that is doubtful or under way.
    pub(super) fn perhaps_written(&self) -> Option<Moment> {
        let open = match &self.phase {
            Phase::Writing(work) | Phase::Confirming { work, .. } => Some(work.decided),
            Phase::Idle | Phase::Reading => None,
        };
        self.last_change.max(open).max(self.doubt.as_ref().map(|doubt| doubt.decided))
    }

    /// Has this topic been told in these words already? Remembers it.
    pub(super) fn says_anew(&mut self, topic: &str, words: &str) -> bool {
        if self.said.get(topic).is_some_and(|known| known == words) {
            return false;
        }
        self.said.insert(topic.to_owned(), words.to_owned());
        true
    }

    /// A reading failed: when to try again. 1 s, 2 s, 4 s … 30 s, or as the provider asks.
    pub(super) fn back_off(&mut self, now: Moment, fault: Fault) {
        self.faults = self.faults.saturating_add(1);
        self.pause(now, self.faults, fault);
    }

    /// A write failed: likewise, counted by itself, because the readings between the writes may all be good.
    pub(super) fn back_off_writing(&mut self, now: Moment, fault: Fault) {
        self.write_faults = self.write_faults.saturating_add(1);
        self.pause(now, self.write_faults, fault);
    }

    fn pause(&mut self, now: Moment, times: u32, fault: Fault) {
        let usual = Duration::from_secs(1 << times.saturating_sub(1).min(5)).min(RETRY_MAX);
        let pause = match &fault {
            Fault::Throttled { after: Some(after), .. } => (*after).clamp(usual, THROTTLE_MAX.max(usual)),
            _ => usual,
        };
        self.retry_at = Some(now + pause);
        self.fault = Some(fault);
    }

    /// The write under way, which has come to an end; `None`, and nothing changes, when none is.
    pub(super) fn take_writing(&mut self) -> Option<Arc<Work>> {
        match std::mem::take(&mut self.phase) {
            Phase::Writing(work) => Some(work),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// A reading worked: the next one that fails is the first again.
    pub(super) fn calm(&mut self) {
        self.faults = 0;
        self.fault = None;
        self.retry_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::at;
    use super::*;

    /// A provider that says for how long is waited for, within reason.
    #[test]
    fn the_pause_after_a_failure_grows_and_heeds_what_the_provider_asks_for() {
        let throttled = |after| Fault::Throttled { after, detail: "429".into() };
        let table = [
            (1, Fault::Unavailable("down".into()), 1),
            (3, Fault::Unavailable("down".into()), 4),
            (99, Fault::Unavailable("down".into()), 30),
            (1, throttled(None), 1),
            (1, throttled(Some(Duration::from_secs(90))), 90),
            (99, throttled(Some(Duration::from_secs(2))), 30),
            (1, throttled(Some(Duration::from_hours(9))), 300),
        ];
        for (times, fault, seconds) in table {
            let mut state = RecordState::default();
            state.pause(at(10), times, fault.clone());
            assert_eq!(state.retry_at, Some(at(10 + seconds)), "{times} {fault:?}");
        }
    }
}
