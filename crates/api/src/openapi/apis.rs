//! The APIs of the catalog: an operation for each of their URLs, with the schema, example and label of their folder.

use job_core::catalog::{Api, ApiRoute};
use job_core::route::Pattern;
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
    let general = ApiRoute {
        method: "POST".into(),
        pattern: format!("/api/v1/jobs/{name}"),
    };
    for (number, route) in std::iter::once(&general).chain(&api.routes).enumerate() {
        let Ok(pattern) = Pattern::parse(&route.pattern) else {
            continue;
        };
        let id = match number {
            0 => format!("submit_{name}"),
            _ => format!("submit_{name}_{}", number + 1),
        };
        let parameters: Vec<_> = pattern.parameters().map(str::to_owned).collect();
        let body = match (parameters.is_empty(), &api.schema) {
            (true, _) | (_, None) => body.clone(),
            (false, Some(schema)) => without_members(moved(schema, &place(api)), &parameters),
        };
        let operation = operation(api, offered, &id, &parameters, &body);
        let paths = document["paths"].as_object_mut().expect("there are paths");
        let item = paths.entry(route.pattern.clone()).or_insert(json!({}));
        item[route.method.to_lowercase()] = operation;
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
    match schema {
        Value::Object(members) if members.contains_key("$id") => schema.clone(),
        Value::Object(members) => {
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
        Value::Array(values) => values.iter().map(|value| moved(value, place)).collect(),
        other => other.clone(),
    }
}

/// How wide a number is: programs that are made from the description would else take narrower ones than scripts do.
fn width(schema: &Map<String, Value>) -> Option<&'static str> {
    match schema.get("type")?.as_str()? {
        "number" => Some("double"),
        "integer" => Some("int64"),
        _ => None,
    }
}

fn moved_member(name: &str, value: &Value, place: &str) -> Value {
    match (name, value.as_str()) {
        ("$ref" | "$dynamicRef", Some("#")) => place.into(),
        ("$ref" | "$dynamicRef", Some(reference)) if reference.starts_with("#/") => {
            format!("{place}{}", &reference[1..]).into()
        }
        // What is compared with a value is no schema.
        ("const" | "enum" | "default" | "example" | "examples", _) => value.clone(),
        _ => moved(value, place),
    }
}

#[cfg(test)]
mod tests {
    use job_core::catalog::Catalog;

    use super::*;

    #[test]
    fn a_schema_refers_to_its_own_parts_where_it_stands_now() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": { "a": { "$ref": "#/$defs/x" }, "b": { "items": [{ "$ref": "#" }] }, "n": { "type": "integer" } },
            "$defs": { "x": { "const": { "$ref": "#/kept" } }, "own": { "$id": "urn:x", "$ref": "#/y" } },
        });
        let due = json!({
            "properties": {
                "a": { "$ref": "#/p/$defs/x" }, "b": { "items": [{ "$ref": "#/p" }] },
                "n": { "type": "integer", "format": "int64" },
            },
            "$defs": { "x": { "const": { "$ref": "#/kept" } }, "own": { "$id": "urn:x", "$ref": "#/y" } },
        });
        assert_eq!(moved(&schema, "#/p"), due);
    }

    #[test]
    fn an_api_is_described_at_each_of_its_urls() {
        let api: Api = serde_json::from_value(json!({
            "name": "add", "label": { "ja": "足し算", "en": "Add" },
            "routes": [{ "method": "POST", "pattern": "/api/v1/add/{num1}" }],
            "schema": {
                "type": "object", "required": ["num1", "num2"],
                "properties": { "num1": { "type": "number" }, "num2": { "type": "number" } },
            },
            "example": { "num1": 1, "num2": 2 },
        }))
        .unwrap();
        let mut document = json!({ "paths": {}, "components": { "schemas": {} } });
        let offered = Offered {
            catalog: &Catalog::default(),
            webhooks: false,
        };
        describe(&api, &offered, &mut document);
        let general = &document["paths"]["/api/v1/jobs/add"]["post"];
        let own = &document["paths"]["/api/v1/add/{num1}"]["post"];
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
