//! Finds out how targets and witnesses are, by one probe of each endpoint.

use std::collections::BTreeMap;

use futures_util::future::join;
use futures_util::stream::{self, StreamExt};

use super::{Instruments, Limit, judge};
use crate::config::Config;
use crate::decision::{Endpoint, Observation, OneLook, Outcome, Place, Policy, WitnessId};
use crate::probe::look as probe;

/// How many probes run at the same time.
const AT_ONCE: usize = 64;

/// What was seen.
#[derive(Default)]
pub(super) struct Looks {
    pub(super) policy: Policy,
    pub(super) targets: judge::Looks,
    pub(super) witnesses: BTreeMap<WitnessId, Outcome>,
}

pub(super) async fn look(config: &Config, with: &Instruments, limit: &Limit<'_>) -> Looks {
    let policy = config.policy();
    let mut endpoints = Vec::new();
    for (target, settings) in &config.targets {
        for (check, (how, _)) in &settings.checks {
            endpoints.extend(settings.places.iter().map(|place| {
                (Endpoint { target: target.clone(), check: check.clone(), address: place.clone() }, how)
            }));
        }
    }
    let probes = endpoints.into_iter().map(|(endpoint, how)| async move {
        limit.hold(probe(&*with.prober, &*with.clock, &endpoint, how)).await
    });
    let witnesses = config.agent.witnesses.iter().map(|(id, witness)| async move {
        let place = Place::Address(witness.address);
        let seen = limit.hold(with.prober.probe(&place, &witness.check)).await;
        let overdue = || Outcome::Unknown("no time was left to ask it".into());
        (id.clone(), seen.map_or_else(overdue, |report| report.outcome))
    });
    let (seen, witnesses) = join(
        stream::iter(probes)
            .buffer_unordered(AT_ONCE)
            .filter_map(|seen| async { seen })
            .collect::<Vec<Observation>>(),
        stream::iter(witnesses).buffer_unordered(AT_ONCE).collect(),
    )
    .await;
    let mut one = OneLook::new(&policy);
    for observation in &seen {
        one.see(observation);
    }
    let targets = policy.targets.keys().map(|id| (id.clone(), (one.target(id), one.complaint(id))));
    Looks { targets: targets.collect(), witnesses, policy }
}
