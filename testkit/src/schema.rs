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
    // To this reader `no` is a boolean, and no name of a channel; to the program and to editors (YAML 1.2) it is one.
    let Ok(document) = serde_yaml::from_str::<Value>(yaml) else { return };
    if let Some(error) = validator.iter_errors(&document).next() {
        panic!("it loads, and the schema refuses it: {}: {error}\n{yaml}", error.instance_path());
    }
}
