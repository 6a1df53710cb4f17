//! The files that were read: from a place in them to line, column and the lines to show.

use std::ops::Range;
use std::sync::Arc;

use super::tree::Span;

/// One file.
#[derive(Clone)]
pub(super) struct Source {
    /// Its name, as in messages.
    pub(super) name: String,
    /// Its text, without a byte order mark.
    pub(super) text: Arc<str>,
    /// Where its lines begin.
    lines: Vec<usize>,
}

/// All files, in the order in which they were read.
#[derive(Clone, Default)]
pub(super) struct Sources(Vec<Source>);

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Source { name: name.to_owned(), text: text.into(), lines: std::iter::once(0).chain(ends).collect() }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines[line - 1];
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count());
        (line, column + 1)
    }

    /// The bytes of the line that holds this byte, without the line break.
    pub(super) fn line_around(&self, at: usize) -> Range<usize> {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines[line - 1];
        let end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let end = end.max(start);
        start..end - usize::from(self.text[start..end].ends_with('\r'))
    }
}

impl Sources {
    /// Adds a file and returns its index.
    pub(super) fn add(&mut self, source: Source) -> usize {
        self.0.push(source);
        self.0.len() - 1
    }

    /// The file of a place.
    pub(super) fn of(&self, span: Span) -> &Source {
        &self.0[span.file]
    }

    /// A file by its index.
    pub(super) fn get(&self, index: usize) -> &Source {
        &self.0[index]
    }

    /// The index of a file by its name.
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|source| source.name == name)
    }

    /// All files.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// The text of a place, as written.
    pub(super) fn slice(&self, span: Span) -> &str {
        self.of(span).text.get(span.start..span.end).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_end_before_the_break() {
        let source = Source::new("a.yaml", "\u{feff}één: 1\r\nzwei: 2\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position("één: ".len()), (1, 6));
        assert_eq!(source.position("één: 1\r\n".len()), (2, 1));
        assert_eq!(&source.text[source.line_around(2)], "één: 1");
        assert_eq!(&source.text[source.line_around(source.text.len())], "");
    }
}
