//! What must never be shown: the values of keys that can hold a secret.
//!
//! Three nets, because a wrong file is wrong in ways nobody thought of: the places of such values in the
//! tree, their texts wherever they occur, and, for a file that is not YAML, every line that may hold one.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::context::Context;
use super::keys;
use super::source::{Source, Sources};
use super::tree::{Node, Value};
use crate::probe::told;
pub(super) use crate::probe::{announces, is_secret};

/// A secret shorter than this is hidden at its place only: as a word it would black out half of the text.
const MIN_WORD: usize = 6;

/// Notes every value below this one that must not be shown. Call it when references are resolved.
pub(super) fn collect(cx: &Context<'_>, sources: &Sources, node: &Node) {
    match &node.value {
        Value::List(items) => {
            let mut telling = false;
            for item in items {
                if telling {
                    hide(cx, sources, item, true);
                }
                collect(cx, sources, item);
                telling = matches!(&item.value, Value::Scalar(scalar) if announces(&scalar.text));
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                // A provider's URL is an address, a channel's is a capability.
                let harmless =
                    entry.key == "url" && node.get("type").is_some_and(is_provider) && !has_user(entry);
                if is_secret(&entry.key) && !harmless && !is_key_file(node, entry) {
                    hide(cx, sources, &entry.node, !matches!(entry.key.as_str(), "headers" | "auth"));
                } else {
                    collect(cx, sources, &entry.node);
                }
            }
        }
        Value::Scalar(scalar) => {
            for range in told(&scalar.text) {
                cx.keep_secret(&scalar.text[range]);
                if !is_only_a_reference(sources.slice(node.span)) {
                    cx.hide(node.span);
                }
            }
            // A quote within a plain value: two values have run into one, and the second may be anything.
            let joined = scalar.text.split(['"', '\'']).skip(1);
            let odd = |piece: &&str| piece.len() >= MIN_WORD && !piece.contains(char::is_whitespace);
            for piece in joined.filter(odd).filter(|_| scalar.plain) {
                cx.keep_secret(piece);
                cx.hide(node.span);
            }
        }
        Value::Null | Value::Lost => {}
    }
}

/// The path of a private key is no secret. What does not look like a path may be the key itself.
fn is_key_file(node: &Node, entry: &super::tree::Entry) -> bool {
    let ends = |path: &str| [".pem", ".key"].iter().any(|end| path.ends_with(end));
    let is_path = |text: &str| {
        text.len() < 256
            && !text.contains(char::is_whitespace)
            && (text.starts_with(['/', '.']) || ends(text))
    };
    let path = matches!(&entry.node.value, Value::Scalar(scalar) if is_path(&scalar.text));
    path && entry.key == "key" && node.get("certificate").is_some()
}

fn is_provider(kind: &Node) -> bool {
    matches!(&kind.value, Value::Scalar(scalar) if keys::PROVIDERS.iter().any(|(name, _)| *name == scalar.text))
}

fn has_user(entry: &super::tree::Entry) -> bool {
    matches!(&entry.node.value, Value::Scalar(scalar) if scalar.text.contains('@'))
}

/// Hides this value and all below it, and the keys of mappings too if asked.
pub(super) fn hide(cx: &Context<'_>, sources: &Sources, node: &Node, keys_too: bool) {
    match &node.value {
        Value::Null => {}
        Value::List(items) => items.iter().for_each(|item| hide(cx, sources, item, keys_too)),
        Value::Map(entries) => {
            for entry in entries {
                if keys_too {
                    cx.hide(entry.at);
                }
                hide(cx, sources, &entry.node, keys_too);
            }
        }
        Value::Scalar(_) | Value::Lost => {
            if let Value::Scalar(scalar) = &node.value {
                cx.keep_secret(&scalar.text);
            }
            if !is_only_a_reference(sources.slice(node.span)) {
                cx.hide(node.span);
            }
        }
    }
}

/// `${NAME}` or `${file:...}` and nothing else: says where the secret is and not what it is.
fn is_only_a_reference(raw: &str) -> bool {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^\s*["']?\$\{(?:[A-Za-z_][A-Za-z0-9_]*|file:[^}]*)\}["']?\s*$"#)
            .expect("a constant, tested")
    });
    FORM.is_match(raw)
}

/// The parts of a file that is not YAML which may hold a secret. Only keys and the values of keys that are known
/// to be harmless are left; what stands behind any other key is hidden to the end of the line, and so are the
/// lines that belong to a secret key and whatever stands before the first key.
pub(super) fn suspicious(source: &Source) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut within) = (0, None);
    for line in source.text.split_inclusive('\n') {
        let body = line.trim_end();
        let text = body.trim_start();
        let indent = body.len() - text.len();
        if within.is_some_and(|outer| indent > outer || (indent == outer && text.starts_with('-'))) {
            ranges.push(start + indent..start + body.len());
        } else if !text.is_empty() {
            let (hidden, secret) = suspicious_in(body, indent);
            ranges.extend(hidden.into_iter().map(|range| start + range.start..start + range.end));
            within = secret.then_some(indent);
        }
        start += line.len();
    }
    ranges
}

/// The parts of one line, and whether it has a secret key, so that the lines below may belong to it.
fn suspicious_in(body: &str, indent: usize) -> (Vec<Range<usize>>, bool) {
    // A word, and a colon or at least the end of a word behind it: the colon may be what is missing.
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"([\w-]+)["']?\s*(?::\s*|[\s="']|$)"#).expect("a constant, tested"));
    let mut ranges = Vec::new();
    let with_colon = |found: &regex::Captures<'_>| found[0].contains(':');
    let first = WORD.captures_iter(body).find(with_colon).and_then(|found| found.get(1));
    let first = first.map_or(body.len(), |key| key.start());
    if body[indent..first].contains(char::is_alphanumeric) {
        ranges.push(indent..first);
    }
    for found in WORD.captures_iter(body) {
        let end = found.get(0).map_or(0, |whole| whole.end());
        let secret = is_secret(&found[1]);
        // An unknown key before a `{` is a name, and the keys within can be looked at one by one.
        let opaque = with_colon(&found) && !keys::is_known(&found[1]) && !body[end..].starts_with('{');
        // A word that runs into a quoted text: it may be what is left of a key.
        let runs_on = found[0].ends_with(['"', '\'']) && body[end..].starts_with(char::is_alphanumeric);
        if secret || opaque || runs_on {
            ranges.push(end..body.len());
            return (ranges, secret);
        }
    }
    (ranges, false)
}

/// The text without what it calls secret itself.
pub(super) fn mask_told(text: &str) -> String {
    let mut masked = text.to_owned();
    for range in told(text).into_iter().rev() {
        masked.replace_range(range, "***");
    }
    masked
}

/// Replaces every secret text in a message.
pub(super) fn redact(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), "***");
        }
    }
    text
}

/// The texts to hide wherever they occur, longest first, so that none is half replaced by another.
pub(super) fn words(secrets: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut words: Vec<String> = secrets.into_iter().filter(|word| word.len() >= MIN_WORD).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
}
