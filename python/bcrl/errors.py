"""What can go wrong, by what a caller can do about it.

``FolderError`` is all trouble with the shared folder, ``ClientError`` all trouble with the API
server over HTTP. Trouble of the operating system (a full disk, a missing permission) comes as the
usual ``OSError`` with the path of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ._plain import plain, plain_lines


class FolderError(Exception):
    """Trouble with the shared folder or with a job in it; the base of all others."""


class NotAFolder(FolderError):
    """There is no shared folder at this path. Look at the path and at the mount."""


class Busy(FolderError):
    """Somebody else held the lock for the whole time that a caller waits. Try again."""


class IndexDamaged(FolderError):
    """``request/status.json`` cannot be read. Nothing was changed; a service mends it."""


class InvalidResult(FolderError, ValueError):
    """What was to be published is not one JSON document, or too large. Nothing was published."""


class InvalidEdit(FolderError, ValueError):
    """A change by hand would break a rule of the folder. Nothing was changed."""


class JobOver(FolderError):
    """The work on this job is to end; see the two kinds of it."""

    def __init__(self, uuid: str, message: str) -> None:
        super().__init__(message)
        #: The job's id.
        self.uuid = uuid


class JobCanceled(JobOver):
    """A client wants this job to end."""


class JobLost(JobOver):
    """The job is no longer this run's: it was taken over, or ended by somebody else."""


class ClientError(Exception):
    """Trouble with the API server, or with a job there; the base of all that the client raises."""


class InvalidRequest(ClientError, ValueError):
    """What was to be submitted cannot be written as JSON. Nothing was sent."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"the request at {pointer}: {detail}" if pointer else detail)
        #: JSON Pointer (RFC 6901) to the part that is at fault; empty for all of it.
        self.pointer = pointer


class Unreachable(ClientError):
    """No connection to the API server came about. Nothing was sent."""

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(
            f"no connection to {url}: {cause}\n"
            "is the server running? scripts/up starts one; BCRL_URL or Client(url) says where it is"
        )


class ConnectionLost(ClientError):
    """The API server went away or fell silent in the middle. Asking again may help."""

    def __init__(self, url: str, cause: str, *, silent: bool = False) -> None:
        super().__init__(f"the connection to {url} was lost: {cause}")
        #: Whether it was given up after a long silence, rather than broken.
        self.silent = silent


class SubmissionUndecided(ClientError):
    """A job was sent, and what came back does not say whether it was taken: twice sent may be two
    jobs. ``__cause__`` is what came back."""

    def __init__(self, cause: ClientError) -> None:
        super().__init__(
            f"{cause}\nthe job may have been taken: look with Client.jobs() before you submit again"
        )


class ForeignAnswer(ClientError):
    """What answers at the address is no bcrlapi, or something in between changes its answers."""

    def __init__(self, url: str, what: str) -> None:
        super().__init__(
            f"{url} does not answer as bcrlapi does: {plain(what)}\n"
            "is BCRL_URL or Client(url) right?"
        )


class Problem(ClientError):
    """The API server refused a request, or is in trouble, and says why (RFC 9457)."""

    def __init__(
        self,
        asked: str,
        status: int,
        document: Mapping[str, Any],
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        #: The request: its method and URL.
        self.asked = asked
        #: The HTTP status.
        self.status = status
        #: ``/problems/{name}``; ``about:blank`` where no problem document came.
        self.type = _text(document, "type") or "about:blank"
        #: The kind of problem in words.
        self.title = _text(document, "title") or _phrase(status)
        #: What is wrong with this request.
        self.detail = _text(document, "detail")
        #: The request's id, which the server's log has too.
        self.instance = _text(document, "instance")
        #: What is wrong with which part of the request: ``pointer`` (a JSON Pointer, RFC 6901;
        #: empty for all of it) and ``detail`` of each.
        self.errors = _pointed(document.get("errors"))
        #: Why the job failed, where it is about a failed job: ``reason``, ``message``,
        #: ``exit_code``.
        self.failure = _object(document.get("failure"))
        #: Seconds after which it makes sense to ask again, where the server says so.
        self.retry_after = retry_after
        super().__init__(self._in_words(hint or self._hint()))

    @property
    def name(self) -> str:
        """The last part of its type, such as ``queue-full``; empty where no document came."""
        return "" if self.type == "about:blank" else self.type.rpartition("/")[2]

    @property
    def may_pass(self) -> bool:
        """Whether it may be over by itself, so that the same request may succeed later."""
        if self.name == "result-corrupt":
            return False
        return self.status in (408, 429) or self.status >= 500

    def _in_words(self, hint: str) -> str:
        said = self.detail or self.title or "the server does not say what"
        lines = [f"{plain_lines(said)} ({self.status} {plain(self.name)}".rstrip()]
        lines[0] += f" at {plain(self.asked)})"
        for error in self.errors:
            lines.append(f"  {plain(error['pointer']) or 'the request'}: {plain(error['detail'])}")
        if self.failure is not None:
            lines.append(f"  {failure_in_words(self.failure)}")
        return "\n".join([*lines, hint] if hint else lines)

    def _hint(self) -> str:
        """What to do about it, where something can be done."""
        known = _HINTS.get(self.name) or _HINTS.get(str(self.status))
        if known is not None:
            return known
        if self.retry_after:
            return f"try again in {self.retry_after:g} s"
        if self.status == 500 and self.instance:
            return f"an operator finds more in the server's log, by {plain(self.instance)}"
        return ""


#: What to do about a problem, by the last part of its type or by its status.
_HINTS = {
    "401": "where a proxy asks for a name and a password: Client('https://name:password@host')",
    "job-expired": "jobs are kept for some days only, 7 unless set otherwise",
    "no-app-server": "no worker has offered an API yet: start bcrl-worker, or all with scripts/up",
    "result-corrupt": "submit the job again, and tell an operator",
    "validation-failed": "Client.apis() shows what it takes: schema and example",
}


class NoResult(ClientError):
    """A job has ended without a result: it failed, or it was canceled."""

    def __init__(self, details: Mapping[str, Any]) -> None:
        #: The job's id.
        self.uuid = str(details["uuid"])
        #: ``failed`` or ``canceled``.
        self.status = str(details["status"])
        #: Why it failed: ``reason``, ``message``, ``exit_code``. None where it was canceled.
        self.failure = _object(details.get("failure"))
        words = f"{plain(str(details.get('api', 'job')))} {self.uuid} {plain(self.status)}"
        if self.failure is not None:
            words += f": {failure_in_words(self.failure)}"
        if self.status == "failed":
            words += "\nwhat its script wrote to stderr: JobHandle.log()"
        super().__init__(words)


class GaveUp(ClientError, TimeoutError):
    """A job had not ended when the time for waiting was over, or the server was in trouble for too
    long; then ``__cause__`` says which. The job goes on."""

    def __init__(self, uuid: str, why: str) -> None:
        super().__init__(
            f"gave up waiting for job {uuid}: {why}\n"
            f"the job goes on; Client.job('{uuid}').wait() waits for it again"
        )
        #: The job's id.
        self.uuid = uuid


def failure_in_words(failure: Mapping[str, Any]) -> str:
    """Why a job failed; the message of its script may have several lines."""
    reason, message = _text(failure, "reason") or "unknown reason", _text(failure, "message")
    return plain_lines(f"{reason}: {message}" if message else reason)


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _pointed(value: Any) -> list[dict[str, str]]:
    errors = value if isinstance(value, list) else []
    known = (error for error in errors if isinstance(error, dict))
    return [{name: _text(error, name) for name in ("pointer", "detail")} for error in known]
