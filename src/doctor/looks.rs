//! Finds out how targets and witnesses are, by one probe of each endpoint.

use std::collections::BTreeMap;

use futures_util::future::join;
use futures_util::stream::{self, StreamExt};

use super::{Instruments, Limit, judge};
use crate::config::Config;
use crate::decision::{Endpoint, Glance, Observation, Outcome, Policy, WitnessId};
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
    for (target, settings) in &policy.targets {
        for check in settings.checks.keys() {
            let Some((how, _)) = config.checks.get(check) else { continue };
            endpoints.extend(settings.addresses.iter().map(|address| {
                (Endpoint { target: target.clone(), check: check.clone(), address: *address }, how)
            }));
        }
    }
    let probes = endpoints.into_iter().map(|(endpoint, how)| async move {
        limit.hold(probe(&*with.prober, &*with.clock, &endpoint, how)).await
    });
    let witnesses = config.agent.witnesses.iter().map(|(id, witness)| async move {
        let seen = limit.hold(with.prober.probe(witness.address, &witness.check)).await;
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
    let mut glance = Glance::new(&policy);
    seen.iter().for_each(|observation| glance.see(observation));
    let targets = policy.targets.keys().map(|id| (id.clone(), (glance.target(id), glance.complaint(id))));
    Looks { targets: targets.collect(), witnesses, policy }
}
