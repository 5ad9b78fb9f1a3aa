"""A result on its way into a file: piece by piece, and on from where a connection broke."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import IO

from ._http import Answer, Server
from ._pauses import TROUBLE, Trouble, rest
from .errors import ClientError, Problem

_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


class Download:
    """Fetches a body that does not change, to the letter."""

    def __init__(
        self, server: Server, path: str, sink: IO[bytes], timeout: float | None = None
    ) -> None:
        """``sink`` is written from its beginning; it can seek. Trouble is borne for two minutes,
        and no longer than ``timeout`` seconds."""
        self._server = server
        self._path = path
        self._sink = sink
        self._trouble = Trouble(TROUBLE if timeout is None else min(TROUBLE, timeout))
        #: How many bytes of this body are there.
        self._have = 0
        #: The most that were ever there: only what goes beyond is an end of trouble.
        self._furthest = 0
        #: What the body is called; empty where the rest of it cannot be asked for.
        self._tag = ""

    def run(self) -> None:
        """Fetches it whole.

        Where the connection breaks it goes on with the rest; what keeps it from that is raised once
        it has lasted too long.
        """
        while True:
            try:
                with self._ask() as answer:
                    self._begin(answer)
                    while piece := answer.piece():
                        self._write(piece)
                return
            except ClientError as error:
                pause = self._bear(error)
                if pause is None:
                    raise
            rest(pause)

    def _ask(self) -> Answer:
        headers = {}
        if self._have and self._tag:
            headers = {"Range": f"bytes={self._have}-", "If-Range": self._tag}
        return self._server.ask("GET", self._path, headers=headers)

    def _bear(self, error: ClientError) -> float | None:
        """How long to wait after an error; None where there is no sense in asking again."""
        if isinstance(error, Problem) and error.status == 416 and self._tag:
            # Nothing is behind what is there, and still it did not end: it is fetched anew.
            self._tag = ""
            return 0.0
        return self._trouble.pause(error)

    def _begin(self, answer: Answer) -> None:
        """Makes sure that what comes now belongs behind what is there."""
        if answer.header("Content-Encoding").lower() not in ("", "identity"):
            raise answer.foreign("something in between compresses what is to come to the letter")
        if not answer.tells_its_end:
            raise answer.foreign("the answer does not say where it ends")
        if answer.status == 206:
            if not (self._have and self._is_the_rest(answer)):
                raise answer.foreign("another part came than was asked for")
            return
        if answer.status != 200:
            raise answer.foreign(f"status {answer.status} in place of a result")
        self._sink.seek(0)
        self._sink.truncate()
        self._have = 0
        # A weak tag does not promise the same bytes (RFC 9110 section 13.1.5).
        self._tag = "" if answer.tag.startswith("W/") else answer.tag

    def _is_the_rest(self, answer: Answer) -> bool:
        """Whether a part is all that is missing, and of the same body."""
        place = _CONTENT_RANGE.fullmatch(answer.header("Content-Range"))
        if place is None:
            return False
        first, last, size = map(int, place.groups())
        return (first, last + 1, answer.tag) == (self._have, size, self._tag)

    def _write(self, piece: bytes) -> None:
        self._sink.write(piece)
        self._have += len(piece)
        if self._have > self._furthest:
            self._furthest = self._have
            self._trouble.is_over()


def save(
    server: Server, path: str, target: str | os.PathLike[str], timeout: float | None = None
) -> Path:
    """Fetches a body into a file, which is there whole or not at all; one that exists is replaced.

    Raises ClientError, and OSError with the file's path.
    """
    file = Path(target)
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; the name of a file is due")
    unfinished = file.with_name(f"{file.name}.{secrets.token_hex(8)}.part")
    try:
        with open(unfinished, "xb") as sink:
            Download(server, path, sink, timeout).run()
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(unfinished, file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return file
