//! A disk that is nearly full.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use test_support::{Client, Site, bin, until};

use crate::support::{PATIENCE, assert_problem, open};

const SHARED: &str = "data/shared/bcrlapi";

/// An API one of whose folders is a small volume of its own.
struct Small {
    api: Child,
    log: PathBuf,
    site: Site,
}

impl Small {
    /// With so many kB for this folder of the site; nothing where this host lets nobody mount one.
    fn start(folder: &str, size: u32) -> Option<Self> {
        let site = Site::new();
        let (log, volume) = (site.path("api.log"), site.path(folder));
        std::fs::create_dir_all(&volume).unwrap();
        let mount = format!("mount -t tmpfs -o size={size}k tmpfs \"$0\" && exec \"$@\"");
        let mounted = |program: &Path| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &mount]);
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

    /// A path of the site, as the API sees it.
    fn inside(&self, name: &str) -> PathBuf {
        let path = self.site.path(name);
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
    let Some(small) = Small::start(SHARED, 64 << 10) else {
        eprintln!("skipped: this host lets nobody mount a volume");
        return;
    };
    let client = small.client();
    let catalog = json!({"version": 1, "apis": [open("open")]});
    let path = small.inside(&format!("{SHARED}/catalog/app1.json"));
    std::fs::write(path, catalog.to_string()).unwrap();
    client.until_api("open", PATIENCE);
    let names = || {
        let entries = std::fs::read_dir(small.inside(&format!("{SHARED}/request"))).unwrap();
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

#[test]
fn a_disk_without_room_for_the_access_log_costs_lines_and_no_request() {
    let Some(small) = Small::start("data/Log", 64) else {
        eprintln!("skipped: this host lets nobody mount a volume");
        return;
    };
    let client = small.client();
    let lines = || -> Vec<String> {
        let entries = std::fs::read_dir(small.inside("data/Log")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let path = paths.find(|path| path.extension().is_some_and(|end| end == "tsv"));
        let text = path.map_or_else(String::new, |path| std::fs::read_to_string(path).unwrap());
        text.lines().map(str::to_owned).collect()
    };
    let has = |url: &str| lines().iter().any(|line| line.starts_with(url));
    client.get("/before");
    until("the first line", PATIENCE, || has("/before").then_some(()));
    let filler = small.inside("data/Log/filler");
    let mut file = File::create(&filler).unwrap();
    // It ends with the volume's room.
    std::io::copy(&mut std::io::repeat(0).take(1 << 20), &mut file).unwrap_err();
    drop(file);
    let long = format!("/{}", "x".repeat(1900));
    for _ in 0..20 {
        assert_eq!(client.get(&long).status, 404);
    }
    let dropped = || {
        let text = client.get("/metrics").text();
        let series = "bcrl_access_log_dropped_total{cause=\"disk\"} ";
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.unwrap().parse::<u32>().unwrap()
    };
    until("lines are dropped", PATIENCE, || {
        (dropped() > 10).then_some(())
    });
    std::fs::remove_file(&filler).unwrap();
    client.get("/after");
    until("lines are written again", PATIENCE, || {
        has("/after").then_some(())
    });
    for line in lines() {
        assert_eq!(line.split('\t').count(), 5, "{line}");
    }
    let log = std::fs::read_to_string(&small.log).unwrap();
    let told = |message: &str| log.matches(message).count();
    assert_eq!(
        told("lines of the access log are dropped; requests are answered"),
        1
    );
    assert_eq!(told("the access log is written again"), 1);
}
