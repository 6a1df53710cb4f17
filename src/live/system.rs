//! [`LiveDns`] over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join3;
use hickory_proto::rr::RecordType as WireType;
use providers::{DomainName, RecordSet, RecordType};

use super::exchange::{self, Limits, NoAnswer, Reader};
use super::message::{self, question, wire_type};
use super::{LiveDns, LiveFault, Server, Soa, lookup};

/// What is found beside an address in practice.
const COMPANY: [WireType; 7] = [
    WireType::NS,
    WireType::MX,
    WireType::TXT,
    WireType::SRV,
    WireType::CAA,
    WireType::HTTPS,
    WireType::TLSA,
];

/// Asks the authoritative servers themselves; their addresses come from the system's resolvers.
///
/// ```text
/// ask:  A, AAAA and CNAME at once, each  UDP (a third of the time) -> TCP when cut short or not answered
///       nothing is followed, nothing is cached
/// ```
///
/// CNAME is a question of its own, though it falls out of the answers to the other two as a rule: a server that
/// cannot follow the alias (BIND on a loop, anyone into an expired zone of its own) answers SERVFAIL to those, and
/// the alias itself is all we want to know.
#[derive(Debug)]
pub struct SystemLiveDns {
    limits: Limits,
    resolvers: Option<Vec<SocketAddr>>,
}

impl SystemLiveDns {
    /// The time limit of one [`ask`](LiveDns::ask) where nothing else is wished.
    pub const TIMEOUT: Duration = Duration::from_secs(3);

    /// `timeout` is the limit of one [`ask`](LiveDns::ask): a third of it for UDP, the rest for TCP.
    pub fn new(timeout: Duration) -> Self {
        SystemLiveDns { limits: Limits::of(timeout), resolvers: None }
    }

    /// As [`new`](SystemLiveDns::new), but the servers of a zone are looked up through these resolvers (address
    /// and port) and not through the system's.
    pub fn with_resolvers(timeout: Duration, resolvers: Vec<SocketAddr>) -> Self {
        SystemLiveDns { limits: Limits::of(timeout), resolvers: Some(resolvers) }
    }

    /// What `server` says of the zone as a whole.
    ///
    /// # Errors
    /// As [`ask`](LiveDns::ask); a server that does not serve the zone is `Useless`.
    pub async fn soa(&self, server: &Server, zone: &DomainName) -> Result<Soa, LiveFault> {
        self.ask_with(server, zone, WireType::SOA, message::soa).await
    }

    /// The types besides A, AAAA and CNAME that `server` holds at `name` and that must not stand beside a CNAME (RFC
    /// 1034 section 3.6.2), of those that are in use.
    ///
    /// # Errors
    /// As [`ask`](LiveDns::ask).
    pub async fn company(&self, server: &Server, name: &DomainName) -> Result<Vec<String>, LiveFault> {
        let asks = COMPANY.map(|kind| self.ask_with(server, name, kind, message::count));
        let found = futures_util::future::try_join_all(asks).await?;
        let there = COMPANY.iter().zip(found).filter(|(_, count)| *count > 0);
        Ok(there.map(|(kind, _)| kind.to_string()).collect())
    }

    async fn ask_one(
        &self,
        server: &Server,
        name: &DomainName,
        kind: RecordType,
    ) -> Result<Option<RecordSet>, LiveFault> {
        self.ask_with(server, name, wire_type(kind), message::held).await
    }

    async fn ask_with<T>(
        &self,
        server: &Server,
        name: &DomainName,
        kind: WireType,
        read: Reader<T>,
    ) -> Result<T, LiveFault> {
        let question = question(name, kind).map_err(|why| {
            LiveFault::Useless(server.to_string(), format!("{name} cannot be asked for: {why}"))
        })?;
        exchange::ask(server.address, &question, self.limits, read).await.map_err(|fault| match fault {
            NoAnswer::Silent(why) => LiveFault::Silent(server.to_string(), why),
            NoAnswer::Useless(why) => LiveFault::Useless(server.to_string(), why),
        })
    }
}

#[async_trait]
impl LiveDns for SystemLiveDns {
    async fn servers(&self, zone: &DomainName) -> Result<Vec<Server>, LiveFault> {
        lookup::servers(zone, self.resolvers.as_deref()).await
    }

    async fn ask(
        &self,
        server: &Server,
        name: &DomainName,
    ) -> Result<BTreeMap<RecordType, RecordSet>, LiveFault> {
        let (v4, v6, alias) = join3(
            self.ask_one(server, name, RecordType::A),
            self.ask_one(server, name, RecordType::Aaaa),
            self.ask_one(server, name, RecordType::Cname),
        )
        .await;
        let alias = alias?;
        let mut sets = Vec::new();
        for addresses in [v4, v6] {
            match addresses {
                Ok(found) => sets.extend(found),
                Err(LiveFault::Useless(..)) if alias.is_some() => {}
                Err(fault) => return Err(fault),
            }
        }
        sets.extend(alias);
        together(sets).map_err(|why| LiveFault::Useless(server.to_string(), why))
    }
}

/// The answers of the three questions as one. The server may have changed between them: an alias beside an address,
/// or two aliases, was never served and is not reported; the next question will tell.
fn together(sets: Vec<RecordSet>) -> Result<BTreeMap<RecordType, RecordSet>, String> {
    let mut all = BTreeMap::<RecordType, RecordSet>::new();
    for set in sets {
        match all.get(&set.record_type()) {
            Some(other) if other.values != set.values => return Err("it changed while it was asked".into()),
            Some(other) if other.ttl <= set.ttl => {}
            _ => {
                all.insert(set.record_type(), set);
            }
        }
    }
    if all.len() > 1 && all.contains_key(&RecordType::Cname) {
        return Err("it changed while it was asked".into());
    }
    Ok(all)
}
