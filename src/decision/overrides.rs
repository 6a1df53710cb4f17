//! An operator's word over the verdicts: drain a target, pin a record, pause one record or everything. Always with an
//! end and a reason. `overrule.rs` has what the decision makes of them.
//!
//! | override | of | then |
//! |---|---|---|
//! | drain | a target | no record is moved to it, and records leave it for another target that works; where there is none they stay |
//! | pin | a record | this target and no other, while it is Up; while it is not the record stays as it is |
//! | pause | a record, or everything | nothing is written |
//!
//! Pause wins over pin, pin over drain. Probes, verdicts and what is told of them go on underneath.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use providers::DomainName;
use serde::{Deserialize, Serialize};

use super::{Moment, Now, Policy, TargetId, human};

/// So many overrides can be in force at once.
pub const MOST_OVERRIDES: usize = 1000;
/// The longest an override may last.
pub const LONGEST_OVERRIDE: Duration = Duration::from_hours(30 * 24);
/// The shortest.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long a reason may be, characters.
const REASON: usize = 200;
/// How long the name of whoever orders may be, characters.
const BY: usize = 64;

/// What an override orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// Nobody is served by this target while another one works.
    Drain {
        /// The target.
        target: TargetId,
    },
    /// The record is served by this target and by no other.
    Pin {
        /// The record.
        record: DomainName,
        /// The target, one of the record's.
        target: TargetId,
    },
    /// Nothing is written.
    Pause {
        /// For this record; for every record when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<DomainName>,
    },
}

impl What {
    /// What it is known by: a newer override of the same key replaces the older one.
    pub fn key(&self) -> OverrideKey {
        match self {
            What::Drain { target } => OverrideKey::Drain(target.clone()),
            What::Pin { record, .. } => OverrideKey::Pin(record.clone()),
            What::Pause { record } => OverrideKey::Pause(record.clone()),
        }
    }

    /// May it be ordered of a configuration with these targets and records?
    ///
    /// # Errors
    /// [`OverrideFault::NoTarget`], [`OverrideFault::NoRecord`], [`OverrideFault::NotItsTarget`].
    pub fn check(&self, policy: &Policy) -> Result<(), OverrideFault> {
        let record_of = |name: &DomainName| {
            policy.records.get(name).ok_or_else(|| OverrideFault::NoRecord { record: name.clone() })
        };
        match self {
            What::Drain { target } if policy.targets.contains_key(target) => Ok(()),
            What::Drain { target } => Err(OverrideFault::NoTarget { target: target.clone() }),
            What::Pin { record, target } => {
                let settings = record_of(record)?;
                if settings.tier_of(target).is_some() {
                    return Ok(());
                }
                let targets = settings.targets().map(TargetId::as_str).collect::<Vec<_>>().join(", ");
                Err(OverrideFault::NotItsTarget { record: record.clone(), target: target.clone(), targets })
            }
            What::Pause { record: None } => Ok(()),
            What::Pause { record: Some(name) } => record_of(name).map(drop),
        }
    }
}

impl fmt::Display for What {
    /// `the drain of toronto`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Drain { target } => write!(f, "the drain of {target}"),
            What::Pin { record, target } => write!(f, "the pin of {record} to {target}"),
            What::Pause { record: Some(record) } => write!(f, "the pause of {record}"),
            What::Pause { record: None } => write!(f, "the pause of everything"),
        }
    }
}

/// What an override is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OverrideKey {
    /// The drain of a target.
    Drain(TargetId),
    /// The pin of a record.
    Pin(DomainName),
    /// The pause of a record, or of everything.
    Pause(Option<DomainName>),
}

impl OverrideKey {
    /// The command that ends it.
    pub fn remedy(&self) -> String {
        match self {
            OverrideKey::Drain(target) => format!("failover undrain {target}"),
            OverrideKey::Pin(record) => format!("failover unpin {record}"),
            OverrideKey::Pause(Some(record)) => format!("failover resume {record}"),
            OverrideKey::Pause(None) => "failover resume".into(),
        }
    }
}

