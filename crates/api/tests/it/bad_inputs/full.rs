//! A disk that is nearly full.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use test_support::{Client, Site, bin, until};

use crate::support::{PATIENCE, assert_problem, open};

/// An API whose shared folder is a small volume of its own.
struct Small {
    api: Child,
    log: PathBuf,
    site: Site,
}

impl Small {
    /// Nothing where this host lets nobody mount one.
    fn start() -> Option<Self> {
        let site = Site::new();
        let (log, volume) = (site.path("api.log"), site.shared(""));
        std::fs::create_dir_all(&volume).unwrap();
        let mount = "mount -t tmpfs -o size=64m tmpfs \"$0\" && exec \"$@\"";
        let mounted = |program: &Path| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", mount]);
            command.arg(&volume).arg(program);
            command.stdin(Stdio::null()).stderr(Stdio::null());
            command
        };
        let tried = mounted(Path::new("true")).status();
        if !tried.is_ok_and(|status| status.success()) {
            return None;
        }
        let api = mounted(&bin("bcrl-api"))
            .envs(site.environment())
            .current_dir(site.path(""))
            .stdout(File::create(&log).unwrap())
            .spawn();
        Some(Small {
            api: api.unwrap(),
            log,
            site,
        })
    }

    fn client(&self) -> Client {
        let address = until("the API listens", PATIENCE, || {
            let log = std::fs::read_to_string(&self.log).unwrap();
            let mut lines = log
                .lines()
                .map_while(|line| serde_json::from_str(line).ok());
            let line = lines.find(|line: &serde_json::Value| line["message"] == "the API listens");
            Some(line?["address"].as_str()?.to_owned())
        });
        Client::new(&format!("http://{address}"))
    }

    /// A path of the shared folder, as the API sees it.
    fn shared(&self, name: &str) -> PathBuf {
        let path = self.site.shared(name);
        let path = path.strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", self.api.id())).join(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = self.api.kill();
        let _ = self.api.wait();
    }
}

#[test]
fn a_disk_that_is_nearly_full_takes_no_job_and_nothing_is_left_on_it() {
    let Some(small) = Small::start() else {
        eprintln!("skipped: this host lets nobody mount a volume");
        return;
    };
    let client = small.client();
    let catalog = json!({"version": 1, "apis": [open("open")]});
    std::fs::write(small.shared("catalog/app1.json"), catalog.to_string()).unwrap();
    client.until_api("open", PATIENCE);
    let names = || {
        let entries = std::fs::read_dir(small.shared("request")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for _ in 0..3 {
        let answer = client.post("/api/v1/jobs/open", "1");
        assert_problem(&answer, 507, "insufficient-storage");
    }
    assert_eq!(names(), before);
    // What is there can still be looked at.
    assert_eq!(client.get("/api/v1/jobs").json(), json!({"jobs": []}));
    let check = client.post("/api/v1/jobs/open?validate_only=true", "1");
    assert_eq!(check.status, 200);
}
