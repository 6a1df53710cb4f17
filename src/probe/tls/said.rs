//! What is said when something is wrong with TLS.

use std::io;
use std::net::SocketAddr;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use super::certificate::{issuer, list};
use super::witness::Seen;
use crate::decision::Outcome;
use crate::probe::TlsSettings;
use crate::probe::trouble::classify;

/// What an error of the handshake says, with what was seen in it.
pub(super) fn in_handshake(
    error: &io::Error,
    peer: SocketAddr,
    settings: &TlsSettings,
    seen: &Seen,
) -> Outcome {
    let error = match of_rustls(error) {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            return Outcome::Fail(unknown_issuer(settings.authorities.is_some(), seen));
        }
        Some(error) => of_tls(error),
        None => classify(error, "TLS handshake", peer),
    };
    match error {
        Outcome::Fail(reason) if seen.asked && settings.identity.is_none() => {
            Outcome::Fail(format!("{reason} ({NONE_SHOWN})"))
        }
        outcome => outcome,
    }
}

fn unknown_issuer(own: bool, seen: &Seen) -> String {
    let issuer = seen.certificate.as_ref().and_then(issuer);
    let issuer = issuer.map(|issuer| format!("; it names {issuer} as its issuer")).unwrap_or_default();
    let nobody = if own {
        "none of the authorities in the check's `ca` (or the server does not send its intermediate certificate)"
    } else {
        "nobody this machine trusts (self-signed, a private authority, or the server does not send its \
         intermediate certificate)"
    };
    format!("the certificate is signed by {nobody}{issuer}")
}

/// What is added where the server wanted something that the check does not have.
const NONE_SHOWN: &str = "it asked for a client certificate, and the check has none; add `mtls`";

/// What an error of a read or write says, with or without TLS. `doing` is what was being done, for the reader.
pub(in crate::probe) fn trouble(error: &io::Error, doing: &str, peer: SocketAddr) -> Outcome {
    of_rustls(error).map_or_else(|| classify(error, doing, peer), of_tls)
}

/// As [`trouble`], of a connection over which an answer was to come, with TLS or without.
pub(in crate::probe) fn trouble_while_waiting(error: &io::Error, peer: SocketAddr) -> Outcome {
    let doing = "while waiting for the answer";
    match of_rustls(error).map(of_tls) {
        Some(Outcome::Fail(reason)) => Outcome::Fail(format!("{doing}: {reason}")),
        Some(other) => other,
        None => classify(error, doing, peer),
    }
}

fn of_rustls(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>())
}

fn of_tls(error: &Error) -> Outcome {
    Outcome::Fail(match error {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::AlertReceived(alert) => said_by_alert(*alert),
        Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port; correct the port, or ask without TLS".to_owned()
        }
        Error::NoApplicationProtocol => no_protocol(),
        Error::FailedToGetCurrentTime | Error::FailedToGetRandomBytes | Error::EncryptError => {
            return Outcome::Unknown(format!("TLS: {error}"));
        }
        other => format!("TLS handshake failed: {other}"),
    })
}

/// What an alert of the server means to an operator (RFC 8446 section 6.2).
fn said_by_alert(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the server wants a client certificate; set `mtls` of the check".to_owned()
        }
        AlertDescription::UnknownCA => "the server does not know the authority that signed our client \
             certificate (alert unknown_ca); show one of its own in `mtls`, with its intermediates"
            .to_owned(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => {
            format!("the server does not accept our client certificate ({}); see its log", alert_name(alert))
        }
        AlertDescription::CertificateExpired => {
            "the server says that our client certificate has expired; renew the files of `mtls`".to_owned()
        }
        AlertDescription::CertificateRevoked => {
            "the server says that our client certificate is revoked; replace the files of `mtls`".to_owned()
        }
        AlertDescription::UnrecognisedName => {
            "the server does not know the name it was asked for (alert unrecognized_name); correct `sni` or `host`"
                .to_owned()
        }
        AlertDescription::NoApplicationProtocol => no_protocol(),
        AlertDescription::ProtocolVersion => {
            "the server speaks neither TLS 1.2 nor 1.3 (alert protocol_version)".to_owned()
        }
        alert => format!("the server ended the TLS handshake ({})", alert_name(alert)),
    }
}

fn no_protocol() -> String {
    "the server speaks none of the protocols that were offered by ALPN (alert no_application_protocol)"
        .to_owned()
}

fn alert_name(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(code) => format!("alert {code}"),
        known => format!("alert {known:?}"),
    }
}

fn certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!(
                "the certificate expired at {} (this machine's clock shows {})",
                at(*not_after),
                at(*time)
            )
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the certificate is not valid before {} (this machine's clock shows {})",
            at(*not_before),
            at(*time)
        ),
        CertificateError::NotValidForName => "the certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("the certificate is for {}, wanted {}", names(presented), expected.to_str())
        }
        CertificateError::BadSignature => {
            "the certificate is not signed by the authority it names (which was \
             perhaps renewed under the same name)"
                .to_owned()
        }
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        other => format!("the certificate is not accepted: {other}"),
    }
}

/// The names, as rustls wraps them: `DnsName("x")` and `IpAddress(1.2.3.4)`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| match name.split_once('(') {
        Some((_, rest)) => rest.trim_end_matches(')').trim_matches('"').to_owned(),
        None => name.clone(),
    };
    list(&presented.iter().map(bare).collect::<Vec<_>>())
}

fn at(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| "a time beyond all calendars".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_certificate_are_told_and_bounded() {
        assert_eq!(
            names(&["DnsName(\"a.example\")".into(), "IpAddress(1.2.3.4)".into()]),
            "a.example, 1.2.3.4"
        );
        assert_eq!(names(&[]), "no name at all");
        let many: Vec<String> = (0..100).map(|n| format!("DnsName(\"h{n}\")")).collect();
        assert_eq!(names(&many), "h0, h1, h2, h3, h4 and 95 more");
    }
}
