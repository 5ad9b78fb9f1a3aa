"""The one place that talks HTTP: it turns an exchange into an answer or into a ``ClientError``.

It never asks twice, never waits of its own accord and follows no redirect; that is up to whoever
asks. Each request has a connection of its own, so that threads need no lock.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import socket
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ._proxy import basic, proxy_for
from ._version import __version__
from .errors import ClientError, ConnectionLost, ForeignAnswer, Problem, Unreachable

#: Where the server is if nobody says so.
DEFAULT_URL = "http://127.0.0.1:8080"

#: Largest JSON answer that is read, in bytes. Results have no such limit.
_JSON_LIMIT = 64 << 20
#: Largest problem document that is read.
_PROBLEM_LIMIT = 1 << 20
_CHUNK = 1 << 16
#: Both are one from Python 3.10 on.
_SILENT = (socket.timeout, TimeoutError)
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')


class Server:
    """The API server at an address."""

    def __init__(self, url: str, timeout: float) -> None:
        """Connects to nothing yet. Raises ValueError where the address is none."""
        parts = _parse(url)
        if not timeout > 0:
            raise ValueError(f"a timeout of more than 0 seconds is due, not {timeout}")
        #: Its address as it may be shown: without a password, without a slash at the end.
        self.url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        #: Longest silence that is borne, in seconds.
        self.timeout = float(timeout)
        self._parts = parts
        self._proxy = proxy_for(parts)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {
            "Accept": "application/json, */*;q=0.5",
            "Accept-Encoding": "identity",
            "Accept-Language": _language(),
            "Connection": "close",
            "User-Agent": f"bcrl-python/{__version__}",
        }
        user = basic(parts)
        if user:
            self._headers["Authorization"] = user

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Sends a request; the head of its answer, which is to be used by ``with``.

        ``timeout`` is the longest silence, in seconds. Raises Unreachable where nothing was sent,
        ConnectionLost where the answer did not come, Problem where the server refuses,
        ForeignAnswer where it redirects.
        """
        silence = self.timeout if timeout is None else timeout
        connection, target, more = self._route(path, min(self.timeout, silence))
        more = {**self._headers, **more, **(headers or {})}
        try:
            response = self._exchange(connection, (method, target, body, more), silence)
        except BaseException:
            connection.close()
            raise
        answer = Answer(self.url, connection, response, silence)
        if response.status in (200, 201, 202, 206, 304):
            return answer
        with answer:
            raise answer.trouble(f"{method} {self.url}{path}")

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        request: tuple[str, str, bytes | None, dict[str, str]],
        silence: float,
    ) -> http.client.HTTPResponse:
        try:
            connection.connect()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise Unreachable(self.url, _because(error, connection.timeout)) from None
        connection.sock.settimeout(silence)
        try:
            return _exchange(connection, *request)
        except (OSError, http.client.HTTPException) as error:
            raise _lost(self.url, error, silence) from None

    def _route(
        self, path: str, timeout: float
    ) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        """A connection, what to ask it for, and the headers that this needs."""
        parts, proxy = self._parts, self._proxy
        target = f"{parts.path}{path}"
        host, port = (proxy.host, proxy.port) if proxy else (parts.hostname or "", parts.port)
        if self._tls is not None:
            secure = http.client.HTTPSConnection(
                host, port, timeout=timeout, context=self._tls, blocksize=_CHUNK
            )
            if proxy:
                secure.set_tunnel(parts.hostname or "", parts.port or 443, proxy.headers)
            return secure, target, {}
        connection = http.client.HTTPConnection(host, port, timeout=timeout, blocksize=_CHUNK)
        if proxy:
            return connection, f"{self.url}{path}", proxy.headers
        return connection, target, {}


