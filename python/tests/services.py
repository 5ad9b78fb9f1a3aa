"""The services as processes, on a folder of their own."""

from __future__ import annotations

import json
import os
import subprocess
import unittest
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from .support import PATIENCE, FolderTest, until

#: The folder of the built programs; without it these tests are skipped.
BIN_DIR = os.environ.get("BCRL_BIN_DIR")

CATALOG = {"name": "soc", "label": {"ja": "充電率", "en": "State of charge"}}

#: What the worker's own main.py prints, so that it can be told from a script's result.
WORKERS = {"by": "the worker"}


class Service:
    """One service that runs."""

    def __init__(self, program: str, environment: dict[str, str], log: Path) -> None:
        assert BIN_DIR is not None
        self.log = log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                [os.path.join(BIN_DIR, program)],
                env=environment,
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def says(self, message: str) -> dict[str, Any]:
        """Waits until it writes a line with this message; its fields."""

        def look() -> dict[str, Any] | None:
            for line in self.log.read_text(encoding="utf-8").splitlines():
                if line.startswith("{"):
                    fields: dict[str, Any] = json.loads(line)
                    if fields.get("message") == message:
                        return fields
            code = self.process.poll()
            if code is not None:
                raise AssertionError(f"it ended with {code}:\n{self.log.read_text()}")
            return None

        fields: dict[str, Any] = until(f"{message!r} in the log", look)
        return fields

    def stop(self) -> None:
        """Ends it as planned."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def end(self) -> None:
        """Ends it in any case."""
        self.process.kill()
        self.process.wait()


@unittest.skipUnless(BIN_DIR, "BCRL_BIN_DIR does not say where bcrl-api and bcrl-worker are")
class ServiceTest(FolderTest):
    """A test with an API server on its folder, and with workers where it asks for them."""

    def setUp(self) -> None:
        super().setUp()
        # The services make it by themselves.
        self.root = self.home / "data" / "shared" / "bcrlapi"
        self.index_file = self.root / "request" / "status.json"
        (self.home / "apps").mkdir()
        self.environment = {
            **os.environ,
            "BCRL_DATA_DIR": str(self.home / "data"),
            "BCRL_APPS_DIR": str(self.home / "apps"),
            "BCRL_API__LISTEN": "127.0.0.1:0",
            "BCRL_API__RATE__SUBMITS": "off",
            "BCRL_API__RATE__REQUESTS": "off",
            "BCRL_WORKER__LEASE": "3s",
            "BCRL_WORKER__HEARTBEAT": "500ms",
            "BCRL_WORKER__SWEEP": "300ms",
            "BCRL_LOG__FORMAT": "json",
        }
        self.api = self.start("bcrl-api")
        self.url = "http://" + self.api.says("the API listens")["address"]

    def start(self, program: str) -> Service:
        """Starts a service."""
        log = self.home / f"{program}-{len(list(self.home.glob('*.log')))}.log"
        service = Service(program, self.environment, log)
        self.addCleanup(service.end)
        return service

    def offer(self) -> None:
        """Publishes a catalog as a site without a worker's own apps does it, by hand."""
        text = json.dumps({"version": 1, "apis": [CATALOG]}, ensure_ascii=False)
        temporary = self.root / "catalog" / ".tmp-lab"
        temporary.write_text(text, encoding="utf-8")
        temporary.rename(self.root / "catalog" / "lab.json")
        until("the API is offered", lambda: self.get("/api/v1/apis")["apis"])

    def worker(self) -> Service:
        """Starts a worker that runs the same API."""
        app = self.home / "apps" / "soc"
        app.mkdir(exist_ok=True)
        (app / "main.py").write_text(f"print({json.dumps(json.dumps(WORKERS))})\n")
        service = self.start("bcrl-worker")
        service.says("the worker is ready")
        return service

    def http(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One request; its status and body."""
        request = urllib.request.Request(self.url + path, body, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def get(self, path: str) -> dict[str, Any]:
        """The JSON at a URL."""
        status, body = self.http("GET", path)
        self.assertEqual(status, 200, body)
        found: dict[str, Any] = json.loads(body)
        return found

    def post(self, body: str = "{}") -> str:
        """Submits a job over HTTP; its id."""
        status, answer = self.http("POST", "/api/v1/jobs/soc", body.encode("utf-8"))
        self.assertEqual(status, 202, answer)
        return str(json.loads(answer)["uuid"])

    def job(self, uuid: str) -> dict[str, Any]:
        """A job as its client sees it."""
        return self.get(f"/api/v1/jobs/{uuid}")

    def ended(self, uuid: str) -> dict[str, Any]:
        """The same, once it has ended."""
        final = ("done", "failed", "canceled")
        until("the end of a job", lambda: self.job(uuid)["status"] in final)
        return self.job(uuid)

    def result(self, uuid: str) -> bytes:
        """A job's result as its client gets it."""
        status, body = self.http("GET", f"/api/v1/jobs/{uuid}/result")
        self.assertEqual(status, 200, body)
        return body

    def is_in_order(self) -> None:
        """Lets `bcrl fsck` look at the folder; it finds nothing."""
        checked = self.fsck()
        self.assertEqual(checked.returncode, 0, checked.stdout)

    def fsck(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Calls `bcrl fsck`."""
        assert BIN_DIR is not None
        return subprocess.run(
            [os.path.join(BIN_DIR, "bcrl"), "fsck", *options],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def outcomes(self, uuid: str) -> list[str]:
        """How the runs of a job ended."""
        return [run["outcome"] for run in self.document("receipt", uuid)["attempts"]]
