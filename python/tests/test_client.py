"""The client and the running API: real servers, real workers, and real scripts."""

from __future__ import annotations

import contextlib
import decimal
import io
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest import mock

from bcrl import (
    Client,
    Folder,
    GaveUp,
    InvalidRequest,
    Job,
    JobHandle,
    NoResult,
    Problem,
    Unreachable,
)

from .scripted_server import Relay, clock
from .services import WORKERS, ServiceTest
from .support import PATIENCE, PYTHON, until
from .test_docs import blocks

APPS = PYTHON.parent / "apps"

#: Answers with its request, to the letter.
ECHO = "import sys; sys.stdout.write(sys.stdin.read())"

#: Says where it is in two steps, each once the test opens its gate.
STEPS = """
import json, os, sys, time
def show(percent, message):
    with open(os.environ["BCRL_PROGRESS"], "a") as lines:
        print(json.dumps({"percent": percent, "message": message}), file=lines, flush=True)
def wait_for(gate):
    while not os.path.exists(gate):
        time.sleep(0.01)
gates = json.load(sys.stdin)["gates"]
show(40, "半分")
wait_for(gates[0])
show(90, "nearly")
wait_for(gates[1])
print("[1, 2]")
"""

FAILS = """
import sys
print("looking for the cell: 電池", file=sys.stderr)
raise ValueError("no such cell")
"""

SCHEMA = {
    "type": "object",
    "required": ["num1", "num2"],
    "additionalProperties": False,
    "properties": {"num1": {"type": "number"}, "num2": {"type": "number"}},
}

#: Waits for a job in a process of its own; the job's id is its argument.
WAITER = """
import sys
from bcrl import Client
Client().job(sys.argv[1]).wait()
"""


class ClientTest(ServiceTest):
    def setUp(self) -> None:
        super().setUp()
        self.client = Client(self.url, timeout=PATIENCE)

    def runs(self, **scripts: str) -> None:
        """Starts a worker that offers these scripts."""
        for name, script in scripts.items():
            app = self.home / "apps" / name
            app.mkdir()
            (app / "main.py").write_text(script, encoding="utf-8")
        self.worker()
        offered = {"soc", *scripts}
        until("the APIs are offered", lambda: {a["name"] for a in self.client.apis()} >= offered)

    def claimed(self, folder: Folder) -> Job:
        job = folder.claim()
        assert job is not None
        return job

    def lab(self) -> contextlib.AbstractContextManager[Folder]:
        """The folder with ourselves as the worker, so that the test decides what a job does."""
        self.offer()
        return Folder(self.root, heartbeat=0.2, lease=3.0, name="lab1")

    def finished(self, document: bytes) -> JobHandle:
        """A job that is done with this result."""
        with self.lab() as folder:
            handle = self.client.submit("soc")
            self.claimed(folder).finish_json(document)
        return handle.refresh()

    def relay(self, url: str | None = None) -> Relay:
        relay = Relay(url or self.url)
        self.addCleanup(relay.close)
        return relay


