//! Several files read as one: mappings are united, lists appended, and nothing may be said twice.

use std::collections::HashMap;

use super::context::{Context, Fault};
use super::tree::{Entry, Node, Value};

/// Mappings whose keys are names of things: two definitions of one name are never united.
const NAMED: &[&[&str]] =
    &[&["checks"], &["targets"], &["providers"], &["receivers"], &["notify", "channels"]];

/// Where each of `more` stands in `entries` already, or will when those before it were added. Tens of thousands of targets
/// may be there: they are not gone through for each one more.
fn places(entries: &[Entry], more: &[Entry], named: bool) -> Vec<Option<usize>> {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(entries.len() + more.len());
    for (place, entry) in entries.iter().enumerate() {
        first.entry(&entry.key).or_insert(place);
    }
    let mut length = entries.len();
    let mut places = Vec::with_capacity(more.len());
    for other in more {
        let known = first.get(other.key.as_str()).copied();
        if known.is_none() {
            first.insert(&other.key, length);
        }
        if known.is_none() || named {
            length += 1;
        }
        places.push(known);
    }
    places
}

/// Adds `more` to `whole`. `path` is where both stand.
pub(super) fn merge(cx: &Context<'_>, whole: &mut Node, more: Node, path: &mut Vec<String>) {
    match (&mut whole.value, more.value) {
        (_, Value::Null) => {}
        (Value::Null, value) => *whole = Node { span: more.span, value },
        (Value::List(items), Value::List(others)) => items.extend(others),
        (Value::Map(entries), Value::Map(others)) => {
            let named = NAMED.contains(&path.iter().map(String::as_str).collect::<Vec<_>>().as_slice());
            let places = places(entries, &others, named);
            for (other, place) in others.into_iter().zip(places) {
                match place.and_then(|place| entries.get_mut(place)) {
                    None => entries.push(other),
                    Some(first) if named => {
                        cx.twice(&other.key, other.at, first.at);
                        // Read like the first, so that what is wrong in it is told, too.
                        entries.push(other);
                    }
                    Some(first) => {
                        path.push(other.key);
                        merge(cx, &mut first.node, other.node, path);
                        path.pop();
                    }
                }
            }
        }
        _ => {
            let name = if path.is_empty() {
                "the configuration".to_owned()
            } else {
                format!("`{}`", path.join("."))
            };
            let fault = Fault::at(more.span, format!("{name} is set in two files"));
            cx.fault(fault.help("keep one of them").also(whole.span, "first here"));
        }
    }
}
