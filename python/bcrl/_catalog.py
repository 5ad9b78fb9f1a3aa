"""What the services' catalogs say of an API's limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ._dir import Dir

_SIZE_LIMIT = 64 << 20


@dataclass(frozen=True)
class Limits:
    """What a run of an API may take, and how often it is tried."""

    #: Longest run, in seconds.
    timeout_s: int = 600
    #: Most runs at once over all workers; None: any number.
    concurrency: int | None = None
    #: How often a script is run again after its own failure.
    retries: int = 0


def limits(catalog: Dir) -> dict[str, Limits]:
    """The limits of all APIs; of two catalogs that offer one, the newer counts."""
    found: dict[str, Limits] = {}
    for document in _newest_first(catalog):
        apis = document.get("apis") if isinstance(document, dict) else None
        for api in apis if isinstance(apis, list) else ():
            if isinstance(api, dict) and isinstance(api.get("name"), str):
                found.setdefault(api["name"], _limits(api.get("limits")))
    return found


def _newest_first(catalog: Dir) -> Iterator[Any]:
    names = [name for name in catalog.names() if name.endswith(".json") and name[0] != "."]
    dated = [(-(catalog.modified(name) or 0), name) for name in names]
    for _, name in sorted(dated):
        try:
            yield json.loads(catalog.read(name, _SIZE_LIMIT) or b"null")
        except (OSError, ValueError, RecursionError):
            # One that cannot be read offers nothing; its worker tells its operator.
            continue


def _limits(value: Any) -> Limits:
    fields = value if isinstance(value, dict) else {}

    def count(name: str) -> int | None:
        number = fields.get(name)
        return number if type(number) is int and number >= 0 else None

    timeout, retries = count("timeout_s"), count("retries")
    return Limits(
        timeout_s=Limits.timeout_s if timeout is None else timeout,
        concurrency=count("concurrency"),
        retries=Limits.retries if retries is None else retries,
    )
