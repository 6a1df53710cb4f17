//! The HTTP/1.1 request of a probe, as bytes.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::{Auth, HttpCheck, Step};
use crate::decision::Outcome;

const USER_AGENT: &str = concat!("failover/", env!("CARGO_PKG_VERSION"));

/// The request, ready to be sent (RFC 9112 section 3).
///
/// Host (the check's, else the address, with the port where it is not the scheme's own), User-Agent, Accept and
/// `Connection: close`, each unless the check has a header of that name; then who asks, the check's headers in order, and
/// the length of what is sent. What
/// would break the message (a space in the path, CR, LF or NUL in a value) is refused: [`Outcome::Unknown`],
/// which names the header and never its value.
pub(super) fn encode(check: &HttpCheck, peer: SocketAddr) -> Step<Vec<u8>> {
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
        push(&mut request, "Host", &host(check, peer))?;
    }
    for (name, value) in [("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Connection", "close")] {
        if ours(name) {
            push(&mut request, name, value)?;
        }
    }
    if let Some(value) = authorization(check)? {
        push_secret(&mut request, "Authorization", &value)?;
    }
    for (name, value) in &check.headers {
        push_secret(&mut request, name, value)?;
    }
    let content = check.send.as_ref().map(|send| send.expose_secret().as_bytes()).unwrap_or_default();
    // A POST without content says so: some servers insist (RFC 9110 section 8.6).
    if !content.is_empty() || check.method == "POST" {
        push(&mut request, "Content-Length", &content.len().to_string())?;
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(content);
    Ok(request)
}

fn host(check: &HttpCheck, peer: SocketAddr) -> String {
    let own_port = if check.tls { 443 } else { 80 };
    match &check.host {
        Some(host) => host.clone(),
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

fn require(fine: bool, fault: impl FnOnce() -> String) -> Step<()> {
    if fine { Ok(()) } else { Err(Outcome::Unknown(format!("configuration of the check: {}", fault()))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::http_check;

    fn text(check: &HttpCheck, peer: &str) -> String {
        String::from_utf8(encode(check, peer.parse().unwrap()).unwrap()).unwrap()
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
            let outcome = encode(&check, "203.0.113.10:80".parse().unwrap()).unwrap_err();
            assert!(matches!(&outcome, Outcome::Unknown(text) if !text.contains("hush")), "{outcome:?}");
        }
    }
}
