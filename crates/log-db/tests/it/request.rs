//! Days that somebody wants counted again.

use log_db::run::RunResult;

use crate::support::{date, day, on_both};

#[test]
fn a_request_is_open_until_it_is_finished_once() {
    on_both(async |db| {
        let now = date("2026-11-21T12:00:00.000+09:00");
        assert_eq!(db.open_requests().await.unwrap(), []);
        for on in [day(3), day(1), day(3)] {
            db.request(on, now).await.unwrap();
        }
        let open = db.open_requests().await.unwrap();
        let days: Vec<_> = open.iter().map(|request| request.day).collect();
        assert_eq!(days, [day(3), day(1), day(3)]);
        for _ in 0..2 {
            let done = db.finish_request(&open[0], RunResult::Done, now).await;
            done.unwrap();
        }
        assert_eq!(db.open_requests().await.unwrap(), open[1..]);
    });
}
