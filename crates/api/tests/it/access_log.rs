//! Every request has its line, whatever becomes of it, and lines are whole, whatever becomes of the processes.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use job_core::access_log::Line;
use job_core::date::Date;
use serde_json::Value;
use socket2::SockRef;
use test_support::{Process, Site, until};

use crate::support::{Lab, PATIENCE, add, connect, head, open, publish, raw};

/// The names of a day's APIs, of the only day there is.
#[track_caller]
fn routes(site: &Site) -> Option<Value> {
    let mut entries = std::fs::read_dir(site.path("data/Log")).unwrap();
    let path = entries.find_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.starts_with("ApiRoutes.") && name.ends_with(".json")).then_some(path)
    })?;
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

/// The text of the only file of lines.
fn text(site: &Site) -> String {
    let files = ::access_log::folder::files(&site.path("data/Log")).unwrap();
    let path = files.first().map(|(_, path)| path);
    path.map_or_else(String::new, |path| std::fs::read_to_string(path).unwrap())
}

/// What a route is called in Japanese; nothing where it is not there.
fn label(routes: &Value, method: &str, pattern: &str) -> Option<String> {
    let routes = routes["routes"].as_array().unwrap();
    let found = routes
        .iter()
        .find(|route| route["method"] == method && route["pattern"] == pattern);
    Some(found?["label"]["ja"].as_str().unwrap().to_owned())
}

#[test]
fn every_request_has_one_line_with_what_was_asked_and_answered() {
    let mut lab = Lab::with(&[open("open")]);
    let client = &lab.client;
    let uuid = client.submit("open", "1");
    let job = format!("/api/v1/jobs/{uuid}");
    let asked = [
        ("GET", "/"),
        ("GET", "/jobs?x=%E5%95%86%20b"),
        ("HEAD", &job),
        ("GET", "/nothing?a=1&a=2"),
        ("BREW", "/healthz"),
        ("OPTIONS", "/healthz"),
        ("DELETE", &job),
        ("GET", &format!("{job}/result")),
        ("GET", "/api/v1/jobs/..%2F..%2Fx"),
        ("POST", "/api/v1/jobs/open?webhook=no"),
    ];
    let mut expected = vec![["/api/v1/jobs/open", "POST", "202"].map(str::to_owned)];
    for (method, url) in asked {
        let status = client.send(method, url, &[], None).status;
        expected.push([url.into(), method.into(), status.to_string()]);
    }
    for status in ["200", "204", "303", "404", "405", "409"] {
        assert!(
            expected.iter().any(|line| line[2] == status),
            "{expected:?}"
        );
    }
    lab.end_api();
    let lines = lab.site.access_log();
    let told = lines
        .iter()
        .map(|[url, method, status, ..]| [url, method, status].map(String::clone));
    assert_eq!(told.collect::<Vec<_>>(), expected);
    for [_, _, _, millis, time] in &lines {
        let (whole, decimals) = millis.split_once('.').unwrap();
        assert!(
            whole.parse::<u32>().is_ok() && decimals.len() == 3,
            "{millis}"
        );
        assert!(
            time.parse::<Date>().is_ok() && time.ends_with("+09:00"),
            "{time}"
        );
    }
}

#[test]
fn hostile_urls_stay_in_their_field() {
    let mut lab = Lab::with(&[]);
    let mut expected = Vec::new();
    for (url, written) in [
        (&b"/a\\b"[..], "/a\\\\b"),
        (b"/%00%09%0A%FF", "/%00%09%0A%FF"),
        (b"/\"a\"|b", "/\"a\"|b"),
        (b"http://elsewhere/path?q=1", "/path?q=1"),
        ("/商品".as_bytes(), "/商品"),
    ] {
        let rest = b" HTTP/1.1\r\nHost: bcrl\r\nConnection: close\r\n\r\n";
        let answer = raw(&lab.api, [b"GET ", url, rest].concat());
        // What the parser refuses is no request, and has no line.
        if answer.json()["type"] != "/problems/bad-request" {
            expected.push(written.to_owned());
        }
    }
    assert!(expected.len() >= 3, "{expected:?}");
    let long = format!("/{}", "x".repeat(20_000));
    assert_eq!(lab.client.get(&long).status, 404);
    raw(&lab.api, "GET /\tnot\ta request\r\n\r\n");
    lab.end_api();
    let mut urls: Vec<_> = lab
        .site
        .access_log()
        .into_iter()
        .map(|[url, ..]| url)
        .collect();
    let cut = urls.pop().unwrap();
    assert!(cut.ends_with("xxx…[cut]") && cut.len() <= 2048, "{cut}");
    assert_eq!(urls, expected);
}

