//! The names that are defined, and which of them are used.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::context::{Context, Fault};
use super::read::{Item, Noted, Read, nearest};
use super::tree::{Entry, Span};

/// A name is at most this long, characters.
const MAX_NAME: usize = 64;

/// After so many faults no name is guessed.
const MAX_GUESSES: usize = 200;

/// The names of one section. A thing whose definition is faulty is defined all the same.
pub(super) struct Names {
    what: &'static str,
    defined: BTreeMap<String, Span>,
    used: RefCell<BTreeSet<String>>,
}

impl Names {
    /// The names in a section, `what` in the singular: "check".
    pub(super) fn new(what: &'static str, entries: &[Entry]) -> Self {
        let defined = entries.iter().map(|entry| (entry.key.clone(), entry.at)).collect();
        Names { what, defined, used: RefCell::default() }
    }

    /// A name that must be defined.
    pub(super) fn refer(&self, item: Item<'_>) -> Read<String> {
        let name = item.text()?;
        if self.defined.contains_key(&name) {
            self.used.borrow_mut().insert(name.clone());
            return Ok(name);
        }
        if item.desk.cx.is_lacking() {
            // It may be defined in what could not be read; that was noted.
            return Err(Noted);
        }
        Err(self.undefined(item, &name))
    }

    fn undefined(&self, item: Item<'_>, name: &str) -> Noted {
        const MAX_LISTED: usize = 12;
        let message = format!("the {} `{}` is not defined", self.what, item.shown());
        let mut listed: Vec<&str> = self.defined.keys().take(MAX_LISTED).map(String::as_str).collect();
        if self.defined.len() > MAX_LISTED {
            listed.push("...");
        }
        // A guess costs time, and among thousands of faults nobody reads it.
        let guesses = if item.desk.cx.faults() < MAX_GUESSES { self.defined.len() } else { 0 };
        let remedy = match nearest(name, self.defined.keys().map(String::as_str).take(guesses)) {
            Some(near) => format!("did you mean `{near}`? defined: {}", listed.join(", ")),
            None if listed.is_empty() => format!("no {} is defined", self.what),
            None => format!("defined: {}", listed.join(", ")),
        };
        item.fault(message, remedy)
    }

    /// Warns of every name that nothing refers to.
    pub(super) fn warn_unused(&self, cx: &Context<'_>, by: &str) {
        let used = self.used.borrow();
        if cx.is_lacking() {
            return;
        }
        for (name, at) in self.defined.iter().filter(|(name, _)| !used.contains(*name)) {
            let warning = Fault::at(*at, format!("the {} `{name}` is used by no {by}", self.what));
            cx.warn(warning.help(format!("name it in a {by}, or remove it")));
        }
    }
}

/// Is this fit to be a name, on the command line too?
pub(super) fn is_name(text: &str) -> bool {
    let decent = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.starts_with(char::is_alphanumeric) && text.chars().count() <= MAX_NAME && text.chars().all(decent)
}

/// What a name looks like.
pub(super) fn name_rule() -> String {
    format!("begin with a letter or digit and go on with these and `_`, `-`, `.`, at most {MAX_NAME} in all")
}

/// Notes a fault at a name that is unfit.
pub(super) fn check_name(item: Item<'_>, entry: &Entry) -> Read<()> {
    if is_name(&entry.key) {
        return Ok(());
    }
    let message = match entry.key.as_str() {
        "" => format!("a {} without a name", item.name),
        _ => format!("`{}` cannot be the name of a {}", item.desk.key(entry), item.name),
    };
    let fault = Fault::at(entry.at, message);
    item.desk.cx.fault(if entry.key.contains([':', '{']) {
        fault.help("put a space after the colon")
    } else {
        fault.help(name_rule())
    });
    Err(Noted)
}
