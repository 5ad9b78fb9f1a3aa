//! The APIs of the catalog: an operation for each of their URLs, with the schema, example and label of their folder.

use job_core::catalog::Api;
use job_core::route::{Pattern, Target};
use serde_json::{Map, Value, json};
use utoipa::openapi::path::OperationBuilder;

use super::Offered;
use super::operations::submission;

/// Adds an API to a description.
pub(super) fn describe(api: &Api, offered: &Offered<'_>, document: &mut Value) {
    let name = api.name.as_str();
    let body = match &api.schema {
        None => json!({}),
        Some(schema) => {
            let place = place(api);
            document["components"]["schemas"][component(api)] = moved(schema, &place);
            json!({ "$ref": place })
        }
    };
    let general = format!("/api/v1/jobs/{name}");
    let general = Pattern::parse(&general).expect("a name is a segment");
    let own = offered.routes.iter().filter(|route| route.key == name);
    let own = own.filter(|route| route.target == Target::Submit(api.name.clone()));
    let own = own.map(|route| (route.method.as_str(), &route.pattern));
    for (number, (method, pattern)) in std::iter::once(("POST", &general)).chain(own).enumerate() {
        let parameters: Vec<_> = pattern.parameters().map(str::to_owned).collect();
        let body = match (parameters.is_empty(), &api.schema) {
            (true, _) | (_, None) => body.clone(),
            (false, Some(schema)) => without_members(moved(schema, &place(api)), &parameters),
        };
        // A name may end in a number, but none begins the word before it.
        let id = match number {
            0 => format!("submit_{name}"),
            _ => format!("submit{}_{name}", number + 1),
        };
        let operation = operation(api, offered, &id, &parameters, &body);
        let paths = document["paths"].as_object_mut().expect("there are paths");
        let item = paths.entry(pattern.to_string()).or_insert(json!({}));
        item[method.to_lowercase()] = operation;
    }
}

/// The name of the schema of an API's bodies.
fn component(api: &Api) -> String {
    format!("request_{}", api.name)
}

/// Where that stands.
fn place(api: &Api) -> String {
    format!("#/components/schemas/{}", component(api))
}

fn operation(
    api: &Api,
    offered: &Offered<'_>,
    id: &str,
    parameters: &[String],
    body: &Value,
) -> Value {
    let common = submission(OperationBuilder::new().tag("apis"), offered);
    let label = format!("{} / {}", api.label.ja, api.label.en);
    let mut operation = serde_json::to_value(
        common
            .operation_id(Some(id))
            .summary(Some(label))
            .description(api.description.clone())
            .build(),
    )
    .expect("a description always serializes");
    for parameter in parameters {
        let schema = api.schema.as_ref();
        let schema = schema.and_then(|schema| schema["properties"].get(parameter));
        let schema = schema.map(|schema| moved(schema, &place(api)));
        let told = json!({
            "name": parameter, "in": "path", "required": true,
            "description": "Joins the body under this name.",
            "schema": schema.unwrap_or(json!({ "type": "string" })),
        });
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            parameters.push(told);
        }
    }
    let mut content = json!({ "schema": body });
    if let Some(example) = &api.example {
        content["example"] = without(example, parameters);
    }
    // What joins it from the path may be all that there is.
    operation["requestBody"] = json!({
        "required": parameters.is_empty(),
        "content": { "application/json": content },
    });
    operation
}

/// A schema without the members that stand in the path.
fn without_members(mut schema: Value, parameters: &[String]) -> Value {
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|name, _| !parameters.contains(name));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !parameters.iter().any(|parameter| name == parameter));
    }
    schema
}

/// An example without the members that stand in the path.
fn without(example: &Value, parameters: &[String]) -> Value {
    let mut example = example.clone();
    if let Some(members) = example.as_object_mut() {
        members.retain(|name, _| !parameters.contains(name));
    }
    example
}

/// A schema as it is at another place of a document: what refers to a part of it says where that is now. One that has a
/// name of its own (`$id`) is a document of its own.
fn moved(schema: &Value, place: &str) -> Value {
    let Some(members) = schema.as_object() else {
        return schema.clone();
    };
    if members.contains_key("$id") {
        return schema.clone();
    }
    let mut here: Map<_, _> = members
        .iter()
        // It is OpenAPI's own, which the document is in already.
        .filter(|(name, _)| *name != "$schema")
        .map(|(name, value)| (name.clone(), moved_member(name, value, place)))
        .collect();
    if let (Some(format), None) = (width(members), members.get("format")) {
        here.insert("format".into(), format.into());
    }
    Value::Object(here)
}

