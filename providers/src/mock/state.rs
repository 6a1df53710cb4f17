//! The zones in their place, in memory or in a file, with the book that is kept about every write.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::audit::{Chain, audit};
use super::faults::{Edit, Script};
use super::file::ZoneFile;
use super::zone::{Node, StoredSet, TtlRule, ZoneState, Zones, changes_between};
use crate::{Change, DomainName, Fault, Swap, Ttl};

/// How many writes the journal remembers.
const JOURNAL: usize = 1024;
/// How many earlier states a stale read can show.
const HISTORY: usize = 32;

/// Who made a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A swap through the provider.
    Swap,
    /// A test, or a scripted intruder.
    Edit,
}

/// One write that changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Who made it.
    pub author: Author,
    /// In which zone.
    pub zone: DomainName,
    /// The zone's serial after it.
    pub serial: u32,
    /// Which answer sets it changed, by name and type. Empty when only other types changed.
    pub changes: Vec<Change>,
}

#[derive(Debug)]
enum Storage {
    Memory(Mutex<Zones>),
    File(ZoneFile),
}

/// What is known about the writes made through this provider.
#[derive(Debug, Default)]
struct Book {
    journal: VecDeque<Write>,
    writes: u64,
    violations: Vec<String>,
    history: VecDeque<Zones>,
    chain: Chain,
}

/// How a swap is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    Half,
}

#[derive(Debug)]
pub(super) struct State {
    storage: Storage,
    book: Mutex<Book>,
    script: Mutex<Script>,
    rule: Mutex<TtlRule>,
}

