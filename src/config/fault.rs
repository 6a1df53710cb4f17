//! Every fault of a configuration, ready to be shown.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::context::{Fault, Findings, Where};
use super::model::Warning;
use super::secret;
use super::source::Sources;
use super::tree::Span;

/// So many faults are shown in full; the rest is counted.
const MAX_SHOWN: usize = 100;
/// An excerpt shows at most this much of a line, bytes.
const MAX_LINE: usize = 400;

/// The configuration cannot be used: every fault of all its files, sorted by place. A person must mend it.
///
/// No secret is in here: what is hidden in excerpts and messages was taken out before this was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    faults: Vec<ConfigFault>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// `file:line:column`, both counted from 1, the column in characters; only the file's name where the file
    /// as a whole is meant.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    excerpts: Vec<Excerpt>,
}

/// A line of a file with parts of it marked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    /// Its file, for a second line.
    file: Option<String>,
    line: usize,
    text: String,
    marks: Vec<(Range<usize>, Option<&'static str>)>,
}

impl ConfigErrors {
    /// A single fault of a file or folder as a whole.
    pub(super) fn one(name: &str, message: &str, remedy: &str) -> Self {
        let (place, message, remedy) = (clean(name), clean(message), clean(remedy));
        ConfigErrors { faults: vec![ConfigFault { place, message, remedy, excerpts: Vec::new() }] }
    }

    /// Sorts the findings by place and takes out what must not be shown.
    pub(super) fn new(sources: &Sources, findings: Findings) -> Self {
        let curtain = Curtain::new(sources, &findings);
        let mut faults = findings.faults;
        faults.sort_by_key(|fault| match &fault.at {
            Where::File(name) => (0, name.clone(), None),
            Where::Span(span) => (1, String::new(), Some(*span)),
        });
        faults.dedup();
        let shown =
            faults.into_iter().enumerate().map(|(place, fault)| curtain.show(fault, place < MAX_SHOWN));
        ConfigErrors { faults: shown.collect() }
    }

    /// The faults, sorted by file, line and column. At least one.
    pub fn faults(&self) -> &[ConfigFault] {
        &self.faults
    }

    /// The report for a person: for each fault `file:line:column: message`, the line with the place marked, and
    /// what to do. With `colour`, in ANSI colours.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for fault in self.faults.iter().take(MAX_SHOWN) {
            let (on, off) = if colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
            out.extend([on, &fault.place, ": ", &fault.message, off, "\n"]);
            out.push_str(&fault.body(&renderer));
            out.push_str("\n\n");
        }
        let (count, rest) = (self.faults.len(), self.faults.len().saturating_sub(MAX_SHOWN));
        let shown = if rest > 0 { format!(", {rest} of them not shown") } else { String::new() };
        out + &format!("{count} fault{}{shown}", if count == 1 { "" } else { "s" })
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigErrors {}

impl ConfigFault {
    fn body(&self, renderer: &Renderer) -> String {
        if self.excerpts.is_empty() {
            return format!("  = help: {}", self.remedy);
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
        renderer.render(&[group.element(Level::HELP.message(&self.remedy))])
    }
}

/// Stands between the files and what is shown of them.
struct Curtain<'a> {
    sources: &'a Sources,
    /// By file, sorted.
    hidden: Vec<Vec<Range<usize>>>,
    words: Vec<String>,
}

impl<'a> Curtain<'a> {
    fn new(sources: &'a Sources, findings: &Findings) -> Self {
        let mut hidden: Vec<Vec<Range<usize>>> = sources.iter().map(|_| Vec::new()).collect();
        for span in &findings.hidden {
            hidden[span.file].push(span.start..span.end);
        }
        for (file, source) in sources.iter().enumerate() {
            if findings.broken.contains(&file) {
                hidden[file].extend(secret::suspicious(source));
            }
        }
        Curtain { sources, hidden, words: secret::words(findings.secrets.iter().cloned()) }
    }

    fn show(&self, fault: Fault, with_excerpt: bool) -> ConfigFault {
        let text = |text: &str| clean(&secret::redact(text, &self.words));
        let (place, excerpts) = match fault.at {
            Where::File(name) => (clean(&name), Vec::new()),
            Where::Span(span) if !with_excerpt => (clean(&self.sources.place(span)), Vec::new()),
            Where::Span(span) => {
                let mut excerpts = vec![self.excerpt(span, None)];
                if let Some((also, label)) = fault.also {
                    let mut second = self.excerpt(also, Some(label));
                    if second.text == excerpts[0].text
                        && second.line == excerpts[0].line
                        && also.file == span.file
                    {
                        excerpts[0].marks.append(&mut second.marks);
                    } else {
                        excerpts.push(Excerpt { file: Some(clean(&self.sources.of(also).name)), ..second });
                    }
                }
                (clean(&self.sources.place(span)), excerpts)
            }
        };
        ConfigFault { place, message: text(&fault.message), remedy: text(&fault.remedy), excerpts }
    }

