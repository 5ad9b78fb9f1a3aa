"""Text of others, made fit for a terminal: it moves no cursor and takes the room it is given."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """The text in one line, with a blank for every control character."""
    return "".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in text).strip()


def plain_lines(text: str) -> str:
    """The same line by line; further lines stand under the first."""
    return "\n  ".join(plain(line) for line in text.splitlines())


def width(text: str) -> int:
    """How many columns a line takes: two for each full-width character, such as Japanese ones."""
    return sum(_columns(sign) for sign in text)


def cut(text: str, columns: int) -> str:
    """As much of a line as has room in so many columns."""
    if width(text) <= columns:
        return text
    kept, used = "", 1
    for sign in text:
        used += _columns(sign)
        if used > columns:
            break
        kept += sign
    return f"{kept}…"


def _columns(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
