"""The shared folder by its description: read without a lock, changed only under it."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import tempfile
import time

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FACTS = ("request", "response", "receipt")
FOLDERS = (
    "request",
    "response",
    "receipt",
    "log",
    "progress",
    "lease",
    "cancel",
    "workers",
    "catalog",
    "idempotency",
    "webhook",
    "quarantine",
    "quarantine/late",
)


class Unsound(Exception):
    """A text is no index."""


def strict(text):
    """Parses JSON as the standard has it: no NaN, no Infinity, UTF-8."""

    def refuse(word):
        raise ValueError(f"{word} is no JSON")

    return json.loads(text.decode("utf-8"), parse_constant=refuse)


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Folder:
    """One shared folder."""

    def __init__(self, path):
        self.path = path
        self.index_path = self.at("request", "status.json")
        self.lock_path = self.at("request", "status.json.lock")

    def at(self, *names):
        return os.path.join(self.path, *names)

    def names(self, folder):
        """The names in one of its folders."""
        try:
            return os.listdir(self.at(folder))
        except FileNotFoundError:
            return []

    def ids(self, folder):
        """The ids of the files in one of its folders."""
        stems = (name.split(".")[0] for name in self.names(folder) if not name.startswith("."))
        return {stem for stem in stems if UUID.fullmatch(stem)}

    def read(self, *names):
        """A file's bytes; nothing where it is not there."""
        try:
            with open(self.at(*names), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def document(self, *names):
        """A file's JSON; nothing where it is not there or is none."""
        data = self.read(*names)
        try:
            return None if data is None else strict(data)
        except ValueError:
            return None

    def index(self):
        """The index as it stands.

        Raises `Unsound` where it is none, and `FileNotFoundError` where it is not there.
        """
        with open(self.index_path, "rb") as file:
            return parse_index(file.read())

    def entries(self):
        """The entries of the index by id, in their order; none where there is no index yet."""
        try:
            return {job["uuid"]: job for job in self.index()["jobs"]}
        except FileNotFoundError:
            return {}

    @contextlib.contextmanager
    def locked(self, patience=30.0):
        """Holds the lock of the queue."""
        with open(self.lock_path, "a+b") as lock:
            end = time.monotonic() + patience
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise TimeoutError("the lock of the queue was not free") from None
                    time.sleep(0.001)
            yield

    def edit(self, change):
        """Changes the index as the protocol asks of third parties: under the lock, by rename."""
        with self.locked():
            document = self.index()
            change(document)
            self.replace_index(json.dumps(document, ensure_ascii=False).encode())

    def replace_index(self, data):
        """Puts these bytes in the place of the index, by rename."""
        descriptor, temporary = tempfile.mkstemp(dir=self.at("request"), prefix=".tmp-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o660)
        os.rename(temporary, self.index_path)

    def snapshot(self):
        """All that a recovery might touch: each file's path and digest, without signs of life and
        catalogs.
        """
        found = {}
        for folder in FOLDERS:
            if folder in ("workers", "catalog"):
                continue
            for name in self.names(folder):
                path = self.at(folder, name)
                if os.path.islink(path):
                    found[f"{folder}/{name}"] = "link to " + os.readlink(path)
                elif os.path.isfile(path):
                    with open(path, "rb") as file:
                        found[f"{folder}/{name}"] = digest(file.read())
        return found


def parse_index(data):
    """Parses the bytes of an index, and sees to its form."""
    try:
        document = strict(data)
    except ValueError as error:
        raise Unsound(f"{error}; it begins {data[:80]!r} and has {len(data)} bytes") from error
    jobs = document.get("jobs") if isinstance(document, dict) else None
    if not isinstance(jobs, list):
        raise Unsound("it has no array of jobs")
    for job in jobs:
        if not isinstance(job, dict) or not all(
            isinstance(job.get(key), str) for key in ("uuid", "api", "status", "request_date")
        ):
            raise Unsound(f"an entry breaks the contract: {json.dumps(job)[:200]}")
    return document


def holders(path):
    """The processes that hold an exclusive `flock` on this file, as `/proc/locks` tells."""
    inode = str(os.stat(path).st_ino)
    found = []
    with open("/proc/locks") as file:
        for line in file:
            fields = line.split()
            # 1: FLOCK ADVISORY WRITE 4711 fd:01:1234567 0 EOF; who waits has an arrow in front.
            if fields[1:4:2] == ["FLOCK", "WRITE"] and fields[5].split(":")[-1] == inode:
                found.append(int(fields[4]))
    return found
