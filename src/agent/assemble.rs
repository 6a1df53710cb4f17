//! Builds the real world from a configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use providers::mock::MockProvider;
use providers::{BuildError, DomainName, Provider, ProviderConfig, ReadProvider};

use super::{Hands, State, World};
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
/// [`AssembleError`], which a person must put right. A state file that cannot be used is none: see [`State::Broken`].
pub async fn assemble(config: &Config, serve_dns: bool) -> Result<World, AssembleError> {
    let mut writers: BTreeMap<ProviderId, Arc<dyn Provider>> = BTreeMap::new();
    let mut nameservers = configured_nameservers(config);
    for (id, settings) in &config.providers {
        let failed = |error| AssembleError::Provider(id.clone(), error);
        let writer: Arc<dyn Provider> = match settings {
            ProviderConfig::Mock(mock) => {
                let dns = mock.dns.filter(|_| serve_dns);
                let mock = providers::MockConfig { dns, ..mock.clone() };
                let mock = MockProvider::open(&mock).await.map_err(failed)?;
                own_nameservers(config, id, mock.dns_address(), &mut nameservers);
                Arc::new(mock)
            }
            other => providers::build(other).await.map_err(failed)?,
        };
        writers.insert(id.clone(), writer);
    }
    let senders = senders(&config.notify)?;
    Ok(World {
        senders,
        state: open_state(&config.agent.state),
        ..world(config, Hands::writing(writers), nameservers)
    })
}

/// The real world, for a dry run: nothing in it can write.
///
/// # Errors
/// As [`assemble`].
pub async fn assemble_dry(config: &Config) -> Result<World, AssembleError> {
    let mut readers: BTreeMap<ProviderId, Arc<dyn ReadProvider>> = BTreeMap::new();
    let mut nameservers = configured_nameservers(config);
    for (id, settings) in &config.providers {
        let reader = providers::build_reader(settings).await;
        readers.insert(id.clone(), reader.map_err(|error| AssembleError::Provider(id.clone(), error))?);
        if let ProviderConfig::Mock(_) = settings {
            own_nameservers(config, id, None, &mut nameservers);
        }
    }
    let state = match Store::open_read_only(&config.agent.state) {
        Ok(store) => State::File(store),
        Err(StoreError::Missing { .. }) => State::Nowhere,
        Err(error) => {
            tracing::warn!(%error, "planning without what earlier runs found out");
            State::Nowhere
        }
    };
    Ok(World { state, ..world(config, Hands::reading(readers), nameservers) })
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

fn open_state(path: &Path) -> State {
    match Store::open(path) {
        Ok(store) => State::File(store),
        Err(error) => State::Broken(error.to_string()),
    }
}

fn configured_nameservers(config: &Config) -> BTreeMap<DomainName, Vec<Server>> {
    let with = config.records.iter().filter(|(_, record)| !record.nameservers.is_empty());
    with.map(|(name, record)| {
        let server =
            |address: &std::net::SocketAddr| Server { name: address.ip().to_string(), address: *address };
        (name.clone(), record.nameservers.iter().map(server).collect())
    })
    .collect()
}

/// A mock's records are served by its own server, or by none.
fn own_nameservers(
    config: &Config,
    id: &ProviderId,
    address: Option<std::net::SocketAddr>,
    nameservers: &mut BTreeMap<DomainName, Vec<Server>>,
) {
    for (name, _) in config.records.iter().filter(|(_, record)| record.policy.provider == *id) {
        let own = address.map(|address| Server { name: "mock".into(), address });
        nameservers.entry(name.clone()).or_insert_with(|| own.into_iter().collect());
    }
}
