//! What is shown of the files beside a fault: the line, the part that is meant, and nothing secret.

use std::ops::Range;

use super::context::{Fault, Findings, Where};
use super::fault::{Excerpt, Finding};
use super::secret;
use super::source::Sources;
use super::tree::Span;

/// So much of a line is shown, columns: what the place, a line number and dots leave of a hundred.
const COLUMNS: usize = 84;
/// So much of it stands before the place, columns.
const BEFORE: usize = 30;
/// Stands for the rest of a line.
const REST: &str = "...";

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
        let whole = source.line_around(span.start);
        // A comment has nothing to do with a fault, and may hold what was a value before.
        let comment = comment(&source.text[whole.clone()]).map(|at| whole.start + at);
        let line = whole.start..comment.filter(|at| *at > span.start).unwrap_or(whole.end);
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
        let (mut text, mut mark) = veil(&source.text, &window, veils, span.start..span.end.min(window.end));
        if window.start > line.start {
            text.insert_str(0, REST);
            mark = mark.start + REST.len()..mark.end + REST.len();
        }
        // What stands for a secret may be longer than the secret.
        let most = COLUMNS + if window.start > line.start { REST.len() } else { 0 };
        let mut used = 0;
        let too_far = text.char_indices().find(|(_, c)| {
            used += columns(*c);
            used > most
        });
        let too_far = too_far.map(|(at, _)| at);
        if let Some(at) = too_far {
            text.truncate(at);
            mark = mark.start.min(at)..mark.end.min(at);
        }
        if window.end < line.end || too_far.is_some() {
            text.push_str(REST);
        }
        // A parser may mean a byte within a character.
        let mark = text.floor_char_boundary(mark.start)..text.ceil_char_boundary(mark.end);
        Excerpt { file: None, line: source.position(span.start).0, text, marks: vec![(mark, label)] }
    }
}

/// Where the comment of a line begins, with the spaces before it: at a `#` after a space, outside of quotes (YAML 1.2.2
/// section 6.6).
fn comment(line: &str) -> Option<usize> {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return Some(line[..at].trim_end().len()),
            // Within a plain scalar a quote is a character like others; after its like it is the second of `''`.
            (None, '"' | '\'') if before.is_whitespace() || "[{,:-'".contains(before) => quote = Some(c),
            (Some('"'), '"') if before == '\\' => {}
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    None
}

/// The part of a long line that is shown: all that fits, with a little of what stands before the place.
fn window(text: &str, line: &Range<usize>, at: usize) -> Range<usize> {
    let all = &text[line.clone()];
    if all.chars().map(columns).sum::<usize>() <= COLUMNS {
        return line.clone();
    }
    let before = text[line.start..at.clamp(line.start, line.end)].char_indices().rev();
    let mut start = back(before, BEFORE).map_or(line.start, |at| line.start + at);
    if text[start..line.end].chars().map(columns).sum::<usize>() < COLUMNS {
        start = back(all.char_indices().rev(), COLUMNS).map_or(line.start, |at| line.start + at);
    }
    let mut used = 0;
    let end = text[start..line.end].char_indices().find(|(_, c)| {
        used += columns(*c);
        used > COLUMNS
    });
    start..end.map_or(line.end, |(at, _)| start + at)
}

/// Where the last so many columns begin; `None` when there are fewer.
fn back(characters: impl Iterator<Item = (usize, char)>, most: usize) -> Option<usize> {
    let (mut used, mut place) = (0, None);
    for (at, c) in characters {
        used += columns(c);
        if used > most {
            return place;
        }
        place = Some(at);
    }
    None
}

/// How wide a character is on a terminal, about: a tab is shown as four spaces, and what is not Latin, Greek or
/// Cyrillic may be two columns wide.
fn columns(c: char) -> usize {
    match c {
        '\t' => 4,
        '\0'..='\u{10ff}' => 1,
        _ => 2,
    }
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
    fn a_comment_begins_after_a_space_and_outside_of_quotes() {
        let cases = [
            ("a: b   # c", "a: b"),
            ("a: b#c", "a: b#c"),
            ("# all of it", ""),
            ("a: \"b # c\" # d", "a: \"b # c\""),
            ("a: 'it''s # so' # d", "a: 'it''s # so'"),
            ("a: it's # so", "a: it's"),
            ("é: [\"#\"] # ü", "é: [\"#\"]"),
        ];
        for (line, code) in cases {
            assert_eq!(&line[..comment(line).unwrap_or(line.len())], code, "{line}");
        }
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

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let shown = |text: &str, at: usize| text[window(text, &(0..text.len()), at)].to_owned();
        let short = "x".repeat(84);
        assert_eq!(shown(&short, 40), short);
        let long = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
        assert_eq!(shown(&long, 500), format!("{}HERE{}", "a".repeat(30), "b".repeat(50)));
        assert_eq!(shown(&long, 0), "a".repeat(84));
        assert_eq!(shown(&long, 1004), "b".repeat(84));
        let wide = "網".repeat(300);
        assert_eq!(shown(&wide, 450).chars().count(), 42);
    }
}
