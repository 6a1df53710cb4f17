//! What a listener must do so that a check passes.

use std::net::{IpAddr, SocketAddr};

use http::uri::Authority;

use super::specimen::specimen;
use crate::probe::{BodyMatch, CheckKind, HttpCheck, TcpCheck};

/// What a listener does with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Reads a request and answers with these bytes.
    Answer {
        /// The whole response.
        response: Vec<u8>,
        /// In TLS.
        tls: bool,
    },
    /// Says these bytes and waits for the end.
    Say(Vec<u8>),
    /// No listener: the stage itself says whether the check passes.
    Scripted,
}

/// The part that makes `kind` pass, with the check as it is played and what is played differently.
///
/// A check that waits for something no example can be found of is played without that condition.
pub(super) fn part(kind: &CheckKind) -> (CheckKind, Part, Option<String>) {
    match kind {
        CheckKind::Http(http) => of_http(http),
        CheckKind::Tcp(tcp) => of_tcp(tcp),
        // Nothing is said after the handshake.
        CheckKind::Tls(_) => (kind.clone(), Part::Answer { response: Vec::new(), tls: true }, None),
        CheckKind::Exec(exec) => {
            let program = exec.command.first().map_or("the program", String::as_str);
            let note = format!("{program} is not run; the stage says whether it passes");
            (kind.clone(), Part::Scripted, Some(note))
        }
        CheckKind::Icmp(_) => scripted(kind, "no echo request is sent"),
        CheckKind::Dns(_) => scripted(kind, "no DNS server is asked"),
    }
}

fn scripted(kind: &CheckKind, what: &str) -> (CheckKind, Part, Option<String>) {
    (kind.clone(), Part::Scripted, Some(format!("{what}; the stage says whether it passes")))
}

fn of_tcp(tcp: &TcpCheck) -> (CheckKind, Part, Option<String>) {
    if tcp.starttls.is_some() {
        let note = "STARTTLS is not spoken; played as a plain connection".to_owned();
        let plain = TcpCheck { port: tcp.port, ..TcpCheck::default() };
        return (CheckKind::Tcp(plain), Part::Say(Vec::new()), Some(note));
    }
    let played = CheckKind::Tcp(tcp.clone());
    match tcp.expect.as_ref().map(example) {
        None => (played, Part::Say(Vec::new()), None),
        Some(Ok(text)) => (played, Part::Say(text.into_bytes()), None),
        Some(Err(note)) => {
            let plain = CheckKind::Tcp(TcpCheck { expect: None, ..tcp.clone() });
            (plain, Part::Say(Vec::new()), Some(format!("{note}; played as a plain connection")))
        }
    }
}

fn of_http(http: &HttpCheck) -> (CheckKind, Part, Option<String>) {
    let json = || Err("JSON is not made up".to_owned());
    let wanted = http.body.as_ref().map(|wanted| {
        let text = example(wanted)?;
        if text.len() > http.max_body_bytes {
            return Err("the body that is wanted is longer than `max_body`".to_owned());
        }
        let status = status(http, true).ok_or("no status that passes has a body")?;
        Ok((status, text))
    });
    let wanted = if http.json.is_empty() { wanted } else { Some(json()) };
    let (status, text, note) = match (wanted, status(http, false)) {
        (Some(Ok((status, text))), _) => (status, text, None),
        (Some(Err(note)), Some(status)) => {
            (status, String::new(), Some(format!("{note}; only the status is played")))
        }
        (None, Some(status)) => (status, String::new(), None),
        (_, None) => {
            let note = "no final status passes; played as a plain connection".to_owned();
            let plain = TcpCheck { port: http.port, ..TcpCheck::default() };
            return (CheckKind::Tcp(plain), Part::Say(Vec::new()), Some(note));
        }
    };
    let body = if note.is_some() { None } else { http.body.clone() };
    let played = CheckKind::Http(HttpCheck { body, json: Vec::new(), ..http.clone() });
    (played, Part::Answer { response: response(status, &text, &http.method), tls: http.tls }, note)
}

/// The first status that passes, 200 if it does; 1xx are never the last word (RFC 9110 section 15.2).
fn status(http: &HttpCheck, with_body: bool) -> Option<u16> {
    let fits = |status: &u16| !with_body || !matches!(status, 204 | 205 | 304);
    let passes = |status: &u16| http.status.iter().any(|range| (range.first..=range.last).contains(status));
    std::iter::once(200).chain(200..600).filter(passes).find(fits)
}

fn response(status: u16, text: &str, method: &str) -> Vec<u8> {
    let length = match status {
        204 | 304 => String::new(),
        _ => format!("Content-Length: {}\r\n", text.len()),
    };
    let body = if method == "HEAD" { "" } else { text };
    format!("HTTP/1.1 {status} Rehearsed\r\nConnection: close\r\n{length}\r\n{body}").into_bytes()
}

fn example(wanted: &BodyMatch) -> Result<String, String> {
    match wanted {
        BodyMatch::Contains(text) => Ok(text.clone()),
        BodyMatch::Regex(regex) => {
            specimen(regex).ok_or_else(|| format!("no example of /{regex}/ could be made"))
        }
    }
}

