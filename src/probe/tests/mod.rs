//! Probes against real servers on loopback and real programs, each test a story.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::{
    Check, CheckKind, HttpCheck, Prober, Report, Roots, StatusRange, SystemProber, TcpCheck, TlsSettings,
};
use crate::clock::SystemClock;
use crate::decision::Outcome;

mod authority;
mod cadence;
mod dns;
mod engine;
mod exec;
mod followers;
mod grpc;
mod h2server;
mod http;
mod http2;
mod icmp;
mod json;
mod random;
mod reuse;
mod scheduler;
mod server;
mod smtp;
mod tcp;
mod tls;
mod tls_check;
mod tripwire;

pub(super) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// `GET /` without TLS, 200 to 299 pass.
pub(super) fn http_check(port: u16) -> HttpCheck {
    HttpCheck {
        method: "GET".into(),
        path: "/".into(),
        port,
        tls: false,
        tls_settings: TlsSettings::default(),
        host: None,
        sni: None,
        headers: Vec::new(),
        auth: None,
        send: None,
        status: vec![StatusRange { first: 200, last: 299 }],
        body: None,
        json: Vec::new(),
        max_body_bytes: 64 * 1024,
        http2: false,
        reuse: false,
    }
}

/// The usual times around a check.
pub(super) fn check(kind: CheckKind) -> Check {
    Check {
        kind,
        interval: Duration::from_secs(10),
        fast_interval: Duration::from_secs(1),
        timeout: Duration::from_secs(10),
        jitter_percent: 10,
        tripwire: false,
        fall: 3,
    }
}

/// Is there somebody at this port?
pub(super) fn tcp_only(port: u16) -> Check {
    check(CheckKind::Tcp(TcpCheck { port, ..TcpCheck::default() }))
}

/// One probe of loopback, by a prober that trusts nobody.
async fn probe(check: Check) -> Report {
    probe_trusting(Roots::Only(Vec::new()), check).await
}

async fn probe_trusting(roots: Roots, check: Check) -> Report {
    SystemProber::new(Arc::new(SystemClock::start()), roots).probe(&LOOPBACK.into(), &Arc::new(check)).await
}

/// The reason of a failure.
fn failure(report: &Report) -> &str {
    match &report.outcome {
        Outcome::Fail(reason) => reason,
        other => panic!("wanted a failure, got {other:?}"),
    }
}

fn unknown(report: &Report) -> &str {
    match &report.outcome {
        Outcome::Unknown(reason) => reason,
        other => panic!("wanted an unknown, got {other:?}"),
    }
}
