//! Which APIs are offered: the apps folder is looked at every second, and the catalog follows it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use app_folder::{App, Apps, Stamp};
use boot::Shutdown;
use claimant::blocking;
use job_core::catalog::CatalogFile;
use job_core::claim::Offer;
use job_core::ids::ApiName;

use crate::exec::{Ending, Report};
use crate::service::Worker;
use crate::trouble::with_reasons;

/// Between two looks at the apps folder. No file of it is opened unless something changed.
const LOOK: Duration = Duration::from_secs(1);
/// A script that could not be started so often in a row is not tried again until its folder changes.
const STRIKES: u32 = 5;

/// The apps as they are offered.
#[derive(Debug)]
pub struct Offered {
    apps: Apps,
    stamp: Stamp,
    /// How often in a row a script could not be started.
    strikes: Mutex<HashMap<ApiName, u32>>,
}

impl Offered {
    /// The app of this name.
    pub fn app(&self, api: &ApiName) -> Option<&App> {
        self.apps.apps.get(api)
    }

    /// The apps, by name.
    pub fn iter(&self) -> impl Iterator<Item = &App> {
        self.apps.apps.values()
    }

    /// What may be claimed.
    pub fn offer(&self) -> Offer {
        let strikes = self.strikes();
        let works = |api: &ApiName| strikes.get(api).is_none_or(|strikes| *strikes < STRIKES);
        let apis = self
            .iter()
            .map(|app| &app.api)
            .filter(|api| works(&api.name));
        apis.map(|api| (api.name.clone(), api.limits.concurrency))
            .collect()
    }

    /// What is published.
    pub fn catalog(&self) -> CatalogFile {
        self.apps.catalog()
    }

    /// What an operator should look at.
    pub fn problems(&self) -> Vec<String> {
        let broken = self.apps.problems.iter().map(ToString::to_string);
        let strikes = self.strikes();
        let out = strikes.iter().filter(|(_, strikes)| **strikes >= STRIKES);
        let out = out.map(|(api, strikes)| {
            format!("{api}: its script could not be started {strikes} times in a row")
        });
        broken.chain(out).collect()
    }

    /// Notes whether a run's script could be started; the count, once it is enough to stop claiming.
    pub(crate) fn count_spawn_errors(&self, api: &ApiName, report: Option<&Report>) -> Option<u32> {
        let mut strikes = self.strikes();
        if !matches!(
            report,
            Some(Report {
                ending: Ending::SpawnError { .. },
                ..
            })
        ) {
            strikes.remove(api);
            return None;
        }
        let count = strikes.entry(api.clone()).or_default();
        *count += 1;
        (*count == STRIKES).then_some(*count)
    }

    fn strikes(&self) -> MutexGuard<'_, HashMap<ApiName, u32>> {
        self.strikes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the apps folder. Of `before`, it is kept which scripts could not be started, unless their folder has changed.
pub fn read(apps_dir: &Path, before: Option<&Offered>) -> Offered {
    // The stamp first: what changes while the files are read shows at the next look.
    let stamp = Stamp::of(apps_dir);
    let apps = Apps::read(apps_dir);
    for problem in &apps.problems {
        tracing::warn!("an app is left out: {problem}");
    }
    let names: Vec<_> = apps.apps.keys().map(ApiName::as_str).collect();
    tracing::info!(apis = names.join(" "), "the apps were read");
    let mut strikes = before.map_or_else(HashMap::new, |before| before.strikes().clone());
    strikes.retain(|api, _| {
        let folder = apps_dir.join(api.as_str());
        before.is_some_and(|before| before.stamp.has_same(&stamp, &folder))
    });
    Offered {
        apps,
        stamp,
        strikes: Mutex::new(strikes),
    }
}

/// Keeps the offer and the catalog in step with the apps folder.
pub(crate) async fn keep_offering(worker: Arc<Worker>, end: Shutdown) {
    while tokio::time::timeout(LOOK, end.cancelled()).await.is_err() {
        let (now, shared) = (worker.offered.borrow().clone(), worker.clone());
        let changed = blocking(move || {
            let published = shared
                .claimant
                .folder
                .is_catalog_published(shared.claimant.catalog.as_str(), &now.catalog())
                .unwrap_or(true);
            if published && Stamp::of(&shared.config.apps_dir) == now.stamp {
                return None;
            }
            let offered = read(&shared.config.apps_dir, Some(&now));
            if let Err(error) = shared
                .claimant
                .folder
                .publish_catalog(shared.claimant.catalog.as_str(), &offered.catalog())
            {
                tracing::error!(
                    error = with_reasons(&error),
                    "the catalog cannot be published; it is tried again"
                );
                return None;
            }
            Some(offered)
        });
        if let Ok(Some(offered)) = changed.await {
            worker.offered.send_replace(Arc::new(offered));
            worker.claimant.look();
            worker.claimant.wake();
        }
    }
}
