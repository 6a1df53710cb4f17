//! The checks as targets refer to them: by name, and with what a target changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::check;
use crate::config::names::Names;
use crate::config::read::{Item, Read};
use crate::config::tree::{Entry, Node, Scalar, Span, Value};
use crate::decision::{CheckId, Thresholds};
use crate::probe::Check;

/// What `checks:` holds, as written and as read.
pub(in crate::config) struct Definitions<'a> {
    /// The names.
    pub(in crate::config) names: &'a Names,
    /// As written.
    pub(in crate::config) entries: &'a [Entry],
    /// Those that are right.
    pub(in crate::config) read: &'a BTreeMap<CheckId, (Arc<Check>, Thresholds)>,
}

impl Definitions<'_> {
    /// `NAME`, or `{NAME: {keys that differ}}`. Nothing is known of a check whose definition is faulty, which was noted.
    #[expect(clippy::type_complexity, reason = "the pair is what a check is everywhere")]
    pub(in crate::config) fn refer(
        &self,
        item: Item<'_>,
    ) -> Read<(CheckId, Option<(Arc<Check>, Thresholds)>)> {
        let Value::Map(entries) = &item.node.value else {
            let id = CheckId::from(self.names.refer(item)?);
            let known = self.read.get(&id).cloned();
            return Ok((id, known));
        };
        let [entry] = entries.as_slice() else {
            let message =
                format!("one check with its changes is one item, and this has {} names", entries.len());
            return Err(item.fault(message, "write `checks: [name, {other: {interval: 30s}}]`"));
        };
        let scalar = Scalar { text: entry.key.clone(), plain: true, referred: Vec::new() };
        let name = Node { span: entry.at, value: Value::Scalar(scalar) };
        let id = CheckId::from(self.names.refer(Item { node: &name, ..item })?);
        let Some(known) = self.read.get(&id).cloned() else { return Ok((id, None)) };
        let changes = Item { node: &entry.node, name: id.as_str(), ..item };
        match (&entry.node.value, self.entries.iter().find(|entry| entry.key == id.as_str())) {
            (Value::Map(changed), Some(defined)) if !changed.is_empty() => {
                let whole = laid_over(&moved(&defined.node, entry.node.span), &entry.node);
                let (check, thresholds) = check(Item { node: &whole, ..changes })?;
                Ok((id, Some((Arc::new(check), thresholds))))
            }
            (Value::Map(_) | Value::Null, _) => Ok((id, Some(known))),
            _ => Err(changes.expected("a mapping of keys of a check", "write `{interval: 30s}`")),
        }
    }
}

/// The definition as if it stood where the target changes it: what is wrong of the two together is wrong there.
fn moved(node: &Node, span: Span) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(|item| moved(item, span)).collect()),
        Value::Map(entries) => {
            let entry =
                |entry: &Entry| Entry { key: entry.key.clone(), at: span, node: moved(&entry.node, span) };
            Value::Map(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    };
    Node { span, value }
}

/// Mappings are laid over each other key by key, however deep; whatever else is written takes the place of what was.
fn laid_over(base: &Node, over: &Node) -> Node {
    let (Value::Map(below), Value::Map(above)) = (&base.value, &over.value) else { return over.clone() };
    let mut entries: Vec<Entry> = below.clone();
    for entry in above {
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => *known = Entry { node: laid_over(&known.node, &entry.node), ..entry.clone() },
            None => entries.push(entry.clone()),
        }
    }
    Node { span: over.span, value: Value::Map(entries) }
}
