//! BIND, Knot and PowerDNS.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::dns::{self, Reply};
use crate::process::{freeze, kill, thaw};
use crate::script::Script;

/// The zone every server has unless told otherwise: SOA, NS, and an address for `ns1`.
pub const ZONE: &str = "example.test";

/// The key that may update and transfer every zone of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tsig {
    /// Its name.
    pub name: String,
    /// Its algorithm: `hmac-sha256` unless the server was started with another.
    pub algorithm: String,
    /// Its secret, base64. Fixed and public: it is for tests.
    pub secret: String,
}

/// What all of them can do. Every call panics with a reason where it cannot.
pub trait DnsServer {
    /// What it is called in a failure.
    fn label(&self) -> &'static str;

    /// Where it answers questions and takes updates (UDP and TCP).
    fn dns(&self) -> SocketAddr;

    /// The key that may update.
    fn tsig(&self) -> Tsig;

    /// Its process.
    fn pid(&self) -> String;

    /// Stops it and keeps its state.
    fn stop(&self);

    /// Starts it again where it was: same ports, same zones.
    fn start_again(&mut self);

    /// Freezes it: from the return on, connections are taken by the kernel and nothing is answered.
    fn freeze(&self) {
        freeze(&self.pid());
    }

    /// Lets a frozen one go on.
    fn thaw(&self) {
        thaw(&self.pid());
    }

    /// Kills it; [`DnsServer::start_again`] starts it with what it had on its disk.
    fn kill(&self) {
        kill(&self.pid());
    }

    /// Asks it one question.
    fn ask(&self, name: &str, rtype: &str) -> Reply {
        dns::ask_over_tcp(self.dns(), name, rtype)
            .unwrap_or_else(|why| panic!("{} does not answer {name} {rtype}: {why}", self.label()))
    }

    /// The serial of a zone.
    fn serial(&self, zone: &str) -> u32 {
        let reply = self.ask(zone, "SOA");
        let serial = reply.records.first().and_then(|soa| soa.split(' ').nth(5)?.parse().ok());
        serial.unwrap_or_else(|| panic!("{} has no SOA of {zone}: {reply:?}", self.label()))
    }

    /// Sends these lines of `nsupdate(1)` in one signed message, for set-up from outside the code under test.
    fn nsupdate(&self, lines: &str) {
        let done = self.try_nsupdate(lines);
        assert!(done.is_ok(), "{}: nsupdate of {lines:?}: {done:?}", self.label());
    }

