"""Signs of life: a worker replaces its own file, and holds a lock of its own while its process
lives.

The file tells every host that the worker lives: its counter moves. The lock tells other processes
of this machine at once that it has ended: the kernel frees it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Protocol

from . import _names
from ._beat import boot_id, content_of
from ._lock import try_lock
from ._store import Store, log
from .errors import FolderError, IndexDamaged


class Run(Protocol):
    """A run that is looked after."""

    @property
    def uuid(self) -> str: ...

    @property
    def token(self) -> str: ...

    def lose(self) -> None:
        """Told once the job is no longer this run's."""


class Presence:
    """A worker that shows that it lives, in a thread of its own."""

    def __init__(self, store: Store, name: str, heartbeat: float, lease: float) -> None:
        """Announces it; ``heartbeat`` is the time between two beats, ``lease`` the silence after
        which others presume it dead, both in seconds."""
        #: Its id: the name, and a part that is new at each start.
        self.worker = _names.new_worker_id(name)
        self._store = store
        self._heartbeat = heartbeat
        self._lease = lease
        self._counter = 0
        self._beaten = time.monotonic()
        self._apis: tuple[str, ...] = ()
        self._runs: dict[str, Run] = {}
        self._guard = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._again, name="bcrl heartbeat", daemon=True)
        self._lock: int | None = store.with_reserve(lambda: store.workers.touch(self._lock_name))
        _alive.add(self)
        if not try_lock(self._lock):
            self.forget()
            raise FolderError(f"another process runs as worker {self.worker}")
        try:
            self._write_beat()
        except BaseException:
            self._remove_files()
            self.forget()
            raise
        self._thread.start()

    def offer(self, apis: Sequence[str]) -> None:
        """These are the APIs that it claims."""
        self._apis = tuple(sorted({*self._apis, *apis}))

    def add(self, run: Run) -> None:
        """It runs this job from now on, and says so at once."""
        with self._guard:
            self._runs[run.token] = run
        self.beat()

    def remove(self, run: Run) -> None:
        """It runs this job no longer."""
        with self._guard:
            self._runs.pop(run.token, None)

    def beat(self) -> None:
        """Shows that it lives; trouble is logged, and ends its runs once it was silent for as long
        as its lease."""
        try:
            self._write_beat()
        except OSError as error:
            log.error("worker %s cannot show that it lives: %s", self.worker, error)

    def leave(self) -> None:
        """It ends as planned and is no longer to be waited for."""
        self._end.set()
        self._thread.join()
        self._remove_files()
        self.forget()

    def forget(self) -> None:
        """Lets go of the lock without a word: in a process that was forked off."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    @property
    def _lock_name(self) -> str:
        return f"{self.worker}.lock"

    def _write_beat(self) -> None:
        # Written under the guard: a later beat must not be replaced by an earlier one.
        with self._guard:
            self._counter += 1
            jobs = [(run.uuid, run.token) for run in self._runs.values()]
            content = content_of(self.worker, self._counter, jobs, self._apis, boot_id())
            file = f"{self.worker}.json"
            self._store.with_reserve(lambda: self._store.workers.replace(file, content))
            self._beaten = time.monotonic()

    def _remove_files(self) -> None:
        try:
            self._store.workers.remove(f"{self.worker}.json")
            self._store.workers.remove(self._lock_name)
        except OSError as error:
            log.warning("worker %s cannot remove its files: %s", self.worker, error)

    def _again(self) -> None:
        while not self._end.wait(self._heartbeat):
            self.beat()
            try:
                self._look_after_runs()
            except (OSError, IndexDamaged) as error:
                log.warning("worker %s cannot look after its jobs: %s", self.worker, error)

    def _look_after_runs(self) -> None:
        with self._guard:
            runs = list(self._runs.values())
        if not runs:
            return
        if time.monotonic() - self._beaten > self._lease:
            for run in runs:
                run.lose()
            return
        index = self._store.snapshot()
        for run in runs:
            entry = index.get(run.uuid)
            if entry is None or entry.token != run.token:
                # One that is just being published has no token any more either; it ends by itself.
                run.lose()


_alive: weakref.WeakSet[Presence] = weakref.WeakSet()


def _forget_all() -> None:
    for presence in _alive:
        presence.forget()


# A child that outlives this process must not look as if its worker lived.
os.register_at_fork(after_in_child=_forget_all)
