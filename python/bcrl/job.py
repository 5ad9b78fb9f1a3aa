"""One claimed job: its request, its progress, its end."""

from __future__ import annotations

import errno
import logging
import math
import time
from types import TracebackType
from typing import Any, Callable

from . import _json, _life, _records
from ._beat import forget_detached
from ._dates import Date
from ._life import Claim
from ._presence import Presence
from ._records import Measured
from ._state import CANCELED, DONE, FAILED, PENDING, Failure
from ._store import RESULT_LIMIT, Store
from .errors import (
    Busy,
    FolderError,
    IndexDamaged,
    InvalidResult,
    JobCanceled,
    JobLost,
    JobOver,
)

log = logging.getLogger("bcrl")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
#: How long giving a job back may take when the process is to end.
_SHUTDOWN = 10.0
#: Trouble of a volume that may pass by itself.
_PASSING = frozenset(
    (
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOLCK,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ESTALE,
        errno.ETIMEDOUT,
    )
)


class Job:
    """A job that is ours: to be ended by exactly one of ``finish``, ``fail`` and ``give_back``.

    As a context manager it is ended in any case: with an exception it has failed, left open it has
    failed without a result, and after Ctrl-C or ``sys.exit`` it waits again. Where a client wanted
    its end it is canceled, and ``JobCanceled`` goes no further; neither does ``JobLost``.
    """

    def __init__(self, store: Store, claim: Claim, presence: Presence | None) -> None:
        self._store = store
        self._claim = claim
        self._presence = presence
        self._begun = time.monotonic()
        self._lost = False
        self._open = True
        self._ended: str | None = None
        self._trouble: Exception | None = None

    @property
    def uuid(self) -> str:
        """The job's id."""
        return self._claim.uuid

    @property
    def api(self) -> str:
        """The API that is to answer."""
        return self._claim.request.api

    @property
    def token(self) -> str:
        """The token of this run; whoever has it may end the job."""
        return self._claim.token

    @property
    def attempt(self) -> int:
        """Which run of the job this is; 1 is the first."""
        return self._claim.lease.attempt if self._claim.lease else 1

    @property
    def worker(self) -> str | None:
        """The worker that this run counts for; None where nobody knows any more."""
        return self._claim.lease.worker if self._claim.lease else None

    @property
    def request_date(self) -> str:
        """When the job was submitted, as RFC 3339."""
        return self._claim.request.request_date.text

    @property
    def body(self) -> bytes:
        """The request's body to the letter, as its client wrote it."""
        return self._claim.request.params.encode("utf-8")

    @property
    def params(self) -> Any:
        """The request's body as Python values. Numbers are ``int`` and ``float``; where every digit
        counts, take ``body``."""
        return _json.read(self._claim.request.params)

    @property
    def ended(self) -> str | None:
        """What became of the job by this run: ``done``, ``failed``, ``canceled`` or ``pending``;
        None while it is open, and where somebody else ended it."""
        return self._ended

    @property
    def is_open(self) -> bool:
        """Whether this run has not ended yet, as far as it knows."""
        return self._open

    @property
    def retried(self) -> int:
        """How many runs of this job failed by themselves and were repeated."""
        return self._claim.lease.failed if self._claim.lease else 0

    @property
    def trouble(self) -> Exception | None:
        """Why the end of this run could not be published, where it could not."""
        return self._trouble

    @property
    def cancel_requested(self) -> bool:
        """Whether a client wants this job to end."""
        return self._store.is_cancel_requested(self.uuid)

    @property
    def lost(self) -> bool:
        """Whether the heartbeat found that the job is no longer ours."""
        return self._lost

    def still_mine(self) -> bool:
        """Whether this run may begin: the index has its token, and nothing has ended the job."""
        self._lost = self._lost or not _life.is_still_mine(self._store, self._claim)
        return not self._lost

    def look(self) -> None:
        """Looks into the index whether this run still has the job, as the heartbeat does by itself;
        ``lost`` says so then."""
        # A result without its receipt may be ours: another process is just publishing it.
        self._lost = self._lost or not _life.holds_token(self._store, self._claim)

    def ended_itself(self) -> bool:
        """Whether a job that is no longer ours was ended, or given back, by this very run: by
        another process that has its token."""
        return _life.ended_itself(self._store, self._claim)

    def check(self) -> None:
        """Raises JobCanceled where a client wants the end, JobLost where the job is no longer ours.

        Cheap enough for every turn of a loop.
        """
        if self._lost:
            raise self._claim.lost()
        if not self._open:
            raise self._over()
        if self.cancel_requested:
            raise JobCanceled(self.uuid, f"a client wants job {self.uuid} to end")

    def progress(self, percent: float | None = None, message: str | None = None) -> None:
        """Shows how far the job is: ``percent`` from 0 to 100, ``message`` of at most 200
        characters. Then as ``check``."""
        if percent is not None and not math.isfinite(percent):
            raise ValueError(f"{percent} is no percentage")
        if not self._lost:
            self.show_progress(percent, message)
        self.check()

    def show_progress(self, percent: float | None = None, message: str | None = None) -> None:
        """The same without ``check``; where it cannot be shown that is logged, and nothing depends
        on it."""
        if not self._open or (percent is None and message is None):
            return
        content = _records.progress(percent, message, self.attempt, self._now())
        try:
            self._store.progress.replace(self._claim.name, content)
        except OSError as error:
            log.warning("progress of job %s cannot be shown: %s", self.uuid, error)

    def finish(self, result: Any, *, patience: float | None = None) -> None:
        """Publishes the result: the job is done.

        ``result`` is anything that ``json`` can write, without NaN and infinities. Trouble that may
        pass (the lock, a full disk) is waited out for ``patience`` seconds, None: as long as it
        takes. Raises InvalidResult where it is no result, JobLost where the job is no longer ours.
        """
        try:
            text = _json.dumps(result)
            document = text.encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidResult(f"the result of job {self.uuid} is no JSON: {error}") from None
        self.finish_json(document, patience=patience)

    def finish_json(self, document: bytes | str, *, patience: float | None = None) -> None:
        """The same for a result that is JSON already; it is published to the letter."""
        content = document.encode("utf-8") if isinstance(document, str) else bytes(document)
        if len(content) > RESULT_LIMIT:
            raise InvalidResult(
                f"the result of job {self.uuid} has {len(content)} bytes, and {RESULT_LIMIT} are "
                "allowed"
            )
        try:
            _json.check(content)
        except _json.NotJson as error:
            raise InvalidResult(f"the result of job {self.uuid} is no JSON: {error}") from None
        self._finish(content, Measured(run_ms=self._run_ms()), _until(patience))

    def fail(
        self,
        message: str,
        *,
        reason: str = "exit_code",
        exit_code: int | None = None,
        patience: float | None = None,
    ) -> None:
        """Ends the job without a result; its client is told ``message``. ``reason`` is one of the
        services' words, such as ``invalid_request`` or ``timeout``."""
        failure = Failure.of(reason, message, exit_code)
        measured = Measured(run_ms=self._run_ms(), exit_code=exit_code)
        self._fail(failure, measured, _until(patience))

    def give_back(self, *, patience: float | None = None) -> str:
        """Lets the job wait again at its old place, for whoever claims it next; nothing is counted.
        Where a client wants its end it is canceled. Returns ``pending`` or ``canceled``."""
        return self._release(None, _until(patience))

    def lose(self) -> None:
        """Told by the heartbeat once the job is no longer ours."""
        # One that has just ended by itself has no token in the index either.
        if self._open:
            self._lost = True

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        mine = isinstance(error, JobOver) and error.uuid == self.uuid
        # Whose end could not be published is taken over later, as if this process had died.
        if self._open and (error is None or error is not self._trouble):
            try:
                self._end_by(error)
            except JobLost as lost:
                log.warning("%s", lost)
        return mine

    def _end_by(self, error: BaseException | None) -> None:
        if isinstance(error, JobLost) and error.uuid == self.uuid:
            log.warning("%s", error)
            self._leave(None)
        elif error is None and not self.cancel_requested:
            self.fail("the script ended without finishing the job", reason="no_result")
        elif isinstance(error, InvalidResult):
            self.fail(str(error), reason="invalid_output")
        elif isinstance(error, Exception) and not isinstance(error, JobOver):
            self.fail(f"{type(error).__name__}: {error}")
        else:
            self.give_back(patience=_SHUTDOWN)

    def _finish(self, content: bytes, measured: Measured, over: Callable[[], bool]) -> None:
        self._publish(lambda: _life.finish(self._store, self._claim, content, measured), over)
        self._leave(DONE)

    def _fail(self, failure: Failure, measured: Measured, over: Callable[[], bool]) -> None:
        self._publish(lambda: _life.fail(self._store, self._claim, failure, measured), over)
        self._leave(FAILED)

    def _release(self, retry: str | None, over: Callable[[], bool]) -> str:
        status = [PENDING]

        def step() -> None:
            if retry:
                status[0] = _life.retry(self._store, self._claim, retry)
            else:
                status[0] = _life.give_back(self._store, self._claim)

        self._publish(step, over)
        self._leave(CANCELED if status[0] == CANCELED else PENDING)
        return status[0]

    def _publish(self, step: Callable[[], None], over: Callable[[], bool]) -> None:
        if not self._open:
            raise self._claim.lost() if self._lost else self._over()
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._store.with_reserve(step)
            except JobLost:
                self._leave(None)
                raise
            except (FolderError, OSError) as error:
                if over() or not _may_pass(error):
                    self._trouble = error
                    raise
                log.warning("how job %s ended is published later: %s", self.uuid, error)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _leave(self, ended: str | None) -> None:
        self._open = False
        self._ended = ended
        self._lost = ended is None
        if self._presence is not None:
            self._presence.remove(self)
        elif self.worker is not None:
            forget_detached(self._store, self.worker, self.token)

    def _over(self) -> FolderError:
        return FolderError(f"this run of job {self.uuid} has ended already: it is {self._ended}")

    def _run_ms(self) -> int | None:
        """How long the run took, where it began in this process."""
        if self._presence is None:
            return None
        return int((time.monotonic() - self._begun) * 1000)

    def _now(self) -> Date:
        return self._claim.now()


def _may_pass(error: FolderError | OSError) -> bool:
    """Whether the trouble may be over by itself."""
    if isinstance(error, OSError):
        return error.errno in _PASSING
    return isinstance(error, (Busy, IndexDamaged))


def _until(patience: float | None) -> Callable[[], bool]:
    if patience is None:
        return lambda: False
    end = time.monotonic() + patience
    return lambda: time.monotonic() >= end
