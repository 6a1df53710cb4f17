//! Builds the real world from a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use providers::mock::MockProvider;
use providers::{BuildError, DomainName, Provider, ProviderConfig, ReadProvider};

use super::{Fresh, Hands, State, World};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::decision::ProviderId;
use crate::live::{Server, SystemLiveDns};
use crate::notify::{ChannelError, senders};
use crate::probe::{Roots, SystemProber};
use crate::store::{Store, StoreError};

/// How long one authoritative server may take for its answer.
const ASK_LIMIT: Duration = Duration::from_secs(3);

/// Why the world cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A provider.
    #[error("the provider {0}: {1}")]
    Provider(ProviderId, BuildError),
    /// A channel.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

/// The real world, for an agent that writes. With `serve_dns` a mock provider serves its zone on its configured address.
///
/// # Errors
/// [`AssembleError`], which a person must put right. A state file that cannot be used is none.
pub async fn assemble(config: &Config, serve_dns: bool) -> Result<World, AssembleError> {
    let mut hands = Hands::default();
    for (id, settings) in &config.providers {
        let (writer, dns) = writer(settings, serve_dns).await.map_err(|error| failed(id, error))?;
        hands.add(id.clone(), writer, dns);
    }
    let nameservers = nameservers(config, &hands);
    let senders = senders(&config.notify)?;
    Ok(World {
        senders,
        state: State::File(Store::open_patiently(&config.agent.state)),
        ..world(config, hands, nameservers)
    })
}

/// The parts of the world that another configuration changes. A provider whose settings are the same goes on as it is.
///
/// # Errors
/// As [`assemble`]; nothing was changed then.
pub(super) async fn reassemble(
    config: &Arc<Config>,
    old: &Config,
    known: &Hands,
) -> Result<Fresh, AssembleError> {
    let mut hands = Hands::default();
    let mut renewed = BTreeSet::new();
    for (id, settings) in &config.providers {
        let same = |before: &ProviderConfig| {
            let same = old.marks.same(&config.marks, "providers", id.as_str());
            same && format!("{before:?}") == format!("{settings:?}")
        };
        let kept = known.writer(id).filter(|_| old.providers.get(id).is_some_and(same));
        if let Some(writer) = kept {
            hands.add(id.clone(), Arc::clone(writer), known.dns(id));
        } else {
            let (writer, dns) = writer(settings, true).await.map_err(|error| failed(id, error))?;
            hands.add(id.clone(), writer, dns);
            if old.providers.contains_key(id) {
                renewed.insert(id.clone());
            }
        }
    }
    let nameservers = nameservers(config, &hands);
    let senders = senders(&config.notify)?;
    Ok(Fresh { config: Arc::clone(config), hands, renewed, senders, nameservers })
}

fn failed(id: &ProviderId, error: BuildError) -> AssembleError {
    AssembleError::Provider(id.clone(), error)
}

/// A provider, and where a mock's own DNS server listens.
async fn writer(
    settings: &ProviderConfig,
    serve_dns: bool,
) -> Result<(Arc<dyn Provider>, Option<SocketAddr>), BuildError> {
    match settings {
        ProviderConfig::Mock(mock) => {
            let dns = mock.dns.filter(|_| serve_dns);
            let mock = MockProvider::open(&providers::MockConfig { dns, ..mock.clone() }).await?;
            let dns = mock.dns_address();
            Ok((Arc::new(mock), dns))
        }
        other => Ok((providers::build(other).await?, None)),
    }
}

/// The authoritative servers that are known without asking: configured ones, and a mock's own.
fn nameservers(config: &Config, hands: &Hands) -> BTreeMap<DomainName, Vec<Server>> {
    let mut nameservers = configured_nameservers(config);
    for (id, settings) in &config.providers {
        if let ProviderConfig::Mock(_) = settings {
            own_nameservers(config, id, hands.dns(id), &mut nameservers);
        }
    }
    nameservers
}

/// The real world, for a dry run: nothing in it can write.
///
/// # Errors
/// As [`assemble`].
pub async fn assemble_dry(config: &Config) -> Result<World, AssembleError> {
    let mut readers: BTreeMap<ProviderId, Arc<dyn ReadProvider>> = BTreeMap::new();
    for (id, settings) in &config.providers {
        let reader = providers::build_reader(settings).await;
        readers.insert(id.clone(), reader.map_err(|error| failed(id, error))?);
    }
    let hands = Hands::reading(readers);
    let nameservers = nameservers(config, &hands);
    let state = match Store::open_read_only(&config.agent.state) {
        Ok(store) => State::File(store),
        Err(StoreError::Missing { .. }) => State::Nowhere,
        Err(error) => {
            tracing::warn!(%error, "planning without what earlier runs found out");
            State::Nowhere
        }
    };
    Ok(World { state, ..world(config, hands, nameservers) })
}

fn world(config: &Config, hands: Hands, nameservers: BTreeMap<DomainName, Vec<Server>>) -> World {
    let resolvers = || config.agent.resolvers.clone();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    World {
        prober: Arc::new(SystemProber::with_resolvers(Arc::clone(&clock), Roots::System, resolvers())),
        live: Arc::new(SystemLiveDns::with_resolvers(ASK_LIMIT, resolvers())),
        clock,
        hands,
        nameservers,
        senders: BTreeMap::new(),
        state: State::Nowhere,
        seed: rand::random(),
    }
}

fn configured_nameservers(config: &Config) -> BTreeMap<DomainName, Vec<Server>> {
    let with = config.records.iter().filter(|(_, record)| !record.nameservers.is_empty());
    with.map(|(name, record)| {
        let server = |address: &SocketAddr| Server { name: address.ip().to_string(), address: *address };
        (name.clone(), record.nameservers.iter().map(server).collect())
    })
    .collect()
}

/// A mock's records are served by its own server, or by none.
fn own_nameservers(
    config: &Config,
    id: &ProviderId,
    address: Option<SocketAddr>,
    nameservers: &mut BTreeMap<DomainName, Vec<Server>>,
) {
    for (name, _) in config.records.iter().filter(|(_, record)| record.policy.provider == *id) {
        let own = address.map(|address| Server { name: "mock".into(), address });
        nameservers.entry(name.clone()).or_insert_with(|| own.into_iter().collect());
    }
}
