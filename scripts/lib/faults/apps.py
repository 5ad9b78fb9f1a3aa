"""The script that the jobs of all campaigns run."""

import json
import os

# It writes down each of its starts outside of the shared folder, in one write, so that whatever
# becomes of the folder it is known what ran. Then it does what its request asks for.
MAIN = """\
import json, os, sys, time

attempt = int(os.environ["BCRL_ATTEMPT"])
line = "%s %d %d %d\\n" % (os.environ["BCRL_JOB"], attempt, os.getpid(), time.monotonic_ns())
starts = os.open({starts!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
os.write(starts, line.encode())
os.close(starts)

body = json.load(sys.stdin)
if body.get("orphan") and os.fork() == 0:
    # A process that would stay behind if nobody ended it.
    os.setsid()
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    time.sleep(300)
    os._exit(0)
if body.get("progress"):
    with open(os.environ["BCRL_PROGRESS"], "a") as progress:
        progress.write('{{"percent": 50, "message": "half"}}\\n')
naps = body.get("naps", [0.0])
time.sleep(naps[min(attempt, len(naps)) - 1])
gate = body.get("gate")
while gate and not os.path.exists(gate):
    time.sleep(0.02)
if body.get("fail"):
    sys.exit(3)
print(json.dumps({{"nonce": body["nonce"], "attempt": attempt, "pad": "x" * body.get("pad", 0)}}))
"""

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["nonce"],
    "properties": {
        "nonce": {"type": "string"},
        "naps": {"type": "array", "items": {"type": "number"}, "minItems": 1},
        "pad": {"type": "integer"},
        "gate": {"type": "string"},
        "fail": {"type": "boolean"},
        "orphan": {"type": "boolean"},
        "progress": {"type": "boolean"},
    },
    "additionalProperties": False,
}


def make(folder, name, starts):
    """Makes the app `name` below `folder`; its starts are appended to the file `starts`."""
    app = os.path.join(folder, name)
    os.makedirs(app)
    with open(os.path.join(app, "main.py"), "w") as file:
        file.write(MAIN.format(starts=starts))
    with open(os.path.join(app, "request.schema.json"), "w") as file:
        json.dump(SCHEMA, file)


def starts_of(path):
    """The starts that were written down: id, attempt, process id, and when by the monotonic clock,
    in seconds.
    """
    starts = []
    try:
        with open(path) as file:
            for line in file:
                uuid, attempt, pid, at = line.split()
                starts.append((uuid, int(attempt), int(pid), int(at) / 1e9))
    except FileNotFoundError:
        pass
    return starts
