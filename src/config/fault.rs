//! Every fault and warning of a configuration, ready to be shown.

use std::fmt::{self, Write as _};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::context::{Fault, Findings, Where};
use super::excerpt::{Curtain, clean};
use super::source::Sources;

/// So many are shown to a person; the rest is counted.
const MAX_SHOWN: usize = 50;
/// So wide is what is shown to a person.
const COLUMNS: usize = 100;

/// The configuration cannot be used: every fault of all its files, sorted by place. A person must mend it.
///
/// No secret is in here: what is hidden in excerpts and messages was taken out before this was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    faults: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// One fault or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder, as it was named; `None` when none was found.
    pub file: Option<String>,
    /// The line, from 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// The column, from 1, in characters; `None` where the file as a whole is meant.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    pub(super) excerpts: Vec<Excerpt>,
}

/// A line of a file with parts of it marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Its file, for a second one.
    pub(super) file: Option<String>,
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) marks: Vec<(Range<usize>, Option<&'static str>)>,
}

impl Finding {
    /// A finding about a file or folder as a whole.
    pub(super) fn of_file(name: &str, message: String, remedy: String) -> Self {
        let file = Some(clean(name));
        Finding { file, line: None, column: None, message, remedy, excerpts: Vec::new() }
    }

    /// `file:line:column`, as far as it has these.
    pub fn place(&self) -> String {
        let mut place = self.file.clone().unwrap_or_else(|| "failover".into());
        for number in [self.line, self.column].into_iter().flatten() {
            place.push(':');
            place.push_str(&number.to_string());
        }
        place
    }
}

impl fmt::Display for Finding {
    /// One line: the place, what is wrong, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place(), self.message, self.remedy)
    }
}

impl ConfigErrors {
    /// No configuration was found.
    pub(super) fn nowhere(message: String, remedy: &str) -> Self {
        let finding = Finding { file: None, ..Finding::of_file("", message, remedy.to_owned()) };
        ConfigErrors { faults: vec![finding], warnings: Vec::new() }
    }

    /// A single fault of a file or folder as a whole.
    pub(super) fn one(name: &str, message: &str, remedy: &str) -> Self {
        let fault = Finding::of_file(name, clean(message), clean(remedy));
        ConfigErrors { faults: vec![fault], warnings: Vec::new() }
    }

    /// Sorts the findings by place and takes out what must not be shown.
    pub(super) fn new(sources: &Sources, mut findings: Findings) -> Self {
        let curtain = Curtain::new(sources, &findings);
        let show = |findings| show(sources, &curtain, findings);
        let (faults, warnings) =
            (std::mem::take(&mut findings.faults), std::mem::take(&mut findings.warnings));
        ConfigErrors { faults: show(faults), warnings: show(warnings) }
    }

    /// The faults, sorted by file, line and column. At least one.
    pub fn faults(&self) -> &[Finding] {
        &self.faults
    }

    /// What is doubtful besides, sorted in the same way.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The report for a person: for each fault `file:line:column: message`, the line with the place marked, and
    /// what to do. With `colour`, in ANSI colours.
    pub fn render(&self, colour: bool) -> String {
        let mut out = render(&self.faults, None, colour);
        let (count, rest) = (self.faults.len(), self.faults.len().saturating_sub(MAX_SHOWN));
        let shown = if rest > 0 { format!(", {rest} of them not shown") } else { String::new() };
        let _ = write!(out, "{count} fault{}{shown}", if count == 1 { "" } else { "s" });
        out
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigErrors {}

/// Warnings for a person, as faults are shown.
pub fn render_warnings(warnings: &[Finding], colour: bool) -> String {
    let mut out = render(warnings, Some("warning"), colour);
    let rest = warnings.len().saturating_sub(MAX_SHOWN);
    if rest > 0 {
        let _ = writeln!(out, "{} warnings, {rest} of them not shown", warnings.len());
    }
    out
}

/// The warnings as the configuration carries them.
pub(super) fn warnings(sources: &Sources, mut findings: Findings) -> Vec<Finding> {
    let curtain = Curtain::new(sources, &findings);
    show(sources, &curtain, std::mem::take(&mut findings.warnings))
}

/// Sorted by place, each once.
fn show(sources: &Sources, curtain: &Curtain<'_>, mut faults: Vec<Fault>) -> Vec<Finding> {
    // Files in the order in which they are read, and what is about a file as a whole before what is in it.
    let order = |fault: &Fault| match &fault.at {
        Where::File(name) => (sources.index(name), name.clone(), None),
        Where::Span(span) => (Some(span.file), String::new(), Some(*span)),
    };
    faults.sort_by_cached_key(|fault| (order(fault), fault.message.clone()));
    faults.dedup_by(|one, other| one.at == other.at && one.message == other.message);
    faults.into_iter().enumerate().map(|(place, fault)| curtain.show(fault, place < MAX_SHOWN)).collect()
}

fn render(findings: &[Finding], label: Option<&str>, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    // Excerpts are cut to fit already.
    let renderer = renderer.term_width(2 * COLUMNS);
    let (on, off) = if colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let label = label.map_or_else(String::new, |label| format!("{label}: "));
    let mut out = String::new();
    for finding in findings.iter().take(MAX_SHOWN) {
        let line = wrapped(&format!("{}: {label}{}", finding.place(), finding.message), 4, COLUMNS);
        out.extend([on, &line, off, "\n"]);
        out.push_str(&finding.body(&renderer));
        out.push_str("\n\n");
    }
    out
}

impl Finding {
    fn body(&self, renderer: &Renderer) -> String {
        if self.excerpts.is_empty() {
            return wrapped(&format!("  = help: {}", self.remedy), 10, COLUMNS);
        }
        let mut group = Group::with_level(Level::ERROR);
        for (place, excerpt) in self.excerpts.iter().enumerate() {
            let mut snippet = Snippet::source(&excerpt.text).line_start(excerpt.line);
            for (number, (mark, label)) in excerpt.marks.iter().enumerate() {
                let primary = place == 0 && number == 0;
                let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
                snippet = snippet.annotation(kind.span(mark.clone()).label(*label));
            }
            group = group.element(snippet.path(excerpt.file.as_deref()));
        }
        let width = self.excerpts.iter().map(|excerpt| excerpt.line.to_string().len()).max().unwrap_or(1);
        // The renderer indents further lines as the first.
        let remedy = wrapped(&self.remedy, 0, COLUMNS - width - " = help: ".len());
        renderer.render(&[group.element(Level::HELP.message(remedy))])
    }
}

/// The text, broken between words so that it fits the columns; further lines are indented. The text must be without
/// colours.
pub(crate) fn wrapped(text: &str, indent: usize, columns: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    // The spaces before a word belong to it, so that a table's own spaces stay.
    for word in text.split_inclusive(' ') {
        let width = word.trim_end().chars().count();
        if used > indent && used + width > columns {
            lines.truncate(lines.trim_end().len());
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        }
        lines.push_str(word);
        used += word.chars().count();
    }
    lines
}
