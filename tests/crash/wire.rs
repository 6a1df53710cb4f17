//! A network between the agent and a DNS server that delays, loses, repeats and cuts, as the dice fall: a relay that
//! reads whole requests (DNS over TCP and UDP, or the API of `PowerDNS`) and counts what the server accepted of them.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::dice::Dice;
use crate::relay::Protocol;

/// What the network is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything arrives at once.
    Calm,
    /// Everything arrives, up to this time later, each way.
    Far(Duration),
    /// Two of three exchanges go wrong in some way.
    Storm,
}

/// The longest a storm holds something up.
const HELD_UP: Duration = Duration::from_secs(3);
/// The longest it swallows what it is sent without a word.
const SWALLOWED: Duration = Duration::from_secs(4);
/// The agent waits longer than this for an answer.
const PATIENT: Duration = Duration::from_secs(1);
/// How long the server may take.
const SERVER_LIMIT: Duration = Duration::from_secs(20);

/// What becomes of one request and its answer.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Passes,
    /// The request arrives late, the answer later.
    Late(Duration, Duration),
    /// The connection breaks before the server heard of it.
    Refused,
    /// The server answers; the connection breaks before the answer arrives.
    AnswerLost,
    /// The server gets it twice in a row; the answer to the first is given.
    Twice,
    /// The server gets so many parts of 256 of it.
    RequestCut(usize),
    /// The client gets so many parts of 256 of the answer.
    AnswerCut(usize),
    /// Nobody hears anything for so long; then the connection breaks.
    Swallowed(Duration),
}

struct State {
    weather: Weather,
    dice: Dice,
    faults: BTreeMap<&'static str, u32>,
    under_way: u32,
    writes: u32,
    repeats: u32,
}

struct Shared {
    protocol: Protocol,
    upstream: SocketAddr,
    state: Mutex<State>,
}

/// A network; its threads end with their connections, the listening ones with the test.
pub(crate) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Wire {
    /// Before this server, by TCP; for DNS by UDP as well.
    pub(crate) fn start(protocol: Protocol, upstream: SocketAddr, dice: Dice) -> Wire {
        let state = State {
            weather: Weather::Calm,
            dice,
            faults: BTreeMap::new(),
            under_way: 0,
            writes: 0,
            repeats: 0,
        };
        let shared = Arc::new(Shared { protocol, upstream, state: Mutex::new(state) });
        let (listener, socket) = pair();
        let address = listener.local_addr().expect("bound");
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let serving = Arc::clone(&serving);
                // Whatever goes wrong with a connection is its end.
                thread::spawn(move || drop(serving.serve(client)));
            }
        });
        if protocol == Protocol::Dns {
            let serving = Arc::clone(&shared);
            thread::spawn(move || serving.listen(&socket));
        }
        Wire { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.shared.lock().weather = weather;
    }

    /// Requests and answers that are still on their way, though nobody may wait for them any more.
    pub(crate) fn under_way(&self) -> u32 {
        self.shared.lock().under_way
    }

    /// Writes that the server accepted.
    pub(crate) fn writes(&self) -> u32 {
        self.shared.lock().writes
    }

    /// Writes that it sent twice, or held up so long that the agent may have made them again: the most that the server
    /// can have accepted beyond what was due.
    pub(crate) fn repeats(&self) -> u32 {
        self.shared.lock().repeats
    }

    /// What has gone wrong so far, by kind.
    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u32> {
        self.shared.lock().faults.clone()
    }
}

