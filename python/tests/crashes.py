"""A claimer that is killed before each single effect on the disk, in turn."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Callable

from bcrl import Folder

#: What changes something on the disk.
_EFFECTS = ("open", "write", "fsync", "fchmod", "link", "rename", "unlink")


def claims_until_killed(root: Path, kill_before: int, work: Callable[[Folder], None]) -> bool:
    """Does some work in a process of its own, which is killed before an effect of this number;
    whether it came so far."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            folder = Folder(root)
            folder.jobs()
            _kill_before(kill_before)
            work(folder)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise AssertionError(f"the work itself failed before effect {kill_before}: {code}")
    return code != 0


def _kill_before(number: int) -> None:
    left = [number]

    def counting(effect: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return effect(*arguments, **options)

        return counted

    for name in _EFFECTS:
        setattr(os, name, counting(getattr(os, name)))


def claim_and_finish(folder: Folder) -> None:
    """A run from its claim to its result."""
    job = folder.claim_detached(["soc"])
    assert job is not None
    job.progress(50, "half")
    job.finish({"number": job.params})


def claim_and_fail(folder: Folder) -> None:
    """A run that fails."""
    job = folder.claim_detached(["soc"])
    assert job is not None
    job.fail("no")


def claim_and_give_back(folder: Folder) -> None:
    """A run that is given back."""
    job = folder.claim_detached(["soc"])
    assert job is not None
    job.give_back()
