"""The names of things: job, API, worker, and the token that fences a run.

Each becomes a file's name or part of one, so each is checked where it enters.
"""

from __future__ import annotations

import os
import re
import secrets
import uuid
from typing import Any

_JOB = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_API = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
_WORKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_TOKEN = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)

#: Longest name of a worker, without the part that is new at each start.
WORKER_NAME_LIMIT = 63


def is_job(value: str) -> bool:
    """Whether this is a job's id: a UUID in lower case."""
    return _JOB.fullmatch(value) is not None


def is_api(value: str) -> bool:
    """Whether this can be an API's name."""
    return _API.fullmatch(value) is not None


def is_worker(value: str) -> bool:
    """Whether this can be a worker's id."""
    return _WORKER.fullmatch(value) is not None


def token_of(value: Any) -> str | None:
    """The token that a text stands for; None where it is no token."""
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return value.lower()
    return None


def job_id(value: str) -> str:
    """The same id, once it is known to be one; raises ValueError."""
    if not is_job(value):
        raise ValueError(f"{value!r} is no job id: a UUID in lower case, 8-4-4-4-12, is due")
    return value


def api_name(value: str) -> str:
    """The same name, once it is known to be one; raises ValueError."""
    if not is_api(value):
        raise ValueError(
            f"{value!r} is no API name: a lower-case letter, then at most 62 of a-z, 0-9, _ and -, "
            "are due"
        )
    return value


def token(value: str) -> str:
    """The token in its usual spelling; raises ValueError."""
    found = token_of(value)
    if found is None:
        raise ValueError(f"{value!r} is no token: 32 hexadecimal digits are due")
    return found


def new_token() -> str:
    """A new run's token: 128 random bits."""
    return secrets.token_hex(16)


def new_worker_id(name: str) -> str:
    """The id of the worker of this name as of a start now; raises ValueError."""
    worker = f"{name}-{uuid.uuid4()}"
    if len(name) > WORKER_NAME_LIMIT or not is_worker(worker):
        raise ValueError(
            f"{name!r} is no worker name: 1 to 63 letters, digits, '.', '_' or '-', beginning with "
            "a letter or digit, are due"
        )
    return worker


def host_name() -> str:
    """The host's name, as far as it can stand in a file's name."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", os.uname().nodename)[:WORKER_NAME_LIMIT]
    return re.sub(r"^[^A-Za-z0-9]+", "", plain) or "worker"
