//! Which URL counts as which API in the logs: the routes of one day with their names, kept beside the day's lines.
//!
//! `ApiRoutes.[yyyy-MM-dd].json` is [`ApiRoutes`]; [`Names`] is what it says about a request.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};

use crate::catalog::Label;
use crate::route::{Lookup, Pattern, PatternError, Route, RouteTable, Target};

/// Most characters of a name in the database.
const LONGEST_NAME: usize = 100;

/// The routes that there were on a day, with their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRoutes {
    /// Version of this format; 1.
    pub version: u32,
    /// What comes first counts first.
    pub routes: Vec<NamedRoute>,
}

/// A method on a pattern, and how it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedRoute {
    /// The HTTP method.
    pub method: String,
    /// The path with its parameters in braces.
    pub pattern: String,
    /// The API's stable name.
    pub key: String,
    /// The API's name for people.
    pub label: Label,
}

impl From<&Route> for NamedRoute {
    fn from(route: &Route) -> Self {
        NamedRoute {
            method: route.method.clone(),
            pattern: route.pattern.to_string(),
            key: route.key.clone(),
            label: route.label.clone(),
        }
    }
}

impl NamedRoute {
    /// A route for looking names up, where its pattern is one. Who answers does not matter there.
    fn route(&self) -> Result<Route, PatternError> {
        Ok(Route {
            method: self.method.clone(),
            pattern: match self.pattern.as_str() {
                "/" => Pattern::root(),
                pattern => Pattern::parse(pattern)?,
            },
            key: self.key.clone(),
            label: self.label.clone(),
            target: Target::BuiltIn,
        })
    }
}

impl ApiRoutes {
    /// The version that is written.
    pub const VERSION: u32 = 1;

    /// These routes; what comes first counts first.
    pub fn new(routes: Vec<NamedRoute>) -> Self {
        ApiRoutes {
            version: Self::VERSION,
            routes,
        }
    }

    /// These routes, and behind them those of `earlier` that are there no more: the lines of a day keep the names that
    /// they had.
    pub fn after(&self, earlier: &ApiRoutes) -> ApiRoutes {
        let mut merged = self.clone();
        let here: HashSet<_> = self
            .routes
            .iter()
            .map(|r| (&r.method, &r.pattern))
            .collect();
        let gone = earlier
            .routes
            .iter()
            .filter(|route| !here.contains(&(&route.method, &route.pattern)));
        merged.routes.extend(gone.cloned());
        merged
    }
}

/// How requests are counted on one day.
#[derive(Debug, Clone, Default)]
pub struct Names {
    table: RouteTable,
    /// The name of each key: one key has one name, and no two keys have the same.
    names: HashMap<String, String>,
}

/// An API as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// Its stable name.
    pub key: &'a str,
    /// Its Japanese label; at most 100 characters.
    pub name: &'a str,
}

impl Names {
    /// The names that these routes give. A route whose pattern is none, or which fits the same URLs equally well as an
    /// earlier one, is left out.
    pub fn new(routes: &ApiRoutes) -> Self {
        let mut names = Names::default();
        let mut taken = HashSet::new();
        for named in &routes.routes {
            let is_new = named
                .route()
                .is_ok_and(|route| names.table.add(route).is_ok());
            if is_new && !names.names.contains_key(&named.key) {
                let name = free_name(&named.label.ja, &named.key, &taken);
                taken.insert(name.clone());
                names.names.insert(named.key.clone(), name);
            }
        }
        names
    }

    /// The API that a request counts for: its method, and its URL as received. Nothing where no route fits.
    pub fn find(&self, method: &str, url: &[u8]) -> Option<Named<'_>> {
        let path = url.split(|byte| *byte == b'?').next()?;
        let path = path.strip_prefix(b"/")?;
        let segments: Vec<String> = path
            .split(|byte| *byte == b'/')
            .map(|segment| percent_decode(segment).decode_utf8_lossy())
            .map(Cow::into_owned)
            .collect();
        // Whoever may GET may ask for the head alone.
        let method = if method == "HEAD" { "GET" } else { method };
        match self.table.find(method, &segments) {
            Lookup::Found(route, _) => {
                let (key, name) = self.names.get_key_value(&route.key)?;
                Some(Named { key, name })
            }
            Lookup::OtherMethods(_) | Lookup::Nothing => None,
        }
    }
}