impl fmt::Display for OverrideKey {
    /// `drain/toronto`, `pin/www.example.com`, `pause`, `pause/www.example.com`: as in the state file and in requests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OverrideKey::Drain(target) => write!(f, "drain/{target}"),
            OverrideKey::Pin(record) => write!(f, "pin/{record}"),
            OverrideKey::Pause(Some(record)) => write!(f, "pause/{record}"),
            OverrideKey::Pause(None) => write!(f, "pause"),
        }
    }
}

impl std::str::FromStr for OverrideKey {
    type Err = OverrideFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || OverrideFault::NoKey { key: text.chars().take(100).collect() };
        let name = |text: &str| text.parse::<DomainName>().map_err(|_| unknown());
        match text.split_once('/') {
            None if text == "pause" => Ok(OverrideKey::Pause(None)),
            Some(("drain", target)) if !target.is_empty() => Ok(OverrideKey::Drain(target.into())),
            Some(("pin", record)) => Ok(OverrideKey::Pin(name(record)?)),
            Some(("pause", record)) => Ok(OverrideKey::Pause(Some(name(record)?))),
            _ => Err(unknown()),
        }
    }
}

/// An operator's word over the verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// What is ordered.
    pub what: What,
    /// When it ends by itself.
    pub until: Moment,
    /// Why, in the operator's words: 1 to 200 characters, no control characters.
    pub reason: String,
    /// Who ordered it: 1 to 64 characters, no control characters.
    pub by: String,
    /// When.
    pub set: Moment,
}

impl Override {
    /// An override from now on. Spaces around the texts are dropped.
    ///
    /// # Errors
    /// [`OverrideFault`], when it has no reason or no name, when they are too long or hold control characters, and when
    /// it ends sooner than in a second or later than in 30 days.
    pub fn new(
        what: What,
        now: Moment,
        until: Moment,
        reason: &str,
        by: &str,
    ) -> Result<Self, OverrideFault> {
        if reason.trim().is_empty() {
            return Err(OverrideFault::NoReason);
        }
        let (reason, by) = (plain("reason", reason, REASON)?, plain_name(by)?);
        if until < now + SHORTEST {
            return Err(OverrideFault::Over);
        }
        if until > now + LONGEST_OVERRIDE {
            return Err(OverrideFault::Endless);
        }
        Ok(Override { what, until, reason, by, set: now })
    }

    /// What it is known by.
    pub fn key(&self) -> OverrideKey {
        self.what.key()
    }

    /// `drained by alice until 2026-11-22 14:00:00 UTC: a new kernel`.
    pub fn words(&self, now: &Now) -> String {
        let what = match &self.what {
            What::Drain { .. } => "drained".to_owned(),
            What::Pin { target, .. } => format!("pinned to {target}"),
            What::Pause { record: Some(_) } => "paused".to_owned(),
            What::Pause { record: None } => "everything is paused".to_owned(),
        };
        format!("{what} by {} until {}: {}", self.by, self.end(now), self.reason)
    }

    /// When it ends, for people.
    pub(super) fn end(&self, now: &Now) -> String {
        now.wall_of(self.until).strftime("%F %T UTC").to_string()
    }

    /// The same for programs.
    pub fn report(&self, now: &Now) -> OverrideReport {
        OverrideReport {
            what: self.what.clone(),
            until: now.wall_of(self.until),
            left_s: self.until.since(now.moment).as_secs(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            set: now.wall_of(self.set),
            end: self.key().remedy(),
        }
    }
}

/// The name of whoever orders, if it can be told: 1 to 64 characters, no control characters.
///
/// # Errors
/// [`OverrideFault::Nobody`], `Long`, `Control`.
pub fn plain_name(by: &str) -> Result<String, OverrideFault> {
    if by.trim().is_empty() { Err(OverrideFault::Nobody) } else { plain("name", by, BY) }
}

/// A text that cannot spoil a terminal, a log or a message.
fn plain(name: &'static str, text: &str, most: usize) -> Result<String, OverrideFault> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err(OverrideFault::Control { name });
    }
    if text.chars().count() > most {
        return Err(OverrideFault::Long { name, most });
    }
    Ok(text.to_owned())
}

