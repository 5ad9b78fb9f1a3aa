"""Sockets of our own before the client: one that answers by a script, so that a test decides every
byte of what comes, and one that stands between client and server and lets connections break."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, NamedTuple, Union
from unittest import mock

from .support import PATIENCE

#: Reads a request and closes the connection.
HANG_UP = "hang up"
#: The same as if the host had died: what was sent and not yet read is gone.
RESET = "reset"
#: Reads a request and never answers.
HOLD = "hold"

Step = tuple[str, Union[bytes, str]]


class Asked(NamedTuple):
    """A request as it came."""

    #: Method, path and query.
    line: str
    #: By their names in lower case.
    headers: dict[str, str]
    body: bytes


def answer(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> bytes:
    """An answer; a body that is no bytes is sent as JSON. ``headers`` go over the usual ones."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
    every = {
        "content-type": "application/json",
        **({} if status == 304 else {"content-length": str(len(content))}),
        **(headers or {}),
    }
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in every.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def problem(status: int, name: str, headers: dict[str, str] | None = None, **more: Any) -> bytes:
    """A problem document."""
    document = {"type": f"/problems/{name}", "title": "t", "status": status, **more}
    return answer(status, document, {"content-type": "application/problem+json", **(headers or {})})


class ScriptedServer:
    """Answers the requests that are due, in their order, on a port of its own::

        with ScriptedServer(("GET /api/v1/apis", answer(200, {"apis": []}))) as server:
            Client(server.url).apis()

    At the end of the block every step was due, and nothing else was asked for.
    """

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self._wrong: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        #: The requests, as they came.
        self.asked: list[Asked] = []
        #: Set once a request came that is never answered.
        self.is_held = threading.Event()
        self.address = self._listener.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A connection without a request is the sign to end.
        socket.create_connection(self.address).close()
        self._thread.join(PATIENCE)
        self._listener.close()
        for connection in self._held:
            connection.close()
        if error is None:
            assert not self._wrong, f"asked for, and not due: {self._wrong}"
            assert not self._steps, f"never asked for: {self._steps}; asked: {self.asked}"

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            asked = _read(connection)
            if asked is None:
                connection.close()
                return
            self.asked.append(asked)
            if self._steps and self._steps[0][0] == asked.line:
                self._react(connection, self._steps.pop(0)[1])
            else:
                self._wrong.append(asked.line)
                connection.close()

    def _react(self, connection: socket.socket, reaction: bytes | str) -> None:
        if reaction == HOLD:
            self._held.append(connection)
            self.is_held.set()
            return
        if isinstance(reaction, bytes):
            # Whether the client is still there is its own business.
            with suppress(OSError):
                connection.sendall(reaction)
        elif reaction == RESET:
            _reset(connection)
        connection.close()


def _read(connection: socket.socket) -> Asked | None:
    with connection.makefile("rb") as stream:
        first = stream.readline().decode("latin-1").strip()
        if not first:
            return None
        headers: dict[str, str] = {}
        while line := stream.readline().decode("latin-1").strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = stream.read(int(headers.get("content-length", "0")))
    return Asked(first.rpartition(" HTTP/")[0], headers, body)


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Relay:
    """Passes connections on to a server, whose address may change, and breaks those it is told to.

    Without a server behind it, it closes each connection at once.
    """

    def __init__(self, url: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server: str | None = url
        self._cuts: list[int] = []
        #: How many connections came, broken ones included.
        self.connections = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def lead_to(self, url: str | None) -> None:
        """Leads what comes next to another server, or to none."""
        self._server = url

    def break_after(self, *sizes: int) -> None:
        """Breaks the next connections, each after so many bytes of what the server sends."""
        self._cuts += sizes

    def close(self) -> None:
        """Takes no more connections."""
        # A listener that is only closed would still wait in its accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        cut = self._cuts.pop(0) if self._cuts else None
        with client:
            if self._server is None:
                return
            host, _, port = self._server.rpartition("/")[2].partition(":")
            with suppress(OSError), socket.create_connection((host, int(port))) as server:
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                _pump(server, client, cut)
                # Closing alone tells nobody while the other thread still reads.
                client.shutdown(socket.SHUT_RDWR)
                server.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, target: socket.socket, limit: int | None = None) -> None:
    with suppress(OSError):
        while limit is None or limit > 0:
            piece = source.recv(1 << 16 if limit is None else min(limit, 1 << 16))
            if not piece:
                break
            target.sendall(piece)
            limit = None if limit is None else limit - len(piece)


class Clock:
    """Time that only goes on when the client rests; and how long it rested each time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.rests: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.rests.append(round(seconds, 3))


@contextmanager
def clock() -> Iterator[Clock]:
    """Lets the client live by a clock of the test."""
    time = Clock()
    with mock.patch.multiple("bcrl._pauses", monotonic=time.monotonic, sleep=time.sleep):
        with mock.patch("bcrl._follow.monotonic", time.monotonic):
            yield time
