//! The live record: what the authoritative servers of a zone really answer, each asked directly.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use async_trait::async_trait;
use providers::{DomainName, RecordSet, RecordType};

/// An authoritative server of a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server {
    /// Its name, where the zone's NS set told it; else its address.
    pub name: String,
    /// Where it is asked.
    pub address: SocketAddr,
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
