"""One line on stderr that shows how far a job is, where somebody can see it.

A terminal and a notebook can; a log cannot, and gets nothing.
"""

from __future__ import annotations

import shutil
import sys
from typing import TextIO

from ._plain import cut, plain, width

#: Columns of a line in a notebook, which does not tell its width.
_NOTEBOOK = 100


class Line:
    """A line that is written over again and again."""

    def __init__(self, out: TextIO, columns: int) -> None:
        self._out = out
        self._columns = columns
        self._used = 0
        self._is_broken = False

    @classmethod
    def here(cls) -> Line | None:
        """A line on stderr; None where nobody sees it."""
        out = sys.stderr
        # In a notebook it is the kernel's own, and no terminal.
        if type(out).__module__.partition(".")[0] == "ipykernel":
            return cls(out, _NOTEBOOK)
        try:
            if out.isatty():
                return cls(out, shutil.get_terminal_size().columns)
        except (AttributeError, ValueError):
            # There is none, or it was closed.
            pass
        return None

    def show(self, text: str) -> None:
        """Writes over what stands there."""
        # The last column stays free: some terminals go on in the next line after it.
        shown = cut(plain(text), self._columns - 1)
        used = width(shown)
        self._write(f"\r{shown}{' ' * (self._used - used)}")
        self._used = used

    def clear(self) -> None:
        """Takes it away; what is written next stands in its place."""
        if self._used:
            self.show("")
            self._write("\r")

    def end(self, text: str) -> None:
        """Writes a last text, of which nothing is cut, and leaves it there."""
        self.clear()
        self._write(f"{plain(text)}\n")

    def _write(self, text: str) -> None:
        if self._is_broken:
            return
        try:
            encoding = getattr(self._out, "encoding", None) or "utf-8"
            self._out.write(text.encode(encoding, "replace").decode(encoding))
            self._out.flush()
        except (OSError, ValueError, LookupError):
            # Where stderr is gone there is nobody to tell, and the waiting goes on without it.
            self._is_broken = True