/// The label, cut to what the database takes; where another API has it, with the key behind it.
fn free_name(label: &str, key: &str, taken: &HashSet<String>) -> String {
    let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    let name = cut(label, LONGEST_NAME);
    if !taken.contains(&name) {
        return name;
    }
    let behind = format!(" ({})", cut(key, LONGEST_NAME - 3));
    let room = LONGEST_NAME - behind.chars().count();
    cut(label, room) + &behind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(method: &str, pattern: &str, key: &str, ja: &str) -> NamedRoute {
        NamedRoute {
            method: method.into(),
            pattern: pattern.into(),
            key: key.into(),
            label: Label {
                ja: ja.into(),
                en: key.into(),
            },
        }
    }

    fn day() -> ApiRoutes {
        ApiRoutes::new(vec![
            named("GET", "/", "front", "トップ"),
            named("GET", "/jobs/{uuid}", "job", "ジョブ"),
            named("POST", "/jobs/{api}", "submit", "登録"),
            named("POST", "/jobs/add", "add", "足し算"),
            named("POST", "/add/{a}/{b}", "add", "加算"),
        ])
    }

    fn name<'a>(names: &'a Names, method: &str, url: &[u8]) -> Option<&'a str> {
        names.find(method, url).map(|named| named.name)
    }

    #[test]
    fn a_request_has_the_name_of_the_narrowest_route() {
        let names = Names::new(&day());
        for (method, url, expected) in [
            ("GET", &b"/"[..], Some("トップ")),
            ("GET", b"/?lang=en", Some("トップ")),
            ("HEAD", b"/jobs/1", Some("ジョブ")),
            ("POST", b"/jobs/add?webhook=/a/b", Some("足し算")),
            ("POST", b"/jobs/%61dd", Some("足し算")),
            ("POST", b"/jobs/\xff", Some("登録")),
            ("POST", b"/add/1/2", Some("足し算")),
            ("POST", b"/add/1%2F2", None),
            ("PUT", b"/jobs/1", None),
            ("OPTIONS", b"*", None),
            ("GET", b"", None),
        ] {
            assert_eq!(name(&names, method, url), expected, "{method} {url:?}");
        }
        assert_eq!(names.find("POST", b"/jobs/add").unwrap().key, "add");
    }

    #[test]
    fn routes_that_are_gone_keep_their_names_and_new_names_count() {
        let now = ApiRoutes::new(vec![
            named("GET", "/jobs/{uuid}", "job", "仕事"),
            named("GET", "/new", "new", "新"),
        ]);
        let names = Names::new(&now.after(&day()));
        assert_eq!(name(&names, "GET", b"/jobs/1"), Some("仕事"));
        assert_eq!(name(&names, "GET", b"/new"), Some("新"));
        assert_eq!(name(&names, "POST", b"/add/1/2"), Some("足し算"));
        assert_eq!(now.after(&now), now);
        assert_eq!(now.after(&day()).after(&day()), now.after(&day()));
    }

    #[test]
    fn two_apis_never_share_a_name() {
        let long = "長".repeat(120);
        let names = Names::new(&ApiRoutes::new(vec![
            named("GET", "/a", "a", "同じ"),
            named("GET", "/b", "b", "同じ"),
            named("GET", "/c", "c", &long),
            named("GET", "/d", "d", &long),
            named("GET", "no pattern", "e", "誤り"),
        ]));
        assert_eq!(name(&names, "GET", b"/a"), Some("同じ"));
        assert_eq!(name(&names, "GET", b"/b"), Some("同じ (b)"));
        let cut = name(&names, "GET", b"/d").unwrap();
        assert_eq!(name(&names, "GET", b"/c"), Some("長".repeat(100).as_str()));
        assert_eq!(cut, "長".repeat(96) + " (d)");
    }

    #[test]
    fn the_file_is_json_with_labels() {
        let text = serde_json::to_string(&ApiRoutes::new(vec![named("GET", "/a", "a", "あ")]));
        let text = text.unwrap();
        assert_eq!(
            text,
            r#"{"version":1,"routes":[{"method":"GET","pattern":"/a","key":"a","label":{"ja":"あ","en":"a"}}]}"#
        );
        assert!(serde_json::from_str::<ApiRoutes>(&text).is_ok());
    }
}
