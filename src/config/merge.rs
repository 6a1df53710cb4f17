//! Several files read as one: mappings are united, lists appended, and nothing may be said twice.

use super::context::{Context, Fault};
use super::tree::{Node, Value};

/// Mappings whose keys are names of things: two definitions of one name are never united.
const NAMED: &[&[&str]] =
    &[&["checks"], &["targets"], &["providers"], &["receivers"], &["notify", "channels"]];

/// Adds `more` to `whole`. `path` is where both stand.
pub(super) fn merge(cx: &Context<'_>, whole: &mut Node, more: Node, path: &mut Vec<String>) {
    match (&mut whole.value, more.value) {
        (_, Value::Null) => {}
        (Value::Null, value) => *whole = Node { span: more.span, value },
        (Value::List(items), Value::List(others)) => items.extend(others),
        (Value::Map(entries), Value::Map(others)) => {
            let named = NAMED.contains(&path.iter().map(String::as_str).collect::<Vec<_>>().as_slice());
            for other in others {
                match entries.iter_mut().find(|entry| entry.key == other.key) {
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
