//! Reading a mapping key by key: every fault is noted and reading goes on.
//!
//! A reader first asks for all keys and then builds its value with `?`, so that one wrong key hides no other.

use std::collections::BTreeSet;

use super::context::{Context, Fault};
use super::keys::{self, Section};
use super::secret;
use super::source::Sources;
use super::tree::{Entry, Node, Scalar, Span, Value};

/// So many unknown keys of a mapping are looked at twice.
const MAX_STRANGERS: usize = 16;

/// Something is wrong and was already noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted;

/// A value, or a fault that was noted.
pub(super) type Read<T> = Result<T, Noted>;

/// The value of a key that may be absent.
pub(super) trait Optional<T> {
    /// What stands for an absent key. A wrong one stays wrong.
    fn otherwise(self, default: T) -> Read<T>;
}

impl<T> Optional<T> for Read<Option<T>> {
    fn otherwise(self, default: T) -> Read<T> {
        self.map(|value| value.unwrap_or(default))
    }
}

/// What every reader is handed.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) sources: &'a Sources,
}

/// A value on the desk, and the key it was found under.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) desk: Desk<'a>,
    pub(super) node: &'a Node,
    pub(super) name: &'a str,
}

/// A mapping on the desk, its keys checked.
pub(super) struct Map<'a> {
    desk: Desk<'a>,
    section: &'static Section,
    node: &'a Node,
}

impl<'a> Item<'a> {
    pub(super) fn new(desk: Desk<'a>, node: &'a Node, name: &'a str) -> Self {
        Item { desk, node, name }
    }

    /// Notes a fault at this value.
    pub(super) fn fault(self, message: impl Into<String>, remedy: impl Into<String>) -> Noted {
        let fault = Fault::at(self.node.span, message);
        self.desk.cx.fault(match self.bare_reference() {
            Some(name) => fault.help(format!("a reference has braces: write `${{{name}}}`")),
            None => fault.help(remedy),
        });
        Noted
    }

