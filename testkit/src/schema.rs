//! A configuration against a JSON Schema, judged by a validator that has nothing to do with the program.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

/// Holds that `yaml`, which loads, is valid by the schema that `schema` makes. The first schema of a process is used for all.
///
/// # Panics
/// When it is not, with what the validator says.
pub fn assert_valid(schema: impl FnOnce() -> Value, yaml: &str) {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| jsonschema::validator_for(&schema()).expect("a schema"));
    // Booleans of YAML 1.2, as editors have them: a channel may be called `no`.
    let options = serde_yaml::options! { strict_booleans: true };
    let document: Value = serde_yaml::from_str_with_options(yaml, options).expect("what loads is YAML");
    if let Some(error) = validator.iter_errors(&document).next() {
        panic!("it loads, and the schema refuses it: {}: {error}\n{yaml}", error.instance_path());
    }
}
