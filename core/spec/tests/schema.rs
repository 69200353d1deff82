//! Goal: the published JSON Schema is that of the types, and knows every key that the reference explains.
//! Method: it is made again and compared; `UPDATE=1` writes it. The reference is searched for each key.
#![cfg(feature = "schema")]

use qyv_spec::schema::manifest_schema;
use serde_json::Value;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/");

#[test]
fn the_published_schema_is_current() {
    let path = format!("{DOCS}qyv.schema.json");
    let schema = manifest_schema();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &schema).expect("a writable folder");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == schema, "docs/qyv.schema.json is not that of the types: write it with UPDATE=1");
}

#[test]
fn the_reference_explains_every_key() {
    let reference = std::fs::read_to_string(format!("{DOCS}manifest.md")).expect("docs/manifest.md");
    let schema: Value = serde_json::from_str(&manifest_schema()).expect("JSON");
    let mut keys = Vec::new();
    properties(&schema, &mut keys);
    assert!(keys.len() > 60, "{keys:?}");
    for key in keys {
        let explained = [format!("`{key}`"), format!(".{key}`"), format!("{key}:")];
        assert!(
            explained.iter().any(|spelling| reference.contains(spelling)),
            "docs/manifest.md lacks `{key}`"
        );
    }
}

#[test]
fn unknown_keys_are_wrong_in_the_schema_too() {
    let schema: Value = serde_json::from_str(&manifest_schema()).expect("JSON");
    assert_eq!(schema["additionalProperties"], Value::Bool(false));
    for (name, definition) in schema["$defs"].as_object().expect("definitions") {
        if definition.get("properties").is_some() {
            assert_eq!(definition["additionalProperties"], Value::Bool(false), "{name}");
        }
    }
    assert_eq!(schema["required"], serde_json::json!(["name", "entrypoint"]));
}

fn properties(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(keys)) = map.get("properties") {
                into.extend(keys.keys().cloned());
            }
            map.values().for_each(|value| properties(value, into));
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, into)),
        _ => {}
    }
}
