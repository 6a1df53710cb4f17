//! One probe that is certain to end.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::timeout;

use super::progress::LATE;
use super::{Check, Prober, Report};
use crate::clock::Clock;
use crate::decision::{Endpoint, Observation, Outcome, Timings};

/// Probes once. A probe that does not end within its timeout and a second is cut off and says [`Outcome::Unknown`].
pub(super) async fn bounded(
    prober: &dyn Prober,
    clock: &dyn Clock,
    address: IpAddr,
    check: &Arc<Check>,
) -> Report {
    let started = clock.now().moment;
    let limit = check.timeout.saturating_add(LATE);
    match timeout(limit, prober.probe(address, check)).await {
        Ok(report) => report,
        Err(_) => Report {
            outcome: Outcome::Unknown(format!("the probe was cut off: it did not end within {limit:?}")),
            timings: Timings { total: clock.now().moment.since(started), ..Timings::default() },
            certificate: None,
        },
    }
}

/// Probes an endpoint once, outside any schedule: for a person who asks now.
pub async fn look(
    prober: &dyn Prober,
    clock: &dyn Clock,
    endpoint: &Endpoint,
    check: &Arc<Check>,
) -> Observation {
    let started = clock.now().moment;
    let Report { outcome, timings, certificate } = bounded(prober, clock, endpoint.address, check).await;
    let ended = clock.now().moment;
    Observation { endpoint: endpoint.clone(), started, ended, outcome, timings, certificate }
}
