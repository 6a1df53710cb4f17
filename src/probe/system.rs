//! The prober of real sockets and real processes, and the deadline over all parts of a probe.

use std::fmt;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use providers::DomainName;
use tokio::time::timeout;

use super::engine::{self, Engine};
use super::exec::Surroundings;
use super::http::Means;
use super::kept::Shelf;
use super::named;
use super::progress::{Phase, Progress};
use super::tls::{Roots, Tls};
use super::{Check, CheckKind, Prober, Report, Step, dns, exec, grpc, http, icmp, tcp, tls_check};
use crate::clock::Clock;
use crate::decision::{Moment, Outcome, Place};
use crate::resolve::{HostNames, NoAddress, Resolvers};

/// Probes over the network and by programs.
///
/// All parts of a probe together end at the check's timeout. That is a failure which names the part that was
/// waited for, a hanging program included: a plugin mostly hangs because its target does (Nagios itself calls this
/// state critical or unknown, as configured by `service_check_timeout_state`). A failure that is found more than
/// a second after the deadline is [`Outcome::Unknown`]: this machine stood still, or has too much to do.
///
/// A host name is resolved first, and then every address of it may serve the probe: it passes when one passes, all
/// within the check's timeout. That the name does not exist is a failure; that it cannot be found out is
/// [`Outcome::Unknown`], as [`HostNames::addresses`] tells them apart.
pub struct SystemProber {
    clock: Arc<dyn Clock>,
    /// Or why there is none.
    engine: Result<Arc<Engine>, String>,
    surroundings: Surroundings,
    names: HostNames,
}

/// What the probes of an engine share.
pub(super) struct Kit {
    clock: Arc<dyn Clock>,
    tls: Tls,
    pub(super) shelf: Shelf,
}

impl Kit {
    pub(super) fn new(clock: Arc<dyn Clock>, roots: Roots, most_kept: usize) -> Self {
        let tls = Tls::new(Arc::clone(&clock), roots);
        Kit { shelf: Shelf::new(Arc::clone(&clock), most_kept), tls, clock }
    }

    /// What is large and rare is put aside: a probe under way takes the memory of the largest that it could be.
    async fn run(&self, address: IpAddr, check: &Arc<Check>, progress: &mut Progress<'_>) -> Step<()> {
        match &check.kind {
            CheckKind::Http(http) => {
                let means = Means { tls: &self.tls, shelf: &self.shelf };
                http::probe(address, (check, http), means, progress).await
            }
            CheckKind::Grpc(grpc) => {
                Box::pin(grpc::probe(address, grpc, check.timeout, &self.tls, progress)).await
            }
            CheckKind::Tcp(tcp) => tcp::probe(address, tcp, &self.tls, progress).await,
            CheckKind::Tls(check) => Box::pin(tls_check::probe(address, check, &self.tls, progress)).await,
            CheckKind::Icmp(_) | CheckKind::Dns(_) | CheckKind::Exec(_) => {
                Err(Outcome::Unknown("no engine makes such probes".to_owned()))
            }
        }
    }
}

/// One probe of one address on the engine that drives it, which begins now, with `time` left of the check's timeout.
pub(super) async fn look(
    kit: Rc<Kit>,
    address: IpAddr,
    check: Arc<Check>,
    time: Duration,
    started: Moment,
) -> Report {
    let mut progress = Progress::begin_at(&*kit.clock, started);
    let ended = engine::timeout(time, pin!(kit.run(address, &check, &mut progress))).await;
    progress.conclude(ended.ok(), &check)
}

impl SystemProber {
    /// A prober that measures by `clock`, judges the validity of certificates by its wall time, and trusts `roots`.
    ///
    /// The system's roots are read once, at the start. If there are none, probes with TLS say so as [`Outcome::Unknown`].
    pub fn new(clock: Arc<dyn Clock>, roots: Roots) -> Self {
        SystemProber::with_resolvers(clock, roots, Resolvers::System)
    }

