//! What holds for every client command: where the server is, who asks, and for whom the output is.
//! The only place of the client that reads the environment.

use reqwest::Url;

use super::error::Error;

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Options of every client command. The key is no option, because others can read a command line: it is in `BCRL_KEY`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of all client commands")]
pub struct Options {
    /// Address of the API server
    #[arg(
        long,
        global = true,
        env = "BCRL_URL",
        default_value = DEFAULT_URL,
        hide_env_values = true,
        value_name = "URL"
    )]
    url: String,

    /// Print the server's JSON, one document a line, for programs
    #[arg(long, global = true, conflicts_with = "quiet")]
    json: bool,

    /// Print ids only, and nothing on stderr but errors
    #[arg(long, short, global = true)]
    quiet: bool,
}

impl Options {
    /// For whom the output is.
    pub(super) fn format(&self) -> Format {
        match (self.json, self.quiet) {
            (true, _) => Format::Json,
            (_, true) => Format::Quiet,
            _ => Format::Human,
        }
    }
}

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For a person: words, tables, bars, hints.
    Human,
    /// For a program: the server's JSON, one document a line.
    Json,
    /// For a pipe: ids only, one a line.
    Quiet,
}

/// The language of names and labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// Japanese.
    Ja,
    /// English.
    En,
}

impl Language {
    /// The language of a POSIX locale such as `ja_JP.UTF-8`.
    fn of_locale(locale: &str) -> Language {
        if locale.starts_with("ja") {
            Language::Ja
        } else {
            Language::En
        }
    }

    /// Its language tag (RFC 5646), as `Accept-Language` has it.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Language::Ja => "ja",
            Language::En => "en",
        }
    }
}

/// Options and environment, checked.
#[derive(Debug)]
pub(super) struct Settings {
    /// Address of the API server, without a slash at its end.
    pub(super) url: Url,
    /// The bearer key, where there is one. Never shown.
    pub(super) key: Option<String>,
    /// The language of labels.
    pub(super) language: Language,
    /// How the user has to begin a command to reach the same server again: `bcrl`, or `bcrl --url …`.
    pub(super) command: String,
}

impl Settings {
    /// Checks the options and reads the rest from the environment.
    ///
    /// # Errors
    /// Where the address is none.
    pub(super) fn new(options: &Options) -> Result<Settings, Error> {
        let usual = environment("BCRL_URL").unwrap_or_else(|| DEFAULT_URL.to_owned());
        let url = parse_url(&options.url)?;
        let command = match options.url == usual || url.password().is_some() {
            true => "bcrl".to_owned(),
            false => format!("bcrl --url {}", options.url),
        };
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(environment)
            .unwrap_or_default();
        Ok(Settings {
            url,
            key: environment("BCRL_KEY"),
            language: Language::of_locale(&locale),
            command,
        })
    }
}

/// A variable that is set and not empty.
fn environment(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the client has no settings file; this is its one reader"
    )]
    let value = std::env::var(name).ok()?;
    Some(value).filter(|value| !value.is_empty())
}

fn parse_url(text: &str) -> Result<Url, Error> {
    // Paths are put behind it, so nothing may follow its own.
    let ends_with_path = |url: &Url| url.query().is_none() && url.fragment().is_none();
    text.parse::<Url>()
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .filter(ends_with_path)
        .ok_or_else(|| {
            Error::Usage(format!(
                "{text:?} is no address of a server: one such as {DEFAULT_URL} is due"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_addresses_are_taken() {
        assert!(parse_url("https://jobs.example/bcrl/").is_ok());
        for bad in [
            "",
            "localhost:8080",
            "ftp://example",
            "http://example/?a=b",
            "http://example/#part",
            "/tmp/socket",
            "http://",
        ] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn labels_are_japanese_where_the_locale_is() {
        assert_eq!(Language::of_locale("ja_JP.UTF-8"), Language::Ja);
        for english in ["", "C", "en_US.UTF-8", "de_DE"] {
            assert_eq!(Language::of_locale(english), Language::En);
        }
    }
}
