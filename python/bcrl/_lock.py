"""The lock of the queue: ``flock`` on ``request/status.json.lock``, an empty file that is never
renamed or removed.

For scripts that lock ``status.json`` itself, that file is locked too, always second. Nothing is
ever broken by age: the kernel frees a dead holder's lock. ``lockf`` and ``fcntl.fcntl`` would be
another kind of lock, which the services do not see.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Callable

from ._dir import Dir
from ._index import INDEX
from .errors import Busy

#: The lock's file, in ``request/``.
LOCK = "status.json.lock"

_SHORTEST_PAUSE = 0.000_1
_LONGEST_PAUSE = 0.008


@contextmanager
def exclusive(request: Dir, patience: float) -> Iterator[None]:
    """Holds the lock, taken within so many seconds; raises Busy. Start no process inside."""
    wait = _Wait(patience)
    # A descriptor for each holder: flock belongs to it, so threads exclude each other as well.
    lock = request.touch(LOCK)
    try:
        wait.until(lambda: try_lock(lock), request.at(LOCK))
        index = _lock_index(request, wait)
        try:
            yield
        finally:
            if index is not None:
                _unlock(index)
            _unlock(lock, close=False)
    finally:
        os.close(lock)


@contextmanager
def shared(request: Dir, patience: float) -> Iterator[bool]:
    """Keeps writers out for a reader that saw something half-way; False where they stay."""
    fd = request.open_file(LOCK)
    if fd is None:
        yield False
        return
    try:
        try:
            _Wait(patience).until(lambda: try_lock(fd, fcntl.LOCK_SH), request.at(LOCK))
        except (Busy, OSError):
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def try_lock(fd: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Locks an open file if nobody else has it locked; whether it worked."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(fd: int, close: bool = True) -> None:
    # In so many words: a process that was forked meanwhile has the descriptor as well.
    fcntl.flock(fd, fcntl.LOCK_UN)
    if close:
        os.close(fd)


def _lock_index(request: Dir, wait: _Wait) -> int | None:
    """Locks the index, for those who lock that; None where it cannot be locked."""
    while True:
        try:
            fd = request.open_file(INDEX)
        except OSError:
            # Something that is no file is the reader's to complain of.
            return None
        if fd is None:
            return None
        try:
            wait.until(partial(try_lock, fd), request.at(INDEX))
            here = os.fstat(fd)
            # Somebody may have renamed another file over it in the meantime.
            if request.identity(INDEX) == (here.st_dev, here.st_ino):
                return fd
        except BaseException as error:
            os.close(fd)
            # NFS locks only what is open for writing; the lock's own file is.
            if isinstance(error, OSError) and error.errno == errno.EBADF:
                return None
            raise
        os.close(fd)


class _Wait:
    """Pauses that grow, until patience is over."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._end = time.monotonic() + patience
        self._pause = _SHORTEST_PAUSE

    def until(self, locked: Callable[[], bool], path: str) -> None:
        while not locked():
            if time.monotonic() >= self._end:
                raise Busy(
                    f"the lock {path} was not free within {self._patience:g} s{_holder(path)}"
                )
            # Jitter keeps waiting processes from marching in step.
            time.sleep(self._pause * random.uniform(0.5, 1.0))
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)


def _holder(path: str) -> str:
    """Who holds an exclusive lock on this file, in words, as far as /proc tells."""
    try:
        inode = str(os.stat(path).st_ino)
        with open("/proc/locks", encoding="ascii") as locks:
            # 1: FLOCK ADVISORY WRITE 4711 fd:01:1234567 0 EOF
            found = [line.split() for line in locks if "FLOCK" in line]
        pids = [f[4] for f in found if f[3:4] == ["WRITE"] and f[5].rpartition(":")[2] == inode]
        pid = pids[0]
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            _, _, rest = file.read().partition("(")
    except (OSError, IndexError):
        return ""
    command, _, rest = rest.rpartition(")")
    stopped = ", which is stopped" if rest.split()[:1] in (["T"], ["t"]) else ""
    return f"; it is held by process {pid} ({command}){stopped}"
