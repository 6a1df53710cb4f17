//! The name for SNI and for the certificate.

use std::net::SocketAddr;

use rustls::pki_types::ServerName;

use crate::decision::Outcome;
use crate::probe::{HttpCheck, Step};

/// Of an HTTP check: `sni`, else `host` without its port, else the address.
pub(in crate::probe) fn server_name(check: &HttpCheck, peer: SocketAddr) -> Step<ServerName<'static>> {
    name_or_address(check.sni.as_deref().or_else(|| check.host.as_deref().map(without_port)), peer)
}

/// This name, else the address.
pub(in crate::probe) fn name_or_address(name: Option<&str>, peer: SocketAddr) -> Step<ServerName<'static>> {
    let Some(name) = name else {
        return Ok(ServerName::from(peer.ip()));
    };
    ServerName::try_from(name.to_owned()).map_err(|_| {
        Outcome::Unknown(format!("configuration of the check: {name:?} is neither a DNS name nor an address"))
    })
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.split_once(':') {
        // Two colons: an IPv6 address without brackets, and so without a port.
        Some((name, port)) if !port.contains(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_cut_from_its_port() {
        let cases = [
            ("www.workshopco.ca", "www.workshopco.ca"),
            ("www.workshopco.ca:8443", "www.workshopco.ca"),
            ("203.0.113.10:443", "203.0.113.10"),
            ("[2001:db8::5]:443", "2001:db8::5"),
            ("[2001:db8::5]", "2001:db8::5"),
            ("2001:db8::5", "2001:db8::5"),
        ];
        for (host, name) in cases {
            assert_eq!(without_port(host), name);
        }
    }
}
