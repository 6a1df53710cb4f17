//! HTTP targets that fail on command.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::netns::Hosts;
use crate::ports::free_port;
use crate::process::Helper;

/// How a target behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Answers 200.
    Ok,
    /// Answers this status.
    Status(u16),
    /// Answers this status and 200 in turn.
    Alternating(u16),
    /// Answers 200 after this time.
    Slow(Duration),
    /// Takes the request and never answers.
    Hang,
    /// Resets each connection.
    Reset,
    /// Answers with bytes that are no HTTP.
    Garbage,
    /// Answers 200 one byte at a time, this far apart.
    Trickle(Duration),
    /// Does not listen: connections are refused.
    Closed,
    /// Answers 200 with this body.
    Body(String),
}

impl Mode {
    fn to_query(&self) -> String {
        match self {
            Mode::Ok => "ok".into(),
            Mode::Status(code) => format!("status:{code}"),
            Mode::Alternating(code) => format!("alternating:{code}"),
            Mode::Slow(time) => format!("slow:{}", time.as_millis()),
            Mode::Hang => "hang".into(),
            Mode::Reset => "reset".into(),
            Mode::Garbage => "garbage".into(),
            Mode::Trickle(time) => format!("trickle:{}", time.as_millis()),
            Mode::Closed => "closed".into(),
            Mode::Body(text) => format!("body:{}", percent(text)),
        }
    }
}

/// HTTP targets on loopback addresses, all on one port, as the hosts of one service are
/// (`tests/servers/backend.py`).
pub struct Backend {
    targets: Vec<SocketAddr>,
    admin: SocketAddr,
    _helper: Helper,
}

impl Backend {
    /// Targets at these addresses (`127.0.0.2`, `::1`), on one free port.
    pub fn start(addresses: &[&str]) -> Backend {
        let ip = |text: &&str| text.parse::<IpAddr>().expect("an IP address");
        let on = |port| addresses.iter().map(ip).map(move |ip| SocketAddr::new(ip, port));
        // Some other program may listen on one of these addresses.
        let is_free = |port: &u16| on(*port).all(|target| TcpListener::bind(target).is_ok());
        let port =
            (0..50).map(|_| free_port()).find(is_free).expect("one of 50 ports is free on these addresses");
        let (targets, admin): (Vec<SocketAddr>, u16) = (on(port).collect(), free_port());
        let mut arguments = vec!["--admin".to_owned(), admin.to_string()];
        arguments.extend(targets.iter().map(ToString::to_string));
        let helper = Helper::python("backend.py", &arguments);
        Backend { targets, admin: ([127, 0, 0, 1], admin).into(), _helper: helper }
    }

    /// Targets at these addresses of the other host; [`Backend::set`] and [`Backend::requests`] do not reach them.
    pub fn start_there(hosts: &Hosts, addresses: &[&str]) -> Backend {
        let port = free_port();
        let ip = |text: &&str| text.parse::<IpAddr>().expect("an IP address");
        let targets: Vec<SocketAddr> = addresses.iter().map(ip).map(|ip| SocketAddr::new(ip, port)).collect();
        let arguments: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let helper = Helper::python_at(&hosts.there(), "backend.py", &arguments);
        Backend { targets, admin: ([127, 0, 0, 1], 0).into(), _helper: helper }
    }

    /// Where the targets listen, in the order given.
    pub fn targets(&self) -> &[SocketAddr] {
        &self.targets
    }

    /// The port they share.
    pub fn port(&self) -> u16 {
        self.targets[0].port()
    }

    /// Makes one target (from 0) behave so from now on.
    pub fn set(&self, place: usize, mode: &Mode) {
        let target = percent(&self.targets[place].to_string());
        let path = format!("/set?target={target}&mode={}", mode.to_query());
        let (status, body) = get(self.admin, &path);
        assert_eq!(status, 200, "backend: {body}");
    }

    /// How many requests a target has had.
    pub fn requests(&self, place: usize) -> u64 {
        let (status, body) = get(self.admin, "/stats");
        assert_eq!(status, 200, "backend: {body}");
        let stats: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        stats[self.targets[place].to_string()]["reqs"].as_u64().expect("a count")
    }
}

/// One GET to a small server of ours: status and body.
pub(crate) fn get(server: SocketAddr, path: &str) -> (u16, String) {
    let limit = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&server, limit).expect("the admin port listens");
    stream.set_read_timeout(Some(limit)).expect("a limit can be set");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn percent(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
