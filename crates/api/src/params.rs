//! What a job's script is given: the body, with the parameters of the URL in it, as the API's schema allows it.
//!
//! What the client wrote stays as it was written, to the last digit.

use job_core::catalog::Api;
use jsonschema::Validator;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::problem::{FieldError, Kind, Problem};
use crate::strict_json;

/// So many errors of one body are told.
const ERRORS_TOLD: usize = 50;

/// Reads a body, puts the URL's parameters into it, and checks what comes out: at most `limit` bytes that fit the
/// schema. An empty body with parameters is an empty object.
///
/// # Errors
/// `invalid-json`, `validation-failed`, `payload-too-large`.
pub fn read(
    body: &[u8],
    parameters: &[(String, String)],
    api: &Api,
    validator: Option<&Validator>,
    limit: u64,
) -> Result<Box<RawValue>, Problem> {
    let body = if body.is_empty() && !parameters.is_empty() {
        b"{}"
    } else {
        body
    };
    let mut value = strict_json::parse(body)
        .map_err(|why| Kind::InvalidJson.problem(format!("the body is no JSON: {why}")))?;
    let mut text = String::from_utf8(body.to_vec()).expect("it was parsed as UTF-8");
    if !parameters.is_empty() {
        text = join(&text, &mut value, parameters, api.schema.as_ref())?;
        if text.len() as u64 > limit {
            let detail =
                format!("a body and the parameters of the URL may have at most {limit} bytes");
            return Err(Kind::PayloadTooLarge.problem(detail));
        }
    }
    check(&text, &value, api, validator)?;
    RawValue::from_string(text).map_err(|error| Kind::Internal.problem(error.to_string()))
}

/// The text of an object with the parameters in front of its members; `value` gets them too.
fn join(
    text: &str,
    value: &mut Value,
    parameters: &[(String, String)],
    schema: Option<&Value>,
) -> Result<String, Problem> {
    let Value::Object(members) = value else {
        let errors = vec![FieldError::new(
            "an object is due, for the parameters of the URL to join",
            "",
        )];
        return Err(Kind::ValidationFailed
            .problem("the body is no object")
            .with_errors(errors));
    };
    let errors: Vec<_> = parameters
        .iter()
        .filter(|(name, _)| members.contains_key(name))
        .map(|(name, _)| FieldError::new("the URL gives it already", &pointer(name)))
        .collect();
    if !errors.is_empty() {
        return Err(Kind::ValidationFailed
            .problem("the body repeats what the URL says")
            .with_errors(errors));
    }
    let mut joined = String::from("{");
    for (name, given) in parameters {
        let (value, written) = typed(given, schema, name);
        if joined.len() > 1 {
            joined.push(',');
        }
        joined.push_str(&quoted(name));
        joined.push(':');
        joined.push_str(&written);
        members.insert(name.clone(), value);
    }
    let rest = text.trim_start().strip_prefix('{').unwrap_or_default();
    if !rest.trim_start().starts_with('}') {
        joined.push(',');
    }
    joined.push_str(rest);
    Ok(joined)
}

/// A parameter of the URL, typed by the schema and as it is written in JSON, to the last digit; text where the schema
/// says nothing, or something that does not fit: then the check of the body tells.
fn typed(text: &str, schema: Option<&Value>, name: &str) -> (Value, String) {
    let types =
        schema.and_then(|schema| schema.pointer(&format!("/properties{}/type", pointer(name))));
    let is = |wanted: &str| match types {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(some)) => some.iter().any(|one| one == wanted),
        _ => false,
    };
    // JSON allows white space around a number; a URL has none to spare.
    let parsed = serde_json::from_str::<Value>(text)
        .ok()
        .filter(|value| match value {
            Value::Number(_) => is("number") || is("integer"),
            Value::Bool(_) => is("boolean"),
            _ => false,
        })
        .filter(|_| text.trim() == text);
    match parsed {
        Some(value) => (value, text.to_owned()),
        None => (Value::String(text.to_owned()), quoted(text)),
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text always serializes")
}

fn check(
    text: &str,
    value: &Value,
    api: &Api,
    validator: Option<&Validator>,
) -> Result<(), Problem> {
    let mut errors = Vec::new();
    // Nearly no body has one, and a large one is not walked through for it.
    if text.contains("\\u0000") {
        find_nul(value, "", &mut errors);
    }
    if let Some(validator) = validator {
        let misfits = validator.iter_errors(value).take(ERRORS_TOLD);
        errors.extend(
            misfits.map(|error| {
                FieldError::new(&error.to_string(), &error.instance_path().to_string())
            }),
        );
    }
    if errors.is_empty() {
        return Ok(());
    }
    errors.truncate(ERRORS_TOLD);
    let detail = format!("the body does not fit the API {}", api.name);
    Err(Kind::ValidationFailed.problem(detail).with_errors(errors))
}

/// Finds strings and names with a NUL, which much of what a script may call takes for their end.
fn find_nul(value: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let nul = |at: &str| FieldError::new("a NUL character is not taken", at);
    match value {
        Value::String(text) if text.contains('\0') => errors.push(nul(at)),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                find_nul(item, &format!("{at}/{n}"), errors);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let at = format!("{at}{}", pointer(name));
                if name.contains('\0') {
                    errors.push(nul(&at));
                }
                find_nul(member, &at, errors);
            }
        }
        _ => {}
    }
}

/// A member's name as a JSON Pointer (RFC 6901 section 3).
pub(crate) fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}
