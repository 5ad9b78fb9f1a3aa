"""A shared folder to test on, processes beside it, and waiting for something."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from pathlib import Path
from typing import Any, Callable

from bcrl import Folder, _entry
from bcrl._dates import Date, parse
from bcrl._index import Index

#: The folder that holds the package.
PYTHON = Path(__file__).resolve().parent.parent
#: How long anything may take that is due to happen.
PATIENCE = 30.0


def until(what: str, look: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Waits until there is something that counts as true, and returns it."""
    end = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {patience:g} s")
        time.sleep(0.01)


def date(text: str) -> Date:
    """A date that is known to be one."""
    found = parse(text)
    assert found is not None, text
    return found


def python(code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Starts this Python on a program that can import the package."""
    environment = {**os.environ, "PYTHONPATH": str(PYTHON), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


class FolderTest(unittest.TestCase):
    """A test with a shared folder of its own, as a service would have made it."""

    def setUp(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="bcrl-test-"))
        self.addCleanup(shutil.rmtree, self.home)
        self.root = self.home / "shared"
        (self.root / "request").mkdir(parents=True)
        (self.root / "catalog").mkdir()
        self.index_file = self.root / "request" / "status.json"
        self.index_file.write_text('{"jobs":[]}\n')
        self.submitted = 0

    def folder(self, **options: Any) -> Folder:
        """The folder, opened anew."""
        folder = Folder(self.root, **options)
        self.addCleanup(folder.close)
        return folder

    def submit(self, api: str = "soc", params: str = "{}", **entry: Any) -> str:
        """A job as the API server makes it; ``entry`` are further fields of its entry."""
        self.submitted += 1
        job = str(uuid.uuid4())
        submitted = f"2023-10-01T00:{self.submitted // 60:02}:{self.submitted % 60:02}.000+09:00"
        head = {"uuid": job, "api": api, "request_date": submitted}
        request = self.root / "request" / f"{job}.json"
        request.write_text(json.dumps(head)[:-1] + f',"params":{params}}}', encoding="utf-8")
        request.chmod(0o440)
        line = _entry.pending(job, api, date(submitted)).line
        if entry:
            line = line[:-1] + "," + json.dumps(entry)[1:]
        index = self.index()
        index.put(_entry.Entry.parse(line))
        self.write_index(index.to_text())
        return job

    def index(self) -> Index:
        """The index as it is now."""
        return Index.parse(self.index_file.read_bytes())

    def write_index(self, text: str) -> None:
        """Replaces the index, whole."""
        new = self.index_file.with_name("new")
        new.write_bytes(text.encode("utf-8"))
        os.replace(new, self.index_file)

    def entry(self, job: str) -> dict[str, Any]:
        """A job's entry as JSON."""
        jobs = json.loads(self.index_file.read_text(encoding="utf-8"))["jobs"]
        found: dict[str, Any] = next(entry for entry in jobs if entry["uuid"] == job)
        return found

    def status(self, job: str) -> str:
        """What the index says of a job."""
        return str(self.entry(job)["status"])

    def document(self, folder: str, job: str) -> dict[str, Any]:
        """One of the job's files."""
        text = (self.root / folder / f"{job}.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def names(self, folder: str) -> list[str]:
        """The files of a folder, without temporary ones."""
        return sorted(os.listdir(self.root / folder))

    def cancel(self, job: str) -> None:
        """A client's wish, as the API server notes it for a running job."""
        (self.root / "cancel" / job).touch()