/// How wide a number is: programs that are made from the description would else take narrower ones than scripts do.
fn width(schema: &Map<String, Value>) -> Option<&'static str> {
    match schema.get("type")?.as_str()? {
        "number" => Some("double"),
        "integer" => Some("int64"),
        _ => None,
    }
}

/// A keyword's value, by where JSON Schema 2020-12 has schemas: what stands elsewhere is data.
fn moved_member(keyword: &str, value: &Value, place: &str) -> Value {
    let moved = |schema: &Value| moved(schema, place);
    match (keyword, value) {
        ("$ref" | "$dynamicRef", Value::String(reference)) => match reference.strip_prefix('#') {
            Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                format!("{place}{pointer}").into()
            }
            _ => value.clone(),
        },
        (
            "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions",
            Value::Object(schemas),
        ) => {
            let schemas = schemas.iter();
            let schemas = schemas.map(|(name, schema)| (name.clone(), moved(schema)));
            Value::Object(schemas.collect())
        }
        ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(schemas)) => {
            schemas.iter().map(moved).collect()
        }
        (
            "items"
            | "contains"
            | "additionalProperties"
            | "propertyNames"
            | "not"
            | "if"
            | "then"
            | "else"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "contentSchema",
            schema,
        ) => moved(schema),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use job_core::catalog::{Catalog, Label};
    use job_core::route::{Route, RouteTable};

    use super::*;

    #[test]
    fn a_schema_refers_to_its_own_parts_where_it_stands_now() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {
                "a": { "$ref": "#/$defs/x" }, "b": { "prefixItems": [{ "$ref": "#" }] },
                "default": { "$ref": "#/$defs/x" }, "n": { "type": "integer" },
            },
            "$defs": { "x": { "const": { "$ref": "#/kept" } }, "own": { "$id": "urn:x", "$ref": "#/y" } },
        });
        let due = json!({
            "properties": {
                "a": { "$ref": "#/p/$defs/x" }, "b": { "prefixItems": [{ "$ref": "#/p" }] },
                "default": { "$ref": "#/p/$defs/x" }, "n": { "type": "integer", "format": "int64" },
            },
            "$defs": { "x": { "const": { "$ref": "#/kept" } }, "own": { "$id": "urn:x", "$ref": "#/y" } },
        });
        assert_eq!(moved(&schema, "#/p"), due);
    }

    #[test]
    fn an_api_is_described_at_each_of_its_urls() {
        let api: Api = serde_json::from_value(json!({
            "name": "add", "label": { "ja": "足し算", "en": "Add" },
            "schema": {
                "type": "object", "required": ["num1", "num2"],
                "properties": { "num1": { "type": "number" }, "num2": { "type": "number" } },
            },
            "example": { "num1": 1, "num2": 2 },
        }))
        .unwrap();
        let mut document = json!({ "paths": {}, "components": { "schemas": {} } });
        let mut routes = RouteTable::default();
        for api in ["add", "other"] {
            // Only the first of two has a URL.
            let _ = routes.add(Route {
                method: "POST".into(),
                pattern: Pattern::parse("/api/v1/add/{num1}").unwrap(),
                key: api.into(),
                label: Label {
                    ja: api.into(),
                    en: api.into(),
                },
                target: Target::Submit(api.parse().unwrap()),
            });
        }
        let offered = Offered {
            catalog: &Catalog::default(),
            routes: &routes,
            webhooks: false,
        };
        describe(&api, &offered, &mut document);
        let other = Api {
            name: "other".parse().unwrap(),
            ..api.clone()
        };
        describe(&other, &offered, &mut document);
        let general = &document["paths"]["/api/v1/jobs/add"]["post"];
        let own = &document["paths"]["/api/v1/add/{num1}"]["post"];
        assert_eq!(own["operationId"], "submit2_add");
        assert_eq!(
            (&general["operationId"], &general["summary"]),
            (&json!("submit_add"), &json!("足し算 / Add"))
        );
        let body =
            |operation: &Value| operation["requestBody"]["content"]["application/json"].clone();
        assert_eq!(body(general)["example"], json!({ "num1": 1, "num2": 2 }));
        assert_eq!(body(own)["example"], json!({ "num2": 2 }));
        let num2 = json!({ "type": "object", "required": ["num2"], "properties": { "num2": { "type": "number", "format": "double" } } });
        assert_eq!(body(own)["schema"], num2);
        let place = body(general)["schema"]["$ref"].as_str().unwrap().to_owned();
        assert!(document.pointer(&place[1..]).is_some());
        let parameters = own["parameters"].as_array().unwrap();
        let path = parameters
            .iter()
            .find(|parameter| parameter["in"] == "path");
        assert_eq!(
            path.unwrap()["schema"],
            json!({ "type": "number", "format": "double" })
        );
    }
}
