//! What a lab member types.

use std::process::Output;

use rustix::process::Signal;
use serde_json::json;
use test_support::{Process, Site};

use crate::support::{PATIENCE, answer, app, bcrl_worker, names, process, runs, start, text};

/// Exit code, standard output and standard error.
fn told(output: &Output) -> (i32, String, String) {
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn check_says_that_all_is_well() {
    let site = Site::new().with_shipped_apps();
    let (code, out, err) = told(&bcrl_worker(&site, &["check"]));
    assert_eq!((code, &*err), (0, ""), "{out}");
    for line in [
        format!("ok       folder: {}", site.shared("").display()),
        "ok       locks: one process keeps another out".into(),
        "ok       index: 0 jobs in the index".into(),
        "ok       python: 3.".into(),
        "ok       app add: Add POST /api/v1/add/{num1}/{num2}".into(),
        "ok       app soc: ".into(),
    ] {
        let line = line.trim_end_matches('/');
        assert!(
            out.lines().any(|told| told.starts_with(line)),
            "{line}: {out}"
        );
    }
}

#[test]
fn check_names_each_problem_with_its_line() {
    let site = Site::new().set("WORKER__PYTHON", "/no/such/python");
    app(&site, "sound", "", "");
    app(&site, "needy", "", "");
    site.put("apps/needy/requirements.txt", "six");
    app(&site, "broken", "timeout = \"0s\"", "");
    site.put("apps/misfit/request.schema.json", r#"{"required": ["n"]}"#);
    site.put("apps/misfit/example.json", "\n{}");
    site.app("misfit", "");
    let (code, out, _) = told(&bcrl_worker(&site, &["check"]));
    assert_eq!(code, 1, "{out}");
    let at = |file: &str| site.path("apps").join(file).display().to_string();
    for line in [
        "PROBLEM  python: worker.python /no/such/python: ".into(),
        "ok       app sound: ".into(),
        "PROBLEM  app needy: it has a requirements.txt and no .venv: run `bcrl-worker prepare`"
            .into(),
        format!(
            "PROBLEM  app: {}, line 1: timeout: it must be at least 1s",
            at("broken/api.toml")
        ),
        format!(
            "PROBLEM  app: {}, line 2: at \"\": the example does not fit request.schema.json: ",
            at("misfit/example.json")
        ),
    ] {
        let line: String = line;
        assert!(
            out.lines().any(|told| told.starts_with(&line)),
            "{line}: {out}"
        );
    }
}

#[test]
fn new_makes_a_folder_that_works_as_it_is() {
    let site = Site::new();
    let (code, out, err) = told(&bcrl_worker(&site, &["new", "fit"]));
    assert_eq!((code, &*err), (0, ""));
    assert!(out.contains("bcrl-worker try fit"), "{out}");
    let (code, out, err) = told(&bcrl_worker(&site, &["try", "fit"]));
    assert_eq!(code, 0, "{err}");
    let printed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(printed, json!({ "sum": 6.5, "mean": 6.5 / 3.0 }));
    assert!(
        err.contains("what goes to stderr is the job's log\n"),
        "{err}"
    );
    assert!(err.contains("progress 100.0 %  3 of 3\n"), "{err}");
    assert_eq!(told(&bcrl_worker(&site, &["check"])).0, 0);

    // What is there already is nobody's to overwrite.
    site.app("fit", "print('mine')");
    let (code, _, err) = told(&bcrl_worker(&site, &["new", "fit"]));
    assert_eq!(code, 1);
    assert!(err.contains("apps/fit is there already"), "{err}");
    let main = std::fs::read_to_string(site.path("apps/fit/main.py")).unwrap();
    assert_eq!(main, "print('mine')");
    for name in ["Fit", "../fit", "a/b", ""] {
        assert_eq!(told(&bcrl_worker(&site, &["new", name])).0, 2, "{name}");
    }
    assert_eq!(names(&site.path("apps")), ["fit"]);
}

#[test]
fn try_runs_an_app_as_a_job_would_be_run_and_leaves_no_job() {
    let site = Site::new();
    app(
        &site,
        "fit",
        "",
        "print('log', file=sys.stderr)\nprint(json.dumps([json.load(sys.stdin), FIRST, os.environ['BCRL_API'], os.getcwd()]))",
    );
    site.put("apps/fit/example.json", "{\"n\": 1}");
    let other = site.put("other.json", "{\"n\": 2}");
    let folder = site.path("apps/fit");
    for (arguments, n) in [
        (vec!["try", "fit"], 1),
        (vec!["try", "fit", "--file", other.to_str().unwrap()], 2),
    ] {
        let (code, out, err) = told(&bcrl_worker(&site, &arguments));
        assert_eq!(code, 0, "{err}");
        let printed: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            printed,
            json!([{ "n": n }, true, "fit", folder.to_string_lossy()])
        );
        assert!(
            err.starts_with("log\nfit: ") && err.contains(" MiB of memory"),
            "{err}"
        );
    }
    assert!(!site.shared("").exists(), "there is no queue");
    assert!(names(&site.path("data/scratch")).is_empty());
}

#[test]
fn try_tells_why_a_job_would_have_failed() {
    let site = Site::new();
    for (api, main) in [("fails", "sys.exit('no way')"), ("nan", "print('NaN')")] {
        app(&site, api, "", main);
        site.put(&format!("apps/{api}/example.json"), "{}");
    }
    site.app("bare", "print(1)");
    site.put("apps/strict/request.schema.json", r#"{"required": ["n"]}"#);
    site.app("strict", "print(1)");
    let empty = site.put("empty.json", "{}");
    let half = site.put("half.json", "{");
    for (arguments, words) in [
        (
            vec!["try", "fails"],
            "failed (exit_code): the script exited with 1; the end of its log:\nno way",
        ),
        (
            vec!["try", "nan"],
            "failed (invalid_output): the script did not print one JSON document: ",
        ),
        (vec!["try", "bare"], "example.json: No such file"),
        (
            vec!["try", "nowhere"],
            "apps/nowhere/main.py: there is no such file",
        ),
        (
            vec!["try", "strict", "--file", empty.to_str().unwrap()],
            "empty.json: at \"\": \"n\" is a required property",
        ),
        (
            vec!["try", "bare", "--file", half.to_str().unwrap()],
            "half.json is no JSON",
        ),
    ] {
        let (code, out, err) = told(&bcrl_worker(&site, &arguments));
        assert_eq!((code, &*out), (1, ""), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
    assert!(names(&site.path("data/scratch")).is_empty());
}

#[test]
fn try_shows_the_log_that_it_made_whatever_has_its_name() {
    let site = Site::new();
    let secret = site.put("secret", "somebody's\n");
    let main = "
log = os.path.join(os.path.dirname(os.environ['TMPDIR']), 'log')
os.remove(log)
os.symlink(json.load(sys.stdin), log)
print('said', file=sys.stderr)
print(1)
";
    app(&site, "fit", "", main);
    site.put("apps/fit/example.json", &json!(secret).to_string());
    let (code, out, err) = told(&bcrl_worker(&site, &["try", "fit"]));
    assert_eq!((code, &*out), (0, "1\n"), "{err}");
    assert!(err.starts_with("said\nfit: "), "{err}");
}

#[test]
fn a_try_that_is_interrupted_leaves_nothing() {
    let site = Site::new();
    app(
        &site,
        "slow",
        "",
        "outlive_sigterm()\nleave('script', me())\ntime.sleep(600)",
    );
    site.put("apps/slow/example.json", "{}");
    for signal in [Signal::INT, Signal::TERM] {
        let _ = std::fs::remove_file(site.path("gate/script"));
        let mut command = Process::start(&site, "bcrl-worker", &["try", "slow"]);
        let script = process(&site, "script");
        command.signal(signal);
        let status = command.wait(PATIENCE);
        assert!(!status.success(), "{status}");
        test_support::until("the end of the script", PATIENCE, || {
            (!runs(&script)).then_some(())
        });
        assert!(names(&site.path("data/scratch")).is_empty());
    }
}

#[test]
fn prepare_makes_what_requirements_ask_for_once() {
    let site = Site::new();
    app(
        &site,
        "fit",
        "",
        "import tiny\nprint(json.dumps([tiny.FACTOR, sys.prefix]))",
    );
    app(&site, "plain", "", "print(1)");
    // A wheel is a zip file: no network and no build tools are asked for.
    site.put("make.py", WHEEL);
    let made = std::process::Command::new("python3")
        .arg(site.path("make.py"))
        .current_dir(site.path("apps/fit"))
        .status();
    assert!(made.unwrap().success());
    site.put("apps/fit/requirements.txt", "./tiny-1.0-py3-none-any.whl\n");
    let (code, out, err) = told(&bcrl_worker(&site, &["prepare"]));
    assert_eq!(code, 0, "{err}{out}");
    assert!(
        out.contains("fit: ready\n") && out.contains("plain: it needs nothing\n"),
        "{out}"
    );
    let (code, out, _) = told(&bcrl_worker(&site, &["prepare", "fit"]));
    assert_eq!((code, &*out), (0, "fit: its .venv is up to date\n"));

    let pair = start(&site, "fit");
    let venv = site.path("apps/fit/.venv");
    assert_eq!(
        answer(&pair.client, "fit", "{}"),
        json!([7, venv.to_string_lossy()])
    );

    site.put(
        "apps/fit/requirements.txt",
        "./no-such-1.0-py3-none-any.whl\n",
    );
    let (code, out, err) = told(&bcrl_worker(&site, &["prepare"]));
    assert_eq!(code, 1, "{out}");
    assert!(
        err.contains("no-such-1.0")
            && err.contains("fit: install the requirements: it ended with exit status: 1"),
        "{err}"
    );
    assert!(
        out.contains("plain: it needs nothing\n"),
        "the others go on: {out}"
    );
    // What was not prepared is not taken for prepared.
    let (code, out, _) = told(&bcrl_worker(&site, &["check"]));
    assert_eq!(code, 1);
    assert!(
        out.contains("PROBLEM  app fit: it has a requirements.txt and no .venv"),
        "{out}"
    );
    let (code, _, err) = told(&bcrl_worker(&site, &["prepare", "nowhere"]));
    assert_eq!(code, 1);
    assert!(
        err.contains("nowhere: there is no app of this name in "),
        "{err}"
    );
}

/// Makes a package of one line.
const WHEEL: &str = "
import zipfile
with zipfile.ZipFile('tiny-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('tiny.py', 'FACTOR = 7\\n')
    wheel.writestr('tiny-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n')
    wheel.writestr('tiny-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('tiny-1.0.dist-info/RECORD', 'tiny.py,,\\ntiny-1.0.dist-info/METADATA,,\\ntiny-1.0.dist-info/WHEEL,,\\ntiny-1.0.dist-info/RECORD,,\\n')
";

#[test]
fn requirements_that_ask_for_nothing_still_make_a_venv() {
    let site = Site::new();
    app(&site, "fit", "", "");
    site.put("apps/fit/requirements.txt", "# nothing yet\n");
    let (code, out, err) = told(&bcrl_worker(&site, &["prepare"]));
    assert_eq!(code, 0, "{out}{err}");
    assert!(site.path("apps/fit/.venv/bin/python").is_file());
    assert_eq!(told(&bcrl_worker(&site, &["check"])).0, 0);
}

#[test]
fn the_settings_in_force_can_be_read_again() {
    let site = Site::new();
    site.put(
        "bcrl.toml",
        "timezone = \"Europe/Berlin\"\n[worker]\nconcurrency = 3\n",
    );
    let (code, first, _) = told(&bcrl_worker(&site, &["--print-config"]));
    assert_eq!(code, 0);
    assert!(
        first.contains("timezone = \"Europe/Berlin\"") && first.contains("concurrency = 3"),
        "{first}"
    );
    assert!(
        first.contains("lease = \"3s\""),
        "the environment counts: {first}"
    );
    let again = site.put("again.toml", &first);
    let (code, second, _) = told(&bcrl_worker(
        &site,
        &["--config", again.to_str().unwrap(), "--print-config"],
    ));
    assert_eq!((code, second), (0, first));
    assert!(!site.path("data").exists(), "nothing is made by asking");
}

#[test]
fn help_names_the_commands_and_hides_what_is_not_for_people() {
    let site = Site::new();
    let (code, out, _) = told(&bcrl_worker(&site, &["--help"]));
    assert_eq!(code, 0);
    for word in [
        "check",
        "prepare",
        "try",
        "new",
        "--once",
        "--print-config",
        "78 settings",
    ] {
        assert!(out.contains(word), "{word}: {out}");
    }
    assert!(!out.contains("lock-probe"), "{out}");
}

#[test]
fn settings_that_cannot_be_used_end_every_command_before_anything_is_made() {
    for (site, words) in [
        (
            Site::new().set("TIMEZONE", "Mars/Base"),
            "error: environment BCRL_TIMEZONE: ",
        ),
        (
            Site::new().set("WORKER__LEASE", "1s"),
            "error: environment BCRL_WORKER__LEASE: 1s is shorter than three heartbeats",
        ),
        (
            Site::new().set("WORKER__CONCURRENCY", "0"),
            "error: environment BCRL_WORKER__CONCURRENCY: ",
        ),
        (
            Site::new().set("WORKER__CRON", "61 * * * *"),
            "error: environment BCRL_WORKER__CRON: \"61 * * * *\" ",
        ),
        (
            Site::new().set("WORKER__NAME", "a/b"),
            "error: environment BCRL_WORKER__NAME: ",
        ),
    ] {
        for arguments in [
            &[][..],
            &["--once"],
            &["check"],
            &["prepare"],
            &["--print-config"],
        ] {
            let (code, out, err) = told(&bcrl_worker(&site, arguments));
            assert_eq!((code, &*out), (78, ""), "{arguments:?}: {err}");
            assert!(err.starts_with(words), "{arguments:?}: {err}");
        }
        assert!(!site.path("data").exists());
    }
}
