//! The addresses of host names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join;
use hickory_net::{DnsError, NetError};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_resolver::TokioResolver;
use providers::DomainName;

use super::Resolvers;
use crate::clock::Clock;
use crate::decision::Moment;

/// How long one resolver may take before the next is asked.
const PATIENCE: Duration = Duration::from_secs(1);
/// No answer is remembered for less, whatever its TTL: probes come once a second at most.
const SHORTEST: Duration = Duration::from_secs(1);
/// No addresses are remembered for longer.
const LONGEST: Duration = Duration::from_mins(5);
/// That there is nothing is not remembered for longer: somebody may just have put it right.
const LONGEST_NOTHING: Duration = Duration::from_secs(30);

/// Why there is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// The DNS says that there is none: the name does not exist, or has neither A nor AAAA.
    #[error("{0}")]
    Nothing(String),
    /// It could not be found out: trouble of the resolvers or of our way to them.
    #[error("{0}")]
    NotKnown(String),
}

/// Finds the addresses of host names and remembers them for their TTL, 1 s at least and 5 min at most. Faults are not
/// remembered. Several who ask for one name at the same time ask the resolvers once.
pub struct HostNames {
    clock: Arc<dyn Clock>,
    resolvers: Resolvers,
    known: Mutex<BTreeMap<DomainName, Arc<tokio::sync::Mutex<Option<Known>>>>>,
}

/// What was found, and until when it holds.
#[derive(Clone, Debug)]
struct Known {
    found: Result<BTreeSet<IpAddr>, NoAddress>,
    until: Moment,
}

impl HostNames {
    /// Asks these resolvers, and forgets by this clock.
    pub fn new(clock: Arc<dyn Clock>, resolvers: Resolvers) -> Self {
        HostNames { clock, resolvers, known: Mutex::default() }
    }

    /// The addresses of `name`, both families, at least one.
    ///
    /// | the resolvers say | result |
    /// |---|---|
    /// | addresses of one family or both, whatever became of the other question | the addresses |
    /// | NXDOMAIN or no data for both, with the SOA of the zone that knows it (RFC 2308 section 5) | [`NoAddress::Nothing`] |
    /// | the same without that SOA, but they know the name servers of the root | [`NoAddress::Nothing`] |
    /// | the same, and they do not know even the root | [`NoAddress::NotKnown`]: they say no to everything |
    /// | SERVFAIL, REFUSED, nothing at all, no resolver | [`NoAddress::NotKnown`] |
    ///
    /// # Errors
    /// [`NoAddress`]. There is no time limit here; the caller has one.
    pub async fn addresses(&self, name: &DomainName) -> Result<BTreeSet<IpAddr>, NoAddress> {
        let known = Arc::clone(
            self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default(),
        );
        let mut known = known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| self.clock.now().moment < known.until) {
            return known.found.clone();
        }
        let (found, ttl) = self.ask(name).await;
        *known = match &found {
            Ok(_) => Some(ttl.clamp(SHORTEST, LONGEST)),
            Err(NoAddress::Nothing(_)) => Some(ttl.clamp(SHORTEST, LONGEST_NOTHING)),
            Err(NoAddress::NotKnown(_)) => None,
        }
        .map(|ttl| Known { found: found.clone(), until: self.clock.now().moment + ttl });
        found
    }

    async fn ask(&self, name: &DomainName) -> (Result<BTreeSet<IpAddr>, NoAddress>, Duration) {
        let not_known = |why: String| (Err(NoAddress::NotKnown(why)), Duration::ZERO);
        let resolver = match self.resolvers.resolver(PATIENCE) {
            Ok(resolver) => resolver,
            Err(error) => return not_known(format!("the resolver cannot be set up: {error}")),
        };
        let fqdn = match Name::from_ascii(name.fqdn()) {
            Ok(fqdn) => fqdn,
            Err(error) => return not_known(format!("{name} cannot be asked for: {error}")),
        };
        let (v4, v6) =
            join(family(&resolver, fqdn.clone(), RecordType::A), family(&resolver, fqdn, RecordType::AAAA))
                .await;
        match (v4, v6) {
            (Family::Found(mut found, ttl), Family::Found(more, other)) => {
                found.extend(more);
                (Ok(found), ttl.min(other))
            }
            (Family::Found(found, ttl), _) | (_, Family::Found(found, ttl)) => (Ok(found), ttl),
            (Family::Fault(why), _) | (_, Family::Fault(why)) => {
                not_known(format!("the resolvers cannot say where {name} is: {why}"))
            }
            (Family::Nothing(first), Family::Nothing(second)) => {
                let sure = first.sure && second.sure || knows_the_root(&resolver).await;
                if !sure {
                    return not_known(format!(
                        "the resolvers say that {name} does not exist, and know no other name either"
                    ));
                }
                let missing = first.no_such_name || second.no_such_name;
                let why =
                    if missing { "does not exist (NXDOMAIN)" } else { "has no address (neither A nor AAAA)" };
                (Err(NoAddress::Nothing(format!("the host name {name} {why}"))), first.ttl.min(second.ttl))
            }
        }
    }
}

impl fmt::Debug for HostNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostNames").field("resolvers", &self.resolvers).finish_non_exhaustive()
    }
}

/// What became of one of the two questions.
enum Family {
    Found(BTreeSet<IpAddr>, Duration),
    Nothing(Nothing),
    Fault(String),
}

/// A clear no.
struct Nothing {
    /// NXDOMAIN, and not only no data.
    no_such_name: bool,
    /// The zone that knows it was named.
    sure: bool,
    ttl: Duration,
}

async fn family(resolver: &TokioResolver, name: Name, kind: RecordType) -> Family {
    match resolver.lookup(name, kind).await {
        Ok(lookup) => {
            let addresses: BTreeSet<IpAddr> =
                lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
            let ttls = lookup.answers().iter().map(|record| record.ttl);
            let ttl = Duration::from_secs(ttls.min().unwrap_or_default().into());
            if addresses.is_empty() {
                // An alias that leads nowhere.
                let soa = |data: &RData| matches!(data, RData::SOA(_));
                let sure = lookup.authorities().iter().any(|record| soa(&record.data));
                return Family::Nothing(Nothing { no_such_name: false, sure, ttl });
            }
            Family::Found(addresses, ttl)
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(nothing)))
            if matches!(nothing.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
        {
            Family::Nothing(Nothing {
                no_such_name: nothing.response_code == ResponseCode::NXDomain,
                sure: nothing.soa.is_some(),
                ttl: Duration::from_secs(nothing.negative_ttl.unwrap_or_default().into()),
            })
        }
        Err(NetError::Dns(DnsError::ResponseCode(code))) => {
            Family::Fault(format!("they answer {}", code.to_str()))
        }
        Err(error) => Family::Fault(error.to_string()),
    }
}

/// A resolver that denies the root denies everything, and nothing follows from what it denies.
async fn knows_the_root(resolver: &TokioResolver) -> bool {
    let servers = resolver.lookup(Name::root(), RecordType::NS).await;
    servers.is_ok_and(|lookup| lookup.answers().iter().any(|record| matches!(record.data, RData::NS(_))))
}