#[test]
fn a_client_that_goes_away_has_its_line() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    let job = format!("/api/v1/jobs/{uuid}");
    let until_waiting = |clients: u32| {
        let figure = format!("bcrl_waiting_clients {clients}\n");
        until("who waits", PATIENCE, || {
            lab.client
                .get("/metrics")
                .text()
                .contains(&figure)
                .then_some(())
        });
    };
    let leave = |url: &str, how: fn(&TcpStream)| {
        let mut waiting = connect(&lab.api);
        let text = head(&format!("GET {url}"), &["Prefer: wait=600"]);
        waiting.write_all(text.as_bytes()).unwrap();
        until_waiting(1);
        how(&waiting);
    };
    let until_line = |url: &str, status: &str| {
        until(&format!("the line of {url}"), PATIENCE, || {
            let lines = lab.site.access_log();
            let line = lines.into_iter().find(|line| line[0] == url)?;
            assert_eq!(line[2], status, "{line:?}");
            Some(())
        });
    };
    // It hangs up while it waits for an answer, and while its answer comes.
    let hang_up = |stream: &TcpStream| {
        let stream = SockRef::from(stream);
        stream.set_linger(Some(Duration::ZERO)).unwrap();
    };
    leave(&job, hang_up);
    until_line(&job, "499");
    until_waiting(0);
    let events = format!("{job}/events");
    leave(&events, hang_up);
    until_line(&events, "200");
    until_waiting(0);
    // Whoever only has nothing more to say may still listen, and is answered.
    let other = format!("{job}?again");
    leave(&other, |stream| stream.shutdown(Shutdown::Write).unwrap());
    assert_eq!(lab.client.send("DELETE", &job, &[], None).status, 200);
    until_line(&other, "200");
}

#[test]
fn the_days_names_follow_the_catalogs_and_the_settings() {
    let site = Site::new();
    site.put(
        "bcrl.toml",
        "[[route]]\nmethod = \"GET\"\npattern = \"/api/products\"\nkey = \"products\"\n\
         label = { ja = \"商品取得API(複数件)\", en = \"Get products\" }\n",
    );
    let lab = Lab::on(site.set("API__INSTANCE", "a"), &[add()]);
    lab.client.get("/api/products");
    let named = until("names", PATIENCE, || routes(&lab.site));
    for (method, pattern, expected) in [
        ("GET", "/api/v1/jobs/{uuid}", "ジョブ状態取得API"),
        ("POST", "/api/v1/add/{num1}/{num2}", "addのAPI"),
        ("POST", "/api/v1/jobs/add", "addのAPI"),
        ("GET", "/api/products", "商品取得API(複数件)"),
        ("GET", "/", "トップページ"),
    ] {
        assert_eq!(label(&named, method, pattern).as_deref(), Some(expected));
    }
    // Another API comes in the place of the first: names of the day that are gone stay.
    publish(&lab.site, "app1", &[open("other")]);
    until("new names", PATIENCE, || {
        let named = routes(&lab.site)?;
        label(&named, "POST", "/api/v1/jobs/other")?;
        label(&named, "POST", "/api/v1/add/{num1}/{num2}")
    });
    let entries = std::fs::read_dir(lab.site.path("data/Log")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let logs: Vec<_> = names.filter(|name| name.ends_with(".tsv")).collect();
    assert!(logs.iter().all(|name| name.ends_with(".a.tsv")), "{logs:?}");
}

#[test]
fn processes_that_share_a_file_and_are_killed_leave_whole_lines() {
    const ROUNDS: usize = 3;
    let site = Site::new();
    let keeps: Process = site.api();
    let (end, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let client = keeps.client();
        let (end, answered) = (&end, &answered);
        scope.spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let n = answered.fetch_add(1, Ordering::Relaxed);
                client.get(&format!("/kept/{n}"));
            }
        });
        for round in 0..ROUNDS {
            let victims = [site.api(), site.api()];
            let clients = victims.each_ref().map(Process::client);
            let asking = clients.map(|client| {
                scope.spawn(move || {
                    let mut n = 0;
                    while client
                        .try_send("GET", &format!("/killed/{round}/{n}"), &[], None)
                        .is_ok()
                    {
                        n += 1;
                    }
                })
            });
            until("lines of both", PATIENCE, || {
                let of_round = format!("/killed/{round}/");
                (text(&site).matches(&of_round).count() > 200).then_some(())
            });
            victims.into_iter().for_each(Process::kill);
            asking.into_iter().for_each(|asking| asking.join().unwrap());
        }
        end.store(true, Ordering::Relaxed);
    });
    assert_eq!(keeps.stop(PATIENCE).code(), Some(0));
    let text = text(&site);
    let whole = text.strip_suffix('\n').expect("the last line has its end");
    let (good, bad): (Vec<_>, Vec<_>) = whole
        .split('\n')
        .partition(|line| Line::parse(line.as_bytes()).is_ok());
    // A kill may part one line; the next one begins on a line of its own.
    assert!(bad.len() <= 2 * ROUNDS, "{bad:?}");
    let kept = good.iter().filter(|line| line.starts_with("/kept/"));
    assert_eq!(kept.count(), answered.load(Ordering::Relaxed));
}
