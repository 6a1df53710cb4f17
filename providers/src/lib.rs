//! DNS providers behind two small traits.
//!
//! A provider can read what a name holds ([`ReadProvider`]) and swap one complete answer for another
//! ([`Provider`]). It cannot delete a name, list a zone or touch a type that is no answer: what must
//! never happen cannot be said.
//!
//! | room | what is there |
//! |---|---|
//! | [`DomainName`], [`RecordSet`], [`Snapshot`], [`Swap`] | the values, plain data |
//! | [`Fault`] | what can go wrong, named after the caller's next move |
//! | [`Capabilities`] | what may be relied on |
//! | [`mock`] | the reference provider with scripted faults and a DNS server in front |
//! | [`rfc2136`], [`powerdns`] | one vendor a file |
//! | [`conformance`] | the suite that every provider passes, mock first |
//!
//! # How to add a provider
//!
//! 1. Add its settings to [`ProviderConfig`]; the compiler then points at [`build()`].
//! 2. Write `providers/src/<vendor>.rs`: [`ReadProvider`] and [`Provider`], a row for each rule in its docs with its source.
//! 3. Run [`conformance`] on it against a real server started by the test.
//! 4. Add its row to `docs/providers.md` and its keys to `src/config/`.

mod capabilities;
mod config;
pub mod conformance;
mod crowd;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod marked;
pub mod mock;
mod name;
mod permission;
pub mod powerdns;
mod record;
pub mod rfc2136;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use capabilities::{Capabilities, Consistency, SwapTier};
pub use config::{MockConfig, PowerDnsConfig, ProviderConfig, Rfc2136Config, TsigAlgorithm, TsigConfig};
pub use crowd::Crowd;
pub use fault::Fault;
pub use marked::{read_crowd_with_markers, read_with_markers};
pub use name::{DomainName, NameError};
pub use permission::{Permission, touched};
pub use record::{
    AnswerSets, Change, NonEmpty, RecordSet, RecordType, Snapshot, Swap, Ttl, Values, Version, Zone,
};

/// A provider that can only be read. `plan`, `status` and `doctor` hold this and nothing more, so a
/// dry run that could write does not compile.
///
/// An `async fn` in a trait cannot be called through `dyn`, hence `async_trait`. Every call returns
/// within the provider's own time limit; none of them retries, sleeps or falls back: that is the caller's.
#[async_trait]
pub trait ReadProvider: Send + Sync {
    /// What may be relied on.
    fn capabilities(&self) -> Capabilities;

    /// What [`read`](ReadProvider::read) will show after a swap to `wish`: TTL floors and the like. Pure.
    ///
    /// Without it a provider that raises a TTL would make the agent write for ever.
    fn normalize(&self, wish: AnswerSets) -> AnswerSets;

    /// The zone that holds `name`: the longest suffix the provider serves.
    ///
    /// # Errors
    /// [`Fault::Config`] when there is none, or when two match equally.
    async fn zone(&self, name: &DomainName) -> Result<Zone, Fault>;

    /// What these names hold now, in the order asked; a name with nothing gives an empty snapshot, not an error.
    ///
    /// Evidence comes from the provider itself (its API, its primary server), never from a cache.
    async fn read(&self, zone: &Zone, names: &[DomainName]) -> Result<Vec<Snapshot>, Fault>;

    /// The same for many names of one zone, from one picture of it all, where that costs far less than to ask for each.
    ///
    /// Of a name it says nothing where it could not say what [`read`](ReadProvider::read) would find.
    ///
    /// # Errors
    /// As [`read`](ReadProvider::read).
    async fn read_crowd(&self, _zone: &Zone, names: &[DomainName]) -> Result<Crowd, Fault> {
        Ok(Crowd::unseen(names.len()))
    }

    /// Would a swap of `now`'s name to sets of these types be taken? Whatever the answer, nothing is changed by the
    /// question, not even the zone's serial: the same provider must be safe in the hands of a dry run.
    ///
    /// # Errors
    /// What the swap would meet: `Auth` when it is not allowed, `Conflict` when the name no longer holds what was read.
    async fn permission(
        &self,
        _zone: &Zone,
        _now: &Snapshot,
        _types: &BTreeSet<RecordType>,
    ) -> Result<Permission, Fault> {
        Ok(Permission::NotTested("this provider cannot be asked without a change".into()))
    }

