//! What a check sends may be a secret, and a target may repeat it: the words of an outcome are told to everybody.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use secrecy::ExposeSecret as _;

use super::{Auth, CheckKind, HttpCheck, request};
use crate::decision::Outcome;

/// Shorter texts are words of every day, and would black out half of a message.
const MIN_SECRET: usize = 6;
/// So much of the beginning of a secret gives it away, bytes: an excerpt may have lost the end.
const MIN_BEGINNING: usize = 8;

/// The outcome of such a check without what the check keeps secret: the values of headers, who asks, and what is called a
/// secret in the path, in what is sent, and among the arguments of a program.
pub(super) fn hush(kind: &CheckKind, outcome: Outcome) -> Outcome {
    let clean = |reason: String| secrets(kind).iter().fold(reason, |reason, secret| without(&reason, secret));
    match outcome {
        Outcome::Pass => Outcome::Pass,
        Outcome::Fail(reason) => Outcome::Fail(clean(reason)),
        Outcome::Unknown(reason) => Outcome::Unknown(clean(reason)),
    }
}

/// The longest first, so that none is half replaced by another.
fn secrets(kind: &CheckKind) -> Vec<String> {
    let mut found = match kind {
        CheckKind::Http(http) => of_http(http),
        CheckKind::Tcp(tcp) => {
            called_secret(&String::from_utf8_lossy(tcp.send.as_deref().unwrap_or_default()))
        }
        CheckKind::Exec(exec) => {
            let after =
                exec.command.windows(2).filter(|pair| announces(&pair[0])).map(|pair| pair[1].clone());
            after.chain(exec.command.iter().flat_map(|argument| called_secret(argument))).collect()
        }
        CheckKind::Grpc(_) | CheckKind::Tls(_) | CheckKind::Icmp(_) | CheckKind::Dns(_) => Vec::new(),
    };
    found.retain(|secret| secret.len() >= MIN_SECRET);
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found
}

fn of_http(http: &HttpCheck) -> Vec<String> {
    let mut found = called_secret(&http.path);
    found.extend(http.send.iter().flat_map(|send| called_secret(send.expose_secret())));
    match &http.auth {
        Some(Auth::Basic { password: secret, .. } | Auth::Bearer(secret)) => {
            found.push(secret.expose_secret().into());
        }
        None => {}
    }
    let authorization = request::authorization(http).ok().flatten();
    for value in http.headers.iter().map(|(_, value)| value).chain(&authorization) {
        let value = value.expose_secret();
        found.push(value.to_owned());
        // Whoever repeats a token may leave out the `Bearer` before it.
        found.extend(value.split_whitespace().filter(|word| word.len() >= MIN_BEGINNING).map(str::to_owned));
    }
    found
}

fn called_secret(text: &str) -> Vec<String> {
    told(text).into_iter().map(|range| text[range].to_owned()).collect()
}

/// The text without this secret, and without the beginning of it that an excerpt left.
fn without(text: &str, secret: &str) -> String {
    let cut =
        (0..=MIN_BEGINNING.min(secret.len())).rev().find(|&at| secret.is_char_boundary(at)).unwrap_or(0);
    let (mut clean, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(&secret[..cut]).filter(|_| cut > 0) {
        clean.push_str(&rest[..at]);
        clean.push_str("***");
        rest = &rest[at + cut..];
        let same = rest.char_indices().zip(secret[cut..].chars()).find(|((_, one), other)| one != other);
        let left = rest.len().min(secret.len() - cut);
        rest = &rest[same.map_or(left, |((at, _), _)| at)..];
    }
    clean + rest
}

/// Can a key of this name hold a secret?
pub(crate) fn is_secret(key: &str) -> bool {
    const PARTS: &[&str] = &[
        "secret",
        "token",
        "passw",
        "passphrase",
        "api_key",
        "apikey",
        "private",
        "credential",
        "auth",
        "bearer",
        "headers",
    ];
    let key = key.to_ascii_lowercase().replace('-', "_");
    key == "key" || key == "url" || key == "pass" || PARTS.iter().any(|part| key.contains(part))
}

/// Is this the argument of a command after which a secret follows (`--password`, `-password`)?
pub(crate) fn announces(argument: &str) -> bool {
    argument.starts_with('-') && !argument.contains(['=', ' ']) && is_secret(argument.trim_start_matches('-'))
}

/// The parts of a text that it calls secret itself: `?token=x`, `--password=x`, `PASS x`, `user:x@host`.
pub(crate) fn told(text: &str) -> Vec<Range<usize>> {
    if !may_tell(text) {
        return Vec::new();
    }
    let found = form().captures_iter(text);
    found.filter_map(|found| found.get(1).or_else(|| found.get(2))).map(|found| found.range()).collect()
}

fn form() -> &'static Regex {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        let names =
            r"[\w-]*(?:secret|token|passw|passphrase|api[_-]?key|credential)[\w-]*|pass|pwd|auth|key|sig";
        let before = r#"(?:^|[?&;,\s"'/-])"#;
        let between = r#"["']?(?:\s*[=:]\s*|\s+)(?:Bearer\s+|Basic\s+)?["']?"#;
        let form = format!(r#"(?i){before}(?:{names}){between}([^\s&;,"']+)|://[^/@\s]*:([^/@\s]+)@"#);
        Regex::new(&form).expect("a constant, tested")
    });
    &FORM
}

