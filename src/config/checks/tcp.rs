//! `tcp:` of a check.

use super::super::keys;
use super::super::read::{Item, Optional as _, Read};
use super::super::tree::Value;
use super::{body_match, tls};
use crate::probe::{BodyMatch, StartTls, StartTlsProtocol, TcpCheck};

/// Protocols in which TLS can be asked for.
const STARTTLS: &[(&str, StartTlsProtocol)] = &[("smtp", StartTlsProtocol::Smtp)];
/// Those of later versions.
const LATER: &[&str] = &["imap", "pop3", "ftp", "ldap", "xmpp", "lmtp", "postgres", "mysql"];

/// A tcp check.
pub(super) fn read(item: Item<'_>) -> Read<TcpCheck> {
    let map = item.map(&keys::TCP)?;
    let port = map.need("port", Item::port);
    let protocol = map.get("starttls", |item| item.choice(STARTTLS, LATER));
    let sni = map.get("sni", tls::sni);
    let settings = tls::settings(&map);
    if let Ok(None) = protocol {
        tls::need(&map, "starttls: smtp");
    }
    let half_open = map.get("half_open", Item::flag).otherwise(false);
    if let Ok(true) = half_open {
        for item in ["starttls", "send", "expect"].into_iter().filter_map(|key| map.item(key)) {
            let message = format!("`{}` does not go with `half_open: true`", item.name);
            item.fault(message, "remove one of the two: nothing is said over a connection that is half open");
        }
    }
    let send = map.get("send", Item::text);
    let expect = map.get("expect", |item| match &item.node.value {
        Value::Map(_) => body_match(item, &item.map(&keys::EXPECT)?),
        _ => item.text().map(BodyMatch::Contains),
    });
    let (protocol, sni, settings) = (protocol?, sni?, settings?);
    Ok(TcpCheck {
        port: port?,
        half_open: half_open?,
        starttls: protocol.map(|protocol| StartTls { protocol, sni, settings }),
        send: send?.map(String::into_bytes),
        expect: expect?,
    })
}
