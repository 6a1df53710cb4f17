//! The live record: what the authoritative servers of a zone really answer, each asked directly.
//!
//! | room | what is there |
//! |---|---|
//! | [`LiveDns`] | the two questions the agent asks, as a trait |
//! | [`SystemLiveDns`] | the real one, over sockets |
//! | [`FewAtOnce`] | a bound on the questions under way |
//! | [`watch()`] | after a write: asks every server until all serve the new answer |

mod exchange;
mod few;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod lookup;
mod message;
mod system;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use async_trait::async_trait;
use providers::{DomainName, RecordSet, RecordType, Ttl};

pub use few::{ASKS_AT_ONCE, FewAtOnce};
pub use system::SystemLiveDns;
pub use watch::{Watched, serves, watch};

/// An authoritative server of a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server {
    /// Its name, where the zone's NS set told it; else its address.
    pub name: String,
    /// Where it is asked.
    pub address: SocketAddr,
}

impl fmt::Display for Server {
    /// `ns1.example.com (192.0.2.53)`: the port only where it is not 53, an address that has no name only once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match self.address.port() {
            53 => self.address.ip().to_string(),
            _ => self.address.to_string(),
        };
        if self.name == address
            || self.name == self.address.to_string()
            || self.name == self.address.ip().to_string()
        {
            return f.write_str(&address);
        }
        write!(f, "{} ({address})", self.name)
    }
}

/// What a server says of a zone as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The serial (RFC 1035 section 3.3.13): servers that agree on it have the same zone.
    pub serial: u32,
    /// How long caches keep "there is nothing": the SOA's own TTL or its last field, whichever is less (RFC 2308
    /// section 5).
    pub negative_ttl: Ttl,
}

/// Asks authoritative servers. The real one opens sockets; tests script one.
#[async_trait]
pub trait LiveDns: Send + Sync {
    /// The authoritative servers of `zone`, found through the system's resolvers: its NS set and their addresses, sorted.
    async fn servers(&self, zone: &DomainName) -> Result<Vec<Server>, LiveFault>;

    /// What `server` answers for `name`: A, AAAA and CNAME with their TTLs; RD=0, UDP then TCP; within a
    /// few seconds. An empty map is a clear "there is nothing" (NXDOMAIN or NODATA with authority).
    async fn ask(
        &self,
        server: &Server,
        name: &DomainName,
    ) -> Result<BTreeMap<RecordType, RecordSet>, LiveFault>;
}

/// Why it is not known what a server serves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveFault {
    /// No answer in time, or the connection was refused.
    #[error("{0} does not answer: {1}")]
    Silent(String, String),
    /// It answered, but not with authority, not for this question, or with an error code.
    #[error("{0} gives no usable answer: {1}")]
    Useless(String, String),
    /// The zone's servers cannot be found.
    #[error("cannot find the authoritative servers of {0}: {1} (set `nameservers:` on the record)")]
    NoServers(DomainName, String),
}
