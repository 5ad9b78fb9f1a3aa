"""A submission that is meant to be taken gets an Idempotency-Key of its own: schemathesis sends the
same one with other bodies, which is refused, and rightly so."""

import uuid

import schemathesis

KEY = "Idempotency-Key"


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.headers or {}).get(KEY)
    is_meant_well = case.meta is None or case.meta.generation.mode.is_positive
    if not key or not is_meant_well:
        return
    own = f"-{uuid.uuid4()}"
    is_quoted = key.startswith('"')
    room = 200 if not is_quoted else key.rindex('"')
    case.headers[KEY] = f'{key[:room]}{own}"' if is_quoted else f"{key[:room]}{own}"
