//! A temporary home with apps, and the settings of its services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::process::Process;

/// One site: a data folder, apps, and settings for services that are started on it.
#[derive(Debug)]
pub struct Site {
    home: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    /// A site without apps, whose services listen on free ports and answer quickly: lease 3 s, heartbeat 500 ms,
    /// sweep 500 ms. Clients may ask as often as they like.
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("apps")).unwrap();
        let text = |name: &str| home.path().join(name).to_string_lossy().into_owned();
        let environment = [
            ("BCRL_DATA_DIR", text("data")),
            ("BCRL_APPS_DIR", text("apps")),
            ("BCRL_API__LISTEN", "127.0.0.1:0".into()),
            ("BCRL_API__RATE__SUBMITS", "off".into()),
            ("BCRL_API__RATE__REQUESTS", "off".into()),
            ("BCRL_WORKER__LEASE", "3s".into()),
            ("BCRL_WORKER__HEARTBEAT", "500ms".into()),
            ("BCRL_WORKER__SWEEP", "500ms".into()),
            ("BCRL_LOG__FORMAT", "json".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        Site {
            environment: environment.into(),
            home,
        }
    }

    /// The same with a setting, by its variable's name without `BCRL_`.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment
            .insert(format!("BCRL_{name}"), value.to_owned());
        self
    }

    /// The same with a variable that is none of its settings.
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment.insert(variable.into(), value.into());
        self
    }

    /// The same with the apps that the repository ships: `soc` and `add`.
    pub fn with_shipped_apps(self) -> Self {
        for app in ["soc", "add"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../apps")
                .join(app);
            for entry in std::fs::read_dir(from).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    self.put(
                        &format!("apps/{app}/{name}"),
                        &std::fs::read_to_string(&path).unwrap(),
                    );
                }
            }
        }
        self
    }

    /// Makes an app of this script.
    pub fn app(&self, name: &str, main: &str) {
        self.put(&format!("apps/{name}/main.py"), main);
    }

    /// Writes a file of the home, its folders included; it appears whole.
    pub fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temporary = path.with_extension("put");
        std::fs::write(&temporary, text).unwrap();
        std::fs::rename(&temporary, &path).unwrap();
        path
    }

    /// A path of the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A path of the shared folder.
    pub fn shared(&self, name: &str) -> PathBuf {
        self.path("data/shared/bcrlapi").join(name)
    }

    /// The index as it is now.
    pub fn index(&self) -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(self.shared("request/status.json")).unwrap())
            .unwrap()
    }

    /// The columns of the whole lines of the access log so far, file by file.
    ///
    /// # Panics
    /// Where a line has more or fewer than five columns.
    #[track_caller]
    pub fn access_log(&self) -> Vec<[String; 5]> {
        let entries = std::fs::read_dir(self.path("data/Log"))
            .into_iter()
            .flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "tsv"));
        paths.sort();
        let texts = paths
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap());
        let lines = texts.flat_map(|text| {
            let whole = text
                .rsplit_once('\n')
                .map_or("", |(whole, _)| whole)
                .to_owned();
            let lines: Vec<_> = whole.split('\n').map(str::to_owned).collect();
            lines.into_iter().filter(|line| !line.is_empty())
        });
        let columns = lines.map(|line| {
            let columns: Vec<_> = line.split('\t').map(str::to_owned).collect();
            columns
                .try_into()
                .unwrap_or_else(|_| panic!("five columns are due: {line}"))
        });
        columns.collect()
    }

    /// Starts `bcrl-api`, and waits until it listens.
    pub fn api(&self) -> Process {
        Process::start(self, "bcrl-api", &[]).listening()
    }

    /// Starts `bcrl-worker`, and waits until it is ready.
    pub fn worker(&self) -> Process {
        Process::start(self, "bcrl-worker", &[]).ready()
    }

    /// Starts `bcrl up`, and waits until it listens.
    pub fn up(&self) -> Process {
        Process::start(self, "bcrl", &["up"]).listening()
    }

    /// The settings of its services, as variables.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// A new file for a process's log.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        (0..)
            .map(|n| self.path(&format!("{name}-{n}.log")))
            .find(|path| !path.exists())
            .unwrap()
    }
}
