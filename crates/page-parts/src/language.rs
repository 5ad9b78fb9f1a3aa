//! In which language somebody reads.

/// The cookie that remembers a choice.
pub const COOKIE: &str = "lang";
/// The parameter of a URL, and the control of a form, that chooses one.
pub const CONTROL: &str = "lang";
/// The cookie is kept for so many seconds: a year.
const COOKIE_AGE: u32 = 365 * 24 * 3600;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Japanese, where nobody says anything else.
    #[default]
    Ja,
    /// English.
    En,
}

impl Language {
    /// The language with this code, `ja` or `en`.
    pub fn of_code(code: &str) -> Option<Self> {
        match code {
            "ja" => Some(Language::Ja),
            "en" => Some(Language::En),
            _ => None,
        }
    }

    /// What the reader wants: what the URL says, else what was chosen before, else what the browser prefers.
    pub fn choose(
        query: Option<&str>,
        cookie: Option<&str>,
        accept_language: Option<&str>,
    ) -> Self {
        let chosen = query.and_then(Language::of_code);
        let chosen = chosen.or_else(|| cookie.and_then(Language::of_code));
        chosen.unwrap_or_else(|| {
            if accept_language.is_some_and(prefers_english) {
                Language::En
            } else {
                Language::Ja
            }
        })
    }

    /// Its code (BCP 47), for `lang` attributes and URLs.
    pub fn code(self) -> &'static str {
        self.say("ja", "en")
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Language::Ja => Language::En,
            Language::En => Language::Ja,
        }
    }

    /// Its own name.
    pub fn name(self) -> &'static str {
        self.say("日本語", "English")
    }

    /// Of a thing that is said in both languages, the one to be read.
    pub fn say<T>(self, ja: T, en: T) -> T {
        match self {
            Language::Ja => ja,
            Language::En => en,
        }
    }

    /// The header `Set-Cookie` that remembers it.
    pub fn cookie(self) -> String {
        let code = self.code();
        format!("{COOKIE}={code}; Path=/; Max-Age={COOKIE_AGE}; SameSite=Lax; HttpOnly")
    }
}

/// Whether English comes before Japanese in an `Accept-Language` (RFC 9110 section 12.5.4), or anything else does
/// without Japanese being named at all.
pub fn prefers_english(languages: &str) -> bool {
    let weigh = |range: &str| -> Option<(String, f32)> {
        let (language, rest) = range.split_once(';').unwrap_or((range, ""));
        let weight = rest
            .trim()
            .strip_prefix("q=")
            .map_or(Some(1.0), |q| q.parse().ok())?;
        let primary = language.trim().split('-').next()?.to_lowercase();
        (weight > 0.0 && !primary.is_empty()).then_some((primary, weight))
    };
    let ranges: Vec<_> = languages.split(',').filter_map(weigh).collect();
    let best = |wanted: &str| {
        ranges
            .iter()
            .filter(|(language, _)| language == wanted)
            .map(|(_, weight)| *weight)
            .fold(0.0, f32::max)
    };
    let (ja, en) = (best("ja"), best("en"));
    if ja == 0.0 {
        ranges.iter().any(|(language, _)| language != "*")
    } else {
        en > ja
    }
}

/// The value of the cookie in a header `Cookie` (RFC 6265 section 4.2).
pub fn of_cookies(cookies: &str) -> Option<&str> {
    cookies.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_preferred_where_it_comes_first() {
        for (languages, english) in [
            ("ja", false),
            ("en-US,en;q=0.9,ja;q=0.8", true),
            ("ja,en;q=0.5", false),
            ("de", true),
            ("*", false),
            ("", false),
            ("en;q=0", false),
            ("ja;q=0.2, en;q=0.3", true),
        ] {
            assert_eq!(prefers_english(languages), english, "{languages}");
        }
    }

    #[test]
    fn the_url_wins_over_the_cookie_and_the_cookie_over_the_browser() {
        use Language::{En, Ja};
        for (query, cookie, header, language) in [
            (None, None, None, Ja),
            (None, None, Some("en"), En),
            (None, Some("ja"), Some("en"), Ja),
            (Some("en"), Some("ja"), None, En),
            (Some("xx"), Some("en"), None, En),
            (Some("<script>"), Some("yy"), Some("ja"), Ja),
        ] {
            assert_eq!(Language::choose(query, cookie, header), language);
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(of_cookies("a=b; lang=en; c=d"), Some("en"));
        assert_eq!(of_cookies("language=en"), None);
        assert_eq!(of_cookies(""), None);
    }
}
