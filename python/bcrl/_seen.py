"""A job as the API server told it at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _dates, _names
from ._http import Answer
from ._plain import plain
from ._state import DONE, FAILED, FINAL, PENDING, PROCESSING
from .errors import failure_in_words


@dataclass(frozen=True)
class Seen:
    """A job at one moment; never changed, so that threads may share it."""

    #: All that the server told, as JSON has it. What is absent is unknown or does not apply.
    details: dict[str, Any]
    #: What the server calls this state of it; empty where it does not.
    tag: str = ""
    #: Seconds after which to ask again, where the server said so.
    retry_after: float | None = None

    @classmethod
    def read(cls, answer: Answer) -> Seen:
        """Reads an answer that shows a job; raises ForeignAnswer, ConnectionLost."""
        return cls(_known(answer, answer.json()), answer.tag, answer.retry_after)

    @classmethod
    def listed(cls, answer: Answer, details: Any) -> Seen:
        """One job of a list: what the queue alone tells of it."""
        return cls(_known(answer, details))

    @property
    def uuid(self) -> str:
        """The job's id."""
        return str(self.details["uuid"])

    @property
    def api(self) -> str:
        """Its API."""
        return str(self.details["api"])

    @property
    def status(self) -> str:
        """Its status; a newer server may know another one than we do."""
        return str(self.details["status"])

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL

    def object(self, name: str) -> dict[str, Any] | None:
        """A part of the details that is an object."""
        value = self.details.get(name)
        return value if isinstance(value, dict) else None

    def standing(self) -> str:
        """Where it stands, for people; the words of a failed script may have several lines."""
        words = plain(self.status)
        if self.status == PENDING:
            place = self.details.get("queue_position")
            if isinstance(place, int):
                words += ", next in the queue" if place == 1 else f", number {place} in the queue"
            run = self.details.get("attempt")
            if isinstance(run, int) and run > 0:
                words += f", to be run again (run {run} has ended)"
            words += self._expected_end()
        elif self.status == PROCESSING:
            progress = self.object("progress")
            words += f", {_progress(progress)}" if progress else self._expected_end()
        elif self.status == FAILED:
            failure = self.object("failure")
            words += f": {failure_in_words(failure)}" if failure else ""
        elif self.status == DONE:
            took = self.took()
            words += f" in {_time(took)}" if took is not None else ""
        return words

    def _expected_end(self) -> str:
        """When it will probably end, where that is known; in the zone of whoever looks."""
        finish = (self.object("estimate") or {}).get("finish")
        median = _dates.parse(finish.get("p50")) if isinstance(finish, dict) else None
        return f", to end about {median.moment.astimezone():%H:%M:%S}" if median else ""

    def brief(self) -> str:
        """The same in one line."""
        return self.standing().partition("\n")[0]

    def took(self) -> float | None:
        """Seconds from the submission to the end, where both are known."""
        dates = [_dates.parse(self.details.get(name)) for name in ("request_date", "finished_date")]
        begun, ended = dates
        if begun is None or ended is None:
            return None
        return max(0.0, (ended.moment - begun.moment).total_seconds())


def _known(answer: Answer, details: Any) -> dict[str, Any]:
    if isinstance(details, dict):
        uuid, api, status = (details.get(name) for name in ("uuid", "api", "status"))
        named = isinstance(uuid, str) and _names.is_job(uuid)
        if named and isinstance(api, str) and isinstance(status, str):
            return details
    raise answer.foreign("what came is no job")


def _progress(progress: dict[str, Any]) -> str:
    percent, message = progress.get("percent"), progress.get("message")
    parts = []
    if isinstance(percent, (int, float)):
        parts.append(f"{percent:.0f} %")
    if isinstance(message, str) and message:
        parts.append(plain(message))
    return ": ".join(parts) or "at work"


def _time(seconds: float) -> str:
    """A time that gets coarser as it gets longer."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{int(seconds * 10) / 10:.1f} s"
    minutes, whole = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {whole:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"
