"""One job run by a command: started, watched, ended, published."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from ._catalog import Limits
from ._json import NotJson, check
from ._output import Log, Printed
from ._process import Stop, Supervised
from ._records import Measured
from ._state import CANCELED, DONE, FAILED, Failure
from ._store import RESULT_LIMIT, Store
from .errors import FolderError, JobLost
from .job import Job

log = logging.getLogger("bcrl")

#: The job was no longer ours when its run ended.
LOST = "lost"

#: How often a run is looked after, in seconds.
_LOOK = 0.2
#: Only so much of new progress is read at one look, in bytes.
_PROGRESS_BYTES = 1 << 16


def run_job(
    store: Store, job: Job, command: list[str], timeout: float, limits: Limits, stop: Stop
) -> str:
    """Runs the command on a job and publishes what came of it: ``done``, ``failed``, ``canceled``,
    ``pending``, or ``lost`` where the job was no longer ours.

    Raises OSError or FolderError where the run could not be carried out; the job waits again then.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="bcrl-") as scratch:
            return _Run(store, job, Path(scratch), timeout, limits, stop).run(command)
    except JobLost as error:
        log.warning("%s", error)
        return LOST
    except (OSError, FolderError) as error:
        # The command is not at fault, and another worker may be luckier.
        if job.is_open and error is not job.trouble:
            job.give_back(patience=stop.grace)
        raise