    /// What the provider's clock shows, Unix seconds, as of this call; `None` where it does not tell.
    ///
    /// Signatures are good for some minutes only (RFC 8945 section 10: 300 s), so two clocks that differ are a
    /// fault to come.
    ///
    /// # Errors
    /// As [`read`](ReadProvider::read).
    async fn server_time(&self, _zone: &Zone) -> Result<Option<u64>, Fault> {
        Ok(None)
    }
}

/// A provider that can be written.
///
/// ```text
/// before   www 60 A 192.0.2.1          swap(before -> after)        www 60 A 198.51.100.5
///          www 60 AAAA 2001:db8::1     ===================>         (no AAAA: the new target has none)
///          www MX, TXT ...             not ours, never touched      www MX, TXT ...
/// ```
#[async_trait]
pub trait Provider: ReadProvider {
    /// Rewrites each name from its `before` to its `after`.
    ///
    /// All names in one transaction. More than `capabilities().names_per_swap`, or more than fit one request of the provider,
    /// are [`Fault::Unsupported`], and nothing is written: the caller tries fewer. A swap without
    /// [changes](Swap::changes) is a success that sends nothing for it.
    ///
    /// # Errors
    /// `Conflict` when a name no longer holds its `before` (nothing was written); the others as [`Fault`] says.
    async fn swap(&self, zone: &Zone, swaps: &[Swap]) -> Result<Receipt, Fault>;

    /// Has the write reached the provider's authoritative servers, as far as the provider itself can tell?
    async fn settled(&self, receipt: &Receipt) -> Result<Settled, Fault>;
}

/// The provider's word that a swap was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The zone's serial after the write, where the provider tells it.
    pub serial: Option<u32>,
    /// The provider's own handle of the write, where it has one.
    pub handle: Option<String>,
}

/// The answer of [`Provider::settled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing more to wait for at the provider.
    Done,
    /// Ask again after this time.
    Pending(Duration),
}

/// Why a provider could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting cannot be used, though its form is right.
    #[error("{0}")]
    Setting(String),
    /// The zone file of the mock cannot be read.
    #[error("cannot read the zone file {path}: {why}")]
    ZoneFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The DNS server of the mock cannot listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where it should have listened.
        address: std::net::SocketAddr,
        /// Why it cannot.
        source: std::io::Error,
    },
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Http(String),
}

/// Builds a provider that can be written. Does not contact it.
///
/// # Errors
/// [`BuildError`], which a person must put right.
pub async fn build(config: &ProviderConfig) -> Result<Arc<dyn Provider>, BuildError> {
    Ok(match config {
        ProviderConfig::Mock(mock) => Arc::new(mock::MockProvider::open(mock).await?),
        ProviderConfig::Rfc2136(rfc2136) => Arc::new(rfc2136::Rfc2136Provider::new(rfc2136)?),
        ProviderConfig::PowerDns(powerdns) => Arc::new(powerdns::PowerDnsProvider::new(powerdns)?),
    })
}

/// Builds the read-only face of a provider: all that a dry run is given.
///
/// The mock starts no DNS server here, so that a plan beside a running agent does not fight for its port.
///
/// # Errors
/// As [`build`].
pub async fn build_reader(config: &ProviderConfig) -> Result<Arc<dyn ReadProvider>, BuildError> {
    Ok(match config {
        ProviderConfig::Mock(mock) => {
            Arc::new(mock::MockProvider::open(&MockConfig { dns: None, ..mock.clone() }).await?)
        }
        ProviderConfig::Rfc2136(rfc2136) => Arc::new(rfc2136::Rfc2136Provider::new(rfc2136)?),
        ProviderConfig::PowerDns(powerdns) => Arc::new(powerdns::PowerDnsProvider::new(powerdns)?),
    })
}
