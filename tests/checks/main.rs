//! Checks against the real thing: DNS servers, and hosts in network namespaces. The second need root, and fail loudly
//! without it.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage fails")]

mod dns;
mod icmp;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use failover::clock::SystemClock;
use failover::config::Config;
use failover::decision::Outcome;
use failover::probe::{Check, Prober, Report, Roots, SystemProber};

/// The check that an operator writes like this, with the time it may take.
fn written(check: &str, timeout: Duration) -> Check {
    let yaml = format!(
        "agent: {{witnesses: [{{tcp: 1.1.1.1:443}}]}}\nchecks: {{it: {check}}}\n\
         targets: {{a: {{address: 192.0.2.1, checks: it}}}}\nproviders: {{zone: {{type: mock}}}}\n\
         records: [{{name: www.example.com, provider: zone, targets: [a]}}]\n"
    );
    let config = Config::parse("checks.yaml", &yaml, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    testkit::assert_valid(Config::schema, &yaml);
    Check { timeout, ..(*config.checks[&"it".into()].0).clone() }
}

async fn probe(address: IpAddr, check: Check) -> Report {
    let prober = SystemProber::new(Arc::new(SystemClock::start()), Roots::Only(Vec::new()));
    prober.probe(&address.into(), &Arc::new(check)).await
}

/// The outcome as a test compares it.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pass => "pass".to_owned(),
        Outcome::Fail(reason) => format!("fail: {reason}"),
        Outcome::Unknown(reason) => format!("unknown: {reason}"),
    }
}
