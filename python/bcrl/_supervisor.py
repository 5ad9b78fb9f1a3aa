"""Supervises one command, in a process of its own between ``bcrl-folder run`` and the command.

    usage: python3 -I _supervisor.py STATUS_FD CONTROL_FD COMMAND [ARGUMENT]…

Whoever starts it holds the other ends of two pipes. A byte on the control pipe is SIGTERM to the
command and all that it started; the end of that pipe kills them at once, so that nothing outlives a
``run`` that was killed. On the status pipe comes one line of JSON, ``{"exit": 1}``, ``{"signal":
9}`` or ``{"spawn_error": "…"}``, once nothing of the command is left.

It stands alone: nothing else of the package is imported, and it is called by its path.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from types import FrameType

_PR_SET_CHILD_SUBREAPER = 36
#: How long what the command left may take to end by itself, in seconds.
_LINGER = 2.0
#: How long killed processes may take to be gone: one in a dead disk's hands never is.
_UNKILLABLE_AFTER = 5.0
_PAUSE = 0.005


def main(arguments: list[str]) -> int:
    """Runs the command to its end."""
    status, control, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    for fd in (status, control):
        os.set_inheritable(fd, False)
    # Handlers, not SIG_IGN, which the command would inherit.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, _outlive)
    wake, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    _adopt_orphans()
    try:
        script = subprocess.Popen(command, start_new_session=True)
    except (OSError, ValueError) as error:
        _tell(status, {"spawn_error": str(error)})
        return 0
    report = _until_ended(script.pid, control, wake)
    if report is not None:
        _let_linger(script.pid)
    _clear(script.pid)
    if report is not None:
        _tell(status, report)
    return 0


def _until_ended(script: int, control: int, wake: int) -> dict[str, int] | None:
    """Waits for the end of the command, which is left unreaped so that its number stays its own;
    None where nobody wants to know any more."""
    while True:
        ended = os.waitid(os.P_PID, script, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            by_itself = ended.si_code == os.CLD_EXITED
            return {"exit" if by_itself else "signal": ended.si_status}
        _reap(script)
        ready, _, _ = select.select([control, wake], [], [])
        if wake in ready:
            os.read(wake, 512)
        if control in ready:
            if not os.read(control, 64):
                return None
            for process in _descendants(os.getpid()):
                _send(process, signal.SIGTERM)


def _let_linger(script: int) -> None:
    end = time.monotonic() + _LINGER
    while time.monotonic() < end and _others(script):
        _reap(script)
        time.sleep(_PAUSE)


def _clear(script: int) -> None:
    """Kills and reaps all that is left, the command last."""
    end = time.monotonic() + _UNKILLABLE_AFTER
    while time.monotonic() < end:
        # The group first: the kernel does that in one step, which no fork can outrun.
        try:
            os.killpg(script, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        for process in _descendants(os.getpid()):
            _send(process, signal.SIGKILL)
        _reap(script)
        if not _others(script):
            break
        time.sleep(_PAUSE)
    try:
        os.waitpid(script, 0)
    except ChildProcessError:
        pass


def _reap(script: int) -> None:
    """Reaps what fell to this process and has ended, but for the command."""
    for child in _others(script):
        try:
            os.waitpid(child, os.WNOHANG)
        except ChildProcessError:
            pass


def _others(script: int) -> list[int]:
    """The children of this process but for the command: what lost its parent."""
    me = os.getpid()
    return [pid for pid, parent in _parents().items() if parent == me and pid != script]


def _descendants(process: int) -> list[int]:
    parents = _parents()
    found: list[int] = []
    level = {process}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found.extend(level)
    return found


def _parents() -> dict[int, int]:
    """All processes of this host with their parents; empty where /proc does not tell."""
    parents = {}
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                parents[pid] = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            # It has ended meanwhile.
            continue
    return parents


def _send(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except (ProcessLookupError, PermissionError):
        pass


def _adopt_orphans() -> None:
    """Makes this process the one that orphans below it fall to, where the system can do that."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        pass


def _tell(status: int, report: dict[str, int] | dict[str, str]) -> None:
    try:
        os.write(status, json.dumps(report).encode() + b"\n")
    except BrokenPipeError:
        pass


def _outlive(number: int, frame: FrameType | None) -> None:
    """Only whoever holds the pipes decides."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
