"""The index while it is locked. What may be done only under the lock is a method here."""

from __future__ import annotations

import enum
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from . import _dates, _json, _records
from ._dates import Date
from ._dir import RECORD, Dir, NotAFile, Temporary
from ._entry import Entry, state_of
from ._index import INDEX, PREVIOUS, SIZE_LIMIT, Index
from ._records import LEASE_LIMIT, Lease, Measured, Unreadable
from ._state import State
from ._store import RESULT_LIMIT, Store, log
from .errors import FolderError


class Found(enum.Enum):
    """What stands in the place of a response."""

    #: The same document: an earlier try of this run got so far.
    MINE = enum.auto()
    #: Somebody else's result.
    THEIRS = enum.auto()
    #: No JSON document.
    BROKEN = enum.auto()


class Locked:
    """The locked index. Changes take effect with ``commit``; without it, they never were."""

    def __init__(self, store: Store, index: Index) -> None:
        self.store = store
        self.index = index
        self._changed = False

    def put(self, entry: Entry) -> None:
        """Changes a job's entry."""
        self.index.put(entry)
        self._changed = True

    def commit(self) -> None:
        """Makes the changes take effect. Whatever fails leaves the index as it was."""
        if not self._changed:
            return
        request = self.store.request
        text = self.index.to_text().encode("utf-8")
        if len(text) > SIZE_LIMIT:
            raise FolderError(
                f"{request.at(INDEX)} would have {len(text)} bytes, and {SIZE_LIMIT} are read: "
                "somebody's own fields make its entries large; nothing was changed"
            )
        with request.temporary(RECORD, text, sync=False) as file:
            request.link_over(INDEX, PREVIOUS)
            file.replace(INDEX)
        self._changed = False
        self.store.remember(self.index)

    def is_claimable(self, uuid: str) -> bool:
        """Whether nothing has ended the job or is to end it."""
        return not self.store.has_ended(uuid) and not self.store.is_cancel_requested(uuid)

    def lease(self, uuid: str, now: Date) -> Lease | None:
        """The lease of a job, where it ever ran; one that cannot be read is put aside."""
        name = f"{uuid}.json"
        try:
            content = self.store.lease.read(name, LEASE_LIMIT)
            return None if content is None else Lease.read(content)
        except (NotAFile, Unreadable) as error:
            self.put_aside(self.store.lease, name, f"it is no lease: {error}", now)
            return None

    def write_lease(self, uuid: str, lease: Lease) -> None:
        """Replaces a job's lease."""
        self.store.lease.replace(f"{uuid}.json", lease.to_bytes())

    def end(
        self, entry: Entry, lease: Lease | None, state: State, measured: Measured, now: Date
    ) -> None:
        """Ends a job: its receipt is published and durable, then the index says so (with the next
        commit)."""
        receipt = _records.receipt(entry, lease, state, measured, now)
        if self.store.receipt.publish(f"{entry.uuid}.json", receipt):
            self.put(entry.with_state(state))
        else:
            # Somebody else's receipt is there: the job ended as that one says.
            self.follow_receipt(entry.uuid)
        # Still under the lock, so that nobody who holds it finds leftovers.
        self.store.tidy(entry.uuid)

    def follow_receipt(self, uuid: str) -> None:
        """Brings a job's entry in line with its receipt, where there is one that can be read."""
        entry, receipt = self.index.get(uuid), self.store.sound_receipt(uuid)
        if entry is None or receipt is None:
            return
        if state_of(entry).finished and entry.status == receipt.state.status:
            return
        for folder in (self.store.receipt, self.store.response, self.store.request):
            folder.sync()
        self.put(entry.with_state(receipt.state))

    def judge_response(self, uuid: str, mine: bytes) -> Found:
        """Looks at a response that is there without a receipt, and makes it durable if it is
        one."""
        folder, name = self.store.response, f"{uuid}.json"
        try:
            theirs = folder.read(name, RESULT_LIMIT) or b""
            _json.check(theirs)
        except (NotAFile, _json.NotJson):
            return Found.BROKEN
        folder.sync_file(name)
        folder.sync()
        return Found.MINE if theirs == mine else Found.THEIRS

    def put_aside(self, folder: Dir, name: str, reason: str, now: Date) -> None:
        """Moves a file, whatever it is, to the quarantine, with the reason beside it."""
        place = _place_aside(name, now)
        if folder.move(name, self.store.quarantine, place):
            _note_reason(self.store.quarantine, place, reason)
            log.error("%s was put aside as quarantine/%s: %s", folder.at(name), place, reason)

    def put_late_aside(self, file: Temporary, uuid: str, lease: Lease | None, now: Date) -> str:
        """Moves a result that came too late to the quarantine; where it is from there."""
        place = _place_aside(f"{uuid}.json", now)
        file.move(self.store.late, place)
        run = f"run {lease.attempt} of {lease.worker}" if lease else "a run"
        reason = f"{run} ended after somebody else had ended the job"
        _note_reason(self.store.late, place, reason)
        return os.path.join("quarantine", "late", place)


@contextmanager
def locked(store: Store) -> Iterator[Locked]:
    """Takes the lock and reads the index; raises Busy or IndexDamaged."""
    with store.exclusive():
        yield Locked(store, store.read_index())


def _place_aside(name: str, now: Date) -> str:
    return f"{_dates.compact(now)}-{secrets.token_hex(3)}-{name}"


def _note_reason(folder: Dir, place: str, reason: str) -> None:
    folder.replace(f"{place}.reason", f"{reason}\n".encode("utf-8", "replace"))
