//! The suite that every provider passes, the mock first.
//!
//! A provider's promise is only as good as the test that can break it. A vendor's test starts a real
//! server, implements [`Fixture`] for it and calls [`run`]:
//!
//! ```text
//! run(&fixture).await.assert_passed();
//! ```
//!
//! | room | promises |
//! |---|---|
//! | [`reading`] | zones are found by the longest suffix, names read as they are, spelling does not matter |
//! | [`writing`] | a swap writes the whole answer, nothing else, and nothing twice |
//! | [`guarding`] | a swap based on an old picture writes nothing |
//! | [`marking`] | the marker beside a name changes with it or not at all, and is compared |
//! | [`race`] | four writers at once make one chain, and no reader sees a name empty or mixed |
//! | [`ledger`] | what the race's results must add up to, as pure values |
//! | [`ask`] | the DNS questions, independent of any adapter |
//!
//! Each check is a public function of its own, named after the promise that it would break. Everything
//! is verified twice: through the provider's `read`, and by asking the authoritative server.

pub mod ask;
pub mod guarding;
pub mod ledger;
pub mod marking;
pub mod race;
pub mod reading;
mod stage;
#[cfg(test)]
mod tests;
pub mod writing;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{DomainName, Fault, Provider, Ttl};

/// How long one check may take (the race has a bound of its own, below this).
const CHECK_DEADLINE: Duration = Duration::from_secs(90);

/// A real server with one zone, as the suite needs it. Its methods may panic when the server is not well:
/// that is the test's trouble, not the provider's.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// What is tested, for the report: `BIND 9.18 by DNS UPDATE`.
    fn title(&self) -> String;

    /// A new client of the provider, independent of those given before: a connection and a state of its own.
    async fn client(&self) -> Arc<dyn Provider>;

    /// The zone all checks work in. They use names of their own below it.
    fn zone(&self) -> DomainName;

    /// A zone below [`zone`](Fixture::zone) that the provider serves too; `None` skips one check.
    fn child_zone(&self) -> Option<DomainName> {
        None
    }

    /// A name in no zone of the provider.
    fn foreign_name(&self) -> DomainName {
        "www.not-served.invalid".parse().expect("a valid name")
    }

    /// The authoritative server, by UDP and TCP.
    fn dns(&self) -> SocketAddr;

    /// Makes the name hold exactly these sets, of any type, by another way than the provider under test;
    /// none removes the name. `owner` has no final dot and may have upper-case letters, to be written as they are.
    async fn arrange(&self, owner: &str, sets: &[RawSet]);

    /// The zone's serial by the server's own account.
    async fn serial(&self) -> u32 {
        ask::serial(self.dns(), &self.zone()).await.expect("the server tells its serial")
    }

    /// Does the serial grow by exactly one with each write that changes something? `false` keeps the
    /// comparison of serials to "grows" and "does not".
    fn serial_counts_writes(&self) -> bool {
        true
    }

    /// Does [`read_crowd`](crate::ReadProvider::read_crowd) tell of ordinary names here?
    fn shows_zones(&self) -> bool {
        true
    }

    /// How long the authoritative server may lag behind an arranged or an [`Eventual`](crate::Consistency::Eventual) write.
    fn lag(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// The size of the race.
    fn race(&self) -> RaceSize {
        RaceSize::default()
    }
}

/// How hard the race is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaceSize {
    /// How many writers, each with a client of its own; at least 2.
    pub writers: u32,
    /// How many successes each writer wants.
    pub rounds: u32,
    /// When they stop, whatever they have.
    pub deadline: Duration,
}

impl Default for RaceSize {
    fn default() -> Self {
        RaceSize { writers: 4, rounds: 25, deadline: Duration::from_secs(30) }
    }
}

/// A record set of any type, in the presentation format of RFC 1035 section 5.1, as `nsupdate` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSet {
    /// Its TTL.
    pub ttl: Ttl,
    /// Its type: `A`, `MX`, `TXT`.
    pub record_type: &'static str,
    /// Its values; names end in a dot, texts are quoted.
    pub values: Vec<String>,
}

