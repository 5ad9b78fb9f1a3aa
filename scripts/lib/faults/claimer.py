"""A third party that takes jobs from the folder: the Python module's `run`, started again whenever
nothing waits.
"""

import os
import signal
import subprocess
import sys
import threading

from faults.program import adopt, state

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
MODULES = os.path.join(ROOT, "python")
# Between two starts, in seconds.
PAUSE = 0.1
# What `run` may exit with: all is well, the job failed, was canceled, was no longer its own; busy
# or damaged.
EXPECTED = (0, 1, 3, 4, 5)


def is_there():
    """Whether the module is a part of these sources."""
    return os.path.isfile(os.path.join(MODULES, "bcrl", "__main__.py"))


class Claimer:
    """To be killed and stopped like a worker."""

    def __init__(self, site, name):
        self.site = site
        self.name = name
        self.process = None
        self.starts = 0
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        os.makedirs(site.at(f"{name}-tmp"))
        self._environment = {
            **site.environment,
            "BCRL_WORKER__NAME": name,
            "TMPDIR": site.at(f"{name}-tmp"),
            "PYTHONPATH": MODULES,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._thread = threading.Thread(target=self._again, daemon=True)
        self._thread.start()

    def start(self):
        self._wanted.set()

    def kill(self):
        """Kills it at once; it stays down until it is started."""
        with self._lock:
            self._wanted.clear()
            if self.process is not None:
                self.process.kill()
                self.process.wait()

    def close(self):
        """Kills it for good."""
        self._ended.set()
        self.kill()
        self._wanted.set()
        self._thread.join()

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        """Stops it as SIGSTOP does, and waits until it stands still or has ended."""
        self.process.send_signal(signal.SIGSTOP)
        while self.process.poll() is None and state(self.pid) not in ("T", "t"):
            pass

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def _again(self):
        while not self._ended.wait(PAUSE):
            self._wanted.wait()
            with self._lock:
                if not self._wanted.is_set() or self._ended.is_set():
                    continue
                process = self.process = self._spawn()
            code = process.wait()
            if code >= 0:
                text = f"run ended with {code}; see {self.name}.log"
                self.site.findings.expect(code in EXPECTED, "service-up", self.name, text)

    def _spawn(self):
        self.starts += 1
        site = self.site
        words = [
            sys.executable,
            "-m",
            "bcrl",
            "run",
            "--all",
            "--api",
            site.app,
            "--",
            sys.executable,
        ]
        with open(site.at("logs", f"{self.name}.log"), "ab") as log:
            process = subprocess.Popen(
                [*words, site.at("apps", site.app, "main.py")],
                env=self._environment,
                cwd=site.at("cwd"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        adopt(process)
        return process