    /// The first line of a place.
    fn excerpt(&self, span: Span, label: Option<&'static str>) -> Excerpt {
        let source = self.sources.of(span);
        let line = source.line_around(span.start);
        let window = window(&source.text, &line, span.start);
        let shown = &source.text[window.clone()];
        let overlaps = |veil: &&Range<usize>| veil.start < window.end && veil.end > window.start;
        let mut veils: Vec<Range<usize>> = self.hidden[span.file].iter().filter(overlaps).cloned().collect();
        for word in &self.words {
            veils.extend(shown.match_indices(word).map(|(at, _)| {
                let start = window.start + at;
                start..start + word.len()
            }));
        }
        let (text, mark) = veil(&source.text, &window, veils, span.start..span.end.min(window.end));
        Excerpt { file: None, line: source.position(span.start).0, text, marks: vec![(mark, label)] }
    }
}

/// The part of a long line that is shown.
fn window(text: &str, line: &Range<usize>, at: usize) -> Range<usize> {
    let mut start = at.saturating_sub(MAX_LINE / 2).max(line.start);
    let mut end = (start + MAX_LINE).min(line.end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    start..end.max(start)
}

/// The text of `window` with every veiled part replaced by `***`, and where `mark` is in it.
fn veil(
    text: &str,
    window: &Range<usize>,
    mut veils: Vec<Range<usize>>,
    mark: Range<usize>,
) -> (String, Range<usize>) {
    veils.sort_by_key(|veil| (veil.start, veil.end));
    let (mut out, mut from, mut start, mut end) = (String::new(), window.start, None, None);
    let mut note = |out: &str, from: usize, to: usize, veiled: bool| {
        let place = |at: usize| if veiled { out.len() } else { out.len() + at.saturating_sub(from) };
        if start.is_none() && mark.start < to {
            start = Some(place(mark.start));
        }
        if end.is_none() && mark.end <= to {
            end = Some(if veiled && mark.end > from { out.len() + 3 } else { place(mark.end) });
        }
    };
    for veil in veils {
        let (first, last) = (veil.start.max(from), veil.end.min(window.end));
        if last <= from {
            continue;
        }
        note(&out, from, first, false);
        out.push_str(&text[from..first]);
        note(&out, first, last, true);
        if !out.ends_with("***") || first > from {
            out.push_str("***");
        }
        from = last;
    }
    note(&out, from, window.end, false);
    out.push_str(&text[from..window.end]);
    let start = start.unwrap_or(out.len());
    let end = end.unwrap_or(out.len()).clamp(start, out.len());
    (out, start..end)
}

/// Control characters made visible: a value must not steer the terminal it is shown on.
fn clean(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// The warnings as the configuration carries them.
pub(super) fn warnings(sources: &Sources, findings: Findings) -> Vec<Warning> {
    let words = secret::words(findings.secrets);
    let show = |(span, text): (Option<Span>, String)| Warning {
        place: span.map(|span| clean(&sources.place(span))),
        text: clean(&secret::redact(&text, &words)),
    };
    findings.warnings.into_iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veiled(text: &str, veils: &[(usize, usize)], mark: Range<usize>) -> (String, String) {
        let (out, mark) =
            veil(text, &(0..text.len()), veils.iter().map(|(from, to)| *from..*to).collect(), mark);
        let marked = out[mark].to_owned();
        (out, marked)
    }

    #[test]
    fn marks_follow_the_text_through_the_veil() {
        let text = "token: hunter2, port: 70000";
        assert_eq!(veiled(text, &[(7, 14)], 22..27), ("token: ***, port: 70000".into(), "70000".into()));
        assert_eq!(veiled(text, &[(7, 14)], 0..5), ("token: ***, port: 70000".into(), "token".into()));
        assert_eq!(veiled(text, &[(7, 14)], 7..14), ("token: ***, port: 70000".into(), "***".into()));
        assert_eq!(
            veiled(text, &[(7, 14), (9, 12)], 10..20),
            ("token: ***, port: 70000".into(), "***, port".into())
        );
        assert_eq!(veiled(text, &[], 27..27), (text.into(), String::new()));
    }

    #[test]
    fn a_value_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
    }
}
