"""The body of a submission: Python values, checked before anything is sent."""

from __future__ import annotations

import math
from typing import Any

from . import _json
from .errors import InvalidRequest


def encode(request: Any, fields: dict[str, Any]) -> bytes:
    """The request as JSON, with the fields over it; ``{}`` where there is neither.

    Raises InvalidRequest with the place of the fault.
    """
    if request is None:
        request = fields
    elif fields:
        if not isinstance(request, dict):
            raise InvalidRequest("", f"fields go over a dict, not over {_kind(request)}")
        request = {**request, **fields}
    try:
        return _json.dumps(request, _as_list).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise _fault(request) or InvalidRequest("", f"the request is no JSON: {error}") from None


def _as_list(value: Any) -> Any:
    """NumPy's arrays and numbers, and others that know themselves as lists."""
    tolist = getattr(value, "tolist", None)
    if not callable(tolist):
        raise TypeError(f"{_kind(value)} cannot be written as JSON")
    return tolist()


def _fault(request: Any) -> InvalidRequest | None:
    try:
        return _find(request, "")
    except RecursionError:
        return InvalidRequest("", "the request is nested too deep, or contains itself")


def _find(value: Any, pointer: str) -> InvalidRequest | None:
    """The first part that cannot be written."""
    if isinstance(value, (dict, list, tuple)):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            # RFC 6901 section 3.
            place = f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"
            found = _leaf({name: None}, place) or _find(item, place)
            if found:
                return found
        return None
    return _leaf(value, pointer)


def _leaf(value: Any, pointer: str) -> InvalidRequest | None:
    if isinstance(value, float) and not math.isfinite(value):
        return InvalidRequest(pointer, f"{value!r} is no number in JSON; None can stand for it")
    try:
        if hasattr(value, "tolist"):
            return _find(_as_list(value), pointer)
        _json.dumps(value).encode("utf-8")
    except UnicodeEncodeError:
        return InvalidRequest(pointer, "half of a surrogate pair stands alone")
    except TypeError as error:
        kind = f"{_kind(value)} cannot be written as JSON"
        return InvalidRequest(pointer, str(error) if isinstance(value, dict) else kind)
    except ValueError as error:
        return InvalidRequest(pointer, str(error))
    return None


def _kind(value: Any) -> str:
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"
