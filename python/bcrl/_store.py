"""The folder itself: what it is made of, and what can be seen of it without a lock."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, TypeVar

from . import _lock
from ._dir import Dir, NotAFile
from ._entry import Entry
from ._index import INDEX, SIZE_LIMIT, Damage, Index
from ._records import RECEIPT_LIMIT, Receipt, Unreadable
from .errors import IndexDamaged, NotAFolder

T = TypeVar("T")

log = logging.getLogger("bcrl")

#: Largest body of a request, in bytes.
REQUEST_LIMIT = 8 << 20
#: Largest result, in bytes.
RESULT_LIMIT = 64 << 20

#: The file that the services give up when there is no room left.
_RESERVE = ".reserve"
#: How long a reader that cannot make anything of the index waits before it looks again, in
#: seconds.
_PAUSES = (0.01, 0.05, 0.2)
#: How long it waits for writers after that.
_READER_PATIENCE = 0.1


class Store:
    """A shared folder, open. Threads may share it."""

    def __init__(self, root: str, patience: float) -> None:
        """Opens it; ``patience`` is how long the lock is waited for, in seconds."""
        self.root = os.path.abspath(root)
        self.patience = patience
        #: Entries of the last generation that was read, by their lines.
        self._known: dict[str, Entry] = {}
        try:
            self.top = Dir(self.root)
            self.request = Dir(os.path.join(self.root, "request"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotAFolder(
                f"{self.root} is no shared folder: there is no {error.filename}; look at the path "
                "and the mount, or let a service start there first"
            ) from None
        like = self.request.stat()

        def opening(name: str) -> Dir:
            return Dir(os.path.join(self.root, name), like)

        self.response = opening("response")
        self.receipt = opening("receipt")
        self.log = opening("log")
        self.progress = opening("progress")
        self.lease = opening("lease")
        self.cancel = opening("cancel")
        self.workers = opening("workers")
        self.catalog = opening("catalog")
        self.quarantine = opening("quarantine")
        self.late = opening("quarantine/late")

    def close(self) -> None:
        """Lets go of all descriptors."""
        for folder in vars(self).values():
            if isinstance(folder, Dir):
                folder.close()

    def snapshot(self) -> Index:
        """The index as it is now, without a lock; raises IndexDamaged."""
        try:
            return self.read_index()
        except IndexDamaged:
            pass
        # Whoever edits in place is seen half-way now and then; whoever does so under the lock is
        # waited for.
        for pause in _PAUSES:
            time.sleep(pause)
            try:
                return self.read_index()
            except IndexDamaged:
                continue
        with _lock.shared(self.request, _READER_PATIENCE):
            return self.read_index()

    def read_index(self) -> Index:
        """Reads the index once; raises IndexDamaged."""
        try:
            fd = self.request.open_file(INDEX)
            if fd is None:
                raise self._damaged("it is missing")
            with open(fd, "rb") as file:
                before = os.fstat(fd)
                content = file.read(SIZE_LIMIT + 1)
                after = os.fstat(fd)
        except NotAFile as error:
            raise self._damaged(error.strerror) from None
        if len(content) > SIZE_LIMIT:
            raise self._damaged(f"it is larger than {SIZE_LIMIT} bytes")
        if (before.st_size, before.st_ctime_ns) != (after.st_size, after.st_ctime_ns):
            raise self._damaged("it is being changed in place")
        try:
            index = Index.parse(content, self._known)
        except Damage as damage:
            raise self._damaged(str(damage)) from None
        self._known = index.by_line()
        return index

    def remember(self, index: Index) -> None:
        """These entries need no second look in the next generation."""
        self._known = index.by_line()

    def has_ended(self, uuid: str) -> bool:
        """Whether a receipt or a response of this job is there."""
        name = f"{uuid}.json"
        return self.receipt.has(name) or self.response.has(name)

    def is_cancel_requested(self, uuid: str) -> bool:
        """Whether a client asked for the end of this job."""
        return self.cancel.has(uuid)

    def sound_receipt(self, uuid: str) -> Receipt | None:
        """How the job ended, where a receipt says so and can be read."""
        try:
            content = self.receipt.read(f"{uuid}.json", RECEIPT_LIMIT)
            return None if content is None else Receipt.read(content, uuid)
        except (NotAFile, Unreadable) as error:
            log.warning("the receipt of job %s cannot be read: %s", uuid, error)
            return None

    def tidy(self, uuid: str) -> None:
        """Removes what a job needs no longer once it is final; the rest goes with retention."""
        name = f"{uuid}.json"
        for folder, file in ((self.lease, name), (self.progress, name), (self.cancel, uuid)):
            try:
                folder.remove(file)
            except OSError as error:
                log.debug("%s", error)

    def with_reserve(self, step: Callable[[], T]) -> T:
        """Does something that lets jobs end; where the disk is full, gives up the reserve and
        does it once more."""
        try:
            return step()
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            if not full or not self.top.remove(_RESERVE):
                raise
            log.error("the disk of %s is full: its reserve was freed; make room", self.root)
            return step()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the lock; raises Busy."""
        with _lock.exclusive(self.request, self.patience):
            yield

    def _damaged(self, reason: str | None) -> IndexDamaged:
        return IndexDamaged(
            f"{self.request.at(INDEX)} cannot be used: {reason}; nothing was changed. A running "
            "worker or API server mends it, and so does `bcrl fsck --repair`"
        )
