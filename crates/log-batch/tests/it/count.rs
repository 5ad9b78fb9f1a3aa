//! A day's files as rows, whatever is in them.

use job_core::day_summary::{UNMATCHED_KEY, UNMATCHED_NAME};
use log_batch::count::{CountError, CountedDay, Progress, count};
use log_batch::folder::Folder;

use crate::support::{ago, put, put_day, routes, text};

fn counted(folder: &std::path::Path) -> Result<CountedDay, CountError> {
    let folder = Folder::new(folder.to_owned());
    let files = folder.days().unwrap().remove(&ago(1)).unwrap();
    count(&folder, ago(1), &files, &|_| {})
}

#[test]
fn what_is_no_line_is_counted_and_shown_and_all_others_are_in() {
    let home = tempfile::tempdir().unwrap();
    let (day, before) = (ago(1), ago(2));
    put_day(home.path(), day, 0);
    let good = format!("/api/products\tGET\t200\t1.500\t{day}T10:00:00.000+09:00");
    let other = |from: &str, to: &str| good.replace(from, to).into_bytes();
    let bad: Vec<(Vec<u8>, &str)> = vec![
        (b"a\tb\tc\td".to_vec(), "4 columns"),
        (format!("{good}\tsix").into_bytes(), "6 columns"),
        (Vec::new(), "empty"),
        (other("products", "pro\0ducts"), "control character"),
        (other("products", "pro\u{1b}ducts"), "control character"),
        ([b"\xff", good.as_bytes()].concat(), "UTF-8"),
        (other("1.500", "abc"), "milliseconds"),
        (other("1.500", "-1"), "milliseconds"),
        (other("1.500", "inf"), "milliseconds"),
        (other("\t200", "\t0"), "status"),
        (other(&day.to_string(), &before.to_string()), "another day"),
        (vec![b'a'; 10 << 20], "64 KiB"),
    ];
    let mut file = Vec::new();
    let mut goods = 0;
    for (line, _) in &bad {
        file.extend_from_slice(line);
        file.extend_from_slice(b"\n");
        // One end or the other, whoever wrote it.
        let end = if goods % 2 == 0 { "\n" } else { "\r\n" };
        file.extend_from_slice(format!("{good}{end}").as_bytes());
        goods += 1;
    }
    let half = &good[..good.len() / 2];
    for (end, more, reason) in [(good.as_str(), 1, None), (half, 0, Some("columns"))] {
        let name = format!("ApiLog.{day}.tsv");
        put(home.path(), &name, [&file, end.as_bytes()].concat());
        let counted = counted(home.path()).unwrap();
        let told = &counted.files[0];
        assert_eq!(told.lines, 2 * goods + 1);
        assert_eq!(told.bad_lines, goods + u64::from(reason.is_some()));
        assert_eq!(counted.rows.len(), 1);
        assert_eq!(counted.rows[0].access_count, goods + more);
        assert_eq!(told.bad_line_samples.len(), 5);
        for (n, (sample, (_, reason))) in told.bad_line_samples.iter().zip(&bad).enumerate() {
            assert_eq!(sample.line, 2 * n as u64 + 1);
            assert!(sample.reason.contains(reason), "{sample:?}");
        }
    }
    // Those that are not among the first five, each as the only line.
    for (line, reason) in &bad {
        put(
            home.path(),
            &format!("ApiLog.{day}.tsv"),
            [line, &b"\n"[..]].concat(),
        );
        let told = counted(home.path()).unwrap().files.remove(0);
        assert!(told.bad_line_samples[0].reason.contains(reason), "{told:?}");
    }
}

#[test]
fn an_empty_file_is_a_day_without_requests() {
    let home = tempfile::tempdir().unwrap();
    put_day(home.path(), ago(1), 0);
    let counted = counted(home.path()).unwrap();
    assert_eq!((counted.files[0].lines, counted.rows.len()), (0, 0));
}

#[test]
fn each_file_of_a_day_has_its_rows_and_a_copy_of_one_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let day = ago(1);
    put_day(home.path(), day, 10);
    put(home.path(), &format!("ApiLog.{day}.a.tsv"), text(day, 20));
    put(home.path(), &format!("ApiLog.{day}.b.tsv"), text(day, 20));
    put(home.path(), &format!("ApiLog.{day}.c.tsv"), "");
    put(home.path(), &format!("ApiLog.{day}.d.tsv"), "");
    let counted = counted(home.path()).unwrap();
    let refused: Vec<_> = counted
        .files
        .iter()
        .map(|file| file.refused.as_deref())
        .collect();
    let told = format!("it has the same content as ApiLog.{day}.a.tsv");
    assert_eq!(refused, [None, None, Some(&*told), None, None]);
    let count = |name: &str| -> u64 {
        let rows = counted.rows.iter();
        let own = rows.filter(|row| row.log_file_name == format!("ApiLog.{day}{name}.tsv"));
        own.map(|row| row.access_count).sum()
    };
    assert_eq!((count(".a"), count(".b"), count("")), (20, 0, 10));
}

#[test]
fn a_day_without_names_is_all_unmatched_and_one_with_broken_names_is_not_counted() {
    let home = tempfile::tempdir().unwrap();
    let day = ago(1);
    put(home.path(), &format!("ApiLog.{day}.tsv"), text(day, 10));
    let unmatched = counted(home.path()).unwrap();
    for row in &unmatched.rows {
        assert_eq!(
            (&*row.api_key, &*row.api_name),
            (UNMATCHED_KEY, UNMATCHED_NAME)
        );
    }
    assert_eq!(unmatched.files[0].unmatched_paths[0].path, "/api/products");
    put(home.path(), &format!("ApiRoutes.{day}.json"), "{");
    assert!(matches!(counted(home.path()), Err(CountError::Routes(_))));
    put(home.path(), &format!("ApiRoutes.{day}.json"), routes());
    assert!(counted(home.path()).unwrap().rows.len() > 3);
}

#[test]
fn what_is_read_is_told_to_the_last_byte() {
    let home = tempfile::tempdir().unwrap();
    put_day(home.path(), ago(1), 5000);
    let folder = Folder::new(home.path().to_owned());
    let files = folder.days().unwrap().remove(&ago(1)).unwrap();
    let told = std::sync::Mutex::new((0, 0));
    count(&folder, ago(1), &files, &|progress| {
        let mut told = told.lock().unwrap();
        match progress {
            Progress::Begins { bytes, .. } => told.0 += bytes,
            Progress::Read(bytes) => told.1 += bytes,
            Progress::Ends => assert_eq!(told.0, told.1),
        }
    })
    .unwrap();
    assert_eq!(told.into_inner().unwrap().1, files[0].size);
}
