"""What people do on the pages."""

import json
import threading

from pages.browser import Browser
from selenium.webdriver.common.keys import Keys

FILE = "#sheet-file"
RUN = "main form[method=post] button.main"
CSV = 'a[download$=".csv"]'
JSON = 'a[download$=".json"]'
# One that nobody was given, and one from before any retention.
NOBODYS = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
OLD = "0190a6f0-1c2d-7abc-8def-0123456789ab"


def field(pointer):
    """The control of a field."""
    return f'[id="at{pointer}"]'


def japanese(site, shots):
    """From the front page to the result, live, and both downloads."""
    with Browser(site, shots) as browser:
        browser.open("/")
        assert browser.find("html").get_attribute("lang") == "ja"
        browser.until_text("充電率推定API")
        browser.look("index-ja")

        # Another job has the worker, so that the next one is seen waiting.
        first = site.submit("held", {})
        browser.open(f"/jobs/{first}")
        browser.until_text("40 % · 240 of 600")
        browser.until_text("reading the samples")
        browser.look("job-running-ja")

        browser.open("/")
        browser.click('a[href="/apis/soc"]')
        browser.look("form-ja")
        browser.fill(field("/capacity_ah"), "5.0")
        browser.fill(field("/initial_soc"), "0.9")
        browser.find(FILE).send_keys(site.csv)
        browser.click(RUN)
        browser.until_badge("pending")
        browser.until_text("1番目")
        browser.look("job-waiting-ja")
        address = browser.driver.current_url

        # It is watched, and not loaded again: what is put into the page stays there.
        browser.driver.execute_script("document.body.dataset.kept = 'yes'")
        site.open_gate()
        browser.until_badge("done")
        assert browser.find("body").get_attribute("data-kept") == "yes"
        assert browser.driver.current_url == address
        browser.until("the plot", lambda: browser.all("svg.plot path.line"))
        assert "Time [s]" in browser.find("svg.plot").text
        browser.until_text("601行のうち先頭の100行")
        browser.look("job-done-ja")
        check_downloads(browser)


def check_downloads(browser):
    """What is downloaded is what soc says of its example."""
    name, content = browser.downloaded(JSON)
    assert name.startswith("soc-") and name.endswith(".json"), name
    result = json.loads(content)
    assert len(result["soc"]) == 601 and abs(result["final_soc"] - 0.8719) < 1e-4
    name, content = browser.downloaded(CSV)
    assert name.startswith("soc-") and name.endswith(".csv"), name
    lines = content.decode("utf-8-sig").split("\r\n")
    assert lines[0] == "soc" and [float(line) for line in lines[1:-1]] == result["soc"]
    assert content.startswith(b"\xef\xbb\xbf")


def without_scripts(site, shots):
    """The same where no script runs: pages come back by themselves."""
    with Browser(site, shots, scripts=False) as browser:
        first = site.submit("held", {})
        browser.open("/apis/soc")
        browser.fill(field("/capacity_ah"), "5.0")
        browser.fill(field("/initial_soc"), "0.9")
        browser.find(FILE).send_keys(site.csv)
        browser.click(RUN)
        browser.until_badge("pending")
        assert "http-equiv=\"refresh\"" in browser.driver.page_source
        site.open_gate()
        browser.until_badge("done")
        assert browser.all("svg.plot path.line")
        assert "http-equiv=\"refresh\"" not in browser.driver.page_source
        check_downloads(browser)
        browser.shoot_as_seen("job-done-without-scripts")
        browser.open(f"/jobs/{first}")
        browser.until_text("<script>alert(1)</script>")


def keyboard(site, shots):
    """Everything with the keyboard alone, in English."""
    with Browser(site, shots, languages="en-US,en") as browser:
        browser.open("/")
        assert browser.find("html").get_attribute("lang") == "en"
        browser.press(Keys.TAB)
        skip = browser.driver.switch_to.active_element
        assert skip.get_attribute("class") == "skip"
        browser.shoot("index-en-skip-link")
        browser.press(Keys.ENTER)
        browser.tab_to('a[href="/apis/soc"]')
        browser.press(Keys.ENTER)
        browser.until_text("Use the example")
        browser.tab_to('a[href="/apis/soc?example=1"]')
        browser.press(Keys.ENTER)
        capacity = field("/capacity_ah")
        filled = f'{capacity}[value="5.0"]'
        browser.until("the example", lambda: browser.all(filled))
        browser.look("form-en")
        browser.tab_to(RUN)
        browser.press(Keys.ENTER)
        browser.until_badge("done")
        browser.look("job-done-en")
        browser.tab_to('form[action$="/rerun"] button')
        before = browser.driver.current_url
        browser.press(Keys.ENTER)
        browser.until("another job", lambda: browser.driver.current_url != before)
        browser.until_badge("done")


