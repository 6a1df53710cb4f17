//! The hosts that are probed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use failover::decision::{Certificate, Outcome, Timings};
use failover::probe::{Check, Prober, Report};
use tokio::time::sleep;

/// How long a host takes for its answer.
const ROUND_TRIP: Duration = Duration::from_millis(5);

/// What a host does when it is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// It works.
    Works,
    /// Nobody listens.
    Refuses,
    /// It takes the connection and says nothing: the probe's time-out ends it.
    Hangs,
    /// It passes and fails by turns.
    Alternates,
    /// We cannot get there from here: our own trouble.
    NoRoute,
}

/// Every host, by address; one that is not named works.
#[derive(Default)]
pub(crate) struct Hosts {
    hosts: Mutex<BTreeMap<IpAddr, Host>>,
    probes: Mutex<BTreeMap<IpAddr, u64>>,
    /// What each shows, if anything.
    pub(crate) certificates: Mutex<BTreeMap<IpAddr, Arc<Certificate>>>,
}

impl Hosts {
    pub(crate) fn set(&self, address: IpAddr, host: Host) {
        self.hosts.lock().unwrap().insert(address, host);
    }

    /// How often a host was probed.
    pub(crate) fn probes(&self, address: IpAddr) -> u64 {
        self.probes.lock().unwrap().get(&address).copied().unwrap_or_default()
    }

    fn meet(&self, address: IpAddr) -> (Host, u64) {
        let mut probes = self.probes.lock().unwrap();
        let count = probes.entry(address).or_default();
        *count += 1;
        (self.hosts.lock().unwrap().get(&address).copied().unwrap_or(Host::Works), *count)
    }
}

#[async_trait]
impl Prober for Hosts {
    async fn probe(&self, address: IpAddr, check: &Arc<Check>) -> Report {
        let (host, count) = self.meet(address);
        let (takes, outcome) = match host {
            Host::Works => (ROUND_TRIP, Outcome::Pass),
            Host::Alternates if count.is_multiple_of(2) => (ROUND_TRIP, Outcome::Pass),
            Host::Refuses | Host::Alternates => (ROUND_TRIP, Outcome::Fail("connection refused".into())),
            Host::Hangs => {
                (check.timeout, Outcome::Fail(format!("no answer within {} s", check.timeout.as_secs())))
            }
            Host::NoRoute => (ROUND_TRIP, Outcome::Unknown("no route to host".into())),
        };
        sleep(takes).await;
        let certificate = self.certificates.lock().unwrap().get(&address).cloned();
        Report { outcome, timings: Timings { total: takes, ..Timings::default() }, certificate }
    }
}
