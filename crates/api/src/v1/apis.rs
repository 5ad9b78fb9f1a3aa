//! `GET /api/v1/apis`: the catalog.

use actix_web::HttpResponse;
use job_core::catalog::{Api, ApiRoute, Label};
use serde::Serialize;
use serde_json::Value;

use crate::context::Context;
use crate::problem::Problem;

#[derive(Serialize)]
struct Apis<'a> {
    apis: Vec<ApiJson<'a>>,
}

#[derive(Serialize)]
struct ApiJson<'a> {
    name: &'a str,
    label: &'a Label,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// All URLs that submit to it, the general one included.
    routes: Vec<ApiRoute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<&'a Value>,
    timeout_s: u64,
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
