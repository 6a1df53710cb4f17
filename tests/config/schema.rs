//! The schema against an independent validator: whatever loads is valid, and what a schema can see is refused.

use std::path::Path;
use std::sync::LazyLock;

use failover::config::Config;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{SMALL, bad_files, parse};

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema = Config::schema();
    assert!(jsonschema::meta::is_valid(&schema), "the schema is no schema");
    jsonschema::validator_for(&schema).expect("a schema")
});

/// The document as the YAML language server reads it; `None` where it is not YAML to that reader.
fn document(text: &str) -> Option<Value> {
    serde_yaml::from_str::<Value>(text).ok()
}

/// What the validator has against it.
fn faults(text: &str) -> Vec<String> {
    let document = document(text).unwrap_or_else(|| panic!("no YAML:\n{text}"));
    VALIDATOR.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Holds that a text which loads is valid. For other tests, too.
pub(crate) fn is_no_stricter_than_the_readers(text: &str) {
    if let Some(document) = document(text)
        && let Some(error) = VALIDATOR.iter_errors(&document).next()
    {
        panic!("it loads, and the schema refuses it: {}: {error}\n{text}", error.instance_path());
    }
}

/// The blocks of a document that are configurations: those that begin with a section.
fn snippets(path: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("in a test");
    let sections = ["agent:", "api:", "checks:", "targets:", "providers:", "records:", "notify:"];
    let blocks =
        text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().expect("in a test").to_owned());
    blocks.filter(|block| sections.iter().any(|section| block.starts_with(section))).collect()
}

#[test]
fn the_example_and_every_configuration_of_the_documents_are_valid() {
    assert_eq!(faults(Config::EXAMPLE), [""; 0]);
    assert_eq!(faults(SMALL), [""; 0]);
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).expect("in a test") {
        let name = entry.expect("in a test").file_name().into_string().expect("in a test");
        if Path::new(&name).extension().is_none_or(|end| end != "md") {
            continue;
        }
        for snippet in snippets(&format!("docs/{name}")) {
            count += 1;
            assert_eq!(faults(&snippet), [""; 0], "docs/{name}:\n{snippet}");
        }
    }
    let readme = snippets("README.md");
    assert!(!readme.is_empty() && count >= 4, "{count} configurations in the documents");
    for snippet in readme {
        assert_eq!(faults(&snippet), [""; 0], "README.md:\n{snippet}");
    }
}

/// The comments of the example are valid, too, and so is the effective configuration with every default.
#[test]
fn what_is_shown_is_valid() {
    for defaults in [false, true] {
        let shown = Config::show_text("x", Config::EXAMPLE, &|_| None, defaults).expect("in a test");
        assert_eq!(faults(&shown.yaml()), [""; 0]);
        assert!(VALIDATOR.is_valid(&shown.json()), "{}", shown.json());
    }
}

/// Forms of values that load.
#[test]
fn every_form_of_a_value_that_loads_is_valid() {
    for (from, to) in [
        ("port: 80", "port: \"80\""),
        ("port: 80", "port: \"${PORT}\""),
        ("port: 80", "port: +80"),
        ("{port: 80}", "{port: 80, expect: 220, send: 1}"),
        ("{port: 80}", "{port: 80, expect: {regex: 220}}"),
        ("{tcp: {port: 80}}", "{tcp: {port: 80}, interval: 00:00:30, jitter: 5 %, fall: \"2\"}"),
        ("{tcp: {port: 80}}", "{tcp: {port: 80}, interval: 1m 30s, timeout: PT2S, fast_interval: 1.5s}"),
        ("{tcp: {port: 80}}", "{http: {tls: \"false\", status: 200, max_body: 1000, headers: {A: 1}}}"),
        (
            "{tcp: {port: 80}}",
            "{http: {tls: True, status: [\"200 - 299\", 404], max_body: 64 KiB, host: a.example}}",
        ),
        ("{tcp: {port: 80}}", "{http: , tripwire: false}"),
        ("{tcp: {port: 80}}", "&c {tcp: {port: 80}}"),
        ("targets: [a, b]", "targets: [[a], b], adopt: , nameservers: \"192.0.2.53:53\""),
        ("targets: [a, b]", "targets: a, ttl: \"60\", failback: , serve: all, coordination: none"),
        ("agent: {", "api:\nnotify:\nreceivers: {}\nagent: {id: 7, state: 1.5, "),
        ("{zone: {type: mock}}", "{zone: {type: \"${TYPE}\", file: 7}}"),
        (
            "{zone: {type: mock}}",
            "{zone: {type: mock}, b: {type: rfc2136, server: \"192.0.2.1:53\", tsig: ~}}",
        ),
    ] {
        let text = SMALL.replacen(from, to, 1);
        let env = |name: &str| Some(if name == "PORT" { "80" } else { "mock" }.to_owned());
        match Config::parse("failover.yaml", &text, &env) {
            Ok(_) => is_no_stricter_than_the_readers(&text),
            // `tsig: ~` asks for a key without a name.
            Err(errors) => assert!(to.contains("tsig: ~"), "{errors}"),
        }
    }
}

/// Of the bad files that are YAML, the schema refuses those whose fault is in the form of a value or a key.
#[test]
fn the_schema_refuses_what_it_can_see() {
    let (mut yaml, mut refused, mut passed) = (0, 0, Vec::new());
    for (file, text, _) in bad_files::all() {
        let Some(document) = document(&text) else { continue };
        yaml += 1;
        if VALIDATOR.is_valid(&document) {
            passed.push(file.file_stem().expect("in a test").to_str().expect("in a test").to_owned());
        } else {
            refused += 1;
        }
    }
    assert!(yaml >= 90, "only {yaml} bad files are YAML");
    assert!(refused >= 60, "only {refused} of {yaml} bad files are refused; these pass: {passed:?}");
}

/// What an editor shows: every key has a line for people, and most have a default or an example.
#[test]
fn an_editor_has_something_to_show() {
    let schema = Config::schema();
    assert!(schema["$id"].as_str().expect("in a test").starts_with("urn:failover:configuration:"));
    assert!(schema["title"].is_string() && schema["description"].is_string());
    let (mut keys, mut shown) = (0, 0);
    for (name, section) in schema["$defs"].as_object().expect("in a test") {
        assert_eq!(section["additionalProperties"], false, "{name}");
        for (key, property) in section["properties"].as_object().expect("in a test") {
            keys += 1;
            assert!(property["description"].is_string(), "{name}.{key}");
            shown += usize::from(property.get("default").is_some() || property.get("examples").is_some());
        }
    }
    assert!(shown * 4 > keys, "{shown} of {keys}");
    assert_eq!(schema["$defs"]["check"]["properties"]["interval"]["default"], "10s");
    assert_eq!(schema["$defs"]["http_check"]["properties"]["status"]["default"], json!(["200-299"]));
    assert!(parse("checks: {a: {tcp: {port: 1}}}").is_ok());
}
