//! YAML text -> [`Node`]. The only place that knows a YAML crate.
//!
//! The tree is built from the parser's events, not through serde: serde stops at the first fault, and the
//! places of nested values are lost on the way. What a value *means* is the readers' to say, so `no`, `1.10`
//! and `1e3` stay the text that was written.

use std::collections::BTreeMap;

use serde_yaml::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, Span as Place, StrInput, Tag};

use super::context::{Context, Fault};
use super::limits;
use super::source::Source;
use super::tree::{Entry, Node, Scalar, Span, Value};

/// What was found in a file.
#[derive(Default)]
pub(super) struct Parsed {
    /// The document; `None` for an empty one. After a syntax error, what was complete before it.
    pub(super) root: Option<Node>,
    /// Keys that cannot be keys, and their values: nobody knows what they are.
    pub(super) lost: Vec<Node>,
}

/// Reads the document in this file.
pub(super) fn parse(cx: &Context<'_>, file: usize, source: &Source) -> Parsed {
    let mut options = granit_parser::options! {
        flow_nesting_limit: limits::DEPTH,
        block_nesting_limit: limits::DEPTH,
    };
    options.set_emit_comments(false);
    let mut builder = Builder {
        cx,
        file,
        stack: Vec::new(),
        parsed: Parsed::default(),
        anchors: BTreeMap::new(),
        aliased: 0,
    };
    let mut documents = 0;
    for event in Parser::with_options(StrInput::new(&source.text), options) {
        match event {
            Ok((Event::DocumentStart(..), place)) => {
                documents += 1;
                if documents > 1 {
                    let fault = Fault::at(builder.span(place), "a second document in one file");
                    cx.fault(fault.help("keep one document a file; a folder of files is read as one"));
                    cx.broken(file);
                    return builder.parsed;
                }
            }
            Ok((event, place)) => {
                let node = matches!(
                    event,
                    Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_)
                );
                if node && cx.count() > limits::VALUES {
                    let fault = Fault::at(
                        builder.span(place),
                        format!("more than {} values in all files", limits::VALUES),
                    );
                    cx.fault(fault.help("divide them among several agents"));
                    cx.broken(file);
                    return builder.parsed;
                }
                builder.take(event, place);
            }
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(0).min(source.text.len());
                let span = Span::new(file, at, at);
                cx.broken(file);
                let fault = Fault::at(span, format!("this is not YAML: {}", error.info()));
                cx.fault(fault.help(remedy(
                    error.kind(),
                    &error.info(),
                    &source.text[source.line_around(at)],
                )));
                builder.break_off(at);
                return builder.parsed;
            }
        }
    }
    builder.parsed
}

/// What to do about a syntax error on this line.
fn remedy(kind: &ErrorKind, why: &str, line: &str) -> &'static str {
    if matches!(kind, ErrorKind::UnknownAnchor) {
        "define it above with `&name`, or put a value that begins with `*` in quotes"
    } else if matches!(kind, ErrorKind::RecursionLimitExceeded) {
        "nothing here needs more than a few levels: look for brackets that are not closed"
    } else if why.contains("escape") {
        "within double quotes a backslash begins an escape: use single quotes, or write two"
    } else if why.contains("anchor or alias") {
        "put a value that begins with `*` or `&` in quotes"
    } else if why.contains("unclosed") && line.contains(" #") {
        "close the bracket; ` #` begins a comment, so put a value that begins with `#` in quotes"
    } else if line.trim_start_matches(' ').starts_with('\t') {
        "indent with spaces; YAML allows no tabs there"
    } else if line.contains("${") {
        "put a value with `${...}` in double quotes"
    } else if line.contains(": @") || line.contains(": %") {
        "put a value that begins with `@` or `%` in quotes"
    } else {
        "look at the indentation, the quotes, the brackets and the colons here and on the line before"
    }
}

/// A list or mapping that is not complete yet.
enum Open {
    List {
        start: Place,
        anchor: usize,
        items: Vec<Node>,
    },
    Map {
        start: Place,
        anchor: usize,
        entries: Vec<Entry>,
        seen: BTreeMap<String, Span>,
        merges: Vec<Node>,
        key: Option<Key>,
    },
}

/// A key whose value is still to come; `None` for a key that cannot be one, and was reported.
type Key = (Option<String>, Span);

struct Builder<'a> {
    cx: &'a Context<'a>,
    file: usize,
    stack: Vec<Open>,
    parsed: Parsed,
    anchors: BTreeMap<usize, Node>,
    aliased: usize,
}

