//! `auth:` of an http check.

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::super::keys;
use super::super::read::{Item, Noted, Read};
use crate::probe::Auth;

/// `{basic: {username, password}}` or `{bearer: token}`.
pub(super) fn read(item: Item<'_>) -> Read<Auth> {
    let map = item.map(&keys::AUTH)?;
    let (basic, bearer) = (map.get("basic", basic)?, map.get("bearer", bearer)?);
    match (basic, bearer) {
        (Some(auth), None) | (None, Some(auth)) => Ok(auth),
        (Some(_), Some(_)) => Err(map.fault("`basic` and `bearer` at once", "keep one of them")),
        (None, None) if item.node.entries().is_empty() => Err(map
            .fault("`auth` says nothing", "write {basic: {username: ..., password: ...}} or {bearer: ...}")),
        (None, None) => Err(Noted),
    }
}

fn basic(item: Item<'_>) -> Read<Auth> {
    let map = item.map(&keys::BASIC)?;
    let username = map.need("username", username);
    let password = map.need("password", Item::secret);
    Ok(Auth::Basic { username: username?, password: password? })
}

/// RFC 7617 section 2.
fn username(item: Item<'_>) -> Read<String> {
    let text = item.text()?;
    if text.contains(':') || text.contains(char::is_control) {
        let message = "a username of basic auth holds no colon and no control character";
        return Err(item.fault(message, "the part behind the colon is the `password`"));
    }
    Ok(text)
}

fn bearer(item: Item<'_>) -> Read<Auth> {
    let token: SecretString = item.secret()?;
    if HeaderValue::try_from(token.expose_secret()).is_err() || token.expose_secret().contains(' ') {
        let message = "the token of `bearer` cannot stand in a header";
        return Err(item.fault(message, "write the token alone, without `Bearer`, spaces and line breaks"));
    }
    Ok(Auth::Bearer(token))
}
