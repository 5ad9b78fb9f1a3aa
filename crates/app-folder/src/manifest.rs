//! `api.toml`: what a lab member may say about an API. All of it is optional.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use job_core::catalog::{ApiRoute, Label, Limits};
use job_core::ids::ApiName;
use job_core::route::Pattern;
use serde::Deserialize;

/// Longest label, in characters.
const LABEL_LIMIT: usize = 100;

/// The file, checked.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) label: Labels,
    pub(crate) description: Option<String>,
    /// The API's own URL, with the line on which it is set.
    pub(crate) route: Option<(usize, ApiRoute)>,
    pub(crate) limits: Limits,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) python: Option<PathBuf>,
}

/// The names for people, as far as they were given.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Labels {
    ja: Option<String>,
    en: Option<String>,
}

impl Labels {
    /// A label that is missing is the other one, or the API's name.
    pub(crate) fn for_api(self, name: &ApiName) -> Label {
        let Labels { ja, en } = self;
        let either = ja
            .clone()
            .or_else(|| en.clone())
            .unwrap_or_else(|| name.to_string());
        Label {
            ja: ja.unwrap_or_else(|| either.clone()),
            en: en.unwrap_or(either),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    label: Option<toml::Spanned<Labels>>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    route: Option<toml::Spanned<String>>,
    #[serde(default)]
    timeout: Option<toml::Spanned<String>>,
    #[serde(default)]
    concurrency: Option<toml::Spanned<u32>>,
    #[serde(default)]
    attempts: Option<toml::Spanned<u32>>,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(default)]
    memory: Option<toml::Spanned<String>>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    python: Option<PathBuf>,
}

/// The line, from 1, and what is wrong there.
type Trouble = (Option<usize>, String);

impl Manifest {
    pub(crate) fn parse(text: &str) -> Result<Self, Trouble> {
        let line = |offset: usize| {
            text.as_bytes()[..offset.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1
        };
        let file: File = toml::from_str(text).map_err(|error| {
            (
                error.span().map(|span| line(span.start)),
                error.message().to_owned(),
            )
        })?;
        let usual = Limits::default();
        let limits = Limits {
            timeout_s: match &file.timeout {
                Some(timeout) => parse_timeout(timeout.get_ref())
                    .map_err(|why| (Some(line(timeout.span().start)), why))?,
                None => usual.timeout_s,
            },
            concurrency: at_least_one("concurrency", file.concurrency.as_ref(), &line)?,
            attempts: at_least_one("attempts", file.attempts.as_ref(), &line)?
                .unwrap_or(usual.attempts),
            retries: file.retries.unwrap_or(usual.retries),
            memory: match &file.memory {
                Some(memory) => parse_memory(memory.get_ref())
                    .map_err(|why| (Some(line(memory.span().start)), why))?,
                None => usual.memory,
            },
        };
        let route = file.route.map(|route| {
            let line = line(route.span().start);
            parse_route(route.get_ref())
                .map(|route| (line, route))
                .map_err(|why| (Some(line), why))
        });
        let label = match file.label {
            Some(label) => {
                let line = line(label.span().start);
                let label = label.into_inner();
                let long = |text: &Option<String>| {
                    text.as_ref()
                        .is_some_and(|text| text.chars().count() > LABEL_LIMIT)
                };
                if long(&label.ja) || long(&label.en) {
                    return Err((
                        Some(line),
                        format!("label: at most {LABEL_LIMIT} characters are due"),
                    ));
                }
                label
            }
            None => Labels::default(),
        };
        if let Some(name) = file
            .environment
            .keys()
            .find(|name| name.is_empty() || name.contains(['=', '\0']) || name.starts_with("BCRL_"))
        {
            return Err((None, format!("environment: {name:?} cannot be set")));
        }
        Ok(Manifest {
            label,
            description: file.description,
            route: route.transpose()?,
            limits,
            environment: file.environment,
            python: file.python,
        })
    }
}

fn at_least_one(
    key: &str,
    value: Option<&toml::Spanned<u32>>,
    line: &impl Fn(usize) -> usize,
) -> Result<Option<u32>, Trouble> {
    match value {
        Some(value) if *value.get_ref() == 0 => Err((
            Some(line(value.span().start)),
            format!("{key}: it must be at least 1"),
        )),
        value => Ok(value.map(|value| *value.get_ref())),
    }
}

fn parse_timeout(text: &str) -> Result<u64, String> {
    let bad =
        || format!("timeout: {text:?} is no time; one such as \"90s\", \"10m\" or \"2h\" is due");
    let timeout = humantime_serde::re::humantime::parse_duration(text).map_err(|_| bad())?;
    let longest = Duration::from_secs(366 * 86400);
    if timeout < Duration::from_secs(1) || timeout > longest {
        return Err("timeout: it must be at least 1s and at most a year".into());
    }
    Ok(timeout.as_secs())
}

fn parse_memory(text: &str) -> Result<u64, String> {
    let bytes: ByteSize = text.parse().map_err(|_| {
        format!("memory: {text:?} is no size; one such as \"512MiB\" or \"2GiB\" is due")
    })?;
    if bytes < ByteSize::mib(16) {
        return Err("memory: it must be at least 16MiB, or Python does not start".into());
    }
    Ok(bytes.as_u64())
}

fn parse_route(text: &str) -> Result<ApiRoute, String> {
    let (method, pattern) = text
        .split_once(' ')
        .ok_or("route: a method and a path are due, such as \"POST /api/v1/soc\"")?;
    if method != "POST" {
        return Err(format!(
            "route: {method:?} cannot submit a job; POST is due"
        ));
    }
    let pattern = Pattern::parse(pattern.trim()).map_err(|error| format!("route: {error}"))?;
    Ok(ApiRoute {
        method: method.into(),
        pattern: pattern.to_string(),
    })
}
