"""One service of a site: started, killed, stopped, asked to end, looked at."""

import json
import os
import signal
import subprocess
import threading
import time

READY = {"bcrl-api": "the API listens", "bcrl-worker": "the worker is ready"}
START_PATIENCE = 60.0
END_PATIENCE = 60.0

_all = set()
_all_lock = threading.Lock()


class Died(Exception):
    """A service ended, or did not come up, although nobody wanted that."""


class Program:
    """A program of the product as one process; it may be started again and again."""

    def __init__(self, executable, name, environment, working_folder, logs):
        self.executable = executable
        self.name = name
        self.environment = environment
        self.working_folder = working_folder
        self.logs = logs
        self.process = None
        self.log_path = None
        self.starts = 0
        # Where an API listens, as host and port; nothing while it is down.
        self.address = None
        self.descriptors_at_start = None

    def start(self):
        """Starts it, and waits until it says that it is ready."""
        self.spawn()
        word = READY[os.path.basename(self.executable)]
        end = time.monotonic() + START_PATIENCE
        while True:
            line = next((line for line in self.log_lines() if line.get("message") == word), None)
            if line is not None:
                break
            code = self.process.poll()
            if code is not None:
                raise Died(f"{self.name} ended with {code} while it started: {self.last_words()}")
            if time.monotonic() > end:
                raise Died(
                    f"{self.name} was not ready after {START_PATIENCE:.0f} s: {self.last_words()}"
                )
            time.sleep(0.005)
        if "address" in line:
            host, port = line["address"].rsplit(":", 1)
            self.address = (host, int(port))
        self.descriptors_at_start = self.descriptors()

    def spawn(self):
        """Starts it, and does not wait."""
        self.starts += 1
        self.log_path = self._log_path(self.starts)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [self.executable],
                env=self.environment,
                cwd=self.working_folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is the driver's to deal with.
                start_new_session=True,
            )
        adopt(self.process)

    @property
    def pid(self):
        return self.process.pid

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Kills it at once."""
        self.address = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._forget()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Stops it as SIGSTOP does, and waits until it stands still."""
        self.signal(signal.SIGSTOP)
        while state(self.pid) not in ("T", "t", None):
            time.sleep(0.001)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def end(self):
        """Asks it to end, and returns its exit code."""
        self.address = None
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(END_PATIENCE)
        except subprocess.TimeoutExpired:
            raise Died(
                f"{self.name} did not end when it was asked to: {self.last_words()}"
            ) from None
        self._forget()
        return code

    def descriptors(self):
        """How many file descriptors it has open."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except FileNotFoundError:
            return 0

    def log_lines(self):
        """The complete lines that this start of it has logged."""
        return _json_lines(self.log_path)

    def all_log_lines(self):
        """The complete lines that any start of it has logged."""
        starts = range(1, self.starts + 1)
        return [line for start in starts for line in _json_lines(self._log_path(start))]

    def _log_path(self, start):
        return os.path.join(self.logs, f"{self.name}-{start}.log")

    def last_words(self):
        with open(self.log_path, "rb") as log:
            return log.read()[-600:].decode("utf-8", "replace")

    def _forget(self):
        with _all_lock:
            _all.discard(self.process)


def _json_lines(path):
    lines = []
    with open(path, "rb") as log:
        for text in log:
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue
    return lines


def adopt(process):
    """Sees to it that a process ends with the driver."""
    with _all_lock:
        _all.add(process)


def state(pid):
    """The letter for the state of a process, such as T for stopped; nothing where it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def kill_all():
    """Kills whatever was started and still runs, stopped processes included."""
    with _all_lock:
        processes = list(_all)
        _all.clear()
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def processes_of(mark):
    """The processes that have this text in their environment: process id and environment."""
    found = []
    mark = os.fsencode(mark)
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue
        if mark in environment:
            pairs = (pair.partition(b"=") for pair in environment.split(b"\0"))
            found.append(
                (int(name), {key.decode(): value.decode() for key, _, value in pairs if key})
            )
    return found
