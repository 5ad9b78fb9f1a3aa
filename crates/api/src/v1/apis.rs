//! `GET /api/v1/apis`: the catalog.

use actix_web::HttpResponse;
use job_core::catalog::{Api, ApiRoute, Label};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::context::Context;
use crate::problem::Problem;

/// The catalog.
#[derive(Serialize, ToSchema)]
pub(crate) struct Apis<'a> {
    /// By name.
    apis: Vec<ApiJson<'a>>,
}

/// What can be submitted.
#[derive(Serialize, ToSchema)]
#[schema(as = Api)]
pub(crate) struct ApiJson<'a> {
    /// Its name, as URLs have it.
    name: &'a str,
    /// Its name for people.
    #[schema(value_type = ApiLabel)]
    label: &'a Label,
    /// Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    description: Option<&'a str>,
    /// All URLs that submit to it, the general one included.
    #[schema(value_type = Vec<SubmitRoute>)]
    routes: Vec<ApiRoute>,
    /// JSON Schema 2020-12 of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    schema: Option<&'a Value>,
    /// A body to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    example: Option<&'a Value>,
    /// Longest run, in seconds.
    timeout_s: u64,
}

/// A name for people.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it describes what job_core::catalog::Label is written as"
)]
struct ApiLabel {
    /// In Japanese.
    ja: String,
    /// In English.
    en: String,
}

/// A URL that submits to an API.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it describes what job_core::catalog::ApiRoute is written as"
)]
struct SubmitRoute {
    /// The HTTP method.
    method: String,
    /// The path, with parameters in braces.
    pattern: String,
}

/// Lists the APIs, by name.
///
/// # Errors
/// None.
pub async fn apis(context: Context) -> Result<HttpResponse, Problem> {
    let apis = context.site.catalog.iter().map(|api| show(api)).collect();
    Ok(HttpResponse::Ok().json(Apis { apis }))
}

fn show(api: &Api) -> ApiJson<'_> {
    let general = ApiRoute {
        method: "POST".into(),
        pattern: format!("/api/v1/jobs/{}", api.name),
    };
    ApiJson {
        name: api.name.as_str(),
        label: &api.label,
        description: api.description.as_deref(),
        routes: std::iter::once(general)
            .chain(api.routes.iter().cloned())
            .collect(),
        schema: api.schema.as_ref(),
        example: api.example.as_ref(),
        timeout_s: api.limits.timeout_s,
    }
}
