//! Asking resolvers: the system's, or those that the configuration names.
//!
//! | room | what is there |
//! |---|---|
//! | [`Resolvers`] | whom to ask |
//! | [`HostNames`] | the addresses of host names, remembered for as long as their TTL allows |
//!
//! Deliberately absent: `/etc/hosts`, which the visitors of a record do not see; search domains; DNSSEC, which is the
//! resolver's business.

mod names;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use hickory_net::NetError;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

pub use names::{HostNames, NoAddress};

/// Whom to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resolvers {
    /// Those of this machine, `/etc/resolv.conf`.
    #[default]
    System,
    /// These, by address and port.
    Given(Vec<SocketAddr>),
}

impl Resolvers {
    /// A resolver that asks them, each for at most `patience`, and remembers nothing. The system's configuration is read
    /// anew each time, for laptops and for a `resolv.conf` rewritten by DHCP.
    ///
    /// # Errors
    /// The system's configuration cannot be read.
    pub fn resolver(&self, patience: Duration) -> Result<TokioResolver, NetError> {
        let mut builder = match self {
            Resolvers::System => TokioResolver::builder_tokio()?,
            Resolvers::Given(given) => TokioResolver::builder_with_config(
                ResolverConfig::from_name_servers(given.iter().copied().map(name_server).collect()),
                TokioRuntimeProvider::default(),
            ),
        };
        let options = builder.options_mut();
        options.timeout = patience;
        options.attempts = 1;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build()
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
