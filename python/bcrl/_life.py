"""A job's life as far as scripts take part in it: claimed, then finished, failed or given back.

Only the run whose token stands in the index may end the job; whatever comes later goes to
``quarantine/late/``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable

from . import _catalog, _names
from ._catalog import Limits
from ._dates import Date
from ._dir import FACT, NotAFile
from ._entry import Entry
from ._index import Index
from ._locked import Found, Locked, locked
from ._records import LEASE_LIMIT, REQUEST_FRAME, Lease, Measured, Receipt, Request, Unreadable
from ._state import CANCELED, DONE, FAILED, PENDING, PROCESSING, Failure, State
from ._store import REQUEST_LIMIT, Store, log
from .errors import FolderError, JobLost


class Missing(Unreadable):
    """A file that is gone."""


@dataclass(frozen=True)
class Claim:
    """A job that may be run and finished by whoever holds this, as long as its token stands in
    the index."""

    request: Request
    token: str
    #: None where it was lost in a power cut.
    lease: Lease | None

    @property
    def uuid(self) -> str:
        """The job's id."""
        return self.request.uuid

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.uuid}.json"

    def now(self) -> Date:
        """What time it is, in the zone in which the job was submitted."""
        return self.request.request_date.now()

    def lost(self, more: str = "") -> JobLost:
        """The error for a job that is no longer this run's."""
        return JobLost(
            self.uuid,
            f"job {self.uuid} is no longer this run's: it was taken over or ended meanwhile{more}",
        )


def claim(store: Store, worker: str, pid: int, apis: Sequence[str] | None) -> Claim | None:
    """Claims the first pending job of these APIs (None: of any) that may run now; None where
    there is none."""
    limits = _catalog.limits(store.catalog)
    # A look without the lock first: most of the time there is nothing to do.
    if next(_claimable(store.snapshot(), apis, limits), None) is None:
        return None
    with locked(store) as guard:
        for entry in list(_claimable(guard.index, apis, limits)):
            taken = _take(guard, entry, worker, pid)
            if taken is not None:
                guard.commit()
                return taken
        guard.commit()
    return None


def resume(store: Store, uuid: str, token: str) -> Claim:
    """A claim that another process made; raises FolderError where there is no such job."""
    content = store.request.read(f"{uuid}.json", REQUEST_LIMIT + REQUEST_FRAME)
    if content is None:
        raise FolderError(f"there is no job {uuid} in {store.root}")
    try:
        request = Request.read(content)
    except Unreadable as error:
        raise FolderError(f"the request of job {uuid} cannot be read: {error}") from None
    return Claim(request, token, _lease(store, uuid, token))


def holds_token(store: Store, claim: Claim) -> bool:
    """Whether this run's token stands in the index."""
    entry = store.snapshot().get(claim.uuid)
    return entry is not None and entry.token == claim.token


def is_still_mine(store: Store, claim: Claim) -> bool:
    """Whether this run may begin: its token stands in the index, and nothing has ended the job."""
    return holds_token(store, claim) and not store.has_ended(claim.uuid)


def ended_itself(store: Store, claim: Claim) -> bool:
    """Whether this very run ended the job or gave it back, and nobody took it over. Where its lease
    was gone from the start, whether the job has ended."""
    lease, receipt = claim.lease, store.sound_receipt(claim.uuid)
    if lease is None:
        return receipt is not None
    if receipt is not None:
        return (receipt.worker, receipt.attempt) == (lease.worker, lease.attempt)
    try:
        content = store.lease.read(claim.name, LEASE_LIMIT)
        runs = Lease.read(content).attempts if content else ()
    except (NotAFile, Unreadable):
        return False
    mine = [run for run in runs if (run.worker, run.attempt) == (lease.worker, lease.attempt)]
    return any(run.outcome != "worker_lost" for run in mine)


def finish(store: Store, claim: Claim, result: bytes, measured: Measured) -> None:
    """Publishes the result, one JSON document: the job is done. Raises JobLost where the job is no
    longer this run's; its result was put aside then."""
    digest = hashlib.sha256(result).hexdigest()
    measured.sha256.update(request=claim.request.sha256, response=digest)
    with store.response.temporary(FACT, result, sync=True) as file, locked(store) as guard:
        now = claim.now()

        def late() -> JobLost:
            place = guard.put_late_aside(file, claim.uuid, claim.lease, now)
            guard.commit()
            return claim.lost(f"; its result is kept as {place}")

        entry = _mine(guard, claim)
        if entry is None:
            if _ended_by_me(guard, claim, lambda receipt: receipt.response_sha256 == digest):
                guard.commit()
                return
            raise late()
        while not file.publish(claim.name):
            found = guard.judge_response(claim.uuid, result)
            if found is Found.MINE:
                break
            if found is Found.THEIRS:
                done = State(DONE, finished=now)
                guard.end(entry, claim.lease, done, Measured(), now)
                raise late()
            guard.put_aside(store.response, claim.name, "it is no JSON document", now)
        store.response.sync()
        guard.end(entry, claim.lease, State(DONE, finished=now), measured, now)
        guard.commit()


def fail(store: Store, claim: Claim, failure: Failure, measured: Measured) -> None:
    """Ends the job without a result. Raises JobLost where it is no longer this run's."""
    measured.sha256.update(request=claim.request.sha256)
    with locked(store) as guard:
        entry = _mine(guard, claim)
        if entry is None:
            _settle_lost(guard, claim, lambda receipt: receipt.state.failure == failure)
        else:
            now = claim.now()
            state = State(FAILED, finished=now, failure=failure)
            guard.end(entry, claim.lease, state, measured, now)
            guard.commit()


