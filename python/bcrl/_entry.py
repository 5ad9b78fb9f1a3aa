"""One job's line in the index.

Four fields are the contract with everybody who reads or edits the file: ``uuid``, ``api``,
``status``, ``request_date``. Ours are optional; whatever else stands in a line is somebody's, and
is kept to the letter.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Callable, TypeVar

from . import _dates, _json, _names
from ._dates import Date
from ._state import FAILED, FINAL, PROCESSING, STATUSES, Failure, State

T = TypeVar("T")

_LINE_END = re.compile("[\r\n]")


class NotAnEntry(ValueError):
    """A JSON text that breaks the contract of an entry."""


class Entry:
    """One job as the index knows it. It is never changed; ``with_state`` makes another one."""

    __slots__ = ("uuid", "api", "status", "request_date", "token", "line")

    def __init__(
        self, uuid: str, api: str, status: str, request_date: Date, token: str | None, line: str
    ) -> None:
        self.uuid = uuid
        self.api = api
        self.status = status
        self.request_date = request_date
        #: The token of the run that is under way.
        self.token = token
        #: The entry as one line of JSON, without the comma behind it.
        self.line = line

    @classmethod
    def parse(cls, text: str) -> Entry:
        """Reads one entry; raises NotJson or NotAnEntry.

        An entry that nobody changes comes out again to the letter; one that spans lines is given
        one line.
        """
        fields = _json.read_words(text)
        if not isinstance(fields, dict):
            raise NotAnEntry("it is no object")
        uuid, api, status = (fields.get(name) for name in ("uuid", "api", "status"))
        if not isinstance(uuid, str) or not _names.is_job(uuid):
            raise NotAnEntry("its uuid is no job id")
        if not isinstance(api, str) or not _names.is_api(api):
            raise NotAnEntry("its api is no API name")
        if not isinstance(status, str) or status not in STATUSES:
            raise NotAnEntry("its status is unknown")
        date = _dates.parse(fields.get("request_date"))
        if date is None:
            raise NotAnEntry("its request_date is no RFC 3339 date")
        if "\\u" in text and not _json.is_writeable("".join(fields)):
            raise NotAnEntry("a name in it is half a surrogate pair")
        token = _names.token_of(fields.get("token")) if status == PROCESSING else None
        line = _written(text, None) if _LINE_END.search(text) else text
        return cls(uuid, api, status, date, token, line)

    def with_state(self, state: State) -> Entry:
        """The same job in another state. Of a failure's message the index keeps the beginning."""
        if state.failure is not None:
            state = replace(state, failure=state.failure.in_brief())
        line = _written(self.line, state)
        return Entry(self.uuid, self.api, state.status, self.request_date, state.token, line)

    def finished(self) -> Date | None:
        """When the job ended, where the entry tells."""
        fields = _json.read_words(self.line)
        return _dates.parse(fields.get("finished_date")) if self.status in FINAL else None

    def fields(self) -> dict[str, Any]:
        """All fields, as JSON values; raises NotJson where a number is absurd."""
        fields: dict[str, Any] = _json.read(self.line)
        return fields


def pending(uuid: str, api: str, request_date: Date) -> Entry:
    """The entry of a job that waits and has no history."""
    fields = {"uuid": uuid, "api": api, "status": "pending", "request_date": request_date.text}
    return Entry(uuid, api, "pending", request_date, None, _json.dumps(fields))


class _Fields:
    """The fields of an entry in their order, values as they are written."""

    def __init__(self, text: str) -> None:
        self.left, _ = _json.members(text)

    def take(self, name: str) -> Any:
        """Takes the last field of this name; doubles before it go as well."""
        values = [value for other, value in self.left if other == name]
        self.left = [(other, value) for other, value in self.left if other != name]
        return _json.read(values[-1]) if values else None

    def maybe(self, name: str, read: Callable[[Any], T | None]) -> T | None:
        """A field of ours that somebody filled with something else is theirs, and stays."""
        values = [value for other, value in self.left if other == name]
        found = read(_json.read(values[-1])) if values else None
        if found is not None:
            self.take(name)
        return found


def _state_in(fields: _Fields) -> State:
    status = fields.take("status")
    token = fields.maybe("token", _names.token_of) if status == PROCESSING else None
    finished = fields.maybe("finished_date", _dates.parse) if status in FINAL else None
    failure = fields.maybe("failure", Failure.read) if status == FAILED else None
    return State(status, token, finished, failure)


def _written(text: str, state: State | None) -> str:
    """An entry in the services' own form: our fields first, then all others as they were."""
    fields = _Fields(text)
    uuid, api = fields.take("uuid"), fields.take("api")
    old = _state_in(fields)
    # What belongs to another status than the one it had is no longer true.
    if old.status != PROCESSING:
        fields.take("token")
    if old.status not in FINAL:
        fields.take("finished_date")
        fields.take("failure")
    state = state or old
    date = _dates.parse(fields.take("request_date"))
    if date is None:
        raise NotAnEntry("its request_date is no RFC 3339 date")
    retrieved = fields.maybe("retrieved_date", _dates.parse)
    ours: dict[str, Any] = {
        "uuid": uuid,
        "api": api,
        "status": state.status,
        "request_date": date.text,
        "token": state.token,
        "finished_date": state.finished.text if state.finished else None,
        "failure": state.failure.document() if state.failure else None,
        "retrieved_date": retrieved.text if retrieved else None,
    }
    line = _json.dumps({name: value for name, value in ours.items() if value is not None})
    return line[:-1] + "".join(_foreign(name, value) for name, value in fields.left) + "}"


def _foreign(name: str, value: str) -> str:
    # A value that was written over several lines gets one: line ends stand only between its parts.
    return f",{_json.dumps(name)}:{_LINE_END.sub(' ', value)}"


def state_of(entry: Entry) -> State:
    """The entry's state with all that belongs to it."""
    return _state_in(_Fields(entry.line))
