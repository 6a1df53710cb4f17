//! A JSON Schema of the configuration, made of the very tables that the readers use: for editors and for tests.
//!
//! It is never stricter than the readers. What it cannot say (a timeout that is longer than the interval, a name that
//! is not defined) `failover validate` says.

use serde_json::{Map, Value, json};

use super::keys::{self, Form, Harmless, Key, Section};
use super::model::Config;

/// Where `$schema` points.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Its name. Nothing is fetched from there.
const ID: &str = "urn:failover:configuration";
/// A value of any form may be a reference instead, or hold one.
const REFERENCE: &str = r"\$\{";
/// How an absolute URL begins.
const HTTP: &str = "^[Hh][Tt][Tt][Pp][Ss]?://";

impl Config {
    /// A JSON Schema (draft 2020-12) that every file which loads is valid against.
    pub fn schema() -> Value {
        let defs: Map<String, Value> =
            keys::all().into_iter().map(|section| (id(section), object(section))).collect();
        json!({
            "$schema": DIALECT,
            "$id": format!("{ID}:{}", env!("CARGO_PKG_VERSION")),
            "title": "Configuration of failover",
            "description": "failover.yaml, or one of the files of a folder that are read as one. Values may hold ${VAR}, \
                            ${VAR:-default} and ${file:/path}; `failover validate` says what a schema cannot.",
            "$ref": pointer(&keys::ROOT),
            "$defs": defs,
        })
    }
}

/// The name of a section's definition: "an http check" -> `http_check`.
fn id(section: &Section) -> String {
    let words = section.what.split([' ', '`', '{', '}', ':']).filter(|word| !word.is_empty());
    words.filter(|word| !matches!(*word, "a" | "an" | "the")).collect::<Vec<_>>().join("_")
}

fn pointer(section: &Section) -> String {
    format!("#/$defs/{}", id(section))
}

