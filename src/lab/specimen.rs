//! An example of what a regular expression matches, so that a listener can say what a check waits for.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

/// No example is longer, bytes.
const LONGEST: usize = 4096;
/// What is taken from a class of characters, if it has one of them: the plainest first.
const PLAIN: [char; 6] = ['a', 'A', '0', ' ', '-', '\n'];

/// A short text that `regex` matches; `None` where none is found.
pub(super) fn specimen(regex: &Regex) -> Option<String> {
    let hir = regex_syntax::Parser::new().parse(regex.as_str()).ok()?;
    let mut text = String::new();
    speak(&hir, &mut text)?;
    // Looks (`\b`, an anchor in the middle) are not followed, so what came out is tried.
    regex.is_match(&text).then_some(text)
}

fn speak(hir: &Hir, text: &mut String) -> Option<()> {
    if text.len() > LONGEST {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => text.push(member(class)?),
        HirKind::Repetition(repetition) => {
            for _ in 0..repetition.min {
                speak(&repetition.sub, text)?;
            }
        }
        HirKind::Capture(capture) => speak(&capture.sub, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| speak(part, text))?,
        HirKind::Alternation(choices) => {
            let before = text.len();
            choices.iter().find_map(|choice| {
                text.truncate(before);
                speak(choice, text)
            })?;
        }
    }
    Some(())
}

fn member(class: &Class) -> Option<char> {
    let (first, has): (Option<char>, Box<dyn Fn(char) -> bool + '_>) = match class {
        Class::Unicode(class) => {
            let ranges = class.ranges();
            let has = move |c| ranges.iter().any(|range| (range.start()..=range.end()).contains(&c));
            (ranges.first().map(regex_syntax::hir::ClassUnicodeRange::start), Box::new(has))
        }
        Class::Bytes(class) => {
            let ranges = class.ranges();
            let has = move |c| {
                u8::try_from(c).is_ok_and(|b| ranges.iter().any(|r| (r.start()..=r.end()).contains(&b)))
            };
            (ranges.first().map(|range| char::from(range.start())), Box::new(has))
        }
    };
    PLAIN.into_iter().find(|c| has(*c)).or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_checks_usually_wait_for_can_be_said() {
        for pattern in [
            "^ok",
            "^SSH-2",
            r#""status":\s*"(ok|pass)""#,
            r"(?i)healthy",
            r"^HTTP/1\.[01] 200",
            r"version: \d+\.\d+\.\d+",
            r"\p{Greek}{2,5}",
            "",
            r"^220[ -].*ESMTP",
            r"[^a-z]x?",
        ] {
            let regex = Regex::new(pattern).unwrap();
            let text = specimen(&regex).unwrap_or_else(|| panic!("nothing for {pattern}"));
            assert!(regex.is_match(&text), "{pattern}: {text:?}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_not_said() {
        assert_eq!(specimen(&Regex::new(r"a\bb").unwrap()), None, "never matches");
        assert_eq!(specimen(&Regex::new("(a{100}){100}").unwrap()), None, "too long");
    }
}
