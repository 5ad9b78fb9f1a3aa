"""What the documentation shows works, and is the same in both languages."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

import bcrl
from bcrl import _cli

from .support import PYTHON, FolderTest

DOCS = PYTHON.parent / "docs"
PAGES = (DOCS / "folder-protocol.md", DOCS / "folder-protocol.ja.md")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in this language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@unittest.skipUnless(DOCS.is_dir(), "the package is tested outside of its repository")
class Documentation(FolderTest):
    def test_both_languages_show_the_same(self) -> None:
        for language in ("python", "sh", "json", "crontab"):
            english, japanese = (blocks(page, language) for page in PAGES)
            self.assertTrue(english, language)
            self.assertEqual(english, japanese, language)

    def block(self, word: str) -> str:
        """The block of Python that holds this word, on the test's folder."""
        (found,) = (code for code in blocks(PAGES[0], "python") if word in code)
        return found.replace("/shared/bcrlapi", str(self.root))

    def test_the_loop_of_page_and_readme(self) -> None:
        page = self.block("folder.claim")
        readme = blocks(PYTHON / "README.md", "python")
        self.assertIn(page, [code.replace("/shared/bcrlapi", str(self.root)) for code in readme])
        job = self.submit(params='{"initial_soc": 0.97}')
        exec(compile(page, "page", "exec"), {})
        self.assertAlmostEqual(self.document("response", job)["final_soc"], 0.87)

    def test_both_ways_of_editing_by_hand(self) -> None:
        waits = self.submit(n=[1.5, {"a": None}])
        fails = self.submit()
        job = self.folder().resume(fails, "0" * 32)
        self.folder().edit(lambda jobs: jobs[1].update(status="failed"))
        self.assertEqual(job.uuid, fails)
        before = self.entry(waits)
        for word in ("from bcrl import edit", "locked_jobs"):
            names: dict[str, Any] = {}
            for code in (code for code in blocks(PAGES[0], "python") if word in code):
                code = code.replace("/shared/bcrlapi", str(self.root))
                exec(compile(code, "page", "exec"), names)
            self.assertEqual(self.entry(fails)["note"], "look at the sensor")
            self.assertEqual(self.entry(waits), before)
            self.folder().edit(lambda jobs: jobs[1].pop("note"))
            self.assertEqual(self.index().to_text().encode(), self.index_file.read_bytes())

    def test_the_example_by_hand_keeps_the_old_index_where_it_fails(self) -> None:
        self.submit()
        names: dict[str, Any] = {}
        code = next(code for code in blocks(PAGES[0], "python") if "def locked_jobs" in code)
        exec(compile(code, "page", "exec"), names)
        before = self.index_file.read_bytes()
        request = str(self.root / "request")
        with self.assertRaises(KeyError), names["locked_jobs"](request) as jobs:
            jobs[0]["note"] = 1
            raise KeyError
        with self.assertRaises(TypeError), names["locked_jobs"](request) as jobs:
            jobs[0]["note"] = object()
        self.assertEqual(self.index_file.read_bytes(), before)
        left = [name for name in self.names("request") if name.startswith(".tmp-")]
        self.assertEqual(left, [])
        self.index_file.write_text("{")
        with self.assertRaises(ValueError), names["locked_jobs"](request):
            self.fail("it began with nothing")

    def test_the_index_that_is_shown_is_one(self) -> None:
        (shown, catalog) = blocks(PAGES[0], "json")
        self.write_index(shown)
        self.assertEqual(self.index().to_text(), shown)
        statuses = [entry.status for entry in self.index()]
        self.assertEqual(statuses, ["processing", "pending"])
        (self.root / "catalog" / "lab.json").write_text(catalog, encoding="utf-8")
        limits = bcrl.Limits(timeout_s=3600, concurrency=1)
        self.assertEqual(self.folder().limits("soc"), limits)

    def test_the_commands_that_are_shown_are_ones(self) -> None:
        shown = "\n".join(
            "\n".join(blocks(page, language))
            for page in (*PAGES, PYTHON / "README.md")
            for language in ("sh", "crontab")
        )
        calls = re.findall(r"bcrl-folder ([a-z-]+)((?: +\S+)*)", shown)
        self.assertGreater(len(calls), 8)
        for name, rest in calls:
            out = io.StringIO()
            with contextlib.redirect_stdout(out), self.assertRaises(SystemExit) as ended:
                _cli.main([name, "--help"])
            self.assertEqual(ended.exception.code, 0, name)
            for option in re.findall(r"(?<= )--[a-z-]+", rest.split(" -- ")[0]):
                self.assertIn(option, out.getvalue(), name)

    def test_the_words_of_the_page_are_those_of_the_package(self) -> None:
        for page in PAGES:
            text = page.read_text(encoding="utf-8")
            for word in ("IndexDamaged", "edit", "Folder"):
                self.assertIn(word, text)
                self.assertTrue(hasattr(bcrl, word))

    def test_the_shell_script_of_the_page(self) -> None:
        (script,) = (code for code in blocks(PAGES[0], "sh") if "eval" in code)
        self.program("bcrl-folder", f'exec {sys.executable} -m bcrl "$@"')
        self.program("compute", 'grep "ok" || exit 3')
        good, bad = self.submit(params='{"ok": 1.50}'), self.submit(params='{"no": 1}')
        environment = {
            **os.environ,
            "BCRL_SHARED_DIR": str(self.root),
            "PATH": f"{self.home}:{os.environ['PATH']}",
            "PYTHONPATH": str(PYTHON),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for _ in range(3):
            subprocess.run(["sh", "-eu", "-c", script], cwd=self.home, env=environment, check=True)
        self.assertEqual((self.root / "response" / f"{good}.json").read_text(), '{"ok": 1.50}\n')
        self.assertEqual(self.entry(bad)["failure"]["message"], "compute exited with 3")

    def program(self, name: str, code: str) -> None:
        """A shell script that is found under this name."""
        path = self.home / name
        path.write_text(f"#!/bin/sh\n{code}\n")
        path.chmod(0o755)
