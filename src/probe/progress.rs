//! How far a probe came, where its time went, and what is said when its time is up.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::hush::hush;
use super::{Check, Report, Step};
use crate::clock::Clock;
use crate::decision::{Certificate, Moment, Outcome, Timings};

/// How much later than its deadline a probe may end before its result says more about us than about the target.
pub(super) const LATE: Duration = Duration::from_secs(1);

/// What a probe is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The addresses of the target's host name.
    Resolve,
    /// A TCP connection.
    Connect(SocketAddr),
    /// The end of the TLS handshake.
    Tls,
    /// The peer to take what we send.
    Send,
    /// The first byte of an answer.
    Answer,
    /// The rest of the answer's head.
    Head,
    /// The rest of the body.
    Body,
    /// What was expected, in whatever a server sends.
    Expected,
    /// What is said before the handshake: this part of it.
    Said(&'static str),
    /// Echo replies: as many as are wanted of the requests that are sent.
    Echo {
        /// Who is to reply.
        address: IpAddr,
        /// How many requests are sent.
        count: u8,
        /// How many must be answered.
        wanted: u8,
    },
    /// A program's result.
    Program,
}

/// A probe under way. It lives outside the future that the deadline drops.
#[derive(Clone)]
pub(super) struct Progress<'a> {
    clock: &'a dyn Clock,
    started: Moment,
    /// The end of the last part that was timed.
    mark: Moment,
    timings: Timings,
    /// What is waited for now.
    pub(super) phase: Phase,
    /// Bytes of the answer, or of its body, seen so far; of an ICMP check, replies.
    pub(super) received: usize,
    /// What came and was no answer.
    ignored: Option<String>,
    /// The certificate that was shown.
    pub(super) certificate: Option<Arc<Certificate>>,
    /// The status that was answered.
    pub(super) status: Option<u16>,
    /// How long it took to pass, where that is known already.
    passed: Option<Duration>,
    /// Whether the server asked for a client certificate.
    pub(super) asked: bool,
}

impl<'a> Progress<'a> {
    pub(super) fn begin(clock: &'a dyn Clock) -> Self {
        Progress::begin_at(clock, clock.moment())
    }

    /// One that begins at this moment, which is now.
    pub(super) fn begin_at(clock: &'a dyn Clock, started: Moment) -> Self {
        let timings = Timings::default();
        Progress {
            clock,
            started,
            mark: started,
            timings,
            phase: Phase::Program,
            received: 0,
            ignored: None,
            certificate: None,
            status: None,
            passed: None,
            asked: false,
        }
    }

    /// Time since the last mark; sets the mark.
    fn lap(&mut self) -> Duration {
        let now = self.clock.moment();
        let lap = now.since(self.mark);
        self.mark = now;
        lap
    }

    pub(super) fn resolved(&mut self) {
        self.timings.resolve = Some(self.lap());
    }

    /// Takes over what an attempt at one address found out.
    pub(super) fn take_over(&mut self, attempt: Report) -> Outcome {
        self.timings = Timings { resolve: self.timings.resolve, ..attempt.timings };
        self.certificate = attempt.certificate;
        attempt.outcome
    }

    /// A connection to `peer` is begun, perhaps not as the first thing.
    pub(super) fn connecting(&mut self, peer: SocketAddr) {
        self.lap();
        self.phase = Phase::Connect(peer);
    }

    pub(super) fn connected(&mut self) {
        self.timings.connect = Some(self.lap());
    }

    pub(super) fn handshaken(&mut self) {
        self.timings.tls = Some(self.lap());
    }

    /// The request is out: the time to the first byte counts from here.
    pub(super) fn sent(&mut self) {
        self.begin_waiting();
        self.phase = Phase::Answer;
    }

    /// The time to the first byte counts from here.
    pub(super) fn begin_waiting(&mut self) {
        self.lap();
    }

    /// Something came that is no answer: it is told if nothing better comes.
    pub(super) fn ignored(&mut self, what: String) {
        self.ignored = Some(what);
    }

    /// Bytes came in.
    pub(super) fn received(&mut self, bytes: usize) {
        if self.timings.first_byte.is_none() {
            self.timings.first_byte = Some(self.lap());
        }
        self.received += bytes;
    }

    /// The probe passes, whatever is done after it.
    pub(super) fn passed(&mut self) {
        self.passed = Some(self.clock.moment().since(self.started));
    }

    /// How much is left of the probe's time.
    pub(super) fn left(&self, timeout: Duration) -> Duration {
        timeout.saturating_sub(self.clock.moment().since(self.started))
    }