/// A TCP and a UDP socket at one port.
fn pair() -> (TcpListener, UdpSocket) {
    let both = |_| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).ok()?;
        let socket = UdpSocket::bind(listener.local_addr().ok()?).ok()?;
        Some((listener, socket))
    };
    (0..50).find_map(both).expect("one of 50 ports is free for both")
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }

    fn fate(&self) -> Fate {
        let mut state = self.lock();
        state.under_way += 1;
        let fate = {
            let State { weather, dice, .. } = &mut *state;
            weather.fate(dice)
        };
        if let Some(name) = fate.name().filter(|_| state.weather == Weather::Storm) {
            *state.faults.entry(name).or_default() += 1;
        }
        fate
    }

    /// One connection: request by request, until one side or the fate ends it.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        loop {
            let request = read(self.protocol, &mut client)?;
            let fate = self.fate();
            if self.protocol.writes(&request) && fate.repeats() {
                self.lock().repeats += 1;
            }
            let goes_on = self.exchange(&request, fate, &mut client);
            self.lock().under_way -= 1;
            if !goes_on.unwrap_or(false) || self.protocol == Protocol::Http {
                return client.shutdown(Shutdown::Both);
            }
        }
    }

    /// Does with one request what its fate is; may the connection go on?
    fn exchange(&self, request: &[u8], fate: Fate, client: &mut TcpStream) -> io::Result<bool> {
        match fate {
            Fate::Passes => client.write_all(&self.ask(request)?)?,
            Fate::Late(there, back) => {
                thread::sleep(there);
                let answer = self.ask(request)?;
                thread::sleep(back);
                client.write_all(&answer)?;
            }
            Fate::Refused => return Ok(false),
            Fate::AnswerLost => {
                self.ask(request)?;
                return Ok(false);
            }
            Fate::Twice => {
                let answer = self.ask(request)?;
                self.ask(request)?;
                client.write_all(&answer)?;
            }
            Fate::RequestCut(parts) => {
                let mut server = TcpStream::connect(self.upstream)?;
                server.write_all(part(request, parts))?;
                return Ok(false);
            }
            Fate::AnswerCut(parts) => {
                let answer = self.ask(request)?;
                client.write_all(part(&answer, parts))?;
                return Ok(false);
            }
            Fate::Swallowed(time) => {
                thread::sleep(time);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Asks the server, and counts what it wrote.
    fn ask(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(self.upstream)?;
        server.set_read_timeout(Some(SERVER_LIMIT))?;
        server.write_all(request)?;
        let answer = read(self.protocol, &mut server)?;
        self.lock().writes += u32::from(wrote(self.protocol, request, &answer));
        Ok(answer)
    }

    /// Datagrams: the same, without a connection that could break.
    fn listen(self: &Arc<Self>, socket: &UdpSocket) {
        let mut buffer = vec![0; 65_535];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let (request, fate, shared) = (buffer[..length].to_vec(), self.fate(), Arc::clone(self));
            let socket = socket.try_clone().expect("a handle");
            thread::spawn(move || {
                // A datagram that gets lost is nobody's error.
                let _ = shared.datagram(&request, fate, |answer| socket.send_to(answer, client).map(drop));
                shared.lock().under_way -= 1;
            });
        }
    }

    fn datagram(&self, request: &[u8], fate: Fate, give: impl Fn(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let ask = |request: &[u8]| {
            let server = UdpSocket::bind(("127.0.0.1", 0))?;
            server.set_read_timeout(Some(Duration::from_secs(2)))?;
            server.send_to(request, self.upstream)?;
            let mut answer = vec![0; 65_535];
            let length = server.recv(&mut answer)?;
            answer.truncate(length);
            io::Result::Ok(answer)
        };
        match fate {
            Fate::Refused | Fate::Swallowed(_) => Ok(()),
            Fate::RequestCut(parts) => ask(part(request, parts)).map(drop),
            Fate::AnswerLost => ask(request).map(drop),
            Fate::Passes => give(&ask(request)?),
            Fate::AnswerCut(parts) => give(part(&ask(request)?, parts)),
            Fate::Twice => {
                give(&ask(request)?)?;
                give(&ask(request)?)
            }
            Fate::Late(there, back) => {
                thread::sleep(there);
                let answer = ask(request)?;
                thread::sleep(back);
                give(&answer)
            }
        }
    }
}

/// So many parts of 256, and never all of it.
fn part(whole: &[u8], parts: usize) -> &[u8] {
    &whole[..(whole.len() * parts / 256).min(whole.len().saturating_sub(1))]
}

impl Weather {
    fn fate(self, dice: &mut Dice) -> Fate {
        let parts = |dice: &mut Dice| usize::try_from(dice.below(256)).expect("a byte");
        match self {
            Weather::Calm => Fate::Passes,
            Weather::Far(time) => Fate::Late(dice.within(time), dice.within(time)),
            Weather::Storm => match dice.below(12) {
                0..=3 => Fate::Passes,
                4 => Fate::Late(dice.within(HELD_UP), Duration::ZERO),
                5 => Fate::Late(Duration::ZERO, dice.within(HELD_UP)),
                6 => Fate::Refused,
                7 => Fate::AnswerLost,
                8 => Fate::Twice,
                9 => Fate::RequestCut(parts(dice)),
                10 => Fate::AnswerCut(parts(dice)),
                _ => Fate::Swallowed(dice.within(SWALLOWED)),
            },
        }
    }
}

impl Fate {
    /// Can the server get it more than once?
    fn repeats(self) -> bool {
        matches!(self, Fate::Twice) || matches!(self, Fate::Late(there, back) if there + back > PATIENT)
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Fate::Passes => None,
            Fate::Late(..) => Some("late"),
            Fate::Refused => Some("refused"),
            Fate::AnswerLost => Some("answer lost"),
            Fate::Twice => Some("sent twice"),
            Fate::RequestCut(_) => Some("request cut"),
            Fate::AnswerCut(_) => Some("answer cut"),
            Fate::Swallowed(_) => Some("swallowed"),
        }
    }
}

/// One whole message.
fn read(protocol: Protocol, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    match protocol {
        Protocol::Dns => frame(stream),
        Protocol::Http => message(stream),
    }
}

/// Was this a write, and did the server take it?
fn wrote(protocol: Protocol, request: &[u8], answer: &[u8]) -> bool {
    protocol.writes(request)
        && match protocol {
            // RFC 1035 section 4.1.1, behind two octets of length: NOERROR is 0.
            Protocol::Dns => answer.get(5).is_some_and(|octet| octet.trailing_zeros() >= 4),
            Protocol::Http => answer.get(9..12).is_some_and(|status| status == b"204"),
        }
}

/// A DNS message with its length before it (RFC 1035 section 4.2.2).
fn frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; 2 + usize::from(u16::from_be_bytes(length))];
    frame[..2].copy_from_slice(&length);
    stream.read_exact(&mut frame[2..])?;
    Ok(frame)
}

/// An HTTP message: its head, and a body as long as the head says.
fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    let mut octet = [0];
    while !whole.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet)?;
        whole.push(octet[0]);
    }
    let head = String::from_utf8_lossy(&whole).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    assert!(!head.contains("transfer-encoding"), "this relay knows no chunks: {head}");
    let start = whole.len();
    whole.resize(start + length.unwrap_or(0), 0);
    stream.read_exact(&mut whole[start..])?;
    Ok(whole)
}
