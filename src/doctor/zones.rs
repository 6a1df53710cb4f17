//! Finds out what providers hold and what authoritative servers serve, record by record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use futures_util::stream::{self, StreamExt};
use providers::{
    Capabilities, DomainName, Fault, Permission, ProviderConfig, ReadProvider, RecordType, Snapshot, Zone,
    read_with_markers,
};
use tokio::time::sleep;

use super::judge::{self, RecordFacts, ServerFacts};
use super::{Finding, Limit, Readers, Topic, overdue};
use crate::config::{Config, RecordSettings};
use crate::decision::{Place, ProviderId};
use crate::live::{LiveDns, LiveFault, Server, SystemLiveDns};

/// How many records are looked at at the same time.
const AT_ONCE: usize = 16;
/// Servers that disagree are looked at once more after this: a change may be on its way to them.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Default)]
pub(super) struct Zones {
    providers: BTreeMap<ProviderId, ProviderFound>,
    records: BTreeMap<DomainName, Option<Found>>,
}

/// Of one provider.
struct ProviderFound {
    built: Result<Arc<dyn ReadProvider>, String>,
    /// What its clock shows and what ours showed then; `None` when nobody asked, or no time was left.
    clock: Option<(Result<Option<u64>, Fault>, u64)>,
}

/// Of one record.
struct Found {
    zone: Result<Zone, Fault>,
    read: Option<Result<Snapshot, Fault>>,
    permission: Option<Result<Permission, Fault>>,
    servers: Option<Result<Vec<ServerFacts>, LiveFault>>,
    company: Vec<String>,
}

pub(super) async fn look(
    config: &Config,
    readers: &Readers,
    only: &BTreeSet<Topic>,
    limit: &Limit<'_>,
) -> Zones {
    let wants = |topic| only.is_empty() || only.contains(&topic);
    let live = SystemLiveDns::with_resolvers(SystemLiveDns::TIMEOUT, config.agent.resolvers.clone());
    let records = config.records.iter().filter_map(|(name, record)| {
        let reader = readers.get(&record.policy.provider)?.as_ref().ok()?;
        Some((name, record, reader))
    });
    let (live, wants) = (&live, &wants);
    let records = records.map(|(name, record, reader)| async move {
        (name.clone(), limit.hold(of_record(config, record, reader.as_ref(), live, wants)).await)
    });
    let providers = readers.iter().map(|(id, reader)| async move {
        let clock = async {
            let reader = reader.as_ref().ok().filter(|_| wants(Topic::Clock))?;
            let record = config.records.values().find(|record| record.policy.provider == *id)?;
            limit.hold(clock(reader.as_ref(), record, limit)).await
        };
        (id.clone(), ProviderFound { clock: clock.await, built: reader.clone() })
    });
    let (records, providers) =
        join(stream::iter(records).buffer_unordered(AT_ONCE).collect(), join_all(providers)).await;
    Zones { providers: providers.into_iter().collect(), records }
}

async fn zone_of(reader: &dyn ReadProvider, record: &RecordSettings) -> Result<Zone, Fault> {
    let asked = record.zone.as_ref().unwrap_or(&record.policy.name);
    let zone = reader.zone(asked).await?;
    match &record.zone {
        Some(wanted) if *wanted != zone.name => Err(Fault::Config(format!(
            "the provider serves the zone {}, and the configuration says `zone: {wanted}`",
            zone.name
        ))),
        _ => Ok(zone),
    }
}

async fn clock(
    reader: &dyn ReadProvider,
    record: &RecordSettings,
    limit: &Limit<'_>,
) -> (Result<Option<u64>, Fault>, u64) {
    let told = match zone_of(reader, record).await {
        Ok(zone) => reader.server_time(&zone).await,
        Err(fault) => Err(fault),
    };
    (told, limit.clock.now().wall.as_second().try_into().unwrap_or(0))
}

