//! Every key there is, by the mapping it stands in: those of this version, each with the form of its value and a
//! line for people, and those of later versions.
//!
//! A reader opens a mapping with its table and cannot ask for a key that is not in it, so the tables, the
//! readers, the example and the schema for editors cannot drift apart.

mod agent;
mod checks;
mod notify;
mod providers;
mod records;

pub(super) use agent::*;
pub(super) use checks::*;
pub(super) use notify::*;
pub(super) use providers::*;
pub(super) use records::*;

use self::Form::{Map, Named};
use self::Harmless::{Empty, False, Never, Word};
use super::tree::{Node, Value};

/// The keys of one kind of mapping.
pub(super) struct Section {
    /// What it is, for messages: "a check".
    pub(super) what: &'static str,
    /// The keys of this version.
    pub(super) keys: &'static [Key],
    /// Keys of later versions, and the value at which each asks for nothing.
    pub(super) later: &'static [(&'static str, Harmless)],
}

impl Section {
    /// The key of this name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of the keys of this version.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }

    /// The names of the keys of this version, for people.
    pub(super) fn list(&self) -> String {
        self.names().collect::<Vec<_>>().join(", ")
    }
}

/// One key of this version.
pub(super) struct Key {
    /// As written.
    pub(super) name: &'static str,
    /// What its value looks like.
    pub(super) form: Form,
    /// What it means, in a line, with its default.
    pub(super) doc: &'static str,
    /// The mapping is nothing without it.
    pub(super) required: bool,
    /// What stands for it when it is not written, where that is one value for all.
    pub(super) default: Option<&'static str>,
}

impl Key {
    /// This stands for it when it is not written; `{}` for a mapping whose keys have defaults.
    const fn or(self, default: &'static str) -> Key {
        Key { default: Some(default), ..self }
    }
}

/// A key that may be left out.
const fn key(name: &'static str, form: Form, doc: &'static str) -> Key {
    Key { name, form, doc, required: false, default: None }
}

/// A key that must be there.
const fn need(name: &'static str, form: Form, doc: &'static str) -> Key {
    Key { name, form, doc, required: true, default: None }
}

