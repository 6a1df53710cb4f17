//! Things that are written twice under two names.

use std::collections::BTreeMap;

use super::super::context::Fault;
use super::super::tree::{Entry, Node, Value};
use super::Whole;

/// What may not be a copy: the keys it stands at, its name, and what to do.
const KINDS: &[(&[&str], &str, &str)] = &[
    (&["checks"], "checks", "keep one: a check can be shared by many targets"),
    (&["targets"], "targets", "keep one: a target can be shared by many records"),
    (&["providers"], "providers", "keep one: a provider can be shared by many records"),
    (&["notify", "channels"], "channels", "keep one: it is told everything twice"),
];

pub(super) fn warn(whole: &Whole<'_>) {
    for (path, what, remedy) in KINDS {
        let mut seen: BTreeMap<String, &Entry> = BTreeMap::new();
        for entry in whole.node(path).map_or([].as_slice(), Node::entries) {
            let mut form = String::new();
            canonical(&entry.node, &mut form);
            let Some(first) = seen.insert(form, entry) else { continue };
            if first.key == entry.key {
                // Noted as a second definition.
                continue;
            }
            let message = format!("the {what} `{}` and `{}` are the same", first.key, entry.key);
            whole.desk.cx.warn(Fault::at(entry.at, message).help(*remedy).also(first.at, "first here"));
        }
    }
}

/// The value whatever the order of its keys and the form of its quotes. It may hold secrets and is never shown.
fn canonical(node: &Node, out: &mut String) {
    match &node.value {
        Value::Null | Value::Lost => out.push('~'),
        Value::Scalar(scalar) => {
            out.push_str(&scalar.text.len().to_string());
            out.push(':');
            out.push_str(&scalar.text);
        }
        // One value and a list of it say the same.
        Value::List(items) if items.len() == 1 => canonical(&items[0], out),
        Value::List(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sorted.sort_by(|one, other| one.key.cmp(&other.key));
            out.push('{');
            for entry in sorted {
                out.push_str(&entry.key);
                out.push('=');
                canonical(&entry.node, out);
            }
            out.push('}');
        }
    }
}
