//! The document as written: values with the places they stand at. Knows no key and no YAML crate.

use std::ops::Range;

/// A place: bytes `start..end` of the file with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    /// Index in [`Sources`](super::source::Sources).
    pub(super) file: usize,
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
}

impl Span {
    /// The place after the last byte: where something is missing.
    pub(super) fn new(file: usize, start: usize, end: usize) -> Self {
        Span { file, start, end: end.max(start) }
    }
}

/// A value and its place.
///
/// No `Debug`: a node may hold a secret.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// The forms of a value.
#[derive(Clone)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A value whose reference leads nowhere; that was noted, and readers pass over it.
    Lost,
    /// Text, a number, a boolean: which one is the reader's to say.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file. Where a key occurs twice, that was noted.
    Map(Vec<Entry>),
}

/// A scalar.
#[derive(Clone)]
pub(super) struct Scalar {
    /// Its text, escapes and references resolved.
    pub(super) text: String,
    /// Written without quotes.
    pub(super) plain: bool,
    /// The parts of `text` that references (`${...}`) gave: they came from elsewhere and are never shown.
    pub(super) referred: Vec<Range<usize>>,
}

impl Scalar {
    /// Did a reference give some of it?
    pub(super) fn is_referred(&self) -> bool {
        !self.referred.is_empty()
    }
}

/// One key of a mapping and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Span,
    pub(super) node: Node,
}

impl Node {
    /// The value of a key; `None` when this is no mapping or has no such key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The entries; none when this is no mapping.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The form in words.
    pub(super) fn form(&self) -> &'static str {
        match &self.value {
            Value::Null | Value::Lost => "nothing",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(scalar) if !scalar.plain => "text",
            Value::Scalar(scalar) => match scalar.text.as_str() {
                "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => "a boolean",
                text if text.parse::<f64>().is_ok() => "a number",
                _ => "text",
            },
        }
    }

    /// How many values there are in it, itself included.
    pub(super) fn size(&self) -> usize {
        1 + match &self.value {
            Value::List(items) => items.iter().map(Node::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.node.size()).sum(),
            Value::Null | Value::Lost | Value::Scalar(_) => 0,
        }
    }
}
