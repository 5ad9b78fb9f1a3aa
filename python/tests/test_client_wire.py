"""What the client sends, and what it makes of every kind of answer, byte by byte."""

from __future__ import annotations

import http.client
import io
import json
import logging
import os
import socket
import sys
import tempfile
import unittest
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from bcrl import (
    Client,
    ClientError,
    ConnectionLost,
    ForeignAnswer,
    GaveUp,
    InvalidRequest,
    JobHandle,
    NoResult,
    Problem,
    SubmissionUndecided,
    Unreachable,
    _request,
)
from bcrl._line import Line
from bcrl._pauses import Pauses
from bcrl._submit import is_undecided, pause_before_next_try

from .scripted_server import HANG_UP, HOLD, RESET, ScriptedServer, Step, answer, clock, problem

ID = "0190a6f0-1c2d-7abc-8def-0123456789ab"
SUBMIT = "POST /api/v1/jobs/soc"
STATUS = f"GET /api/v1/jobs/{ID}"
RESULT = f"GET /api/v1/jobs/{ID}/result"


def job(status: str, **more: Any) -> dict[str, Any]:
    """A job as the server tells it."""
    return {"uuid": ID, "api": "soc", "status": status, **more}


def shown(tag: str, status: str, headers: dict[str, str] | None = None, **more: Any) -> bytes:
    """An answer that shows a job in the state that this tag stands for."""
    return answer(200, job(status, **more), {"etag": f'W/"{tag}"', **(headers or {})})


def unchanged(headers: dict[str, str] | None = None) -> bytes:
    return answer(304, b"", headers)


