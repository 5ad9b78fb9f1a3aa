"""A moment with its zone's offset, as it stands in every file of the folder."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
# What the services write, but for a zero offset with a minus.
_OURS = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:\+|-(?!00:00))[01]\d:[0-5]\d", re.ASCII
)


class Date:
    """A moment in whole milliseconds, with the offset of the zone in which it was noted.

    Two dates are compared by their ``moment``, written by their ``text``.
    """

    __slots__ = ("moment", "text")

    def __init__(self, moment: datetime, text: str) -> None:
        #: For comparisons; it has a time zone.
        self.moment = moment
        #: RFC 3339 with milliseconds and offset: ``2023-10-01T00:00:00.000+09:00``.
        self.text = text

    @classmethod
    def of(cls, moment: datetime) -> Date:
        """The date of this moment, which has a time zone."""
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        return cls(moment, moment.isoformat(timespec="milliseconds"))

    def after(self, seconds: float) -> Date:
        """The date so much later."""
        return Date.of(self.moment + timedelta(seconds=seconds))

    def now(self) -> Date:
        """What time it is, in this date's zone.

        All services of a site note dates in one zone, so that a job's own dates tell which.
        """
        return Date.of(datetime.now(self.moment.tzinfo))

    def __repr__(self) -> str:
        return f"Date({self.text})"


def parse(value: Any) -> Date | None:
    """Reads any RFC 3339; None where it is something else."""
    if isinstance(value, str) and _OURS.fullmatch(value):
        try:
            return Date(datetime.fromisoformat(value), value)
        except ValueError:
            pass
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    millis = (match.group(7) or "")[:3].ljust(3, "0")
    sign, hours, minutes = match.group(8) or "+", match.group(9) or "00", match.group(10) or "00"
    if int(hours) > 23 or int(minutes) > 59 or second > 60:
        return None
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    sign = sign if offset else "+"
    zone = timezone(-offset if sign == "-" else offset)
    try:
        # A leap second is written as one, and is the last millisecond of its minute to compare.
        leap = second == 60
        parts = (59, 999_000) if leap else (second, int(millis) * 1000)
        moment = datetime(year, month, day, hour, minute, *parts, tzinfo=zone)
    except ValueError:
        return None
    head = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    return Date(moment, f"{head}.{millis}{sign}{hours}:{minutes}")


def compact(date: Date) -> str:
    """The date for a file's name: ``20231001T000000.000``."""
    return re.sub("[:-]", "", date.text[:23])
