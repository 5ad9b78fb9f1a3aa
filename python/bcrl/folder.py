"""The shared folder as a lab's own script sees it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Callable

from . import _catalog, _edit, _life, _names
from ._beat import beat_once
from ._catalog import Limits
from ._entry import Entry
from ._presence import Presence
from ._state import FINAL, PROCESSING
from ._store import Store
from .errors import FolderError
from .job import Job


@dataclass(frozen=True)
class Listed:
    """One job of the queue, as index and receipts show it."""

    #: The job's id.
    uuid: str
    #: Its API.
    api: str
    #: ``pending``, ``processing``, ``done``, ``failed`` or ``canceled``.
    status: str
    #: When it was submitted, as RFC 3339.
    request_date: str
    #: When it ended, as RFC 3339; None while it has not.
    finished_date: str | None = None


class Folder:
    """A shared folder of bcrlapi::

        with Folder("/shared/bcrlapi") as folder:
            while job := folder.claim(["soc"]):
                with job:
                    job.finish(compute(job.params))

    Within ``with`` the process counts as a worker: a thread replaces its sign of life every
    ``heartbeat`` seconds. Jobs that are still open at the end of the block are ended as ``Job``
    says. Looking and editing need no ``with``.

    A process that forks (``multiprocessing`` may) makes a new ``Folder`` in the child to claim.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        lock_timeout: float = 5.0,
        heartbeat: float = 10.0,
        lease: float = 60.0,
    ) -> None:
        """Opens nothing yet. ``name`` is the worker's (the host's by default); ``lock_timeout`` is
        how long the lock is waited for; ``lease`` is the site's ``worker.lease``, after which a
        silent worker is presumed dead. All times are in seconds."""
        if not 0 < heartbeat <= lease / 3:
            raise ValueError("a heartbeat is due at least three times in a lease")
        #: Where it is.
        self.path = os.path.abspath(os.fspath(path))
        self._name = name or _names.host_name()
        self._lock_timeout = lock_timeout
        self._heartbeat = heartbeat
        self._lease = lease
        self._store: Store | None = None
        self._presence: Presence | None = None
        self._pid = 0
        self._jobs: list[Job] = []

    def __enter__(self) -> Folder:
        if self._presence is not None:
            raise FolderError(f"{self.path} is in use by a with statement already")
        self._presence = Presence(self.store, self._name, self._heartbeat, self._lease)
        self._pid = os.getpid()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        swallowed, trouble = False, None
        for job in self._jobs:
            try:
                swallowed |= job.__exit__(kind, error, trace)
            except (FolderError, OSError) as raised:
                trouble = trouble or raised
        self._jobs = []
        if self._presence is not None:
            self._presence.leave()
        self._presence = None
        self.close()
        if trouble is not None:
            raise trouble
        return swallowed

    def close(self) -> None:
        """Lets go of what looking and editing opened; it is opened again where it is needed."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    @property
    def store(self) -> Store:
        """The folder, open; for this package alone."""
        if self._store is None:
            self._store = Store(self.path, self._lock_timeout)
        return self._store

    def claim(self, apis: Iterable[str] | None = None) -> Job | None:
        """Claims the first pending job of these APIs (by default of any) whose API has a free slot;
        None where there is none.

        Raises Busy where the lock was not free, IndexDamaged where the index cannot be read.
        """
        presence = self._presence
        if presence is None or self._pid != os.getpid():
            raise FolderError("claim within `with Folder(…) as folder:`, in the same process")
        names = _api_names(apis)
        presence.offer(names or ())
        claim = _life.claim(self.store, presence.worker, os.getpid(), names)
        if claim is None:
            return None
        job = Job(self.store, claim, presence)
        # Those that have ended are nobody's concern any more.
        self._jobs = [*(other for other in self._jobs if other.is_open), job]
        presence.add(job)
        return job

    def claim_detached(self, apis: Iterable[str] | None = None) -> Job | None:
        """The same for a process that ends before the job does, without ``with``.

        Nothing shows signs of life for it but ``beat``, which is due at least three times in a
        lease; without it the job is taken over.
        """
        worker = _names.new_worker_id(self._name)
        claim = _life.claim(self.store, worker, os.getpid(), _api_names(apis))
        if claim is None:
            return None
        job = Job(self.store, claim, None)
        beat_once(self.store, worker, job.uuid, job.token, job.api)
        return job

    def resume(self, uuid: str, token: str) -> Job:
        """A job that another process claimed, by what its claim said. Whether the job is still this
        run's shows when it is checked or ended."""
        claim = _life.resume(self.store, _names.job_id(uuid), _names.token(token))
        return Job(self.store, claim, None)

    def beat(self, job: Job, percent: float | None = None, message: str | None = None) -> None:
        """One sign of life for a detached job, and how far it is; then as ``Job.check``."""
        job.look()
        if not job.lost and job.worker is not None:
            beat_once(self.store, job.worker, job.uuid, job.token, job.api)
        job.progress(percent, message)

    def jobs(
        self, *, apis: Iterable[str] | None = None, statuses: Iterable[str] | None = None
    ) -> list[Listed]:
        """The jobs of the queue, the oldest first. Needs no lock.

        A final status is listed once a receipt says so, which the services write for those who end
        jobs by hand.
        """
        names = _api_names(apis)
        wanted = None if statuses is None else set(statuses)
        receipts = set(self.store.receipt.names())
        index = (entry for entry in self.store.snapshot() if names is None or entry.api in names)
        found = [_listed(self.store, entry, f"{entry.uuid}.json" in receipts) for entry in index]
        return [job for job in found if wanted is None or job.status in wanted]

    def limits(self, api: str) -> Limits:
        """What a run of this API may take, as the workers' catalogs say."""
        return _catalog.limits(self.store.catalog).get(_names.api_name(api), Limits())

    def edit(self, change: Callable[[list[dict[str, Any]]], object]) -> None:
        """Changes the index by hand: ``change`` gets the list of entries and changes them in place.

        The lock is held meanwhile, so be done within a second and start no process. What would
        break a rule of the folder raises InvalidEdit; then, and where ``change`` raises, nothing is
        changed.
        """
        _edit.edit(self.store, change)


def edit(
    path: str | os.PathLike[str],
    change: Callable[[list[dict[str, Any]]], object],
    *,
    lock_timeout: float = 5.0,
) -> None:
    """``Folder(path).edit(change)``, for those who need nothing else."""
    folder = Folder(path, lock_timeout=lock_timeout)
    try:
        folder.edit(change)
    finally:
        folder.close()


def _api_names(apis: Iterable[str] | None) -> Sequence[str] | None:
    if isinstance(apis, str):
        raise TypeError(f"a list of API names is due: [{apis!r}]")
    return None if apis is None else tuple(_names.api_name(api) for api in apis)


def _listed(store: Store, entry: Entry, has_receipt: bool) -> Listed:
    status, finished = entry.status, entry.finished()
    if has_receipt and not (status in FINAL and finished):
        receipt = store.sound_receipt(entry.uuid)
        if receipt is not None:
            status, finished = receipt.state.status, receipt.state.finished
    elif status in FINAL and not has_receipt:
        status, finished = PROCESSING, None
    date = finished.text if finished else None
    return Listed(entry.uuid, entry.api, status, entry.request_date.text, date)
