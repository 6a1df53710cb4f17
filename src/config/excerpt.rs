//! What is shown of the files beside a fault: the line, the part that is meant, and nothing secret.

use std::ops::Range;

use super::context::{Fault, Findings, Where};
use super::fault::{Excerpt, Finding};
use super::secret;
use super::source::Sources;
use super::tree::Span;

/// An excerpt is taken from at most this much of a line, bytes; the renderer fits it into the columns there are.
const MAX_LINE: usize = 400;

/// Stands between the files and what is shown of them.
pub(super) struct Curtain<'a> {
    sources: &'a Sources,
    /// By file, sorted.
    hidden: Vec<Vec<Range<usize>>>,
    words: Vec<String>,
}

impl<'a> Curtain<'a> {
    pub(super) fn new(sources: &'a Sources, findings: &Findings) -> Self {
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

    /// Takes out of a finding what must not be shown.
    pub(super) fn show(&self, fault: Fault, with_excerpt: bool) -> Finding {
        let text = |text: &str| clean(&secret::redact(text, &self.words));
        let (message, remedy) = (text(&fault.message), text(&fault.remedy));
        let span = match fault.at {
            Where::File(name) => return Finding::of_file(&name, message, remedy),
            Where::Span(span) => span,
        };
        let source = self.sources.of(span);
        let (line, column) = source.position(span.start);
        let excerpts = if with_excerpt { self.excerpts(span, fault.also) } else { Vec::new() };
        Finding {
            line: Some(line),
            column: Some(column),
            excerpts,
            ..Finding::of_file(&source.name, message, remedy)
        }
    }

    fn excerpts(&self, span: Span, also: Option<(Span, &'static str)>) -> Vec<Excerpt> {
        let mut excerpts = vec![self.excerpt(span, None)];
        let Some((also, label)) = also else { return excerpts };
        let mut second = self.excerpt(also, Some(label));
        let first = &mut excerpts[0];
        if second.text == first.text && second.line == first.line && also.file == span.file {
            first.marks.append(&mut second.marks);
        } else {
            excerpts.push(Excerpt { file: Some(clean(&self.sources.of(also).name)), ..second });
        }
        excerpts
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
pub(super) fn clean(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
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