def wrong_input(site, shots):
    """What is wrong is told at its place, and nothing that was typed is lost."""
    with Browser(site, shots) as browser:
        browser.open("/apis/soc")
        browser.fill(field("/capacity_ah"), "-1")
        browser.fill(field("/initial_soc"), "<b>half</b>")
        browser.click(RUN)
        browser.until_text("入力内容に問題があります")
        focused = browser.driver.switch_to.active_element
        assert focused.get_attribute("role") == "alert"
        assert browser.find(field("/initial_soc")).get_attribute("value") == "<b>half</b>"
        assert browser.find(field("/capacity_ah")).get_attribute("aria-invalid") == "true"
        assert "エラー" in browser.driver.title
        browser.look("form-wrong-ja")
        browser.click('[role=alert] a[href="#at/capacity_ah"]')
        assert browser.driver.switch_to.active_element == browser.find(field("/capacity_ah"))

        # The language changes, and what was typed stays; Enter still sends the form.
        browser.click('header button[name="lang"]')
        browser.until_text("Something in the form is wrong")
        assert browser.find(field("/initial_soc")).get_attribute("value") == "<b>half</b>"
        browser.look("form-wrong-en")
        browser.driver.execute_script("document.body.dataset.kept = 'yes'")
        browser.find(field("/initial_soc")).send_keys(Keys.ENTER)
        browser.until("the form again", lambda: not browser.all("body[data-kept]"))
        assert browser.find("html").get_attribute("lang") == "en"
        browser.find('header button[value="ja"]')

        # A table without headings: which column is which is asked, and the table is kept.
        browser.open("/apis/soc?lang=en")
        browser.fill(field("/capacity_ah"), "5")
        browser.driver.execute_script("document.querySelector('fieldset details').open = true")
        browser.fill("#sheet", "0,1.5\n1,1.25\n2,1\n")
        browser.click(RUN)
        browser.until_text("Choose its column of the data")
        browser.look("form-columns-en")
        assert site.jobs() == 0
        browser.click(RUN)
        browser.until_badge("done")
        assert browser.find("html").get_attribute("lang") == "en", "the choice is remembered"


def ends(site, shots):
    """Jobs that fail and are canceled, jobs that are not there, and one click too many."""
    with Browser(site, shots) as browser:
        failing = site.submit("held", {})
        browser.open(f"/jobs/{failing}")
        browser.until_text("240 of 600")
        site.open_gate("fail")
        browser.until_badge("failed")
        browser.until_text("プログラムがエラーで終わりました")
        browser.until_text("the samples make no sense <b>here</b>")
        browser.look("job-failed-ja")

        held = site.submit("held", {})
        waiting = site.submit("add", {"num1": 1, "num2": 2})
        browser.open(f"/jobs/{waiting}")
        browser.until_badge("pending")
        browser.click('form[action$="/cancel"] button')
        browser.until_badge("canceled")
        browser.look("job-canceled-ja")
        browser.open(f"/jobs/{held}")
        threading.Thread(target=site.open_gate, daemon=True).start()
        browser.until_badge("done")
        browser.look("job-table-ja")

        before = site.jobs()
        browser.open("/apis/add")
        browser.fill(field("/num1"), "12")
        browser.fill(field("/num2"), "23")
        twice = "const form = document.querySelector('main form[method=post]');"
        browser.driver.execute_script(twice + "HTMLFormElement.prototype.submit.call(form);" * 2)
        browser.until_badge("done")
        browser.until_text("35")
        assert site.jobs() == before + 1
        browser.look("job-add-ja")

        browser.open("/jobs?id=nonsense")
        browser.until_text("IDの形が違います")
        browser.look("find-wrong-ja")
        browser.open(f"/jobs?id=%20{waiting.upper()}%20")
        browser.until_badge("canceled")
        for path, words in (
            (f"/jobs/{NOBODYS}", "ジョブが見つかりません"),
            (f"/jobs/{OLD}", "保存期間が過ぎました"),
            ("/nowhere", "ページが見つかりません"),
        ):
            browser.open(path)
            browser.until_text(words)
            browser.look(f"error{path.replace('/', '-')}")


# Of what the page asks for, the first is refused, the second gets no answer, and the rest goes through.
TROUBLE = """
const real = window.fetch;
const answers = [() => new Response("busy", {status: 503}), () => { throw new TypeError("gone"); }];
window.fetch = async (...asked) => {
  const next = answers.shift();
  return next ? next() : real(...asked);
};
window.untried = () => answers.length;
document.body.dataset.kept = "yes";
"""

# The first stream of events is refused.
REFUSED_ONCE = """
const Real = window.EventSource;
window.tries = 0;
window.EventSource = class extends Real {
  constructor(url) { super(++window.tries === 1 ? "/nowhere" : url); }
};
"""


def trouble(site, shots):
    """A server that has no time, or does not answer, is asked again until the page is there."""
    with Browser(site, shots) as browser:
        held = site.submit("held", {})
        browser.open(f"/jobs/{held}")
        browser.until_text("240 of 600")
        browser.driver.execute_script(TROUBLE)
        site.open_gate()
        browser.until_badge("done")
        assert browser.driver.execute_script("return window.untried()") == 0
        assert browser.find("body").get_attribute("data-kept") == "yes", "it was not loaded anew"

        # Once there is room for one more who follows, the page goes on as if nothing had been.
        held = site.submit("held", {})
        words = {"source": REFUSED_ONCE}
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", words)
        browser.open(f"/jobs/{held}")
        browser.driver.execute_script("document.body.dataset.kept = 'yes'")
        browser.until("another try", lambda: browser.driver.execute_script("return tries") == 2)
        browser.until_text("240 of 600")
        site.open_gate()
        browser.until_badge("done")
        assert browser.find("body").get_attribute("data-kept") == "yes", "it was not loaded anew"


def nobody_works(site, shots):
    """Once the last worker has gone the pages say so, and take jobs all the same."""
    site.leave_only_the_api()
    with Browser(site, shots, languages="en") as browser:
        notice = "No worker is running"
        browser.until("the notice", lambda: browser.open("/") or notice in browser.text())
        browser.look("index-without-worker-en")
        browser.open("/apis/add?example=1")
        browser.click(RUN)
        browser.until_text("No worker is running")
        browser.look("job-without-worker-en")
        browser.open("/problems/busy")
        browser.look("problem-en")


ALL = [japanese, without_scripts, keyboard, wrong_input, ends, trouble, nobody_works]
