"""Pauses between two tries, and how long trouble is borne."""

from __future__ import annotations

import logging
from time import monotonic, sleep
from typing import Callable

from .errors import ClientError, ConnectionLost, Problem, Unreachable

log = logging.getLogger("bcrl")

#: How long nothing but trouble is borne where nobody set another time, in seconds.
TROUBLE = 120.0
#: Longest time that a server may ask us to stay away and be obeyed; in seconds.
LONGEST = 60.0


class Pauses:
    """Pauses in seconds, each twice as long as the one before, up to a longest."""

    def __init__(self, shortest: float, longest: float) -> None:
        self._next = shortest
        self._longest = longest

    def step(self) -> float:
        """How long the next pause is; the one after it is longer."""
        pause = self._next
        self._next = min(pause * 2, self._longest)
        return pause


class Trouble:
    """Failures in a row, each of which may pass by itself."""

    def __init__(self, limit: float | None, warn: Callable[[str], object] = log.warning) -> None:
        """``limit`` is how many seconds they are borne; None: somebody else looks after that.
        ``warn`` tells a person of the first one."""
        self._limit = limit
        self._warn = warn
        self.is_over()

    def is_over(self) -> None:
        """Told after a success."""
        self._since: float | None = None
        self._pauses = Pauses(0.2, 5.0)

    def pause(self, error: ClientError) -> float | None:
        """Seconds to wait before the next try; None where there is to be none."""
        if not may_pass(error):
            return None
        since = monotonic() if self._since is None else self._since
        if self._limit is not None and monotonic() - since >= self._limit:
            return None
        if self._since is None:
            self._warn(f"{first_line(error)}; trying again")
        self._since = since
        due = error.retry_after if isinstance(error, Problem) else None
        return min(max(self._pauses.step(), due or 0.0), LONGEST)


def first_line(error: ClientError) -> str:
    """What happened, without what to do about it."""
    return str(error).partition("\n")[0]


def may_pass(error: ClientError) -> bool:
    """Whether whoever only looks may ask again."""
    if isinstance(error, Problem):
        return error.may_pass
    return isinstance(error, (Unreachable, ConnectionLost))


def rest(seconds: float) -> None:
    """Waits so long; the one place where the client sleeps."""
    if seconds > 0:
        sleep(seconds)
