//! The endpoints that are built in, with their URLs and their names in the logs.

use job_core::catalog::Label;
use job_core::route::{Pattern, Route, RouteTable, Target};

use crate::pages::Place;
use crate::rate::Counted;

/// The media type of JSON (RFC 8259).
pub const JSON: &str = "application/json";
/// The media type of CSV (RFC 4180, RFC 7111).
pub const CSV: &str = "text/csv";

/// Who answers a request that is none of an app's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /api/v1/jobs/{api}`
    Submit,
    /// `GET /api/v1/jobs`
    List,
    /// `GET /api/v1/jobs/{uuid}`
    Job,
    /// `GET /api/v1/job/{uuid}`, another spelling of the same.
    JobAlias,
    /// `DELETE /api/v1/jobs/{uuid}`
    Cancel,
    /// `GET /api/v1/jobs/{uuid}/result`
    Result,
    /// `GET /api/v1/jobs/{uuid}/log`
    Log,
    /// `GET /api/v1/jobs/{uuid}/events`
    Events,
    /// `POST /api/v1/jobs/{uuid}/rerun`
    Rerun,
    /// `GET /api/v1/apis`
    Apis,
    /// `GET /healthz`
    Healthz,
    /// `GET /readyz`
    Readyz,
    /// `GET /openapi.json`
    OpenApi,
    /// `GET /docs`
    Docs,
    /// `GET /docs/{file}`
    DocsFile,
    /// `GET /metrics`
    Metrics,
    /// `GET /problems/{name}`
    ProblemPage,
    /// The pages for people.
    Page(Place),
}

/// A route that is built in.
struct BuiltIn {
    endpoint: Endpoint,
    method: &'static str,
    pattern: &'static str,
    /// Its name in the logs, which never changes.
    key: &'static str,
    /// Its name for people, in Japanese.
    ja: &'static str,
    /// The same in English.
    en: &'static str,
}

const TABLE: [BuiltIn; 25] = [
    BuiltIn {
        endpoint: Endpoint::Submit,
        method: "POST",
        pattern: "/api/v1/jobs/{api}",
        key: "job-submit",
        ja: "ジョブ登録API",
        en: "Submit a job",
    },
    BuiltIn {
        endpoint: Endpoint::List,
        method: "GET",
        pattern: "/api/v1/jobs",
        key: "job-list",
        ja: "ジョブ一覧取得API",
        en: "List jobs",
    },
    BuiltIn {
        endpoint: Endpoint::Job,
        method: "GET",
        pattern: "/api/v1/jobs/{uuid}",
        key: "job-status",
        ja: "ジョブ状態取得API",
        en: "Get a job's status",
    },
    BuiltIn {
        endpoint: Endpoint::JobAlias,
        method: "GET",
        pattern: "/api/v1/job/{uuid}",
        key: "job-status-alias",
        ja: "ジョブ状態取得API(別名)",
        en: "Get a job's status (alias)",
    },
    BuiltIn {
        endpoint: Endpoint::Cancel,
        method: "DELETE",
        pattern: "/api/v1/jobs/{uuid}",
        key: "job-cancel",
        ja: "ジョブ取消API",
        en: "Cancel a job",
    },
    BuiltIn {
        endpoint: Endpoint::Result,
        method: "GET",
        pattern: "/api/v1/jobs/{uuid}/result",
        key: "job-result",
        ja: "ジョブ結果取得API",
        en: "Get a job's result",
    },
    BuiltIn {
        endpoint: Endpoint::Log,
        method: "GET",
        pattern: "/api/v1/jobs/{uuid}/log",
        key: "job-log",
        ja: "ジョブログ取得API",
        en: "Get a job's log",
    },
    BuiltIn {
        endpoint: Endpoint::Events,
        method: "GET",
        pattern: "/api/v1/jobs/{uuid}/events",
        key: "job-events",
        ja: "ジョブ変化通知API",
        en: "Follow a job",
    },
    BuiltIn {
        endpoint: Endpoint::Rerun,
        method: "POST",
        pattern: "/api/v1/jobs/{uuid}/rerun",
        key: "job-rerun",
        ja: "ジョブ再登録API",
        en: "Submit a job again",
    },
    BuiltIn {
        endpoint: Endpoint::Apis,
        method: "GET",
        pattern: "/api/v1/apis",
        key: "api-list",
        ja: "API一覧取得API",
        en: "List the APIs",
    },
    BuiltIn {
        endpoint: Endpoint::Healthz,
        method: "GET",
        pattern: "/healthz",
        key: "healthz",
        ja: "生存確認API",
        en: "Is the process alive",
    },
    BuiltIn {
        endpoint: Endpoint::Readyz,
        method: "GET",
        pattern: "/readyz",
        key: "readyz",
        ja: "稼働確認API",
        en: "Can jobs be run",
    },
    BuiltIn {
        endpoint: Endpoint::OpenApi,
        method: "GET",
        pattern: "/openapi.json",
        key: "openapi",
        ja: "API定義取得API",
        en: "Get the API's description",
    },
    BuiltIn {
        endpoint: Endpoint::Docs,
        method: "GET",
        pattern: "/docs",
        key: "docs",
        ja: "APIドキュメント",
        en: "The API's documentation",
    },
    BuiltIn {
        endpoint: Endpoint::DocsFile,
        method: "GET",
        pattern: "/docs/{file}",
        key: "docs-file",
        ja: "APIドキュメントの部品",
        en: "A part of the API's documentation",
    },
    BuiltIn {
        endpoint: Endpoint::Metrics,
        method: "GET",
        pattern: "/metrics",
        key: "metrics",
        ja: "稼働指標取得API",
        en: "Get the server's figures",
    },
    BuiltIn {
        endpoint: Endpoint::ProblemPage,
        method: "GET",
        pattern: "/problems/{name}",
        key: "problem",
        ja: "エラー説明ページ",
        en: "Explain a problem",
    },
    BuiltIn {
        endpoint: Endpoint::Page(Place::Index),
        method: "GET",
        pattern: "/",
        key: "page-index",
        ja: "トップページ",
        en: "Front page",
    },
    BuiltIn {
        endpoint: Endpoint::Page(Place::Asset),
        method: "GET",
        pattern: "/assets/{name}",
        key: "page-asset",
        ja: "ページの部品",
        en: "Part of pages",
    },
    BuiltIn {
        endpoint: Endpoint::Page(Place::Form),
        method: "GET",
        pattern: "/apis/{api}",
        key: "page-form",
        ja: "入力ページ",
        en: "Form of an API",
    },
    BuiltIn {
        endpoint: Endpoint::Page(Place::Send),
        method: "POST",
        pattern: "/apis/{api}",
        key: "page-send",
        ja: "入力ページからの登録",
        en: "Submit by a form",
    },
    BuiltIn {
        endpoint: Endpoint::Page(Place::Find),
        method: "GET",
        pattern: "/jobs",
        key: "page-find",
        ja: "ジョブ検索",
        en: "Find a job",
    },
    BuiltIn {
        endpoint: Endpoint::Page(Place::Job),
        method: "GET",
        pattern: "/jobs/{uuid}",
        key: "page-job",
        ja: "ジョブのページ",
        en: "Page of a job",
    },
    BuiltIn {
        endpoint: Endpoint::Page(Place::Cancel),
        method: "POST",
        pattern: "/jobs/{uuid}/cancel",
        key: "page-cancel",
        ja: "ジョブのページからの取消",
        en: "Cancel by the page",
    },
    BuiltIn {
        endpoint: Endpoint::Page(Place::Rerun),
        method: "POST",
        pattern: "/jobs/{uuid}/rerun",
        key: "page-rerun",
        ja: "ジョブのページからの再登録",
        en: "Submit again by the page",
    },
];

