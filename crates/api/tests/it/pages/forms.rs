//! What forms become, and what is refused.

use serde_json::json;
use test_support::Site;

use super::{assert_page, job_of, page, params, send};
use crate::support::{Lab, add, assert_problem, open};

#[test]
fn a_form_becomes_the_same_job_as_a_request() {
    let lab = Lab::with(&[add()]);
    let form = page(&lab, "/apis/add", 200);
    for part in [
        "name=\"value/num1\"",
        "name=\"key\"",
        "enctype=\"multipart/form-data\"",
        "必須",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
    let parts = [
        ("key", "k1"),
        ("value/num1", " 12.50 "),
        ("value/num2", "２３"),
    ];
    let uuid = job_of(&send(&lab, "/apis/add", &parts, &[]));
    assert_eq!(params(&lab, &uuid), r#"{"num1":12.50,"num2":23}"#);
    assert!(page(&lab, &format!("/jobs/{uuid}"), 200).contains("順番待ち"));
}

#[test]
fn a_form_that_is_sent_twice_is_one_job_and_a_changed_one_another() {
    let lab = Lab::with(&[add()]);
    let sent = |num1: &str, key: &str| {
        let parts = [("key", key), ("value/num1", num1), ("value/num2", "1")];
        job_of(&send(&lab, "/apis/add", &parts, &[]))
    };
    let first = sent("1", "k1");
    assert_eq!(sent("1", "k1"), first);
    assert_ne!(sent("2", "k1"), first, "somebody went back and changed it");
    assert_ne!(sent("1", "k2"), first, "a form of its own");
    assert_ne!(
        sent("1", ""),
        sent("1", ""),
        "forms that are not known apart"
    );
    assert_eq!(lab.requests().len(), 5);
}

#[test]
fn what_is_wrong_is_told_in_the_form_and_nothing_is_lost() {
    let lab = Lab::with(&[add()]);
    let evil = "\"><script>alert(1)</script>";
    let parts = [("key", "k1"), ("value/num1", evil), ("value/num2", "5e300")];
    let ja = send(&lab, "/apis/add", &parts, &[]);
    assert_page(&ja, 422);
    let text = ja.text();
    for part in [
        "<title>エラー: ",
        "role=\"alert\"",
        "href=\"#at/num1\"",
        "value=\"&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;\"",
        "1e300以下にしてください",
        "aria-invalid=\"true\"",
        "value=\"k1\"",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let en = send(&lab, "/apis/add", &parts, &[("accept-language", "en")]);
    assert!(en.text().contains("Something in the form is wrong"));
    assert_eq!(lab.requests().len(), 0);
}

#[test]
fn a_form_that_was_refused_changes_its_language_with_what_was_entered() {
    let lab = Lab::with(&[add()]);
    let typed = [("key", "k1"), ("value/num1", "half"), ("value/num2", "5")];
    let button = "name=\"lang\" value=\"en\"";
    assert!(
        !page(&lab, "/apis/add", 200).contains(button),
        "a link will do"
    );
    assert!(send(&lab, "/apis/add", &typed, &[]).text().contains(button));
    let mut parts = typed.to_vec();
    parts.push(("lang", "en"));
    let english = send(&lab, "/apis/add", &parts, &[]);
    assert_page(&english, 422);
    for part in [
        "<html lang=\"en\">",
        "value=\"half\"",
        "value=\"k1\"",
        "“half” is none",
        "name=\"lang\" value=\"ja\"",
    ] {
        assert!(
            english.text().contains(part),
            "{part} in {}",
            english.text()
        );
    }
    let cookie = english.header("set-cookie").unwrap();
    assert!(cookie.starts_with("lang=en;"), "{cookie}");

    // Where nothing is wrong any more, it is not submitted either.
    parts[1].1 = "0.5";
    let mended = send(&lab, "/apis/add", &parts, &[]);
    assert_page(&mended, 200);
    assert!(mended.text().contains("value=\"0.5\""));
    assert_eq!(lab.requests().len(), 0);
}

#[test]
fn what_only_the_schema_knows_is_told_at_the_nearest_field() {
    let mut api = open("odd");
    api["schema"] = json!({"type": "object", "required": ["n", "s"], "properties": {
        "n": {"type": "number", "multipleOf": 5},
        "s": {"type": "array", "uniqueItems": true, "items": {"type": "number"}},
        "deep": {"oneOf": [{"type": "object", "required": ["x"]}]},
    }});
    let lab = Lab::with(&[api]);
    let parts = [
        ("value/n", "3"),
        ("value/s", "1 1"),
        ("value/deep", "{\"y\": 1}"),
    ];
    let answer = send(&lab, "/apis/odd", &parts, &[]);
    assert_page(&answer, 422);
    for id in ["at/n", "at/s", "at/deep"] {
        assert!(
            answer.text().contains(&format!("href=\"#{id}\"")),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn a_file_fills_the_series_that_its_headings_name() {
    let series =
        |title: &str| json!({"type": "array", "title": title, "items": {"type": "number"}});
    let mut api = open("soc");
    api["schema"] = json!({"type": "object", "required": ["time_s", "current_a"], "properties": {
        "time_s": series("Time [s]"), "current_a": series("Current [A]"),
    }});
    let lab = Lab::with(&[api]);
    let csv = "# Based on the US06 drive cycle,\n# time [s],current [A]\n0,0.012859\n1,-0.10\n";
    // Browsers send the empty fields too.
    let parts = [
        ("value/time_s", ""),
        ("value/current_a", "9 9"),
        ("sheet-file", csv),
        ("sheet", ""),
    ];
    let uuid = job_of(&send(&lab, "/apis/soc", &parts, &[]));
    assert_eq!(
        params(&lab, &uuid),
        r#"{"time_s":[0,1],"current_a":[0.012859,-0.10]}"#
    );

    let bare = [("sheet-file", "0,1\n1,<b>\n")];
    let asked = send(&lab, "/apis/soc", &bare, &[]);
    assert_page(&asked, 422);
    let text = asked.text();
    assert!(
        text.contains("name=\"column/time_s\"") && text.contains("0,1\n1,&#60;b&#62;\n</textarea>"),
        "{text}"
    );
    let chosen = [
        ("sheet", "0,1\n1,2\n"),
        ("column/time_s", "1"),
        ("column/current_a", "0"),
    ];
    let uuid = job_of(&send(&lab, "/apis/soc", &chosen, &[]));
    assert_eq!(params(&lab, &uuid), r#"{"time_s":[1,2],"current_a":[0,1]}"#);
}

#[test]
fn a_table_with_too_many_columns_is_refused_and_makes_no_large_page() {
    let series = json!({"type": "array", "items": {"type": "number"}});
    let mut api = open("soc");
    api["schema"] =
        json!({"type": "object", "required": ["a"], "properties": {"a": series, "b": series}});
    let lab = Lab::with(&[api]);
    let wide = "1,".repeat(200_000);
    let parts = [("sheet", wide.as_str())];
    let refused = send(&lab, "/apis/soc", &parts, &[]);
    assert_page(&refused, 422);
    assert!(refused.text().contains("1,000列以内"), "it says why");
    assert!(
        refused.body.len() < wide.len() + 10_000,
        "{} bytes",
        refused.body.len()
    );
    // As many columns as may be are offered.
    let widest = "1,".repeat(999) + "1";
    let parts = [("sheet", widest.as_str())];
    let offered = send(&lab, "/apis/soc", &parts, &[]);
    assert_page(&offered, 422);
    assert!(offered.text().contains("<option value=\"999\">"));
}

#[test]
fn an_api_without_a_schema_takes_json() {
    let lab = Lab::with(&[open("open")]);
    assert!(page(&lab, "/apis/open", 200).contains("<textarea id=\"at\" name=\"value\""));
    let uuid = job_of(&send(
        &lab,
        "/apis/open",
        &[("value", "[1, {\"a\": null}]")],
        &[],
    ));
    assert_eq!(params(&lab, &uuid), r#"[1, {"a": null}]"#);
    assert_page(&send(&lab, "/apis/open", &[("value", "{")], &[]), 422);
}

#[test]
fn forms_of_other_sites_are_refused() {
    let lab = Lab::with(&[add()]);
    let waiting = lab.client.submit("add", "{\"num1\": 1, \"num2\": 2}");
    let parts = [("value/num1", "1"), ("value/num2", "2")];
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "http://evil.example")],
        [("origin", "null")],
    ] {
        for path in [
            "/apis/add",
            &format!("/jobs/{waiting}/cancel"),
            &format!("/jobs/{waiting}/rerun"),
        ] {
            let answer = send(&lab, path, &parts, &headers);
            assert_page(&answer, 403);
            let id = answer.header("x-request-id").unwrap();
            assert!(answer.text().contains(id), "{}", answer.text());
        }
    }
    let json = [
        ("origin", "null"),
        ("accept", "application/json"),
        ("content-type", "text/plain"),
    ];
    let refused = lab.client.send("POST", "/apis/add", &json, Some("x"));
    assert_problem(&refused, 403, "forbidden");
    assert_eq!(
        (lab.requests().len(), &lab.client.job(&waiting)["status"]),
        (1, &json!("pending"))
    );
}

#[test]
fn forms_that_are_none_are_refused_as_pages() {
    let lab = Lab::on(Site::new().set("LIMITS__REQUEST", "64KiB"), &[add()]);
    let post = |form: &str, body: &str| {
        let headers = [("content-type", form), ("accept", "text/html")];
        lab.client.send("POST", "/apis/add", &headers, Some(body))
    };
    assert_page(&post("application/json", "{}"), 415);
    assert_page(&post("multipart/form-data", "x"), 415);
    assert_page(&post("multipart/form-data; boundary=b", "--b\r\nhalf"), 400);
    assert_page(&send(&lab, "/apis/nothing", &[], &[]), 404);
    assert_problem(&lab.client.get("/problems/forbidden/"), 404, "not-found");
    assert_page(&lab.client.get("/problems/forbidden"), 200);
    let large = "1\n".repeat(40_000);
    assert_page(
        &send(&lab, "/apis/add", &[("value/num1", &large)], &[]),
        413,
    );
    assert_eq!(lab.requests().len(), 0);
}
