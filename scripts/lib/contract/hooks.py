"""What no description can say: a submission that is meant to be taken gets an Idempotency-Key of its
own, as schemathesis sends the same one with other bodies, which is refused, and rightly so; and no
part of a result is asked for, as a part of a JSON document is no JSON."""

import uuid

import schemathesis

KEY = "Idempotency-Key"


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers or {}
    if case.path.endswith("/result"):
        headers.pop("Range", None)
    key = headers.get(KEY)
    is_meant_well = case.meta is None or case.meta.generation.mode.is_positive
    if not key or not is_meant_well:
        return
    own = f"-{uuid.uuid4()}"
    is_quoted = key.startswith('"')
    room = 200 if not is_quoted else key.rindex('"')
    headers[KEY] = f'{key[:room]}{own}"' if is_quoted else f"{key[:room]}{own}"
