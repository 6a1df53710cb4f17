//! Echo requests to this machine. What needs a network of its own is in `tests/icmp.rs`.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use super::{LOOPBACK, check, unknown};
use crate::clock::SystemClock;
use crate::decision::Outcome;
use crate::probe::{CheckKind, IcmpCheck, Prober, Report, Roots, SystemProber};

async fn ping(address: IpAddr, icmp: IcmpCheck) -> Report {
    let prober = SystemProber::new(Arc::new(SystemClock::start()), Roots::Only(Vec::new()));
    prober.probe(address, &Arc::new(check(CheckKind::Icmp(icmp)))).await
}

#[tokio::test]
async fn a_host_that_replies_passes_over_both_families() {
    for address in [LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let report = ping(address, IcmpCheck::default()).await;
        assert_eq!(report.outcome, Outcome::Pass, "{address}");
        let first_byte = report.timings.first_byte.expect("the time of the reply");
        assert!(first_byte <= report.timings.total && report.timings.connect.is_none(), "{report:?}");
    }
}

#[tokio::test]
async fn every_size_and_every_request_is_answered() {
    for size in [IcmpCheck::MIN_SIZE, 57, IcmpCheck::MAX_SIZE] {
        for address in [LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let all = IcmpCheck { count: 4, max_loss_percent: Some(0), size };
            let report = ping(address, all).await;
            assert_eq!(report.outcome, Outcome::Pass, "{address} {size}");
            assert!(report.timings.total >= Duration::from_millis(600), "not all in one burst: {report:?}");
        }
    }
}

#[tokio::test]
async fn the_first_of_many_requests_is_enough_unless_more_are_wanted() {
    let report = ping(LOOPBACK, IcmpCheck { count: 10, ..IcmpCheck::default() }).await;
    assert_eq!(report.outcome, Outcome::Pass);
    assert!(report.timings.total < Duration::from_millis(1800), "it waited for all ten: {report:?}");
}

/// Two probes at once hear each other's replies on raw sockets; each takes its own.
#[tokio::test]
async fn probes_at_the_same_time_do_not_take_each_other_s_replies() {
    let all = IcmpCheck { count: 3, max_loss_percent: Some(0), ..IcmpCheck::default() };
    let reports = futures_util::future::join_all((0..20).map(|_| ping(LOOPBACK, all))).await;
    assert!(reports.iter().all(|report| report.outcome == Outcome::Pass), "{reports:?}");
}

/// `255.255.255.255` needs `SO_BROADCAST`, which is never set: the kernel's refusal is not the target's failure.
#[tokio::test]
async fn what_this_machine_forbids_to_send_is_unknown() {
    let report = ping("255.255.255.255".parse().expect("an address"), IcmpCheck::default()).await;
    assert!(unknown(&report).contains("sending an echo request"), "{report:?}");
}