/// An override in force, as in `status -o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideReport {
    /// `kind`: `drain` with a `target`, `pin` with a `record` and a `target`, `pause` with a `record` or for every one.
    #[serde(flatten)]
    pub what: What,
    /// When it ends by itself.
    pub until: Timestamp,
    /// In how many seconds that is.
    pub left_s: u64,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
    /// When.
    pub set: Timestamp,
    /// The command that ends it sooner.
    pub end: String,
}

/// Why an override is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideFault {
    /// Who finds it at night must know why it is there.
    #[error("an override needs a reason: add --reason \"why\"")]
    NoReason,
    /// Nobody ordered it.
    #[error("an override needs a name to ask back: add --by NAME")]
    Nobody,
    /// A text holds control characters.
    #[error("the {name} of an override holds control characters: write it in one plain line")]
    Control {
        /// Which text.
        name: &'static str,
    },
    /// A text is too long.
    #[error("the {name} of an override has at most {most} characters: say it shorter")]
    Long {
        /// Which text.
        name: &'static str,
        /// How long it may be.
        most: usize,
    },
    /// It has no end, or two.
    #[error("an override needs an end: add --for 2h, or --until 2026-11-22T18:00:00Z")]
    NoEnd,
    /// It would be over at once.
    #[error("an override lasts at least 1 s, and this one would be over already: give it a later end")]
    Over,
    /// It would be forgotten.
    #[error("an override lasts at most 30 days: give it an earlier end, or change the configuration")]
    Endless,
    /// There is no such target.
    #[error("no target {target} is configured: `failover status` lists them")]
    NoTarget {
        /// The target.
        target: TargetId,
    },
    /// There is no such record.
    #[error("no record {record} is configured: `failover status` lists them")]
    NoRecord {
        /// The record.
        record: DomainName,
    },
    /// The target is another record's.
    #[error("{target} is no target of {record}, which has {targets}")]
    NotItsTarget {
        /// The record.
        record: DomainName,
        /// The target.
        target: TargetId,
        /// The record's targets.
        targets: String,
    },
    /// There are too many.
    #[error("{MOST_OVERRIDES} overrides are in force, and no more are taken: end some")]
    TooMany,
    /// What should be ended is not in force.
    #[error("nothing to end: {what}")]
    NotInForce {
        /// What is not in force, and what is.
        what: String,
    },
    /// It is no name of an override.
    #[error("{key:?} is no override: drain/TARGET, pin/RECORD, pause or pause/RECORD")]
    NoKey {
        /// What was given.
        key: String,
    },
}

/// The overrides in force, at most [`MOST_OVERRIDES`], one of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    all: BTreeMap<OverrideKey, Override>,
    /// When the first of them ends.
    next_end: Option<Moment>,
}

impl Overrides {
    /// No overrides.
    pub const NONE: &'static Overrides = &Overrides { all: BTreeMap::new(), next_end: None };

    /// These overrides; of several of a key the last one.
    pub fn new(all: impl IntoIterator<Item = Override>) -> Self {
        let mut overrides = Overrides::default();
        for order in all.into_iter().take(MOST_OVERRIDES) {
            overrides.set(order);
        }
        overrides
    }

    /// Is there room for this one?
    ///
    /// # Errors
    /// [`OverrideFault::TooMany`].
    pub fn has_room(&self, key: &OverrideKey) -> Result<(), OverrideFault> {
        let room = self.all.len() < MOST_OVERRIDES || self.all.contains_key(key);
        if room { Ok(()) } else { Err(OverrideFault::TooMany) }
    }

    /// Puts one into force, in the place of an older one of its key.
    pub fn set(&mut self, order: Override) {
        self.all.insert(order.key(), order);
        self.find_next_end();
    }

    /// Ends one.
    pub fn clear(&mut self, key: &OverrideKey) -> Option<Override> {
        let ended = self.all.remove(key);
        self.find_next_end();
        ended
    }

