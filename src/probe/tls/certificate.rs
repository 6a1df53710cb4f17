//! What is told of a certificate: which one it is, for whom, and how long it lasts.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use crate::decision::{Certificate, Outcome};
use crate::probe::Step;
use crate::probe::search::excerpt;

/// So many names are told.
const SHOWN: usize = 5;
/// A name has at most so many characters (RFC 1035 section 2.3.4); more are cut off.
const LONGEST: usize = 253;

/// The facts, if it can be read: the names of the subject alternative name extension, else the common name.
pub(in crate::probe) fn facts(der: &CertificateDer<'static>) -> Option<Certificate> {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    let not_after = Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()?;
    Some(Certificate { fingerprint: fingerprint(der), names: list(&names(&parsed)), not_after })
}

/// Who signed it, in its own words.
pub(in crate::probe) fn issuer(der: &CertificateDer<'static>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    let issuer = parsed.issuer();
    let name =
        issuer.iter_common_name().chain(issuer.iter_organization()).find_map(|name| name.as_str().ok())?;
    Some(excerpt(name.as_bytes()))
}

fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all");
        hex
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let alternative = extension.into_iter().flat_map(|extension| &extension.value.general_names);
    let names: Vec<String> = alternative.filter_map(name).filter(|name| !name.is_empty()).collect();
    if !names.is_empty() {
        return names;
    }
    let common = certificate.subject().iter_common_name();
    common.filter_map(|name| name.as_str().ok()).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = || Some(IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?));
            let v6 = || Some(IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?));
            v4().or_else(v6).map(|address| address.to_string())
        }
        _ => None,
    }
}

/// At most five names, made harmless for a terminal and a chat.
pub(super) fn list(names: &[String]) -> String {
    let harmless = |name: &String| -> String {
        name.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    };
    let shown = names.iter().take(SHOWN).map(harmless).collect::<Vec<_>>().join(", ");
    match (names, names.len().saturating_sub(SHOWN)) {
        ([], _) => "no name at all".to_owned(),
        (_, 0) => shown,
        (_, more) => format!("{shown} and {more} more"),
    }
}

/// A failure when no more than `days` are left.
pub(in crate::probe) fn lasts(certificate: &Certificate, days: u32, now: Timestamp) -> Step<()> {
    let left = certificate.not_after.duration_since(now);
    let least = SignedDuration::from_hours(24 * i64::from(days));
    if left > least {
        return Ok(());
    }
    let whole = left.as_hours().max(0) / 24;
    Err(Outcome::Fail(format!(
        "the certificate ends at {}, in {whole} {}; the check wants more than {days}",
        certificate.not_after,
        if whole == 1 { "day" } else { "days" },
    )))
}
