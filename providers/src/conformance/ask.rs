//! DNS questions of the suite's own, so that no adapter vouches for itself.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::DomainName;

/// How long one question may take.
const ASK_DEADLINE: Duration = Duration::from_secs(2);

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram each way.
    Udp,
    /// A connection per question (RFC 7766).
    Tcp,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The server cannot be reached, or it hung up.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// No answer in time.
    #[error("no answer within {} s", ASK_DEADLINE.as_secs())]
    Timeout,
    /// What came is no answer to the question.
    #[error("not an answer to the question: {0}")]
    Malformed(String),
}

/// An answer of an authoritative server.
#[derive(Clone, Debug)]
pub struct Reply(pub Message);

impl Reply {
    /// The response code.
    pub fn code(&self) -> ResponseCode {
        self.0.metadata.response_code
    }

    /// The values of this type at exactly this name, as this crate writes them: no final dots, lower case.
    pub fn values(&self, name: &DomainName, kind: RecordType) -> BTreeSet<String> {
        let at_name = |record: &&hickory_proto::rr::Record| same_name(&record.name, name);
        self.0
            .answers
            .iter()
            .filter(at_name)
            .filter(|record| record.record_type() == kind)
            .map(|record| plain(&record.data))
            .collect()
    }

    /// The TTLs of the records of this type at exactly this name.
    pub fn ttls(&self, name: &DomainName, kind: RecordType) -> BTreeSet<u32> {
        let records = self.0.answers.iter();
        records
            .filter(|r| r.record_type() == kind && same_name(&r.name, name))
            .map(|record| record.ttl)
            .collect()
    }
}

fn same_name(wire: &Name, name: &DomainName) -> bool {
    wire.to_ascii().parse::<DomainName>().is_ok_and(|wire| wire == *name)
}

fn plain(data: &RData) -> String {
    match data {
        RData::CNAME(name) => name.0.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
        other => other.to_string(),
    }
}

/// Asks an authoritative server (RD=0) for the records of one type at `owner`, spelt as given.
///
/// # Errors
/// When no well-formed answer with the same id comes within two seconds. A negative answer is no error.
pub async fn ask(
    server: SocketAddr,
    transport: Transport,
    owner: &str,
    kind: RecordType,
) -> Result<Reply, AskError> {
    let mut name = Name::from_ascii(owner).map_err(|error| AskError::Malformed(error.to_string()))?;
    name.set_fqdn(true);
    let mut question = Message::query();
    question.metadata.id = rand::random();
    question.metadata.recursion_desired = false;
    question.add_query(Query::query(name, kind));
    let bytes = question.to_vec().map_err(|error| AskError::Malformed(error.to_string()))?;
    let exchange = async {
        match transport {
            Transport::Udp => by_udp(server, &bytes).await,
            Transport::Tcp => by_tcp(server, &bytes).await,
        }
    };
    let answer = tokio::time::timeout(ASK_DEADLINE, exchange).await.map_err(|_| AskError::Timeout)??;
    let message = Message::from_vec(&answer).map_err(|error| AskError::Malformed(error.to_string()))?;
    if message.metadata.id != question.metadata.id {
        return Err(AskError::Malformed("another id".into()));
    }
    Ok(Reply(message))
}

async fn by_udp(server: SocketAddr, question: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let here: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(here).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).await?;
    buffer.truncate(length);
    Ok(buffer)
}

/// RFC 1035 section 4.2.2: two octets of length before the message.
async fn by_tcp(server: SocketAddr, question: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await?;
    Ok(buffer)
}

/// The zone's serial, from its SOA record.
///
/// # Errors
/// As [`ask`], and when the answer holds no SOA record.
pub async fn serial(server: SocketAddr, zone: &DomainName) -> Result<u32, AskError> {
    let reply = ask(server, Transport::Tcp, &zone.fqdn(), RecordType::SOA).await?;
    let serial = reply.0.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    });
    serial.ok_or_else(|| AskError::Malformed(format!("no SOA record of {zone}: {}", reply.code())))
}
