//! The gRPC health protocol: one call of `grpc.health.v1.Health/Check`.
//!
//! Sources: grpc/doc/health-checking.md and grpc/doc/PROTOCOL-HTTP2.md.

pub(super) mod message;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, header};

use super::body::Flow;
use super::http2::Http2;
use super::progress::Progress;
use super::request::{USER_AGENT, authority, uri};
use super::search::excerpt;
use super::stream::Stream;
use super::tls::{Alpn, Hello, Tls, server_name};
use super::{GrpcCheck, Step, connect, judge};
use crate::decision::Outcome;

use message::Health;

const METHOD: &str = "/grpc.health.v1.Health/Check";
const CONTENT_TYPE: &str = "application/grpc";
/// The status codes that have a meaning of their own here.
const OK: u32 = 0;
const NOT_FOUND: u32 = 5;
const UNIMPLEMENTED: u32 = 12;
/// grpc/doc/statuscodes.md, in their order.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Passes when the server says `SERVING` of the service, and that the call went well.
///
/// The head of the answer and its trailers may have 16 KiB each, the message 4 KiB.
pub(super) async fn probe(
    address: IpAddr,
    check: &GrpcCheck,
    timeout: Duration,
    tls: &Tls,
    progress: &mut Progress<'_>,
) -> Step<()> {
    let peer = SocketAddr::new(address, check.port);
    let request = request(check, peer, timeout)?;
    let secure = if check.tls {
        let name = server_name(check.sni.as_deref(), check.host.as_deref(), peer)?;
        Some((tls, Hello { peer, name, alpn: Alpn::Http2, settings: &check.tls_settings }))
    } else {
        None
    };
    let stream = connect::stream(peer, secure, progress).await?;
    exchange(stream, peer, request, &check.service, progress).await
}

/// The call on a connection that is there.
pub(super) async fn exchange(
    stream: Stream,
    peer: SocketAddr,
    request: Request<()>,
    service: &str,
    progress: &mut Progress<'_>,
) -> Step<()> {
    let mut connection = Http2::begin(stream, peer, progress).await?;

    let question = Some(message::request(service));
    let answer = connection.ask(request, question, message::MAX_BODY, progress).await?;
    let (head, mut stream) = answer.into_parts();
    // In a head that says it, there is nothing else to come (Trailers-Only).
    if let Some(status) = status(&head.headers) {
        return Err(status.map_or_else(|fault| fault, |status| refused(status, &head.headers, service)));
    }
    is_grpc(head.status.as_u16(), &head.headers)?;
    let (body, flow) = connection.body(&mut stream, message::MAX_BODY, progress).await?;
    if flow == Flow::Full {
        // More than the largest message: what it says of its length, or that it is not alone.
        return Err(garbled(&message::answer(&body).err().unwrap_or(message::Garbled::TooMany)));
    }
    let trailers = connection.trailers(&mut stream).await?.unwrap_or_default();
    match status(&trailers).transpose()? {
        Some(OK) => judge(&body, service),
        Some(code) => Err(refused(code, &trailers, service)),
        None => Err(Outcome::Fail("the answer ended without a grpc-status".to_owned())),
    }
}

pub(super) fn request(check: &GrpcCheck, peer: SocketAddr, timeout: Duration) -> Step<Request<()>> {
    let authority = authority(check.host.as_deref(), check.tls, peer);
    let mut request = Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri(check.tls, authority, METHOD)?;
    *request.version_mut() = http::Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert("grpc-timeout", grpc_timeout(timeout));
    Ok(request)
}

/// Eight digits at most: in milliseconds a day and more.
fn grpc_timeout(timeout: Duration) -> HeaderValue {
    let millis = timeout.as_millis().clamp(1, 99_999_999);
    HeaderValue::try_from(format!("{millis}m")).expect("digits and a letter")
}