class Answer:
    """An answer on its way here. Its body is read piece by piece, so that size costs no memory."""

    def __init__(
        self,
        url: str,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        silence: float,
    ) -> None:
        self._url = url
        self._connection = connection
        self._response = response
        self._silence = silence
        #: Its status.
        self.status = response.status
        #: How many bytes its body has, where it says so.
        self.length: int | None = response.length
        self._left = response.length

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._response.close()
        self._connection.close()

    def header(self, name: str) -> str:
        """A header; empty where there is none."""
        return self._response.getheader(name) or ""

    @property
    def tag(self) -> str:
        """Its ETag; empty where there is none that can be sent back."""
        tag = self.header("ETag")
        return tag if _TAG.fullmatch(tag) else ""

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to ask again, where it says so; dates are not understood."""
        text = self.header("Retry-After").strip()
        return float(text) if re.fullmatch("[0-9]{1,9}", text) else None

    @property
    def tells_its_end(self) -> bool:
        """Whether one that broke off can be told from one that is whole (RFC 9112 section 6.3)."""
        return self.length is not None or bool(self._response.chunked)

    def piece(self) -> bytes:
        """The next piece of the body; empty at its end.

        Raises ConnectionLost where it breaks off before.
        """
        try:
            piece = self._response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _lost(self._url, error, self._silence) from None
        if self._left is not None:
            self._left -= len(piece)
            if not piece and self._left > 0:
                raise ConnectionLost(self._url, f"it broke off {self._left} bytes before the end")
        return piece

    def whole(self, limit: int | None = None) -> bytes:
        """All of the body. Raises ConnectionLost, and ForeignAnswer where it is over the limit."""
        body = bytearray()
        while piece := self.piece():
            body += piece
            if limit is not None and len(body) > limit:
                raise self.foreign(f"an answer of more than {limit} bytes")
        return bytes(body)

    def json(self) -> Any:
        """Its body as Python values. Raises ConnectionLost, and ForeignAnswer where it is no
        JSON."""
        body = self.whole(_JSON_LIMIT)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self.foreign(f"what came is no JSON: {error}") from None

    def foreign(self, what: str) -> ForeignAnswer:
        """That this is not how bcrlapi answers."""
        return ForeignAnswer(self._url, what)

    def trouble(self, asked: str) -> ClientError:
        """What an answer means that is none of the good ones."""
        if self.status < 400:
            location = self.header("Location")
            return self.foreign(
                f"it redirects to {location[:200]}" if location else f"status {self.status}"
            )
        # A proxy's error page is no problem document, and none of it helps; the status does.
        try:
            document = json.loads(self.whole(_PROBLEM_LIMIT))
        except (ClientError, ValueError, RecursionError):
            document = None
        known = document if isinstance(document, dict) else {}
        return Problem(asked, self.status, known, self.retry_after)


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None,
    headers: dict[str, str],
) -> http.client.HTTPResponse:
    try:
        # Piece by piece: the time-out is then for each of them, not for all together.
        pieces = None if body is None else io.BytesIO(body)
        size = {} if body is None else {"Content-Length": str(len(body))}
        connection.request(method, target, pieces, {**headers, **size})
    except (BrokenPipeError, ConnectionResetError) as error:
        # A server that refuses a body need not read it to its end. Its answer is there already.
        try:
            return connection.getresponse()
        except (OSError, http.client.HTTPException):
            raise error from None
    return connection.getresponse()


def _parse(url: str) -> SplitResult:
    """The parts of a server's address; paths are put behind it, so nothing may follow its own."""
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not (
        sound
        and parts.scheme in ("http", "https")
        and not (parts.query or parts.fragment)
        and re.fullmatch(r"[\x21-\x7e]*", parts.path)
        and re.fullmatch(r"[^\s\x00-\x1f\x7f]+", url)
    ):
        shown = re.sub(r"//[^/]*@", "//", url)
        raise ValueError(f"{shown!r} is no address of a server: one such as {DEFAULT_URL} is due")
    return parts._replace(path=parts.path.rstrip("/"))


def _language() -> str:
    """The language of labels: that of the locale, as for the command ``bcrl``."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((name for name in names if name), "")
    return "ja" if locale.startswith("ja") else "en"


def _lost(url: str, error: Exception, silence: float) -> ConnectionLost:
    return ConnectionLost(url, _because(error, silence), silent=isinstance(error, _SILENT))


def _because(error: Exception, silence: float | None) -> str:
    """The cause in the system's words, without those of our libraries."""
    if isinstance(error, _SILENT) and silence is not None:
        return f"nothing came for {silence:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it was closed without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "it broke off before the end"
    if isinstance(error, http.client.HTTPException):
        return f"what came is no HTTP ({type(error).__name__})"
    strerror = getattr(error, "strerror", None)
    return (strerror or str(error) or type(error).__name__).lower()
