//! The endpoints that are built in, with their URLs and their names in the logs.

use job_core::catalog::Label;
use job_core::route::{Pattern, Route, RouteTable, Target};

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
    /// `GET /api/v1/apis`
    Apis,
    /// `GET /healthz`
    Healthz,
    /// `GET /readyz`
    Readyz,
    /// `GET /problems/{name}`
    ProblemPage,
}

/// Method, pattern, stable name in the logs, Japanese and English label.
type Row = (
    Endpoint,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const TABLE: [Row; 11] = [
    (
        Endpoint::Submit,
        "POST",
        "/api/v1/jobs/{api}",
        "job-submit",
        "ジョブ登録API",
        "Submit a job",
    ),
    (
        Endpoint::List,
        "GET",
        "/api/v1/jobs",
        "job-list",
        "ジョブ一覧取得API",
        "List jobs",
    ),
    (
        Endpoint::Job,
        "GET",
        "/api/v1/jobs/{uuid}",
        "job-status",
        "ジョブ状態取得API",
        "Get a job's status",
    ),
    (
        Endpoint::JobAlias,
        "GET",
        "/api/v1/job/{uuid}",
        "job-status-alias",
        "ジョブ状態取得API(別名)",
        "Get a job's status (alias)",
    ),
    (
        Endpoint::Cancel,
        "DELETE",
        "/api/v1/jobs/{uuid}",
        "job-cancel",
        "ジョブ取消API",
        "Cancel a job",
    ),
    (
        Endpoint::Result,
        "GET",
        "/api/v1/jobs/{uuid}/result",
        "job-result",
        "ジョブ結果取得API",
        "Get a job's result",
    ),
    (
        Endpoint::Log,
        "GET",
        "/api/v1/jobs/{uuid}/log",
        "job-log",
        "ジョブログ取得API",
        "Get a job's log",
    ),
    (
        Endpoint::Apis,
        "GET",
        "/api/v1/apis",
        "api-list",
        "API一覧取得API",
        "List the APIs",
    ),
    (
        Endpoint::Healthz,
        "GET",
        "/healthz",
        "healthz",
        "生存確認API",
        "Is the process alive",
    ),
    (
        Endpoint::Readyz,
        "GET",
        "/readyz",
        "readyz",
        "稼働確認API",
        "Can jobs be run",
    ),
    (
        Endpoint::ProblemPage,
        "GET",
        "/problems/{name}",
        "problem",
        "エラー説明ページ",
        "Explain a problem",
    ),
];

impl Endpoint {
    /// The endpoint of a built-in route.
    pub fn of(route: &Route) -> Option<Endpoint> {
        TABLE.iter().find(|row| row.3 == route.key).map(|row| row.0)
    }

    /// The table of all built-in routes.
    pub fn table() -> RouteTable {
        let mut table = RouteTable::default();
        for (_, method, pattern, key, ja, en) in TABLE {
            let route = Route {
                method: method.into(),
                pattern: Pattern::parse(pattern).expect("built-in patterns are patterns"),
                key: key.into(),
                label: Label {
                    ja: ja.into(),
                    en: en.into(),
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
        assert_eq!(table.iter().filter_map(Endpoint::of).count(), TABLE.len());
    }
}
