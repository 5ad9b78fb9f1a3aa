//! The apps of a folder, each as it is offered and as it is run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use job_core::catalog::{Api, ApiRoute, CatalogFile};
use job_core::ids::ApiName;
use job_core::route::{Pattern, Route, RouteTable, Target};
use serde_json::Value;

use crate::folder;
use crate::json;
use crate::manifest::Manifest;

const MAIN: &str = "main.py";
const MANIFEST: &str = "api.toml";
const SCHEMA: &str = "request.schema.json";
const EXAMPLE: &str = "example.json";

/// One app that is in order.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// As it is published.
    pub api: Api,
    /// Its folder, which is its working directory.
    pub folder: PathBuf,
    /// The Python that runs it; absent: the worker's.
    pub python: Option<PathBuf>,
    /// Its own variables.
    pub environment: BTreeMap<String, String>,
}

/// All apps of a folder.
#[derive(Debug, Clone, Default)]
pub struct Apps {
    /// Those in order, by name.
    pub apps: BTreeMap<ApiName, App>,
    /// What keeps the others from being offered.
    pub problems: Vec<Problem>,
}

/// What is wrong with an app, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the folder.
    pub file: PathBuf,
    /// The line, from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Apps {
    /// Reads every folder that holds a `main.py` or an `api.toml`; others are nobody's app.
    pub fn read(apps_dir: &Path) -> Self {
        let mut all = Apps::default();
        let mut routes = RouteTable::default();
        for folder in folder::candidates(apps_dir, &[MAIN, MANIFEST], &mut all.problems) {
            let read = App::read(&folder).and_then(|app| app.add_routes(&mut routes).map(|()| app));
            match read {
                Ok(app) => {
                    all.apps.insert(app.api.name.clone(), app);
                }
                Err(problem) => all.problems.push(problem),
            }
        }
        all
    }

    /// What is published of them.
    pub fn catalog(&self) -> CatalogFile {
        CatalogFile {
            version: CatalogFile::VERSION,
            apis: self.apps.values().map(|app| app.api.clone()).collect(),
        }
    }
}

impl App {
    /// Reads one folder.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(folder: &Path) -> Result<Self, Problem> {
        let at = |file: &str, line, message: String| Problem {
            file: folder.join(file),
            line,
            message,
        };
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let name: ApiName = name.parse().map_err(|error| Problem {
            file: folder.to_owned(),
            line: None,
            message: format!("the folder's name is no {error}"),
        })?;
        if !folder.join(MAIN).is_file() {
            return Err(at(MAIN, None, "there is no such file".into()));
        }
        let text = read_text(folder, MANIFEST)?.unwrap_or_default();
        let manifest =
            Manifest::parse(&text).map_err(|(line, message)| at(MANIFEST, line, message))?;
        let schema = read_json(folder, SCHEMA)?;
        let validator = schema.as_ref().map(|(text, schema)| {
            jsonschema::draft202012::new(schema).map_err(|error| {
                let pointer = error.instance_path().to_string();
                at(
                    SCHEMA,
                    json::line_of(text, &pointer),
                    format!("at {pointer:?}: {error}"),
                )
            })
        });
        let validator = validator.transpose()?;
        let example = read_json(folder, EXAMPLE)?;
        if let (Some(validator), Some((text, example))) = (&validator, &example)
            && let Some(error) = validator.iter_errors(example).next()
        {
            let pointer = error.instance_path().to_string();
            let message = format!(
                "at {pointer:?}: the example does not fit {SCHEMA}: {}",
                error.masked()
            );
            return Err(at(EXAMPLE, json::line_of(text, &pointer), message));
        }
        let schema = schema.map(|(_, schema)| schema);
        if let Some((line, route)) = &manifest.route {
            check_parameters(route, schema.as_ref())
                .map_err(|message| at(MANIFEST, Some(*line), message))?;
        }
        let digest = folder::digest(folder)
            .map_err(|error| at("", None, format!("it cannot be read: {error}")))?;
        let venv = folder.join(folder::VENV_PYTHON);
        let python = manifest
            .python
            .map(|python| folder.join(python))
            .or_else(|| venv.is_file().then_some(venv));
        Ok(App {
            api: Api {
                label: manifest.label.for_api(&name),
                description: manifest.description,
                routes: manifest.route.into_iter().map(|(_, route)| route).collect(),
                schema,
                example: example.map(|(_, example)| example),
                limits: manifest.limits,
                digest,
                name,
            },
            folder: folder.to_owned(),
            python,
            environment: manifest.environment,
        })
    }

    /// The script.
    pub fn main(&self) -> PathBuf {
        self.folder.join(MAIN)
    }

    /// The example's file.
    pub fn example_file(&self) -> PathBuf {
        self.folder.join(EXAMPLE)
    }

    fn add_routes(&self, table: &mut RouteTable) -> Result<(), Problem> {
        for route in &self.api.routes {
            let pattern = Pattern::parse(&route.pattern).expect("it was parsed with the manifest");
            let route = Route {
                method: route.method.clone(),
                pattern,
                key: self.api.name.to_string(),
                label: self.api.label.clone(),
                target: Target::Submit(self.api.name.clone()),
            };
            table.add(route).map_err(|conflict| Problem {
                file: self.folder.join(MANIFEST),
                line: None,
                message: conflict.to_string(),
            })?;
        }
        Ok(())
    }
}

/// A path parameter that the schema does not know could never be sent.
fn check_parameters(route: &ApiRoute, schema: Option<&Value>) -> Result<(), String> {
    let pattern = Pattern::parse(&route.pattern).map_err(|error| format!("route: {error}"))?;
    let Some(schema) = schema else { return Ok(()) };
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let properties = schema.get("properties").and_then(Value::as_object);
    let missing = pattern
        .parameters()
        .find(|name| closed && properties.is_none_or(|known| !known.contains_key(*name)));
    match missing {
        Some(name) => Err(format!(
            "route: {{{name}}} is no property of {SCHEMA}, which allows no others"
        )),
        None => Ok(()),
    }
}

fn read_text(folder: &Path, file: &str) -> Result<Option<String>, Problem> {
    match std::fs::read_to_string(folder.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Problem {
            file: folder.join(file),
            line: None,
            message: error.to_string(),
        }),
    }
}

fn read_json(folder: &Path, file: &str) -> Result<Option<(String, Value)>, Problem> {
    let Some(text) = read_text(folder, file)? else {
        return Ok(None);
    };
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Some((text, value))),
        Err(error) => {
            let message = format!("column {}: it is no JSON: {error}", error.column());
            Err(Problem {
                file: folder.join(file),
                line: Some(error.line()),
                message,
            })
        }
    }
}
