//! What all readers share: where faults and warnings are put, and what must not be shown.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::marks;
use super::tree::Span;

/// What is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: Where,
    pub(super) message: String,
    pub(super) remedy: String,
    /// Another place that has to do with it, and what it has to do with it.
    pub(super) also: Option<(Span, &'static str)>,
}

/// The place of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// In a file that was read.
    Span(Span),
    /// A file or folder as a whole, by its name.
    File(String),
}

impl Fault {
    pub(super) fn at(span: Span, message: impl Into<String>) -> Self {
        Fault { at: Where::Span(span), message: message.into(), remedy: String::new(), also: None }
    }

    pub(super) fn file(name: impl Into<String>, message: impl Into<String>) -> Self {
        Fault { at: Where::File(name.into()), message: message.into(), remedy: String::new(), also: None }
    }

    /// What to do about it. Every fault has such a line.
    pub(super) fn help(self, remedy: impl Into<String>) -> Self {
        Fault { remedy: remedy.into(), ..self }
    }

    /// Shows a second place.
    pub(super) fn also(self, span: Span, label: &'static str) -> Self {
        Fault { also: Some((span, label)), ..self }
    }
}

/// What was found, whole.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    /// Places that must not be shown.
    pub(super) hidden: BTreeSet<Span>,
    /// Texts that must not be shown wherever they occur.
    pub(super) secrets: BTreeSet<String>,
    /// Files without a whole tree: nothing in them is known to be harmless.
    pub(super) broken: BTreeSet<usize>,
    /// Some of what was written could not be read.
    pub(super) lacking: bool,
}

/// Passed to every reader. Collecting goes through `&self`, so that readers can be nested freely.
pub(super) struct Context<'a> {
    /// The environment.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// Contents of the files that values refer to, by path: each is read once.
    pub(super) files: RefCell<BTreeMap<String, Result<String, String>>>,
    /// Marks of the contents of other files that values name, by path.
    pub(super) taken: RefCell<BTreeMap<String, u64>>,
    findings: RefCell<Findings>,
    values: Cell<usize>,
}

impl<'a> Context<'a> {
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Context {
            env,
            files: RefCell::default(),
            taken: RefCell::default(),
            findings: RefCell::default(),
            values: Cell::new(0),
        }
    }

    /// A value names this file, and this is in it; nothing where it could not be read. A change of it is a change of the
    /// configuration.
    pub(super) fn took(&self, path: &Path, content: Option<&[u8]>) {
        let mark = content.map_or(0, marks::of_bytes);
        self.taken.borrow_mut().insert(path.display().to_string(), mark);
    }

    /// Notes a fault, once: a value that is used twice by an alias is wrong once.
    pub(super) fn fault(&self, fault: Fault) {
        let faults = &mut self.findings.borrow_mut().faults;
        if faults.last() != Some(&fault) {
            faults.push(fault);
        }
    }

    /// Counts one more value and says how many there are.
    pub(super) fn count(&self) -> usize {
        self.values.set(self.values.get() + 1);
        self.values.get()
    }

    /// How many faults were noted so far.
    pub(super) fn faults(&self) -> usize {
        self.findings.borrow().faults.len()
    }

    /// Notes a fault unless there is one already.
    pub(super) fn fault_if_none(&self, fault: Fault) {
        if self.findings.borrow().faults.is_empty() {
            self.fault(fault);
        }
    }

    /// Two definitions of one name.
    pub(super) fn twice(&self, name: &str, at: Span, first: Span) {
        let fault = Fault::at(at, format!("second definition of `{name}`; first here"));
        self.fault(fault.help("rename one of them or remove it").also(first, "first here"));
    }

    /// Notes what is doubtful and stops nobody.
    pub(super) fn warn(&self, warning: Fault) {
        self.findings.borrow_mut().warnings.push(warning);
    }

    /// Some of what was written could not be read: then nobody knows what is missing.
    pub(super) fn lacks(&self) {
        self.findings.borrow_mut().lacking = true;
    }

    /// Is there something that could not be read? A name may be defined in it.
    pub(super) fn is_lacking(&self) -> bool {
        self.findings.borrow().lacking
    }

    /// Never show this place.
    pub(super) fn hide(&self, span: Span) {
        self.findings.borrow_mut().hidden.insert(span);
    }

    /// How many places are hidden so far.
    pub(super) fn hidden(&self) -> usize {
        self.findings.borrow().hidden.len()
    }

    /// Never show this text.
    pub(super) fn keep_secret(&self, text: &str) {
        self.findings.borrow_mut().secrets.insert(text.trim().to_owned());
    }

    /// There is no whole tree of this file.
    pub(super) fn broken(&self, file: usize) {
        self.findings.borrow_mut().broken.insert(file);
        self.lacks();
    }

    pub(super) fn into_findings(self) -> Findings {
        self.findings.into_inner()
    }
}