/// The Host header that the check would send to `address` on its own port; the local port must not show in it.
pub(super) fn host_of(http: &HttpCheck, address: IpAddr) -> String {
    let own_port = if http.tls { 443 } else { 80 };
    match &http.host {
        Some(host) => host.clone(),
        None if http.port != own_port => SocketAddr::new(address, http.port).to_string(),
        None => bracketed(address),
    }
}

/// The name that the certificate must be for: `sni`, else the host, else the address.
pub(super) fn certificate_name(kind: &CheckKind, address: IpAddr) -> String {
    match kind {
        CheckKind::Http(http) => name_of_http(http, address),
        CheckKind::Tls(tls) => tls.sni.clone().unwrap_or_else(|| address.to_string()),
        CheckKind::Tcp(_) | CheckKind::Icmp(_) | CheckKind::Dns(_) | CheckKind::Exec(_) => {
            address.to_string()
        }
    }
}

fn name_of_http(http: &HttpCheck, address: IpAddr) -> String {
    let host = || {
        let authority = http.host.as_deref()?.parse::<Authority>().ok()?;
        Some(authority.host().trim_matches(['[', ']']).to_owned())
    };
    http.sni.clone().or_else(host).unwrap_or_else(|| address.to_string())
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::probe::{ExecCheck, JsonTest, JsonWish, StartTls, StartTlsProtocol, StatusRange, TlsSettings};

    fn http(first: u16, last: u16, body: Option<BodyMatch>) -> HttpCheck {
        HttpCheck {
            method: "GET".into(),
            path: "/".into(),
            port: 443,
            tls: true,
            tls_settings: TlsSettings::default(),
            host: None,
            sni: None,
            headers: Vec::new(),
            auth: None,
            send: None,
            status: vec![StatusRange { first, last }],
            body,
            json: Vec::new(),
            max_body_bytes: 1024,
        }
    }

    fn played(http: HttpCheck) -> (String, Option<String>) {
        let (_, part, note) = part(&CheckKind::Http(http));
        let Part::Answer { response, tls: true } = part else { panic!("{part:?}") };
        (String::from_utf8(response).unwrap(), note)
    }

    #[test]
    fn the_answer_has_a_status_that_passes_and_the_body() {
        let (response, note) = played(http(200, 299, Some(BodyMatch::Contains("ok".into()))));
        assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("\r\n\r\nok"), "{response}");
        assert_eq!(note, None);
        let regex = BodyMatch::Regex(Regex::new("up|healthy").unwrap());
        assert!(
            played(http(204, 206, Some(regex))).0.starts_with("HTTP/1.1 206 "),
            "204 and 205 have no body"
        );
        assert!(played(http(301, 302, None)).0.starts_with("HTTP/1.1 301 "));
    }

    #[test]
    fn what_cannot_be_played_is_said() {
        let never = BodyMatch::Regex(Regex::new(r"a\bb").unwrap());
        let (kind, _, note) = part(&CheckKind::Http(http(200, 200, Some(never.clone()))));
        assert!(matches!(kind, CheckKind::Http(HttpCheck { body: None, .. })));
        assert!(note.unwrap().contains(r"/a\bb/"));
        let (kind, part_of_it, note) = part(&CheckKind::Http(http(100, 199, None)));
        assert!(matches!(kind, CheckKind::Tcp(TcpCheck { port: 443, .. })) && note.is_some());
        assert_eq!(part_of_it, Part::Say(Vec::new()));
        let tcp = TcpCheck { port: 22, expect: Some(never), ..TcpCheck::default() };
        assert!(part(&CheckKind::Tcp(tcp)).2.unwrap().contains("plain connection"));
        let json = JsonWish { pointer: "/status".into(), tests: vec![JsonTest::Exists(true)] };
        let (kind, _, note) = part(&CheckKind::Http(HttpCheck { json: vec![json], ..http(200, 200, None) }));
        assert!(matches!(kind, CheckKind::Http(HttpCheck { json, .. }) if json.is_empty()));
        assert_eq!(note.as_deref(), Some("JSON is not made up; only the status is played"));
        let starttls =
            StartTls { protocol: StartTlsProtocol::Smtp, sni: None, settings: TlsSettings::default() };
        let smtp = TcpCheck { port: 25, starttls: Some(starttls), ..TcpCheck::default() };
        let (kind, _, note) = part(&CheckKind::Tcp(smtp));
        assert!(matches!(kind, CheckKind::Tcp(TcpCheck { starttls: None, .. })) && note.is_some());
        let exec = ExecCheck { command: vec!["/usr/lib/nagios/plugins/check_ssh".into()] };
        let (_, part_of_it, note) = part(&CheckKind::Exec(exec));
        assert_eq!(part_of_it, Part::Scripted);
        assert!(note.unwrap().starts_with("/usr/lib/nagios/plugins/check_ssh is not run"));
    }

    #[test]
    fn the_local_port_shows_nowhere() {
        let check = http(200, 200, None);
        let six: IpAddr = "2001:db8::5".parse().unwrap();
        assert_eq!(host_of(&check, six), "[2001:db8::5]");
        assert_eq!(certificate_name(&CheckKind::Http(check.clone()), six), "2001:db8::5");
        assert_eq!(host_of(&HttpCheck { port: 8443, ..check.clone() }, six), "[2001:db8::5]:8443");
        let named = HttpCheck { host: Some("www.workshopco.ca:8443".into()), ..check };
        assert_eq!(certificate_name(&CheckKind::Http(named), six), "www.workshopco.ca");
    }
}
