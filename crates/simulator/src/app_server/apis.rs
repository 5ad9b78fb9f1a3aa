//! What is offered: APIs that are only a name, or those of a folder of apps.

use std::path::Path;

use anyhow::ensure;
use app_folder::Apps;
use job_core::catalog::{Api, CatalogFile, Label, Limits};
use job_core::claim::Offer;
use job_core::ids::ApiName;

/// The APIs that are offered where nobody names any: those of the apps that the repository ships.
const USUAL: [&str; 2] = ["soc", "add"];

/// APIs of these names, which take any JSON; the usual ones where there are no names.
pub fn named(names: &[ApiName]) -> CatalogFile {
    let usual = USUAL.map(|name| name.parse().expect("it is a name"));
    let mut names = if names.is_empty() {
        usual.to_vec()
    } else {
        names.to_vec()
    };
    names.sort();
    names.dedup();
    CatalogFile {
        version: CatalogFile::VERSION,
        apis: names.into_iter().map(bare).collect(),
    }
}

fn bare(name: ApiName) -> Api {
    Api {
        label: Label {
            ja: format!("{name}（模擬）"),
            en: format!("{name} (simulated)"),
        },
        name,
        description: None,
        routes: Vec::new(),
        schema: None,
        example: None,
        limits: Limits::default(),
        digest: String::new(),
    }
}

/// The APIs of a folder of apps, exactly as a worker would offer them.
///
/// # Errors
/// Where none of them is in order.
pub fn of_apps(apps_dir: &Path) -> anyhow::Result<CatalogFile> {
    let apps = Apps::read(apps_dir);
    for problem in &apps.problems {
        tracing::warn!("an app is left out: {problem}");
    }
    ensure!(
        !apps.apps.is_empty(),
        "--apps-dir {}: no app in it is in order{}",
        apps_dir.display(),
        apps.problems
            .first()
            .map_or_else(String::new, |problem| format!("; {problem}"))
    );
    Ok(apps.catalog())
}

/// What may be claimed of a catalog.
pub fn offer(catalog: &CatalogFile) -> Offer {
    let apis = catalog.apis.iter();
    apis.map(|api| (api.name.clone(), api.limits.concurrency))
        .collect()
}

/// A catalog that offers nothing.
pub fn nothing() -> CatalogFile {
    CatalogFile {
        version: CatalogFile::VERSION,
        apis: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(catalog: &CatalogFile) -> Vec<&str> {
        catalog.apis.iter().map(|api| api.name.as_str()).collect()
    }

    #[test]
    fn apis_are_named_or_the_usual_ones() {
        assert_eq!(names(&named(&[])), ["add", "soc"]);
        let given = ["fit", "a", "fit"].map(|name| name.parse().unwrap());
        assert_eq!(names(&named(&given)), ["a", "fit"]);
    }

    #[test]
    fn a_folder_of_apps_is_offered_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let error = of_apps(home.path()).unwrap_err().to_string();
        assert!(error.ends_with("no app in it is in order"), "{error}");
        let app = home.path().join("fit");
        std::fs::create_dir(&app).unwrap();
        std::fs::write(app.join("api.toml"), "concurrency = 2\n").unwrap();
        let error = of_apps(home.path()).unwrap_err().to_string();
        assert!(error.contains("main.py: there is no such file"), "{error}");
        std::fs::write(app.join("main.py"), "print(1)\n").unwrap();
        let catalog = of_apps(home.path()).unwrap();
        assert_eq!(names(&catalog), ["fit"]);
        assert_eq!(offer(&catalog).into_values().collect::<Vec<_>>(), [Some(2)]);
    }
}