    /// The same where the server may refuse it.
    ///
    /// # Errors
    /// What nsupdate says then.
    fn try_nsupdate(&self, lines: &str) -> Result<(), String> {
        let key = self.tsig();
        let mut child = Command::new("nsupdate")
            .args(["-v", "-y", &format!("{}:{}:{}", key.algorithm, key.name, key.secret)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsupdate is missing: run tests/run, or apt-get install bind9-dnsutils");
        let text = format!("server {} {}\n{lines}\nsend\n", self.dns().ip(), self.dns().port());
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("nsupdate reads");
        let output = child.wait_with_output().expect("nsupdate ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    /// Makes `name` hold exactly these records (`60 A 192.0.2.1`) of types A, AAAA and CNAME.
    fn set(&self, name: &str, records: &[&str]) {
        let deleted = ["A", "AAAA", "CNAME"].map(|rtype| format!("update delete {name}. {rtype}"));
        let added = records.iter().map(|record| format!("update add {name}. {record}"));
        self.nsupdate(&deleted.into_iter().chain(added).collect::<Vec<_>>().join("\n"));
    }
}

macro_rules! dns_server {
    ($server:ident, $label:literal, $port:literal, $key:literal, $secret:literal, $algorithm:literal, $pid:literal) => {
        impl DnsServer for $server {
            fn label(&self) -> &'static str {
                $label
            }
            fn dns(&self) -> SocketAddr {
                ([127, 0, 0, 1], self.0.port($port)).into()
            }
            fn tsig(&self) -> Tsig {
                let var = |name| self.0.var(name).to_owned();
                Tsig { name: var($key), algorithm: var($algorithm), secret: var($secret) }
            }
            fn pid(&self) -> String {
                self.0.var($pid).to_owned()
            }
            fn stop(&self) {
                self.0.stop();
            }
            fn start_again(&mut self) {
                self.0.start_again();
            }
        }
    };
}

/// A BIND 9 primary with as many secondaries as wanted.
pub struct Bind(Script);

dns_server!(Bind, "BIND", "BIND_PORT", "BIND_KEY_NAME", "BIND_KEY_SECRET", "BIND_KEY_ALG", "BIND_PID");

impl Bind {
    /// A primary of [`ZONE`] with this many secondaries, which follow it by NOTIFY.
    pub fn start(secondaries: usize) -> Bind {
        Bind::start_with(&[("BIND_SECONDARIES", &secondaries.to_string())])
    }

    /// The same with the settings listed at the head of `tests/servers/bind.sh` (`BIND_ZONES`, `BIND_NOTIFY` ...).
    pub fn start_with(settings: &[(&str, &str)]) -> Bind {
        Bind(Script::start("bind.sh", settings))
    }

    /// Takes [`ZONE`] away from the running primary, or brings it back as it was.
    pub fn serve_zone(&self, serves: bool) {
        let config = format!("{}/primary.conf", self.0.var("BIND_DIR"));
        let text = std::fs::read_to_string(&config).expect("bind.sh wrote it");
        let (here, away) = (format!("zone \"{ZONE}\""), format!("zone \"away.{ZONE}\""));
        let text = if serves { text.replace(&away, &here) } else { text.replace(&here, &away) };
        std::fs::write(&config, text).expect("it is ours");
        let done = Command::new("rndc").args(["-c", self.0.var("BIND_RNDC_CONF"), "reconfig"]).output();
        let done = done.expect("rndc is missing: run tests/run, or apt-get install bind9-utils");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Where the secondaries answer.
    pub fn secondaries(&self) -> Vec<SocketAddr> {
        addresses(self.0.var("BIND_SEC_PORTS"))
    }

    /// Freezes the secondary of this place (from 0): it answers nothing and learns nothing.
    pub fn freeze_secondary(&self, place: usize) {
        freeze(self.secondary_pid(place));
    }

    /// Lets a frozen secondary go on.
    pub fn thaw_secondary(&self, place: usize) {
        thaw(self.secondary_pid(place));
    }

    fn secondary_pid(&self, place: usize) -> &str {
        self.0.var("BIND_SEC_PIDS").split_whitespace().nth(place).expect("there is such a secondary")
    }
}

/// A Knot DNS primary with as many secondaries as wanted.
pub struct Knot(Script);

dns_server!(Knot, "Knot", "KNOT_PORT", "KNOT_KEY_NAME", "KNOT_KEY_SECRET", "KNOT_KEY_ALG", "KNOT_PID");

impl Knot {
    /// A primary of [`ZONE`] without secondaries.
    pub fn start() -> Knot {
        Knot::start_with(&[])
    }

    /// The same with the settings listed at the head of `tests/servers/knot.sh`.
    pub fn start_with(settings: &[(&str, &str)]) -> Knot {
        Knot(Script::start("knot.sh", settings))
    }

    /// Where the secondaries answer.
    pub fn secondaries(&self) -> Vec<SocketAddr> {
        addresses(self.0.var("KNOT_SEC_PORTS"))
    }
}

/// A PowerDNS authoritative server (SQLite) with its HTTP API; it takes DNS UPDATE too.
pub struct Pdns(Script);

dns_server!(
    Pdns,
    "PowerDNS",
    "PDNS_DNS_PORT",
    "PDNS_TSIG_NAME",
    "PDNS_TSIG_SECRET",
    "PDNS_TSIG_ALG",
    "PDNS_PID"
);

impl Pdns {
    /// A server of [`ZONE`].
    pub fn start() -> Pdns {
        Pdns::start_with(&[])
    }

    /// The same with the settings listed at the head of `tests/servers/pdns.sh` (`PDNS_ZONES` ...).
    pub fn start_with(settings: &[(&str, &str)]) -> Pdns {
        Pdns(Script::start("pdns.sh", settings))
    }

    /// The base of the API, without `/api/v1`: `http://127.0.0.1:8081`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port("PDNS_API_PORT"))
    }

    /// The key of the API.
    pub fn api_key(&self) -> &str {
        self.0.var("PDNS_API_KEY")
    }

    /// The folder of its database (`pdns/pdns.db` in it).
    pub fn folder(&self) -> &std::path::Path {
        self.0.folder()
    }

    /// One request to the API (`path` below `/api/v1/servers/localhost`) by curl, from outside the code under test:
    /// the status and the body.
    pub fn api(&self, method: &str, path: &str, body: Option<&serde_json::Value>) -> (u16, String) {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-m", "10", "-X", method, "-w", "\n%{http_code}", "-H"])
            .arg(format!("X-API-Key: {}", self.api_key()));
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "-d", &body.to_string()]);
        }
        let output = curl
            .arg(format!("{}/api/v1/servers/localhost{path}", self.url()))
            .output()
            .expect("curl is missing: run tests/run, or apt-get install curl");
        let text = String::from_utf8_lossy(&output.stdout);
        let (body, status) = text.rsplit_once('\n').expect("curl writes the status last");
        (status.parse().expect("a status"), body.to_owned())
    }
}

fn addresses(ports: &str) -> Vec<SocketAddr> {
    let address = |port: &str| ([127, 0, 0, 1], port.parse::<u16>().expect("a port")).into();
    ports.split_whitespace().map(address).collect()
}
