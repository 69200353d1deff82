//! The description of the API, made from its table and its types.

use qyvol_protocol::api::Problem;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::table::{Content, Route, routes};

/// The document, OpenAPI 3.0.
pub(crate) fn document() -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let mut paths = Map::new();
    for route in routes() {
        let operation = operation(&route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation;
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "qyvold",
            "description": "The daemon's API over its Unix socket. Times are milliseconds since 1970.",
            "version": "1"
        },
        "paths": paths,
        "components": { "schemas": schemas }
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = route
        .query
        .iter()
        .map(|(name, kind)| json!({ "name": name, "in": "query", "schema": { "type": kind } }));
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let mut answer = json!({ "description": "Done" });
    if let Some(content) = content(route.answer, generator) {
        answer["content"] = content;
    }
    let problem = Problem::schema_name();
    generator.subschema_for::<Problem>();
    let mut operation = json!({
        "summary": route.summary,
        "responses": {
            "2XX": answer,
            "default": {
                "description": "Why not",
                "content": {
                    "application/json": { "schema": { "$ref": format!("#/components/schemas/{problem}") } }
                }
            }
        }
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(content) = content(route.request, generator) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn content(content: Content, generator: &mut SchemaGenerator) -> Option<Value> {
    match content {
        Content::None => None,
        Content::Json(schema) => Some(json!({ "application/json": { "schema": schema(generator) } })),
        Content::Other(kind, Some(schema)) => Some(json!({ kind: { "schema": schema(generator) } })),
        Content::Other(kind, None) => Some(json!({ kind: {} })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set to write the file anew instead of comparing.
    const BLESS: &str = "QYVOL_BLESS";

    #[test]
    fn the_published_description_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let mut text = serde_json::to_string_pretty(&document()).unwrap();
        text.push('\n');
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(published == text, "run this test once with {BLESS}=1 and look at the difference");
    }

    #[test]
    fn every_reference_leads_somewhere_and_no_request_is_listed_twice() {
        let document = document();
        let text = document.to_string();
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        let operations: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(operations, routes().len());
    }
}
