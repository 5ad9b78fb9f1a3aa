//! What the access log's figures call each URL.

use job_core::api_routes::{ApiRoutes, NamedRoute};
use job_core::catalog::Catalog;
use job_core::route::RouteTable;

/// The routes that are answered, the submissions to each API by its name (which one route answers for all of them), and
/// those that only the settings know. What fits a URL equally well counts in this order.
pub fn of(routes: &RouteTable, catalog: &Catalog, others: &[NamedRoute]) -> ApiRoutes {
    let answered = routes.iter().map(NamedRoute::from);
    let submissions = catalog.iter().map(|api| NamedRoute {
        method: "POST".into(),
        pattern: format!("/api/v1/jobs/{}", api.name),
        key: api.name.to_string(),
        label: api.label.clone(),
    });
    let others = others.iter().cloned();
    ApiRoutes::new(answered.chain(submissions).chain(others).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use job_core::api_routes::Names;
    use job_core::catalog::{CatalogFile, Label};

    #[test]
    fn every_url_has_its_name() {
        let catalog = r#"{"version":1,"apis":[{"name":"soc","label":{"ja":"充電率","en":"SOC"}}]}"#;
        let catalog: CatalogFile = serde_json::from_str(catalog).unwrap();
        let products = NamedRoute {
            method: "GET".into(),
            pattern: "/api/products".into(),
            key: "products".into(),
            label: Label {
                ja: "商品取得API(複数件)".into(),
                en: "Get products".into(),
            },
        };
        let routes = of(&Endpoint::table(), &Catalog::merge([catalog]), &[products]);
        let names = Names::new(&routes);
        let name = |method, url: &str| names.find(method, url.as_bytes()).map(|named| named.name);
        for (method, url, expected) in [
            ("GET", "/api/v1/jobs/1", Some("ジョブ状態取得API")),
            ("POST", "/api/v1/jobs/soc?webhook=x", Some("充電率")),
            ("POST", "/api/v1/jobs/gone", Some("ジョブ登録API")),
            ("GET", "/api/products", Some("商品取得API(複数件)")),
            ("GET", "/", Some("トップページ")),
            ("GET", "/nothing", None),
        ] {
            assert_eq!(name(method, url), expected, "{method} {url}");
        }
    }
}
