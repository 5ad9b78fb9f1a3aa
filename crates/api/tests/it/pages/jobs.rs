//! A job's page, from the queue to its result.

use test_support::Site;

use super::{job_of, page, params, send};
use crate::support::{Lab, PATIENCE, Ran, add};

#[test]
fn a_job_is_canceled_and_run_again_from_its_page() {
    let lab = Lab::with(&[add()]);
    let uuid = lab.client.submit("add", "{\"num1\": 1.50, \"num2\": 2}");
    let waiting = page(&lab, &format!("/jobs/{uuid}"), 200);
    assert!(
        waiting.contains("http-equiv=\"refresh\"") && waiting.contains("1番目"),
        "{waiting}"
    );
    let url = format!("/jobs/{uuid}/cancel");
    assert_eq!(job_of(&send(&lab, &url, &[], &[])), uuid);
    assert_eq!(
        job_of(&send(&lab, &url, &[], &[])),
        uuid,
        "it has ended already"
    );
    let canceled = page(&lab, &format!("/jobs/{uuid}"), 200);
    assert!(
        canceled.contains("取り消し済み") && !canceled.contains("http-equiv"),
        "{canceled}"
    );

    let again = |key: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let body = format!("key={key}");
        let answer = lab.client.send(
            "POST",
            &format!("/jobs/{uuid}/rerun"),
            &headers,
            Some(&body),
        );
        job_of(&answer)
    };
    let second = again("k1");
    assert_eq!(
        (again("k1"), params(&lab, &second)),
        (second.clone(), params(&lab, &uuid))
    );
    assert_ne!(again("k2"), second);
    assert_eq!(again("k1&more=x"), second, "it is read as a form");
    let long = "k".repeat(64);
    assert_eq!(again(&format!("{long}1")), again(&format!("{long}2")));
}

#[test]
fn a_result_is_shown_as_figures_plot_and_table() {
    let ran = Ran::printing(
        r#"{"soc": [1, 0.5, 0.25], "final_soc": 0.25, "note": "<script>alert(1)</script>"}"#,
    );
    let done = page(&ran.lab, &format!("/jobs/{}", ran.uuid), 200);
    for part in [
        "<dt>final_soc</dt><dd>0.25</dd>",
        "&#60;script&#62;",
        "class=\"plot\"",
        "role=\"img\"",
        "<td class=\"number\">0.5</td>",
        "/result?format=csv&amp;bom=true",
        "/result?format=json",
        "<time datetime=\"",
    ] {
        assert!(done.contains(part), "{part} in {done}");
    }
}

#[test]
fn of_a_large_result_the_first_rows_are_shown() {
    let site = Site::new();
    site.app(
        "app",
        "print('[' + ','.join(str(n % 97) for n in range(200_000)) + ']')\n",
    );
    let lab = Lab::with_worker(site);
    let uuid = lab.client.submit("app", "{}");
    lab.client.until_ended(&uuid, PATIENCE);
    let done = page(&lab, &format!("/jobs/{uuid}"), 200);
    assert!(done.contains("200,000行のうち先頭の100行"), "{done}");
    assert!(
        done.contains("最小値と最大値"),
        "the plot says that it is condensed"
    );
    assert!(!done.contains("format=csv"), "it is no table");
    assert!(done.len() < 60_000, "{} bytes", done.len());
}

#[test]
fn csv_is_offered_only_where_it_can_be_had() {
    // Blanks make it too large, and need no time to be read.
    let large = "print('[{\"a\": 1}' + ' ' * (32 << 20) + ']')";
    let wide = "import json\nprint(json.dumps([{f'm{n}': 1 for n in range(m, m + 600)} for m in (0, 500)]))";
    for (main, status) in [(large, 406), (wide, 406), ("print('[{\"a\": 1}]')", 200)] {
        let ran = Ran::script(main);
        let answer = ran.lab.client.get(&format!("{}?format=csv", ran.result()));
        assert_eq!(answer.status, status, "{main}");
        let done = page(&ran.lab, &format!("/jobs/{}", ran.uuid), 200);
        assert!(done.contains("<table>"), "it is shown");
        assert_eq!(done.contains("format=csv"), status == 200, "{main}");
    }
}

#[test]
fn a_result_that_cannot_be_shown_is_not_called_too_large() {
    let ran = Ran::printing("{\"n\": 1}");
    // Third parties need not say what their result's digest is, and then nobody looks at it before.
    let receipt = format!("receipt/{}.json", ran.uuid);
    let mut told: serde_json::Value = serde_json::from_str(&ran.lab.read(&receipt)).unwrap();
    told["sha256"].as_object_mut().unwrap().remove("response");
    let site = &ran.lab.site;
    site.put(&format!("data/shared/bcrlapi/{receipt}"), &told.to_string());
    let response = format!("data/shared/bcrlapi/response/{}.json", ran.uuid);
    site.put(&response, "{\"n\": 1e999}");
    let done = page(&ran.lab, &format!("/jobs/{}", ran.uuid), 200);
    assert!(
        done.contains("結果をここに表示できません") && !done.contains("結果が大きい"),
        "{done}"
    );
}

#[test]
fn a_failed_job_says_why_and_shows_the_end_of_its_log() {
    let site = Site::new();
    let main =
        "import sys\nfor n in range(5000): print(f'line {n} <i>', file=sys.stderr)\nsys.exit(3)\n";
    site.app("app", main);
    let lab = Lab::with_worker(site);
    let uuid = lab.client.submit("app", "{}");
    lab.client.until_ended(&uuid, PATIENCE);
    let failed = page(&lab, &format!("/jobs/{uuid}"), 200);
    for part in [
        "プログラムがエラーで終わりました",
        "line 4999 &#60;i&#62;",
        "最後の部分です",
    ] {
        assert!(failed.contains(part), "{part} in {failed}");
    }
    assert!(!failed.contains("line 100 "));
    let ended = format!("/jobs/{uuid}?lang=en");
    assert!(page(&lab, &ended, 200).contains("The program ended with an error"));
}
