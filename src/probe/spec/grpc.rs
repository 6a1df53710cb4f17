//! A gRPC check.

use super::TlsSettings;

/// A question by the gRPC health protocol, version 1 (`grpc.health.v1.Health/Check`).
#[derive(Clone, Debug)]
pub struct GrpcCheck {
    /// The port.
    pub port: u16,
    /// TLS, with the certificate verified.
    pub tls: bool,
    /// How TLS is spoken, where it is.
    pub tls_settings: TlsSettings,
    /// The name of the host that is asked (`:authority`); the address itself when `None`.
    pub host: Option<String>,
    /// The name for SNI and for the certificate; `host` (without port) when `None`, else the address.
    pub sni: Option<String>,
    /// Whose health is asked for; the server as a whole when empty.
    pub service: String,
}
