//! What stands for a key that is not written.

use std::time::Duration;

use super::super::keys::{self, Form, Key, Section};
use super::super::tree::{Node, Value};
use super::{Shown, Stage};

/// The key with its default.
pub(super) fn of(
    stage: &Stage<'_>,
    section: &'static Section,
    key: &'static Key,
    default: &str,
    node: &Node,
) -> Option<(String, Shown)> {
    let empty = Node { span: node.span, value: Value::Null };
    let value = match &key.form {
        // Nobody is limited by a limit of what is not read.
        _ if key.name == "max_body" && section.what == keys::HTTP.what && node.get("body").is_none() => {
            return None;
        }
        Form::Map(section) => stage.map(section, &empty),
        form => literal(form, default),
    };
    Some((key.name.to_owned(), value))
}

fn literal(form: &Form, default: &str) -> Shown {
    match form {
        Form::Flag => Shown::Flag(default == "true"),
        Form::Port | Form::Number(..) => {
            default.parse().map_or_else(|_| Shown::Text(default.into()), Shown::Number)
        }
        Form::List(_) | Form::OneOrMore(_) if default == "[]" => Shown::List(Vec::new()),
        Form::OneOrMore(_) => Shown::List(vec![Shown::Text(default.into())]),
        _ => Shown::Text(default.into()),
    }
}

/// Defaults that depend on what stands beside them.
pub(super) fn dependent(section: &Section, node: &Node, entries: &mut Vec<(String, Shown)>) {
    let has = |key: &str| node.get(key).is_some_and(|node| !matches!(node.value, Value::Null));
    if section.what == keys::CHECK.what {
        let duration = |shown: &Shown| match shown {
            Shown::Text(text) => {
                text.parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok())
            }
            _ => None,
        };
        let Some((_, interval)) = entries.iter().find(|(key, _)| key == "interval").cloned() else { return };
        for (key, value) in
            entries.iter_mut().filter(|(key, _)| matches!(key.as_str(), "fast_interval" | "timeout"))
        {
            // What is not written gives way to a short interval.
            if !has(key) && duration(value) > duration(&interval) {
                *value = interval.clone();
            }
        }
    }
    if section.what == keys::HTTP.what && !has("port") {
        let tls = entries.iter().any(|(key, value)| key == "tls" && *value == Shown::Flag(true));
        let order = |key: &str| section.keys.iter().position(|other| other.name == key);
        let place = entries.iter().position(|(key, _)| order(key) > order("port")).unwrap_or(entries.len());
        entries.insert(place, ("port".into(), Shown::Number(if tls { 443 } else { 80 })));
    }
    if section.what == keys::AGENT.what && !has("id") {
        entries.insert(0, ("id".into(), Shown::Text(super::super::agent::host_name())));
    }
}