    /// Takes out those that are over.
    pub fn expire(&mut self, now: Moment) -> Vec<Override> {
        if self.next_end.is_none_or(|end| now < end) {
            return Vec::new();
        }
        let over = |_: &OverrideKey, order: &mut Override| order.until <= now;
        let ended = self.all.extract_if(.., over).map(|(_, order)| order).collect();
        self.find_next_end();
        ended
    }

    fn find_next_end(&mut self) {
        self.next_end = self.all.values().map(|order| order.until).min();
    }

    /// Are there none, not even any that are over?
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// When the first of them ends.
    pub fn next_end(&self) -> Option<Moment> {
        self.next_end
    }

    /// One of them, by what it is known by, unless it is over.
    pub fn get(&self, now: Moment, key: &OverrideKey) -> Option<&Override> {
        self.all.get(key).filter(|order| now < order.until)
    }

    /// Those in force, in the order of their keys.
    pub fn iter(&self, now: Moment) -> impl Iterator<Item = &Override> {
        self.all.values().filter(move |order| now < order.until)
    }

    /// The drain of a target.
    pub fn drain(&self, now: Moment, target: &TargetId) -> Option<&Override> {
        if self.all.is_empty() { None } else { self.get(now, &OverrideKey::Drain(target.clone())) }
    }

    /// The pin of a record, with its target.
    pub fn pin(&self, now: Moment, record: &DomainName) -> Option<(&TargetId, &Override)> {
        if self.all.is_empty() {
            return None;
        }
        let order = self.get(now, &OverrideKey::Pin(record.clone()))?;
        match &order.what {
            What::Pin { target, .. } => Some((target, order)),
            What::Drain { .. } | What::Pause { .. } => None,
        }
    }

    /// The pause of a record: its own, or that of everything.
    pub fn pause(&self, now: Moment, record: &DomainName) -> Option<&Override> {
        if self.all.is_empty() {
            return None;
        }
        let own = self.get(now, &OverrideKey::Pause(Some(record.clone())));
        own.or_else(|| self.get(now, &OverrideKey::Pause(None)))
    }
}

/// `2 h, until 2026-11-22 14:00:00 UTC`.
pub(super) fn length(order: &Override, now: &Now) -> String {
    format!("{}, until {}", human(order.until.since(order.set)), order.end(now))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::at;
    use super::*;

    fn order(lasts: Duration, reason: &str, by: &str) -> Result<Override, OverrideFault> {
        Override::new(What::Drain { target: "a".into() }, at(0), at(0) + lasts, reason, by)
    }

    #[test]
    fn an_order_lasts_a_second_at_least_and_thirty_days_at_most() {
        let hour = Duration::from_hours(1);
        for (lasts, fault) in [
            (Duration::from_millis(999), Some(OverrideFault::Over)),
            (Duration::from_secs(1), None),
            (hour * 24 * 30, None),
            (hour * 24 * 30 + Duration::from_secs(1), Some(OverrideFault::Endless)),
        ] {
            assert_eq!(order(lasts, "a new kernel", "alice").err(), fault, "{lasts:?}");
        }
    }

    #[test]
    fn texts_have_a_length_and_nothing_that_spoils_a_terminal() {
        let hour = Duration::from_hours(1);
        let long = |name, most| Some(OverrideFault::Long { name, most });
        for (reason, by, fault) in [
            ("r".repeat(200), "b".repeat(64), None),
            ("r".repeat(201), "b".into(), long("reason", 200)),
            ("r".repeat(300), "b".into(), long("reason", 200)),
            ("r".into(), "b".repeat(65), long("name", 64)),
            ("r\u{1b}[2J".into(), "b".into(), Some(OverrideFault::Control { name: "reason" })),
            (" ".into(), "b".into(), Some(OverrideFault::NoReason)),
            ("r".into(), " ".into(), Some(OverrideFault::Nobody)),
        ] {
            assert_eq!(order(hour, &reason, &by).err(), fault, "{reason} {by}");
        }
    }
}