/// What a value looks like. What no form can say (an interval that is shorter than a timeout) is the readers' business.
pub(super) enum Form {
    /// Text; numbers are text, too.
    Text,
    /// Text that is never shown.
    Secret,
    /// The name of a thing that is defined elsewhere, or of the agent.
    Name,
    /// A path.
    Path,
    /// An absolute http or https URL.
    Url,
    /// A URL that is a secret.
    SecretUrl,
    /// A regular expression.
    Regex,
    /// `true` or `false`.
    Flag,
    /// A domain name.
    Domain,
    /// An IP address without a port.
    Address,
    /// An IP address with a port.
    SocketAddress,
    /// 1 to 65535.
    Port,
    /// A whole number in this range.
    Number(u32, u32),
    /// Any number.
    Decimal,
    /// Text, a number, `true`, `false` or `null`.
    Scalar,
    /// A length of time with its unit.
    Duration,
    /// A number of bytes, with or without a unit.
    Size,
    /// A share with a percent sign.
    Percent,
    /// Status codes or a range of them.
    Status,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A mapping with these keys.
    Map(&'static Section),
    /// A mapping whose `type` says which keys it has.
    Typed(&'static [(&'static str, &'static Section)]),
    /// A mapping of names, each with such a value.
    Named(&'static Form),
    /// A list of such values.
    List(&'static Form),
    /// A list of such values, or a single one.
    OneOrMore(&'static Form),
    /// One of these forms.
    Either(&'static [Form]),
}

/// When does a key of a later version ask for nothing?
#[derive(Clone, Copy)]
pub(super) enum Harmless {
    /// Never: it has no neutral value.
    Never,
    /// When it is `false`.
    False,
    /// When it is an empty list or mapping.
    Empty,
    /// When it is this word.
    Word(&'static str),
}

impl Harmless {
    /// Does this value ask for nothing? No value at all never asks for anything.
    pub(super) fn allows(self, node: &Node) -> bool {
        let word = |word: &str| matches!(&node.value, Value::Scalar(scalar) if scalar.text == word);
        match (self, &node.value) {
            (_, Value::Null) => true,
            (False, _) => word("false"),
            (Empty, Value::List(items)) => items.is_empty(),
            (Empty, Value::Map(entries)) => entries.is_empty(),
            (Word(neutral), _) => word(neutral),
            (Empty | Never, _) => false,
        }
    }
}

pub(super) const ROOT: Section = Section {
    what: "the configuration",
    keys: &[
        key("agent", Map(&AGENT), "The agent itself").or("{}"),
        key("api", Map(&API), "Where the agent can be asked"),
        key("checks", Named(&Map(&CHECK)), "How targets are probed, by name"),
        key("targets", Named(&Map(&TARGET)), "Places that a record may point at, by name"),
        key("providers", Named(&Form::Typed(PROVIDERS)), "Where records are written, by name"),
        key("records", Form::List(&Map(&RECORD)), "The names that are managed"),
        key("notify", Map(&NOTIFY), "Who is told"),
    ],
    later: &[("receivers", Empty), ("cluster", Empty), ("etcd", Empty), ("overrides", Empty)],
};

/// Every table that is not reached from [`ROOT`] is none.
pub(super) fn all() -> Vec<&'static Section> {
    fn walk(section: &'static Section, found: &mut Vec<&'static Section>) {
        if !found.iter().any(|known| std::ptr::eq(*known, section)) {
            found.push(section);
            section.keys.iter().for_each(|key| within(&key.form, found));
        }
    }
    fn within(form: &'static Form, found: &mut Vec<&'static Section>) {
        match form {
            Map(section) => walk(section, found),
            Form::Typed(sections) => sections.iter().for_each(|(_, section)| walk(section, found)),
            Named(form) | Form::List(form) | Form::OneOrMore(form) => within(form, found),
            Form::Either(forms) => forms.iter().for_each(|form| within(form, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&ROOT, &mut found);
    found
}

/// The mappings where a key of this name belongs.
pub(super) fn homes(name: &str) -> Vec<&'static str> {
    all().into_iter().filter(|section| section.key(name).is_some()).map(|section| section.what).collect()
}

/// Is there such a key anywhere, in this version or a later one?
pub(super) fn is_known(key: &str) -> bool {
    all()
        .iter()
        .any(|section| section.key(key).is_some() || section.later.iter().any(|(later, _)| *later == key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The example shows every key of this version, commented out or not, and none of a later one.
    #[test]
    fn the_example_has_every_key() {
        let shows = |key: &str| {
            let key = regex::Regex::new(&format!(r"(?m)(?:^|[\s{{(#]){key}:(?:\s|$)")).unwrap();
            key.is_match(Config::EXAMPLE)
        };
        for section in all() {
            for key in section.names() {
                assert!(shows(key), "failover.example.yaml does not show `{key}` of {}", section.what);
            }
        }
        let now: Vec<&str> = all().iter().flat_map(|section| section.names()).collect();
        for (key, _) in all().iter().flat_map(|section| section.later).filter(|(key, _)| !now.contains(key)) {
            assert!(!shows(key), "failover.example.yaml shows `{key}`, which is refused");
        }
    }

    /// The reference names every key of this version: as a heading, a row, or within a value.
    #[test]
    fn the_reference_has_every_key() {
        const REFERENCE: &str = include_str!("../../../docs/configuration.md");
        for section in all() {
            for key in section.names() {
                let forms =
                    [format!("## {key}\n"), format!("`{key}`"), format!(".{key}`"), format!("`{{{key}: ")];
                let named = forms.iter().any(|form| REFERENCE.contains(form));
                assert!(named, "docs/configuration.md has no `{key}` of {}", section.what);
            }
        }
    }

    #[test]
    fn no_key_is_of_this_version_and_of_a_later_one() {
        for section in all() {
            assert!(section.later.iter().all(|(key, _)| section.key(key).is_none()), "{}", section.what);
        }
    }
}
