//! `${VAR}`, `${VAR:-x}` and `${file:/run/secrets/x}` in values.
//!
//! Read once, from left to right; what comes out is not read again, so that no variable can smuggle in a
//! reference. `$${` is a literal `${`; any other `$` stands for itself.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;

use super::context::{Context, Fault};
use super::read::{Noted, Read};
use super::source::Sources;
use super::tree::{Node, Scalar, Span, Value};

/// A file that a value refers to may be this long, bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Resolves all references in all values below this one. Keys have none.
pub(super) fn resolve(cx: &Context<'_>, sources: &Sources, node: &mut Node) {
    let span = node.span;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| resolve(cx, sources, item)),
        Value::Map(entries) => entries.iter_mut().for_each(|entry| resolve(cx, sources, &mut entry.node)),
        Value::Scalar(scalar) if !scalar.is_referred() && scalar.text.contains("${") => {
            let Scalar { text, referred, .. } = scalar;
            let mut places = Places { raw: sources.slice(span), span, cursor: 0 };
            match fill(cx, &mut places, text) {
                Ok(filled) => (*text, *referred) = filled,
                Err(Noted) => node.value = Value::Lost,
            }
        }
        Value::Null | Value::Lost | Value::Scalar(_) => {}
    }
}

/// The text with its references replaced, and which parts they gave.
fn fill(cx: &Context<'_>, places: &mut Places<'_>, text: &str) -> Read<(String, Vec<Range<usize>>)> {
    let (mut out, mut rest, mut referred, mut result) = (String::new(), text, Vec::new(), Ok(()));
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &reference[2..];
            continue;
        }
        out.push_str(before);
        let Some(end) = reference.find('}') else {
            let fault = Fault::at(places.find(reference), "`${` without a `}`");
            cx.fault(fault.help("close it; for a literal `${` write `$${`"));
            return Err(Noted);
        };
        let (whole, after) = reference.split_at(end + 1);
        let at = places.find(whole);
        match value(cx, at, &whole[2..end]) {
            Ok(value) => {
                referred.push(out.len()..out.len() + value.len());
                out.push_str(&value);
            }
            Err((message, remedy)) => {
                cx.fault(Fault::at(at, message).help(remedy));
                result = Err(Noted);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    result.map(|()| (out, referred))
}

/// Finds references in the text as written, so that a fault marks the reference and not the whole value.
struct Places<'a> {
    raw: &'a str,
    span: Span,
    cursor: usize,
}

impl Places<'_> {
    fn find(&mut self, reference: &str) -> Span {
        let Some(at) = self.raw.get(self.cursor..).and_then(|rest| rest.find(reference)) else {
            return self.span;
        };
        let start = self.span.start + self.cursor + at;
        self.cursor += at + reference.len();
        Span::new(self.span.file, start, start + reference.len())
    }
}

/// What a reference stands for, or what is wrong with it and what to do.
fn value(cx: &Context<'_>, at: Span, reference: &str) -> Result<String, (String, String)> {
    if let Some(path) = reference.strip_prefix("file:") {
        return file(cx, at, path);
    }
    let (name, fallback) = match reference.split_once(":-") {
        Some((name, fallback)) => (name, Some(fallback)),
        None => (reference, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = "`${...}` holds no name of a variable".to_owned();
        let forms = "write `${NAME}`, `${NAME:-default}` or `${file:/path}`; for a literal `${` write `$${`";
        return Err((message, forms.into()));
    }
    match ((cx.env)(name), fallback) {
        // As in a shell: `:-` stands in for an empty variable, too.
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(fallback)) => Ok(fallback.to_owned()),
        (None, None) => {
            let remedy = format!("set {name}, or give it a default: `${{{name}:-value}}`");
            Err((format!("the environment variable {name} is not set"), remedy))
        }
    }
}

/// The content of a file without its last line break. Each file is read once.
fn file(cx: &Context<'_>, at: Span, path: &str) -> Result<String, (String, String)> {
    if path.is_empty() {
        return Err(("`${file:}` names no file".into(), "write `${file:/path}`".into()));
    }
    let mut files = cx.files.borrow_mut();
    let content = files.entry(path.to_owned()).or_insert_with(|| read(cx, at, path));
    content.clone().map_err(|why| {
        (format!("cannot take the value from the file {path}: {why}"), "mend the path or the file".into())
    })
}

fn read(cx: &Context<'_>, at: Span, path: &str) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("it is no plain file".into());
    }
    let may = match meta.permissions().mode() & 0o006 {
        0 => None,
        0o002 => Some("write"),
        0o004 => Some("read"),
        _ => Some("read and write"),
    };
    if let Some(may) = may {
        let warning = Fault::at(at, format!("everybody on this machine can {may} {path}"));
        cx.warn(warning.help(format!("chmod 640 {path}")));
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!("it is longer than {MAX_FILE} bytes"));
    }
    let end = text.trim_end_matches('\n').trim_end_matches('\r').len();
    text.truncate(end);
    Ok(text)
}