impl RawSet {
    /// A record set of these values.
    pub fn new(ttl: u32, record_type: &'static str, values: &[&str]) -> Self {
        RawSet {
            ttl: Ttl(ttl),
            record_type,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }
}

/// Why a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// A promise was broken.
    #[error("{0}")]
    Broken(String),
    /// The provider does not make this promise, and says so in its capabilities; or the fixture lacks what is needed.
    #[error("not applicable: {0}")]
    NotApplicable(&'static str),
}

impl From<Fault> for Breach {
    fn from(fault: Fault) -> Self {
        Breach::Broken(format!("unexpected fault ({}): {fault}", fault.kind()))
    }
}

impl From<ask::AskError> for Breach {
    fn from(error: ask::AskError) -> Self {
        Breach::Broken(format!("the authoritative server does not answer: {error}"))
    }
}

/// What a check found.
pub type Verdict = Result<(), Breach>;

/// What a whole run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was tested.
    pub title: String,
    /// Each check by name, in the order of the run.
    pub verdicts: Vec<(&'static str, Verdict)>,
}

impl Report {
    /// The checks that found a broken promise.
    pub fn broken(&self) -> Vec<&'static str> {
        let is_broken = |verdict: &Verdict| matches!(verdict, Err(Breach::Broken(_)));
        self.verdicts.iter().filter(|(_, verdict)| is_broken(verdict)).map(|(name, _)| *name).collect()
    }

    /// Nothing when every promise was kept.
    ///
    /// # Panics
    /// With the whole report when one was not.
    pub fn assert_passed(&self) {
        assert!(self.broken().is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} of {} checks failed", self.title, self.broken().len(), self.verdicts.len())?;
        for (name, verdict) in &self.verdicts {
            match verdict {
                Ok(()) => writeln!(f, "  ok      {name}")?,
                Err(Breach::NotApplicable(why)) => writeln!(f, "  -       {name}: {why}")?,
                Err(Breach::Broken(why)) => writeln!(f, "  FAILED  {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// One list of the checks gives their names, their order and their calls.
macro_rules! checks {
    ($($room:ident :: $check:ident),+ $(,)?) => {
        /// The names of all checks, in the order in which [`run`] makes them.
        pub const CHECKS: &[&str] = &[$(stringify!($check)),+];

        /// Runs the checks whose names contain `part`; an empty text means all.
        pub async fn run_matching(fixture: &dyn Fixture, part: &str) -> Report {
            let mut verdicts = Vec::new();
            $(
                if stringify!($check).contains(part) {
                    let verdict = within_deadline($room::$check(fixture)).await;
                    verdicts.push((stringify!($check), verdict));
                }
            )+
            Report { title: fixture.title(), verdicts }
        }
    };
}

checks! {
    reading::a_missing_name_is_an_empty_snapshot,
    reading::names_are_read_in_the_order_asked,
    reading::the_zone_is_the_longest_suffix,
    reading::a_name_in_no_zone_is_a_configuration_fault,
    reading::spelling_does_not_matter,
    reading::an_alias_is_read_wherever_it_leads,
    reading::a_crowd_reads_as_its_names_do,
    writing::a_missing_name_is_created,
    writing::both_families_move_together,
    writing::a_family_that_the_new_target_lacks_goes,
    writing::nothing_to_change_writes_nothing,
    writing::the_second_time_there_is_nothing_to_do,
    writing::a_new_ttl_takes_effect,
    writing::neighbours_are_left_alone,
    writing::addresses_become_an_alias_and_addresses_again,
    writing::an_alias_beside_other_types_is_refused,
    writing::what_is_read_is_what_normalize_said,
    guarding::a_changed_value_is_a_conflict,
    guarding::a_value_added_is_a_conflict,
    guarding::a_family_added_is_a_conflict,
    guarding::a_family_removed_is_a_conflict,
    guarding::a_name_made_meanwhile_is_a_conflict,
    guarding::a_name_removed_meanwhile_is_a_conflict,
    guarding::an_alias_made_meanwhile_is_a_conflict,
    guarding::several_names_change_all_or_none,
    guarding::more_names_than_the_card_says_are_refused,
    guarding::asking_for_permission_changes_nothing,
    marking::a_marker_comes_and_goes_on_with_its_record,
    marking::a_changed_marker_is_a_conflict,
    marking::a_marker_made_meanwhile_is_a_conflict,
    marking::a_marker_removed_meanwhile_is_a_conflict,
    marking::a_marker_is_not_written_beside_a_changed_record,
    marking::a_record_without_a_marker_leaves_it_alone,
    marking::a_marker_is_not_written_for_its_own_sake,
    race::writers_make_one_chain_and_readers_see_whole_answers,
}

/// Runs every check, one after the other.
pub async fn run(fixture: &dyn Fixture) -> Report {
    run_matching(fixture, "").await
}

async fn within_deadline(check: impl Future<Output = Verdict>) -> Verdict {
    let overdue = || Breach::Broken(format!("not done within {} s", CHECK_DEADLINE.as_secs()));
    tokio::time::timeout(CHECK_DEADLINE, check).await.unwrap_or_else(|_| Err(overdue()))
}
