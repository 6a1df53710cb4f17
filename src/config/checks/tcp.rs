//! `tcp:` of a check.

use super::super::keys;
use super::super::read::{Item, Read};
use super::super::tree::Value;
use super::body_match;
use crate::probe::{BodyMatch, TcpCheck};

/// A tcp check.
pub(super) fn read(item: Item<'_>) -> Read<TcpCheck> {
    let map = item.map(&keys::TCP)?;
    let port = map.need("port", Item::port);
    let send = map.get("send", Item::text);
    let expect = map.get("expect", |item| match &item.node.value {
        Value::Map(_) => body_match(item),
        _ => item.text().map(BodyMatch::Contains),
    });
    Ok(TcpCheck { port: port?, starttls: None, send: send?.map(String::into_bytes), expect: expect? })
}
