//! One question to one server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::rdata::AllRecordData;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The response code as RFC 1035 and RFC 2136 write it: `NOERROR`, `NXDOMAIN`, `REFUSED` ...
    pub rcode: String,
    /// Did it answer as an authority (AA)?
    pub authoritative: bool,
    /// The answer section, sorted: `www.example.test 60 A 192.0.2.1`; names without final dot.
    pub records: Vec<String>,
}

impl Reply {
    /// The values alone, sorted: `192.0.2.1`.
    pub fn values(&self) -> Vec<&str> {
        let mut values: Vec<&str> = self.records.iter().filter_map(|r| r.splitn(4, ' ').nth(3)).collect();
        values.sort_unstable();
        values
    }
}

const LIMIT: Duration = Duration::from_secs(2);

/// Asks one server one question over UDP, recursion not desired.
///
/// # Errors
/// A server that is silent for 2 s, unreachable, or answers nonsense.
pub fn ask(server: SocketAddr, name: &str, rtype: &str) -> io::Result<Reply> {
    let query = query(name, rtype)?;
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.send(&query)?;
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    read(&query, buffer)
}

/// The same over TCP.
///
/// # Errors
/// As [`ask`].
pub fn ask_over_tcp(server: SocketAddr, name: &str, rtype: &str) -> io::Result<Reply> {
    let query = query(name, rtype)?;
    let mut stream = TcpStream::connect_timeout(&server, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let length = u16::try_from(query.len()).map_err(odd)?;
    stream.write_all(&[&length.to_be_bytes()[..], &query].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
    read(&query, answer)
}

fn odd(why: impl std::fmt::Display) -> io::Error {
    io::Error::other(why.to_string())
}

fn query(name: &str, rtype: &str) -> io::Result<Vec<u8>> {
    let name = Name::vec_from_str(name).map_err(odd)?;
    let rtype: Rtype = rtype.parse().map_err(odd)?;
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_random_id();
    let mut question = message.question();
    question.push((name, rtype)).map_err(odd)?;
    Ok(question.finish())
}

fn read(query: &[u8], answer: Vec<u8>) -> io::Result<Reply> {
    let answer = Message::from_octets(answer).map_err(odd)?;
    if !answer.is_answer(&Message::from_octets(query).map_err(odd)?) {
        return Err(odd("an answer to another question"));
    }
    let mut records = Vec::new();
    for record in answer.answer().map_err(odd)?.limit_to::<AllRecordData<_, _>>() {
        let record = record.map_err(odd)?;
        let (owner, ttl) = (record.owner().to_string().to_lowercase(), record.ttl().as_secs());
        let data = record.data().to_string();
        records.push(format!("{owner} {ttl} {} {}", record.rtype(), data.trim_end_matches('.')));
    }
    records.sort();
    Ok(Reply { rcode: rcode(answer.header().rcode()), authoritative: answer.header().aa(), records })
}

fn rcode(code: Rcode) -> String {
    code.to_string()
}
