//! `json:` of a body: places in a document and what must be there.

use serde_json::{Number, Value as Json};

use super::super::keys;
use super::super::read::{Item, Read};
use super::super::tree::Value;
use crate::probe::{Comparison, JsonTest, JsonWish};

/// A body is asked for at most so many things.
const MOST: usize = 64;

/// One mapping, or a list of them.
pub(super) fn wishes(item: Item<'_>) -> Read<Vec<JsonWish>> {
    let wishes = match item.node.value {
        Value::Map(_) => vec![wish(item)?],
        Value::Scalar(_) => {
            let remedy = "write {pointer: /status, equals: ok}, or a list of such";
            return Err(item.expected("a mapping or a list of them", remedy));
        }
        _ => item.list(wish)?,
    };
    match wishes.len() {
        0 => Err(item.fault("`json` asks for nothing", "write {pointer: /status, equals: ok}, or remove it")),
        1..=MOST => Ok(wishes),
        _ => Err(item.fault(format!("`json` asks for more than {MOST} things"), "ask for fewer")),
    }
}

fn wish(item: Item<'_>) -> Read<JsonWish> {
    let map = item.map(&keys::JSON)?;
    let pointer = map.need("pointer", pointer);
    let number = |key, comparison| {
        map.get(key, number).map(|read| read.map(|bound| JsonTest::Number(comparison, bound.into())))
    };
    let tests = [
        map.get("exists", Item::flag).map(|read| read.map(JsonTest::Exists)),
        map.get("equals", value).map(|read| read.map(JsonTest::Equals)),
        map.get("not", value).map(|read| read.map(JsonTest::Not)),
        number("above", Comparison::Above),
        number("below", Comparison::Below),
        number("at_least", Comparison::AtLeast),
        number("at_most", Comparison::AtMost),
        map.get("regex", Item::regex).map(|read| read.map(JsonTest::Regex)),
    ];
    let pointer = pointer?;
    let tests: Vec<JsonTest> = tests.into_iter().collect::<Read<Vec<_>>>()?.into_iter().flatten().collect();
    if tests.is_empty() {
        let remedy = "add one of: equals, not, above, below, at_least, at_most, regex, exists";
        return Err(map.fault("this says where to look and not what must be there", remedy));
    }
    if tests.len() > 1 && tests.iter().any(|test| matches!(test, JsonTest::Exists(false))) {
        let remedy = "keep `exists: false` alone, or remove it";
        return Err(map.fault("what does not exist cannot be anything else as well", remedy));
    }
    Ok(JsonWish { pointer, tests })
}

/// RFC 6901 section 3.
fn pointer(item: Item<'_>) -> Read<String> {
    let text = &item.scalar("a JSON Pointer")?.text;
    let remedy =
        "write a JSON Pointer (RFC 6901), like /status/database or /nodes/0; \"\" is the whole document";
    if !text.is_empty() && !text.starts_with('/') {
        return Err(item.fault(format!("pointer `{}` does not begin with `/`", item.shown()), remedy));
    }
    if text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
        let message = format!("pointer `{}` has a `~` that is neither `~0` nor `~1`", item.shown());
        return Err(item.fault(message, "write `~0` for `~` and `~1` for `/` within a name"));
    }
    Ok(text.clone())
}

/// Without quotes a number, `true`, `false` and `null` are what they look like; all else is text.
fn value(item: Item<'_>) -> Read<Json> {
    if matches!(item.node.value, Value::Null) && item.desk.sources.slice(item.node.span).trim() == "null" {
        return Ok(Json::Null);
    }
    let scalar = item.scalar("text, a number, true, false or null")?;
    Ok(match scalar.text.as_str() {
        "true" | "True" | "TRUE" if scalar.plain => true.into(),
        "false" | "False" | "FALSE" if scalar.plain => false.into(),
        text => match text.parse::<Number>() {
            Ok(number) if scalar.plain => number.into(),
            _ => text.into(),
        },
    })
}

fn number(item: Item<'_>) -> Read<Number> {
    let text = &item.scalar("a number")?.text;
    text.parse::<Number>().map_err(|_| {
        item.fault(
            format!("{} `{}` is no number", item.name, item.shown()),
            "write it in digits, like 5 or 0.25",
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::probe::{CheckKind, JsonTest};

    /// Without quotes YAML's numbers, booleans and null are those of JSON; with quotes they are text.
    #[test]
    fn values_have_the_types_that_are_written() {
        let kinds = [
            ("ok", "ok".into()),
            ("5", 5.into()),
            ("-0.5", serde_json::json!(-0.5)),
            ("18446744073709551615", u64::MAX.into()),
            ("true", true.into()),
            ("null", serde_json::Value::Null),
            ("'5'", "5".into()),
            ("\"true\"", "true".into()),
            ("\"\"", "".into()),
            ("1.2.3", "1.2.3".into()),
            ("2026-11-22", "2026-11-22".into()),
        ];
        for (written, wanted) in kinds {
            let body = format!("body: {{json: {{pointer: /a, equals: {written}}}}}");
            let text = Config::EXAMPLE.replace("body: {contains: ok}", &body);
            let config = Config::parse("failover.yaml", &text, &|_| None).unwrap_or_else(|e| panic!("{e}"));
            let CheckKind::Http(http) = &config.checks[&"web".into()].0.kind else { panic!() };
            let JsonTest::Equals(value) = &http.json[0].tests[0] else { panic!("{:?}", http.json) };
            assert_eq!(*value, wanted, "{written}");
        }
    }
}