class WireTest(unittest.TestCase):
    def setUp(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="bcrl-test-"))
        self.addCleanup(os.rmdir, self.home)

    def serve(self, *steps: Step) -> ScriptedServer:
        """A server that answers by these steps until the test ends; then all of them were due."""
        server = ScriptedServer(*steps)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def handle(self, server: ScriptedServer, *, timeout: float = 30.0) -> JobHandle:
        """The job, as the server's first step shows it."""
        return Client(server.url, timeout=timeout).job(ID)

    def done(self, *steps: Step) -> tuple[ScriptedServer, JobHandle]:
        """A job that is done, and a server for what comes then."""
        server = self.serve((STATUS, answer(200, job("done"))), *steps)
        return server, self.handle(server)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing is worth a warning."""
        with mock.patch.object(logging.getLogger("bcrl"), "warning") as warning:
            yield
        warning.assert_not_called()

    def saved(self, path: Path) -> bytes:
        """What is in a file, which is removed."""
        content = path.read_bytes()
        path.unlink()
        return content


class Waiting(WireTest):
    def test_the_server_is_asked_for_changes_only(self) -> None:
        server = self.serve(
            (STATUS, shown("1", "processing")),
            (STATUS, unchanged()),
            (STATUS, shown("2", "processing", progress={"percent": 50})),
            (STATUS, shown("3", "done")),
        )
        with clock():
            self.assertEqual(self.handle(server).wait(progress=None).status, "done")
        asked = [(a.headers.get("if-none-match"), a.headers.get("prefer")) for a in server.asked]
        first = ('W/"1"', "wait=25")
        self.assertEqual(asked, [(None, None), first, first, ('W/"2"', "wait=25")])

    def test_retry_after_is_obeyed_within_bounds_where_nothing_is_held_back(self) -> None:
        server = self.serve(
            (STATUS, shown("1", "pending", {"retry-after": "7"})),
            (STATUS, unchanged()),
            (STATUS, unchanged({"retry-after": "3"})),
            (STATUS, shown("2", "pending", {"retry-after": "0"})),
            (STATUS, shown("3", "pending", {"retry-after": "9999999"})),
            (STATUS, shown("4", "pending", {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"})),
            (STATUS, shown("5", "done")),
        )
        with clock() as time:
            self.handle(server).wait(progress=None)
        self.assertEqual(time.rests, [7, 3, 0.1, 60, 1])

    def test_what_was_held_back_is_followed_by_the_next_question(self) -> None:
        applied = {"preference-applied": "wait=25", "retry-after": "30"}
        server = self.serve(
            (STATUS, shown("1", "pending")),
            (STATUS, shown("2", "processing", applied)),
            # It says so, and still it came at once with nothing new: the server is about to end.
            (STATUS, unchanged(applied)),
            (STATUS, shown("3", "done", applied)),
        )
        with clock() as time:
            self.handle(server).wait(progress=None)
        self.assertEqual(time.rests, [0.1, 30])

    def test_a_server_without_tags_is_asked_by_its_own_measure(self) -> None:
        server = self.serve(
            (STATUS, answer(200, job("pending"), {"retry-after": "2"})),
            (STATUS, answer(200, job("pending"), {"retry-after": "2", "etag": "no tag"})),
            (STATUS, answer(200, job("processing"), {"retry-after": "1"})),
            (STATUS, answer(200, job("done"))),
        )
        with clock() as time:
            self.handle(server).wait(progress=None)
        self.assertEqual(time.rests, [2, 1])
        self.assertEqual([asked.headers.get("prefer") for asked in server.asked], [None] * 4)

    def test_whoever_looks_is_shown_the_place_in_the_queue(self) -> None:
        server = self.serve(
            (STATUS, shown("1", "pending", queue_position=2)),
            (STATUS, unchanged({"retry-after": "2"})),
            (STATUS, shown("1", "pending", queue_position=1)),
            (STATUS, shown("2", "done")),
        )
        places: list[Any] = []
        with clock() as time:
            self.handle(server).wait(
                progress=lambda handle: places.append(handle.details.get("queue_position"))
            )
        self.assertEqual(places, [2, 1, None])
        self.assertEqual(time.rests, [2, 0.1])
        prefer = [asked.headers.get("prefer") for asked in server.asked]
        self.assertEqual(prefer, [None, "wait=5", None, "wait=5"])

    def test_a_proxy_that_lets_nobody_wait_is_asked_plainly_each_second_time(self) -> None:
        server = self.serve(
            (STATUS, shown("1", "processing", {"retry-after": "2"})),
            *[(STATUS, answer(504, b"")), (STATUS, unchanged())] * 20,
            (STATUS, shown("2", "done")),
        )
        with clock() as time, self.assertLogs("bcrl"):
            self.handle(server).wait(progress=None)
        self.assertEqual(time.rests, [0.2, 2] * 20)

    def test_where_too_many_wait_already_nothing_is_to_be_held_back(self) -> None:
        crowded = problem(429, "rate-limited", {"retry-after": "5"})
        server = self.serve(
            (STATUS, shown("1", "processing", {"retry-after": "2"})),
            (STATUS, crowded),
            (STATUS, unchanged()),
            (STATUS, crowded),
            (STATUS, shown("2", "done")),
        )
        with clock() as time, self.quiet():
            self.handle(server).wait(progress=None)
        prefer = [asked.headers.get("prefer") for asked in server.asked]
        self.assertEqual(prefer, [None, "wait=25", None, "wait=25", None])
        self.assertEqual(time.rests, [5, 2, 5])

    def test_trouble_is_ridden_out_and_told_once(self) -> None:
        server = self.serve(
            (STATUS, shown("1", "processing")),
            (STATUS, HANG_UP),
            (STATUS, RESET),
            (STATUS, problem(503, "busy", {"retry-after": "5"}, detail="the folder is locked")),
            (STATUS, answer(502, b"<html>")),
            (STATUS, shown("2", "done")),
        )
        with clock() as time, self.assertLogs("bcrl") as logs:
            self.handle(server).wait(progress=None)
        self.assertEqual(time.rests, [0.2, 0.4, 5, 1.6])
        prefer = [asked.headers.get("prefer") for asked in server.asked]
        self.assertEqual(prefer, [None, "wait=25", None, None, None, None])
        (line,) = logs.output
        self.assertRegex(line, "the connection to http://.* was lost: .*; trying again$")

    def test_trouble_of_two_minutes_is_too_much(self) -> None:
        server = ScriptedServer(
            (STATUS, shown("1", "processing")),
            *[(STATUS, problem(503, "busy", {"retry-after": "40"}, detail="locked"))] * 4,
        )
        with server, clock() as time, self.assertLogs("bcrl"):
            with self.assertRaisesRegex(GaveUp, "locked") as raised:
                self.handle(server).wait(progress=None)
        self.assertIsInstance(raised.exception.__cause__, Problem)
        self.assertEqual(time.rests, [40, 40, 40])

    def test_the_end_of_the_time_is_told_with_where_the_job_stands(self) -> None:
        server = self.serve(
            (STATUS, shown("1", "processing", progress={"percent": 40, "message": "half"})),
            (STATUS, HOLD),
        )
        handle = self.handle(server, timeout=0.2)
        with self.assertRaises(TimeoutError) as raised, self.quiet():
            handle.wait(0.1, progress=None)
        self.assertEqual(
            str(raised.exception),
            f"gave up waiting for job {ID}: after 0.1 s it is processing, 40 %: half\n"
            f"the job goes on; Client.job('{ID}').wait() waits for it again",
        )
        self.assertIsInstance(raised.exception, GaveUp)

    def test_the_time_is_not_waited_beyond_and_there_is_a_last_look(self) -> None:
        server = self.serve(
            (STATUS, shown("1", "pending", {"retry-after": "30"})),
            (STATUS, unchanged()),
            (STATUS, unchanged()),
        )
        with clock() as time, self.assertRaisesRegex(GaveUp, "after 7.5 s it is pending"):
            self.handle(server).wait(7.5, progress=None)
        self.assertEqual(time.rests, [7.5])
        prefer = [asked.headers.get("prefer") for asked in server.asked]
        self.assertEqual(prefer, [None, "wait=7", None])

    def test_no_time_at_all_is_one_look(self) -> None:
        server = self.serve((STATUS, shown("1", "pending")), (STATUS, shown("2", "done")))
        self.assertEqual(self.handle(server).wait(0).status, "done")

    def test_trouble_at_the_end_of_the_time_is_its_reason(self) -> None:
        server = self.serve((STATUS, shown("1", "pending")), (STATUS, problem(500, "internal")))
        with self.assertRaisesRegex(GaveUp, "500 internal") as raised:
            self.handle(server).wait(0, progress=None)
        self.assertIsInstance(raised.exception.__cause__, Problem)

    def test_what_the_server_refuses_ends_the_waiting(self) -> None:
        gone = problem(410, "job-expired", detail="finished jobs are kept for 7 days")
        server = self.serve((STATUS, shown("1", "processing")), (STATUS, gone))
        with self.assertRaisesRegex(Problem, "jobs are kept for some days only") as raised:
            self.handle(server).wait(progress=None)
        self.assertEqual(raised.exception.name, "job-expired")

    def test_what_the_function_raises_ends_the_waiting_whatever_it_is(self) -> None:
        server = self.serve((STATUS, shown("1", "pending")), (STATUS, shown("2", "processing")))

        def look(handle: JobHandle) -> None:
            if handle.status == "processing":
                raise ConnectionLost("http://elsewhere", "no matter of ours")

        with clock(), self.assertRaisesRegex(ConnectionLost, "elsewhere"):
            self.handle(server).wait(progress=look)

    def test_a_status_of_a_newer_server_is_none_to_stop_at(self) -> None:
        server = self.serve((STATUS, shown("1", "paused")), (STATUS, shown("2", "done")))
        with clock():
            self.assertEqual(self.handle(server).wait().status, "done")

    def test_what_comes_late_does_not_wake_a_job_that_has_ended(self) -> None:
        _, handle = self.done((STATUS, shown("1", "processing")))
        self.assertEqual(handle.refresh().status, "done")


class Submitting(WireTest):
    def test_each_submission_has_a_key_of_its_own(self) -> None:
        accepted = answer(202, job("pending"))
        server = self.serve((SUBMIT, accepted), (SUBMIT, accepted))
        client = Client(server.url)
        client.submit("soc", {"a": 1, "b": 2.50}, b=[None], 電="池")
        client.submit("soc")
        self.assertEqual(json.loads(server.asked[0].body), {"a": 1, "b": [None], "電": "池"})
        self.assertEqual(server.asked[1].body, b"{}")
        keys = [asked.headers["idempotency-key"] for asked in server.asked]
        for key in keys:
            self.assertRegex(key, '^"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"$')
        self.assertNotEqual(*keys)
        for asked in server.asked:
            self.assertEqual(asked.headers["content-type"], "application/json")
            self.assertTrue(asked.headers["user-agent"].startswith("bcrl-python/"))

    def test_a_webhook_is_a_value_of_the_query(self) -> None:
        query = "?webhook=https%3A%2F%2Fexample.com%2Fhook%3Fa%3Db%2Bc"
        server = self.serve((SUBMIT + query, answer(202, job("pending"))))
        Client(server.url).submit("soc", n=1, webhook="https://example.com/hook?a=b+c")
        self.assertEqual(server.asked[0].body, b'{"n":1}')

    def test_what_nobody_can_have_taken_is_sent_again_with_the_same_key(self) -> None:
        busy = problem(503, "busy", {"retry-after": "5"}, detail="the folder was busy")
        server = self.serve((SUBMIT, busy), (SUBMIT, busy), (SUBMIT, answer(202, job("pending"))))
        with clock() as time, self.assertLogs("bcrl") as logs:
            self.assertEqual(Client(server.url).submit("soc", n=1).uuid, ID)
        self.assertEqual(time.rests, [5, 5])
        self.assertEqual(len({asked.headers["idempotency-key"] for asked in server.asked}), 1)
        self.assertEqual({asked.body for asked in server.asked}, {b'{"n":1}'})
        self.assertIn("the folder was busy", logs.output[0])
        self.assertIn("trying again in 5 s", logs.output[0])

    def test_the_third_refusal_is_the_last(self) -> None:
        full = problem(503, "queue-full", {"retry-after": "60"}, detail="the queue is full")
        server = self.serve(*[(SUBMIT, full)] * 3)
        with clock() as time, self.assertLogs("bcrl"), self.assertRaises(Problem) as raised:
            Client(server.url).submit("soc")
        self.assertEqual(time.rests, [60, 60])
        self.assertEqual(raised.exception.retry_after, 60)
        self.assertIn("try again in 60 s", str(raised.exception))

    def test_a_server_that_is_just_starting_gets_the_job(self) -> None:
        with ScriptedServer() as dead:
            pass
        with clock() as time, self.assertLogs("bcrl"), self.assertRaises(Unreachable) as raised:
            Client(dead.url).submit("soc")
        self.assertEqual(time.rests, [0.2, 0.4])
        self.assertRegex(
            str(raised.exception),
            f"^no connection to {dead.url}: connection refused\nis the server running",
        )

        # Bound and not listening, it refuses until the client rests for the first time.
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        server = ScriptedServer((SUBMIT, answer(202, job("pending"))))
        server._listener.close()
        server._listener, server.address = listener, listener.getsockname()

        def start(_: float) -> None:
            listener.listen()
            server.__enter__()

        with mock.patch("bcrl._pauses.sleep", start), self.assertLogs("bcrl"):
            handle = Client(f"http://127.0.0.1:{server.address[1]}").submit("soc")
        self.assertEqual(handle.uuid, ID)
        server.__exit__(None, None, None)

    def test_what_may_have_been_taken_is_sent_again_under_its_key(self) -> None:
        cut = answer(202, job("pending"))[:-20]
        for reaction in (
            HANG_UP,
            RESET,
            cut,
            b"SSH-2.0-OpenSSH_9.6\r\n",
            problem(500, "internal"),
            answer(502, b"<html>"),
            answer(504, b"<html>", {"retry-after": "1"}),
        ):
            accepted = (SUBMIT, answer(202, job("pending")))
            with (
                self.subTest(reaction=reaction),
                mock.patch("bcrl._pauses.sleep"),
                ScriptedServer((SUBMIT, reaction), accepted) as server,
            ):
                with self.assertLogs("bcrl"):
                    self.assertEqual(Client(server.url).submit("soc").uuid, ID)
                first, second = (asked.headers["idempotency-key"] for asked in server.asked)
                self.assertEqual(first, second)

    def test_where_it_stays_open_whether_a_job_was_taken_that_is_said(self) -> None:
        server = self.serve(*[(SUBMIT, HANG_UP)] * 3)
        with (
            mock.patch("bcrl._pauses.sleep"),
            self.assertLogs("bcrl"),
            self.assertRaises(SubmissionUndecided) as raised,
        ):
            Client(server.url).submit("soc")
        self.assertIn("may have been taken", str(raised.exception))
        self.assertIsInstance(raised.exception.__cause__, (ConnectionLost, Problem))

    def test_a_server_that_falls_silent_may_have_taken_it(self) -> None:
        server = self.serve(*[(SUBMIT, HOLD)] * 3)
        with (
            mock.patch("bcrl._pauses.sleep"),
            self.assertLogs("bcrl"),
            self.assertRaisesRegex(SubmissionUndecided, "nothing came for 0.1 s"),
        ):
            Client(server.url, timeout=0.1).submit("soc")

    def test_what_may_come_to_something_is_tried_again(self) -> None:
        usual = Pauses(0.2, 1.0).step()

        def refused(status: int, retry_after: float | None = None) -> Problem:
            return Problem("POST http://a", status, {}, retry_after)

        cases: list[tuple[ClientError, float | None]] = [
            (Unreachable("http://a", "refused"), usual),
            (ConnectionLost("http://a", "reset"), usual),
            (ForeignAnswer("http://a", "a page"), None),
            (refused(503), usual),
            (refused(503, 0), usual),
            (refused(503, 15), 15),
            (refused(429, 60), 60),
            (refused(429, 61), None),
            (refused(408), None),
            (refused(409), None),
            (refused(422), None),
            (refused(500), usual),
            (refused(502), usual),
            (refused(504, 1), usual),
            (refused(507, 1), None),
        ]
        for error, expected in cases:
            self.assertEqual(pause_before_next_try(error, usual), expected, error)
        undecided = [
            s for s in (408, 422, 429, 500, 502, 503, 504, 507) if is_undecided(refused(s))
        ]
        self.assertEqual(undecided, [500, 502, 504])

    def test_ctrl_c_says_that_the_job_may_have_been_taken(self) -> None:
        with self.assertLogs("bcrl") as logs, self.assertRaises(KeyboardInterrupt):
            with mock.patch.object(
                http.client.HTTPConnection, "connect", side_effect=KeyboardInterrupt
            ):
                Client("http://127.0.0.1:9").submit("soc")
        self.assertIn("may have been taken", logs.output[0])


class Requests(unittest.TestCase):
    def fault(self, request: Any, **fields: Any) -> tuple[str, str]:
        with self.assertRaises(InvalidRequest) as raised:
            _request.encode(request, fields)
        self.assertIsInstance(raised.exception, ValueError)
        return raised.exception.pointer, str(raised.exception)

    def test_values_are_sent_as_they_are(self) -> None:
        for request, fields, sent in (
            (None, {}, "{}"),
            (None, {"a": 1}, '{"a":1}'),
            ({"a": 1}, {"a": 2, "b": "池"}, '{"a":2,"b":"池"}'),
            ([1, 2.5, 10**30], {}, "[1,2.5,1000000000000000000000000000000]"),
            ("text", {}, '"text"'),
            (0.1, {}, "0.1"),
            ((1, None, True), {}, "[1,null,true]"),
            ({"x": array("d", [0.5, 1])}, {}, '{"x":[0.5,1.0]}'),
        ):
            self.assertEqual(_request.encode(request, dict(fields)).decode(), sent)

    def test_what_json_does_not_know_is_named_by_its_place(self) -> None:
        nan, infinite = float("nan"), float("inf")
        for request, pointer, words in (
            ({"a": [0.5, {"b/c~": nan}]}, "/a/1/b~1c~0", "nan is no number in JSON"),
            ([1, -infinite], "/1", "-inf is no number"),
            (infinite, "", "inf is no number"),
            ({"series": array("d", [1, nan])}, "/series/1", "nan is no number"),
            ({"when": {1, 2}}, "/when", "set cannot be written as JSON"),
            ({"path": Path("a")}, "/path", "pathlib"),
            ({"text": "\ud800"}, "/text", "surrogate"),
            ({("a", "b"): 1}, "/('a', 'b')", "keys must be"),
            ({"\ud800": 1}, "/\ud800", "surrogate"),
            ({"n": b"bytes"}, "/n", "bytes cannot be written as JSON"),
        ):
            with self.subTest(request=request):
                found, message = self.fault(request)
                self.assertEqual(found, pointer)
                self.assertIn(words, message)
                self.assertIn(pointer, message)
        self.assertEqual(self.fault(None, soc=nan)[0], "/soc")
        self.assertIn("not over list", self.fault([1], a=2)[1])
        endless: list[Any] = []
        endless.append(endless)
        self.assertIn("contains itself", self.fault(endless)[1])


class Answers(WireTest):
    def test_a_problem_tells_what_where_and_what_to_do(self) -> None:
        errors = [{"pointer": "/num1", "detail": "is no number"}, {"detail": "too\nlarge"}, 7]
        refused = problem(
            422,
            "validation-failed",
            detail="does not fit\x1b[2J",
            instance="urn:uuid:1",
            errors=errors,
        )
        server = self.serve((SUBMIT, refused))
        with self.assertRaises(Problem) as raised:
            Client(server.url).submit("soc")
        error = raised.exception
        self.assertEqual(
            str(error),
            f"does not fit [2J (422 validation-failed at POST {server.url}/api/v1/jobs/soc)\n"
            "  /num1: is no number\n"
            "  the request: too large\n"
            "Client.apis() shows what it takes: schema and example",
        )
        self.assertEqual(
            (error.type, error.name, error.title, error.status, error.instance, error.failure),
            ("/problems/validation-failed", "validation-failed", "t", 422, "urn:uuid:1", None),
        )
        expected = [
            {"pointer": "/num1", "detail": "is no number"},
            {"pointer": "", "detail": "too\nlarge"},
        ]
        self.assertEqual(error.errors, expected)

    def test_a_problem_of_a_failed_job_has_its_failure(self) -> None:
        failure = {"reason": "exit_code", "message": "exit code 1\nValueError: x", "exit_code": 1}
        _, handle = self.done((RESULT, problem(409, "job-failed", failure=failure)))
        with self.assertRaises(Problem) as raised:
            handle.result()
        self.assertEqual(raised.exception.failure, failure)
        self.assertIn("exit_code: exit code 1\n  ValueError: x", str(raised.exception))

    def test_a_job_without_a_result_says_why(self) -> None:
        failure = {"reason": "timeout", "message": "over 10 s"}
        for details, words in (
            (job("failed", failure=failure), "failed: timeout: over 10 s\n"),
            (job("failed"), "failed\n"),
            (job("canceled"), "canceled"),
        ):
            with ScriptedServer((STATUS, answer(200, details))) as server:
                with self.assertRaises(NoResult) as raised:
                    self.handle(server).result()
            error = raised.exception
            self.assertTrue(str(error).startswith(f"soc {ID} {words}"), error)
            self.assertEqual(error.status, details["status"])
            self.assertEqual(error.failure, details.get("failure"))

    def test_an_error_without_a_document_is_told_by_its_status(self) -> None:
        for status, body, words in (
            (502, b"<html>bad</html>", "Bad Gateway (502 at GET"),
            (401, b"", "Unauthorized (401 at GET"),
            (499, b"[1]", "the server does not say what (499 at GET"),
            (500, b'{"title": 7, "errors": {}, "failure": []}', "Internal Server Error (500"),
        ):
            with ScriptedServer((STATUS, answer(status, body))) as server:
                with self.assertRaises(Problem) as raised:
                    self.handle(server)
            self.assertTrue(str(raised.exception).startswith(words), raised.exception)
            self.assertEqual(raised.exception.type, "about:blank")

    def test_redirects_are_not_followed(self) -> None:
        elsewhere = self.serve()
        server = self.serve((SUBMIT, answer(307, b"", {"location": f"{elsewhere.url}/steal"})))
        with self.assertRaisesRegex(ForeignAnswer, "redirects to http://127.0.0.1:.*/steal"):
            Client(server.url).submit("soc", secret=1)

    def test_somebody_else_at_the_address_is_told_as_such(self) -> None:
        for body in (b"<html>", b"[" * 100_000, b'{"status":"done"}', b'"done"', b"\xff"):
            with self.subTest(body=body[:9]), ScriptedServer((STATUS, answer(200, body))) as server:
                with self.assertRaisesRegex(ForeignAnswer, "does not answer as bcrlapi does"):
                    self.handle(server)
        for line, call in (("apis", "apis"), ("jobs?limit=100", "jobs")):
            for body in (b"[]", b'{"apis":1,"jobs":{}}', b'{"jobs":[{"uuid":"../x"}]}'):
                with ScriptedServer((f"GET /api/v1/{line}", answer(200, body))) as server:
                    with self.assertRaises(ForeignAnswer):
                        list(getattr(Client(server.url), call)())

    def test_an_answer_without_end_is_not_read_to_its_end(self) -> None:
        server = self.serve((STATUS, answer(200, job("done", more="x" * 100))))
        with mock.patch("bcrl._http._JSON_LIMIT", 99), self.assertRaises(ForeignAnswer):
            self.handle(server)

    def test_what_breaks_off_is_not_taken_for_whole(self) -> None:
        body = json.dumps(job("done", more=[1, 2])).encode()
        chunk = b"%x\r\n%s\r\n" % (len(body), body)
        for headers, sent in (
            ({"content-length": str(len(body) + 5)}, body),
            ({"content-length": "0", "transfer-encoding": "chunked"}, chunk),
        ):
            with ScriptedServer((STATUS, answer(200, sent, headers))) as server:
                with self.assertRaisesRegex(ConnectionLost, "broke off"):
                    self.handle(server)

    def test_a_proxy_in_front_of_the_server_gets_name_and_password(self) -> None:
        server = self.serve(("GET /lab/api/v1/apis", answer(200, {"apis": []})))
        url = server.url.replace("//", "//ada:s%20e@")
        client = Client(f"{url}/lab/")
        self.assertEqual(client.apis(), [])
        self.assertEqual(server.asked[0].headers["authorization"], "Basic YWRhOnMgZQ==")
        self.assertEqual(client.url, f"{server.url}/lab")
        self.assertNotIn("ada", repr(client))

    def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(self) -> None:
        direct = self.serve(("GET /api/v1/apis", answer(200, {"apis": []})))
        proxy = self.serve(
            ("GET http://jobs.example:81/lab/api/v1/apis", answer(200, {"apis": []})),
            ("CONNECT jobs.example:443", answer(403)),
        )
        address = proxy.url.replace("//", "//ada:x@")
        variables = {"http_proxy": address, "https_proxy": address[7:], "no_proxy": "other.example"}
        with mock.patch.dict(os.environ, variables):
            Client("http://jobs.example:81/lab").apis()
            self.assertEqual(proxy.asked[0].headers["host"], "jobs.example:81")
            self.assertEqual(proxy.asked[0].headers["proxy-authorization"], "Basic YWRhOng=")
            with self.assertRaisesRegex(Unreachable, "https://jobs.example: .*403"):
                Client("https://jobs.example").apis()
            self.assertEqual(proxy.asked[1].headers["proxy-authorization"], "Basic YWRhOng=")
            Client(direct.url).apis()
        with mock.patch.dict(os.environ, {"http_proxy": "socks5://u:secret@a:1"}):
            with self.assertRaisesRegex(ValueError, "socks5://a:1") as raised:
                Client("http://jobs.example")
            self.assertNotIn("secret", str(raised.exception))

    def test_the_address_is_the_argument_or_the_variable_or_this_machine(self) -> None:
        with mock.patch.dict(os.environ, {"BCRL_URL": "http://[::1]:81/lab/"}):
            self.assertEqual(Client().url, "http://[::1]:81/lab")
            self.assertEqual(Client("https://jobs.example/").url, "https://jobs.example")
        with mock.patch.dict(os.environ, {"BCRL_URL": ""}):
            self.assertEqual(Client().url, "http://127.0.0.1:8080")
        for bad in (
            "localhost:8080",
            "ftp://example",
            "http://example/?a=b",
            "http://example/#part",
            "/socket",
            "http://",
            "http://example:port",
            "http://example:99999",
            "http://exa mple",
            "http://example/a b",
            "http://ada:secret@example/?x=1",
        ):
            with self.subTest(bad=bad), self.assertRaises(ValueError) as raised:
                Client(bad)
            self.assertNotIn("secret", str(raised.exception))
        for timeout in (0, -1, float("nan")):
            with self.assertRaises(ValueError):
                Client(timeout=timeout)

    def test_labels_are_asked_for_in_the_language_of_the_locale(self) -> None:
        for locale, language in (("ja_JP.UTF-8", "ja"), ("de_DE", "en"), ("", "en")):
            with ScriptedServer(("GET /api/v1/apis", answer(200, {"apis": []}))) as server:
                with mock.patch.dict(os.environ, {"LC_ALL": locale, "LC_MESSAGES": "", "LANG": ""}):
                    Client(server.url).apis()
            self.assertEqual(server.asked[0].headers["accept-language"], language)


class Downloads(WireTest):
    BODY = bytes(range(256)) * 4
    TAG = {"etag": '"v1"'}

    def whole(self, headers: dict[str, str] | None = None) -> bytes:
        return answer(200, self.BODY, self.TAG if headers is None else headers)

    def cut(self, size: int, headers: dict[str, str] | None = None) -> bytes:
        """The answer with so much of its body, behind which the connection breaks."""
        return self.whole(headers)[: size - len(self.BODY)]

    def part(self, start: int, end: int | None = None) -> bytes:
        sent = self.BODY[start:end]
        told = f"bytes {start}-{len(self.BODY) - 1}/{len(self.BODY)}"
        left = str(len(self.BODY) - start)
        return answer(206, sent, {**self.TAG, "content-range": told, "content-length": left})

    def test_what_broke_off_goes_on_from_there(self) -> None:
        server, handle = self.done(
            (RESULT, self.cut(100)),
            (RESULT, self.part(100, 300)),
            (RESULT, HANG_UP),
            (RESULT, problem(503, "busy")),
            (RESULT, self.part(300)),
        )
        target = self.home / "result.json"
        target.write_bytes(b"what was there before")
        with clock() as time, self.assertLogs("bcrl"):
            self.assertEqual(handle.save(target), target)
        self.assertEqual(self.saved(target), self.BODY)
        asked = [(a.headers.get("range"), a.headers.get("if-range")) for a in server.asked[1:]]
        rest = ("bytes=300-", '"v1"')
        self.assertEqual(asked, [(None, None), ("bytes=100-", '"v1"'), rest, rest, rest])
        # After what came between, the trouble begins anew.
        self.assertEqual(time.rests, [0.2, 0.2, 0.4, 0.8])

    def test_another_result_is_fetched_from_its_beginning(self) -> None:
        other = answer(200, b"[2]", {"etag": '"v2"'})
        _, handle = self.done((RESULT, self.cut(900)), (RESULT, other))
        with clock(), self.assertLogs("bcrl"):
            self.assertEqual(handle.result_bytes(), b"[2]")

    def test_without_a_strong_tag_it_begins_anew(self) -> None:
        for headers in ({}, {"etag": 'W/"v1"'}):
            cut, whole = self.cut(900, headers), self.whole(headers)
            server, handle = self.done((RESULT, cut), (RESULT, whole))
            with clock(), self.assertLogs("bcrl"):
                self.assertEqual(handle.result_bytes(), self.BODY)
            self.assertNotIn("range", server.asked[-1].headers)

    def test_an_end_that_never_came_is_fetched_anew(self) -> None:
        chunked = {**self.TAG, "transfer-encoding": "chunked"}
        body = b"%x\r\n%s\r\n" % (len(self.BODY), self.BODY)
        _, handle = self.done(
            (RESULT, answer(200, body, chunked)),
            (RESULT, problem(416, "range-not-satisfiable")),
            (RESULT, answer(200, body + b"0\r\n\r\n", chunked)),
        )
        with clock(), self.assertLogs("bcrl"):
            self.assertEqual(handle.result_bytes(), self.BODY)

    def test_another_part_than_the_one_asked_for_is_refused(self) -> None:
        short = self.part(100, 300).replace(b"-1023/", b"-299/").replace(b": 924", b": 200")
        other = self.part(100).replace(b'"v1"', b'"v2"')
        for wrong in (self.part(99), self.part(101), answer(206, b"x", self.TAG), short, other):
            _, handle = self.done((RESULT, self.cut(100)), (RESULT, wrong))
            with clock(), self.assertLogs("bcrl"), self.assertRaises(ForeignAnswer):
                handle.result_bytes()
        _, handle = self.done((RESULT, self.part(0)))
        with self.assertRaises(ForeignAnswer):
            handle.result_bytes()

    def test_what_cannot_be_known_to_be_whole_is_refused(self) -> None:
        endless = self.whole().replace(b"content-length", b"x-length")
        for reaction in (endless, self.whole({"content-encoding": "gzip"})):
            _, handle = self.done((RESULT, reaction))
            with self.assertRaises(ForeignAnswer):
                handle.save(self.home / "result.json")

    def test_a_file_is_there_whole_or_not_at_all(self) -> None:
        target = self.home / "result.json"
        target.write_bytes(b"before")
        refused = (RESULT, problem(410, "job-expired"))
        _, handle = self.done(refused)
        with self.assertRaises(Problem):
            handle.save(target)
        _, handle = self.done((RESULT, self.cut(100)), refused)
        with clock(), self.assertLogs("bcrl"), self.assertRaises(Problem):
            handle.save(target)
        self.assertEqual(self.saved(target), b"before")
        _, handle = self.done()
        with self.assertRaises(FileNotFoundError):
            handle.save(self.home / "no" / "folder")
        with self.assertRaises(IsADirectoryError):
            handle.save(self.home)

    def test_the_same_bytes_again_and_again_are_no_way_on(self) -> None:
        steps: list[Step] = [(RESULT, self.cut(100, {}))] * 29
        server, handle = self.done(*steps)
        with clock() as time, self.assertLogs("bcrl") as logs, self.assertRaises(ConnectionLost):
            handle.result_bytes()
        self.assertTrue(120 <= sum(time.rests) < 126, time.rests)
        self.assertEqual(len(logs.output), 1)

    def test_trouble_is_borne_no_longer_than_the_time_allows(self) -> None:
        _, handle = self.done((RESULT, HANG_UP))
        with self.assertRaises(ConnectionLost), self.quiet():
            handle.result_bytes(0)
        _, handle = self.done(*[(RESULT, problem(503, "busy", {"retry-after": "5"}))] * 3)
        with clock() as time, self.assertLogs("bcrl"), self.assertRaises(Problem):
            handle.result_bytes(10)
        self.assertEqual(time.rests, [5, 5])

    def test_a_result_that_is_no_json_says_so(self) -> None:
        _, handle = self.done((RESULT, self.whole()))
        with self.assertRaisesRegex(ForeignAnswer, f"the result of job {ID} is no JSON"):
            handle.result()


class Screen(io.StringIO):
    """A terminal that keeps what was written to it."""

    def isatty(self) -> bool:
        return True


class Lines(WireTest):
    def waited(self, out: Any, *answers: bytes) -> str:
        """What a waiting for a job writes there."""
        server = self.serve(*[(STATUS, reaction) for reaction in answers])
        handle = self.handle(server)
        with clock(), mock.patch.object(sys, "stderr", out):
            handle.wait()
        return str(out.getvalue())

    def test_a_terminal_shows_one_line_and_the_end(self) -> None:
        dates: dict[str, Any] = {
            "request_date": "2026-01-01T00:00:00.000+09:00",
            "finished_date": "2026-01-01T00:02:10.500+09:00",
        }
        written = self.waited(
            Screen(),
            shown("1", "pending", queue_position=3),
            shown("2", "processing", progress={"percent": 40.4, "message": "電池\x1b[2J\nx"}),
            shown("3", "done", **dates),
        )
        lines = [line.rstrip() for line in written.split("\r")]
        self.assertEqual(lines[1], "soc: pending, number 3 in the queue")
        self.assertEqual(lines[2], "soc: processing, 40 %: 電池 [2J x")
        self.assertEqual(written.split("\r")[-1], f"soc {ID} done in 2 m 10 s\n")
        self.assertNotIn("\x1b", written)

    def test_a_notebook_is_no_terminal_and_shows_it_too(self) -> None:
        class OutStream(io.StringIO):
            pass

        OutStream.__module__ = "ipykernel.iostream"
        written = self.waited(OutStream(), shown("1", "pending"), shown("2", "canceled"))
        self.assertTrue(written.endswith(f"soc {ID} canceled\n"), written)

    def test_a_log_and_a_closed_stderr_get_nothing(self) -> None:
        answers = shown("1", "pending"), shown("2", "done")
        self.assertEqual(self.waited(io.StringIO(), *answers), "")
        closed = Screen()
        closed.close()
        for gone in (None, closed):
            server = self.serve(*[(STATUS, reaction) for reaction in answers])
            with clock(), mock.patch.object(sys, "stderr", gone):
                self.assertEqual(self.handle(server).wait().status, "done")

    def test_a_terminal_that_goes_away_does_not_end_the_waiting(self) -> None:
        screen = Screen()
        with mock.patch.object(screen, "write", side_effect=BrokenPipeError):
            self.waited(screen, shown("1", "pending"), shown("2", "done"))

    def test_trouble_is_told_in_a_line_of_its_own(self) -> None:
        screen = Screen()
        told = logging.StreamHandler(screen)
        logging.getLogger("bcrl").addHandler(told)
        self.addCleanup(logging.getLogger("bcrl").removeHandler, told)
        busy = problem(503, "busy", detail="the folder is locked")
        written = self.waited(screen, shown("1", "pending"), busy, shown("2", "done"))
        shown_lines = [line for line in written.splitlines() if line.strip()]
        self.assertTrue(shown_lines.pop(1).startswith("the folder is locked (503 busy at"), written)
        self.assertEqual(shown_lines, ["soc: pending", f"soc {ID} done"])

    def test_a_line_has_room_in_its_terminal(self) -> None:
        screen = Screen()
        line = Line(screen, 12)
        line.show("電" * 9)
        line.show("short")
        line.clear()
        self.assertEqual(screen.getvalue(), "\r電電電電電…\rshort      \r     \r")

    def test_a_terminal_that_knows_no_japanese_gets_question_marks(self) -> None:
        raw = io.BytesIO()
        line = Line(io.TextIOWrapper(raw, encoding="ascii"), 80)
        line.end("電池 done")
        self.assertEqual(raw.getvalue(), b"?? done\n")

    def test_a_job_tells_where_it_stands_in_one_line(self) -> None:
        for details, expected in (
            (job("pending"), "pending"),
            (job("pending", queue_position=1), "pending, next in the queue"),
            (job("pending", attempt=1), "pending, to be run again (run 1 has ended)"),
            (job("processing", attempt=2), "processing"),
            (job("processing", progress={"percent": 40}), "processing, 40 %"),
            (job("processing", progress={"message": "fit"}), "processing, fit"),
            (job("failed", failure={"reason": "memory"}), "failed: memory"),
            (job("failed", failure={"reason": "signal", "message": "a\nb"}), "failed: signal: a"),
            (job("done", unknown=1), "done"),
        ):
            with ScriptedServer((STATUS, answer(200, details))) as server:
                self.assertEqual(repr(self.handle(server)), f"<JobHandle soc {ID}: {expected}>")


if __name__ == "__main__":
    unittest.main()