/// A panic elsewhere while the lock was held leaves values that are whole: each is replaced in one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn in_memory(zones: Zones) -> Self {
        State::new(Storage::Memory(Mutex::new(zones)))
    }

    pub(super) fn in_file(file: ZoneFile) -> Self {
        State::new(Storage::File(file))
    }

    fn new(storage: Storage) -> Self {
        let rule = TtlRule { min: Ttl(0), max: Ttl::MAX, silent: None };
        State { storage, book: Mutex::default(), script: Mutex::default(), rule: Mutex::new(rule) }
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        locked(&self.script)
    }

    pub(super) fn rule(&self) -> TtlRule {
        *locked(&self.rule)
    }

    pub(super) fn set_rule(&self, change: impl FnOnce(&mut TtlRule)) {
        change(&mut locked(&self.rule));
    }

    /// What stands there now. A file is read each time: a person may have edited it.
    pub(super) fn zones(&self) -> Result<Zones, Fault> {
        match &self.storage {
            Storage::Memory(zones) => Ok(locked(zones).clone()),
            Storage::File(file) => file.load().map_err(|error| file.fault(&error)),
        }
    }

    /// Could a swap be stored?
    pub(super) fn may_write(&self) -> Result<(), Fault> {
        match &self.storage {
            Storage::Memory(_) => Ok(()),
            Storage::File(file) => file.may_replace(),
        }
    }

    /// The same without blocking the runtime.
    pub(super) async fn look(self: &Arc<Self>) -> Result<Zones, Fault> {
        self.blocking(State::zones).await
    }

    /// Runs what may wait for a disk where that hurts nobody. A caller who gives up does not stop it: the write may
    /// still happen, as with any server.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&State) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        if matches!(self.storage, Storage::Memory(_)) {
            return job(self);
        }
        let state = self.clone();
        let done = tokio::task::spawn_blocking(move || job(&state)).await;
        done.unwrap_or_else(|error| {
            Err(Fault::Unknown(format!("the work on the zone file ended early: {error}")))
        })
    }

    /// The state so many writes ago, or the oldest that is remembered.
    pub(super) fn stale(&self, writes_ago: usize) -> Result<Zones, Fault> {
        let remembered = {
            let book = locked(&self.book);
            let place = book.history.len().saturating_sub(writes_ago.max(1));
            book.history.get(place).cloned()
        };
        remembered.map_or_else(|| self.zones(), Ok)
    }

    /// Compares and writes in one step, audited before it is written.
    pub(super) fn swap(&self, zone: &DomainName, swaps: &[Swap], extent: Extent) -> Result<u32, Fault> {
        let rule = self.rule();
        let names: BTreeSet<DomainName> = swaps.iter().map(|swap| swap.name().clone()).collect();
        let change = |now: &Zones| {
            let next = match extent {
                Extent::Whole => now.swapped(zone, swaps, rule)?,
                Extent::Half => now.half_swapped(zone, swaps, rule)?,
            };
            if next == *now {
                return Ok(None);
            }
            let mut breaches = audit(now, &next, zone, &names);
            let mut book = locked(&self.book);
            if matches!(self.storage, Storage::Memory(_)) {
                // Nobody edits our memory behind our back; a file they may.
                breaches.extend(book.chain.audit(now, zone, &names));
            }
            if breaches.is_empty() {
                return Ok(Some(next));
            }
            let text = breaches.join("; ");
            book.violations.append(&mut breaches);
            Err(Fault::Invalid(format!("the mock broke its own promise: {text}")))
        };
        let after = self.update(Author::Swap, change)?;
        Ok(after.0.get(zone).map_or(0, |state| state.serial))
    }

    /// Somebody else's write of the answer sets.
    pub(super) fn edit(&self, edit: &Edit) -> Result<(), Fault> {
        let change = |now: &Zones| {
            let node = now.find(&edit.name).and_then(|(_, zone)| zone.nodes.get(&edit.name));
            let others = node.map(|node| node.others.clone()).unwrap_or_default();
            let answer = edit.sets.iter().map(|set| (set.record_type(), set.clone())).collect();
            // An edit may be anything but a zone that no server would load.
            let node = Node::of(Node { answer, others }.stored()).map_err(Fault::Invalid)?;
            let next = now.edited(&edit.name, node)?;
            Ok((next != *now).then_some(next))
        };
        self.update(Author::Edit, change).map(drop)
    }

    /// Somebody else's write of everything at a name.
    pub(super) fn edit_all(&self, name: &DomainName, sets: Vec<StoredSet>) -> Result<(), Fault> {
        let node = Node::of(sets).map_err(Fault::Invalid)?;
        let change = |now: &Zones| {
            let next = now.edited(name, node)?;
            Ok((next != *now).then_some(next))
        };
        self.update(Author::Edit, change).map(drop)
    }

    fn update(
        &self,
        author: Author,
        change: impl FnOnce(&Zones) -> Result<Option<Zones>, Fault>,
    ) -> Result<Zones, Fault> {
        let written = |before: &Zones, after: &Zones| self.enter(author, before, after);
        match &self.storage {
            Storage::File(file) => file.update(change, written),
            Storage::Memory(zones) => {
                let mut zones = locked(zones);
                if let Some(next) = change(&zones)? {
                    written(&zones, &next);
                    *zones = next;
                }
                Ok(zones.clone())
            }
        }
    }

    /// Enters a write into the book.
    fn enter(&self, author: Author, before: &Zones, after: &Zones) {
        let mut book = locked(&self.book);
        let (empty, nothing) = (ZoneState::default(), Node::default());
        for (zone, is) in &after.0 {
            let was = before.0.get(zone).unwrap_or(&empty);
            if was.nodes == is.nodes {
                continue;
            }
            let names: BTreeSet<&DomainName> = was.nodes.keys().chain(is.nodes.keys()).collect();
            let mut changes = Vec::new();
            for name in names {
                let (old, new) =
                    (was.nodes.get(name).unwrap_or(&nothing), is.nodes.get(name).unwrap_or(&nothing));
                if old != new {
                    changes.extend(changes_between(name, old, new));
                    book.chain.remember(name, new);
                }
            }
            book.writes += 1;
            book.journal.push_back(Write { author, zone: zone.clone(), serial: is.serial, changes });
        }
        book.history.push_back(before.clone());
        while book.journal.len() > JOURNAL {
            book.journal.pop_front();
        }
        while book.history.len() > HISTORY {
            book.history.pop_front();
        }
    }

    pub(super) fn writes(&self) -> u64 {
        locked(&self.book).writes
    }

    pub(super) fn journal(&self) -> Vec<Write> {
        locked(&self.book).journal.iter().cloned().collect()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        locked(&self.book).violations.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnswerSets, NonEmpty, RecordSet, Values};

    fn a(address: &str) -> RecordSet {
        RecordSet::new(Ttl(60), Values::A(NonEmpty::one(address.parse().expect("IPv4"))))
    }

    #[test]
    fn a_write_that_would_break_a_promise_is_not_made_and_is_told() {
        let (zone, www) = ("example.com".parse::<DomainName>(), "www.example.com".parse::<DomainName>());
        let (zone, www) = (zone.expect("a name"), www.expect("a name"));
        let state = State::in_memory(Zones([(zone.clone(), ZoneState::default())].into()));
        state.edit(&Edit { name: www.clone(), sets: vec![a("192.0.2.1")] }).expect("edited");
        // As if a write had been made that never came into the zone.
        locked(&state.book).chain.remember(&www, &Node::default());
        let before = state.zones().expect("there").snapshot(&zone, &www).expect("there");
        let after = AnswerSets::new([a("192.0.2.2")]).expect("an answer");
        let fault =
            state.swap(&zone, &[Swap::new(before, after)], Extent::Whole).expect_err("a broken chain");
        assert_eq!(fault.kind(), "invalid");
        assert_eq!(state.violations().len(), 1);
        assert_eq!(state.writes(), 1, "only the edit");
    }
}
