//! Short words for what these tests do with lines and files.

use std::path::Path;
use std::time::Duration;

use access_log::AccessLog;
use job_core::access_log::Line;
use job_core::api_routes::{ApiRoutes, NamedRoute};
use job_core::catalog::Label;

/// The day of most lines.
pub(crate) const DAY: &str = "2026-11-21";

/// A log in a folder.
pub(crate) fn start(dir: &Path) -> AccessLog {
    AccessLog::start(dir.to_owned(), None, routes(&["/a"]))
}

/// A line that came at this time.
pub(crate) fn line(url: &[u8], time: &str) -> Line {
    let time = time.parse().unwrap();
    Line::new(url, b"GET", 200, Duration::from_micros(1500), time)
}

/// A line of [`DAY`].
pub(crate) fn at_noon(url: &[u8]) -> Line {
    line(url, &format!("{DAY}T12:00:00.000+09:00"))
}

/// Routes with these patterns.
pub(crate) fn routes(patterns: &[&str]) -> ApiRoutes {
    let named = |pattern: &&str| NamedRoute {
        method: "GET".into(),
        pattern: (*pattern).into(),
        key: pattern[1..].into(),
        label: Label {
            ja: format!("{pattern}のAPI"),
            en: (*pattern).into(),
        },
    };
    ApiRoutes::new(patterns.iter().map(named).collect())
}

/// The whole lines of a file.
#[track_caller]
pub(crate) fn lines(dir: &Path, name: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read(dir.join(name)).unwrap();
    let text = text.strip_suffix(b"\n").expect("the last line has its end");
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}
