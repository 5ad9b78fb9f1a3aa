"""The text of the index, ``request/status.json``: one entry a line.

It is written byte for byte as the services write it. Entries that break the contract are carried
along as they are: only whoever mends the folder puts them aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Union

from . import _json
from ._entry import Entry, NotAnEntry

#: The index's file, in ``request/``.
INDEX = "status.json"
#: The generation before, kept for the day on which the index is damaged.
PREVIOUS = ".status.prev.json"
#: The largest index that is read, in bytes.
SIZE_LIMIT = 64 << 20

_HEAD = '{"jobs":[\n'
_TAIL = "\n]}\n"

#: An entry, or the line of something that breaks the contract.
Line = Union[Entry, str]


class Damage(ValueError):
    """A text that is no index at all."""


class Index:
    """What the index says. Every id stands in it once; further ones are mere lines."""

    def __init__(self, lines: Sequence[Line] = (), foreign: Sequence[tuple[str, str]] = ()) -> None:
        self._lines: list[Line] = []
        self._places: dict[str, int] = {}
        #: Somebody's keys beside ``jobs``, as they were written.
        self._foreign = list(foreign)
        for line in lines:
            if isinstance(line, Entry):
                if line.uuid in self._places:
                    line = line.line
                else:
                    self._places[line.uuid] = len(self._lines)
            self._lines.append(line)

    @classmethod
    def parse(cls, data: bytes, known: Mapping[str, Entry] | None = None) -> Index:
        """Reads an index; raises Damage. ``known`` are entries by their line that need no second
        look."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Damage(f"it is not UTF-8: byte {error.start}") from None
        # Some editors begin every file with a byte order mark; what follows is an index all the
        # same.
        text = text.removeprefix("\ufeff")
        index = _parse_lines(text, known or {})
        return index if index is not None else _parse_whole(text)

    def __iter__(self) -> Iterator[Entry]:
        return (line for line in self._lines if isinstance(line, Entry))

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, uuid: str) -> Entry | None:
        """The job with this id."""
        place = self._places.get(uuid)
        line = None if place is None else self._lines[place]
        return line if isinstance(line, Entry) else None

    def put(self, entry: Entry) -> None:
        """Replaces the entry that has this id, or appends a job at the end."""
        place = self._places.get(entry.uuid)
        if place is None:
            self._places[entry.uuid] = len(self._lines)
            self._lines.append(entry)
        else:
            self._lines[place] = entry

    def by_line(self) -> dict[str, Entry]:
        """The entries by their lines, for whoever reads the next generation."""
        return {entry.line: entry for entry in self}

    def to_text(self) -> str:
        """The index's text."""
        if not self._lines and not self._foreign:
            return '{"jobs":[]}\n'
        lines = (line.line if isinstance(line, Entry) else line for line in self._lines)
        entries = ",\n".join(lines)
        foreign = "".join(f",\n{_json.dumps(name)}:{value}" for name, value in self._foreign)
        return '{"jobs":[' + ("\n" if entries else "") + entries + "\n]" + foreign + "}\n"


def _parse_lines(text: str, known: Mapping[str, Entry]) -> Index | None:
    """Reads the services' own form; None where any of it is in another form."""
    fits = text.startswith(_HEAD) and text.endswith(_TAIL)
    if not fits or len(text) < len(_HEAD) + len(_TAIL):
        return None
    texts = text[len(_HEAD) : -len(_TAIL)].split("\n")
    last = len(texts) - 1
    lines: list[Line] = []
    for number, line in enumerate(texts):
        if number < last:
            if not line.endswith(","):
                return None
            line = line[:-1]
        entry = known.get(line)
        if entry is None:
            try:
                entry = Entry.parse(line)
            except NotAnEntry:
                lines.append(line)
                continue
            except _json.NotJson:
                return None
        lines.append(entry)
    return Index(lines)


def _parse_whole(text: str) -> Index:
    """Reads any form."""
    jobs: list[str] | None = None
    foreign: list[tuple[str, str]] = []
    try:
        fields, end = _json.members(text)
        if not _json.ends(text, end):
            raise Damage("it goes on after its end")
        for name, value in fields:
            if not _json.is_writeable(name):
                raise Damage("a name in it is half a surrogate pair")
            if name != "jobs":
                foreign.append((name, value))
            elif jobs is not None:
                raise Damage('"jobs" stands in it twice')
            else:
                jobs, _ = _json.elements(value)
    except _json.NotJson as error:
        raise Damage(f"it is no index: {error}") from None
    if jobs is None:
        raise Damage('it has no array "jobs"')
    return Index([_entry_or_line(job) for job in jobs], foreign)


def _entry_or_line(text: str) -> Line:
    try:
        return Entry.parse(text)
    except (NotAnEntry, _json.NotJson):
        return text.replace("\r", " ").replace("\n", " ")
