//! The conformance suite on every real server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use failover_providers::conformance::{self, Fixture, RaceSize, RawSet};
use failover_providers::{
    DomainName, PowerDnsConfig, Provider, ProviderConfig, Rfc2136Config, TsigAlgorithm, TsigConfig, build,
};
use testkit::{Bind, DnsServer, Knot, Pdns, ZONE};

/// A zone below the zone, to be found before it.
const CHILD: &str = "child.example.test";
const BOTH: &str = "example.test child.example.test";

/// The settings of an adapter for the updates of this server.
pub(crate) fn by_update(server: &impl DnsServer) -> Rfc2136Config {
    let key = server.tsig();
    Rfc2136Config {
        server: server.dns(),
        tsig: Some(TsigConfig {
            name: key.name.parse().expect("a name"),
            algorithm: match key.algorithm.as_str() {
                "hmac-sha256" => TsigAlgorithm::HmacSha256,
                "hmac-sha384" => TsigAlgorithm::HmacSha384,
                "hmac-sha512" => TsigAlgorithm::HmacSha512,
                other => panic!("{other}"),
            },
            secret: key.secret.into(),
        }),
        timeout: Duration::from_secs(5),
    }
}

/// The settings of an adapter for the API of this server.
pub(crate) fn by_http(server: &Pdns) -> PowerDnsConfig {
    PowerDnsConfig {
        url: server.url().parse().expect("a URL"),
        server_id: "localhost".into(),
        api_key: server.api_key().to_owned().into(),
        timeout: Duration::from_secs(5),
    }
}

struct Real<S> {
    server: S,
    title: &'static str,
    adapter: ProviderConfig,
}

#[async_trait]
impl<S: DnsServer + Send + Sync> Fixture for Real<S> {
    fn title(&self) -> String {
        self.title.to_owned()
    }

    async fn client(&self) -> Arc<dyn Provider> {
        build(&self.adapter).await.expect("the settings are right")
    }

    fn zone(&self) -> DomainName {
        ZONE.parse().expect("a name")
    }

    fn child_zone(&self) -> Option<DomainName> {
        Some(CHILD.parse().expect("a name"))
    }

    fn dns(&self) -> SocketAddr {
        self.server.dns()
    }

    async fn arrange(&self, owner: &str, sets: &[RawSet]) {
        let mut lines = vec![format!("update delete {owner}.")];
        for set in sets {
            let line =
                |value| format!("update add {owner}. {} {} {value}", set.ttl.seconds(), set.record_type);
            lines.extend(set.values.iter().map(line));
        }
        self.server.nsupdate(&lines.join("\n"));
    }

    fn race(&self) -> RaceSize {
        RaceSize { rounds: 15, ..RaceSize::default() }
    }
}

async fn passes<S: DnsServer + Send + Sync>(title: &'static str, server: S, adapter: ProviderConfig) {
    let report = conformance::run(&Real { server, title, adapter }).await;
    println!("{report}");
    report.assert_passed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bind_by_update() {
    let server = Bind::start_with(&[("BIND_SECONDARIES", "0"), ("BIND_ZONES", BOTH)]);
    let adapter = ProviderConfig::Rfc2136(by_update(&server));
    passes("BIND by DNS UPDATE", server, adapter).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn knot_by_update() {
    let server = Knot::start_with(&[("KNOT_ZONES", BOTH)]);
    let adapter = ProviderConfig::Rfc2136(by_update(&server));
    passes("Knot by DNS UPDATE", server, adapter).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn powerdns_by_update() {
    let server = Pdns::start_with(&[("PDNS_ZONES", BOTH)]);
    let adapter = ProviderConfig::Rfc2136(by_update(&server));
    passes("PowerDNS by DNS UPDATE", server, adapter).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn powerdns_by_http() {
    let server = Pdns::start_with(&[("PDNS_ZONES", BOTH)]);
    let adapter = ProviderConfig::PowerDns(by_http(&server));
    passes("PowerDNS by HTTP", server, adapter).await;
}
