"""What may happen to a job: its status, what belongs to each status, and why a job fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._dates import Date

PENDING = "pending"
PROCESSING = "processing"
DONE = "done"
FAILED = "failed"
CANCELED = "canceled"

STATUSES = (PENDING, PROCESSING, DONE, FAILED, CANCELED)
FINAL = frozenset((DONE, FAILED, CANCELED))

#: The reasons that the services know; a receipt with another one is no receipt.
REASONS = (
    "exit_code",
    "signal",
    "timeout",
    "invalid_output",
    "output_too_large",
    "memory",
    "no_result",
    "spawn_error",
    "worker_lost",
    "request_missing",
    "result_missing",
    "invalid_request",
    "api_gone",
)

#: Longest message of a failure, in characters.
MESSAGE_LIMIT = 4096
#: So many characters of it stand in the index; the receipt has all of it.
BRIEF = 300


@dataclass(frozen=True)
class Failure:
    """Why a job failed, for programs (``reason``) and for people (``message``)."""

    reason: str
    message: str
    exit_code: int | None = None

    @classmethod
    def of(cls, reason: str, message: str, exit_code: int | None = None) -> Failure:
        """A failure, its message cut and made writeable; raises ValueError for another reason."""
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is no reason: one of {', '.join(REASONS)} is due")
        message = message.encode("utf-8", "replace").decode("utf-8")
        return cls(reason, message[:MESSAGE_LIMIT], exit_code)

    @classmethod
    def read(cls, value: Any) -> Failure | None:
        """The failure that a JSON value stands for; None where it is something else."""
        if not isinstance(value, dict):
            return None
        reason, message, code = (value.get(name) for name in ("reason", "message", "exit_code"))
        if reason not in REASONS or not isinstance(message, str):
            return None
        if code is not None and (type(code) is not int or not -(2**31) <= code < 2**31):
            return None
        return cls(reason, message, code)

    def in_brief(self) -> Failure:
        """The same with no more than the beginning of its message, for the index."""
        if len(self.message) <= BRIEF:
            return self
        return Failure(self.reason, f"{self.message[:BRIEF]}…", self.exit_code)

    def document(self) -> dict[str, Any]:
        """As it stands in files."""
        document: dict[str, Any] = {"reason": self.reason, "message": self.message}
        if self.exit_code is not None:
            document["exit_code"] = self.exit_code
        return document


@dataclass(frozen=True)
class State:
    """A status with what belongs to it in the index."""

    status: str
    #: The run's; only while processing, and absent where somebody claimed the job by hand.
    token: str | None = None
    #: When the job ended.
    finished: Date | None = None
    failure: Failure | None = None

    @property
    def outcome(self) -> str:
        """How the run that led here ended, for the history of runs."""
        return self.failure.reason if self.failure else self.status
