//! `failover doctor`: is everything in place for the day it matters? It looks and changes nothing.
//!
//! | file | what is there |
//! |---|---|
//! | `finding.rs` | one line: what was looked at, how bad it is, the remedy |
//! | `judge/` | PURE: from what was found to what is said of it |
//! | `machine.rs` | finds out: state, socket, descriptors, trusted roots |
//! | `zones.rs` | finds out: providers, records, permission, authoritative servers |
//! | `looks.rs` | finds out: targets and witnesses, by one probe each |
//!
//! It holds [`ReadProvider`]s only: one that could write does not compile. Whether a record may be changed is asked
//! with [`ReadProvider::permission`], which changes nothing.
//!
//! Like the agent it knows the rooms that touch the world, and like it makes no choices there: all judgement is in
//! `judge`.

mod finding;
mod judge;
mod looks;
mod machine;
mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use providers::{ReadProvider, build_reader};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::Config;
use crate::decision::{Moment, Place, ProviderId, TargetId, owners};
use crate::probe::Prober;

pub use finding::{Finding, Level, Topic};

/// The readers of all providers, or why one cannot be built.
type Readers = BTreeMap<ProviderId, Result<Arc<dyn ReadProvider>, String>>;

/// What the doctor looks with.
pub struct Instruments {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Probes.
    pub prober: Arc<dyn Prober>,
}

/// Looks at everything in `only` (at all topics when it is empty), all at once, and is back within `deadline`.
pub async fn examine(
    config: &Config,
    with: &Instruments,
    only: &BTreeSet<Topic>,
    deadline: Duration,
) -> Vec<Finding> {
    let wants = |topics: &[Topic]| only.is_empty() || topics.iter().any(|topic| only.contains(topic));
    let limit = Limit { clock: &*with.clock, ends: with.clock.now().moment + deadline };
    let zones = async {
        if !wants(&[
            Topic::Provider,
            Topic::Clock,
            Topic::Record,
            Topic::Permission,
            Topic::Servers,
            Topic::Standby,
        ]) {
            return zones::Zones::default();
        }
        let readers = readers(config).await;
        zones::look(config, &readers, only, &limit).await
    };
    let looks = async {
        if !wants(&[Topic::Standby, Topic::Witnesses]) {
            return looks::Looks::default();
        }
        looks::look(config, with, &limit).await
    };
    let (machine, (zones, looks)) = join(limit.hold(machine::examine(config)), join(zones, looks)).await;

    let mut findings = machine.unwrap_or_else(|| vec![overdue(Topic::State, "", deadline)]);
    findings.extend(config.warnings.iter().map(|warning| {
        let said = format!("{}: {}", warning.place(), warning.message);
        Finding::warn(Topic::Config, "", said, warning.remedy.as_str())
    }));
    if config.warnings.is_empty() {
        findings.push(Finding::ok(Topic::Config, "", "valid, and nothing to warn of"));
    }
    findings.extend(judge::witnesses(&looks.witnesses));
    findings.extend(zones.judged(config, deadline));
    for (name, record) in &config.records {
        let held = zones.snapshot(name);
        let serving: Vec<TargetId> =
            held.map_or_else(Vec::new, |held| owners(&looks.policy, &record.policy, &Place::published(held)));
        findings.extend(judge::standby(&record.policy, &serving, &looks.targets));
    }
    findings.push(judge::channels(config.notify.channels.len(), config.notify.routes.len()));
    findings.retain(|finding| wants(&[finding.check]));
    findings.sort_by_key(|finding| finding.check);
    findings
}

async fn readers(config: &Config) -> Readers {
    let mut readers = Readers::new();
    for (id, settings) in &config.providers {
        readers.insert(id.clone(), build_reader(settings).await.map_err(|error| error.to_string()));
    }
    readers
}

/// The one deadline of all looks.
struct Limit<'a> {
    clock: &'a dyn Clock,
    ends: Moment,
}

impl Limit<'_> {
    /// Waits for `work` as long as there is time; `None` when there is no more.
    async fn hold<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        timeout(self.ends.since(self.clock.now().moment), work).await.ok()
    }
}

fn overdue(topic: Topic, subject: &str, deadline: Duration) -> Finding {
    let text = format!("not finished within {deadline:?}");
    Finding::fail(topic, subject, text, "raise --deadline; look at what is slow with --only")
}
