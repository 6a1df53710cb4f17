//! One provider with everything around it: its server, the targets, the chat, and a configuration that ties them together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;

use serde_json::Value;
use testkit::{Backend, Bind, ChatSink, DnsServer, Knot, Pdns, Tsig, ZONE, wait_until};

use crate::agent::{PATIENCE, Site};
use crate::relay::{Protocol, Relay};

/// The record.
pub(crate) const WWW: &str = "www.example.test";
/// The primary target's address.
pub(crate) const ALPHA: &str = "127.0.0.10";
/// The stand-by's.
pub(crate) const BETA: &str = "127.0.0.20";
/// The primary's place among the targets of the backend.
pub(crate) const PRIMARY: usize = 0;
/// The stand-by's.
pub(crate) const STANDBY: usize = 1;
/// The primary's IPv6 address, where a stage has it.
pub(crate) const PRIMARY_V6: usize = 2;

/// A server and the way in which it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    PowerDnsHttp,
    PowerDnsUpdate,
    Bind,
    Knot,
}

impl Way {
    fn label(self) -> &'static str {
        match self {
            Way::PowerDnsHttp => "PowerDNS by HTTP",
            Way::PowerDnsUpdate => "PowerDNS by DNS UPDATE",
            Way::Bind => "BIND",
            Way::Knot => "Knot",
        }
    }
}

/// Plays a story on every provider side by side. A panic of one is printed with its name; the others go on.
pub(crate) fn on_each(story: impl Fn(Way) + Sync) {
    let ways = [Way::PowerDnsHttp, Way::PowerDnsUpdate, Way::Bind, Way::Knot];
    let story = &story;
    let failed: Vec<&str> = thread::scope(|scope| {
        let play = |way: Way| {
            let thread = thread::Builder::new().name(way.label().into());
            (way, thread.spawn_scoped(scope, move || story(way)).expect("a thread"))
        };
        let playing = ways.map(play);
        playing.into_iter().filter_map(|(way, thread)| thread.join().err().map(|_| way.label())).collect()
    });
    assert!(failed.is_empty(), "failed on {}", failed.join(", "));
}

/// How to reach a provider.
enum Access {
    Http { url: String, key: String },
    Update { server: SocketAddr, tsig: Tsig },
}

/// What a story changes of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Addresses of the primary.
    pub(crate) alpha: &'static str,
    /// `failback.after`.
    pub(crate) failback_after: &'static str,
    /// More keys of the record, each with its line.
    pub(crate) more: String,
    /// More keys of the check.
    pub(crate) check: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        let (more, check) =
            (String::new(), "interval: 1s, fast_interval: 100ms, timeout: 1s, fall: 3, rise: 2, clear: 2");
        Settings { alpha: ALPHA, failback_after: "2s", more, check }
    }
}

/// The whole stage. What is declared first is stopped first.
pub(crate) struct Stage {
    pub(crate) settings: Settings,
    pub(crate) server: Box<dyn DnsServer + Send + Sync>,
    pub(crate) backend: Backend,
    pub(crate) chat: ChatSink,
    /// Every server that serves the zone.
    pub(crate) nameservers: Vec<SocketAddr>,
    access: Access,
}

impl Stage {
    /// A stage on which the record holds [`ALPHA`].
    pub(crate) fn start(way: Way) -> Stage {
        let backend = Backend::start(&[ALPHA, BETA]);
        match way {
            Way::PowerDnsHttp => {
                let server = Pdns::start();
                let access = Access::Http { url: server.url(), key: server.api_key().to_owned() };
                Stage::with(Box::new(server), Some(access), backend)
            }
            Way::PowerDnsUpdate => Stage::with(Box::new(Pdns::start()), None, backend),
            Way::Bind => Stage::with(Box::new(Bind::start(0)), None, backend),
            Way::Knot => Stage::with(Box::new(Knot::start()), None, backend),
        }
    }

    /// A stage around this server, by DNS UPDATE.
    pub(crate) fn around(server: impl DnsServer + Send + Sync + 'static) -> Stage {
        Stage::with(Box::new(server), None, Backend::start(&[ALPHA, BETA]))
    }

    /// The same by the HTTP API of this server, which is the one behind `server`.
    pub(crate) fn around_http(server: impl DnsServer + Send + Sync + 'static, api: &Pdns) -> Stage {
        let access = Access::Http { url: api.url(), key: api.api_key().to_owned() };
        Stage::with(Box::new(server), Some(access), Backend::start(&[ALPHA, BETA]))
    }

    fn with(server: Box<dyn DnsServer + Send + Sync>, access: Option<Access>, backend: Backend) -> Stage {
        let access = access.unwrap_or(Access::Update { server: server.dns(), tsig: server.tsig() });
        let nameservers = vec![server.dns()];
        let settings = Settings::default();
        let stage = Stage { settings, server, backend, chat: ChatSink::start(), nameservers, access };
        stage.publish(&[ALPHA]);
        stage
    }

    /// The same with an IPv6 address of the primary, on the port of the others.
    pub(crate) fn with_ipv6(mut self) -> Stage {
        self.backend = Backend::start(&[ALPHA, BETA, "::1"]);
        self.settings.alpha = "[127.0.0.10, \"::1\"]";
        self.publish(&[ALPHA, "::1"]);
        self
    }

    /// Puts a relay between the agent and the provider, for configurations made from now on.
    pub(crate) fn relay(&mut self) -> Relay {
        let (protocol, upstream) = self.provider();
        let relay = Relay::start(protocol, upstream);
        self.reach_by(relay.address());
        relay
    }

