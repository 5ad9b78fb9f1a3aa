//! Apps as lab members write them, and as they should not.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use app_folder::{Apps, Stamp};

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        Lab(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn names(&self) -> Vec<String> {
        Apps::read(self.path())
            .apps
            .keys()
            .map(ToString::to_string)
            .collect()
    }

    fn problem(&self) -> String {
        let apps = Apps::read(self.path());
        assert_eq!(apps.problems.len(), 1, "{:?}", apps.problems);
        apps.problems[0]
            .to_string()
            .replace(&*self.path().to_string_lossy(), "apps")
    }
}

#[test]
fn a_folder_with_a_main_is_an_api() {
    let lab = Lab::new();
    lab.put("soc/main.py", "print(1)");
    lab.put("notes/readme.txt", "no app");
    lab.put(".hidden/main.py", "");
    let apps = Apps::read(lab.path());
    let app = &apps.apps[&"soc".parse().unwrap()];
    assert_eq!((apps.apps.len(), apps.problems.len()), (1, 0));
    assert_eq!(
        (
            app.api.label.ja.as_str(),
            app.api.limits.timeout_s,
            app.api.limits.memory
        ),
        ("soc", 600, 2 << 30)
    );
    assert_eq!(app.main(), lab.path().join("soc/main.py"));
}