impl Endpoint {
    /// The endpoint of a route; an app's own one submits.
    pub fn of(route: &Route) -> Option<Endpoint> {
        if matches!(route.target, Target::Submit(_)) {
            return Some(Endpoint::Submit);
        }
        let built_in = TABLE.iter().find(|built_in| built_in.key == route.key)?;
        Some(built_in.endpoint)
    }

    /// What its requests are counted as; nothing where they are not counted.
    pub fn counted_as(self) -> Option<Counted> {
        match self {
            Endpoint::Submit | Endpoint::Rerun | Endpoint::Page(Place::Send | Place::Rerun) => {
                Some(Counted::Submits)
            }
            Endpoint::Healthz
            | Endpoint::Readyz
            | Endpoint::Metrics
            | Endpoint::Page(Place::Asset) => None,
            _ => Some(Counted::Requests),
        }
    }

    /// The media types of its answers; none where it looks itself what the client takes, or the client takes what it
    /// gets.
    pub fn media_types(self) -> &'static [&'static str] {
        match self {
            Endpoint::Log => &["text/plain"],
            Endpoint::Events => &["text/event-stream"],
            Endpoint::Result
            | Endpoint::Healthz
            | Endpoint::Readyz
            | Endpoint::Metrics
            | Endpoint::Docs
            | Endpoint::DocsFile
            | Endpoint::ProblemPage
            | Endpoint::Page(Place::Asset) => &[],
            Endpoint::Page(_) => &["text/html"],
            _ => &[JSON],
        }
    }

    /// The table of all built-in routes.
    pub fn table() -> RouteTable {
        let mut table = RouteTable::default();
        for built_in in TABLE {
            let route = Route {
                method: built_in.method.into(),
                pattern: match built_in.pattern {
                    "/" => Pattern::root(),
                    pattern => Pattern::parse(pattern).expect("built-in patterns are patterns"),
                },
                key: built_in.key.into(),
                label: Label {
                    ja: built_in.ja.into(),
                    en: built_in.en.into(),
                },
                target: Target::BuiltIn,
            };
            table.add(route).expect("built-in routes do not conflict");
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_route_has_its_endpoint() {
        let table = Endpoint::table();
        let endpoints: Vec<_> = table.iter().filter_map(Endpoint::of).collect();
        assert_eq!(endpoints.len(), TABLE.len());
        for built_in in TABLE {
            let found = endpoints.iter().filter(|of| **of == built_in.endpoint);
            assert_eq!(found.count(), 1, "{:?}", built_in.endpoint);
        }
    }
}