    /// `$NAME`, as a shell would read it.
    fn bare_reference(self) -> Option<&'a str> {
        let Value::Scalar(scalar) = &self.node.value else { return None };
        let name = scalar.text.strip_prefix('$').filter(|_| !scalar.is_referred())?;
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(word)).then_some(name)
    }

    /// Notes that this asks for something of a later version.
    pub(super) fn later(self, what: &str, remedy: &str) -> Noted {
        self.fault(format!("{what} is not in this version yet"), remedy)
    }

    /// Warns of this value, which stops nobody.
    pub(super) fn warn(self, message: impl Into<String>, remedy: impl Into<String>) {
        self.desk.cx.warn(Fault::at(self.node.span, message).help(remedy));
    }

    /// The value as a person may see it: as written, so that a resolved reference stays hidden.
    pub(super) fn shown(self) -> String {
        const MAX: usize = 60;
        let text = match &self.node.value {
            Value::Scalar(scalar) if scalar.is_referred() => self.desk.sources.slice(self.node.span),
            Value::Scalar(scalar) => &scalar.text,
            _ => self.node.form(),
        };
        let text = text.trim_matches(['"', '\'']);
        match text.char_indices().nth(MAX) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text.to_owned(),
        }
    }

    /// What a library says is wrong with it; nothing for a resolved reference, which it might repeat.
    pub(super) fn because(self, error: impl std::fmt::Display) -> String {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.is_referred() => String::new(),
            _ => format!(": {error}"),
        }
    }

    /// A value of another form than this.
    pub(super) fn expected(self, form: &str, remedy: &str) -> Noted {
        if matches!(self.node.value, Value::Lost) {
            return Noted;
        }
        self.fault(format!("`{}` must be {form}, and this is {}", self.name, self.node.form()), remedy)
    }

    /// The scalar here, be it text, a number or a boolean.
    pub(super) fn scalar(self, form: &str) -> Read<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Ok(scalar),
            Value::Lost => Err(Noted),
            Value::Null => {
                Err(self.fault(format!("`{}` has no value", self.name), "give it one, or remove the line"))
            }
            _ => Err(self.expected(form, "write a single value")),
        }
    }

    /// A fault when there are more than so many in this list or mapping: `what` in the plural.
    pub(super) fn at_most(self, most: usize, what: &str, remedy: &str) -> Read<()> {
        let count = match &self.node.value {
            Value::List(items) => items.len(),
            Value::Map(entries) => entries.len(),
            _ => 1,
        };
        if count <= most {
            return Ok(());
        }
        Err(self.fault(format!("{count} {what}, and there may be at most {most}"), remedy))
    }

    /// Each item of a list, or the one value that stands for a list of one.
    pub(super) fn one_or_list<T>(self, read: impl Fn(Item<'a>) -> Read<T>) -> Read<Vec<T>> {
        match &self.node.value {
            Value::Scalar(_) | Value::Lost => Ok(vec![read(self)?]),
            _ => self.list(read),
        }
    }

    /// Each item of a list; nothing is an empty list.
    pub(super) fn list<T>(self, read: impl Fn(Item<'a>) -> Read<T>) -> Read<Vec<T>> {
        let items = match &self.node.value {
            Value::Null => &[],
            Value::List(items) => items.as_slice(),
            _ => return Err(self.expected("a list", "write `[a, b]`, or one `- item` a line")),
        };
        let read: Vec<Read<T>> = items.iter().map(|node| read(Item { node, ..self })).collect();
        read.into_iter().collect()
    }

    /// The entries of a mapping whose keys are names; nothing is an empty one.
    pub(super) fn names(self) -> Read<&'a [Entry]> {
        match &self.node.value {
            Value::Null => Ok(&[]),
            Value::Map(entries) => Ok(entries),
            _ => Err(self.expected("a mapping", "write `name: ...`, one a line")),
        }
    }

    /// The `type` of a mapping whose other keys depend on it.
    pub(super) fn kind(
        self,
        section: &'static Section,
        kinds: &[(&'static str, &'static str)],
        later: &[&str],
    ) -> Read<&'static str> {
        if !matches!(self.node.value, Value::Null | Value::Map(_)) {
            return Err(self.no_mapping(section));
        }
        let map = Map { desk: self.desk, section, node: self.node };
        if let Some(item) = map.item("type") {
            return item.choice(kinds, later).inspect_err(|_| self.hide_unknown());
        }
        // The other unknown keys cannot be judged before the type is known.
        self.hide_unknown();
        let meant = |entry: &&Entry| nearest(&entry.key, ["type"]).is_some();
        if let Some(entry) = self.node.entries().iter().find(meant) {
            self.desk.stranger(section, entry);
            return Err(Noted);
        }
        let kinds: Vec<&str> = kinds.iter().map(|(kind, _)| *kind).collect();
        Err(map.fault(format!("{} needs `type`", section.what), format!("add one of: {}", kinds.join(", "))))
    }

    /// Without its type nobody knows what a mapping holds: a misspelt `url` may stand before a secret.
    fn hide_unknown(self) {
        for entry in self.node.entries().iter().filter(|entry| !keys::is_known(&entry.key)) {
            secret::hide(self.desk.cx, self.desk.sources, &entry.node, true);
        }
    }

    fn no_mapping(self, section: &Section) -> Noted {
        if matches!(self.node.value, Value::Lost) {
            return Noted;
        }
        let first = section.keys.iter().find(|key| key.required).or(section.keys.first());
        let first = first.map_or("key", |key| key.name);
        let remedy = format!("write `{{{first}: ...}}`; keys: {}", section.list());
        self.fault(format!("{} must be a mapping, and this is {}", section.what, self.node.form()), remedy)
    }

    /// The mapping here, with the keys of this table; nothing is an empty one. Unknown keys and those of later
    /// versions are noted.
    pub(super) fn map(self, section: &'static Section) -> Read<Map<'a>> {
        if !matches!(self.node.value, Value::Null | Value::Map(_)) {
            return Err(self.no_mapping(section));
        }
        let mut strangers = BTreeSet::new();
        for entry in self.node.entries().iter().filter(|entry| section.key(&entry.key).is_none()) {
            // A second definition was noted already.
            if strangers.insert(entry.key.as_str()) {
                self.desk.stranger(section, entry);
            }
        }
        Ok(Map { desk: self.desk, section, node: self.node })
    }
}