async fn of_record(
    config: &Config,
    record: &RecordSettings,
    reader: &dyn ReadProvider,
    live: &SystemLiveDns,
    wants: &impl Fn(Topic) -> bool,
) -> Found {
    let name = &record.policy.name;
    let zone = zone_of(reader, record).await;
    let Ok(found) = &zone else {
        return Found { zone, read: None, permission: None, servers: None, company: Vec::new() };
    };
    let read = async {
        let marked = if config.has_marker(name) { BTreeSet::from([name.clone()]) } else { BTreeSet::new() };
        let read = read_with_markers(reader, found, std::slice::from_ref(name), &marked).await;
        read.and_then(|mut all| {
            all.pop().ok_or_else(|| Fault::Unavailable("the provider said nothing of it".into()))
        })
    };
    let servers = async {
        if !wants(Topic::Servers) && !wants(Topic::Record) {
            return None;
        }
        Some(known_servers(config, record, live, &found.name).await)
    };
    let (read, servers) = join(read, servers).await;
    let permission = async {
        let now = read.as_ref().ok().filter(|_| wants(Topic::Permission))?;
        let granted = reader.permission(found, now, &types(config, record)).await;
        match (&granted, marker_of(config, now)) {
            (Ok(Permission::Granted), Some(marker)) => {
                Some(reader.permission(found, &marker, &BTreeSet::from([RecordType::Txt])).await)
            }
            _ => Some(granted),
        }
    };
    let company = match &servers {
        Some(Ok(servers)) if wants(Topic::Record) && may_become_an_alias(config, record) => {
            company(live, servers, name).await
        }
        _ => Vec::new(),
    };
    let asked = async {
        match servers? {
            Ok(servers) => {
                let held = read.as_ref().ok();
                Some(Ok(ask_all(live, &servers, &found.name, name, held).await))
            }
            Err(fault) => Some(Err(fault)),
        }
    };
    let (permission, servers) = join(permission, asked).await;
    Found { read: Some(read), permission, servers, company, zone }
}

/// Can a change make the name an alias? Only a host name does.
fn may_become_an_alias(config: &Config, record: &RecordSettings) -> bool {
    let mut targets = record.policy.targets().filter_map(|id| config.targets.get(id));
    targets.any(|target| target.host_name().is_some())
}

/// What stands beside the addresses, by the first server that tells.
async fn company(live: &SystemLiveDns, servers: &[Server], name: &DomainName) -> Vec<String> {
    for server in servers {
        if let Ok(found) = live.company(server, name).await {
            return found;
        }
    }
    Vec::new()
}

/// What stands at the marker's name, where the record has one: it must be allowed as well.
fn marker_of(config: &Config, now: &Snapshot) -> Option<Snapshot> {
    let name = now.name.marker().filter(|_| config.has_marker(&now.name))?;
    let sets = now.marker.clone().map(|set| (RecordType::Txt, set)).into_iter().collect();
    Some(Snapshot { name, sets, marker: None, ..now.clone() })
}

/// The types that a change of the record can need.
fn types(config: &Config, record: &RecordSettings) -> BTreeSet<RecordType> {
    let targets = record.policy.targets().filter_map(|id| config.targets.get(id));
    let kind = |v6: bool| if v6 { RecordType::Aaaa } else { RecordType::A };
    let addresses = targets.flat_map(|target| target.places.iter().filter_map(Place::address));
    let addresses = addresses.map(|address| kind(address.is_ipv6()));
    let alias = may_become_an_alias(config, record).then_some(RecordType::Cname);
    addresses.chain(alias).collect()
}

/// As the agent finds them: configured, or by the zone's NS set. A mock's own server runs with the agent only.
async fn known_servers(
    config: &Config,
    record: &RecordSettings,
    live: &SystemLiveDns,
    zone: &DomainName,
) -> Result<Vec<Server>, LiveFault> {
    if !record.nameservers.is_empty() {
        let server =
            |address: &std::net::SocketAddr| Server { name: address.ip().to_string(), address: *address };
        return Ok(record.nameservers.iter().map(server).collect());
    }
    match config.providers.get(&record.policy.provider) {
        Some(ProviderConfig::Mock(_)) => Ok(Vec::new()),
        _ => live.servers(zone).await,
    }
}

