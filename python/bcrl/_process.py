"""A command under its supervisor, from the side of the one that started it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SUPERVISOR = Path(__file__).with_name("_supervisor.py")


@dataclass
class Stop:
    """Whether this process is asked to end, and how long that may take."""

    #: Between SIGTERM and SIGKILL to a command, and for the last word about its job, in seconds.
    grace: float = 10.0
    #: The signal that asked.
    signal: int | None = None
    since: float = field(default=0.0)

    def ask(self, number: int) -> None:
        """Asks for the end."""
        if self.signal is None:
            self.signal, self.since = number, time.monotonic()

    def overdue(self) -> bool:
        """Whether the time for the end is over."""
        return self.signal is not None and time.monotonic() > self.since + 2 * self.grace


class Supervised:
    """A command under its supervisor."""

    def __init__(self, command: list[str], environment: dict[str, str], body: Path) -> None:
        status, supervisors_status = os.pipe()
        supervisors_control, control = os.pipe()
        theirs = (supervisors_status, supervisors_control)
        try:
            with open(body, "rb") as stdin:
                self._process = subprocess.Popen(
                    [
                        sys.executable or "python3",
                        "-I",
                        str(_SUPERVISOR),
                        *map(str, theirs),
                        *command,
                    ],
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=environment,
                    pass_fds=theirs,
                    start_new_session=True,
                )
        except BaseException:
            os.close(status)
            os.close(control)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self._status = status
        self._control: int | None = control

    @property
    def pipes(self) -> tuple[Any, Any]:
        """The reading ends of stdout and stderr."""
        return self._process.stdout, self._process.stderr

    def report(self, patience: float) -> dict[str, Any] | None:
        """How the command ended, once nothing of it is left; None while it runs. Empty where the
        supervisor was killed."""
        ready, _, _ = select.select([self._status], [], [], patience)
        if not ready:
            return None
        line = os.read(self._status, 1 << 16)
        report: dict[str, Any] = json.loads(line) if line else {}
        return report

    def terminate(self) -> None:
        """Asks the command to end."""
        if self._control is not None:
            try:
                os.write(self._control, b"t")
            except BrokenPipeError:
                pass

    def kill(self) -> None:
        """Ends it and all that it started."""
        control, self._control = self._control, None
        if control is not None:
            os.close(control)

    def bury(self) -> None:
        """Ends what is left, and waits for it."""
        self.kill()
        self._process.wait()
        os.close(self._status)
        for pipe in self.pipes:
            pipe.close()
