"""Changes to the index by hand, done safely: under the lock, checked, whole."""

from __future__ import annotations

from typing import Any, Callable

from . import _dates, _json, _life
from ._entry import Entry, NotAnEntry
from ._locked import Found, Locked, locked
from ._records import Unreadable
from ._state import DONE, FINAL, PENDING, PROCESSING, Failure
from ._store import Store
from .errors import InvalidEdit

#: What a job was submitted with.
_FIXED = ("uuid", "api", "request_date")


def edit(store: Store, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Calls ``change`` with the list of entries while the lock is held, checks what it made of
    them, and commits. Raises InvalidEdit where that would break a rule; nothing is changed then,
    and neither is anything where ``change`` raises."""
    # Parsed before the lock is taken, once to show and once to compare.
    ready = {entry.line: (_fields(entry), _fields(entry)) for entry in store.snapshot()}
    with locked(store) as guard:
        entries, shown, before = [], [], []
        for entry in guard.index:
            pair = ready.get(entry.line) or (_fields(entry), _fields(entry))
            if pair[0] is not None and pair[1] is not None:
                entries.append(entry)
                shown.append(pair[0])
                before.append(pair[1])
        change(shown)
        _check_list(entries, shown)
        for entry, old, new in zip(entries, before, shown):
            if new != old:
                guard.put(_changed(guard, entry, old, new))
        for new in shown[len(entries) :]:
            guard.put(_added(guard, new))
        guard.commit()


def _fields(entry: Entry) -> dict[str, Any] | None:
    try:
        return entry.fields()
    except _json.NotJson:
        # With a number of thousands of digits; such an entry is kept, and not shown.
        return None


def _check_list(entries: list[Entry], shown: list[dict[str, Any]]) -> None:
    for new in shown:
        if not isinstance(new, dict):
            raise InvalidEdit(f"an entry has become {type(new).__name__}; an object is due")
    kept = [new.get("uuid") for new in shown[: len(entries)]]
    if kept != [entry.uuid for entry in entries]:
        raise InvalidEdit(
            "entries were removed, moved or renamed; all stay, in their order, and new ones come "
            "at the end"
        )
    uuids = [new.get("uuid") for new in shown]
    for uuid in uuids[len(entries) :]:
        if uuids.count(uuid) > 1:
            raise InvalidEdit(f"{uuid} stands in the list twice")


def _changed(guard: Locked, entry: Entry, old: dict[str, Any], new: dict[str, Any]) -> Entry:
    uuid, status = entry.uuid, new.get("status")
    for name in _FIXED:
        if new.get(name) != old.get(name):
            raise InvalidEdit(f"job {uuid}: its {name} never changes")
    if new.get("token") != old.get("token"):
        raise InvalidEdit(f"job {uuid}: a token belongs to the run that has it")
    if status != entry.status:
        if entry.status in FINAL:
            raise InvalidEdit(f"job {uuid}: it is {entry.status}, which is final")
        if entry.token is not None:
            raise InvalidEdit(f"job {uuid}: a worker runs it; ask for its end over HTTP")
        _check_status(guard, entry, new)
    _check_ours(uuid, new)
    return _entry(uuid, _line(entry.line, old, new))


def _check_status(guard: Locked, entry: Entry, new: dict[str, Any]) -> None:
    uuid, status, store = entry.uuid, new.get("status"), guard.store
    if store.receipt.has(f"{uuid}.json"):
        raise InvalidEdit(f"job {uuid}: it has ended, as its receipt says")
    if status == PROCESSING:
        if not guard.is_claimable(uuid):
            raise InvalidEdit(f"job {uuid}: it has a result already, or a client wants its end")
        if not store.request.has(f"{uuid}.json"):
            raise InvalidEdit(f"job {uuid}: its request is no longer in the folder")
    if status == DONE:
        name = f"{uuid}.json"
        if not store.response.has(name) or guard.judge_response(uuid, b"") is Found.BROKEN:
            raise InvalidEdit(f"job {uuid}: {store.response.at(name)} is no JSON document")


def _check_ours(uuid: str, new: dict[str, Any]) -> None:
    if "finished_date" in new and _dates.parse(new["finished_date"]) is None:
        raise InvalidEdit(f"job {uuid}: its finished_date is no RFC 3339 date")
    if "failure" in new and Failure.read(new["failure"]) is None:
        raise InvalidEdit(f"job {uuid}: its failure is not {{reason, message}} in known words")


def _added(guard: Locked, new: dict[str, Any]) -> Entry:
    entry = _entry(str(new.get("uuid")), _json_line(new))
    if entry.status != PENDING:
        raise InvalidEdit(f"job {entry.uuid}: a new entry is pending")
    try:
        _life.request_of(guard.store, entry)
    except Unreadable as error:
        raise InvalidEdit(f"job {entry.uuid}: {error}") from None
    return entry


def _line(text: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """The entry with what was changed; all other values as they were written."""
    written = dict(_json.members(text)[0])
    parts = (
        f"{_json.dumps(name)}:"
        + (written[name] if name in old and old[name] == value else _json_line(value))
        for name, value in new.items()
    )
    return "{" + ",".join(parts) + "}"


def _json_line(value: Any) -> str:
    try:
        line = _json.dumps(value)
        line.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEdit(f"an entry cannot be written as JSON: {error}") from None
    return line


def _entry(uuid: str, line: str) -> Entry:
    try:
        return Entry.parse(line)
    except (NotAnEntry, _json.NotJson) as error:
        raise InvalidEdit(f"job {uuid}: {error}") from None
