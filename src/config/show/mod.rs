//! The effective configuration: all files as one, references resolved, defaults filled in, secrets masked.
//!
//! It follows the tables of keys, so that the form of a value says whether it may be shown: a secret never is; of a
//! value of any text, what a reference gave is not; a number, a duration, an address, a name or a path is.

mod fill;
mod write;

use serde_json::Value as Json;

use super::keys::{self, Form, Section};
use super::secret;
use super::tree::{Entry, Node, Scalar, Value};

/// What stands for a secret.
const MASK: &str = "***";

/// The effective configuration, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective(Shown);

impl Effective {
    /// As YAML, which loads again and means the same, but for the masked values.
    pub fn yaml(&self) -> String {
        write::yaml(&self.0)
    }

    /// As JSON, of the same form.
    pub fn json(&self) -> Json {
        self.0.json()
    }

    /// Of the whole tree. `words` must be shown nowhere.
    pub(super) fn new(root: &Node, words: &[String], defaults: bool) -> Self {
        let stage = Stage { words, defaults };
        Effective(stage.map(&keys::ROOT, root))
    }
}

/// A value that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    Flag(bool),
    Number(u64),
    Text(String),
    /// A number, `true`, `false` or `null` where text would mean something else.
    Plain(String),
    List(Vec<Shown>),
    Map(Vec<(String, Shown)>),
}

impl Shown {
    fn json(&self) -> Json {
        match self {
            Shown::Flag(flag) => (*flag).into(),
            Shown::Number(number) => (*number).into(),
            Shown::Text(text) => text.as_str().into(),
            Shown::Plain(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Shown::List(items) => items.iter().map(Shown::json).collect(),
            Shown::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.json())).collect(),
        }
    }
}

struct Stage<'a> {
    words: &'a [String],
    defaults: bool,
}

impl Stage<'_> {
    fn value(&self, form: &Form, node: &Node) -> Shown {
        match (form, &node.value) {
            (Form::Map(section), _) => self.map(section, node),
            (Form::Typed(kinds), _) => {
                let kind = node.get("type").and_then(text).unwrap_or_default();
                let section = kinds.iter().find(|(name, _)| *name == kind).map(|(_, section)| section);
                section.map_or_else(|| Shown::Text(MASK.into()), |section| self.map(section, node))
            }
            (Form::Named(form), _) => {
                let entry = |entry: &Entry| (self.clean(&entry.key), self.value(form, &entry.node));
                Shown::Map(node.entries().iter().map(entry).collect())
            }
            (Form::List(form) | Form::OneOrMore(form), Value::List(items)) => self.list(form, items),
            (Form::List(_) | Form::OneOrMore(_), Value::Null) => Shown::List(Vec::new()),
            (Form::OneOrMore(form), _) => self.value(form, node),
            (Form::Either(forms), _) => self.value(fitting(forms, node), node),
            (Form::Scalar, Value::Null) => Shown::Plain("null".into()),
            (form, Value::Scalar(scalar)) => self.scalar(form, scalar),
            // Checked before: there is nothing here, or something that nobody reads.
            _ => Shown::Text(String::new()),
        }
    }

    fn list(&self, form: &Form, items: &[Node]) -> Shown {
        let mut shown = Vec::new();
        let mut telling = false;
        for item in items {
            let one = if telling { Shown::Text(MASK.into()) } else { self.value(form, item) };
            // `--password`, and the password is the next part of the command.
            telling = text(item).is_some_and(secret::announces);
            shown.push(one);
        }
        Shown::List(shown)
    }

    fn map(&self, section: &'static Section, node: &Node) -> Shown {
        let mut entries: Vec<(String, Shown)> = Vec::new();
        for key in section.keys {
            match (node.get(key.name), key.default) {
                (Some(node), _) => entries.push((key.name.into(), self.value(&key.form, node))),
                (None, Some(default)) if self.defaults => {
                    entries.extend(fill::of(self, section, key, default, node));
                }
                (None, _) => {}
            }
        }
        if self.defaults {
            fill::dependent(section, node, &mut entries);
        }
        Shown::Map(entries)
    }

    fn scalar(&self, form: &Form, scalar: &Scalar) -> Shown {
        let text = scalar.text.as_str();
        match form {
            Form::Secret | Form::SecretUrl => Shown::Text(MASK.into()),
            Form::Flag => Shown::Flag(text.eq_ignore_ascii_case("true")),
            Form::Port | Form::Number(..) => {
                text.parse().map_or_else(|_| Shown::Text(self.clean(text)), Shown::Number)
            }
            // What a reference gave is text, or so it is read.
            Form::Scalar | Form::Decimal if scalar.plain && !scalar.is_referred() && is_no_text(text) => {
                Shown::Plain(self.clean(text))
            }
            Form::Text | Form::Regex | Form::Url | Form::Scalar => {
                let mut veiled = scalar.text.clone();
                for range in scalar.referred.iter().rev().filter(|range| !range.is_empty()) {
                    veiled.replace_range(range.clone(), MASK);
                }
                Shown::Text(self.clean(&secret::mask_told(&veiled)))
            }
            _ => Shown::Text(self.clean(text.trim())),
        }
    }

    fn clean(&self, text: &str) -> String {
        secret::redact(text, self.words)
    }
}

/// A number or a word that YAML takes for something else than text.
fn is_no_text(text: &str) -> bool {
    text.parse::<f64>().is_ok()
        || matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "~")
}

/// The text of a scalar.
fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

/// The form that a value has, of several.
fn fitting<'f>(forms: &'f [Form], node: &Node) -> &'f Form {
    let fits = |form: &&Form| match &node.value {
        Value::Map(_) => matches!(form, Form::Map(_) | Form::Named(_) | Form::Typed(_)),
        Value::List(_) => matches!(form, Form::List(_) | Form::OneOrMore(_)),
        _ => !matches!(form, Form::Map(_) | Form::Named(_) | Form::Typed(_) | Form::List(_)),
    };
    forms.iter().find(fits).unwrap_or(&Form::Secret)
}