impl Desk<'_> {
    /// A name as it may be shown. One with odd characters may be a name, a lost colon and a secret: its end is hidden.
    pub(super) fn key(self, entry: &Entry) -> String {
        let key = decent(entry);
        if key.len() == entry.key.len() { key.to_owned() } else { self.shown_up_to(entry, key) }
    }

    /// An unknown key as it may be shown. One with odd characters may be a key, a lost colon and a secret, and one without
    /// a value may be a secret that lost its key: what is known of it is shown, and nothing else.
    fn strange_key(self, entry: &Entry) -> String {
        let key = decent(entry);
        let whole = key.len() == entry.key.len();
        let meant = || nearest(&entry.key, keys::all().iter().flat_map(|section| section.names())).is_some();
        if whole && (!matches!(entry.node.value, Value::Null) || meant()) {
            return key.to_owned();
        }
        self.shown_up_to(entry, if keys::is_known(key) && !whole { key } else { "" })
    }

    /// Hides all of a key but its beginning.
    fn shown_up_to(self, entry: &Entry, beginning: &str) -> String {
        // Written with escapes the beginning is not found; then all of it is hidden.
        let shown = self.sources.slice(entry.at).find(beginning).map_or(0, |at| at + beginning.len());
        self.cx.hide(Span::new(entry.at.file, entry.at.start + shown, entry.at.end));
        format!("{beginning}...")
    }

    /// A key that is not of this version.
    fn stranger(self, section: &Section, entry: &Entry) {
        if let Some((key, harmless)) = section.later.iter().find(|(key, _)| *key == entry.key) {
            if !harmless.allows(&entry.node) {
                let message = format!("`{key}` in {} is not in this version yet", section.what);
                self.cx.fault(Fault::at(entry.at, message).help("remove it"));
            }
            return;
        }
        let key = self.strange_key(entry);
        let all = section.names().chain(section.later.iter().map(|(key, _)| *key));
        let near = nearest(&key, all);
        let homes = if near.is_none() { keys::homes(&key) } else { Vec::new() };
        let harmless = !homes.is_empty() && !secret::is_secret(&key);
        if near.is_none_or(secret::is_secret) && !harmless {
            // Who knows what the value is.
            secret::hide(self.cx, self.sources, &entry.node, true);
        }
        let remedy = match (near, homes.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => format!("the keys of {} are: {}", section.what, section.list()),
            (None, homes) => {
                let homes = homes.join(", ");
                format!("it is a key of {homes}; the keys of {} are: {}", section.what, section.list())
            }
        };
        self.cx.fault(Fault::at(entry.at, format!("unknown key `{key}` in {}", section.what)).help(remedy));
    }
}

impl<'a> Map<'a> {
    /// The value of this key, if it is there.
    pub(super) fn item(&self, key: &'static str) -> Option<Item<'a>> {
        debug_assert!(
            self.section.key(key).is_some(),
            "{key} is missing in the table of {}",
            self.section.what
        );
        self.node.get(key).map(|node| Item::new(self.desk, node, key))
    }

    /// Reads the value of this key, if it is there.
    pub(super) fn get<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(Item<'a>) -> Read<T>,
    ) -> Read<Option<T>> {
        self.item(key).map(read).transpose()
    }

    /// Reads the value of a key that must be there.
    pub(super) fn need<T>(&self, key: &'static str, read: impl FnOnce(Item<'a>) -> Read<T>) -> Read<T> {
        match self.item(key) {
            Some(item) => read(item),
            // The key that was meant for it was noted.
            None if self.is_meant(key) => Err(Noted),
            None => {
                Err(self.fault(format!("{} needs `{key}`", self.section.what), format!("add `{key}: ...`")))
            }
        }
    }

    /// Is there an unknown key that was probably meant to be this one?
    pub(super) fn is_meant(&self, key: &str) -> bool {
        let strangers = self.node.entries().iter().filter(|entry| self.section.key(&entry.key).is_none());
        strangers.take(MAX_STRANGERS).any(|entry| nearest(&entry.key, self.section.names()) == Some(key))
    }

    /// Notes a fault of the mapping as a whole.
    pub(super) fn fault(&self, message: impl Into<String>, remedy: impl Into<String>) -> Noted {
        Item::new(self.desk, self.node, "").fault(message, remedy)
    }
}

/// The beginning of a key that is made as keys are.
fn decent(entry: &Entry) -> &str {
    const MAX: usize = 40;
    let odd = |c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.');
    let end = entry.key.char_indices().enumerate().find(|(n, (_, c))| *n == MAX || odd(*c));
    &entry.key[..end.map_or(entry.key.len(), |(_, (at, _))| at)]
}

/// The name that was probably meant.
pub(super) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let names: Vec<&str> = names.into_iter().collect();
    let (distance, near) = names.iter().map(|other| (distance(other), *other)).min()?;
    if distance <= 1 + near.chars().count() / 4 {
        return Some(near);
    }
    // `warn` for `warning`, when there is only one such.
    let mut longer = names.into_iter().filter(|other| name.len() >= 3 && other.starts_with(name));
    longer.next().filter(|_| longer.next().is_none())
}
