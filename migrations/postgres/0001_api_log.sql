-- What was counted of the access log, one row for a day, API, method, status and file.
CREATE TABLE api_log (
    -- The row's number; it means nothing, and a day that is counted again gets new ones.
    log_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The API's Japanese label on that day.
    api_name varchar(100) NOT NULL,
    http_method varchar(100) NOT NULL,
    http_status_code integer NOT NULL CHECK (http_status_code BETWEEN 100 AND 999),
    -- How many requests there were.
    access_count bigint NOT NULL CHECK (access_count >= 0),
    -- Their mean time in milliseconds. A range's mean is made from total_us and access_count, never from this.
    average_ms double precision NOT NULL CHECK (average_ms >= 0),
    -- The day on which the requests were logged, in the site's zone.
    aggregated_on date NOT NULL,
    log_file_name varchar(100) NOT NULL,
    -- The API's stable name: pages translate by it.
    api_key varchar(100) NOT NULL,
    -- The sum of their times, and the longest, in microseconds.
    total_us bigint NOT NULL CHECK (total_us >= 0),
    max_us bigint NOT NULL CHECK (max_us >= 0),
    -- Their times as a log-linear histogram of microseconds; histograms of days add up.
    latency_histogram bytea NOT NULL,
    CONSTRAINT api_log_once UNIQUE (aggregated_on, api_name, http_method, http_status_code, log_file_name)
);

-- What the batch did, one row for each time that it counted a day or could not.
CREATE TABLE log_run (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    aggregated_on date NOT NULL,
    started_at timestamptz NOT NULL,
    -- How long it took.
    seconds double precision NOT NULL CHECK (seconds >= 0),
    -- done: the day is stored; no_file: there was nothing to count; failed: nothing was changed.
    result varchar(10) NOT NULL CHECK (result IN ('done', 'no_file', 'failed')),
    -- Why it failed.
    message text,
    -- How many rows of api_log it stored.
    stored_rows bigint NOT NULL CHECK (stored_rows >= 0)
);

CREATE INDEX log_run_of_day ON log_run (aggregated_on, run_id);

-- The files that a run read.
CREATE TABLE log_run_file (
    run_id bigint NOT NULL REFERENCES log_run ON DELETE CASCADE,
    log_file_name varchar(100) NOT NULL,
    -- Bytes of the file when it was opened; no more were read.
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    -- SHA-256 of those bytes, in hexadecimal digits.
    sha256 varchar(64) NOT NULL,
    line_count bigint NOT NULL CHECK (line_count >= 0),
    bad_lines bigint NOT NULL CHECK (bad_lines BETWEEN 0 AND line_count),
    -- The first bad lines: [{"line": 3, "reason": "…"}].
    bad_line_samples json NOT NULL,
    -- The paths that no API has, the most frequent first: [{"path": "/x", "count": 3}].
    unmatched_paths json NOT NULL,
    -- Why nothing of it was counted, where that is so.
    refused text,
    PRIMARY KEY (run_id, log_file_name)
);

-- Days that somebody wants counted again. The batch picks them up within seconds.
CREATE TABLE log_request (
    request_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    aggregated_on date NOT NULL,
    requested_at timestamptz NOT NULL,
    -- When the batch was through with it, and how that ended; empty until then.
    finished_at timestamptz,
    result varchar(10) CHECK (result IN ('done', 'no_file', 'failed')),
    CHECK ((finished_at IS NULL) = (result IS NULL))
);

CREATE INDEX log_request_open ON log_request (request_id) WHERE finished_at IS NULL;
