"""A job on the API server, as its client holds it."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any, Callable

from . import _download
from ._follow import Follower
from ._http import Server
from ._line import Line
from ._seen import Seen
from ._state import DONE
from .errors import ForeignAnswer, NoResult

log = logging.getLogger("bcrl")


class JobHandle:
    """One job on the API server; ``Client.submit``, ``Client.job`` and ``Client.jobs`` make them.

    What it says of the job is what the server told last: ``refresh`` and ``wait`` ask anew. Threads
    may share it. All of its methods raise ClientError where the server is out of reach, refuses, or
    no longer keeps the job.
    """

    def __init__(self, server: Server, seen: Seen) -> None:
        self._server = server
        self._seen = seen
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.api} {self.uuid}: {self._seen.brief()}>"

    @property
    def uuid(self) -> str:
        """The job's id."""
        return self._seen.uuid

    @property
    def api(self) -> str:
        """Its API's name."""
        return self._seen.api

    @property
    def status(self) -> str:
        """``pending``, ``processing``, ``done``, ``failed`` or ``canceled``, as last told."""
        return self._seen.status

    @property
    def is_final(self) -> bool:
        """Whether it has ended: it is ``done``, ``failed`` or ``canceled``."""
        return self._seen.is_final

    @property
    def progress(self) -> dict[str, Any] | None:
        """How far its script is: ``percent`` from 0 to 100, ``message``; None where nobody knows.
        Each of the two may be absent."""
        return self._seen.object("progress")

    @property
    def failure(self) -> dict[str, Any] | None:
        """Why it failed: ``reason``, ``message`` and, where its script exited by itself,
        ``exit_code``; None where it has not failed."""
        return self._seen.object("failure")

    @property
    def details(self) -> dict[str, Any]:
        """All that the server told last: its JSON of the job, with dates, worker, place in the
        queue. What is unknown or does not apply is absent."""
        return self._seen.details

    def refresh(self) -> JobHandle:
        """Asks how the job stands now; returns this handle."""
        with self._server.ask("GET", self._path) as answer:
            self._take(Seen.read(answer))
        return self

    def wait(
        self,
        timeout: float | None = None,
        *,
        progress: bool | Callable[[JobHandle], object] | None = True,
    ) -> JobHandle:
        """Waits until the job has ended, however it ends; returns this handle, at once where it has
        ended already.

        ``timeout`` is in seconds; None waits as long as it takes, and gives up only after two
        minutes in which the server was out of reach or in trouble. ``progress``: with True a line
        on stderr shows how far it is, in a terminal and in a notebook; a function is called with
        this handle at the beginning and at each change, in the waiting thread, and what it raises
        ends the waiting; False and None show nothing.

        Raises GaveUp (a TimeoutError) when the time is over. The job goes on then, as it does after
        Ctrl-C.
        """
        if self.is_final:
            return self
        line = Line.here() if progress is True else None
        call = progress if callable(progress) else None

        def show() -> None:
            if line is not None and not self.is_final:
                line.show(f"{self.api}: {self._seen.brief()}")
            if call is not None:
                call(self)

        def told(seen: Seen) -> None:
            self._take(seen)
            show()

        def warn(trouble: str) -> None:
            if line is not None:
                line.clear()
            log.warning("%s", trouble)

        follower = Follower(
            self._server,
            self._seen,
            told,
            warn,
            timeout=timeout,
            is_watched=line is not None or call is not None,
        )
        try:
            show()
            follower.until_final()
        except BaseException as error:
            if line is not None and isinstance(error, KeyboardInterrupt):
                line.end(f"job {self.uuid} goes on; Client.job('{self.uuid}').wait() waits for it")
            elif line is not None:
                line.clear()
            raise
        if line is not None:
            line.end(f"{self.api} {self.uuid} {self._seen.brief()}")
        return self

    def result(
        self,
        timeout: float | None = None,
        *,
        progress: bool | Callable[[JobHandle], object] | None = True,
        parse_float: Callable[[str], Any] | None = None,
    ) -> Any:
        """The result as Python values; waits for it as ``wait`` does.

        Integers are exact. ``parse_float`` makes something else of the other numbers than ``float``
        does; ``decimal.Decimal`` keeps all their digits. Where the connection breaks, the rest is
        fetched; trouble with that is borne for two minutes, and no longer than ``timeout``.

        Raises GaveUp as ``wait`` does, and NoResult where the job failed or was canceled.
        """
        body = self.result_bytes(timeout, progress=progress)
        try:
            return json.loads(body, parse_float=parse_float)
        except (ValueError, RecursionError) as error:
            what = f"the result of job {self.uuid} is no JSON: {error}"
            raise ForeignAnswer(self._server.url, what) from None

    def result_bytes(
        self,
        timeout: float | None = None,
        *,
        progress: bool | Callable[[JobHandle], object] | None = True,
    ) -> bytes:
        """The same to the letter, as the job's script printed it."""
        self._wait_for_result(timeout, progress)
        sink = io.BytesIO()
        _download.Download(self._server, f"{self._path}/result", sink, timeout).run()
        return sink.getvalue()

    def save(
        self,
        path: str | os.PathLike[str],
        timeout: float | None = None,
        *,
        progress: bool | Callable[[JobHandle], object] | None = True,
    ) -> Path:
        """The same into a file, whose path is returned; its size costs no memory.

        The file is there whole or not at all, and replaces one of this name. Raises OSError where
        it cannot be written.
        """
        self._wait_for_result(timeout, progress)
        return _download.save(self._server, f"{self._path}/result", path, timeout)

    def log(self) -> str:
        """What the job's script wrote to stderr so far; bytes that are no UTF-8 are replaced."""
        with self._server.ask("GET", f"{self._path}/log") as answer:
            return answer.whole().decode("utf-8", "replace")

    def cancel(self) -> JobHandle:
        """Asks for the job's end; returns this handle.

        A job that waits is ``canceled`` at once. One that runs shows ``cancel_requested`` among its
        ``details``, and ``wait`` waits for its end. Raises Problem ``job-final`` where it has ended
        already.
        """
        with self._server.ask("DELETE", self._path) as answer:
            self._take(Seen.read(answer))
        return self

    @property
    def _path(self) -> str:
        return f"/api/v1/jobs/{self.uuid}"

    def _take(self, seen: Seen) -> None:
        """Keeps what the server told."""
        with self._lock:
            # Another thread may have heard of the end while this answer was on its way.
            if seen.is_final or not self._seen.is_final:
                self._seen = seen

    def _wait_for_result(
        self, timeout: float | None, progress: bool | Callable[[JobHandle], object] | None
    ) -> None:
        self.wait(timeout, progress=progress)
        if self.status != DONE:
            raise NoResult(self.details)
