//! Another configuration for an agent that runs: taken whole, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use providers::DomainName;

use super::event_loop::{Agent, log_channels};
use super::jobs::jobs;
use super::{Hands, differences, systemd};
use crate::config::Config;
use crate::decision::{ChannelId, Endpoint, Event, EventKind, Moment, ProviderId, counted};
use crate::live::Server;
use crate::notify::Sender;
use crate::probe::{Check, JobKey};

/// How long a new configuration waits for a write under way of a record that it takes away, or takes elsewhere.
const WRITES_LIMIT: Duration = Duration::from_secs(35);
/// So many faults of a refused configuration are told; all of them are in the log.
const FAULTS_TOLD: usize = 3;

/// Word of the files of the configuration, for a running agent.
pub enum Reload {
    /// They are good: this is to be used from now on.
    Take(Box<Fresh>),
    /// They are not; the old configuration goes on.
    Refuse(Refused),
}

/// A configuration, and the parts of the world that are made from it.
pub struct Fresh {
    /// The configuration.
    pub config: Arc<Config>,
    /// Its providers.
    pub hands: Hands,
    /// Those of them that were set up anew, although their name stays.
    pub renewed: BTreeSet<ProviderId>,
    /// Its channels.
    pub senders: BTreeMap<ChannelId, Arc<dyn Sender>>,
    /// Its authoritative servers, where they are known without asking.
    pub nameservers: BTreeMap<DomainName, Vec<Server>>,
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is wrong: each fault with its place, without secrets.
    Faults(Vec<String>),
    /// It cannot be taken by a process that runs: the keys that say so.
    NeedsRestart(Vec<String>),
    /// What it asks for cannot be set up.
    Unbuilt(String),
}

/// A configuration that waits for the end of writes.
pub(super) struct Waiting {
    fresh: Box<Fresh>,
    until: Moment,
}

impl Agent {
    pub(super) async fn hear_of_files(&mut self, reload: Reload) {
        match reload {
            Reload::Take(mut fresh) => {
                let until = self.clock.now().moment + WRITES_LIMIT;
                // What came before and still waits is overtaken, but what it had set up anew is new all the same.
                if let Some(overtaken) = self.waiting.take() {
                    fresh.renewed.extend(overtaken.fresh.renewed);
                }
                self.waiting = Some(Waiting { fresh, until });
                self.take_over().await;
            }
            Reload::Refuse(refused) => {
                let now = self.clock.now();
                let event = refusal(&refused, now.wall);
                self.tell(event).await;
                systemd::ready();
            }
        }
    }

    /// Until when a new configuration waits, if one does.
    pub(super) fn waits_until(&self) -> Option<Moment> {
        self.waiting.as_ref().map(|waiting| waiting.until)
    }

    /// Takes over the configuration that waits, unless it has to go on waiting: a write under way of a record that goes
    /// is finished and proved first, for a while.
    pub(super) async fn take_over(&mut self) {
        let Some(waiting) = self.waiting.take() else { return };
        if self.clock.now().moment < waiting.until && self.disturbs(&waiting.fresh) {
            self.waiting = Some(waiting);
            return;
        }
        let Fresh { config, hands, renewed, senders, nameservers } = *waiting.fresh;
        let now = self.clock.now();
        let old = std::mem::replace(&mut self.config, config);
        let config = Arc::clone(&self.config);
        let mut effects = self.decision.reconfigure(&now, config.policy(), hands.faces());
        self.zones.renew(hands, |record| moved(&old, &config, &renewed, record));
        self.servers.known = Arc::new(nameservers);
        if let Some(scheduler) = &mut self.scheduler {
            scheduler
                .replace(jobs(&config), |key, before, after| same_check(&old, &config, key, before, after));
        }
        self.ledger.reconfigure(senders, config.notify.clone());
        self.log_channels = log_channels(&config);
        let live_interval = config.agent.live_interval;
        let next = now.moment + live_interval;
        self.next_looks.retain(|name, _| config.records.contains_key(name));
        for name in config.records.keys() {
            self.next_looks.entry(name.clone()).and_modify(|at| *at = (*at).min(next)).or_insert(next);
        }
        self.next_look = self.next_looks.values().copied().min();
        for provider in renewed.iter().filter(|id| config.providers.contains_key(*id)) {
            effects.extend(self.decision.provider_renewed(provider));
        }
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let words = differences::between(&old, &config);
        if words.is_empty() {
            tracing::info!("the configuration was read again; nothing in it has changed");
        } else {
            let summary = format!(
                "the configuration was read again: {} for {}",
                counted(config.targets.len(), "target"),
                counted(config.records.len(), "record")
            );
            let mut event = Event::new(EventKind::ConfigReloaded, now.wall, summary);
            event.reason = Some(words.join("; "));
            self.tell(event).await;
        }
        self.play(effects).await;
        systemd::ready();
    }

    /// Is a record that goes, or goes elsewhere, being written?
    fn disturbs(&self, fresh: &Fresh) -> bool {
        let moves = |record: &DomainName| moved(&self.config, &fresh.config, &fresh.renewed, record);
        let changing =
            |record: &&DomainName| self.writing.contains(*record) || self.decision.is_changing(record);
        self.config.records.keys().filter(changing).any(moves)
    }
}

/// Is this record gone, or has it another provider, or another zone there?
fn moved(old: &Config, new: &Config, renewed: &BTreeSet<ProviderId>, record: &DomainName) -> bool {
    let (Some(old), Some(new)) = (old.records.get(record), new.records.get(record)) else { return true };
    let provider = &new.policy.provider;
    old.policy.provider != *provider || old.zone != new.zone || renewed.contains(provider)
}

/// Is a job's check the same in both? What it says of itself, and, for the secrets that it does not say, what the file does.
fn same_check(old: &Config, new: &Config, key: &JobKey, before: &Check, after: &Check) -> bool {
    let file = match key {
        JobKey::Endpoint(Endpoint { target, check, .. }) => {
            // What a target changes of a check stands at the target.
            let own = [old, new]
                .iter()
                .any(|config| config.targets.get(target).is_some_and(|t| t.changes(check, config)));
            old.marks.same(&new.marks, "checks", check.as_str())
                && (!own || old.marks.same(&new.marks, "targets", target.as_str()))
        }
        JobKey::Witness(_) => true,
    };
    file && format!("{before:?}") == format!("{after:?}")
}

/// What is told of a configuration that was refused.
fn refusal(refused: &Refused, wall: jiff::Timestamp) -> Event {
    let (what, reason, remedy) = match refused {
        Refused::Faults(faults) => {
            let told = faults.iter().take(FAULTS_TOLD).cloned().collect::<Vec<_>>().join("; ");
            let rest = faults.len().saturating_sub(FAULTS_TOLD);
            let more = if rest > 0 { format!("; and {rest} more") } else { String::new() };
            (
                counted(faults.len(), "fault"),
                Some(told + &more),
                "mend it; `failover validate` shows every fault with its place",
            )
        }
        Refused::NeedsRestart(keys) => (
            format!("needs a restart: {}", keys.join(", ")),
            None,
            "restart the agent, or take that part of the change back",
        ),
        Refused::Unbuilt(why) => ("it cannot be set up".to_owned(), Some(why.clone()), "mend it"),
    };
    let summary = format!("the changed configuration was refused: {what}");
    let mut event = Event::new(EventKind::ConfigRefused, wall, summary);
    event.reason = reason;
    event.remedy = Some(remedy.into());
    event.next = Some("the old configuration goes on; the files are looked at again when they change".into());
    event
}
