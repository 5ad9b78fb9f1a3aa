//! `bcrl apis`: which APIs there are, and how to use one.

use clap::builder::NonEmptyStringValueParser;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::Error;
use super::exit::Exit;
use super::settings::{Format, Language};
use super::{Client, api_page, close_names, json_text, show};

/// What `bcrl apis` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Labels are Japanese where the locale (LC_ALL, LC_MESSAGES, LANG) is, else English.

Examples:
  bcrl apis
  bcrl apis soc
  bcrl apis --json soc | jq .example | bcrl submit soc --wait")]
pub struct ApisArgs {
    /// Describe this API: what it takes, an example, and commands to try
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
}

/// What the client reads of an API.
#[derive(Debug, Deserialize)]
pub(super) struct ApiSummary {
    /// Its name, which is part of its URL.
    pub(super) name: String,
    /// Its name for people.
    pub(super) label: Label,
    /// What it does, in Markdown.
    pub(super) description: Option<String>,
    /// Where it is called: the route that every API has, and those of its own.
    #[serde(default)]
    pub(super) routes: Vec<Route>,
    /// JSON Schema of its body.
    pub(super) schema: Option<serde_json::Value>,
    /// A body to try.
    pub(super) example: Option<Box<RawValue>>,
    /// The server's JSON of all this.
    #[serde(skip)]
    pub(super) json: String,
}

/// A name for people, in both languages.
#[derive(Debug, Deserialize)]
pub(super) struct Label {
    /// Japanese.
    pub(super) ja: String,
    /// English.
    pub(super) en: String,
}

/// A method and a path.
#[derive(Debug, Deserialize)]
pub(super) struct Route {
    /// Such as `POST`.
    pub(super) method: String,
    /// Such as `/api/v1/add/{num1}/{num2}`.
    pub(super) pattern: String,
}

pub(super) async fn run(args: &ApisArgs, client: &Client) -> Result<Exit, Error> {
    let mut apis = ApiSummary::fetch_all(client).await?;
    let terminal = &client.terminal;
    if let Some(name) = &args.name {
        let names = apis.iter().map(|api| api.name.as_str());
        let offered = close_names::closest(name, names);
        apis.retain(|api| api.name == *name);
        if apis.is_empty() {
            let name = name.clone();
            return Err(Error::UnknownApi { name, offered });
        }
    }
    match (terminal.format, &args.name, &apis[..]) {
        (Format::Human, _, []) => {
            terminal.note("no API is offered: no worker has published any yet")
        }
        (Format::Human, Some(_), [api, ..]) => terminal.print(&api_page::describe(api, client))?,
        (Format::Human, None, apis) => terminal.print(&table(apis, client.settings.language))?,
        (Format::Json, _, apis) => {
            for api in apis {
                terminal.print(&json_text::compact(&api.json))?;
            }
        }
        (Format::Quiet, _, apis) => {
            for api in apis {
                terminal.print(&show::plain(&api.name))?;
            }
        }
    }
    Ok(Exit::Done)
}

impl ApiSummary {
    /// All APIs on offer, by name.
    pub(super) async fn fetch_all(client: &Client) -> Result<Vec<ApiSummary>, Error> {
        let catalog = client.server.apis().await?;
        let read = |json: Box<RawValue>| {
            let api: ApiSummary = client.server.parse(json.get())?;
            let json = json.get().to_owned();
            Ok(ApiSummary { json, ..api })
        };
        let mut apis: Vec<ApiSummary> = catalog
            .into_iter()
            .map(read)
            .collect::<Result<_, Error>>()?;
        apis.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(apis)
    }

    /// Where it is called, each route once: its own ones, then the one that every API has.
    pub(super) fn routes(&self) -> Vec<String> {
        let general = format!("POST /api/v1/jobs/{}", self.name);
        let mut routes: Vec<String> = Vec::new();
        for route in &self.routes {
            let route = format!("{} {}", route.method, route.pattern);
            if route != general && !routes.contains(&route) {
                routes.push(route);
            }
        }
        routes.push(general);
        routes
    }
}

impl Label {
    /// The name in this language.
    pub(super) fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Ja => &self.ja,
            Language::En => &self.en,
        }
    }
}

fn table(apis: &[ApiSummary], language: Language) -> String {
    let row = |api: &ApiSummary| {
        let route = api.routes().swap_remove(0);
        [
            api.name.clone(),
            api.label.in_language(language).to_owned(),
            route,
        ]
    };
    let rows: Vec<_> = apis.iter().map(row).collect();
    show::table(["name", "label", "route"], &rows)
}