class FromANotebook(ClientTest):
    def test_the_three_lines_of_the_readme(self) -> None:
        if not APPS.is_dir():
            self.skipTest("the package is tested outside of its repository")
        shutil.copytree(APPS / "soc", self.home / "apps" / "soc")
        self.start("bcrl-worker").says("the worker is ready")
        until("the API is offered", self.client.apis)
        code = next(code for code in blocks(PYTHON / "README.md", "python") if "Client" in code)
        self.assertEqual(len(code.strip().splitlines()), 3)
        out = io.StringIO()
        with mock.patch.dict(os.environ, {"BCRL_URL": self.url}), contextlib.redirect_stdout(out):
            exec(compile(code, "readme", "exec"), {})
        self.assertAlmostEqual(float(out.getvalue()), 0.9 - 2.5 / 5 / 60)

    def test_a_job_from_submit_to_result(self) -> None:
        self.runs(echo=ECHO)
        handle = self.client.submit("echo", {"soc": [0.97, 1e-300]}, label="電池", big=10**30)
        self.assertIn(handle.status, ("pending", "processing"))
        self.assertFalse(handle.is_final)
        self.assertEqual(handle.api, "echo")
        expected = {"soc": [0.97, 1e-300], "label": "電池", "big": 10**30}
        self.assertEqual(handle.result(), expected)
        self.assertEqual((handle.status, handle.is_final, handle.failure), ("done", True, None))
        self.assertRegex(repr(handle), rf"^<JobHandle echo {handle.uuid}: done in [0-9.]+ m?s>$")
        self.assertIs(handle.wait(), handle)
        self.assertEqual(handle.log(), "")
        retrieved = "the first fetch is noted"
        until(retrieved, lambda: handle.refresh().details.get("retrieved_date"))
        again = self.client.job(uuid.UUID(handle.uuid))
        self.assertEqual(again.details, handle.details)
        self.assertEqual(again.result_bytes(), self.result(handle.uuid))
        self.is_in_order()

    def test_a_failed_job_has_no_result_but_a_reason_and_a_log(self) -> None:
        self.runs(fails=FAILS)
        handle = self.client.submit("fails")
        with self.assertRaises(NoResult) as raised:
            handle.result(progress=False)
        error = raised.exception
        self.assertEqual((error.uuid, error.status, handle.status), (handle.uuid, *["failed"] * 2))
        assert error.failure is not None
        self.assertEqual((error.failure["reason"], error.failure["exit_code"]), ("exit_code", 1))
        self.assertEqual(error.failure, handle.failure)
        self.assertIn("ValueError: no such cell", str(error))
        self.assertIn("JobHandle.log()", str(error))
        self.assertTrue(handle.log().startswith("looking for the cell: 電池\n"), handle.log())
        with self.assertRaises(NoResult):
            handle.save(self.home / "result.json")
        self.assertFalse((self.home / "result.json").exists())

    def test_progress_is_passed_on_as_the_script_tells_it(self) -> None:
        self.runs(steps=STEPS)
        gates = [self.home / "first", self.home / "second"]
        handle = self.client.submit("steps", gates=[str(gate) for gate in gates])
        seen: list[Any] = []

        def look(shown: JobHandle) -> None:
            self.assertIs(shown, handle)
            seen.append((shown.status, shown.progress))
            percent = (shown.progress or {}).get("percent")
            if percent in (40, 90) and not shown.is_final:
                gates[percent == 90].touch()

        handle.wait(PATIENCE, progress=look)
        steps = [{"percent": 40, "message": "半分"}, {"percent": 90, "message": "nearly"}]
        running = [progress for status, progress in seen if status == "processing" and progress]
        self.assertEqual(running, steps)
        self.assertEqual(seen[-1][0], "done")
        self.assertEqual(handle.result(), [1, 2])

    def test_numbers_keep_all_their_digits_where_they_are_asked_for(self) -> None:
        document = b'{"pi": 3.14159265358979323846264338, "n": 12345678901234567890123}'
        handle = self.finished(document)
        self.assertEqual(handle.result_bytes(), document)
        self.assertEqual(handle.result(), {"pi": 3.141592653589793, "n": 12345678901234567890123})
        exact = handle.result(parse_float=decimal.Decimal)["pi"]
        self.assertEqual(str(exact), "3.14159265358979323846264338")

    def test_one_client_serves_many_threads(self) -> None:
        self.runs(echo=ECHO)
        results: dict[int, Any] = {}

        def work(number: int) -> None:
            results[number] = self.client.submit("echo", n=number).result(PATIENCE)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {number: {"n": number} for number in range(8)})


