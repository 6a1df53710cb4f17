//! The HTTP request of a probe: as bytes for HTTP/1.1, as a list of headers for HTTP/2.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use secrecy::{ExposeSecret, SecretString};

use super::{Auth, HttpCheck, Step};
use crate::decision::Outcome;

/// Who asks.
pub(super) const USER_AGENT: &str = concat!("failover/", env!("CARGO_PKG_VERSION"));

/// Headers about the connection, which HTTP/2 has other means for (RFC 9113 section 8.2.2).
const NOT_IN_HTTP2: [&str; 7] =
    ["connection", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// Whether a header of this name can be sent over HTTP/2.
pub fn is_of_http2(name: &str) -> bool {
    !NOT_IN_HTTP2.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// The request, ready to be sent (RFC 9112 section 3).
///
/// Host (the check's, else the address, with the port where it is not the scheme's own), User-Agent, Accept and,
/// unless the connection is to be kept, `Connection: close`, each unless the check has a header of that name; then
/// who asks, the check's headers in order, and the length of what is sent. What would break the message (a space in
/// the path, CR, LF or NUL in a value) is refused: [`Outcome::Unknown`], which names the header and never its value.
pub(super) fn encode(check: &HttpCheck, peer: SocketAddr, keep: bool) -> Step<Vec<u8>> {
    require(is_token(&check.method), || format!("method {:?} is not one", check.method))?;
    require(check.path.starts_with('/') && check.path.bytes().all(|b| b.is_ascii_graphic()), || {
        format!("path {:?} must begin with / and hold no space; encode others as %XX", check.path)
    })?;

    let mut request = Vec::with_capacity(256 + check.path.len());
    for part in [check.method.as_str(), " ", &check.path, " HTTP/1.1\r\n"] {
        request.extend_from_slice(part.as_bytes());
    }
    let ours = |name: &str| !check.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    if ours("Host") {
        push(&mut request, "Host", &authority(check.host.as_deref(), check.tls, peer))?;
    }
    for (name, value) in [("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Connection", "close")] {
        if ours(name) && !(keep && name == "Connection") {
            push(&mut request, name, value)?;
        }
    }
    if let Some(value) = authorization(check)? {
        push_secret(&mut request, "Authorization", &value)?;
    }
    for (name, value) in &check.headers {
        push_secret(&mut request, name, value)?;
    }
    let content = content(check);
    if let Some(content) = content {
        push(&mut request, "Content-Length", &content.len().to_string())?;
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(content.unwrap_or_default());
    Ok(request)
}

/// What is sent, where that must be said: a POST without content says so, as some servers insist (RFC 9110 section 8.6).
fn content(check: &HttpCheck) -> Option<&[u8]> {
    let content = check.send.as_ref().map(|send| send.expose_secret().as_bytes()).unwrap_or_default();
    (!content.is_empty() || check.method == "POST").then_some(content)
}

/// The same for HTTP/2 (RFC 9113 section 8.3.1), and its content. The values of the check's headers are sensitive:
/// they are kept out of logs and of tables that others could probe.
pub(super) fn for_http2(check: &HttpCheck, peer: SocketAddr) -> Step<(Request<()>, Option<Bytes>)> {
    let authority = authority(check.host.as_deref(), check.tls, peer);
    let mut request = Request::new(());
    let method = Method::try_from(check.method.as_str());
    *request.method_mut() = method.map_err(|_| fault(format!("method {:?} is not one", check.method)))?;
    *request.uri_mut() = uri(check.tls, authority, &check.path)?;
    *request.version_mut() = http::Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    if let Some(value) = authorization(check)? {
        headers.insert(header::AUTHORIZATION, sensitive("Authorization", &value)?);
    }
    for (name, value) in &check.headers {
        let parsed = HeaderName::try_from(name);
        let parsed = parsed.map_err(|_| fault(format!("{name:?} is not the name of a header")))?;
        require(is_of_http2(parsed.as_str()), || format!("HTTP/2 has no header {name}"))?;
        // The check's replace ours, and may stand more than once.
        if headers.get(&parsed).is_some_and(|before| !before.is_sensitive()) {
            headers.remove(&parsed);
        }
        headers.append(parsed, sensitive(name, value)?);
    }
    let content = content(check);
    if let Some(content) = content {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(content.len()));
    }
    Ok((request, content.filter(|content| !content.is_empty()).map(Bytes::copy_from_slice)))
}

fn sensitive(name: &str, value: &SecretString) -> Step<HeaderValue> {
    let mut value = HeaderValue::try_from(value.expose_secret())
        .map_err(|_| fault(format!("the value of the header {name} holds a line break or a NUL")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The address that a request is for. `path` begins with `/`.
pub(super) fn uri(tls: bool, authority: String, path: &str) -> Step<Uri> {
    let scheme = if tls { Scheme::HTTPS } else { Scheme::HTTP };
    let path = PathAndQuery::try_from(path).ok().filter(|_| path.starts_with('/'));
    let path = path.ok_or_else(|| fault("the path must begin with / and hold no space".to_owned()))?;
    let authority =
        Authority::try_from(authority).map_err(|_| fault("host is no name of a host".to_owned()))?;
    let built = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    built.map_err(|error| fault(error.to_string()))
}

/// What Host and `:authority` say: the check's `host`, else the address, with the port where it is not the scheme's own.
pub(super) fn authority(host: Option<&str>, tls: bool, peer: SocketAddr) -> String {
    let own_port = if tls { 443 } else { 80 };
    match host {
        Some(host) => host.to_owned(),
        None if peer.port() != own_port => peer.to_string(),
        None if peer.is_ipv6() => format!("[{}]", peer.ip()),
        None => peer.ip().to_string(),
    }
}

/// The value of the Authorization header.
pub(super) fn authorization(check: &HttpCheck) -> Step<Option<SecretString>> {
    Ok(match &check.auth {
        None => None,
        Some(Auth::Bearer(token)) => Some(format!("Bearer {}", token.expose_secret()).into()),
        Some(Auth::Basic { username, password }) => {
            require(!username.contains(':'), || "the username of basic auth holds a colon".to_owned())?;
            let pair = format!("{username}:{}", password.expose_secret());
            Some(format!("Basic {}", STANDARD.encode(pair)).into())
        }
    })
}

fn push_secret(request: &mut Vec<u8>, name: &str, value: &SecretString) -> Step<()> {
    push(request, name, value.expose_secret())
}

fn push(request: &mut Vec<u8>, name: &str, value: &str) -> Step<()> {
    require(is_token(name), || format!("{name:?} is not the name of a header"))?;
    require(!value.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)), || {
        format!("the value of the header {name} holds a line break or a NUL")
    })?;
    for part in [name, ": ", value, "\r\n"] {
        request.extend_from_slice(part.as_bytes());
    }
    Ok(())
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn require(fine: bool, what: impl FnOnce() -> String) -> Step<()> {
    if fine { Ok(()) } else { Err(fault(what())) }
}

#[expect(clippy::needless_pass_by_value, reason = "for what is made on the spot")]
fn fault(what: String) -> Outcome {
    Outcome::Unknown(format!("configuration of the check: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::http_check;

    fn text(check: &HttpCheck, peer: &str) -> String {
        String::from_utf8(encode(check, peer.parse().unwrap(), false).unwrap()).unwrap()
    }

    #[test]
    fn what_we_ask() {
        let check = HttpCheck { path: "/healthz?deep=1".into(), ..http_check(8080) };
        let expected = format!(
            "GET /healthz?deep=1 HTTP/1.1\r\nHost: www.workshopco.ca\r\nUser-Agent: failover/{}\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        );
        let check = HttpCheck { host: Some("www.workshopco.ca".into()), ..check };
        assert_eq!(text(&check, "203.0.113.10:8080"), expected);
    }

    #[test]
    fn without_a_host_the_address_is_the_host() {
        let plain = http_check(80);
        assert!(text(&plain, "203.0.113.10:80").contains("\r\nHost: 203.0.113.10\r\n"));
        assert!(text(&plain, "[2001:db8::5]:80").contains("\r\nHost: [2001:db8::5]\r\n"));
        assert!(text(&plain, "[2001:db8::5]:81").contains("\r\nHost: [2001:db8::5]:81\r\n"));
        let tls = HttpCheck { tls: true, ..http_check(443) };
        assert!(text(&tls, "203.0.113.10:443").contains("\r\nHost: 203.0.113.10\r\n"));
        assert!(text(&tls, "203.0.113.10:80").contains("\r\nHost: 203.0.113.10:80\r\n"));
    }

    #[test]
    fn a_header_of_the_check_replaces_ours() {
        let headers = vec![("user-agent".into(), "curl/8".into()), ("X-Token".into(), "hush".into())];
        let sent = text(&HttpCheck { headers, ..http_check(80) }, "203.0.113.10:80");
        assert!(sent.ends_with("user-agent: curl/8\r\nX-Token: hush\r\n\r\n"), "{sent}");
        assert!(!sent.contains("failover/"));
    }

    #[test]
    fn who_asks_and_what_is_sent() {
        // The example of RFC 7617 section 2.
        let basic = Auth::Basic { username: "Aladdin".into(), password: "open sesame".into() };
        let check = HttpCheck {
            method: "POST".into(),
            auth: Some(basic),
            send: Some("{\"é\":1}".into()),
            ..http_check(80)
        };
        let sent = text(&check, "203.0.113.10:80");
        let end = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\nContent-Length: 8\r\n\r\n{\"é\":1}";
        assert!(sent.ends_with(end), "{sent}");
        let check = HttpCheck { auth: Some(Auth::Bearer("hush".into())), send: None, ..check };
        let sent = text(&check, "203.0.113.10:80");
        assert!(sent.ends_with("Authorization: Bearer hush\r\nContent-Length: 0\r\n\r\n"), "{sent}");
        assert!(!format!("{check:?}").contains("hush"), "{check:?}");
    }

    #[test]
    fn a_message_cannot_be_broken_and_a_secret_is_not_told() {
        let broken = [
            HttpCheck { headers: vec![("X-Token".into(), "hush\r\nX: y".into())], ..http_check(80) },
            HttpCheck { auth: Some(Auth::Bearer("hush\r\nX: y".into())), ..http_check(80) },
            HttpCheck { headers: vec![("X Token".into(), "hush".into())], ..http_check(80) },
            HttpCheck { host: Some("a\nb".into()), ..http_check(80) },
            HttpCheck { path: "/a b".into(), ..http_check(80) },
            HttpCheck { path: "/a\r\nX: y".into(), ..http_check(80) },
            HttpCheck { method: "GET / HTTP/1.1\r\n".into(), ..http_check(80) },
        ];
        for check in broken {
            let outcome = encode(&check, "203.0.113.10:80".parse().unwrap(), false).unwrap_err();
            assert!(matches!(&outcome, Outcome::Unknown(text) if !text.contains("hush")), "{outcome:?}");
        }
    }
}
