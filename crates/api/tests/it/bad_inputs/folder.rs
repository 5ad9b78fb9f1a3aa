//! Files of the shared folder that somebody damaged, as clients see them.

use std::fs;
use std::io::Write;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Lab, Ran, assert_problem, connect, head, open};

#[test]
fn what_stands_in_place_of_a_result_is_never_followed_waited_for_or_handed_out() {
    let ran = Ran::printing("1");
    let path = ran.lab.site.shared(&format!("response/{}.json", ran.uuid));
    let secret = ran.lab.site.put("secret.json", "\"secret\"");
    let corrupt = || {
        let answer = ran.lab.client.get(&ran.result());
        assert_problem(&answer, 502, "result-corrupt");
        assert!(!answer.text().contains("secret"));
    };
    fs::remove_file(&path).unwrap();
    corrupt();
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    corrupt();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    corrupt();
    fs::remove_dir(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    corrupt();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "2\n").unwrap();
    corrupt();
    assert_eq!(
        ran.lab.client.job(&ran.uuid)["status"],
        "done",
        "a final status does not change"
    );
}

#[test]
fn a_log_is_never_followed_either() {
    let ran = Ran::script("import sys\nprint(1)\nprint('said', file=sys.stderr)\n");
    let log = format!("/api/v1/jobs/{}/log", ran.uuid);
    assert_eq!(ran.lab.client.get(&log).text(), "said\n");
    let path = ran.lab.site.shared(&format!("log/{}.log", ran.uuid));
    fs::remove_file(&path).unwrap();
    let secret = ran.lab.site.put("secret", "secret");
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    let answer = ran.lab.client.get(&log);
    assert!(!answer.text().contains("secret") && answer.status >= 400);
}

#[test]
fn a_third_partys_result_that_is_no_json_is_put_aside() {
    let lab = Lab::with(&[open("open")]);
    let uuid = lab.client.submit("open", "1");
    lab.site.put(
        &format!("data/shared/bcrlapi/response/{uuid}.json"),
        "{\"half\":",
    );
    let answer = lab.client.get(&format!("/api/v1/jobs/{uuid}/result"));
    assert_problem(&answer, 409, "result-not-ready");
    assert!(lab.names("response").is_empty());
    // Whoever puts it aside writes the reason a moment later.
    test_support::until("the reason", crate::support::PATIENCE, || {
        let names = lab.names("quarantine");
        names
            .iter()
            .any(|name| name.ends_with(".reason"))
            .then_some(())
    });
}

#[test]
fn a_broken_index_is_answered_from_the_last_good_one() {
    let lab = Lab::with(&[open("open")]);
    let ids = [
        lab.client.submit("open", "1"),
        lab.client.submit("open", "2"),
    ];
    let path = lab.site.shared("request/status.json");
    let whole = lab.read("request/status.json");
    // Nobody mends it while somebody has the lock.
    let held = lab.lock();
    for broken in ["", &whole[..whole.len() / 2]] {
        std::fs::write(&path, broken).unwrap();
        let list = lab.client.get("/api/v1/jobs").json();
        assert_eq!(list["jobs"].as_array().unwrap().len(), 2, "{broken:?}");
        assert_eq!(lab.client.job(&ids[1])["queue_position"], 2, "{broken:?}");
    }
    drop(held);
    let third = lab.client.submit("open", "3");
    let index = lab.site.index();
    let entries = index["jobs"].as_array().unwrap();
    let entries: Vec<_> = entries.iter().map(|entry| &entry["uuid"]).collect();
    assert_eq!(
        entries,
        [&ids[0], &ids[1], &third],
        "the next commit mends it"
    );
    assert!(!lab.names("quarantine").is_empty());
}

/// The most memory that a process ever had, in KiB.
fn peak_of(api: &test_support::Process) -> u64 {
    let path = format!("/proc/{}/status", api.pid().as_raw_nonzero());
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_large_result_is_streamed_in_little_memory() {
    const SIZE: usize = 48_000_000;
    let ran = Ran::script(&format!("print('\"' + 'x' * {} + '\"')\n", SIZE - 3));
    ran.lab.client.get("/healthz");
    let before = peak_of(&ran.lab.api);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut stream = connect(&ran.lab.api);
                let request = head(&format!("GET {}", ran.result()), &["Connection: close"]);
                stream.write_all(request.as_bytes()).unwrap();
                let read = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
                assert!((SIZE as u64..SIZE as u64 + 1000).contains(&read), "{read}");
            });
        }
    });
    let grown = peak_of(&ran.lab.api) - before;
    assert!(grown < 16 * 1024, "{grown} KiB for four readers");
}
