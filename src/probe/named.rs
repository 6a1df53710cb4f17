//! A host name has several addresses: in which order they are tried, and what their outcomes say together.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use providers::DomainName;
use tokio::time::sleep;

use super::{Check, CheckKind, Report};
use crate::decision::Outcome;

/// The most addresses of one name that are tried; the rest is as good.
const MOST: usize = 8;
/// How long an address is waited for before the next is tried beside it (RFC 8305 section 5).
const PAUSE: Duration = Duration::from_millis(250);

/// The families by turns, IPv6 first (RFC 8305 section 4).
pub(super) fn order(addresses: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
    let mut four = addresses.iter().filter(|address| address.is_ipv4());
    let mut six = addresses.iter().filter(|address| address.is_ipv6());
    let mut order = Vec::new();
    while order.len() < addresses.len().min(MOST) {
        order.extend(six.next());
        order.extend(four.next());
    }
    order.truncate(MOST);
    order
}

/// How long each of so many addresses is alone: short enough for the last one to have its share of the timeout, too.
/// A program has its whole share, since it is expensive and says nothing before its end.
pub(super) fn pause(check: &Check, addresses: usize) -> Duration {
    let count = u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    match check.kind {
        CheckKind::Exec(_) => check.timeout / count,
        _ => PAUSE.min(check.timeout / count.saturating_add(1)),
    }
}

/// Tries one after the other: the next when the one before has failed, or beside it after `pause`. The first pass is
/// the result. Without one it is the first failure; and trouble of our own only when no address failed, since a family
/// that cannot be reached from here must not save a host that is dead in the other.
pub(super) async fn first_pass<F>(
    name: &DomainName,
    attempts: impl IntoIterator<Item = F>,
    pause: Duration,
) -> Report
where
    F: Future<Output = (IpAddr, Report)>,
{
    let mut waiting = attempts.into_iter().peekable();
    let mut running = FuturesUnordered::new();
    let mut ended: Vec<(IpAddr, Report)> = Vec::new();
    running.extend(waiting.next());
    while !running.is_empty() {
        tokio::select! {
            biased;
            Some((address, report)) = running.next() => {
                if report.outcome == Outcome::Pass {
                    return report;
                }
                ended.push((address, report));
                running.extend(waiting.next());
            }
            () = sleep(pause), if waiting.peek().is_some() => running.extend(waiting.next()),
        }
    }
    together(name, ended)
}

fn together(name: &DomainName, ended: Vec<(IpAddr, Report)>) -> Report {
    let all = ended.len();
    let failed = |(_, report): &(IpAddr, Report)| matches!(report.outcome, Outcome::Fail(_));
    let first = ended.iter().position(failed).unwrap_or_default();
    let Some((address, mut report)) = ended.into_iter().nth(first) else {
        // A name without an address has ended before.
        let outcome = Outcome::Unknown(format!("{name} has no address to try"));
        return Report { outcome, timings: crate::decision::Timings::default(), certificate: None };
    };
    if let Outcome::Fail(reason) | Outcome::Unknown(reason) = &mut report.outcome {
        let whose = match all {
            1 => format!("{name} is {address}"),
            2 => format!("{address}; no better at the other address of {name}"),
            _ => format!("{address}; no better at the other {} addresses of {name}", all - 1),
        };
        *reason = format!("{reason} ({whose})");
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Timings;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Attempts that end after so many milliseconds.
    async fn tried(attempts: &[(&str, u64, Outcome)]) -> (Outcome, Duration) {
        let clock = crate::clock::TokioClock::start_at(jiff::Timestamp::UNIX_EPOCH);
        let attempt = |(address, millis, outcome): &(&str, u64, Outcome)| {
            let (address, wait, outcome) = (ip(address), Duration::from_millis(*millis), outcome.clone());
            async move {
                sleep(wait).await;
                (address, Report { outcome, timings: Timings::default(), certificate: None })
            }
        };
        let name = "dr.example.net".parse().unwrap();
        let report = first_pass(&name, attempts.iter().map(attempt), PAUSE).await;
        let took = crate::clock::Clock::now(&clock).moment.since(crate::decision::Moment::ZERO);
        (report.outcome, took)
    }

    fn fail(reason: &str) -> Outcome {
        Outcome::Fail(reason.into())
    }

    #[test]
    fn families_by_turns_and_not_too_many() {
        let mixed = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(ip);
        let expected = ["2001:db8::1", "192.0.2.1", "192.0.2.2"].map(ip);
        assert_eq!(order(&mixed.into_iter().collect()), expected);
        let many: BTreeSet<IpAddr> = (0..100).map(|n| ip(&format!("192.0.2.{n}"))).collect();
        assert_eq!(order(&many).len(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_that_passes_is_enough_and_one_that_hangs_holds_nobody_up() {
        let hangs = ("192.0.2.1", 3000, fail("hangs"));
        let (outcome, took) = tried(&[hangs, ("192.0.2.2", 10, Outcome::Pass)]).await;
        assert_eq!((outcome, took.as_millis()), (Outcome::Pass, 260));
        let refuses = ("192.0.2.1", 5, fail("refuses"));
        let (outcome, took) = tried(&[refuses, ("192.0.2.2", 10, Outcome::Pass)]).await;
        assert_eq!((outcome, took.as_millis()), (Outcome::Pass, 15), "at once after a failure");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_counts_more_than_trouble_of_our_own() {
        let no_route = ("2001:db8::1", 0, Outcome::Unknown("no route".into()));
        let (outcome, _) = tried(&[no_route.clone(), ("192.0.2.1", 5, fail("refused"))]).await;
        let words = "refused (192.0.2.1; no better at the other address of dr.example.net)";
        assert_eq!(outcome, fail(words));
        let (outcome, _) = tried(&[no_route]).await;
        assert_eq!(outcome, Outcome::Unknown("no route (dr.example.net is 2001:db8::1)".into()));
    }
}
