//! PURE. All judgement: plain functions from values to values.
//!
//! Invariant: nothing here reads a clock, opens a socket, logs, counts a metric or knows tokio.
//! Time is an argument, the next wake-up is a return value, effects are data. `tests/tidy.rs` holds this.
//!
//! | room | what is judged there |
//! |---|---|
//! | [`Tracker`] | one endpoint's outcomes -> verdict |
//! | [`Targets`] | verdicts of endpoints -> of addresses, families, targets |
//! | [`Sight`] | witnesses -> are we cut off ourselves? |
//! | [`Overrides`] | an operator's word over the verdicts |
//! | [`select`] | verdicts, what is published -> what should be, or why to hold |
//! | [`judge`] | what should be, what was read -> in sync, write, or refused by a [`Guard`] |
//! | [`Decision`] | all of it as one state machine: [`Input`] -> [`Effect`]s |

mod ack;
mod all_down;
mod arrival;
mod by_name;
mod certificates;
mod coordinate;
mod delay;
mod effect;
mod engine;
mod event;
mod explain;
mod explain_change;
mod explain_guards;
mod explain_next;
#[cfg(test)]
mod fixture;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod ordered;

mod generation;
mod guard;
mod health;
mod ids;
mod keep;
mod latency;
mod marker;
mod observation;
mod one_look;
mod overrides;
mod overrule;
mod own_ttl;
mod penalty;
mod phases;
mod place;
mod places;
mod plan;
mod policy;
mod reconcile;
mod record;
#[cfg(test)]
mod refusals;
mod reload;
mod report;
mod require;
mod review;
mod say;
mod say_change;
mod select;
mod shared;
mod sight;
mod silence;
mod steps;
mod targets;
mod time;
mod troubles;
mod velocity;
mod wakeup;
mod watched;
mod writing;

pub use by_name::ByName;
pub use certificates::CERTIFICATE_KEY;
pub use coordinate::{MarkerReport, changes_at_most};
pub use delay::Delay;
pub use effect::{Effect, Input, Order, Pace, ProviderFace, Seen, Watch, Work};
pub use engine::{Decision, Options, Saved, SavedRecord};
pub use event::{Event, EventKind, Recorded, ServerSeen, Severity, Side};
pub use explain::{
    EndpointExplained, Explanation, GuardExplained, ProbeSeen, ProviderTrouble, TargetExplained,
};
pub use explain_change::{ChangeStep, ChangeUnderWay};
pub use generation::{Fate, KnownMarker, fate, next_generation};
pub use guard::{Guard, Refusal, foreign_values};
pub use health::{SavedTracker, Tracker, Verdict};
pub use ids::{ChannelId, CheckId, ProviderId, TargetId, WitnessId};
pub use latency::{LatencyRow, Letter, PastProbe, Rollup};
pub use marker::{Marker, MarkerSeen, is_writer};
pub use observation::{Certificate, Endpoint, Observation, Outcome, Sighting, Timings};
pub use one_look::OneLook;
pub use overrides::{
    LONGEST_OVERRIDE, MOST_OVERRIDES, Override, OverrideFault, OverrideKey, OverrideReport, Overrides, What,
    plain_name,
};
pub use overrule::{Consequence, tell_ended, tell_set};
pub use own_ttl::OwnTtl;
pub use penalty::{KeptPenalty, PER_CHANGE, Penalty};
pub use phases::Phases;
pub use place::{Answer, Place};
pub use places::Places;
pub use plan::{Bench, Judgement, judge, owner_of, owners};
pub use policy::{
    AllDown, CheckPolicy, Coordination, FailbackMode, Flapping, Policy, RecordPolicy, Serve, TargetPolicy,
    Thresholds, Velocity,
};
pub use report::{
    ChangeReport, EndpointReport, RecordReport, RecordStatus, Report, ServerReport, TargetReport,
    WitnessReport,
};
pub use require::Require;
pub use select::{Current, Hold, Motive, Selection, View, Wish, select};
pub use shared::Shared;
pub use sight::{Sight, SightChange};
pub use steps::NextStep;
pub use targets::{Targets, counted, human};
pub use time::{Moment, Now};
pub use velocity::Turn;
pub use watched::Counted;
