"""The file that shows that a worker lives, and the signs of life of one that is no process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from . import _names, _records
from ._records import Unreadable
from ._store import Store, log
from ._version import __version__

_BEAT_LIMIT = 8 << 20


def beat_once(store: Store, worker: str, uuid: str, token: str, api: str) -> None:
    """One sign of life of a worker that is no process: of a script that claims, works and finishes
    by separate commands. Only its counter tells that it lives."""
    name = f"{worker}.json"
    counter = 0
    content = store.workers.read(name, _BEAT_LIMIT)
    if content is not None:
        counter = _counter(content)
    beat = content_of(worker, counter + 1, [(uuid, token)], (api,), None)
    store.with_reserve(lambda: store.workers.replace(name, beat))


def forget_detached(store: Store, worker: str, token: str) -> None:
    """Removes the sign of life of such a worker, once its only job has ended."""
    name = f"{worker}.json"
    try:
        content = store.workers.read(name, _BEAT_LIMIT)
        if content is not None and _is_for(content, token):
            store.workers.remove(name)
    except OSError as error:
        log.debug("%s", error)


def boot_id() -> str | None:
    """The kernel's boot id: two processes that share it see each other's locks for certain."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def content_of(
    worker: str,
    counter: int,
    jobs: Sequence[tuple[str, str]],
    apis: Sequence[str],
    boot: str | None,
) -> bytes:
    """The content of ``workers/{worker}.json``; ``jobs`` are ids with their tokens."""
    document: dict[str, Any] = {
        "worker": worker,
        "host": _names.host_name(),
        "boot": boot,
        "pid": os.getpid(),
        "version": __version__,
        "counter": counter,
        "slots": max(1, len(jobs)),
        "jobs": [{"uuid": uuid, "token": token} for uuid, token in jobs],
        "apis": list(apis),
        "problems": [],
    }
    return _records.content_of(document)


def _counter(content: bytes) -> int:
    """The counter of a heartbeat; 0 where it is none."""
    try:
        counter = _records.document_of(content).get("counter")
    except Unreadable:
        return 0
    return counter if type(counter) is int else 0


def _is_for(content: bytes, token: str) -> bool:
    """Whether a heartbeat is that of no process, and for this run alone."""
    try:
        fields = _records.document_of(content)
    except Unreadable:
        return False
    jobs = fields.get("jobs")
    if "boot" in fields or not isinstance(jobs, list) or len(jobs) != 1:
        return False
    return isinstance(jobs[0], dict) and jobs[0].get("token") == token
