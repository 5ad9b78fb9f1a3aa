"""Whether a folder and its volume are fit for the protocol, as far as a script can find out."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

from ._lock import LOCK, try_lock
from ._store import Store
from .errors import IndexDamaged

# The other process's half: 40 where the file is locked, 41 where it is free.
_PROBE = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(40)
sys.exit(41)
"""
_LOCKED, _FREE = 40, 41


def problems(store: Store) -> Iterator[str]:
    """What an operator should mend, one sentence each."""
    yield from _permissions(store)
    try:
        store.snapshot()
    except IndexDamaged as error:
        yield str(error)
    except OSError as error:
        yield f"the index cannot be read: {error}"
    try:
        yield from _locks(store)
    except OSError as error:
        yield f"locks cannot be tried: {error}"


def _permissions(store: Store) -> Iterator[str]:
    due = os.R_OK | os.W_OK | os.X_OK
    written = ("request", "response", "receipt", "lease", "progress", "log", "workers", "cancel")
    for name in (*written, "quarantine", os.path.join("quarantine", "late")):
        path = os.path.join(store.root, name)
        if not os.access(path, due):
            yield f"this user may not read and write in {path}: it has to be in the folder's group"
    lock = store.request.at(LOCK)
    if os.path.exists(lock) and not os.access(lock, os.R_OK | os.W_OK):
        yield f"this user may not open {lock} for writing"


def _locks(store: Store) -> Iterator[str]:
    name = f".tmp-lock-{secrets.token_hex(4)}"
    fd = store.top.touch(name)
    try:
        if not try_lock(fd):
            yield "a new file is locked already: this volume does not carry locks"
            return
        probe = [sys.executable or "python3", "-I", "-c", _PROBE, store.top.at(name)]
        code = subprocess.run(probe, stdin=subprocess.DEVNULL, check=False).returncode
        if code == _FREE:
            yield (
                "a lock that one process holds does not keep another one out: use a local disk, or "
                "NFS 4.1 or later mounted without nolock and local_lock"
            )
        elif code != _LOCKED:
            yield f"the second process that was to look at a lock ended with {code}"
    finally:
        os.close(fd)
        store.top.remove(name)