    /// As [`new`](SystemProber::new), but host names are looked up through these resolvers.
    pub fn with_resolvers(clock: Arc<dyn Clock>, roots: Roots, resolvers: Resolvers) -> Self {
        let engine =
            Engine::start(Arc::clone(&clock), roots).map(Arc::new).map_err(|error| error.to_string());
        let names = HostNames::new(Arc::clone(&clock), resolvers);
        SystemProber { clock, engine, surroundings: Surroundings::of_this_process(), names }
    }

    /// What no engine does.
    async fn run(&self, address: IpAddr, check: &Arc<Check>, progress: &mut Progress<'_>) -> Step<()> {
        match &check.kind {
            CheckKind::Icmp(icmp) => icmp::probe(address, *icmp, check.timeout, progress).await,
            CheckKind::Dns(dns) => dns::probe(address, dns, progress).await,
            CheckKind::Exec(exec) => exec::probe(address, exec, &self.surroundings, progress).await,
            CheckKind::Http(_) | CheckKind::Grpc(_) | CheckKind::Tcp(_) | CheckKind::Tls(_) => {
                let why = self.engine.as_ref().err().map_or("", String::as_str);
                Err(Outcome::Unknown(format!("the agent's own probing cannot start: {why}")))
            }
        }
    }

    /// One address, with `time` left of the check's timeout.
    async fn at(&self, address: IpAddr, check: &Arc<Check>, time: Duration) -> Report {
        if let (Ok(engine), Some(address)) = (&self.engine, Engine::makes(&address.into(), check)) {
            return engine.look(address, check, time).await;
        }
        let mut progress = Progress::begin(&*self.clock);
        let ended = timeout(time, self.run(address, check, &mut progress)).await;
        progress.conclude(ended.ok(), check)
    }

    async fn at_name(&self, name: &DomainName, check: &Arc<Check>) -> Report {
        let mut progress = Progress::begin(&*self.clock);
        progress.phase = Phase::Resolve;
        let addresses = match timeout(check.timeout, self.names.addresses(name)).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(NoAddress::Nothing(why))) => return progress.report(Outcome::Fail(why), check.timeout),
            Ok(Err(NoAddress::NotKnown(why))) => {
                return progress.report(Outcome::Unknown(why), check.timeout);
            }
            Err(_) => {
                let outcome = progress.overdue(check.timeout);
                return progress.report(outcome, check.timeout);
            }
        };
        progress.resolved();
        let order = named::order(&addresses);
        let pause = named::pause(check, order.len());
        let left = || progress.left(check.timeout);
        let attempts = order.into_iter().map(|address| {
            let left = &left;
            async move { (address, self.at(address, check, left()).await) }
        });
        let attempt = named::first_pass(name, attempts, pause).await;
        let outcome = progress.take_over(attempt);
        progress.report(outcome, check.timeout)
    }
}

#[async_trait]
impl Prober for SystemProber {
    async fn probe(&self, place: &Place, check: &Arc<Check>) -> Report {
        match place {
            Place::Address(address) => self.at(*address, check, check.timeout).await,
            Place::Name(name) => self.at_name(name, check).await,
        }
    }

    fn forget(&self, _: &Place, check: &Arc<Check>) {
        if let Ok(engine) = &self.engine {
            engine.forget(check);
        }
    }

    fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.as_ref().ok().map(Arc::clone)
    }
}

impl fmt::Debug for SystemProber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemProber").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::probe::tests::{LOOPBACK, check, http_check};

    /// A probe under way takes one allocation of this size, whatever its kind: a hundred thousand that hang must fit.
    #[test]
    fn a_probe_under_way_is_small() {
        let kit = Rc::new(Kit::new(Arc::new(SystemClock::start()), Roots::Only(Vec::new()), 1));
        let http = Arc::new(check(CheckKind::Http(http_check(80))));
        let size = size_of_val(&look(kit, LOOPBACK, http, Duration::ZERO, Moment::ZERO));
        assert!(size <= 1536, "{size} bytes");
    }
}
