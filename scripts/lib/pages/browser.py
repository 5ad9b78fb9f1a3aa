"""Chromium, and what can be seen in it."""

import base64
import os
import shutil
import sysconfig
import tempfile

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 30
WIDE, NARROW = 1280, 320
# What is asked of each page: WCAG 2.0 to 2.2, A and AA, and what axe finds good.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe_script():
    """The script that judges pages."""
    folder = os.path.join(sysconfig.get_path("purelib"), "axe_playwright_python")
    with open(os.path.join(folder, "axe.min.js"), encoding="utf-8") as file:
        return file.read()


class Browser:
    """One window, which is closed with the block."""

    def __init__(self, site, shots, languages="ja", scripts=True):
        self.site = site
        self.shots = shots
        self.languages = languages
        self.scripts = scripts

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="pages-browser-")
        self.downloads = os.path.join(self.folder, "downloads")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for word in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-prefers-reduced-motion",
            f"--user-data-dir={self.folder}/profile",
        ):
            options.add_argument(word)
        preferences = {
            "intl.accept_languages": self.languages,
            "download.default_directory": self.downloads,
            "download.prompt_for_download": False,
        }
        if not self.scripts:
            preferences["profile.managed_default_content_settings.javascript"] = 2
        options.add_experimental_option("prefs", preferences)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.resize(WIDE)
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.driver.save_screenshot(os.path.join(self.shots, "failed.png"))
            print(f"at {self.driver.current_url}:\n{self.text()[:2000]}", flush=True)
        self.driver.quit()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Where to go, and what is there.

    def open(self, path):
        self.driver.get(self.site.url + path)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self):
        return self.find("body").text

    def click(self, selector):
        self.find(selector).click()

    def fill(self, selector, text):
        element = self.find(selector)
        element.clear()
        element.send_keys(text)

    def until(self, what, look):
        """Waits until `look` sees something; a page may change while it looks."""
        ignored = (Exception,)
        waiting = WebDriverWait(self.driver, PATIENCE, 0.1, ignored)
        return waiting.until(lambda _: look(), f"{what} did not come")

    def until_text(self, text):
        self.until(repr(text), lambda: text in self.text())

    def until_badge(self, status):
        self.until(status, lambda: self.all(f".badge.{status}"))

    def downloaded(self, selector):
        """Clicks a link, and waits for the file that it brings."""
        before = set(self.files())
        self.click(selector)
        name = self.until("a file", lambda: sorted(set(self.files()) - before))[0]
        with open(os.path.join(self.downloads, name), "rb") as file:
            return name, file.read()

    def files(self):
        names = os.listdir(self.downloads) if os.path.isdir(self.downloads) else []
        # While it is being written it has another name.
        return [name for name in names if name[0] != "." and not name.endswith(".crdownload")]

    # The keyboard.

    def press(self, *keys):
        chain = ActionChains(self.driver)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def tab_to(self, selector, most=60):
        """Goes on with the tab key until this has the focus, which is seen at each stop."""
        target = self.find(selector)
        for _ in range(most):
            self.press(Keys.TAB)
            focused = self.driver.switch_to.active_element
            style = focused.value_of_css_property("outline-style")
            seen = focused.get_attribute("outerHTML")[:200]
            assert style != "none", f"no focus is seen at {seen}"
            if focused == target:
                return
        raise AssertionError(f"{selector} cannot be reached with the tab key")

    # How it looks.

    def resize(self, width, height=900):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def colours(self, scheme):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def look(self, name):
        """Judges and photographs the page, wide and narrow, in the light and in the dark."""
        for width in (WIDE, NARROW):
            self.resize(width)
            for scheme in ("light", "dark"):
                self.colours(scheme)
                self.judge(f"{name}, {width} px, {scheme}")
                self.shoot(f"{name}-{width}-{scheme}")
            wide = self.driver.execute_script("return document.scrollingElement.scrollWidth")
            assert wide <= width, f"{name}: {wide} px are wider than {width} px"
        self.resize(WIDE)
        self.colours("light")
        refused = [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        refused = [entry["message"] for entry in refused if "status of 4" not in entry["message"]]
        assert not refused, f"{name}: the browser complains: {refused}"

    def judge(self, name):
        if not self.driver.execute_script("return typeof axe === 'object'"):
            self.driver.execute_script(axe_script())
        found = self.driver.execute_async_script(
            "const [rules, done] = arguments;"
            "axe.run(document, {runOnly: rules}).then((found) => done(found.violations));",
            RULES,
        )
        words = [
            f"{one['id']} ({one['help']}): {[node['html'][:200] for node in one['nodes']]}"
            for one in found
        ]
        assert not words, f"{name}: axe finds {words}"

    def shoot(self, name):
        """The whole page as a picture."""
        size = self.driver.execute_script(
            "const page = document.documentElement;"
            "return [innerWidth, Math.min(page.scrollHeight, 6000)]"
        )
        clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
        asked = {"clip": clip, "captureBeyondViewport": True}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]
        with open(os.path.join(self.shots, f"{name}.png"), "wb") as file:
            file.write(base64.b64decode(shot))

    def shoot_as_seen(self, name):
        """What is in the window as a picture, where no script can tell how long the page is."""
        self.driver.save_screenshot(os.path.join(self.shots, f"{name}.png"))
