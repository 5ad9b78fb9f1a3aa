//! The front page, what pages load, and pages that are not there.

use serde_json::json;
use test_support::Site;

use super::{assert_page, job_of, page};
use crate::support::{Lab, NOBODYS_ID, OLD_ID, add, assert_problem, open};

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
fn the_link_to_the_other_language_never_leaves_the_site() {
    let lab = Lab::with(&[add()]);
    for (path, status) in [("//evil.example/x", 404), ("/apis/add?example=1", 200)] {
        let headers = [("accept", "text/html"), ("accept-language", "ja")];
        let answer = lab.client.send("GET", path, &headers, None);
        assert_page(&answer, status);
        let link = answer.text().split("<nav").nth(1).unwrap().to_owned();
        let link = link.split('"').find(|part| part.ends_with("lang=en"));
        assert!(link.unwrap().starts_with('?'), "{path}: {link:?}");
    }
}
