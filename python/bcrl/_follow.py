"""Waiting for a job: the server is asked as seldom as it allows and as often as it needs.

Each question says which state of the job is known (``If-None-Match``) and asks the server to hold
its answer back until there is another one (``Prefer: wait``, RFC 7240). A server that does not know
this answers at once; then its ``Retry-After`` counts.
"""

from __future__ import annotations

from time import monotonic
from typing import Callable

from ._http import Answer, Server
from ._pauses import LONGEST, TROUBLE, Trouble, may_pass, rest
from ._seen import Seen
from ._state import PENDING
from .errors import ClientError, ConnectionLost, GaveUp, Problem

#: How long the server is asked to hold its answer back, in whole seconds.
_PATIENCE = 25
#: The same while somebody looks at a place in the queue: moving up is no change of the job.
_PATIENCE_IN_QUEUE = 5
#: An answer that comes sooner than this with nothing new was not held back.
_AT_ONCE = 1.0
#: Least time from one question to the next, whatever the server says.
_FLOOR = 0.1
#: The same where the server answers at once and does not say when to ask again.
_USUAL = 1.0
#: Least time that is left to an answer when the time for waiting is nearly over.
_LAST_LOOK = 1.0


class Follower:
    """Asks about one job until it has ended."""

    def __init__(
        self,
        server: Server,
        seen: Seen,
        told: Callable[[Seen], None],
        warn: Callable[[str], None],
        *,
        timeout: float | None,
        is_watched: bool,
    ) -> None:
        """``told`` is called with each change, the end included; what it raises ends the waiting.
        ``warn`` tells a person of trouble that may pass. ``is_watched``: somebody looks at the
        place in the queue."""
        self._server = server
        self._path = f"/api/v1/jobs/{seen.uuid}"
        self._seen = seen
        self._told = told
        self._warn = warn
        self._timeout = timeout
        self._end = None if timeout is None else monotonic() + max(0.0, timeout)
        self._is_watched = is_watched
        #: The state that need not be told again; empty to be told the present one in any case.
        self._tag = seen.tag
        #: Whether the next answer is to come at once: the last question met with trouble, and
        #: holding answers back may be the reason.
        self._is_plain = False

    def until_final(self) -> None:
        """Returns when the job has ended.

        Raises GaveUp when the time is over, or after two minutes of nothing but trouble where no
        time was set; what the server refuses, at once.
        """
        trouble = Trouble(TROUBLE if self._end is None else None, self._warn)
        while not self._seen.is_final:
            asked, known = monotonic(), self._seen
            try:
                next_due = asked + self._ask()
            except ClientError as error:
                if not may_pass(error):
                    raise
                self._stop_at_end(error)
                next_due = monotonic() + self._bear(error, trouble)
            else:
                trouble.is_over()
                if self._seen.details != known.details:
                    self._told(self._seen)
                if self._seen.is_final:
                    return
                self._stop_at_end(None)
            rest((next_due if self._end is None else min(next_due, self._end)) - monotonic())

    def _ask(self) -> float:
        """Asks once; how long after the question the next one may follow, in seconds."""
        patience = self._patience()
        headers = {"If-None-Match": self._tag} if self._tag else {}
        if patience:
            headers["Prefer"] = f"wait={patience}"
        asked = monotonic()
        silence = self._silence(patience)
        with self._server.ask("GET", self._path, headers=headers, timeout=silence) as answer:
            took = monotonic() - asked
            is_new = answer.status != 304
            if is_new:
                self._seen = Seen.read(answer)
                self._tag = self._seen.tag
            elif self._is_watched and self._seen.status == PENDING:
                # To be told the place in the queue as well.
                self._tag = ""
            self._is_plain = False
            return _until_next(answer, self._seen, took, is_new, bool(headers))

    def _bear(self, error: ClientError, trouble: Trouble) -> float:
        """How long to wait after trouble before the next question; raises where it has lasted too
        long."""
        was_plain, self._is_plain = self._is_plain, True
        if isinstance(error, Problem) and error.status == 429 and not was_plain:
            # Too many wait already, which is no trouble for one who need not be held back.
            return min(max(error.retry_after or 0.0, _USUAL), LONGEST)
        pause = trouble.pause(error)
        if pause is None:
            raise GaveUp(self._seen.uuid, str(error)) from error
        return pause

    def _stop_at_end(self, error: ClientError | None) -> None:
        """Raises GaveUp where the time is over; ``error`` is what came of the last question."""
        left = self._left()
        if left is None or left > 0:
            return
        # An answer that was still to come when the time was over is no trouble.
        if error is None or (isinstance(error, ConnectionLost) and error.silent):
            standing = f"after {self._timeout:g} s it is {self._seen.brief()}"
            raise GaveUp(self._seen.uuid, standing)
        raise GaveUp(self._seen.uuid, str(error)) from error

    def _patience(self) -> int:
        """How long the server may hold its answer back; 0 where it may not."""
        if not self._tag or self._is_plain:
            return 0
        in_queue = self._is_watched and self._seen.status == PENDING
        patience = _PATIENCE_IN_QUEUE if in_queue else _PATIENCE
        left = self._left()
        return patience if left is None else int(min(patience, max(0.0, left)))

    def _silence(self, patience: int) -> float:
        """How long the server may be silent, in seconds."""
        silence = patience + self._server.timeout
        left = self._left()
        if left is None:
            return silence
        return min(silence, max(left, min(_LAST_LOOK, self._server.timeout)))

    def _left(self) -> float | None:
        return None if self._end is None else self._end - monotonic()


def _until_next(answer: Answer, seen: Seen, took: float, is_new: bool, was_tagged: bool) -> float:
    """How long after a question the next one may follow, by what came of it."""
    if is_new and seen.tag and not was_tagged:
        # It was asked to be told at once; the next question can be held back.
        return _FLOOR
    knows_waiting = "wait" in answer.header("Preference-Applied").lower()
    if took >= _AT_ONCE or (is_new and knows_waiting):
        return _FLOOR
    said = answer.retry_after if answer.retry_after is not None else seen.retry_after
    return min(max(_USUAL if said is None else said, _FLOOR), LONGEST)