/// A body may be anything unless it says that it is gRPC.
fn is_grpc(status: u16, headers: &HeaderMap) -> Step<()> {
    let content = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if status != 200 {
        return Err(Outcome::Fail(format!("answered HTTP {}, which is no gRPC", judge::named(status))));
    }
    let is_it =
        content.and_then(|content| content.strip_prefix(CONTENT_TYPE.as_bytes())).is_some_and(|rest| {
            // `+proto`, a parameter, or nothing; `application/grpc-web` is something else.
            rest.first().is_none_or(|next| matches!(next, b'+' | b';' | b' '))
        });
    match (is_it, content) {
        (true, _) => Ok(()),
        (false, None) => {
            Err(Outcome::Fail("answered without a content type, wanted application/grpc".to_owned()))
        }
        (false, Some(content)) => {
            Err(Outcome::Fail(format!("answered with {}, wanted {CONTENT_TYPE}", excerpt(content))))
        }
    }
}

/// `grpc-status`, where there is one.
fn status(headers: &HeaderMap) -> Option<Step<u32>> {
    let value = headers.get("grpc-status")?.as_bytes();
    let digits = !value.is_empty() && value.len() < 10 && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    Some(number.ok_or_else(|| Outcome::Fail(format!("the grpc-status {} is no number", excerpt(value)))))
}

/// A call that did not go well, or that said that it did before there was an answer.
fn refused(code: u32, headers: &HeaderMap, service: &str) -> Outcome {
    let name = usize::try_from(code).ok().and_then(|code| CODES.get(code)).copied().unwrap_or("unknown");
    let said = match headers.get("grpc-message").map(HeaderValue::as_bytes) {
        None | Some([]) => String::new(),
        Some(message) => format!(": {}", excerpt(&percent_decoded(message))),
    };
    Outcome::Fail(match code {
        OK => garbled(&message::Garbled::Nothing).reason().to_owned(),
        UNIMPLEMENTED => format!("has no health service ({METHOD} is UNIMPLEMENTED{said})"),
        NOT_FOUND => format!("knows nothing of {} (NOT_FOUND{said})", named(service)),
        _ => format!("answered gRPC status {code} {name}{said}"),
    })
}

fn judge(body: &[u8], service: &str) -> Step<()> {
    let reason = match message::answer(body).map_err(|fault| garbled(&fault))? {
        Health::Serving => return Ok(()),
        Health::NotServing => "NOT_SERVING".to_owned(),
        Health::Unknown => "UNKNOWN".to_owned(),
        Health::ServiceUnknown => "SERVICE_UNKNOWN".to_owned(),
        Health::Other(number) => format!("{number}, which the protocol does not know"),
    };
    Err(Outcome::Fail(format!("says of {}: {reason}, wanted SERVING", named(service))))
}

fn named(service: &str) -> String {
    match service {
        "" => "the server as a whole".to_owned(),
        service => format!("service {}", excerpt(service.as_bytes())),
    }
}

fn garbled(fault: &message::Garbled) -> Outcome {
    Outcome::Fail(fault.to_string())
}

/// `grpc-message` is percent-encoded; what is not stays as it is.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let hex = hex.and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = hex.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let (b'%', Some(decoded)) = (byte, decoded) {
            out.push(decoded);
            rest = &after[2..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_grpc_is_decoded() {
        assert_eq!(percent_decoded(b"a%20b%zz%4"), b"a b%zz%4");
        assert_eq!(percent_decoded("%C3%A9".as_bytes()), "é".as_bytes());
    }

    #[test]
    fn the_time_that_is_left_has_eight_digits_at_most() {
        assert_eq!(grpc_timeout(Duration::from_secs(3)), "3000m");
        assert_eq!(grpc_timeout(Duration::from_micros(3)), "1m");
        assert_eq!(grpc_timeout(Duration::MAX), "99999999m");
    }

    #[test]
    fn content_types_of_grpc_and_others() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text));
            is_grpc(200, &headers)
        };
        for fine in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
            assert_eq!(of(fine), Ok(()), "{fine}");
        }
        for other in ["application/grpc-web", "application/grpcx", "text/html", ""] {
            assert!(of(other).is_err(), "{other}");
        }
    }
}
