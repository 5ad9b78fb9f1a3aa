"""Estimates the state of charge of a cell by coulomb counting.

Reads a request (see request.schema.json) on stdin and prints the result as JSON. By hand:

    python3 apps/soc/main.py < apps/soc/example.json
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Sequence

SECONDS_PER_HOUR = 3600


def main() -> None:
    try:
        result = estimate(Measurement(**json.load(sys.stdin.buffer)))
    except BadRequest as error:
        sys.exit(f"bad request: {error}")
    print(json.dumps(result, allow_nan=False))


class BadRequest(Exception):
    """The request fits the schema and still makes no sense."""


@dataclass(frozen=True)
class Measurement:
    """The request. What the schema says of it holds; the rest is checked here."""

    capacity_ah: float
    initial_soc: float
    time_s: Sequence[float]
    current_a: Sequence[float]
    voltage_v: Sequence[float] | None = None

    def __post_init__(self) -> None:
        samples = len(self.time_s)
        for name in ("current_a", "voltage_v"):
            series = getattr(self, name)
            if series is not None and len(series) != samples:
                raise BadRequest(f"{name} has {len(series)} values, time_s has {samples}")
        for index, (earlier, later) in enumerate(zip(self.time_s, self.time_s[1:]), 1):
            if not earlier < later:
                raise BadRequest(f"time_s must increase: [{index}] is {later}, after {earlier}")


def estimate(measurement: Measurement) -> dict[str, Any]:
    """The result. SOC is not clamped: outside of 0 to 1, some input is wrong."""
    time_s, current_a = measurement.time_s, measurement.current_a
    full_coulombs = SECONDS_PER_HOUR * measurement.capacity_ah

    coulombs = trapezoids(time_s, current_a)
    soc = [measurement.initial_soc]
    for discharged in running_sums(with_progress(coulombs)):
        soc.append(measurement.initial_soc - discharged / full_coulombs)
    if not all(map(math.isfinite, soc)):
        raise BadRequest("soc is not a finite number: capacity_ah is too small")

    result = {
        "soc": soc,
        "final_soc": soc[-1],
        "min_soc": min(soc),
        "max_soc": max(soc),
        "charge_ah": math.fsum(coulombs) / SECONDS_PER_HOUR,
    }
    if measurement.voltage_v is not None:
        power_w = [volts * amperes for volts, amperes in zip(measurement.voltage_v, current_a)]
        result["energy_wh"] = math.fsum(trapezoids(time_s, power_w)) / SECONDS_PER_HOUR
    return result


def trapezoids(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """The area under each interval; their sum is the integral by the trapezoidal rule."""
    return [
        (right - left) * (y_left + y_right) / 2
        for left, right, y_left, y_right in zip(x, x[1:], y, y[1:])
    ]


def running_sums(terms: Iterable[float]) -> Iterator[float]:
    """The sum after each term, by Neumaier's algorithm: what rounding loses is kept apart."""
    total = lost = 0.0
    for term in terms:
        rounded = total + term
        if abs(total) >= abs(term):
            lost += (total - rounded) + term
        else:
            lost += (term - rounded) + total
        total = rounded
        yield total + lost


def with_progress(intervals: Sequence[float]) -> Iterator[float]:
    """Passes the intervals on and reports each full percent to those who wait for the job."""
    path = os.environ.get("BCRL_PROGRESS")
    if not path:
        yield from intervals
        return
    reported = 0
    with open(path, "a", encoding="utf-8") as lines:
        for done, interval in enumerate(intervals, 1):
            yield interval
            percent = 100 * done // len(intervals)
            if percent > reported:
                reported = percent
                message = f"{done} of {len(intervals)} intervals"
                line = json.dumps({"percent": percent, "message": message})
                print(line, file=lines, flush=True)


if __name__ == "__main__":
    main()
