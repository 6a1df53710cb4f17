//! What a provider needs to be built: checked values, no YAML.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::DomainName;

/// One provider, as configured.
#[derive(Clone, Debug)]
pub enum ProviderConfig {
    /// The reference provider: a zone in memory or in a JSON file.
    Mock(MockConfig),
    /// DNS UPDATE (RFC 2136) with TSIG (RFC 8945).
    Rfc2136(Rfc2136Config),
    /// The HTTP API of the `PowerDNS` authoritative server.
    PowerDns(PowerDnsConfig),
}

/// See [`ProviderConfig::Mock`].
#[derive(Clone, Debug, Default)]
pub struct MockConfig {
    /// Where the zone is kept; `None` keeps it in memory. A file that does not exist is an empty zone.
    pub file: Option<PathBuf>,
    /// Where an authoritative DNS server for it listens (UDP and TCP, port 0 for any); `None` for none.
    pub dns: Option<SocketAddr>,
    /// The zones it serves where the file names none: those of the configured records.
    pub zones: Vec<DomainName>,
}

/// TSIG algorithms of RFC 8945 section 6 that are still recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`.
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

/// A TSIG key.
#[derive(Clone, Debug)]
pub struct TsigConfig {
    /// The key's name, as the server knows it.
    pub name: DomainName,
    /// Its algorithm.
    pub algorithm: TsigAlgorithm,
    /// The secret, base64.
    pub secret: SecretString,
}

/// See [`ProviderConfig::Rfc2136`].
#[derive(Clone, Debug)]
pub struct Rfc2136Config {
    /// The primary server of the zone.
    pub server: SocketAddr,
    /// The key; `None` where the server goes by address alone.
    pub tsig: Option<TsigConfig>,
    /// How long one exchange may take.
    pub timeout: Duration,
}

/// See [`ProviderConfig::PowerDns`].
#[derive(Clone, Debug)]
pub struct PowerDnsConfig {
    /// The base of the API, without `/api/v1`.
    pub url: Url,
    /// The server's id there; `localhost` for the authoritative server itself.
    pub server_id: String,
    /// The API key.
    pub api_key: SecretString,
    /// How long one request may take.
    pub timeout: Duration,
}
