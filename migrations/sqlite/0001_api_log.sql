-- The same tables as migrations/postgres, where the columns are explained. Days and moments are texts.
CREATE TABLE api_log (
    log_id INTEGER PRIMARY KEY AUTOINCREMENT,
    api_name TEXT NOT NULL CHECK (length(api_name) <= 100),
    http_method TEXT NOT NULL CHECK (length(http_method) <= 100),
    http_status_code INTEGER NOT NULL CHECK (http_status_code BETWEEN 100 AND 999),
    access_count INTEGER NOT NULL CHECK (access_count >= 0),
    average_ms REAL NOT NULL CHECK (average_ms >= 0),
    aggregated_on TEXT NOT NULL CHECK (aggregated_on IS date(aggregated_on)),
    log_file_name TEXT NOT NULL CHECK (length(log_file_name) <= 100),
    api_key TEXT NOT NULL CHECK (length(api_key) <= 100),
    total_us INTEGER NOT NULL CHECK (total_us >= 0),
    max_us INTEGER NOT NULL CHECK (max_us >= 0),
    latency_histogram BLOB NOT NULL,
    CONSTRAINT api_log_once UNIQUE (aggregated_on, api_name, http_method, http_status_code, log_file_name)
) STRICT;

CREATE TABLE log_run (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT,
    aggregated_on TEXT NOT NULL CHECK (aggregated_on IS date(aggregated_on)),
    started_at TEXT NOT NULL CHECK (datetime(started_at) IS NOT NULL),
    seconds REAL NOT NULL CHECK (seconds >= 0),
    result TEXT NOT NULL CHECK (result IN ('done', 'no_file', 'failed')),
    message TEXT,
    stored_rows INTEGER NOT NULL CHECK (stored_rows >= 0)
) STRICT;

CREATE INDEX log_run_of_day ON log_run (aggregated_on, run_id);

CREATE TABLE log_run_file (
    run_id INTEGER NOT NULL REFERENCES log_run ON DELETE CASCADE,
    log_file_name TEXT NOT NULL CHECK (length(log_file_name) <= 100),
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    sha256 TEXT NOT NULL CHECK (length(sha256) <= 64),
    line_count INTEGER NOT NULL CHECK (line_count >= 0),
    bad_lines INTEGER NOT NULL CHECK (bad_lines BETWEEN 0 AND line_count),
    bad_line_samples TEXT NOT NULL CHECK (json_valid(bad_line_samples)),
    unmatched_paths TEXT NOT NULL CHECK (json_valid(unmatched_paths)),
    refused TEXT,
    PRIMARY KEY (run_id, log_file_name)
) STRICT;

CREATE TABLE log_request (
    request_id INTEGER PRIMARY KEY AUTOINCREMENT,
    aggregated_on TEXT NOT NULL CHECK (aggregated_on IS date(aggregated_on)),
    requested_at TEXT NOT NULL CHECK (datetime(requested_at) IS NOT NULL),
    finished_at TEXT CHECK (finished_at IS NULL OR datetime(finished_at) IS NOT NULL),
    result TEXT CHECK (result IN ('done', 'no_file', 'failed')),
    CHECK ((finished_at IS NULL) = (result IS NULL))
) STRICT;

CREATE INDEX log_request_open ON log_request (request_id) WHERE finished_at IS NULL;
