//! What the effects of one turn come to, in the order that a crash at any instruction survives. PURE, so that the
//! simulation in `tests/sim` runs this and no copy of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use providers::DomainName;

use super::restore::override_row;
use crate::decision::{
    Decision, Effect, Endpoint, Event, Now, Pace, ProviderId, Recorded, SavedRecord, Watch, WitnessId, Work,
};
use crate::notify::NotifySettings;
use crate::store::{Batch, ChangeRow, ChangeState, MarkerRow, RecordRow};

/// The effects of one turn, sorted by when they may be done: field by field, from the first to the last.
#[derive(Debug, Default)]
pub struct Agenda {
    /// What is to be probed and how often, and which live records are to be asked for; in the order of the effects.
    pub asks: Vec<Ask>,
    /// What is to be read.
    pub reads: BTreeMap<ProviderId, Vec<DomainName>>,
    /// What must outlive us, for one transaction, before anything is written.
    pub batch: Batch,
    /// What is to be written, once the batch is kept.
    pub writes: BTreeMap<ProviderId, Vec<Arc<Work>>>,
    /// Changes whose way to the servers is to be watched.
    pub watches: Vec<Watch>,
}

/// Something that changes nothing but what will be known.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Probe an endpoint at this pace.
    Pace(Endpoint, Pace),
    /// Probe a witness at this pace.
    WitnessPace(WitnessId, Pace),
    /// Probe every witness now.
    ProbeWitnesses,
    /// Probe every endpoint now.
    ProbeTargets,
    /// Probe this endpoint now.
    Probe(Endpoint),
    /// Ask the authoritative servers once.
    Look(DomainName),
}

/// What is needed to sort effects.
pub struct Desk<'a> {
    /// What it says of itself is kept.
    pub decision: &'a Decision,
    /// Gives events their identity.
    pub scribe: &'a mut Scribe,
    /// Who hears of which event.
    pub notify: &'a NotifySettings,
    /// Changes begun and not closed, as they are kept.
    pub open: &'a mut BTreeMap<String, Arc<ChangeRow>>,
    /// The provider of a record.
    pub provider_of: &'a dyn Fn(&DomainName) -> ProviderId,
}

impl Agenda {
    /// Sorts the effects of one turn.
    pub fn of(effects: Vec<Effect>, now: &Now, desk: Desk<'_>) -> Agenda {
        let Desk { decision, scribe, notify, open, provider_of } = desk;
        let mut agenda = Agenda::default();
        let batch = &mut agenda.batch;
        // Of each of ten thousand records the decision may want the same one probed.
        let mut probed = BTreeSet::new();
        for effect in effects {
            match effect {
                Effect::Pace(endpoint, pace) => agenda.asks.push(Ask::Pace(endpoint, pace)),
                Effect::WitnessPace(witness, pace) => agenda.asks.push(Ask::WitnessPace(witness, pace)),
                Effect::Probe(endpoint) => {
                    if probed.insert(endpoint.clone()) {
                        agenda.asks.push(Ask::Probe(endpoint));
                    }
                }
                Effect::ProbeWitnesses => agenda.asks.push(Ask::ProbeWitnesses),
                Effect::ProbeTargets => agenda.asks.push(Ask::ProbeTargets),
                Effect::Look(record) => agenda.asks.push(Ask::Look(record)),
                Effect::Read(record) => agenda.reads.entry(provider_of(&record)).or_default().push(record),
                Effect::Watch(watch) => agenda.watches.push(*watch),
                Effect::Say(event, key) => {
                    let channels = notify.channels_for(event.kind, event.severity);
                    batch.events.push((scribe.record(*event, key), channels));
                }
                Effect::KeepTarget(target) => batch.trackers.extend(decision.saved_target(&target, now)),
                Effect::KeepRecord(record) => batch.records.extend(record_row(decision, &record, now)),
                Effect::KeepOverride(order) => {
                    batch.overrides.push((order.key(), Some(override_row(&order, now))));
                }
                Effect::DropOverride(key) => batch.overrides.push((key, None)),
                Effect::Write(work) => {
                    let row = Arc::new(change_row(scribe, &work, now));
                    open.insert(row.id.clone(), Arc::clone(&row));
                    batch.changes.push(row);
                    batch.records.extend(record_row(decision, work.swap.name(), now));
                    agenda.writes.entry(provider_of(work.swap.name())).or_default().push(work);
                }
                Effect::Close { change, happened } => {
                    if let Some(row) = open.remove(&change) {
                        let mut row = Arc::unwrap_or_clone(row);
                        row.state = if happened { ChangeState::Completed } else { ChangeState::Failed };
                        row.ended = Some(now.wall);
                        batch.changes.push(Arc::new(row));
                    }
                }
            }
        }
        agenda
    }
}

/// Gives events their identity.
#[derive(Clone, Debug)]
pub struct Scribe {
    agent: String,
    nonce: u64,
    counter: u64,
}

impl Scribe {
    /// `nonce` is another one for every start, so that no two events of one agent are the same by accident.
    pub fn new(agent: String, nonce: u64) -> Self {
        Scribe { agent, nonce, counter: 0 }
    }

    /// An event with its identity. `key` makes it one for ever: told again after a crash it is the same event.
    pub fn record(&mut self, event: Event, key: Option<String>) -> Recorded {
        let id = key.unwrap_or_else(|| {
            self.counter += 1;
            format!("evt-{}-{:08x}-{}", event.time.as_microsecond(), self.nonce & 0xffff_ffff, self.counter)
        });
        Recorded { id, agent: self.agent.clone(), event }
    }
}

/// Everything at once: at the end.
pub fn whole(decision: &Decision, now: &Now) -> Batch {
    Batch {
        trackers: decision.saved_trackers(now),
        records: decision.record_names().filter_map(|name| record_row(decision, name, now)).collect(),
        ..Batch::default()
    }
}

pub(super) fn record_row(decision: &Decision, name: &DomainName, now: &Now) -> Option<RecordRow> {
    let SavedRecord { current, last_change, incident, said, penalty, marker, own_ttl } =
        decision.saved_record(name, now)?;
    let last_change = last_change.map(|moment| now.wall_of(moment));
    let marker = marker.map(|known| MarkerRow::new(known, now));
    let name = name.clone();
    Some(RecordRow { name, current, last_change, incident, said, penalty, marker, own_ttl })
}

fn change_row(scribe: &mut Scribe, work: &Work, now: &Now) -> ChangeRow {
    ChangeRow {
        id: work.id.clone(),
        record: work.swap.name().clone(),
        state: ChangeState::Started,
        started: now.wall,
        ended: None,
        completed_event: scribe.record(work.completed.clone(), Some(format!("{}-completed", work.id))),
        targets: work.targets.clone(),
        before: work.swap.before.sets.clone(),
        after: work.swap.after.clone(),
        marker_before: work.swap.before.marker.clone(),
        marker: work.swap.marker.clone(),
    }
}
