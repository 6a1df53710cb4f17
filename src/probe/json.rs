//! What a JSON body must hold. No I/O.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::body::Flow;
use super::search::excerpt;
use super::{Comparison, JsonTest, JsonWish, Step};
use crate::decision::Outcome;

/// Judges a body of which nothing or the end is missing (`flow`). The first wish that does not come true is told.
pub(super) fn judge(text: &[u8], flow: Flow, wishes: &[JsonWish]) -> Step<()> {
    // A byte order mark does not belong there, and may be ignored (RFC 8259 section 8.1).
    let bare = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let document: Value = match serde_json::from_slice(bare) {
        // A number may have lost its end without a trace; an object or a list has not.
        Ok(document) if flow == Flow::Whole || matches!(document, Value::Object(_) | Value::Array(_)) => {
            document
        }
        _ if flow == Flow::Full => {
            return Err(Outcome::Fail(format!(
                "the body is longer than {} bytes, and half of it is no JSON; raise `max_body`",
                text.len()
            )));
        }
        Ok(document) => document,
        Err(_) if text.is_empty() => return Err(Outcome::Fail("the body is empty, wanted JSON".to_owned())),
        Err(error) => {
            return Err(Outcome::Fail(format!(
                "the body is not JSON ({error}); it begins with {}",
                excerpt(text)
            )));
        }
    };
    wishes.iter().try_for_each(|wish| wish_comes_true(&document, wish))
}

fn wish_comes_true(document: &Value, wish: &JsonWish) -> Step<()> {
    let place = place(&wish.pointer);
    let found = document.pointer(&wish.pointer);
    for test in &wish.tests {
        let said = match (test, found) {
            (JsonTest::Exists(wanted), found) if *wanted == found.is_some() => continue,
            (JsonTest::Exists(_), Some(value)) => {
                format!("{place} is {}, wanted nothing there", shown(value))
            }
            (_, None) => format!("the JSON of the body has nothing at {place}, wanted {}", wanted(test)),
            (test, Some(value)) => match holds(test, value) {
                Some(true) => continue,
                Some(false) => format!("{place} is {}, wanted {}", shown(value), wanted(test)),
                None => format!(
                    "{place} is {}, which is no {}, wanted {}",
                    shown(value),
                    kind(test),
                    wanted(test)
                ),
            },
        };
        return Err(Outcome::Fail(said));
    }
    Ok(())
}

fn place(pointer: &str) -> String {
    if pointer.is_empty() { "the whole document".to_owned() } else { pointer.to_owned() }
}

/// `None` for a value of another kind than the test is for.
fn holds(test: &JsonTest, value: &Value) -> Option<bool> {
    match test {
        JsonTest::Exists(wanted) => Some(*wanted),
        JsonTest::Equals(wanted) => Some(same(value, wanted)),
        JsonTest::Not(unwanted) => Some(!same(value, unwanted)),
        JsonTest::Regex(regex) => value.as_str().map(|text| regex.is_match(text)),
        JsonTest::Number(comparison, bound) => {
            let (Value::Number(value), Value::Number(bound)) = (value, bound) else { return None };
            let order = compare(value, bound);
            Some(match comparison {
                Comparison::Above => order == Some(Ordering::Greater),
                Comparison::Below => order == Some(Ordering::Less),
                Comparison::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                Comparison::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            })
        }
    }
}

/// Numbers are the same when they are equal, however they are written: 1 and 1.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => compare(one, other) == Some(Ordering::Equal),
        _ => one == other,
    }
}

/// Whole numbers up to 64 bits exactly, others as the nearest that 64-bit floating point has.
fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// A value for a message: one line, bounded. What is in an object or a list is not told.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => excerpt(text.as_bytes()),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn wanted(test: &JsonTest) -> String {
    match test {
        JsonTest::Equals(value) => shown(value),
        JsonTest::Not(value) => format!("anything but {}", shown(value)),
        JsonTest::Number(comparison, bound) => {
            let word = match comparison {
                Comparison::Above => "above",
                Comparison::Below => "below",
                Comparison::AtLeast => "at least",
                Comparison::AtMost => "at most",
            };
            format!("{word} {}", shown(bound))
        }
        JsonTest::Regex(regex) => format!("a match of /{regex}/"),
        JsonTest::Exists(true) => "something there".to_owned(),
        JsonTest::Exists(false) => "nothing there".to_owned(),
    }
}

fn kind(test: &JsonTest) -> &'static str {
    if matches!(test, JsonTest::Regex(_)) { "text" } else { "number" }
}

#[cfg(test)]
mod tests {
    use regex::Regex;
    use serde_json::json;

    use super::*;

    const BODY: &str = r#"{"status":"ok","n":3,"big":18446744073709551615,"f":0.1,"a":[{"b~/c":null}],"":1}"#;

