"""What a command prints and writes to its log, drained in flat memory.

A pipe is read to its end whatever becomes of the bytes: a command that waits for its reader would
never end.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from typing import IO

from ._store import Store

log = logging.getLogger("bcrl")

#: Largest log of one run, in bytes; of a longer one the middle is left out.
LOG_LIMIT = 1 << 20
#: What of the log's end is told to the client of a failed job, in bytes.
LAST_WORDS = 4096

_CHUNK = 1 << 16
#: How long a pipe may stay open when the command is gone: somebody outside holds it.
_STRANGER_HOLDS_IT = 1.0


class Printed(threading.Thread):
    """Keeps what comes out of a pipe, up to a limit."""

    def __init__(self, pipe: IO[bytes], limit: int) -> None:
        super().__init__(name="bcrl stdout", daemon=True)
        self._pipe = pipe
        self._limit = limit
        self._kept = bytearray()
        #: All that was printed, in bytes, also what was thrown away.
        self.size = 0
        self.start()

    @property
    def too_large(self) -> bool:
        """Whether more was printed than is kept."""
        return self.size > self._limit

    def finish(self) -> bytes:
        """All that was kept, once the command is gone."""
        self.join(_STRANGER_HOLDS_IT)
        return bytes(self._kept)

    def run(self) -> None:
        """Reads to the end."""
        for chunk in _chunks(self._pipe):
            room = max(0, self._limit - len(self._kept))
            self._kept += chunk[:room]
            self.size += len(chunk)


class Log(threading.Thread):
    """Appends what comes out of a pipe to a job's log: its first half as it comes, of the rest the
    end."""

    def __init__(self, pipe: IO[bytes], store: Store, uuid: str) -> None:
        super().__init__(name="bcrl stderr", daemon=True)
        self._pipe = pipe
        self._fd = store.log.touch(f"{uuid}.log")
        self._room = LOG_LIMIT // 2
        self._tail = bytearray()
        self._left_out = 0
        self._last = bytearray()
        self.start()

    def last_words(self) -> str:
        """The end of it, once the command is gone."""
        self.join(_STRANGER_HOLDS_IT)
        return bytes(self._last).decode("utf-8", "ignore").strip()

    def run(self) -> None:
        """Reads to the end."""
        try:
            os.lseek(self._fd, 0, os.SEEK_END)
            for chunk in _chunks(self._pipe):
                self._take(chunk)
            if self._left_out:
                self._write(f"\n[… {self._left_out} bytes left out …]\n".encode())
            self._write(bytes(self._tail))
        finally:
            os.close(self._fd)

    def _take(self, chunk: bytes) -> None:
        self._last += chunk
        del self._last[:-LAST_WORDS]
        first, rest = chunk[: self._room], chunk[self._room :]
        self._room -= len(first)
        self._write(first)
        self._tail += rest
        surplus = max(0, len(self._tail) - LOG_LIMIT // 2)
        self._left_out += surplus
        del self._tail[:surplus]

    def _write(self, content: bytes) -> None:
        try:
            while content:
                content = content[os.write(self._fd, content) :]
        except OSError as error:
            # The job is not harmed by it.
            log.warning("a log is not whole: %s", error)


def _chunks(pipe: IO[bytes]) -> Iterator[bytes]:
    while True:
        chunk = os.read(pipe.fileno(), _CHUNK)
        if not chunk:
            return
        yield chunk
