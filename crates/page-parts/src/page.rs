//! What the layout is filled with.

use crate::assets;
use crate::language::{self, Language};

/// One page, as far as it is like all others.
#[derive(Debug, Clone)]
pub struct Page {
    /// In which language it is read.
    pub language: Language,
    /// Its title, without the site's name.
    pub title: String,
    /// The same page in the other language: a query alone, which leads to the page's own path whatever that looks like.
    pub other_language: String,
    /// Somebody's input stands in its form, whose id is `form`: the other language is asked for with it, so that nothing
    /// is lost.
    pub has_input: bool,
    /// After so many seconds a browser without scripts asks again; nothing where it does not.
    pub refresh: Option<u32>,
    /// It is not to be found again by search engines, and is no place to come back to.
    pub is_error: bool,
}

impl Page {
    /// A page whose URL has this query, without `?`.
    pub fn new(language: Language, title: impl Into<String>, query: &str) -> Self {
        let other = language.other().code();
        let rest = query.split('&');
        let rest = rest.filter(|pair| !pair.is_empty() && !pair.starts_with("lang="));
        let pairs: Vec<_> = rest
            .chain([format!("lang={other}").as_str()])
            .map(str::to_owned)
            .collect();
        Page {
            language,
            title: title.into(),
            other_language: format!("?{}", pairs.join("&")),
            has_input: false,
            refresh: None,
            is_error: false,
        }
    }

    /// The same, asked for again after so many seconds where scripts do not run.
    pub fn refreshed(self, seconds: Option<u32>) -> Self {
        Page {
            refresh: seconds,
            ..self
        }
    }

    /// The same, where somebody's input stands in its form.
    pub fn with_input(self) -> Self {
        Page {
            has_input: true,
            ..self
        }
    }

    /// The same, where something is wrong.
    pub fn of_error(self) -> Self {
        let prefix = self.language.say("エラー: ", "Error: ");
        Page {
            title: format!("{prefix}{}", self.title),
            is_error: true,
            ..self
        }
    }

    /// Of a text in both languages, the one to be read.
    pub fn say<'a>(&self, ja: &'a str, en: &'a str) -> &'a str {
        self.language.say(ja, en)
    }

    /// The name of the control that asks for another language.
    pub fn language_control(&self) -> &'static str {
        language::CONTROL
    }

    /// The language's code, for `lang` attributes.
    pub fn code(&self) -> &'static str {
        self.language.code()
    }

    /// The URL of the stylesheet.
    pub fn stylesheet(&self) -> String {
        assets::url(&assets::STYLESHEET)
    }

    /// The URL of the script.
    pub fn script(&self) -> String {
        assets::url(&assets::SCRIPT)
    }

    /// The URL of the icon.
    pub fn icon(&self) -> String {
        assets::url(&assets::ICON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_language_keeps_the_rest_of_the_query() {
        let page = Page::new(Language::Ja, "t", "example=1&lang=ja");
        assert_eq!(page.other_language, "?example=1&lang=en");
        let page = Page::new(Language::En, "t", "");
        assert_eq!(page.other_language, "?lang=ja");
    }
}
