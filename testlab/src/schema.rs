// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! JSON lines against docs/schema/netstacklat.json.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../docs/schema/netstacklat.json");

static VALIDATORS: LazyLock<Vec<(Vec<Value>, Validator)>> = LazyLock::new(|| {
    let mut schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    only_known_fields(&mut schema);
    let definitions = schema["$defs"].clone();
    let lines = schema["anyOf"].as_array().expect("kinds of lines");
    let validators = lines.iter().map(|line| {
        let reference = line["$ref"].as_str().expect("a reference");
        let name = reference.strip_prefix("#/$defs/").expect("a definition");
        let kind = &definitions[name]["properties"]["kind"];
        let kinds = match &kind["enum"] {
            Value::Array(kinds) => kinds.clone(),
            _ => vec![kind["const"].clone()],
        };
        let schema = serde_json::json!({ "$ref": reference, "$defs": definitions });
        (kinds, jsonschema::validator_for(&schema).expect("a schema"))
    });
    validators.collect()
});

/// Users are told to ignore fields that they do not know, and the schema allows
/// them. But all that this version writes is in it.
fn only_known_fields(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("properties").is_some_and(Value::is_object) {
                fields.insert("additionalProperties".into(), false.into());
            }
            fields.values_mut().for_each(only_known_fields);
        }
        Value::Array(items) => items.iter_mut().for_each(only_known_fields),
        _ => {}
    }
}

/// The line is one that the schema describes, with no field beside.
///
/// # Panics
///
/// If it is not: says where it differs.
pub fn assert_valid(line: &str) {
    let line: Value = serde_json::from_str(line).expect("JSON");
    let kind = &line["kind"];
    let mut validators = VALIDATORS.iter();
    let (_, validator) = validators
        .find(|(kinds, _)| kinds.contains(kind))
        .unwrap_or_else(|| panic!("no line of kind {kind} in the schema"));
    let errors = validator.iter_errors(&line);
    let errors: Vec<_> = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}\nin {line}", errors.join("\n"));
}
