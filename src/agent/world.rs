//! Everything that touches the world, as the agent is handed it: real, scripted, or a stage of our own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use providers::{DomainName, Provider, ReadProvider};

use crate::clock::Clock;
use crate::decision::{ChannelId, ProviderFace, ProviderId};
use crate::live::{LiveDns, Server};
use crate::notify::Sender;
use crate::probe::Prober;
use crate::store::Store;

/// The agent's world.
pub struct World {
    /// The clock; the agent is its only reader, apart from those it hands it to.
    pub clock: Arc<dyn Clock>,
    /// Executes probes.
    pub prober: Arc<dyn Prober>,
    /// Asks authoritative servers.
    pub live: Arc<dyn LiveDns>,
    /// Reads and writes records.
    pub hands: Hands,
    /// Authoritative servers that are known without asking: configured ones, and a mock's own.
    pub nameservers: BTreeMap<DomainName, Vec<Server>>,
    /// Sends messages.
    pub senders: BTreeMap<ChannelId, Arc<dyn Sender>>,
    /// The state.
    pub state: State,
    /// For jitter.
    pub seed: u64,
}

/// Where the agent keeps what must outlive it.
pub enum State {
    /// In a file. While it cannot be used the agent goes on from memory and says so loudly.
    File(Store),
    /// Nowhere: a dry run keeps nothing.
    Nowhere,
}

/// The providers, by what may be done with them. A dry run is given readers alone: it holds no value that it
/// could write with.
#[derive(Clone, Default)]
pub struct Hands {
    readers: BTreeMap<ProviderId, Arc<dyn ReadProvider>>,
    writers: BTreeMap<ProviderId, Arc<dyn Provider>>,
    /// Where the DNS servers of mocks listen.
    dns: BTreeMap<ProviderId, SocketAddr>,
}

impl Hands {
    /// Hands that can only read.
    pub fn reading(readers: BTreeMap<ProviderId, Arc<dyn ReadProvider>>) -> Self {
        Hands { readers, ..Hands::default() }
    }

    /// Hands that can read and write.
    pub fn writing(writers: BTreeMap<ProviderId, Arc<dyn Provider>>) -> Self {
        let reader = |(id, writer): (&ProviderId, &Arc<dyn Provider>)| {
            (id.clone(), Arc::clone(writer) as Arc<dyn ReadProvider>)
        };
        Hands { readers: writers.iter().map(reader).collect(), writers, dns: BTreeMap::new() }
    }

    /// Adds a provider that can be read and written, and where its own DNS server listens, if it has one.
    pub(super) fn add(&mut self, id: ProviderId, writer: Arc<dyn Provider>, dns: Option<SocketAddr>) {
        self.readers.insert(id.clone(), Arc::clone(&writer) as Arc<dyn ReadProvider>);
        if let Some(address) = dns {
            self.dns.insert(id.clone(), address);
        }
        self.writers.insert(id, writer);
    }

    /// Where a provider's own DNS server listens, if it has one.
    pub(super) fn dns(&self, id: &ProviderId) -> Option<SocketAddr> {
        self.dns.get(id).copied()
    }

    /// The reading hand for a provider.
    pub fn reader(&self, id: &ProviderId) -> Option<&Arc<dyn ReadProvider>> {
        self.readers.get(id)
    }

    /// The writing hand for a provider; `None` in a dry run.
    pub fn writer(&self, id: &ProviderId) -> Option<&Arc<dyn Provider>> {
        self.writers.get(id)
    }

    /// What the decision must know of each provider.
    pub fn faces(&self) -> BTreeMap<ProviderId, ProviderFace> {
        let face = |(id, reader): (&ProviderId, &Arc<dyn ReadProvider>)| {
            let normalizer = Arc::clone(reader);
            let face = ProviderFace {
                atomic_name: reader.capabilities().atomic_name,
                marker: reader.capabilities().marker,
                normalize: Arc::new(move |wish| normalizer.normalize(wish)),
            };
            (id.clone(), face)
        };
        self.readers.iter().map(face).collect()
    }
}