/// Has the text what every match of the form has? To build the form would be nearly half of what `validate` takes, and most
/// configurations have no such text.
fn may_tell(text: &str) -> bool {
    const NAMES: &[&str] = &["secret", "token", "pass", "key", "credential", "pwd", "auth", "sig"];
    let is_between = |c: char| matches!(c, '=' | ':') || c.is_whitespace();
    if !text.is_ascii() {
        // Letters that are the same but for their case are more than ASCII's: U+212A is a k.
        return true;
    }
    if !text.contains(is_between) {
        return false;
    }
    let text = text.to_ascii_lowercase();
    (text.contains("://") && text.contains('@')) || NAMES.iter().any(|name| text.contains(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{ExecCheck, TcpCheck};
    use super::*;

    proptest! {
        #[test]
        fn no_text_is_passed_over_that_tells(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "TOKEN", "to\u{212a}en", "pass", "Passw", "api", "-", "_", "key", "sig", "ſig", "pwd", "auth", "credential", "secret",
            "=", ":", " ", "\t", "\u{b}", "\u{2003}", "://", "@", "/", "?", "&", "\"", "x", "é", "Bearer",
        ]), 0..8)) {
            let text = pieces.concat();
            prop_assert_eq!(told(&text).len(), form().captures_iter(&text).count(), "{}", text);
        }
    }

    fn hushed(kind: &CheckKind, reason: &str) -> String {
        hush(kind, Outcome::Fail(reason.into())).reason().to_owned()
    }

    #[test]
    fn a_secret_and_its_beginning_are_taken_out() {
        for (text, expected) in [
            ("said correct-horse-battery twice: correct-horse-battery!", "said *** twice: ***!"),
            ("said \"correct-hor\"...", "said \"***\"..."),
            ("correct is no secret", "correct is no secret"),
            ("correct-horses", "***s"),
        ] {
            assert_eq!(without(text, "correct-horse-battery"), expected);
        }
        assert_eq!(without("pässwörd-lang", "pässwörd-lang"), "***");
        assert_eq!(without("x", ""), "x");
    }

    #[test]
    fn what_calls_itself_secret_has_something_between_its_name_and_itself() {
        for (text, found) in [
            ("/health", None),
            ("/token/secret", None),
            ("?token", None),
            ("?token=x", Some(7..8)),
            ("PASS\u{2003}x", Some(7..8)),
            ("//user:x@host", None),
            ("s://user:x@host", Some(9..10)),
        ] {
            assert_eq!(told(text), Vec::from_iter(found), "{text}");
        }
    }

    #[test]
    fn what_is_sent_is_searched_for_what_calls_itself_secret() {
        let tcp = CheckKind::Tcp(TcpCheck {
            send: Some(b"USER probe\r\nPASS hunter2-x\r\n".into()),
            ..TcpCheck::default()
        });
        let said = hushed(&tcp, "said \"USER probe\\r\\nPASS hunter2-x\" and closed");
        assert_eq!(said, "said \"USER probe\\r\\nPASS ***\" and closed");
        let command = ["/bin/x", "--host", "mail.example.com", "--password", "hunter2-x", "--token=abcdefg"];
        let exec = CheckKind::Exec(ExecCheck { command: command.map(str::to_owned).into() });
        let said = hushed(&exec, "mail.example.com refuses hunter2-x and abcdefg");
        assert_eq!(said, "mail.example.com refuses *** and ***");
    }
}