class _Run:
    def __init__(
        self, store: Store, job: Job, scratch: Path, timeout: float, limits: Limits, stop: Stop
    ) -> None:
        self._store = store
        self._job = job
        self._scratch = scratch
        self._timeout = timeout
        self._limits = limits
        self._stop = stop
        self._progress = scratch / "progress"
        self._read = 0
        self._log_end = ""

    def run(self, command: list[str]) -> str:
        job = self._job
        environment = self._prepare()
        # Right before the start: it may have been taken over, ended or canceled since its claim.
        if not job.still_mine():
            raise JobLost(job.uuid, f"job {job.uuid} was taken over before its run began")
        if job.cancel_requested:
            return job.give_back()
        begun = time.monotonic()
        supervised = Supervised(command, environment, self._scratch / "stdin.json")
        try:
            stdout, stderr = supervised.pipes
            printed = Printed(stdout, RESULT_LIMIT)
            written = Log(stderr, self._store, job.uuid)
            asked, report = self._watch(supervised, printed)
            self._log_end = written.last_words()
            content = printed.finish()
            if printed.too_large:
                asked = asked or "output_too_large"
        finally:
            supervised.bury()
        run_ms = int((time.monotonic() - begun) * 1000)
        self._show_progress()
        if asked == LOST or job.lost:
            raise JobLost(job.uuid, f"job {job.uuid} was taken over while it ran")
        return self._publish(asked, report, content, run_ms)

    def _prepare(self) -> dict[str, str]:
        """Writes what the command is given; returns its environment."""
        job, scratch = self._job, self._scratch
        (scratch / "stdin.json").write_bytes(job.body)
        (scratch / "request.json").write_bytes(
            self._store.request.read(f"{job.uuid}.json", 1 << 30) or b""
        )
        self._progress.touch()
        (scratch / "tmp").mkdir()
        return {
            **os.environ,
            "BCRL_JOB": job.uuid,
            "BCRL_API": job.api,
            "BCRL_ATTEMPT": str(job.attempt),
            "BCRL_PROGRESS": str(self._progress),
            "BCRL_REQUEST": str(scratch / "request.json"),
            "TMPDIR": str(scratch / "tmp"),
        }

    def _watch(self, supervised: Supervised, printed: Printed) -> tuple[str | None, dict[str, Any]]:
        """Waits for the end, and asks for it where it is due; why it was asked for."""
        end = time.monotonic() + self._timeout
        asked, killed_at = None, 0.0
        while True:
            report = supervised.report(_LOOK)
            if report is not None:
                return asked, report
            self._show_progress()
            if asked is None:
                asked = self._why_to_end(printed, end)
                if asked is not None:
                    supervised.terminate()
                    killed_at = time.monotonic() + self._stop.grace
            elif self._job.lost or time.monotonic() > killed_at:
                supervised.kill()
            if asked in (LOST, "output_too_large"):
                supervised.kill()

    def _why_to_end(self, printed: Printed, end: float) -> str | None:
        if self._job.lost:
            return LOST
        if self._job.cancel_requested:
            return CANCELED
        if self._stop.signal is not None:
            return "shutdown"
        if printed.too_large:
            return "output_too_large"
        return "timeout" if time.monotonic() > end else None

    def _publish(
        self, asked: str | None, report: dict[str, Any], content: bytes, run_ms: int
    ) -> str:
        job, over = self._job, self._stop.overdue
        failure = self._judge(asked, report, content)
        measured = Measured(run_ms=run_ms, exit_code=report.get("exit"))
        if failure is None:
            job._finish(content, measured, over)
            return DONE
        if asked in (CANCELED, "shutdown"):
            return job._release(None, over)
        if failure.reason != "spawn_error" and job.retried < self._limits.retries:
            return job._release(failure.reason, over)
        job._fail(failure, measured, over)
        return FAILED

    def _judge(self, asked: str | None, report: dict[str, Any], content: bytes) -> Failure | None:
        """Why the run failed; None where it printed a result."""
        if asked == "output_too_large":
            return Failure.of(asked, "the script printed more than a result may hold")
        if asked == "timeout":
            text = f"the script ran longer than the {self._timeout:g} s that it may take"
            return self._failure(asked, text)
        if report.get("exit") == 0:
            return _judge_printed(content, self._log_end)
        if "exit" in report:
            code = int(report["exit"])
            return self._failure("exit_code", f"the script exited with {code}", code)
        if "spawn_error" in report:
            # Clients are told no path of the host.
            log.error("the command cannot be started: %s", report["spawn_error"])
            return Failure.of("spawn_error", "the script could not be started")
        signal = report.get("signal")
        text = "the script was killed with its supervisor" if signal is None else ""
        return self._failure("signal", text or f"signal {signal} ended the script")

    def _failure(self, reason: str, text: str, code: int | None = None) -> Failure:
        return Failure.of(reason, _with_last_words(text, self._log_end), code)

    def _show_progress(self) -> None:
        """Shows the latest complete line that the command appended to its progress file."""
        try:
            with open(self._progress, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                # Whoever writes more than is read at one look is heard from the end.
                self._read = max(self._read, size - _PROGRESS_BYTES)
                file.seek(self._read)
                complete, end, _ = file.read(_PROGRESS_BYTES).rpartition(b"\n")
        except OSError:
            return
        self._read += len(complete) + len(end)
        for line in reversed(complete.splitlines()):
            told = _progress_of(line)
            if told is not None:
                self._job.show_progress(*told)
                return


def _judge_printed(content: bytes, log_end: str) -> Failure | None:
    if not content.strip(b" \t\r\n\x0c"):
        return Failure.of("no_result", _with_last_words("the script printed nothing", log_end), 0)
    try:
        check(content)
    except NotJson as error:
        text = f"the script did not print one JSON document: {error}"
        return Failure.of("invalid_output", text, 0)
    return None


def _with_last_words(text: str, log_end: str) -> str:
    return f"{text}; the end of its log:\n{log_end}" if log_end else text


def _progress_of(line: bytes) -> tuple[float | None, str | None] | None:
    """What a line such as ``{"percent": 40, "message": "half"}`` says; None for anything else."""
    try:
        check(line)
        told = json.loads(line)
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    percent, message = told.get("percent"), told.get("message")
    is_number = isinstance(percent, (int, float)) and not isinstance(percent, bool)
    if not (percent is None or is_number) or not (message is None or isinstance(message, str)):
        return None
    return None if percent is None and message is None else (percent, message)
