//! What descriptions of operations are put together from.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::link::Link;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{
    Content, Header, HeaderBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
};

use super::schemas::Problem;
use crate::problem::Kind;

/// The media type of problem documents.
const PROBLEM: &str = "application/problem+json";

/// A text.
pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A whole number.
pub(super) fn whole_number() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

/// Yes or no.
pub(super) fn yes_or_no() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

/// One of these words.
pub(super) fn one_of(words: &[&str]) -> ObjectBuilder {
    text().enum_values(Some(words.iter().copied()))
}

/// A date.
pub(super) fn date() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

/// A URL of at most 2,000 characters.
pub(super) fn uri() -> ObjectBuilder {
    text()
        .format(Some(SchemaFormat::Custom("uri".into())))
        .max_length(Some(2000))
}

/// The id of a job in the path.
pub(super) fn uuid(name: &str) -> Parameter {
    let id = text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .pattern(Some(
            "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        ));
    path(name, "The job's id.", id)
}

/// A part of the path.
pub(super) fn path(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    parameter(ParameterIn::Path, name, description, schema, Required::True)
}

/// A parameter of the query, which may be left out.
pub(super) fn query(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    parameter(
        ParameterIn::Query,
        name,
        description,
        schema,
        Required::False,
    )
}

/// A header of the request, which may be left out.
pub(super) fn header(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    parameter(
        ParameterIn::Header,
        name,
        description,
        schema,
        Required::False,
    )
}

fn parameter(
    place: ParameterIn,
    name: &str,
    description: &str,
    schema: ObjectBuilder,
    required: Required,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .description(Some(description))
        .required(required)
        .schema(Some(schema))
        .build()
}

/// An answer with a JSON body.
pub(super) fn json<T: ToSchema>(description: &str) -> ResponseBuilder {
    answer(description, "application/json", reference::<T>())
}

/// An answer with a body of a media type.
pub(super) fn answer(
    description: &str,
    media_type: &str,
    schema: impl Into<RefOr<Schema>>,
) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .content(media_type, Content::new(Some(schema)))
}

/// An answer without a body.
pub(super) fn nothing(description: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(description)
}

/// A header of an answer.
pub(super) fn told(description: &str, schema: ObjectBuilder) -> Header {
    HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(description))
        .build()
}

/// From a job that an answer shows to what can be done with it.
pub(super) fn link(operation: &str, parameter: &str) -> Link {
    Link::builder()
        .operation_id(operation)
        .parameter(parameter, "$response.body#/uuid")
        .build()
}

/// The answers to what goes wrong, one for each status.
pub(super) fn problems(kinds: &[Kind]) -> Vec<(String, Response)> {
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for kind in kinds {
        let facts = kind.facts();
        let told = format!("`{}`: {}.", facts.name, facts.title);
        by_status
            .entry(facts.status.as_u16())
            .or_default()
            .push(told);
    }
    let answers = by_status.into_iter().map(|(status, told)| {
        let told = answer(&told.join(" "), PROBLEM, reference::<Problem>());
        (status.to_string(), told.build())
    });
    answers.collect()
}

/// Refers to a schema of the components.
fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

/// Any JSON.
pub(super) fn anything() -> Object {
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::AnyValue)
        .build()
}
