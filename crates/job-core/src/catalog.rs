//! The published list of APIs: what each worker offers, and all of them merged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::ApiName;

/// `catalog/{worker name}.json`: the APIs that one worker offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogFile {
    /// Version of this format; 1.
    pub version: u32,
    /// What it offers.
    pub apis: Vec<Api>,
}

impl CatalogFile {
    /// The version that is written.
    pub const VERSION: u32 = 1;
}

/// One API: a folder of `apps/` as everybody but its worker sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Api {
    /// Its name, which is its folder's.
    pub name: ApiName,
    /// Its name for people.
    pub label: Label,
    /// Markdown for docs and form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// URLs of its own, besides `POST /api/v1/jobs/{name}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<ApiRoute>,
    /// JSON Schema 2020-12 of the request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
    /// A request to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<serde_json::Value>,
    /// What a run may take.
    #[serde(default)]
    pub limits: Limits,
    /// SHA-256 of the folder's files, as hexadecimal digits.
    #[serde(default)]
    pub digest: String,
}

/// A URL that submits to an API, such as `POST /api/v1/add/{num1}/{num2}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRoute {
    /// The HTTP method.
    pub method: String,
    /// The path with its parameters in braces.
    pub pattern: String,
}

/// A name for people, in both languages of the pages; each at most 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// In Japanese.
    pub ja: String,
    /// In English.
    pub en: String,
}

/// What a run of an API may take, and how often it is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Longest run, in seconds.
    pub timeout_s: u64,
    /// Most runs at once over all workers; absent: as many as the workers have slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How many runs may be lost with their worker before the job fails.
    pub attempts: u32,
    /// How often the script is run again after its own failure.
    pub retries: u32,
    /// Most memory of all its processes together, in bytes.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            timeout_s: 600,
            concurrency: None,
            attempts: 3,
            retries: 0,
            memory: 2 << 30,
        }
    }
}

impl Limits {
    /// Longest run.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}

/// The workers' catalogs as one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    apis: BTreeMap<ApiName, Arc<Api>>,
    /// APIs that two workers offer in different versions; the newer catalog won.
    pub differing: Vec<ApiName>,
}

impl Catalog {
    /// Merges catalogs, the newest first: where two differ on one name, the newer wins.
    pub fn merge(newest_first: impl IntoIterator<Item = CatalogFile>) -> Self {
        let mut catalog = Catalog::default();
        for api in newest_first.into_iter().flat_map(|file| file.apis) {
            match catalog.apis.get(&api.name) {
                Some(newer) if **newer == api || catalog.differing.contains(&api.name) => {}
                Some(_) => catalog.differing.push(api.name),
                None => {
                    catalog.apis.insert(api.name.clone(), Arc::new(api));
                }
            }
        }
        catalog
    }

    /// The API of this name.
    pub fn get(&self, name: &ApiName) -> Option<&Arc<Api>> {
        self.apis.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Api>> {
        self.apis.values()
    }

    /// Whether nobody offers anything.
    pub fn is_empty(&self) -> bool {
        self.apis.is_empty()
    }

    /// The limits of an API; the usual ones where it is unknown.
    pub fn limits(&self, name: &ApiName) -> Limits {
        self.get(name)
            .map(|api| api.limits.clone())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(names: &[&str], digest: &str) -> CatalogFile {
        let api = |name: &&str| Api {
            name: name.parse().unwrap(),
            label: Label {
                ja: (*name).into(),
                en: (*name).into(),
            },
            description: None,
            routes: Vec::new(),
            schema: None,
            example: None,
            limits: Limits::default(),
            digest: digest.into(),
        };
        CatalogFile {
            version: CatalogFile::VERSION,
            apis: names.iter().map(api).collect(),
        }
    }

    #[test]
    fn the_newer_catalog_wins_and_the_difference_is_told() {
        let catalog = Catalog::merge([
            file(&["add", "soc"], "new"),
            file(&["soc", "fit"], "old"),
            file(&["soc"], "old"),
        ]);
        let digest = |name: &str| {
            catalog
                .get(&name.parse().unwrap())
                .map(|api| api.digest.as_str())
        };
        assert_eq!(
            (digest("add"), digest("soc"), digest("fit")),
            (Some("new"), Some("new"), Some("old"))
        );
        assert_eq!(catalog.differing, ["soc".parse().unwrap()]);
    }

    #[test]
    fn the_same_api_on_two_workers_is_no_difference() {
        assert!(
            Catalog::merge([file(&["soc"], "a"), file(&["soc"], "a")])
                .differing
                .is_empty()
        );
    }

    #[test]
    fn limits_that_a_catalog_leaves_out_are_the_usual_ones() {
        let api: Api = serde_json::from_str(
            r#"{"name":"soc","label":{"ja":"a","en":"b"},"limits":{"attempts":1}}"#,
        )
        .unwrap();
        assert_eq!(
            api.limits,
            Limits {
                attempts: 1,
                ..Limits::default()
            }
        );
    }
}