    /// What is said when the deadline struck: a failure that names what was waited for. That resolvers are silent says
    /// nothing of the target.
    pub(super) fn overdue(&self, timeout: Duration) -> Outcome {
        if self.passed.is_some() {
            return Outcome::Pass;
        }
        let so_far = self.received;
        Outcome::Fail(match self.phase {
            Phase::Resolve => {
                return Outcome::Unknown(format!("no answer from the resolvers within {timeout:?}"));
            }
            Phase::Connect(peer) => format!("no TCP connection to {peer} within {timeout:?}"),
            Phase::Tls => format!("TLS handshake not finished within {timeout:?}{}", self.until_now()),
            Phase::Send => format!("what we sent was not taken within {timeout:?}{}", self.until_now()),
            Phase::Answer => format!("no answer within {timeout:?}{}{}", self.until_now(), self.only()),
            Phase::Head => {
                format!("head of the answer not finished within {timeout:?} ({so_far} bytes came)")
            }
            Phase::Body => format!("body not finished within {timeout:?} ({so_far} bytes came)"),
            Phase::Expected => {
                format!("what was expected did not come within {timeout:?} ({so_far} bytes came)")
            }
            Phase::Said(what) => format!("SMTP: no {what} within {timeout:?}{}", self.until_now()),
            Phase::Echo { address, count: 1, .. } => {
                format!("no echo reply from {address} within {timeout:?}")
            }
            Phase::Echo { address, count, wanted } => format!(
                "{address} answered {so_far} of {count} echo requests within {timeout:?}, wanted {wanted}"
            ),
            Phase::Program => format!("no result within {timeout:?}"),
        })
    }

    fn only(&self) -> String {
        self.ignored.as_ref().map_or_else(String::new, |what| format!(", only {what}"))
    }

    /// The parts that did succeed: they tell a dead host from a hanging service.
    fn until_now(&self) -> String {
        match (self.timings.connect, self.timings.tls) {
            (Some(connect), Some(tls)) => {
                format!(" (TCP connected after {}, TLS after another {})", short(connect), short(tls))
            }
            (Some(connect), None) => format!(" (TCP connected after {})", short(connect)),
            (None, _) => String::new(),
        }
    }

    /// What a probe of this check found: how it ended, or that its time was up.
    pub(super) fn conclude(self, ended: Option<Step<()>>, check: &Check) -> Report {
        let outcome = match ended {
            Some(Ok(())) => Outcome::Pass,
            Some(Err(outcome)) => hush(&check.kind, outcome),
            None => hush(&check.kind, self.overdue(check.timeout)),
        };
        self.report(outcome, check.timeout)
    }

    /// The result. A failure that was found long after the deadline was found by a machine that stood still or
    /// is overloaded: that is our own trouble and says nothing about the target.
    pub(super) fn report(mut self, outcome: Outcome, timeout: Duration) -> Report {
        let total = self.passed.unwrap_or_else(|| self.clock.moment().since(self.started));
        self.timings.total = total;
        let outcome = match outcome {
            Outcome::Fail(reason) if total > timeout.saturating_add(LATE) => Outcome::Unknown(format!(
                "this machine stood still or is overloaded: a probe of {timeout:?} took {} (it saw: {reason})",
                short(total)
            )),
            other => other,
        };
        Report { outcome, timings: self.timings, certificate: self.certificate }
    }
}

/// A measured time for people: milliseconds are exact enough.
fn short(time: Duration) -> String {
    match time.as_millis() {
        0 => "less than 1ms".to_owned(),
        millis => format!("{:?}", Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TokioClock;

    #[tokio::test(start_paused = true)]
    async fn a_failure_found_by_a_frozen_machine_is_our_own_trouble() {
        let clock = TokioClock::start_at("2026-11-22T12:00:00Z".parse().unwrap());
        let timeout = Duration::from_secs(3);
        let frozen = Progress::begin(&clock);
        tokio::time::advance(Duration::from_mins(1)).await;
        let report = frozen.report(Outcome::Fail("reset".into()), timeout);
        assert!(
            matches!(&report.outcome, Outcome::Unknown(text) if text.contains("1m") || text.contains("60s"))
        );
        assert_eq!(report.timings.total, Duration::from_mins(1));

        let in_time = Progress::begin(&clock);
        tokio::time::advance(timeout).await;
        assert_eq!(
            in_time.report(Outcome::Fail("reset".into()), timeout).outcome,
            Outcome::Fail("reset".into())
        );
    }
}