class Waiting(ClientTest):
    def test_the_end_is_seen_whoever_works_on_the_job(self) -> None:
        seen: list[tuple[str, Any]] = []
        with self.lab() as folder:
            handle = self.client.submit("soc")
            jobs: list[Job] = []

            def act(shown: JobHandle) -> None:
                seen.append((shown.status, (shown.progress or {}).get("percent")))
                if shown.status == "pending":
                    jobs.append(self.claimed(folder))
                elif shown.progress is not None:
                    jobs[0].finish(1)
                elif not shown.is_final:
                    jobs[0].progress(40, "half")

            handle.wait(PATIENCE, progress=act)
        self.assertEqual(seen[:3], [("pending", None), ("processing", None), ("processing", 40)])
        self.assertEqual(seen[-1][0], "done")

    def test_a_time_out_lets_the_job_go_on(self) -> None:
        with self.lab() as folder:
            handle = self.client.submit("soc")
            job = self.claimed(folder)
            with self.assertRaisesRegex(GaveUp, "after 0.1 s it is processing") as raised:
                handle.result(0.1)
            self.assertEqual(raised.exception.uuid, handle.uuid)
            job.finish("late")
        self.assertEqual(handle.result(0), "late")

    def test_a_server_that_starts_anew_is_waited_for(self) -> None:
        relay = self.relay()
        with self.lab() as folder:
            handle = Client(relay.url).submit("soc")
            ended = threading.Event()

            def wait() -> None:
                handle.wait(PATIENCE)
                ended.set()

            with self.assertLogs("bcrl") as logs:
                waiting = threading.Thread(target=wait)
                waiting.start()
                relay.lead_to(None)
                self.api.stop()
                known = relay.connections
                until("it was asked for in vain", lambda: relay.connections > known)
                api = self.start("bcrl-api")
                relay.lead_to("http://" + api.says("the API listens")["address"])
                self.claimed(folder).finish({"by": "the lab"})
                waiting.join(PATIENCE)
        self.assertTrue(ended.is_set())
        self.assertIn("trying again", logs.output[0])
        self.assertEqual(handle.result(), {"by": "the lab"})

    def terminal(self, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
        """A process that waits in a terminal; its other end."""
        screen, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", WAITER, *arguments],
            env={**self.environment, "BCRL_URL": self.url, "PYTHONPATH": str(PYTHON)},
            stdin=subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(os.close, screen)
        return process, screen

    def read_until(self, screen: int, *words: str) -> None:
        """Returns once all of these words stand in the terminal."""
        shown = b""
        while missing := [word for word in words if word.encode() not in shown]:
            try:
                piece = os.read(screen, 4096)
            except OSError:
                # Nobody has its other end any more.
                piece = b""
            self.assertTrue(piece, f"{missing} is not in {shown.decode()!r}")
            shown += piece

    def test_a_terminal_shows_how_far_it_is(self) -> None:
        with self.lab() as folder:
            handle = self.client.submit("soc")
            process, screen = self.terminal(handle.uuid)
            self.read_until(screen, "soc: pending, next in the queue")
            job = self.claimed(folder)
            job.progress(40, "半分")
            self.read_until(screen, "soc: processing, 40 %: 半分")
            job.finish(1)
            self.read_until(screen, f"soc {handle.uuid} done in ")
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_ctrl_c_ends_the_waiting_and_not_the_job(self) -> None:
        with self.lab() as folder:
            handle = self.client.submit("soc")
            process, screen = self.terminal(handle.uuid)
            self.read_until(screen, "soc: pending")
            process.send_signal(signal.SIGINT)
            words = f"job {handle.uuid} goes on; Client.job('{handle.uuid}').wait() waits for it"
            self.read_until(screen, f"\r{words}", "KeyboardInterrupt")
            process.wait(PATIENCE)
            self.assertEqual(handle.refresh().status, "pending")
            self.claimed(folder).finish(1)
        self.assertEqual(handle.result(), 1)


class Canceling(ClientTest):
    def test_a_job_that_waits_is_canceled_at_once(self) -> None:
        self.offer()
        handle = self.client.submit("soc")
        self.assertEqual(handle.cancel().status, "canceled")
        with self.assertRaisesRegex(NoResult, "canceled"):
            handle.result()
        with self.assertRaises(Problem) as raised:
            handle.cancel()
        self.assertEqual((raised.exception.name, raised.exception.status), ("job-final", 409))

    def test_a_job_that_runs_ends_soon(self) -> None:
        self.runs(steps=STEPS)
        handle = self.client.submit("steps", gates=["/nowhere"])

        def look(shown: JobHandle) -> None:
            if shown.progress and not shown.details.get("cancel_requested"):
                self.assertTrue(shown.cancel().details["cancel_requested"])

        self.assertEqual(handle.wait(PATIENCE, progress=look).status, "canceled")


class Listing(ClientTest):
    def test_all_pages_are_followed_newest_first(self) -> None:
        self.offer()
        uuids = [self.client.submit("soc", n=n).uuid for n in range(5)]
        newest = uuids[::-1]
        with mock.patch("bcrl.client._PAGE", 2), mock.patch("bcrl.client._PAGE_MOST", 2):
            self.assertEqual([job.uuid for job in self.client.jobs()], newest)
            for limit in (1, 2, 3, 5, 9):
                found = [job.uuid for job in self.client.jobs(limit=limit)]
                self.assertEqual(found, newest[:limit])
            relay = self.relay()
            jobs = Client(relay.url).jobs()
            self.assertEqual(relay.connections, 0)
            next(jobs)
            next(jobs)
            self.assertEqual(relay.connections, 1)

    def test_jobs_are_found_by_status_api_and_date(self) -> None:
        with self.lab() as folder:
            first, second = (self.client.submit("soc") for _ in range(2))
            self.claimed(folder).finish(1)

        def found(**wanted: Any) -> list[str]:
            return [job.uuid for job in self.client.jobs(**wanted)]

        self.assertEqual(found(status="done"), [first.uuid])
        self.assertEqual(found(status="pending", api="soc"), [second.uuid])
        self.assertEqual(found(api="add"), [])
        date = second.details["request_date"]
        self.assertEqual(found(from_=date, limit=1), [second.uuid])
        moment = datetime.fromisoformat(first.details["request_date"])
        later = moment + timedelta(hours=1)
        for zone in (timezone.utc, timezone(timedelta(hours=9)), None):
            self.assertEqual(len(found(from_=moment.astimezone(zone))), 2, zone)
            self.assertEqual(found(from_=later.astimezone(zone)), [], zone)
        local = later.astimezone().replace(tzinfo=None)
        self.assertEqual((found(from_=local), len(found(to=local))), ([], 2))
        (done,) = self.client.jobs(status="done")
        self.assertEqual(done.result(), 1)
        impossible: list[dict[str, Any]] = [{"status": "over"}, {"limit": 0}, {"api": "../x"}]
        for wanted in impossible:
            with self.assertRaises(ValueError):
                self.client.jobs(**wanted)
        with self.assertRaisesRegex(Problem, "from: a date such as"):
            found(from_="yesterday")


class Refusals(ClientTest):
    def test_a_request_that_does_not_fit_is_told_by_its_places(self) -> None:
        app = self.home / "apps" / "add"
        app.mkdir()
        (app / "request.schema.json").write_text(json.dumps(SCHEMA))
        (app / "main.py").write_text(ECHO)
        self.runs()
        until("the API is offered", lambda: len(self.client.apis()) == 2)
        (add,) = (api for api in self.client.apis() if api["name"] == "add")
        self.assertEqual(add["schema"], SCHEMA)
        with self.assertRaises(Problem) as raised:
            self.client.submit("add", num1="one", num2=2)
        error = raised.exception
        self.assertEqual((error.status, error.type), (422, "/problems/validation-failed"))
        self.assertEqual([wrong["pointer"] for wrong in error.errors], ["/num1"])
        self.assertRegex(str(error), "\n  /num1: .*\nClient.apis\\(\\) shows what it takes")
        self.assertTrue(error.instance.startswith("urn:uuid:"), error.instance)
        self.assertEqual(list(self.client.jobs()), [])

    def test_nan_is_refused_before_anything_is_sent(self) -> None:
        relay = self.relay()
        with self.assertRaisesRegex(InvalidRequest, "the request at /soc/1: nan is no number"):
            Client(relay.url).submit("soc", soc=[1.0, float("nan")])
        self.assertEqual(relay.connections, 0)

    def test_an_unknown_api_is_told_with_those_that_there_are(self) -> None:
        self.offer()
        with self.assertRaises(Problem) as raised:
            self.client.submit("socc")
        self.assertEqual(raised.exception.name, "not-found")
        self.assertRegex(str(raised.exception), "there is no API socc .*\nthere is: soc$")
        with self.assertRaisesRegex(ValueError, "no API name"):
            self.client.submit("../apis")

    def test_without_a_worker_it_is_tried_three_times(self) -> None:
        with clock() as time, self.assertLogs("bcrl"), self.assertRaises(Problem) as raised:
            self.client.submit("soc")
        self.assertEqual((raised.exception.name, time.rests), ("no-app-server", [15, 15]))
        self.assertIn("start bcrl-worker", str(raised.exception))

    def test_a_request_that_is_too_large_is_refused_and_not_lost(self) -> None:
        self.offer()
        with self.assertRaises(Problem) as raised:
            self.client.submit("soc", text="x" * (20 << 20))
        self.assertEqual(raised.exception.name, "payload-too-large")

    def test_jobs_that_are_not_there(self) -> None:
        for unknown, name in (
            (str(uuid.uuid4()), "not-found"),
            ("0176a6f0-1c2d-7abc-8def-0123456789ab", "job-expired"),
            ("0176A6F0-1C2D-7ABC-8DEF-0123456789AB", "job-expired"),
        ):
            with self.assertRaises(Problem) as raised:
                self.client.job(unknown)
            self.assertEqual(raised.exception.name, name)
        for wrong in ("", "1", "../apis"):
            with self.assertRaises(ValueError):
                self.client.job(wrong)

    def test_a_result_that_was_changed_on_the_disk_is_not_handed_out(self) -> None:
        handle = self.finished(b"[1]")
        response = self.root / "response" / f"{handle.uuid}.json"
        response.unlink()
        response.write_text("[2]")
        with clock() as time, self.assertRaisesRegex(Problem, "tell an operator") as raised:
            handle.result()
        self.assertEqual((raised.exception.name, time.rests), ("result-corrupt", []))


class Downloading(ClientTest):
    DOCUMENT = json.dumps([number / 7 for number in range(200_000)]).encode()

    def test_a_result_is_fetched_whole_over_a_line_that_breaks(self) -> None:
        handle = self.finished(self.DOCUMENT)
        relay = self.relay()
        target = self.home / "result.json"
        over_relay = Client(relay.url).job(handle.uuid)
        relay.break_after(500_000, 0, 2_000_000)
        with self.assertLogs("bcrl") as logs:
            self.assertEqual(over_relay.save(str(target)), target)
        self.assertEqual(target.read_bytes(), self.DOCUMENT)
        self.assertEqual(relay.connections, 5)
        self.assertEqual(len(logs.output), 2)
        self.assertEqual([path.name for path in self.home.glob("result*")], ["result.json"])
        relay.break_after(1_000_000)
        with self.assertLogs("bcrl"):
            self.assertEqual(over_relay.result_bytes(), self.DOCUMENT)

    def test_a_file_that_cannot_be_written_leaves_nothing_behind(self) -> None:
        handle = self.finished(self.DOCUMENT)
        (self.home / "result.json").mkdir()
        for path in (self.home / "result.json", self.home / "no" / "folder", Path("/dev/null/x")):
            with self.assertRaises(OSError):
                handle.save(path)
        self.assertEqual(list(self.home.rglob("*.part")), [])


class Reachability(ClientTest):
    def test_who_is_not_there_is_told_with_what_to_do(self) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            with self.assertRaisesRegex(Unreachable, f"no connection to {url}: connection refused"):
                Client(url).apis()

    def test_the_label_is_in_the_language_of_the_locale(self) -> None:
        self.offer()
        for locale, label in (("ja_JP.UTF-8", "充電率"), ("en_US.UTF-8", "State of charge")):
            with mock.patch.dict(os.environ, {"LC_ALL": locale}):
                self.assertEqual(Client(self.url).submit("soc").details["label"], label)

    def test_what_the_workers_own_script_printed_is_the_result(self) -> None:
        self.runs()
        self.assertEqual(self.client.submit("soc").result(PATIENCE), WORKERS)