fn object(section: &Section) -> Value {
    let mut properties: Map<String, Value> =
        section.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    for (name, harmless) in section.later {
        properties.insert((*name).to_owned(), later(*harmless));
    }
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    // A section without a value is an empty one.
    let kind = if required.is_empty() { json!(["object", "null"]) } else { json!("object") };
    json!({
        "type": kind,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut schema = value(&key.form);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".into(), key.doc.into());
        if let Some(default) = key.default {
            schema.insert("default".into(), literal(&key.form, default));
        }
        if let Some(example) = example(&key.form) {
            schema.insert("examples".into(), json!([example]));
        }
    }
    schema
}

/// A default as a value of this form.
fn literal(form: &Form, default: &str) -> Value {
    match form {
        Form::Flag => (default == "true").into(),
        Form::Port | Form::Number(..) => default.parse::<u32>().map_or_else(|_| default.into(), Value::from),
        Form::Map(_) => json!({}),
        Form::OneOrMore(form) => json!([literal(form, default)]),
        _ => default.into(),
    }
}

/// What a value of this form looks like, where the words above do not say it.
fn example(form: &Form) -> Option<Value> {
    Some(match form {
        Form::Secret => "${file:/run/secrets/failover}".into(),
        Form::SecretUrl => "${CHAT_WEBHOOK}".into(),
        Form::Url => "http://127.0.0.1:8081".into(),
        Form::Regex => "^ok".into(),
        Form::Domain => "www.example.com".into(),
        Form::Address => "192.0.2.1".into(),
        Form::SocketAddress => "192.0.2.1:53".into(),
        Form::Duration => "10s".into(),
        Form::Size => "64KiB".into(),
        Form::Percent => "10%".into(),
        Form::Status => "200-299".into(),
        Form::List(form) | Form::OneOrMore(form) => json!([example(form)?]),
        _ => return None,
    })
}

/// A key of a later version may be there as long as it asks for nothing.
fn later(harmless: Harmless) -> Value {
    let neutral = match harmless {
        Harmless::Never => json!({"type": "null"}),
        Harmless::False => json!({"enum": [false, "false", null]}),
        Harmless::Empty => {
            json!({"anyOf": [{"maxItems": 0, "type": "array"}, {"maxProperties": 0, "type": ["object", "null"]}]})
        }
        Harmless::Word(word) => json!({"enum": [word, null]}),
    };
    let Value::Object(mut schema) = neutral else { return neutral };
    schema.insert("description".into(), "Not in this version yet".into());
    schema.into()
}

fn value(form: &Form) -> Value {
    match form {
        Form::Text | Form::Name | Form::Path | Form::Domain | Form::Regex => {
            json!({"type": ["string", "number"]})
        }
        Form::Secret => write_only(json!({"type": ["string", "number"]})),
        Form::Address => json!({"type": "string"}),
        Form::Url => text(HTTP),
        Form::SecretUrl => write_only(text(HTTP)),
        Form::SocketAddress => text(":[0-9]+$"),
        Form::Duration => text("[0-9]"),
        Form::Percent => text(r"^\s*\+?[0-9]+\s*%\s*$"),
        Form::Flag => either([json!({"type": "boolean"}), text("^(true|True|TRUE|false|False|FALSE)$")]),
        Form::Decimal => either([json!({"type": "number"}), text("^-?[0-9.]+([eE][-+]?[0-9]+)?$")]),
        Form::Scalar => json!({"type": ["string", "number", "boolean", "null"]}),
        Form::Port => number(1, 65535),
        Form::Number(least, most) => number(*least, *most),
        Form::Size => {
            either([json!({"type": "integer", "minimum": 1}), text(r"^\s*[0-9]+\s*(B|kB|KiB|MB|MiB)?\s*$")])
        }
        Form::Status => either([
            json!({"type": "integer", "minimum": 100, "maximum": 599}),
            text(r"^\s*[1-5][0-9]{2}\s*(-\s*[1-5][0-9]{2}\s*)?$"),
        ]),
        Form::Choice(words) => either([json!({"enum": words}), text(REFERENCE)]),
        Form::Map(section) => json!({"$ref": pointer(section)}),
        Form::Typed(kinds) => {
            json!({"anyOf": kinds.iter().map(|(kind, section)| typed(kind, section)).collect::<Vec<_>>()})
        }
        Form::Named(form) => json!({"type": ["object", "null"], "additionalProperties": value(form)}),
        Form::List(form) => json!({"type": ["array", "null"], "items": value(form)}),
        Form::OneOrMore(form) => {
            let one = value(form);
            either([one.clone(), json!({"type": ["array", "null"], "items": one})])
        }
        Form::Either(forms) => either(forms.iter().map(value)),
    }
}

fn typed(kind: &str, section: &Section) -> Value {
    let this = either([json!({"const": kind}), text(REFERENCE)]);
    json!({"allOf": [{"$ref": pointer(section)}, {"properties": {"type": this}}]})
}

/// A secret: given to the program, never got back from it (JSON Schema Validation 2020-12, section 9.4).
fn write_only(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("writeOnly".into(), true.into());
    }
    schema
}

fn either(schemas: impl IntoIterator<Item = Value>) -> Value {
    json!({"anyOf": schemas.into_iter().collect::<Vec<_>>()})
}

/// Text of this pattern, or text that holds a reference.
fn text(pattern: &str) -> Value {
    let pattern = if pattern == REFERENCE { pattern.to_owned() } else { format!("{pattern}|{REFERENCE}") };
    json!({"type": "string", "pattern": pattern})
}

/// A number in digits, in quotes or not.
fn number(least: u32, most: u32) -> Value {
    either([json!({"type": "integer", "minimum": least, "maximum": most}), text(r"^\+?[0-9]+$")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_a_definition_of_its_own() {
        let schema = Config::schema();
        let defs = schema["$defs"].as_object().expect("definitions");
        assert_eq!(defs.len(), keys::all().len(), "two sections share a name");
        assert_eq!(schema["$ref"], "#/$defs/configuration");
        assert_eq!(defs["http_check"]["properties"]["port"]["anyOf"][0]["maximum"], 65535);
        assert!(defs["http_check"]["properties"]["path"]["description"].is_string());
    }

    #[test]
    fn a_secret_is_write_only() {
        let schema = Config::schema();
        let defs = &schema["$defs"];
        assert_eq!(defs["TSIG_key"]["properties"]["secret"]["writeOnly"], true);
        assert_eq!(defs["webhook_channel"]["properties"]["url"]["writeOnly"], true);
        assert_eq!(defs["webhook_channel"]["properties"]["secrets"]["anyOf"][0]["writeOnly"], true);
        assert_eq!(defs["http_check"]["properties"]["headers"]["additionalProperties"]["writeOnly"], true);
        assert!(defs["http_check"]["properties"]["path"]["writeOnly"].is_null());
    }
}