#[test]
fn everything_that_can_be_said_is_taken() {
    let lab = Lab::new();
    lab.put("soc/main.py", "");
    lab.put("soc/.venv/bin/python", "");
    lab.put(
        "soc/request.schema.json",
        r#"{"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false}"#,
    );
    lab.put("soc/example.json", r#"{"n":1}"#);
    lab.put(
        "soc/api.toml",
        "label = { ja = \"充電率推定API\", en = \"State of charge\" }\ndescription = \"d\"\nroute = \"POST /api/v1/soc/{n}\"\n\
         timeout = \"90s\"\nconcurrency = 1\nattempts = 2\nretries = 3\nmemory = \"512MiB\"\nenvironment = { OMP_NUM_THREADS = \"1\" }\n",
    );
    let apps = Apps::read(lab.path());
    let app = &apps.apps[&"soc".parse().unwrap()];
    let limits = &app.api.limits;
    assert_eq!(
        (
            limits.timeout_s,
            limits.concurrency,
            limits.attempts,
            limits.retries,
            limits.memory
        ),
        (90, Some(1), 2, 3, 512 << 20)
    );
    assert_eq!(app.api.routes[0].pattern, "/api/v1/soc/{n}");
    assert_eq!(
        app.python.as_deref(),
        Some(&*lab.path().join("soc/.venv/bin/python"))
    );
    assert_eq!(app.api.label.en, "State of charge");
}

#[test]
fn a_broken_app_is_left_out_with_file_and_line_and_others_work() {
    let broken: [(&str, &str, &str); 16] = [
        (
            "api.toml",
            "timeout = \"10m\"\nlabl = 1\n",
            "apps/bad/api.toml, line 2: unknown field `labl`",
        ),
        (
            "api.toml",
            "\nconcurrency = \"1\"\n",
            "apps/bad/api.toml, line 2: invalid type",
        ),
        (
            "api.toml",
            "\n\ntimeout = \"soon\"\n",
            "apps/bad/api.toml, line 3: timeout: \"soon\" is no time",
        ),
        (
            "api.toml",
            "memory = \"much\"",
            "apps/bad/api.toml, line 1: memory: \"much\" is no size",
        ),
        (
            "api.toml",
            "attempts = 0",
            "apps/bad/api.toml, line 1: attempts: it must be at least 1",
        ),
        (
            "api.toml",
            "route = \"GET /x\"",
            "apps/bad/api.toml, line 1: route: \"GET\" cannot submit",
        ),
        (
            "api.toml",
            "route = \"POST x\"",
            "apps/bad/api.toml, line 1: route: a path such as",
        ),
        (
            "api.toml",
            "route = \"POST /api/v1/{n}\"",
            "apps/bad/api.toml: route POST /api/v1/{n} of bad fits the same URLs as",
        ),
        (
            "api.toml",
            "environment = { BCRL_JOB = \"x\" }",
            "apps/bad/api.toml: environment: \"BCRL_JOB\" cannot be set",
        ),
        ("api.toml", "x = [", "apps/bad/api.toml, line 1: "),
        (
            "request.schema.json",
            "{\n \"type\": \"objekt\"\n}",
            "apps/bad/request.schema.json, line 2: at \"/type\"",
        ),
        (
            "request.schema.json",
            "{\n\"type\": ",
            "apps/bad/request.schema.json, line 2: column",
        ),
        (
            "request.schema.json",
            "{\"$ref\":\"https://example.org/x.json\"}",
            "apps/bad/request.schema.json",
        ),
        (
            "request.schema.json",
            "{\"properties\":\n{\"n\":{\"pattern\":\"(\"}}}",
            "apps/bad/request.schema.json, line 2: at \"/properties/n/pattern\"",
        ),
        (
            "example.json",
            "{\"n\":\n",
            "apps/bad/example.json, line 2: column",
        ),
        (
            "example.json",
            "[1]\n{}",
            "apps/bad/example.json, line 2: column",
        ),
    ];
    for (file, text, told) in broken {
        let lab = Lab::new();
        lab.put("aaa/main.py", "");
        lab.put("aaa/api.toml", "route = \"POST /api/v1/{m}\"");
        lab.put("bad/main.py", "");
        lab.put(&format!("bad/{file}"), text);
        assert_eq!(lab.names(), ["aaa"], "{file} {text}");
        let problem = lab.problem();
        assert!(problem.starts_with(told), "{problem}\n{told}");
    }
}

#[test]
fn an_example_that_does_not_fit_its_schema_is_told_with_its_line() {
    let lab = Lab::new();
    lab.put("bad/main.py", "");
    lab.put(
        "bad/request.schema.json",
        r#"{"properties":{"n":{"type":"integer"}}}"#,
    );
    lab.put("bad/example.json", "{\n  \"m\": 1,\n  \"n\": \"one\"\n}");
    assert!(
        lab.problem()
            .starts_with("apps/bad/example.json, line 3: at \"/n\""),
        "{}",
        lab.problem()
    );
}

#[test]
fn names_and_missing_scripts_are_told() {
    let lab = Lab::new();
    lab.put("Bad Name/main.py", "");
    assert!(
        lab.problem()
            .starts_with("apps/Bad Name: the folder's name is no API name"),
        "{}",
        lab.problem()
    );
    let lab = Lab::new();
    lab.put("soc/api.toml", "");
    assert_eq!(lab.problem(), "apps/soc/main.py: there is no such file");
    let lab = Lab::new();
    let apps = Apps::read(&lab.path().join("none"));
    assert!(apps.problems[0].message.contains("cannot be listed"));
}

#[test]
fn a_path_parameter_that_the_schema_forbids_is_told() {
    let lab = Lab::new();
    lab.put("add/main.py", "");
    lab.put(
        "add/request.schema.json",
        r#"{"properties":{"num1":{}},"additionalProperties":false}"#,
    );
    lab.put(
        "add/api.toml",
        "\nroute = \"POST /api/v1/add/{num1}/{num2}\"",
    );
    assert!(
        lab.problem()
            .starts_with("apps/add/api.toml, line 2: route: {num2} is no property"),
        "{}",
        lab.problem()
    );
}

#[test]
fn stamp_and_digest_follow_the_files_that_matter() {
    let lab = Lab::new();
    lab.put("soc/main.py", "print(1)");
    let state = || {
        (
            Stamp::of(lab.path()),
            Apps::read(lab.path()).apps[&"soc".parse().unwrap()]
                .api
                .digest
                .clone(),
        )
    };
    let first = state();
    lab.put("soc/__pycache__/main.pyc", "x");
    lab.put("soc/.venv/x", "x");
    assert_eq!(state(), first);
    lab.put("soc/lib/helper.py", "x = 1");
    let second = state();
    assert!(second.0 != first.0 && second.1 != first.1);
}

#[test]
fn a_stamp_follows_rights_the_own_python_and_folders_behind_links() {
    let lab = Lab::new();
    let elsewhere = Lab::new();
    let main = lab.put("soc/main.py", "print(1)");
    elsewhere.put("fit/main.py", "print(2)");
    std::os::unix::fs::symlink(elsewhere.path().join("fit"), lab.path().join("fit")).unwrap();
    assert_eq!(lab.names(), ["fit", "soc"]);
    let (soc, fit) = (lab.path().join("soc"), lab.path().join("fit"));

    let first = Stamp::of(lab.path());
    std::fs::set_permissions(&main, std::fs::Permissions::from_mode(0o700)).unwrap();
    let second = Stamp::of(lab.path());
    assert!(!first.has_same(&second, &soc) && first.has_same(&second, &fit));

    lab.put("soc/.venv/bin/python", "");
    let third = Stamp::of(lab.path());
    assert!(!second.has_same(&third, &soc) && second.has_same(&third, &fit));

    elsewhere.put("fit/main.py", "print(22)");
    let fourth = Stamp::of(lab.path());
    assert!(third.has_same(&fourth, &soc) && !third.has_same(&fourth, &fit));
    assert_eq!(fourth, Stamp::of(lab.path()));

    std::fs::remove_file(&fit).unwrap();
    assert!(!fourth.has_same(&Stamp::of(lab.path()), &fit));
}
