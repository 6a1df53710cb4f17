//! YAML that loads again: blocks for mappings, one line for a list of plain values.

use std::fmt::Write as _;

use super::Shown;

/// The document.
pub(super) fn yaml(shown: &Shown) -> String {
    match shown {
        Shown::Map(entries) if !entries.is_empty() => {
            let mut out = String::new();
            block(entries, 0, &mut out);
            out
        }
        other => inline(other) + "\n",
    }
}

fn block(entries: &[(String, Shown)], indent: usize, out: &mut String) {
    for (place, (key, value)) in entries.iter().enumerate() {
        // A list item's first key stands behind its dash.
        if place > 0 || !out.ends_with("- ") {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(&scalar(key));
        out.push(':');
        below(value, indent, out);
    }
}

fn below(value: &Shown, indent: usize, out: &mut String) {
    match value {
        Shown::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            block(entries, indent + 2, out);
        }
        Shown::List(items) if items.iter().any(|item| matches!(item, Shown::Map(_))) => {
            out.push('\n');
            for item in items {
                out.extend(std::iter::repeat_n(' ', indent + 2));
                out.push_str("- ");
                match item {
                    Shown::Map(entries) if !entries.is_empty() => block(entries, indent + 4, out),
                    other => out.extend([&inline(other), "\n"]),
                }
            }
        }
        other => out.extend([" ", &inline(other), "\n"]),
    }
}

fn inline(value: &Shown) -> String {
    match value {
        Shown::Flag(flag) => flag.to_string(),
        Shown::Number(number) => number.to_string(),
        Shown::Text(text) => scalar(text),
        Shown::Plain(text) => text.clone(),
        Shown::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Shown::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", scalar(key), inline(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Text, in quotes unless it is plainly text without them. What looks like a reference is none any more.
fn scalar(text: &str) -> String {
    let text = text.replace("${", "$${");
    if is_plain(&text) {
        return text;
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Not printable in YAML 1.2 (section 5.1), or a line break to some reader.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

/// Letters, digits and what never means anything within a word; not a word that means something else.
fn is_plain(text: &str) -> bool {
    const WORDS: &[&str] = &["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let decent = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '%');
    let first = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '.');
    // `10s` is plain, and `10` would be a number to somebody else.
    let number = text.parse::<f64>().is_ok();
    let starts = text.starts_with(first) || (text.starts_with(|c: char| c.is_ascii_digit()) && !number);
    starts
        && text.chars().all(decent)
        && !number
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && text != "."
}
