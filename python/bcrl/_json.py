"""JSON as it is written: values are kept to the last digit, and judged as the services do it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Callable

#: Deepest nesting of objects and arrays that the services read.
DEPTH_LIMIT = 127

_BLANK = re.compile(r"[ \t\n\r]*")
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|([\[{])|([\]}])', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Escapes from left to right; only a surrogate without its other half is in the group.
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F])|.)",
    re.DOTALL,
)


class NotJson(ValueError):
    """A text that is no JSON document."""


def _refused(word: str) -> Any:
    raise NotJson(f"{word} is no number in JSON")


def _finite(digits: str) -> None:
    if math.isinf(float(digits)):
        raise NotJson("number out of range")


def _nothing(_: Any) -> None:
    return None


# Numbers of any length are only looked at, never converted.
_CHECK = json.JSONDecoder(
    parse_int=_finite,
    parse_float=_finite,
    parse_constant=_refused,
    object_pairs_hook=_nothing,
)
_SKIP = json.JSONDecoder(
    parse_int=_nothing,
    parse_float=_nothing,
    parse_constant=_refused,
    object_pairs_hook=_nothing,
)
_READ = json.JSONDecoder(parse_constant=_refused)
_READ_WORDS = json.JSONDecoder(parse_int=_nothing, parse_float=_nothing, parse_constant=_refused)


def read(text: str) -> Any:
    """The value of a document, without NaN and infinities; raises NotJson."""
    return _said(lambda: _READ.decode(text))


def read_words(text: str) -> Any:
    """The same with None for every number: for those who need none, of whatever length they are."""
    return _said(lambda: _READ_WORDS.decode(text))


def check(document: bytes) -> None:
    """Makes sure that this is one JSON document that every service reads; raises NotJson."""
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"it is not UTF-8: byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise NotJson("it begins with a byte order mark")
    _check_depth(text)
    _said(lambda: _CHECK.decode(text))
    if _SURROGATE.search(text) and any(match.group(1) for match in _ESCAPES.finditer(text)):
        raise NotJson("half of a surrogate pair stands alone")


def dumps(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """A value in one line without blanks, as the services write it; raises ValueError. ``default``
    is asked for something else in place of what JSON does not know."""
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default
    )


def is_writeable(text: str) -> bool:
    """Whether a text can stand in a file: JSON can name halves of characters, UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def members(text: str, start: int = 0) -> tuple[list[tuple[str, str]], int]:
    """The members of the object that begins at ``start``, each value as it is written, and where
    the object ends; raises NotJson."""
    found: list[tuple[str, str]] = []
    place = _sign(text, start, "{")
    if _at(text, place) == "}":
        return found, _skip(text, place)
    while True:
        if _at(text, place) != '"':
            raise _expected(text, place, "a name in quotes")
        name, place = _decode(_READ, text, _blank(text, place))
        place = _sign(text, place, ":")
        begin = _blank(text, place)
        _, place = _decode(_SKIP, text, begin)
        found.append((name, text[begin:place]))
        if _at(text, place) == "}":
            return found, _skip(text, place)
        place = _sign(text, place, ",")


def elements(text: str, start: int = 0) -> tuple[list[str], int]:
    """The elements of the array that begins at ``start``, as they are written, and where the
    array ends; raises NotJson."""
    found: list[str] = []
    place = _sign(text, start, "[")
    if _at(text, place) == "]":
        return found, _skip(text, place)
    while True:
        begin = _blank(text, place)
        _, place = _decode(_SKIP, text, begin)
        found.append(text[begin:place])
        if _at(text, place) == "]":
            return found, _skip(text, place)
        place = _sign(text, place, ",")


def ends(text: str, place: int) -> bool:
    """Whether nothing but blanks follows."""
    return _blank(text, place) == len(text)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= DEPTH_LIMIT:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match.group(1):
            depth += 1
            if depth > DEPTH_LIMIT:
                raise NotJson(f"it is nested deeper than {DEPTH_LIMIT} levels")
        elif match.group(2):
            depth -= 1


def _said(decode: Callable[[], Any]) -> Any:
    try:
        return decode()
    except NotJson:
        raise
    except RecursionError:
        raise NotJson("it is nested too deep") from None
    except ValueError as error:
        raise NotJson(str(error)) from None


def _decode(decoder: json.JSONDecoder, text: str, place: int) -> tuple[Any, int]:
    value, end = _said(lambda: decoder.raw_decode(text, place))
    return value, end


def _blank(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    return place if match is None else match.end()


def _at(text: str, place: int) -> str:
    place = _blank(text, place)
    return text[place : place + 1]


def _skip(text: str, place: int) -> int:
    return _blank(text, place) + 1


def _sign(text: str, place: int, sign: str) -> int:
    if _at(text, place) != sign:
        raise _expected(text, place, repr(sign))
    return _skip(text, place)


def _expected(text: str, place: int, what: str) -> NotJson:
    place = _blank(text, place)
    line = text.count("\n", 0, place) + 1
    return NotJson(f"{what} is due at line {line} column {place - text.rfind(chr(10), 0, place)}")