/// Asks every server, and once more when they disagree.
async fn ask_all(
    live: &SystemLiveDns,
    servers: &[Server],
    zone: &DomainName,
    name: &DomainName,
    held: Option<&Snapshot>,
) -> Vec<ServerFacts> {
    let ask = || {
        join_all(servers.iter().map(|server| async move {
            let (soa, sets) = join(live.soa(server, zone), live.ask(server, name)).await;
            ServerFacts { server: server.to_string(), soa, sets }
        }))
    };
    let first = ask().await;
    let differ = judge::serials_differ(&first) || held.is_some_and(|held| judge::values_differ(&first, held));
    if !differ {
        return first;
    }
    sleep(SECOND_LOOK).await;
    ask().await
}

impl Zones {
    /// What a record holds, if that is known.
    pub(super) fn snapshot(&self, record: &DomainName) -> Option<&Snapshot> {
        self.records.get(record)?.as_ref()?.read.as_ref()?.as_ref().ok()
    }

    /// What is to be said of all of it.
    pub(super) fn judged(&self, config: &Config, deadline: Duration) -> Vec<Finding> {
        let policy = config.policy();
        let mut findings = Vec::new();
        for (id, provider) in &self.providers {
            let of_this = config.records.iter().filter(|(_, record)| record.policy.provider == *id);
            let found: Vec<_> = of_this
                .filter_map(|(name, _)| self.records.get(name)?.as_ref())
                .map(|found| found.zone.as_ref().map(|zone| zone.name.to_string()).map_err(Clone::clone))
                .collect();
            let built = provider.built.as_ref().map(|_| ()).map_err(String::as_str);
            let unasked = found.is_empty() && self.records.values().any(Option::is_none);
            if built.is_err() || !unasked {
                findings.extend(judge::provider(id.as_str(), built, &found));
            }
            if let Some((told, ours)) = &provider.clock {
                findings.extend(judge::clock(id.as_str(), told, *ours));
            }
        }
        for (name, found) in &self.records {
            let Some(found) = found else {
                findings.push(overdue(Topic::Record, name.as_str(), deadline));
                continue;
            };
            let Some((record, reader)) = config.records.get(name).and_then(|record| {
                let reader = self.providers.get(&record.policy.provider)?.built.as_ref().ok()?;
                Some((record, reader))
            }) else {
                continue;
            };
            findings.extend(found.judged(&policy, record, reader.as_ref()));
        }
        findings
    }
}

impl Found {
    fn judged(
        &self,
        policy: &crate::decision::Policy,
        record: &RecordSettings,
        reader: &dyn ReadProvider,
    ) -> Vec<Finding> {
        let name = record.policy.name.as_str();
        // Without its zone nothing was asked: the provider's line says why.
        let Some(read) = &self.read else {
            let text = "nothing could be asked: its zone was not found, see the provider";
            return vec![Finding::skip(Topic::Record, name, text)];
        };
        let negative_ttl = self.servers.as_ref().and_then(|servers| {
            let soas = servers.as_ref().ok()?.iter().filter_map(|server| server.soa.as_ref().ok());
            soas.map(|soa| soa.negative_ttl).max()
        });
        let capabilities: Capabilities = reader.capabilities();
        let facts = RecordFacts {
            policy,
            record: &record.policy,
            read,
            capabilities,
            normalize: &|wish| reader.normalize(wish),
            negative_ttl,
            company: &self.company,
        };
        let mut findings = judge::record(&facts);
        findings.extend(self.permission.as_ref().map(|said| judge::permission(name, said)));
        let held = read.as_ref().ok();
        findings.extend(self.servers.iter().flat_map(|servers| judge::servers(name, servers, held)));
        findings
    }
}
