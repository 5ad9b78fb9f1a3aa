//! What the batch did.

use log_db::run::{Run, RunResult};

use crate::support::{day, done, on_both, row};

#[test]
fn runs_come_back_as_they_were_noted_and_in_that_order() {
    on_both(async |db| {
        let failed = Run {
            result: RunResult::Failed,
            message: Some("no such file: 商品".into()),
            files: Vec::new(),
            ..done(day(2), 0)
        };
        let mut two_files = done(day(1), 1);
        let mut second = two_files.files[0].clone();
        second.name = "ApiLog.2026-11-01.b.tsv".into();
        second.refused = Some("same content as ApiLog.2026-11-01.tsv".into());
        second.bad_line_samples = Vec::new();
        second.unmatched_paths = Vec::new();
        two_files.files.insert(0, second);
        let no_file = Run {
            result: RunResult::NoFile,
            files: Vec::new(),
            ..done(day(3), 0)
        };
        db.note_run(&failed).await.unwrap();
        db.store_day(&two_files, &[row(day(1), "stock", 1)])
            .await
            .unwrap();
        db.note_run(&no_file).await.unwrap();
        assert_eq!(
            db.runs_since(day(1)).await.unwrap(),
            [failed.clone(), two_files, no_file.clone()]
        );
        assert_eq!(db.runs_since(day(2)).await.unwrap(), [failed, no_file]);
        assert_eq!(db.runs_since(day(4)).await.unwrap(), []);
    });
}
