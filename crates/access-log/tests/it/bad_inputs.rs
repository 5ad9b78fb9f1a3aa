//! What nobody should write: hostile URLs in lines, and files with anything in them.

use access_log::reader::{open, summarize};
use job_core::access_log::{CUT, Line};
use job_core::api_routes::Names;

use crate::support::{DAY, at_noon, lines, routes, start};

/// Bytes with what tools take for the end of a column or a line among them.
fn hostile(random: &mut fastrand::Rng) -> Vec<u8> {
    let pieces: [&[u8]; 14] = [
        b"\t",
        b"\n",
        b"\r",
        b"\0",
        b"\x1b",
        b"\x7f",
        b"\\",
        b"\\t",
        b"\xff",
        b"\xe2\x80",
        b"\"",
        b"/a?b=%0A",
        "\u{2028}".as_bytes(),
        "\u{85}商".as_bytes(),
    ];
    let count = random.usize(0..30);
    let chosen = (0..count).map(|_| pieces[random.usize(0..pieces.len())]);
    chosen.collect::<Vec<_>>().concat()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "scripts/soak says so how many rounds a campaign has"
)]
fn campaign_hostile_urls_make_whole_lines_of_five_fields() {
    /// No more than the queue has room for.
    const LINES: usize = 10_000;
    let rounds = std::env::var("BCRL_CAMPAIGN_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    for seed in 0..rounds {
        let mut random = fastrand::Rng::with_seed(seed);
        let home = tempfile::tempdir().unwrap();
        let urls: Vec<_> = (0..LINES).map(|_| hostile(&mut random)).collect();
        let log = start(home.path());
        urls.iter().for_each(|url| log.note(at_noon(url)));
        log.note(at_noon(&vec![b'\t'; 1 << 20]));
        log.stop();
        let mut lines = lines(home.path(), &format!("ApiLog.{DAY}.tsv"));
        assert_eq!(lines.len(), LINES + 1);
        let cut = String::from_utf8(lines.pop().unwrap()).unwrap();
        assert!(cut.len() < 2200 && cut.contains(CUT), "{cut}");
        for (line, url) in lines.iter().zip(&urls) {
            assert_is_plain(line);
            assert_eq!(Line::parse(line).unwrap().url(), url, "seed {seed}");
        }
    }
}

/// Checks that no tool could take a line for anything but five columns.
#[track_caller]
fn assert_is_plain(line: &[u8]) {
    let text = std::str::from_utf8(line).unwrap();
    assert_eq!(text.split('\t').count(), 5, "{text}");
    let ends_a_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(|c| c != '\t' && ends_a_line(c)), "{text:?}");
}

#[test]
fn a_bad_line_is_counted_and_shown_and_all_others_are_in() {
    let good = format!("/a\tGET\t200\t1.500\t{DAY}T12:00:00.000+09:00");
    let with = |from: &str, to: &str| good.replace(from, to).into_bytes();
    let bad: [(Vec<u8>, &str); 12] = [
        (with("\tGET", ""), "it has 4 columns"),
        (with("GET", "GET\tGET"), "it has 6 columns"),
        (Vec::new(), "it is empty"),
        (with("/a", "/\0"), "it has a control character"),
        (
            [b"/\xff", &good.as_bytes()[2..]].concat(),
            "it is not UTF-8",
        ),
        (with("1.500", "abc"), "the milliseconds are"),
        (with("1.500", "-1"), "the milliseconds are"),
        (with("1.500", "inf"), "the milliseconds are"),
        (with("200", "0"), "the status is"),
        (with(DAY, "2026-11-22"), "its time is of another day"),
        (with("T12", " noon"), "the time is no date"),
        (vec![b'x'; 10 << 20], "it has more than"),
    ];
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log");
    let names = Names::new(&routes(&["/a"]));
    for (line, reason) in &bad {
        for end in ["\n", "\r\n"] {
            let text = [
                good.as_bytes(),
                line,
                good.as_bytes(),
                &good.as_bytes()[..20],
            ];
            // The last line is half, and has no end.
            std::fs::write(&path, text.join(end.as_bytes())).unwrap();
            let (input, _) = open(&path).unwrap();
            let summary = summarize(input, DAY.parse().unwrap(), &names).unwrap();
            let counts: Vec<_> = summary.rows.values().map(|totals| totals.count).collect();
            assert_eq!((summary.lines, counts), (4, vec![2]), "{reason}");
            let told = |n: usize| (summary.bad_samples[n].line, &*summary.bad_samples[n].reason);
            assert_eq!(summary.bad_lines, 2);
            assert!(
                told(0).0 == 2 && told(0).1.starts_with(reason),
                "{:?}",
                told(0)
            );
            assert!(told(1).0 == 4, "{:?}", told(1));
        }
    }
    // The last line needs no end.
    std::fs::write(&path, format!("{good}\r\n{good}")).unwrap();
    let (input, _) = open(&path).unwrap();
    let summary = summarize(input, DAY.parse().unwrap(), &names).unwrap();
    assert_eq!((summary.lines, summary.bad_lines), (2, 0));
    assert_eq!(summary.rows.values().next().unwrap().total_us, 3000);
}
