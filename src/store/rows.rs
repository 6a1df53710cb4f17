//! What is kept, as values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use providers::{DomainName, RecordSet, RecordType};
use serde::{Deserialize, Serialize};

use crate::decision::{
    ChannelId, Endpoint, EventKind, KeptPenalty, KnownMarker, Now, OverrideKey, OwnTtl, Recorded,
    SavedTracker, TargetId, What,
};

/// What is written together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// When, by the wall clock.
    pub at: Option<Timestamp>,
    /// Trackers to keep; replaces what was kept of the same endpoint.
    pub trackers: Vec<(Endpoint, SavedTracker)>,
    /// Records to keep; replaces what was kept of the same name.
    pub records: Vec<RecordRow>,
    /// Changes begun or ended; replaces what was kept of the same id.
    pub changes: Vec<Arc<ChangeRow>>,
    /// Overrides to keep, each in the place of an older one of its key, and those to keep no longer.
    pub overrides: Vec<(OverrideKey, Option<OverrideRow>)>,
    /// Events that happened, each with the channels that must hear of it. An id that is known already is left alone.
    pub events: Vec<(Recorded, Vec<ChannelId>)>,
    /// Deliveries that were made from memory, as they stand. What is kept of the same event and channel and still waits
    /// is replaced; their numbers here are not those of the file.
    pub deliveries: Vec<Delivery>,
}

/// What is kept of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRow {
    /// The name.
    pub name: DomainName,
    /// The targets last known to be published, in order of priority.
    pub current: Vec<TargetId>,
    /// When the record was last changed by us.
    pub last_change: Option<Timestamp>,
    /// The running incident, if there is one.
    pub incident: Option<String>,
    /// What was last said of this record and must not be said twice (a withheld change, all down), by topic.
    pub said: BTreeMap<String, String>,
    /// What its changes add up to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<KeptPenalty>,
    /// The last marker in the zone that was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<MarkerRow>,
    /// What the provider makes of our TTL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_ttl: Option<OwnTtl>,
}

/// What is kept of a marker: [`KnownMarker`] with the wall clock's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerRow {
    /// Its generation.
    pub generation: u64,
    /// Who wrote it.
    pub writer: String,
    /// When, as the writer's clock has it.
    pub written: Timestamp,
    /// What `hold_down` counts from.
    pub changed: Timestamp,
}

impl MarkerRow {
    /// The row of what is known.
    pub fn new(known: KnownMarker, now: &Now) -> Self {
        let KnownMarker { generation, writer, written, changed } = known;
        MarkerRow { generation, writer, written, changed: now.wall_of(changed) }
    }

    /// What was known; a time in the future counts as now.
    pub fn known(self, now: &Now) -> KnownMarker {
        let MarkerRow { generation, writer, written, changed } = self;
        KnownMarker { generation, writer, written, changed: now.moment_of(changed) }
    }
}

/// What is kept of an override. Its times are the wall clock's, which a restart goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideRow {
    /// What is ordered.
    #[serde(flatten)]
    pub what: What,
    /// When it ends.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
    /// When.
    pub set: Timestamp,
}

/// How far a change got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// About to be written, or written and not yet confirmed.
    Started,
    /// Written and confirmed.
    Completed,
    /// Given up, or found not to have happened.
    Failed,
}

/// One change of a record: written before the effect, closed after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRow {
    /// Unique for ever.
    pub id: String,
    /// The record.
    pub record: DomainName,
    /// How far it got.
    pub state: ChangeState,
    /// When it was begun.
    pub started: Timestamp,
    /// When it was closed.
    pub ended: Option<Timestamp>,
    /// What it wants to say once it is completed: kept so that a crash between write and record loses no message.
    pub completed_event: Recorded,
    /// The targets published by it.
    pub targets: Vec<TargetId>,
    /// What the name held when it was decided: where it still does, the change has not happened.
    #[serde(default)]
    pub before: BTreeMap<RecordType, RecordSet>,
    /// The answer it writes.
    pub after: providers::AnswerSets,
    /// What the record's marker held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker_before: Option<RecordSet>,
    /// What is written there with it: which tells whether it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<RecordSet>,
}

/// Everything that a starting agent wants to know.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// When something was last written; `None` for a new file.
    pub saved: Option<Timestamp>,
    /// Trackers by endpoint.
    pub trackers: BTreeMap<Endpoint, SavedTracker>,
    /// Records by name.
    pub records: BTreeMap<DomainName, RecordRow>,
    /// Changes that were begun and never closed, oldest first.
    pub open_changes: Vec<ChangeRow>,
    /// The ids of the events that told of certificates.
    pub certificates: BTreeSet<String>,
    /// The overrides, those that are over meanwhile among them.
    pub overrides: Vec<OverrideRow>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not delivered yet.
    Pending,
    /// Delivered.
    Delivered,
    /// Given up: the dead letter. `deliveries retry` sends it again.
    Dead,
}

impl DeliveryState {
    /// The stable name, as in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Dead => "dead",
        }
    }
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it was delivered.
    Delivered,
    /// Another attempt, not before this time.
    RetryAt(Timestamp),
    /// It is given up.
    Dead,
}

/// Which deliveries to list; everything when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Those in this state.
    pub state: Option<DeliveryState>,
    /// Those to this channel.
    pub channel: Option<ChannelId>,
}

/// One event on its way to one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The channel.
    pub channel: ChannelId,
    /// The event.
    pub event: Recorded,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it was put into the outbox.
    pub created: Timestamp,
    /// When it is tried next, if pending.
    pub next_attempt: Option<Timestamp>,
    /// When it was first tried; forgotten when a person sends it again.
    pub first_attempt: Option<Timestamp>,
    /// How often it was tried since it was put into the outbox or a person sent it again: counts for the back-off.
    #[serde(skip)]
    pub round: u32,
    /// How often it was tried in all.
    pub attempts: u32,
    /// What the last attempt said.
    pub last_error: Option<String>,
}

impl Delivery {
    /// The kind of its event.
    pub fn kind(&self) -> EventKind {
        self.event.event.kind
    }
}

/// One attempt of a delivery, for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// Whether it was delivered.
    pub delivered: bool,
    /// The status code, where there was one.
    pub status: Option<u16>,
    /// What went wrong, without secrets; the first 512 characters.
    pub error: Option<String>,
    /// How long it took, ms.
    pub took_ms: u64,
}