    fn ask(text: &str, flow: Flow, pointer: &str, test: JsonTest) -> Result<(), String> {
        let wish = JsonWish { pointer: pointer.into(), tests: vec![test] };
        judge(text.as_bytes(), flow, &[wish]).map_err(|outcome| match outcome {
            Outcome::Fail(reason) => reason,
            other => panic!("{other:?}"),
        })
    }

    fn of(pointer: &str, test: JsonTest) -> Result<(), String> {
        ask(BODY, Flow::Whole, pointer, test)
    }

    fn number(comparison: Comparison, bound: Value) -> JsonTest {
        JsonTest::Number(comparison, bound)
    }

    #[test]
    fn what_is_as_wanted_passes() {
        use Comparison::{Above, AtLeast, AtMost, Below};
        use JsonTest::{Equals, Exists, Not};
        let fine = [
            ("/status", Equals(json!("ok"))),
            ("/status", Not(json!("down"))),
            ("/n", Equals(json!(3.0))),
            ("/n", number(AtLeast, json!(3))),
            ("/n", number(AtMost, json!(3))),
            ("/n", number(Above, json!(2.999))),
            ("/n", number(Below, json!(4))),
            ("/big", number(Above, json!(18_446_744_073_709_551_614u64))),
            ("/big", number(Above, json!(-1))),
            ("/f", Equals(json!(0.1))),
            ("/a/0/b~0~1c", Exists(true)),
            ("/a/0/b~0~1c", Equals(Value::Null)),
            ("/a/1", Exists(false)),
            ("/a/00", Exists(false)),
            ("/", Equals(json!(1))),
            ("", Exists(true)),
            ("/status", JsonTest::Regex(Regex::new("^o").unwrap())),
        ];
        for (pointer, test) in fine {
            assert_eq!(of(pointer, test.clone()), Ok(()), "{pointer} {test:?}");
        }
    }

    #[test]
    fn what_is_not_says_what_is_there_and_what_was_wanted() {
        use Comparison::{Above, Below};
        use JsonTest::{Equals, Exists, Not};
        let wrong = [
            ("/status", Equals(json!("fine")), r#"/status is "ok", wanted "fine""#),
            ("/status", Not(json!("ok")), r#"/status is "ok", wanted anything but "ok""#),
            ("/n", Equals(json!("3")), r#"/n is 3, wanted "3""#),
            ("/n", number(Above, json!(3)), "/n is 3, wanted above 3"),
            ("/status", number(Below, json!(3)), r#"/status is "ok", which is no number, wanted below 3"#),
            (
                "/n",
                JsonTest::Regex(Regex::new("3").unwrap()),
                "/n is 3, which is no text, wanted a match of /3/",
            ),
            ("/none", Equals(json!(true)), "the JSON of the body has nothing at /none, wanted true"),
            ("/none", Not(json!(1)), "the JSON of the body has nothing at /none, wanted anything but 1"),
            ("/none", Exists(true), "the JSON of the body has nothing at /none, wanted something there"),
            ("/n", Exists(false), "/n is 3, wanted nothing there"),
            ("/a", Equals(json!(1)), "/a is a list of 1, wanted 1"),
            ("", Equals(json!(1)), "the whole document is an object, wanted 1"),
            (
                "/big",
                Equals(json!(18_446_744_073_709_551_614u64)),
                "/big is 18446744073709551615, wanted 18446744073709551614",
            ),
        ];
        for (pointer, test, said) in wrong {
            assert_eq!(of(pointer, test), Err(said.to_owned()));
        }
    }

    #[test]
    fn what_is_no_whole_json_is_told_apart() {
        let there = || JsonTest::Exists(true);
        let said = |text: &str, flow| ask(text, flow, "", there()).unwrap_err();
        assert_eq!(said("", Flow::Whole), "the body is empty, wanted JSON");
        let html = said("<html>\r\n", Flow::Whole);
        assert!(html.starts_with("the body is not JSON (expected value at line 1 column 1)"), "{html}");
        assert!(html.ends_with(r#"it begins with "<html>\r\n""#), "{html}");
        assert!(said(r#"{"a":1} x"#, Flow::Whole).starts_with("the body is not JSON (trailing"));
        assert!(said(&"[".repeat(1000), Flow::Whole).starts_with("the body is not JSON (recursion limit"));
        let cut = "the body is longer than 6 bytes, and half of it is no JSON; raise `max_body`";
        assert_eq!(said(r#"{"a":1"#, Flow::Full), cut);
        assert_eq!(said("123456", Flow::Full), cut, "it may go on");
        assert_eq!(ask(r#"{"a":1}"#, Flow::Full, "/a", there()), Ok(()), "whole, and then something");
        assert_eq!(ask("\u{feff}{}", Flow::Whole, "", there()), Ok(()));
    }
}
