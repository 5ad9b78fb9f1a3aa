//! The APIs and routes as they are at one moment: what the workers publish, ready to be asked.

use std::collections::HashMap;
use std::sync::Arc;

use job_core::api_routes::ApiRoutes;
use job_core::catalog::{Api, Catalog};
use job_core::ids::ApiName;
use job_core::route::{Pattern, Route, RouteTable, Target};
use jsonschema::Validator;
use serde_json::Value;
use shared_folder::catalog::CatalogStamp;
use shared_folder::{FolderError, SharedFolder};

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::names;
use crate::openapi::{self, Offered};

/// One state of the catalogs.
#[derive(Debug)]
pub struct Site {
    /// All workers' APIs.
    pub catalog: Catalog,
    /// Who answers which URL.
    pub routes: RouteTable,
    /// The description of all that there is.
    pub openapi: Value,
    /// What the access log calls the URLs.
    pub names: ApiRoutes,
    /// Tells this state from another.
    pub stamp: CatalogStamp,
    validators: HashMap<ApiName, (Arc<Api>, Arc<Validator>)>,
}

impl Site {
    /// What checks the bodies of an API, where it has a schema.
    pub fn validator(&self, api: &ApiName) -> Option<Arc<Validator>> {
        self.validators
            .get(api)
            .map(|(_, validator)| validator.clone())
    }
}

/// Reads the catalogs. Of `before`, schemas that did not change are kept as they were compiled.
///
/// # Errors
/// Where the folder of the catalogs cannot be listed.
pub fn read(
    folder: &SharedFolder,
    config: &Config,
    before: Option<&Site>,
) -> Result<Site, FolderError> {
    // The stamp first: what changes while the files are read shows at the next look.
    let stamp = folder.catalog_stamp()?;
    let (catalog, problems) = folder.catalog()?;
    for problem in problems {
        tracing::error!("a catalog is left out: {problem}");
    }
    for api in &catalog.differing {
        tracing::warn!(job.api = %api, "workers offer different versions of one API; the newest catalog counts");
    }
    let mut site = Site {
        catalog: Catalog::default(),
        routes: Endpoint::table(),
        openapi: Value::Null,
        names: ApiRoutes::new(Vec::new()),
        stamp,
        validators: HashMap::new(),
    };
    for api in catalog.iter() {
        site.add_routes(api);
        site.compile(api, before);
    }
    let names: Vec<_> = catalog.iter().map(|api| api.name.as_str()).collect();
    tracing::info!(apis = names.join(" "), "the catalogs were read");
    // What two claim is described as what the table gave it to.
    site.openapi = openapi::document(&Offered {
        catalog: &catalog,
        routes: &site.routes,
        webhooks: config.webhooks.are_on(),
    });
    site.names = names::of(&site.routes, &catalog, &config.named);
    site.catalog = catalog;
    Ok(site)
}

impl Site {
    fn add_routes(&mut self, api: &Api) {
        for route in &api.routes {
            let added = Pattern::parse(&route.pattern)
                .map_err(|error| error.to_string())
                .and_then(|pattern| {
                    let route = Route {
                        method: route.method.clone(),
                        pattern,
                        key: api.name.to_string(),
                        label: api.label.clone(),
                        target: Target::Submit(api.name.clone()),
                    };
                    self.routes
                        .add(route)
                        .map_err(|conflict| conflict.to_string())
                });
            if let Err(reason) = added {
                tracing::error!(job.api = %api.name, reason, "a route is left out; the API is reached by /api/v1/jobs/{}", api.name);
            }
        }
    }

    fn compile(&mut self, api: &Arc<Api>, before: Option<&Site>) {
        let Some(schema) = &api.schema else { return };
        let same = before
            .and_then(|site| site.validators.get(&api.name))
            .filter(|(old, _)| old.schema.as_ref() == Some(schema));
        let validator = match same {
            Some((_, validator)) => validator.clone(),
            None => match jsonschema::draft202012::new(schema) {
                Ok(validator) => Arc::new(validator),
                Err(error) => {
                    // The worker refuses such an app; this catalog was written by somebody else.
                    tracing::error!(job.api = %api.name, error = %error, "a schema is broken: requests are not checked by it");
                    return;
                }
            },
        };
        self.validators
            .insert(api.name.clone(), (api.clone(), validator));
    }
}
