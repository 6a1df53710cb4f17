//! What goes into the decision and what comes out of it: two closed lists. Grep here for everything that can
//! ever wake the agent, and for everything it can ever do.

use std::collections::BTreeMap;
use std::sync::Arc;

use providers::{AnswerSets, DomainName, Fault, RecordSet, RecordType, Snapshot, Swap};

use super::{
    Endpoint, Event, Moment, Motive, Observation, Override, OverrideKey, ServerSeen, Sighting, TargetId,
    WitnessId,
};

/// What a server was seen to serve, or why that is not known.
pub type Seen = Result<BTreeMap<RecordType, RecordSet>, String>;

/// Everything that can wake the decision.
#[derive(Clone, Debug)]
pub enum Input {
    /// A probe of a target ended.
    Observed(Observation),
    /// A probe of a witness ended.
    Witnessed(Sighting),
    /// What a record's provider holds was read, or could not be.
    Read {
        /// The record.
        record: DomainName,
        /// What was found.
        result: Result<Snapshot, Fault>,
    },
    /// A write ended.
    Written {
        /// The record.
        record: DomainName,
        /// How.
        result: Result<(), Fault>,
    },
    /// A write was not sent, because it was too late for it: see [`Work::send_by`].
    Unsent {
        /// The record.
        record: DomainName,
    },
    /// It is time to look at the live record again.
    LookDue {
        /// The record.
        record: DomainName,
    },
    /// The authoritative servers were asked.
    Looked {
        /// The record.
        record: DomainName,
        /// What each said, by server.
        servers: Vec<(String, Seen)>,
    },
    /// Word of how far a change has come on the authoritative servers.
    Propagated {
        /// The record.
        record: DomainName,
        /// The change.
        change: String,
        /// What each server serves, and since when.
        servers: Vec<ServerSeen>,
        /// Some do not serve it, and nobody waits for them any longer.
        given_up: bool,
    },
    /// A person wants the record back at its best target now.
    Failback {
        /// The record.
        record: DomainName,
    },
    /// A person puts an override into force, or ends one. What [`Decision::may_set`](super::Decision::may_set) refuses
    /// changes nothing.
    Override(Order),
    /// A person knows that the record changed too often, or that its marker was lost: it may be changed again.
    Ack {
        /// The record.
        record: DomainName,
    },
    /// Time has passed.
    Tick,
}

/// What a person orders of the overrides.
#[derive(Clone, Debug)]
pub enum Order {
    /// This is in force from now on.
    Set(Override),
    /// This is over.
    Clear {
        /// What.
        key: OverrideKey,
        /// Who says so.
        by: String,
    },
}

/// How often something is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At the fast interval.
    Fast,
    /// At the usual interval.
    Steady,
}

/// Everything the decision can ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Probe an endpoint at this pace from now on.
    Pace(Endpoint, Pace),
    /// Probe a witness at this pace from now on.
    WitnessPace(WitnessId, Pace),
    /// Probe every witness now.
    ProbeWitnesses,
    /// Probe every endpoint now.
    ProbeTargets,
    /// Probe this endpoint now.
    Probe(Endpoint),
    /// Read what the provider holds.
    Read(DomainName),
    /// Keep the intent, then write.
    Write(Arc<Work>),
    /// The write was confirmed, or found not to have happened: close its entry.
    Close {
        /// The change.
        change: String,
        /// Did it happen?
        happened: bool,
    },
    /// Ask every authoritative server until all serve the change.
    Watch(Box<Watch>),
    /// Ask every authoritative server once.
    Look(DomainName),
    /// Tell people and programs. With a key the event is told once for ever, even over restarts.
    Say(Box<Event>, Option<String>),
    /// Keep what is known of a target's endpoints.
    KeepTarget(TargetId),
    /// Keep what is known of a record.
    KeepRecord(DomainName),
    /// Keep an override, in the place of an older one of its key.
    KeepOverride(Override),
    /// An override is over: keep it no longer.
    DropOverride(OverrideKey),
}

/// A change that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Unique for ever.
    pub id: String,
    /// What is written.
    pub swap: Swap,
    /// The targets published by it.
    pub targets: Vec<TargetId>,
    /// Why.
    pub motive: Motive,
    /// When it was decided.
    pub decided: Moment,
    /// It is not sent after this: a process that stood still meanwhile has to look anew.
    pub send_by: Moment,
    /// What is said once it is confirmed; kept before the effect, so that a crash loses no message.
    pub completed: Event,
}

/// A change whose way to the authoritative servers is to be watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The record.
    pub record: DomainName,
    /// The change.
    pub change: String,
    /// What every server should serve.
    pub answer: AnswerSets,
}

/// What the decision must know of a provider: values and one pure function.
#[derive(Clone)]
pub struct ProviderFace {
    /// Does it change all record sets of a name in one transaction?
    pub atomic_name: bool,
    /// Does it change a marker in the same transaction, and compare it?
    pub marker: bool,
    /// See [`ReadProvider::normalize`](providers::ReadProvider::normalize).
    pub normalize: Arc<dyn Fn(AnswerSets) -> AnswerSets + Send + Sync>,
}

impl std::fmt::Debug for ProviderFace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderFace").field("atomic_name", &self.atomic_name).finish_non_exhaustive()
    }
}
