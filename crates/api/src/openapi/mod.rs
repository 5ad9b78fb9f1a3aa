//! The API's description as OpenAPI 3.1: of what is built in, made from the code, and of the APIs of the catalog, made
//! from their schemas.

mod apis;
mod operations;
mod parts;
mod schemas;

use job_core::catalog::Catalog;
use job_core::route::{Route, RouteTable, Target};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem};

use crate::endpoint::Endpoint;
use crate::job_json::Job;
use crate::v1::apis::Apis;
use crate::v1::jobs::list::Page;
use crate::v1::jobs::submit::Valid;

pub(crate) use schemas::Failure;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "bcrlapi",
        description = "Scripts as HTTP APIs: submit a job, see how it stands, fetch its result. Errors are problem documents (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "apis", description = "What can be submitted."),
        (name = "jobs", description = "What was submitted."),
        (name = "server", description = "The server itself.")
    ),
    components(schemas(Job, Page, Valid, Apis<'static>, schemas::Problem, schemas::Ready))
)]
struct BuiltIn;

/// What there is besides what is built in.
#[derive(Debug)]
pub struct Offered<'a> {
    /// The APIs.
    pub catalog: &'a Catalog,
    /// Who answers which URL.
    pub routes: &'a RouteTable,
    /// Whether webhooks are sent.
    pub webhooks: bool,
}

/// The description of what is built in, and of what is offered. Where there are APIs, each is described with its own
/// schema in place of the general way to submit.
pub fn document(offered: &Offered<'_>) -> Value {
    let catalog = offered.catalog;
    let mut document = BuiltIn::openapi();
    let built_in = |route: &&Route| route.target == Target::BuiltIn;
    for route in offered.routes.iter().filter(built_in) {
        let described = Endpoint::of(route).and_then(|endpoint| {
            let is_general = endpoint == Endpoint::Submit;
            let is_wanted = !is_general || catalog.iter().next().is_none();
            is_wanted.then(|| operations::describe(endpoint, offered))?
        });
        if let Some(operation) = described {
            let (path, item) = (path(route), item(route, operation));
            let paths = &mut document.paths.paths;
            paths.entry(path).or_default().merge_operations(item);
        }
    }
    let mut document = serde_json::to_value(document).expect("a description always serializes");
    for api in catalog.iter() {
        apis::describe(api, offered, &mut document);
    }
    document
}

/// Paths that differ only in the names of their parameters are one path (OpenAPI 3.1, Paths Object): a job's id and an
/// API's name stand at the same place.
fn path(route: &Route) -> String {
    match route.pattern.to_string().as_str() {
        "/api/v1/jobs/{uuid}" | "/api/v1/jobs/{api}" => "/api/v1/jobs/{id}".into(),
        path => path.into(),
    }
}

fn item(route: &Route, operation: OperationBuilder) -> PathItem {
    let method = match route.method.as_str() {
        "POST" => HttpMethod::Post,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    };
    let operation = operation
        .operation_id(Some(route.key.replace('-', "_")))
        .summary(Some(route.label.en.as_str()));
    PathItem::new(method, operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Value {
        document(&Offered {
            catalog: &Catalog::default(),
            routes: &Endpoint::table(),
            webhooks: true,
        })
    }

    #[test]
    fn each_built_in_route_but_pages_is_described_once() {
        let document = built_in();
        let paths = document["paths"].as_object().unwrap();
        let described = paths.values().flat_map(|item| item.as_object().unwrap());
        let mut ids: Vec<_> = described
            .map(|(_, operation)| operation["operationId"].as_str().unwrap().to_owned())
            .collect();
        ids.sort_unstable();
        let table = Endpoint::table();
        let offered = Offered {
            catalog: &Catalog::default(),
            routes: &table,
            webhooks: true,
        };
        let mut due: Vec<_> = table
            .iter()
            .filter(|route| {
                let endpoint = Endpoint::of(route).unwrap();
                operations::describe(endpoint, &offered).is_some()
            })
            .map(|route| route.key.replace('-', "_"))
            .collect();
        due.sort_unstable();
        assert_eq!(ids, due);
        assert!(due.contains(&"job_submit".to_owned()));
    }

    #[test]
    fn each_part_that_is_referred_to_is_there() {
        let document = built_in();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
