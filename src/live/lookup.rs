//! The authoritative servers of a zone, found through resolvers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use hickory_proto::rr::{Name, RData};
use hickory_resolver::TokioResolver;
use providers::DomainName;
use tokio::time::timeout;

use super::message::domain_name;
use super::{LiveFault, Server, exchange};
use crate::resolve::Resolvers;

/// The most servers of one zone that are asked: 13 names with two addresses each, what the root itself has.
pub(super) const MAX_SERVERS: usize = 26;
/// The time for the whole search.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long one resolver may take before the next is asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many names of servers are looked up at the same time.
const AT_ONCE: usize = 8;
/// Where authoritative servers listen (RFC 1035 section 4.2).
const PORT: u16 = 53;

/// The NS set of `zone` and its addresses, on port 53, sorted; at most [`MAX_SERVERS`].
///
/// A family without a route from this machine is left out
/// where the other one has servers: an IPv6 address can say nothing to a host that has IPv4 only, and must not
/// make every change look slow.
pub(super) async fn servers(zone: &DomainName, resolvers: &Resolvers) -> Result<Vec<Server>, LiveFault> {
    let fault = |why: String| LiveFault::NoServers(zone.clone(), why);
    match timeout(DEADLINE, search(zone, resolvers)).await {
        Ok(found) => found.map_err(fault),
        Err(_) => Err(fault(format!("the resolvers gave no answer within {DEADLINE:?}"))),
    }
}

async fn search(zone: &DomainName, resolvers: &Resolvers) -> Result<Vec<Server>, String> {
    let resolver =
        resolvers.resolver(PATIENCE).map_err(|error| format!("the resolver cannot be set up: {error}"))?;
    let names = name_servers(&resolver, zone).await?;
    let found: BTreeSet<Server> =
        stream::iter(names).map(|name| addresses(&resolver, name)).buffer_unordered(AT_ONCE).concat().await;
    if found.is_empty() {
        return Err("none of the names in its NS set has an address".into());
    }
    let mut servers = with_route(found).await;
    if servers.len() > MAX_SERVERS {
        tracing::warn!(%zone, found = servers.len(), asked = MAX_SERVERS, "too many authoritative servers");
        servers.truncate(MAX_SERVERS);
    }
    Ok(servers)
}

async fn name_servers(resolver: &TokioResolver, zone: &DomainName) -> Result<BTreeSet<DomainName>, String> {
    let name = Name::from_ascii(zone.fqdn()).map_err(|error| error.to_string())?;
    let answer = match resolver.ns_lookup(name).await {
        Ok(answer) => answer,
        Err(error) if error.is_nx_domain() => return Err("the name does not exist".into()),
        Err(error) if error.is_no_records_found() => return Err("it has no NS set; is it a zone?".into()),
        Err(error) => return Err(error.to_string()),
    };
    let names = answer.answers().iter().filter_map(|record| match &record.data {
        RData::NS(name) => Some(domain_name(&name.0)),
        _ => None,
    });
    names.collect()
}

/// The servers behind one name of the NS set. A name without an address makes the zone lame there, not unreadable.
async fn addresses(resolver: &TokioResolver, name: DomainName) -> BTreeSet<Server> {
    let found = match resolver.lookup_ip(name.fqdn()).await {
        Ok(found) => found.iter().collect::<BTreeSet<IpAddr>>(),
        Err(error) => {
            tracing::warn!(server = %name, %error, "an authoritative server has no address");
            BTreeSet::new()
        }
    };
    let server = |ip| Server { name: name.to_string(), address: SocketAddr::new(ip, PORT) };
    found.into_iter().map(server).collect()
}

async fn with_route(found: BTreeSet<Server>) -> Vec<Server> {
    let mut reachable = Vec::new();
    for server in &found {
        if exchange::has_route(server.address).await {
            reachable.push(server.clone());
        }
    }
    if reachable.is_empty() { found.into_iter().collect() } else { reachable }
}
