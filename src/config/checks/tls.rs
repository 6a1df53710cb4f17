//! `tls:` of a check, and what every check that speaks TLS can say: `sni`, `ca`, `mtls`, `min_tls_days`.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::super::keys;
use super::super::read::{Item, Map, Optional, Read};
use super::super::tree::Value;
use crate::probe::{Authorities, Identity, IdentityFault, MinDays, PemFault, TlsCheck, TlsSettings};

/// The keys that ask for something of TLS.
pub(super) const OF_TLS: [&str; 4] = ["sni", "ca", "mtls", "min_tls_days"];
/// A file of certificates may be this long, bytes: all the authorities of a system have a quarter of it.
const MAX_FILE: u64 = 1024 * 1024;
/// More days are no longer a warning in time.
const MAX_DAYS: u32 = 3650;

/// A tls check.
pub(super) fn read(item: Item<'_>) -> Read<TlsCheck> {
    let map = item.map(&keys::TLS)?;
    let port = map.get("port", Item::port).otherwise(443);
    let sni = map.get("sni", sni);
    let settings = settings(&map);
    Ok(TlsCheck { port: port?, sni: sni?, settings: settings? })
}

/// What the keys of TLS say, in whatever check they stand.
pub(super) fn settings(map: &Map<'_>) -> Read<TlsSettings> {
    let authorities = map.get("ca", authorities);
    let identity = map.get("mtls", identity);
    let min_days = map.get("min_tls_days", min_days);
    Ok(TlsSettings { authorities: authorities?, identity: identity?, min_days: min_days? })
}

/// Notes each key of TLS in a check that speaks none. `which` is the key that would make it.
pub(super) fn need(map: &Map<'_>, which: &str) {
    for item in OF_TLS.into_iter().filter_map(|key| map.item(key)) {
        let remedy = format!("add `{which}` or remove `{}`", item.name);
        item.fault(format!("`{}` without `{which}`", item.name), remedy);
    }
}

/// The name in the certificate.
pub(super) fn sni(item: Item<'_>) -> Read<String> {
    let text = item.text()?;
    if rustls::pki_types::ServerName::try_from(text.as_str()).is_ok() {
        return Ok(text);
    }
    Err(item.fault(format!("sni `{}` is no host name", item.shown()), "write the name in the certificate"))
}

fn authorities(item: Item<'_>) -> Read<Arc<Authorities>> {
    let pem = content(item, "write the path of a PEM file with the certificates of authorities")?;
    Authorities::from_pem(&pem).map(Arc::new).map_err(|fault| {
        item.fault(
            format!("the file of `ca` is of no use: {fault}"),
            "write the path of a PEM file that holds the certificates of the authorities, and no others",
        )
    })
}

fn identity(item: Item<'_>) -> Read<Arc<Identity>> {
    let map = item.map(&keys::MTLS)?;
    let certificate = map.need("certificate", |item| {
        content(item, "write the path of a PEM file with the client certificate").map(|pem| (item, pem))
    });
    let key = map.need("key", |item| {
        let pem = content(item, "write the path of a PEM file with the private key")?;
        warn_if_open(item);
        Ok((item, pem))
    });
    let ((certificate, chain), (key, private)) = (certificate?, key?);
    Identity::from_pem(&chain, &private).map(Arc::new).map_err(|fault| match fault {
        IdentityFault::Certificate(fault) => certificate.fault(
            format!("the file of `certificate` is of no use: {fault}"),
            "write the path of a PEM file with the client certificate, then its intermediates",
        ),
        IdentityFault::Key(fault) => {
            let remedy = match fault {
                PemFault::Encrypted => {
                    "decrypt it (openssl pkey -in FILE) and guard the file by its permissions"
                }
                PemFault::Mismatch => "write the key that the certificate was made for",
                _ => "write the path of a PEM file with an unencrypted private key",
            };
            key.fault(format!("the file of `key` is of no use: {fault}"), remedy)
        }
    })
}

/// A key that everybody can read is warned of.
fn warn_if_open(item: Item<'_>) {
    let Ok(path) = item.path() else { return };
    if std::fs::metadata(&path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0) {
        let path = path.display();
        item.warn(
            format!("{path} holds a private key and everybody on this machine can read it"),
            format!("chmod 640 {path}"),
        );
    }
}

/// The bytes of the file whose path stands here.
fn content(item: Item<'_>, remedy: &str) -> Read<Vec<u8>> {
    if matches!(&item.node.value, Value::Scalar(scalar) if scalar.text.contains("-----BEGIN")) {
        return Err(
            item.fault(format!("`{}` is a path, and this is the content of a file", item.name), remedy)
        );
    }
    let path = item.path()?;
    let read = || {
        let file = File::open(&path).map_err(|error| error.to_string())?;
        if !file.metadata().map_err(|error| error.to_string())?.is_file() {
            return Err("it is no plain file".to_owned());
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("it is longer than {} KiB", MAX_FILE / 1024));
        }
        Ok(bytes)
    };
    let content = read();
    item.desk.cx.took(&path, content.as_deref().ok());
    content.map_err(|why| {
        item.fault(
            format!("the file of `{}` cannot be read: {why}", item.name),
            "check the path and its permissions",
        )
    })
}

/// `14`, or `{days: 14, fail: true}`.
fn min_days(item: Item<'_>) -> Read<MinDays> {
    if !matches!(item.node.value, Value::Map(_)) {
        return Ok(MinDays { days: item.number(1..=MAX_DAYS)?, fail: false });
    }
    let map = item.map(&keys::MIN_TLS_DAYS)?;
    let days = map.need("days", |item| item.number(1..=MAX_DAYS));
    let fail = map.get("fail", Item::flag).otherwise(false);
    Ok(MinDays { days: days?, fail: fail? })
}
