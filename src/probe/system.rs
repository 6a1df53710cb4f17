//! The prober of real sockets and real processes, and the deadline over all parts of a probe.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::timeout;

use super::exec::Surroundings;
use super::progress::Progress;
use super::tls::{Roots, Tls};
use super::{Check, CheckKind, Prober, Report, Step, dns, exec, http, icmp, tcp, tls_check};
use crate::clock::Clock;
use crate::decision::Outcome;

/// Probes over the network and by programs.
///
/// All parts of a probe together end at the check's timeout. That is a failure which names the part that was
/// waited for, a hanging program included: a plugin mostly hangs because its target does (Nagios itself calls this
/// state critical or unknown, as configured by `service_check_timeout_state`). A failure that is found more than
/// a second after the deadline is [`Outcome::Unknown`]: this machine stood still, or has too much to do.
pub struct SystemProber {
    clock: Arc<dyn Clock>,
    tls: Tls,
    surroundings: Surroundings,
}

impl SystemProber {
    /// A prober that measures by `clock`, judges the validity of certificates by its wall time, and trusts `roots`.
    ///
    /// The system's roots are read now, once. If there are none, probes with TLS say so as [`Outcome::Unknown`].
    pub fn new(clock: Arc<dyn Clock>, roots: Roots) -> Self {
        let tls = Tls::new(Arc::clone(&clock), roots);
        SystemProber { clock, tls, surroundings: Surroundings::of_this_process() }
    }

    async fn run(&self, address: IpAddr, check: &Check, progress: &mut Progress<'_>) -> Step<()> {
        match &check.kind {
            CheckKind::Http(http) => http::probe(address, http, &self.tls, progress).await,
            CheckKind::Tcp(tcp) => tcp::probe(address, tcp, &self.tls, progress).await,
            CheckKind::Tls(check) => tls_check::probe(address, check, &self.tls, progress).await,
            CheckKind::Icmp(icmp) => icmp::probe(address, *icmp, check.timeout, progress).await,
            CheckKind::Dns(dns) => dns::probe(address, dns, progress).await,
            CheckKind::Exec(exec) => exec::probe(address, exec, &self.surroundings, progress).await,
        }
    }
}

#[async_trait]
impl Prober for SystemProber {
    async fn probe(&self, address: IpAddr, check: &Arc<Check>) -> Report {
        let mut progress = Progress::begin(&*self.clock);
        let ended = timeout(check.timeout, self.run(address, check, &mut progress)).await;
        let outcome = match ended {
            Ok(Ok(())) => Outcome::Pass,
            Ok(Err(outcome)) => outcome,
            Err(_) => progress.overdue(check.timeout),
        };
        progress.report(outcome, check.timeout)
    }
}

impl fmt::Debug for SystemProber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemProber").finish_non_exhaustive()
    }
}