impl Builder<'_> {
    fn span(&self, place: Place) -> Span {
        let range = place.byte_range().unwrap_or(0..0);
        Span::new(self.file, range.start, range.end)
    }

    fn take(&mut self, event: Event<'_>, place: Place) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced = self.tag(tag.as_deref(), place);
                let plain = style == ScalarStyle::Plain && !forced;
                let null = plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let scalar = Scalar { text: text.into_owned(), plain, referred: Vec::new() };
                let value = if null { Value::Null } else { Value::Scalar(scalar) };
                self.finish(Node { span: self.span(place), value }, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), place);
                self.stack.push(Open::List { start: place, anchor, items: Vec::new() });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), place);
                let (entries, seen, merges) = (Vec::new(), BTreeMap::new(), Vec::new());
                self.stack.push(Open::Map { start: place, anchor, entries, seen, merges, key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::Alias(id) => {
                let node = self.alias(id, self.span(place));
                self.finish(node, 0);
            }
            _ => {}
        }
    }

    /// True when the tag says that a scalar is text. Only the tags of the core schema are known.
    fn tag(&self, tag: Option<&Tag>, place: Place) -> bool {
        let Some(tag) = tag else { return false };
        match tag.core_suffix() {
            Some("str") => return true,
            Some("int" | "float" | "bool" | "null" | "seq" | "map") => {}
            _ => {
                let span = place.tag_span().map_or(self.span(place), |tag| self.span(tag));
                self.cx.fault(Fault::at(span, "a tag has no meaning here").help("leave it out"));
            }
        }
        false
    }

    fn alias(&mut self, id: usize, span: Span) -> Node {
        let Some(node) = self.anchors.get(&id) else {
            self.cx.fault(Fault::at(span, "an alias within its own anchor").help("write the value out"));
            return Node { span, value: Value::Lost };
        };
        let (before, size) = (self.aliased, node.size());
        self.aliased = before.saturating_add(size);
        if before > limits::ALIASED {
            return Node { span, value: Value::Lost };
        }
        if self.aliased > limits::ALIASED {
            let text = format!("the aliases of this file stand for more than {} values", limits::ALIASED);
            self.cx.fault(Fault::at(span, text).help("write the values out, or use fewer"));
            return Node { span, value: Value::Lost };
        }
        node.clone()
    }

    /// A syntax error: whole sections, and whole things in them, are kept, so that it hides no fault before it.
    /// What is open deeper than that is left out, for nobody knows what would have followed.
    fn break_off(&mut self, end: usize) {
        while let Some(open) = self.stack.pop() {
            if self.stack.len() < 2 {
                self.complete(open, end);
            }
        }
    }

    fn close(&mut self, place: Place) {
        let end = self.span(place).end;
        if let Some(open) = self.stack.pop() {
            self.complete(open, end);
        }
    }

    fn complete(&mut self, open: Open, end: usize) {
        match open {
            Open::List { start, anchor, items } => {
                let span = Span::new(self.file, self.span(start).start, end);
                self.finish(Node { span, value: Value::List(items) }, anchor);
            }
            Open::Map { start, anchor, mut entries, merges, .. } => {
                for merge in merges {
                    self.merge(&mut entries, merge);
                }
                let span = Span::new(self.file, self.span(start).start, end);
                self.finish(Node { span, value: Value::Map(entries) }, anchor);
            }
        }
    }

    /// A complete value: where does it belong?
    fn finish(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let depth = self.stack.len();
        match self.stack.last_mut() {
            None => self.parsed.root = Some(node).filter(|node| !matches!(node.value, Value::Null)),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, seen, merges, key, .. }) => match key.take() {
                None => *key = Some(as_key(self.cx, node, &mut self.parsed.lost)),
                Some((None, _)) => self.parsed.lost.push(node),
                Some((Some(name), _)) if name == "<<" => merges.push(node),
                Some((Some(name), at)) => {
                    let Some(first) = seen.get(&name) else {
                        seen.insert(name.clone(), at);
                        return entries.push(Entry { key: name, at, node });
                    };
                    self.cx.twice(&name, at, *first);
                    let first = entries.iter_mut().find(|entry| entry.key == name);
                    match first.map(|entry| &mut entry.node.value).zip(Some(node.value)) {
                        // A second `checks:`: what it defines is defined.
                        Some((Value::Map(here), Value::Map(more))) if depth == 1 => {
                            let known: BTreeMap<String, Span> =
                                here.iter().map(|entry| (entry.key.clone(), entry.at)).collect();
                            for entry in &more {
                                known
                                    .get(&entry.key)
                                    .inspect(|first| self.cx.twice(&entry.key, entry.at, **first));
                            }
                            here.extend(more);
                        }
                        Some((Value::List(here), Value::List(more))) if depth == 1 => here.extend(more),
                        // Read like the first, so that what is wrong in it is told, too.
                        Some((_, value)) => {
                            entries.push(Entry { key: name, at, node: Node { span: node.span, value } });
                        }
                        None => {}
                    }
                }
            },
        }
    }

    /// `<<: *other`: what is written here wins over what is taken over.
    fn merge(&self, entries: &mut Vec<Entry>, from: Node) {
        match from.value {
            Value::Map(others) => {
                for other in others {
                    if !entries.iter().any(|entry| entry.key == other.key) {
                        entries.push(other);
                    }
                }
            }
            Value::List(maps) if maps.iter().all(|map| matches!(map.value, Value::Map(_))) => {
                for map in maps {
                    self.merge(entries, map);
                }
            }
            _ => {
                let fault = Fault::at(from.span, "`<<` takes over the keys of a mapping, and this is none");
                self.cx.fault(fault.help("write `<<: *name`, with `&name` at the mapping to take over"));
            }
        }
    }
}

fn as_key(cx: &Context<'_>, node: Node, lost: &mut Vec<Node>) -> Key {
    let span = node.span;
    match node.value {
        Value::Scalar(scalar) if scalar.text.len() <= limits::KEY => return (Some(scalar.text), span),
        Value::Scalar(_) => {
            let fault = Fault::at(span, format!("a key of more than {} bytes", limits::KEY));
            cx.fault(fault.help("no key and no name is as long; is there a colon too many?"));
            lost.push(node);
            return (None, span);
        }
        _ => {}
    }
    let fault = Fault::at(span, "a key must be text");
    cx.fault(fault.help("write `key: value`; put a key with odd characters in quotes"));
    lost.push(node);
    (None, span)
}
