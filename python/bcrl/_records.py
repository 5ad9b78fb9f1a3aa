"""The small documents of the folder, field by field: request, lease, receipt, progress.

Readers ignore members that they do not know, and nothing is ever null: absent means unknown.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from . import _dates, _json, _names
from ._dates import Date
from ._entry import Entry
from ._state import FINAL, STATUSES, Failure, State

#: What a request holds besides its body, at most, in bytes.
REQUEST_FRAME = 64 << 10
#: Largest lease in bytes: one that tells of many runs.
LEASE_LIMIT = 1 << 20
#: Largest receipt in bytes: one that tells of many files.
RECEIPT_LIMIT = 16 << 20
#: So many runs are remembered one by one: the first one and the latest.
MOST_ATTEMPTS = 100
#: A retry's date is believed so far ahead, in seconds: the longest pause, and clocks that differ.
BELIEVED = 3600
#: Longest message of progress, in characters.
PROGRESS_MESSAGE_LIMIT = 200


class Unreadable(ValueError):
    """A file that is not what it should be."""


@dataclass(frozen=True)
class Request:
    """``request/{uuid}.json``: what a client asked for. Written once, never changed."""

    uuid: str
    api: str
    request_date: Date
    #: The request's body, as the client wrote it.
    params: str
    #: SHA-256 of the file, as hexadecimal digits.
    sha256: str

    _DUE: ClassVar = ("uuid", "api", "request_date", "params")

    @classmethod
    def read(cls, content: bytes) -> Request:
        """Reads the file's content; raises Unreadable."""
        try:
            text = content.decode("utf-8")
            members, end = _json.members(text)
            names = [name for name, _ in members]
            if not _json.ends(text, end) or any(names.count(name) != 1 for name in cls._DUE):
                raise Unreadable(f"it is not one object with {', '.join(cls._DUE)}, each once")
            uuid, api, date, params = (dict(members)[name] for name in cls._DUE)
            uuid, api, date = (_json.read(value) for value in (uuid, api, date))
        except ValueError as error:
            raise Unreadable(str(error)) from None
        moment = _dates.parse(date)
        texts = isinstance(uuid, str) and isinstance(api, str)
        if not texts or not _names.is_job(uuid) or not _names.is_api(api) or moment is None:
            raise Unreadable("its uuid, api or request_date is none")
        return cls(uuid, api, moment, params, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Attempt:
    """One run of a job that is over."""

    attempt: int
    worker: str
    started: Date
    ended: Date
    outcome: str

    @classmethod
    def read(cls, value: Any) -> Attempt:
        """The run that a JSON value stands for; raises Unreadable."""
        fields = _object(value)
        return cls(
            _count(fields, "attempt"),
            _worker(fields),
            _date(fields, "started_date"),
            _date(fields, "ended_date"),
            _text(fields, "outcome"),
        )

    def document(self) -> dict[str, Any]:
        """As it stands in files."""
        return {
            "attempt": self.attempt,
            "worker": self.worker,
            "started_date": self.started.text,
            "ended_date": self.ended.text,
            "outcome": self.outcome,
        }


@dataclass(frozen=True)
class Lease:
    """``lease/{uuid}.json``: who runs the job, and how its earlier runs ended. It stays while the
    job waits to be run again, so that runs and losses are counted over its whole life."""

    worker: str
    #: The number of the latest run; 1 is the first.
    attempt: int
    #: How many runs were lost with their worker.
    lost: int
    #: How many runs failed by themselves and were to be run again.
    failed: int
    #: The token of the run; None once the run is over.
    token: str | None
    #: When the job was claimed for this run.
    claimed: Date
    #: The worker's process id on its host.
    pid: int
    #: The job is not claimed before this date.
    retry_date: Date | None = None
    #: The runs that are over, the first one first.
    attempts: tuple[Attempt, ...] = ()

    @classmethod
    def read(cls, content: bytes) -> Lease:
        """Reads the file's content; raises Unreadable."""
        fields = document_of(content)
        token = fields.get("token")
        retry = fields.get("retry_date")
        if token is not None and _names.token_of(token) is None:
            raise Unreadable("its token is none")
        runs = fields.get("attempts", [])
        if not isinstance(runs, list):
            raise Unreadable("its attempts are no array")
        return cls(
            worker=_worker(fields),
            attempt=_count(fields, "attempt"),
            lost=_count({"lost": 0, **fields}, "lost"),
            failed=_count({"failed": 0, **fields}, "failed"),
            token=_names.token_of(token),
            claimed=_date(fields, "claimed"),
            pid=_count(fields, "pid"),
            retry_date=None if retry is None else _date(fields, "retry_date"),
            attempts=tuple(Attempt.read(run) for run in runs),
        )

    @classmethod
    def next(cls, before: Lease | None, worker: str, pid: int, token: str, now: Date) -> Lease:
        """The lease of the next run."""
        if before is None:
            return cls(worker, 1, 0, 0, token, now, pid)
        return cls(
            worker,
            before.attempt + 1,
            before.lost,
            before.failed,
            token,
            now,
            pid,
            attempts=before.attempts,
        )

    def given_back(self, now: Date) -> Lease:
        """The lease once its run was given back: nothing is counted."""
        return self._ended("given_back", now)

    def to_retry(self, reason: str, now: Date) -> Lease:
        """The lease once its run failed by itself and is to be repeated after a pause."""
        pauses = (30, 120, 600)
        pause = pauses[min(self.failed, len(pauses) - 1)]
        ended = self._ended(reason, now)
        return replace(ended, failed=self.failed + 1, retry_date=now.after(pause))

    def attempts_with(self, outcome: str, now: Date) -> tuple[Attempt, ...]:
        """All runs, the latest one included."""
        if self.token is None:
            return self.attempts
        latest = Attempt(self.attempt, self.worker, self.claimed, now, outcome)
        return (*self.attempts, latest)

    def waits_for_retry(self, now: Date) -> bool:
        """Whether the job waits for a repetition that is not due yet. A date far beyond any pause
        comes from a clock that was wrong, and holds up nothing."""
        if self.retry_date is None:
            return False
        return now.moment < self.retry_date.moment <= now.after(BELIEVED).moment

    def to_bytes(self) -> bytes:
        """The file's content."""
        document: dict[str, Any] = {
            "worker": self.worker,
            "attempt": self.attempt,
            "lost": self.lost,
            "failed": self.failed,
            "token": self.token,
            "claimed": self.claimed.text,
            "pid": self.pid,
            "retry_date": self.retry_date.text if self.retry_date else None,
            "attempts": [run.document() for run in self.attempts] or None,
        }
        return content_of(document)

    def _ended(self, outcome: str, now: Date) -> Lease:
        runs = self.attempts_with(outcome, now)
        if len(runs) > MOST_ATTEMPTS:
            runs = (runs[0], *runs[2:])
        return replace(self, attempts=runs, token=None)


@dataclass(frozen=True)
class Measured:
    """What was measured of a run, for its receipt."""

    run_ms: int | None = None
    exit_code: int | None = None
    #: SHA-256 of request and response, by these words.
    sha256: dict[str, str] = field(default_factory=dict)


def receipt(
    entry: Entry, lease: Lease | None, state: State, measured: Measured, now: Date
) -> bytes:
    """The receipt of a job that ends with ``state``, with all that its lease and run tell."""
    runs = lease.attempts_with(state.outcome, now) if lease else ()
    document: dict[str, Any] = {
        "uuid": entry.uuid,
        "api": entry.api,
        "status": state.status,
        "failure": state.failure.document() if state.failure else None,
        "request_date": entry.request_date.text,
        "started_date": lease.claimed.text if lease else None,
        "finished_date": (state.finished or now).text,
        "attempt": lease.attempt if lease else None,
        "attempts": [run.document() for run in runs] or None,
        "worker": lease.worker if lease else None,
        "run_ms": measured.run_ms if lease else None,
        "exit_code": measured.exit_code if lease else None,
        "sha256": measured.sha256 or None if lease else None,
    }
    return content_of(document)


@dataclass(frozen=True)
class Receipt:
    """What is needed of ``receipt/{uuid}.json``."""

    state: State
    worker: str | None
    attempt: int | None
    #: SHA-256 of the response, where whoever ended the job noted it.
    response_sha256: str | None

    @classmethod
    def read(cls, content: bytes, uuid: str) -> Receipt:
        """Reads the file's content; raises Unreadable where it is not this job's, or no end."""
        fields = document_of(content)
        status = fields.get("status")
        if fields.get("uuid") != uuid or status not in STATUSES or status not in FINAL:
            raise Unreadable("it states no end of this job")
        failure = Failure.read(fields.get("failure"))
        state = State(status, finished=_date(fields, "finished_date"), failure=failure)
        digests = fields.get("sha256")
        response = digests.get("response") if isinstance(digests, dict) else None
        return cls(state, fields.get("worker"), fields.get("attempt"), response)


def progress(percent: float | None, message: str | None, attempt: int, now: Date) -> bytes:
    """The content of ``progress/{uuid}.json``."""
    document: dict[str, Any] = {
        "percent": None if percent is None else min(max(float(percent), 0.0), 100.0),
        "message": None if message is None else message[:PROGRESS_MESSAGE_LIMIT],
        "attempt": attempt,
        "updated_date": now.text,
    }
    return content_of(document)


def content_of(document: dict[str, Any]) -> bytes:
    known = {name: value for name, value in document.items() if value is not None}
    # What came from outside may hold half a surrogate pair, which no file can.
    return _json.dumps(known).encode("utf-8", "replace")


def document_of(content: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(content.decode("utf-8")))
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable("it is no object")
    return value


def _count(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value < 2**32:
        raise Unreadable(f"its {name} is no count")
    return value


def _date(fields: dict[str, Any], name: str) -> Date:
    date = _dates.parse(fields.get(name))
    if date is None:
        raise Unreadable(f"its {name} is no RFC 3339 date")
    return date


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Unreadable(f"its {name} is no text")
    return value


def _worker(fields: dict[str, Any]) -> str:
    worker = _text(fields, "worker")
    if not _names.is_worker(worker):
        raise Unreadable("its worker is no worker's name")
    return worker
