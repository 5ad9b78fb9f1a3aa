"""The HTTP API as a Python program and a notebook use it."""

from __future__ import annotations

import os
import uuid as uuids
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from . import _names, _request, _submit
from ._http import DEFAULT_URL, Server
from ._seen import Seen
from ._state import STATUSES
from .job_handle import JobHandle

#: Jobs on a page where the caller wants all; the server sends 1000 at most.
_PAGE = 100
_PAGE_MOST = 1000


class Client:
    """An API server of bcrlapi::

        job = Client().submit("add", num1=12, num2=23)
        print(job.result())

    Threads may share it: each request has a connection of its own. The proxies of the environment
    (``http_proxy``, ``https_proxy``, ``no_proxy``) are used, redirects are not followed. For a
    certificate that the system does not know, ``SSL_CERT_FILE`` names a file that it is in.
    """

    def __init__(self, url: str | None = None, *, timeout: float = 30.0) -> None:
        """Connects to nothing yet. ``url`` is the server's address, by default what ``BCRL_URL``
        holds, else ``http://127.0.0.1:8080``; a name and a password for a proxy in front of it may
        stand in it. ``timeout`` is the longest silence of the server that is borne, in seconds; it
        does not limit how long a job may take. Raises ValueError where the address is none."""
        self._server = Server(url or os.environ.get("BCRL_URL") or DEFAULT_URL, timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def url(self) -> str:
        """The server's address, without a password."""
        return self._server.url

    def apis(self) -> list[dict[str, Any]]:
        """The APIs on offer, by name, each as the server tells it: ``name``, ``label``,
        ``description``, ``routes``, ``schema``, ``example``, ``timeout_s``. What an API does not
        have is absent."""
        with self._server.ask("GET", "/api/v1/apis") as answer:
            page = answer.json()
            apis = page.get("apis") if isinstance(page, dict) else None
            if not isinstance(apis, list):
                raise answer.foreign("what came is no list of APIs")
            return apis

    def submit(
        self, api: str, request: Any = None, *, webhook: str | None = None, **fields: Any
    ) -> JobHandle:
        """Submits a job, which waits or runs when this returns.

        The body is ``request``, a dict or anything else that JSON knows, with ``fields`` over it;
        ``{}`` without both. What knows itself as a list (``tolist``: NumPy's arrays and numbers) is
        sent as one. Fields that are called ``self``, ``api``, ``request`` or ``webhook`` can stand
        in ``request`` only. ``webhook`` is a URL that the server tells when the job has ended.

        Raises InvalidRequest before anything is sent, with the place of what JSON does not know,
        such as NaN; Problem where the server refuses; Unreachable where no connection came about.
        Where nothing can have come of it, it is sent three times in all. SubmissionUndecided says
        that the job may have been taken.
        """
        body = _request.encode(request, fields)
        return JobHandle(self._server, _submit.submit(self._server, api, body, webhook))

    def job(self, uuid: str | uuids.UUID) -> JobHandle:
        """The job of this id. Raises Problem ``not-found`` or ``job-expired`` where there is none,
        ValueError where it is no id."""
        path = f"/api/v1/jobs/{_names.job_id(str(uuid).lower())}"
        with self._server.ask("GET", path) as answer:
            return JobHandle(self._server, Seen.read(answer))

    def jobs(
        self,
        *,
        status: str | None = None,
        api: str | None = None,
        from_: str | datetime | None = None,
        to: str | datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[JobHandle]:
        """The jobs, newest first; pages are fetched as they are needed.

        Only those with this status, of this API, submitted at ``from_`` or later, and before
        ``to``; dates are RFC 3339, or a ``datetime``, which is local time where it has no zone. At
        most ``limit``; by default all. A list tells less of a job than ``JobHandle.refresh`` does.
        """
        if status is not None and status not in STATUSES:
            raise ValueError(f"{status!r} is no status: one of {', '.join(STATUSES)} is due")
        if limit is not None and limit < 1:
            raise ValueError(f"a limit of at least 1 is due, not {limit}")
        wanted = {
            "status": status,
            "api": None if api is None else _names.api_name(api),
            "from": _date(from_),
            "to": _date(to),
        }
        query = {name: value for name, value in wanted.items() if value is not None}
        return self._jobs(query, limit)

    def _jobs(self, query: dict[str, str], limit: int | None) -> Iterator[JobHandle]:
        left, cursor = limit, ""
        while left is None or left > 0:
            page = {**query, "limit": str(_PAGE if left is None else min(left, _PAGE_MOST))}
            if cursor:
                page["cursor"] = cursor
            found, next_cursor = self._page(page)
            for seen in found[:left]:
                yield JobHandle(self._server, seen)
            left = None if left is None else left - len(found)
            if not next_cursor or next_cursor == cursor:
                return
            cursor = next_cursor

    def _page(self, query: dict[str, str]) -> tuple[list[Seen], str]:
        """One page and where the next one begins; empty at the end."""
        with self._server.ask("GET", f"/api/v1/jobs?{urlencode(query)}") as answer:
            page = answer.json()
            jobs = page.get("jobs") if isinstance(page, dict) else None
            if not isinstance(jobs, list):
                raise answer.foreign("what came is no list of jobs")
            following = page.get("next")
            seen = [Seen.listed(answer, details) for details in jobs]
            return seen, following if isinstance(following, str) else ""


def _date(date: str | datetime | None) -> str | None:
    if isinstance(date, datetime):
        return (date if date.tzinfo else date.astimezone()).isoformat()
    return date
