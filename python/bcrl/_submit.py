"""Handing a job in: once, and again under the same key where no answer came."""

from __future__ import annotations

import difflib
import logging
import uuid
from urllib.parse import urlencode

from . import _names
from ._http import Server
from ._pauses import LONGEST, Pauses, first_line, rest
from ._seen import Seen
from .errors import ClientError, ConnectionLost, Problem, SubmissionUndecided, Unreachable

log = logging.getLogger("bcrl")

#: How often a submission is tried at most.
_TRIES = 3


def submit(server: Server, api: str, body: bytes, webhook: str | None = None) -> Seen:
    """Submits a job, of whose end the webhook is told. Raises SubmissionUndecided where it may have
    been taken all the same."""
    path = f"/api/v1/jobs/{_names.api_name(api)}"
    if webhook is not None:
        path = f"{path}?{urlencode({'webhook': webhook})}"
    headers = {
        "Content-Type": "application/json",
        # The same each time that this submission is tried, and of no other one.
        "Idempotency-Key": f'"{uuid.uuid4()}"',
    }
    pauses = Pauses(0.2, 1.0)
    for tried in range(1, _TRIES + 1):
        try:
            return _send(server, path, headers, body)
        except ClientError as error:
            pause = pause_before_next_try(error, pauses.step())
            if pause is None or tried == _TRIES:
                _tell(error, server, api)
                raise
            log.warning("%s; trying again in %g s", first_line(error), pause)
        rest(pause)
    raise AssertionError("the last try returns or raises")


def pause_before_next_try(error: ClientError, usual: float) -> float | None:
    """Seconds to wait before a submission is sent again; None where it must not be, or not so soon.

    The one place that decides it. Sent again is what did not come about (no connection, or the
    server is busy: 429, 503), and what may have been taken although no answer came: by the
    Idempotency-Key the server knows it for the same.
    """
    if isinstance(error, Unreachable) or is_undecided(error):
        return usual
    if isinstance(error, Problem) and error.status in (429, 503):
        pause = max(error.retry_after or 0.0, usual)
        return pause if pause <= LONGEST else None
    return None


def is_undecided(error: ClientError) -> bool:
    """Whether the server may have taken the job although this came of it: the connection broke, the
    server broke off in the middle, or a proxy did not get its answer.
    """
    if isinstance(error, Problem):
        return error.status in (500, 502, 504)
    return isinstance(error, ConnectionLost)


def _send(server: Server, path: str, headers: dict[str, str], body: bytes) -> Seen:
    try:
        with server.ask("POST", path, body=body, headers=headers) as answer:
            return Seen.read(answer)
    except KeyboardInterrupt:
        log.warning("the job may have been taken: look with Client.jobs() before you submit again")
        raise


def _tell(error: ClientError, server: Server, api: str) -> None:
    """Raises something that says more than the error does, where there is more to say."""
    if is_undecided(error):
        raise SubmissionUndecided(error) from error
    if isinstance(error, Problem) and error.status == 404:
        raise _with_names(error, server, api) from None


def _with_names(error: Problem, server: Server, api: str) -> Problem:
    """That there is no such API, with the names that may have been meant."""
    try:
        with server.ask("GET", "/api/v1/apis") as answer:
            names = [str(known["name"]) for known in answer.json()["apis"]]
    except (ClientError, KeyError, TypeError):
        return error
    if api in names:
        return error
    close = difflib.get_close_matches(api, names) or names
    hint = f"there is: {', '.join(close)}" if close else "no worker offers any API at the moment"
    document = {"type": error.type, "title": error.title, "detail": f"there is no API {api}"}
    return Problem(error.asked, error.status, {**document, "instance": error.instance}, hint=hint)
