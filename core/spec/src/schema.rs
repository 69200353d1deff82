//! The JSON Schema of the manifest, for editors.
//!
//! It knows each key, its type and its words. What text means inside (sizes, paths, addresses) and what fits together is
//! the matter of [`Manifest::from_yaml`](crate::Manifest) and its messages.

use alloc::string::String;

use serde_json::{Map, Value};

use crate::Manifest;

/// The schema as JSON text, with a line break at its end. The same text for the same types.
///
/// # Panics
///
/// Never: a schema is JSON.
#[must_use]
pub fn manifest_schema() -> String {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let mut schema = settings.into_generator().into_root_schema_for::<Manifest>();
    schema.insert("title".into(), "Qyvol manifest (.qyv)".into());
    // Through a sorted tree: the order of keys in a `Value` depends on features of other crates.
    let sorted = sort(without_null(schema.to_value()));
    let mut text = serde_json::to_string_pretty(&sorted).unwrap_or_default();
    text.push('\n');
    text
}

/// Takes back that a key which may be left out may also be `null`: a key with nothing after it is a mistake.
fn without_null(value: Value) -> Value {
    let null = |value: &Value| *value == "null" || value.get("type").is_some_and(|kind| kind == "null");
    match value {
        Value::Array(items) => items.into_iter().filter(|item| !null(item)).map(without_null).collect(),
        Value::Object(map) => {
            let mut map: Map<String, Value> = map.into_iter().filter(|(key, _)| key != "default").collect();
            for key in ["type", "anyOf"] {
                let Some(Value::Array(items)) = map.get_mut(key) else { continue };
                items.retain(|item| !null(item));
                let [only] = items.as_slice() else { continue };
                let only = only.clone();
                map.remove(key);
                match only {
                    Value::Object(inner) => map.extend(inner),
                    word => map.extend([(key.to_owned(), word)]),
                }
            }
            map.into_iter().map(|(key, item)| (key, without_null(item))).collect()
        }
        plain => plain,
    }
}

fn sort(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sort).collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, item)| (key, sort(item))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        plain => plain,
    }
}