def give_back(store: Store, claim: Claim) -> str:
    """Lets the job wait again at its old place, or ends it where a client wants that. Nothing is
    counted. The status that it has then; raises JobLost where it is no longer this run's."""
    return _release(store, claim, None)


def retry(store: Store, claim: Claim, reason: str) -> str:
    """Lets the job wait to be run again after the script's own failure. As ``give_back``."""
    return _release(store, claim, reason)


def _release(store: Store, claim: Claim, reason: str | None) -> str:
    with locked(store) as guard:
        entry, now = _mine(guard, claim), claim.now()
        if entry is None:
            _settle_lost(guard, claim, lambda receipt: receipt.state.status == CANCELED)
            return CANCELED
        if store.is_cancel_requested(claim.uuid):
            store.cancel.sync()
            guard.end(entry, claim.lease, State(CANCELED, finished=now), Measured(), now)
            guard.commit()
            return CANCELED
        if claim.lease is not None:
            lease = claim.lease.to_retry(reason, now) if reason else claim.lease.given_back(now)
            guard.write_lease(claim.uuid, lease)
        guard.put(entry.with_state(State(PENDING)))
        guard.commit()
        try:
            # Still under the lock: whoever claims it next shows progress of its own.
            store.progress.remove(claim.name)
        except OSError as error:
            log.debug("%s", error)
        return PENDING


def _lease(store: Store, uuid: str, token: str) -> Lease | None:
    """The lease of the run with this token."""
    try:
        content = store.lease.read(f"{uuid}.json", LEASE_LIMIT)
        lease = Lease.read(content) if content else None
    except (NotAFile, Unreadable) as error:
        log.warning("the lease of job %s cannot be read: %s", uuid, error)
        return None
    return lease if lease and lease.token == token else None


def _claimable(
    index: Index, apis: Sequence[str] | None, limits: dict[str, Limits]
) -> Iterator[Entry]:
    """The pending jobs of these APIs that have a free slot, top to bottom."""
    running: dict[str, int] = {}
    for entry in index:
        if entry.status == PROCESSING:
            running[entry.api] = running.get(entry.api, 0) + 1
    for entry in index:
        if entry.status != PENDING or not (apis is None or entry.api in apis):
            continue
        most = limits.get(entry.api, Limits()).concurrency
        if most is None or running.get(entry.api, 0) < most:
            yield entry


def _take(guard: Locked, entry: Entry, worker: str, pid: int) -> Claim | None:
    """Claims one job whose facts allow it. One that can never run has failed."""
    now = entry.request_date.now()
    if not guard.is_claimable(entry.uuid):
        return None
    before = guard.lease(entry.uuid, now)
    if before is not None and before.waits_for_retry(now):
        return None
    try:
        request = request_of(guard.store, entry)
    except Unreadable as error:
        reason = "request_missing" if isinstance(error, Missing) else "invalid_request"
        failure = Failure.of(reason, str(error))
        state = State(FAILED, finished=now, failure=failure)
        guard.end(entry, before, state, Measured(), now)
        log.error("job %s has failed: %s", entry.uuid, error)
        return None
    token = _names.new_token()
    lease = Lease.next(before, worker, pid, token, now)
    guard.write_lease(entry.uuid, lease)
    guard.put(entry.with_state(State(PROCESSING, token=token)))
    return Claim(request, token, lease)


def request_of(store: Store, entry: Entry) -> Request:
    """The request that belongs to an entry; raises Unreadable."""
    try:
        content = store.request.read(f"{entry.uuid}.json", REQUEST_LIMIT + REQUEST_FRAME)
    except NotAFile as error:
        raise Unreadable(f"its request file cannot be read: {error.strerror}") from None
    if content is None:
        raise Missing("its request file is no longer in the folder")
    try:
        request = Request.read(content)
    except Unreadable as error:
        reason = f"its request file was changed and is no request any more: {error}"
        raise Unreadable(reason) from None
    if (request.uuid, request.api) != (entry.uuid, entry.api):
        raise Unreadable(
            f"its request file is that of job {request.uuid} for {request.api}, and the index "
            f"says {entry.api}"
        )
    return request


def _mine(guard: Locked, claim: Claim) -> Entry | None:
    """The entry of a job that this run may end."""
    entry = guard.index.get(claim.uuid)
    mine = entry is not None and entry.status == PROCESSING and entry.token == claim.token
    return entry if mine and not guard.store.receipt.has(claim.name) else None


def _ended_by_me(guard: Locked, claim: Claim, says_the_same: Callable[[Receipt], bool]) -> bool:
    """Whether a receipt that is there is this very run's, whose commit had failed half-way."""
    entry, receipt = guard.index.get(claim.uuid), guard.store.sound_receipt(claim.uuid)
    if receipt is None:
        return False
    guard.follow_receipt(claim.uuid)
    guard.store.tidy(claim.uuid)
    if claim.lease is not None:
        return (receipt.worker, receipt.attempt) == (claim.lease.worker, claim.lease.attempt)
    # The lease went before the commit failed; nobody but this run ended the job while its token
    # stood there.
    mine = entry is not None and entry.token == claim.token
    return mine and says_the_same(receipt)


def _settle_lost(guard: Locked, claim: Claim, says_the_same: Callable[[Receipt], bool]) -> None:
    mine = _ended_by_me(guard, claim, says_the_same)
    guard.commit()
    if not mine:
        raise claim.lost()