    /// What the provider speaks, and where.
    pub(crate) fn provider(&self) -> (Protocol, SocketAddr) {
        match &self.access {
            Access::Http { url, .. } => {
                (Protocol::Http, url.trim_start_matches("http://").parse().expect("an address"))
            }
            Access::Update { server, .. } => (Protocol::Dns, *server),
        }
    }

    /// Sends the agent to the provider by another address, for configurations made from now on.
    pub(crate) fn reach_by(&mut self, address: SocketAddr) {
        match &mut self.access {
            Access::Http { url, .. } => *url = format!("http://{address}"),
            Access::Update { server, .. } => *server = address,
        }
    }

    /// Gives the agent another secret than the server has, and tells it.
    pub(crate) fn spoil_the_secret(&mut self) -> &'static str {
        let wrong = "ZGlmZmVyZW50LXNlY3JldC1vZi0zMi1vY3RldHMtISE=";
        match &mut self.access {
            Access::Http { key, .. } => wrong.clone_into(key),
            Access::Update { tsig, .. } => wrong.clone_into(&mut tsig.secret),
        }
        wrong
    }

    /// The configuration.
    pub(crate) fn config(&self) -> String {
        let provider = match &self.access {
            Access::Http { url, key } => {
                format!("{{type: powerdns, url: \"{url}\", api_key: \"{key}\", timeout: 2s}}")
            }
            Access::Update { server, tsig } => format!(
                "{{type: rfc2136, server: \"{server}\", timeout: 2s, \
                 tsig: {{name: {}, algorithm: {}, secret: \"{}\"}}}}",
                tsig.name, tsig.algorithm, tsig.secret
            ),
        };
        let nameservers: Vec<String> =
            self.nameservers.iter().map(|server| format!("\"{server}\"")).collect();
        let Settings { alpha, failback_after, more, check } = &self.settings;
        let (port, url, nameservers) = (self.backend.port(), self.chat.url("/hook"), nameservers.join(", "));
        format!(
            "agent: {{id: tester, state: \"{{folder}}/failover.db\", live_interval: 1s}}
api: {{socket: \"{{folder}}/failover.sock\"}}
checks:
  web:
    http: {{path: /healthz, port: {port}}}
    {}
targets:
  alpha: {{address: {alpha}, checks: [web]}}
  beta: {{address: {BETA}, checks: [web]}}
providers:
  zone: {provider}
records:
  - name: {WWW}
    provider: zone
    nameservers: [{nameservers}]
    ttl: 60
    targets: [alpha, beta]
    failback: {{mode: auto, after: {failback_after}}}
    hold_down: 0s
{more}
notify:
  channels:
    ops: {{type: webhook, url: \"{url}\"}}
  routes:
    - {{channel: ops, events: [\"*\"], min_severity: debug}}
",
            check.replace(", ", "\n    ")
        )
    }

    /// A site with this configuration.
    pub(crate) fn site(&self) -> Site {
        Site::new(&self.config())
    }

    /// Makes the record hold these addresses, as a person would.
    pub(crate) fn publish(&self, addresses: &[&str]) {
        let record = |address: &&str| {
            let kind = if address.contains(':') { "AAAA" } else { "A" };
            format!("60 {kind} {address}")
        };
        let records: Vec<String> = addresses.iter().map(record).collect();
        self.server.set(WWW, &records.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// The serial of the zone.
    pub(crate) fn serial(&self) -> u32 {
        self.server.serial(ZONE)
    }

    /// The published IPv4 addresses.
    pub(crate) fn answer(&self) -> Vec<String> {
        self.server.ask(WWW, "A").values().into_iter().map(ToOwned::to_owned).collect()
    }

    /// Waits until this one IPv4 address is published.
    #[track_caller]
    pub(crate) fn wait_for_answer(&self, address: &str) {
        wait_until(&format!("the server answers {address}"), PATIENCE, || {
            (self.answer() == [address]).then_some(())
        });
    }

    /// Everything the chat was told of this kind, by the id of the event: told twice under one id counts once.
    pub(crate) fn told(&self, kind: &str) -> BTreeMap<String, Value> {
        let all = self.chat.received().into_iter().filter(|message| message.body["type"] == kind);
        let by_id = |message: testkit::Received| {
            let data = message.body["data"].clone();
            let id = data["id"].as_str().expect("every event has an id").to_owned();
            assert_eq!(message.headers.get("webhook-id"), Some(&id), "the id a receiver tells copies by");
            (id, data)
        };
        all.map(by_id).collect()
    }

    /// Waits until something of this kind was told and gives the first.
    #[track_caller]
    pub(crate) fn wait_until_told(&self, kind: &str) -> Value {
        let what = format!("the chat is told {kind}");
        wait_until(&what, PATIENCE, || self.told(kind).into_values().next())
    }

    /// The kinds of everything told, for a failure.
    pub(crate) fn gist(&self) -> Vec<String> {
        let line = |message: testkit::Received| {
            format!("{}: {}", message.body["type"].as_str().unwrap_or("?"), message.body["data"]["summary"])
        };
        self.chat.received().into_iter().map(line).collect()
    }

    /// This kind was told so often.
    #[track_caller]
    pub(crate) fn assert_told(&self, kind: &str, times: usize) {
        assert_eq!(self.told(kind).len(), times, "{kind} in {:#?}", self.gist());
    }
}
