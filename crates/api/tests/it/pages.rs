//! The pages for people, without a browser: what is in them, what forms become, and what is refused.

use serde_json::json;
use test_support::{Answer, Site};

use crate::support::{Lab, NOBODYS_ID, OLD_ID, PATIENCE, Ran, add, assert_problem, open};

const BOUNDARY: &str = "b0undary";

/// Sends a form as a browser does.
#[track_caller]
fn send(lab: &Lab, path: &str, parts: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
    let mut body = String::new();
    for (name, content) in parts {
        let file = if *name == "sheet-file" {
            "; filename=\"a.csv\""
        } else {
            ""
        };
        body.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
        ));
    }
    body.push_str(&format!("--{BOUNDARY}--\r\n"));
    let form = format!("multipart/form-data; boundary={BOUNDARY}");
    let mut all = vec![("content-type", form.as_str()), ("accept", "text/html")];
    all.extend(headers);
    lab.client.send("POST", path, &all, Some(&body))
}

/// Looks at a page.
#[track_caller]
fn page(lab: &Lab, path: &str, status: u16) -> String {
    let answer = lab
        .client
        .send("GET", path, &[("accept", "text/html")], None);
    assert_page(&answer, status);
    answer.text()
}

#[track_caller]
fn assert_page(answer: &Answer, status: u16) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = answer.header("content-security-policy").unwrap();
    for part in [
        "default-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    for inline in [
        "<script>",
        " style=",
        " onclick",
        "javascript:",
        "http://",
        "https://",
    ] {
        assert!(!text.contains(inline), "{inline} in {text}");
    }
}

/// The job that an answer leads to.
#[track_caller]
fn job_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let location = answer.header("location").unwrap();
    location.strip_prefix("/jobs/").unwrap().to_owned()
}

/// What a job was submitted with, to the letter.
#[track_caller]
fn params(lab: &Lab, uuid: &str) -> String {
    let params = lab.params(&uuid.into());
    // A form's own key stands behind them.
    let end = params.find(",\"idempotency_key\":");
    params[..end.unwrap_or(params.len())].to_owned()
}

#[test]
fn the_front_page_lists_the_apis_in_the_readers_language() {
    let lab = Lab::with(&[open("open"), add()]);
    let ja = page(&lab, "/", 200);
    assert!(
        ja.contains("<html lang=\"ja\">") && ja.contains("openのAPI"),
        "{ja}"
    );
    assert!(ja.contains("href=\"/apis/add\"") && ja.contains("計算サーバーが動いていません"));
    let en = lab
        .client
        .send("GET", "/", &[("accept-language", "en-US")], None);
    assert_page(&en, 200);
    assert!(en.text().contains("The API open") && en.text().contains("No worker is running"));
    assert_eq!(en.header("set-cookie"), None);

    let chosen = lab.client.get("/?lang=en");
    let cookie = chosen
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    assert_eq!(
        (cookie, chosen.header("content-language")),
        ("lang=en", Some("en"))
    );
    let headers = [("cookie", cookie), ("accept-language", "ja")];
    let kept = lab.client.send("GET", "/apis/add", &headers, None);
    assert!(kept.text().contains("<html lang=\"en\">"));
}

#[test]
fn a_site_without_apis_says_so() {
    let lab = Lab::start(Site::new());
    assert!(page(&lab, "/", 200).contains("まだAPIがありません"));
    let form = page(&lab, "/apis/add", 503);
    assert!(form.contains("計算サーバーが動いていません"));
}

#[test]
fn what_pages_load_is_served_here_and_kept_by_browsers() {
    let lab = Lab::with(&[add()]);
    let front = page(&lab, "/", 200);
    let urls = front
        .split(['"'])
        .filter(|part| part.starts_with("/assets/"));
    let urls: Vec<_> = urls.collect();
    assert_eq!(urls.len(), 3);
    for url in urls {
        let answer = lab.client.get(url);
        assert_eq!(answer.status, 200, "{url}");
        assert!(
            answer
                .header("cache-control")
                .unwrap()
                .contains("immutable")
        );
    }
    assert_problem(&lab.client.get("/assets/style.css"), 404, "not-found");
}

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
fn names_from_outside_are_text() {
    let evil = "</title><script>alert(1)</script>";
    let mut api = open("evil");
    api["label"] = json!({"ja": evil, "en": evil});
    api["description"] = json!(format!("{evil}\n\n[x](javascript:alert(1))"));
    api["example"] = json!({ evil: evil });
    api["schema"] = json!({"type": "object", "properties": {
        evil: {"type": "string", "title": evil, "description": evil, "default": evil, "maxLength": 9},
        "c": {"enum": [evil]},
    }});
    let lab = Lab::with(&[api]);
    for path in [
        "/",
        "/apis/evil",
        "/apis/evil?example=1",
        &format!("/?lang={evil}"),
        &format!("/jobs?id={evil}"),
    ] {
        let answer = lab.client.get(path);
        let status = if path.starts_with("/jobs") { 422 } else { 200 };
        assert_page(&answer, status);
    }
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
    assert_problem(&refused, 406, "not-acceptable");
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

#[test]
fn jobs_that_are_not_there_are_told_apart_in_words() {
    let lab = Lab::with(&[add()]);
    for (path, status, words) in [
        (format!("/jobs/{NOBODYS_ID}"), 404, "ジョブが見つかりません"),
        ("/jobs/nonsense".into(), 404, "ジョブが見つかりません"),
        (format!("/jobs/{OLD_ID}"), 410, "保存期間が過ぎました"),
        ("/apis/nothing".into(), 404, "ページが見つかりません"),
        ("/nowhere".into(), 404, "ページが見つかりません"),
    ] {
        let answer = lab
            .client
            .send("GET", &path, &[("accept", "text/html,*/*;q=0.8")], None);
        assert_page(&answer, status);
        let id = answer.header("x-request-id").unwrap();
        assert!(
            answer.text().contains(words) && answer.text().contains(id),
            "{path}"
        );
    }
    assert_problem(&lab.client.get("/nowhere"), 404, "not-found");
    let found = lab
        .client
        .get(&format!("/jobs?id=%20{}", NOBODYS_ID.to_uppercase()));
    assert_eq!(job_of(&found), NOBODYS_ID);
    assert_page(&lab.client.get("/jobs?id=x"), 422);
}

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
