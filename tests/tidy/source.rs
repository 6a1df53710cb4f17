//! A Rust file as the rules look at it: code without comments and texts, and what of it is for tests only.

use std::path::Path;

/// One line of a file.
#[derive(Debug)]
pub(crate) struct Line {
    /// As it stands.
    pub(crate) raw: String,
    /// With comments and the insides of texts blanked out.
    pub(crate) code: String,
    /// Does it belong to an item under `#[cfg(test)]`, or under one of fuzzing?
    test: bool,
}

/// One Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root of the repository.
    pub(crate) path: String,
    pub(crate) lines: Vec<Line>,
    /// Is the whole file for tests?
    pub(crate) is_test: bool,
}

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Source {
        let code = blank(text);
        let test = test_lines(&code);
        let lines = text.lines().zip(code.lines()).enumerate().map(|(at, (raw, code))| Line {
            raw: raw.into(),
            code: code.into(),
            test: test.contains(&at),
        });
        let is_test =
            ["tests/", "testkit/", "benches/", "fuzz/"].iter().any(|folder| path.starts_with(folder))
                || path.contains("/tests/");
        Source { path: path.into(), lines: lines.collect(), is_test }
    }

    /// The room under `src/` it belongs to: `live` for `src/live/watch.rs`, `clock` for `src/clock.rs`.
    pub(crate) fn room(&self) -> Option<String> {
        let rest = self.path.strip_prefix("src/")?;
        Some(rest.split('/').next()?.trim_end_matches(".rs").to_owned())
    }

    /// The code that ships, with its line numbers.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let ships = |line: &Line| !self.is_test && !line.test;
        let lines = self.lines.iter().enumerate().filter(move |(_, line)| ships(line));
        lines.map(|(at, line)| (at + 1, line.code.as_str()))
    }

    /// The rooms that the shipped code names: after `crate::`, after our own name, and after as many `super::` as
    /// lead to the root.
    pub(crate) fn imports(&self) -> Vec<(usize, String)> {
        let up = "super::".repeat(self.depth());
        ["crate::", "failover::", &up].iter().flat_map(|root| self.paths_after(root)).collect()
    }

    /// The names that directly follow `root` in the shipped code; all of them where a group `{a, b::c}` follows.
    pub(crate) fn paths_after(&self, root: &str) -> Vec<(usize, String)> {
        let mut text = String::new();
        let mut starts = Vec::new();
        for (line, code) in self.shipped() {
            starts.push((text.len(), line));
            text.push_str(code);
            text.push('\n');
        }
        let line_of =
            |at: usize| starts.iter().rev().find(|(start, _)| *start <= at).map_or(0, |(_, line)| *line);
        let mut found = Vec::new();
        for (at, _) in text.match_indices(root) {
            let continues = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if !continues {
                let rest = &text[at + root.len()..];
                found.extend(
                    first_names(rest).into_iter().map(|(off, name)| (line_of(at + root.len() + off), name)),
                );
            }
        }
        found
    }

    /// The files that a `#[cfg(test)] mod name;` makes test files, without `.rs`.
    pub(crate) fn test_files(&self) -> Vec<String> {
        let path = Path::new(&self.path);
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new(""));
        let home = match stem.as_str() {
            "mod" | "lib" | "main" => folder.to_path_buf(),
            _ => folder.join(stem),
        };
        let named = self.lines.iter().filter(|line| line.test).filter_map(|line| {
            let declared = line.code.trim().trim_start_matches("pub(crate) ").strip_prefix("mod ")?;
            Some(home.join(declared.strip_suffix(';')?).to_string_lossy().into_owned())
        });
        named.collect()
    }

    /// How many `super::` lead from here to the root of the crate.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count() - 1;
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }
}

/// Does `word` stand in `code`, not as a part of a longer name and not as a lifetime?
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let after = &code[at + word.len()..];
        let open = !word.ends_with(part) || !after.starts_with(part);
        open && !code[..at].ends_with(|c| part(c) || c == '\'')
    })
}

/// The name at the start of `text`, or the first name of each member of the group there, with its place.
fn first_names(text: &str) -> Vec<(usize, String)> {
    let name_at = |at: usize| {
        let rest = &text[at..];
        let start = at + (rest.len() - rest.trim_start().len());
        let name: String = text[start..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (!name.is_empty()).then_some((start, name))
    };
    if !text.starts_with('{') {
        return name_at(0).into_iter().collect();
    }
    let mut found: Vec<_> = name_at(1).into_iter().collect();
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => found.extend(name_at(at + 1)),
            _ => {}
        }
    }
    found
}

/// The lines (from 0) of the items under `#[cfg(test)]`, in text without comments.
fn test_lines(code: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    // What is for fuzzing ships as little as a test.
    let marks = ["#[cfg(test)]", "#[cfg(any(test, feature ="];
    for (at, mark) in marks.into_iter().flat_map(|mark| code.match_indices(mark)) {
        let mut depth = 0;
        let mut end = code.len();
        for (off, c) in code[at + mark.len()..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 && matches!(c, '}' | ';') {
                end = at + mark.len() + off;
                break;
            }
        }
        let first = code[..at].matches('\n').count();
        lines.extend(first..=first + code[at..end].matches('\n').count());
    }
    lines
}

/// The text with comments and the insides of string and character literals replaced by blanks, line by line.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let continues = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !continues => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"..."`, `r#"..."#`, `br"..."`: no escapes, ends at the quote with as many `#` as it began with.
fn raw_string(text: &str) -> usize {
    let Some(after) = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r') else { return 0 };
    let hashes = after.len() - after.trim_start_matches('#').len();
    if !after[hashes..].starts_with('"') {
        return 0;
    }
    let begin = text.len() - after.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    text[begin..].find(&close).map_or(text.len(), |at| begin + at + close.len())
}

/// A character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(0, |at| 3 + at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}
