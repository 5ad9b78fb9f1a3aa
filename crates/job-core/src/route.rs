//! Which URL means which API: one table routes requests and names APIs in the logs.
//!
//! Longer patterns come before shorter ones and literals before parameters, so that at most one route fits a URL and
//! method; two that would fit equally well are refused when the table is made.

use std::collections::BTreeSet;
use std::fmt;

use crate::catalog::Label;
use crate::ids::ApiName;

/// A path with parameters, such as `/api/v1/add/{num1}/{num2}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Segment>);

/// What stands between two slashes. Literals sort before parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter(String),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with a slash, ends with one, or has two in a row.
    #[error(
        "a path such as /api/v1/add/{{num1}} is due: a slash in front, none at the end, no two in a row"
    )]
    Shape,
    /// A segment holds something that a literal or a parameter may not.
    #[error("segment {0:?}: letters, digits, '-', '_', '.', '~' are due, or one name in braces")]
    Segment(String),
    /// One name stands twice.
    #[error("parameter {0:?} stands in it twice")]
    Double(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PatternError::Shape)?;
        let mut names = BTreeSet::new();
        let segments = rest
            .split('/')
            .map(|segment| match Segment::parse(segment)? {
                Segment::Parameter(name) if !names.insert(name.clone()) => {
                    Err(PatternError::Double(name))
                }
                segment => Ok(segment),
            });
        segments.collect::<Result<_, _>>().map(Pattern)
    }

    /// The path `/`, which no text that is read is a pattern of: it is the server's own.
    pub fn root() -> Self {
        Pattern(vec![Segment::Literal(String::new())])
    }

    /// The names of its parameters, from left to right.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// The values of the parameters where this path fits.
    fn fit(&self, path: &[String]) -> Option<Vec<(String, String)>> {
        if path.len() != self.0.len() {
            return None;
        }
        let mut values = Vec::new();
        for (segment, part) in self.0.iter().zip(path) {
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Parameter(name) if !part.is_empty() => {
                    values.push((name.clone(), part.clone()))
                }
                _ => return None,
            }
        }
        Some(values)
    }

    /// Whether some path fits both.
    fn overlaps(&self, other: &Pattern) -> bool {
        let meet = |pair: (&Segment, &Segment)| match pair {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            _ => true,
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(meet)
    }

    /// Whether every path that fits this one fits the other, and not the other way round.
    fn is_narrower_than(&self, other: &Pattern) -> bool {
        let literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
        let mut pairs = self.0.iter().zip(&other.0);
        let at_most = pairs
            .clone()
            .all(|(mine, theirs)| literal(mine) || !literal(theirs));
        at_most && pairs.any(|(mine, theirs)| literal(mine) && !literal(theirs))
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, PatternError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        let bad = || Err(PatternError::Segment(text.chars().take(100).collect()));
        match text
            .strip_prefix('{')
            .and_then(|inner| inner.strip_suffix('}'))
        {
            _ if text.is_empty() => Err(PatternError::Shape),
            Some(name)
                if !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
            {
                Ok(Segment::Parameter(name.into()))
            }
            Some(_) => bad(),
            None if text.chars().all(plain) && text.chars().any(|c| c != '.') => {
                Ok(Segment::Literal(text.into()))
            }
            None => bad(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.0 {
            match segment {
                Segment::Literal(literal) => write!(f, "/{literal}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
            }
        }
        Ok(())
    }
}

/// One method on one pattern, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: String,
    /// The paths.
    pub pattern: Pattern,
    /// The API's stable name in logs and statistics.
    pub key: String,
    /// The API's name for people.
    pub label: Label,
    /// Who answers.
    pub target: Target,
}

/// Who answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The server itself; the route's key says which of its endpoints.
    BuiltIn,
    /// It is a submit to this API.
    Submit(ApiName),
}

/// Two routes that fit one URL and method equally well, or one that would take a URL from the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route {method} {refused} of {refused_key} fits the same URLs as {kept} of {kept_key}")]
pub struct RouteConflict {
    /// The method of both.
    pub method: String,
    /// The pattern that was not taken.
    pub refused: String,
    /// Whose it is.
    pub refused_key: String,
    /// The pattern that was there.
    pub kept: String,
    /// Whose it is.
    pub kept_key: String,
}

/// The table, in the order in which patterns are tried.
#[derive(Debug, Clone, Default)]
pub struct RouteTable(Vec<Route>);

/// What a table says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// This route, with the values of its parameters.
    Found(&'a Route, Vec<(String, String)>),
    /// The URL is known, the method is not: these are.
    OtherMethods(BTreeSet<&'a str>),
    /// No pattern fits.
    Nothing,
}

impl RouteTable {
    /// Adds a route.
    ///
    /// # Errors
    /// Where another one fits some URL and method equally well, or a built-in one fits any of its URLs at all: an app
    /// cannot take a URL from the server.
    pub fn add(&mut self, route: Route) -> Result<(), RouteConflict> {
        let overlapping = self.0.iter().find(|other| {
            let built_in = other.target == Target::BuiltIn && route.target != Target::BuiltIn;
            let ranked = route.pattern.is_narrower_than(&other.pattern)
                || other.pattern.is_narrower_than(&route.pattern);
            other.method == route.method
                && route.pattern.overlaps(&other.pattern)
                && (built_in || !ranked)
        });
        if let Some(other) = overlapping {
            return Err(RouteConflict {
                method: route.method.clone(),
                refused: route.pattern.to_string(),
                refused_key: route.key.clone(),
                kept: other.pattern.to_string(),
                kept_key: other.key.clone(),
            });
        }
        let rank = |route: &Route| {
            (
                std::cmp::Reverse(route.pattern.0.len()),
                route.pattern.0.clone(),
            )
        };
        let place = self.0.partition_point(|other| rank(other) <= rank(&route));
        self.0.insert(place, route);
        Ok(())
    }

    /// The routes, in the order in which they are tried.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// Finds who answers `method` on a path, given as its decoded segments.
    pub fn find(&self, method: &str, path: &[String]) -> Lookup<'_> {
        let fitting = || {
            self.0
                .iter()
                .filter_map(|route| Some((route, route.pattern.fit(path)?)))
        };
        if let Some((route, values)) = fitting().find(|(route, _)| route.method == method) {
            return Lookup::Found(route, values);
        }
        let methods: BTreeSet<_> = fitting().map(|(route, _)| route.method.as_str()).collect();
        if methods.is_empty() {
            Lookup::Nothing
        } else {
            Lookup::OtherMethods(methods)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn route(method: &str, pattern: &str, api: Option<&str>) -> Route {
        let key = api.unwrap_or(pattern).to_owned();
        Route {
            method: method.into(),
            pattern: Pattern::parse(pattern).unwrap(),
            label: Label {
                ja: key.clone(),
                en: key.clone(),
            },
            key,
            target: api.map_or(Target::BuiltIn, |api| Target::Submit(api.parse().unwrap())),
        }
    }

    fn table(patterns: &[&str]) -> RouteTable {
        let mut table = RouteTable::default();
        for pattern in patterns {
            table.add(route("GET", pattern, None)).unwrap();
        }
        table
    }

    fn path(text: &str) -> Vec<String> {
        text.trim_start_matches('/')
            .split('/')
            .map(str::to_owned)
            .collect()
    }

    fn found(table: &RouteTable, text: &str) -> String {
        match table.find("GET", &path(text)) {
            Lookup::Found(route, _) => route.pattern.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn literals_come_before_parameters() {
        let table = table(&[
            "/jobs/{uuid}",
            "/jobs/{uuid}/result",
            "/jobs/newest",
            "/jobs/{uuid}/{part}",
        ]);
        assert_eq!(found(&table, "/jobs/newest"), "/jobs/newest");
        assert_eq!(found(&table, "/jobs/1"), "/jobs/{uuid}");
        assert_eq!(found(&table, "/jobs/1/result"), "/jobs/{uuid}/result");
        assert_eq!(found(&table, "/jobs/1/log"), "/jobs/{uuid}/{part}");
        assert_eq!(table.find("GET", &path("/jobs/1/2/3")), Lookup::Nothing);
        assert_eq!(table.find("GET", &path("/jobs/")), Lookup::Nothing);
        assert_eq!(
            table.find("PUT", &path("/jobs/1")),
            Lookup::OtherMethods(["GET"].into())
        );
    }

    #[test]
    fn parameters_carry_the_names_of_their_pattern() {
        let mut table = RouteTable::default();
        table
            .add(route("POST", "/api/v1/add/{num1}/{num2}", Some("add")))
            .unwrap();
        let Lookup::Found(_, values) = table.find("POST", &path("/api/v1/add/12/23")) else {
            panic!()
        };
        assert_eq!(
            values,
            [("num1".into(), "12".into()), ("num2".into(), "23".into())]
        );
    }

    #[test]
    fn two_routes_that_fit_one_url_equally_well_are_refused() {
        for (kept, refused) in [
            ("/a/{x}", "/a/{y}"),
            ("/a/{x}/c", "/a/b/{y}"),
            ("/a/b", "/a/b"),
        ] {
            let mut table = table(&[kept]);
            let conflict = table
                .add(route("GET", refused, None))
                .unwrap_err()
                .to_string();
            assert!(
                conflict.contains(kept) && conflict.contains(refused),
                "{conflict}"
            );
            table.add(route("POST", refused, None)).unwrap();
        }
    }

    #[test]
    fn an_app_cannot_take_a_url_from_the_server() {
        let mut table = RouteTable::default();
        table
            .add(route("POST", "/api/v1/jobs/{api}", None))
            .unwrap();
        assert!(
            table
                .add(route("POST", "/api/v1/jobs/soc", Some("evil")))
                .is_err()
        );
        assert!(
            table
                .add(route("POST", "/{a}/{b}/{c}/{d}", Some("evil")))
                .is_err()
        );
        table
            .add(route("POST", "/api/v1/soc", Some("soc")))
            .unwrap();
    }

    #[test]
    fn patterns_are_checked() {
        for bad in [
            "", "a", "/", "/a/", "/a//b", "/a/../b", "/a b", "/{}", "/{a-b}", "/{a}{b}",
            "/{a}/{a}", "/%61", "/é",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Pattern::parse("/a/{b}/c.d").unwrap().to_string(),
            "/a/{b}/c.d"
        );
    }

    proptest! {
        #[test]
        fn the_order_of_adding_does_not_matter(mut patterns in proptest::collection::vec("(/(a|b|\\{x\\}|\\{y\\})){1,3}", 1..8), url in "(/(a|b|c)){1,3}") {
            patterns.retain(|pattern| Pattern::parse(pattern).is_ok());
            let mut forward = RouteTable::default();
            let kept: Vec<_> = patterns.iter().filter(|p| forward.add(route("GET", p, None)).is_ok()).collect();
            let mut backward = RouteTable::default();
            for pattern in kept.iter().rev() {
                backward.add(route("GET", pattern, None)).unwrap();
            }
            prop_assert_eq!(forward.find("GET", &path(&url)), backward.find("GET", &path(&url)));
        }
    }
}
