//! `grpc:` of a check.

use super::super::keys;
use super::super::read::{Item, Optional, Read};
use super::{http, tls};
use crate::probe::GrpcCheck;

/// The longest name of a service, bytes.
const MAX_SERVICE: usize = 255;

/// A grpc check.
pub(super) fn read(item: Item<'_>) -> Read<GrpcCheck> {
    let map = item.map(&keys::GRPC)?;
    let port = map.need("port", Item::port);
    let service = map.get("service", service).otherwise(String::new());
    let with_tls = map.get("tls", Item::flag).otherwise(false);
    let host = map.get("host", http::host);
    let sni = map.get("sni", tls::sni);
    let tls_settings = tls::settings(&map);
    if let Ok(false) = with_tls {
        tls::need(&map, "tls: true");
    }
    Ok(GrpcCheck {
        port: port?,
        tls: with_tls?,
        tls_settings: tls_settings?,
        host: host?,
        sni: sni?,
        service: service?,
    })
}

/// The protocol leaves it open what a name looks like; `package.Service` is its advice.
fn service(item: Item<'_>) -> Read<String> {
    let text = item.text()?;
    if text.len() > MAX_SERVICE || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let message =
            format!("service `{}` is longer than {MAX_SERVICE} bytes or holds a space", item.shown());
        return Err(item.fault(message, "write the name as the server registers it, like shop.Orders"));
    }
    Ok(text)
}
