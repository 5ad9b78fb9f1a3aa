"""Somebody who looks at the shared folder all the time, without a lock, as anybody may."""

import contextlib
import errno
import os
import threading
import time

from faults.folder import FACTS, Unsound, digest, parse_index
from faults.ledger import FINAL

# Between two looks at the index, at facts and leases, and at the processes of jobs.
INDEX_PAUSE = 0.01
FACTS_PAUSE = 0.2
PROCESSES_PAUSE = 0.5
# How long a process of a job may live after the job's end, in seconds.
LINGER = 5.0


class Watch:
    """Looks until it is told to stop; what it sees goes into the ledger and the findings."""

    def __init__(self, site, durable_at_once=True):
        self.site = site
        self.folder = site.folder
        self.ledger = site.ledger
        self.findings = site.findings
        # Whether a fact is there for good once it has its name; over a power cut, only once its job
        # was seen to end.
        self.durable_at_once = durable_at_once
        # Whether a final status in the index counts as seen; not so while somebody breaks the rules
        # of the index.
        self.trusts_index = True
        # The digest of each fact by folder and id, and the most lost runs of each job.
        self.facts = {}
        self.lost = {}
        # Facts and leases that the driver itself damaged.
        self.damaged = set()
        # No process is too old before this moment.
        self.grace_from = 0.0
        self.failure = None
        # The ids that the index showed as ended.
        self._ended = set()
        self._stamp = None
        self._suspects = {}
        self._eyes = threading.RLock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        """Stops looking, and tells of its own failure."""
        self.end()
        if self.failure is not None:
            raise self.failure

    def end(self):
        """Stops looking."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    @contextlib.contextmanager
    def blind(self):
        """Does not look while the driver itself breaks something."""
        with self._eyes:
            yield
            self._stamp = None

    def distrust_index(self):
        """From now on somebody breaks the rules of the index: its word on ends does not count."""
        with self._eyes:
            self.trusts_index = False

    def trust_index(self):
        """From now on everybody keeps the rules again."""
        with self._eyes:
            self.trusts_index = True
            self._ended.clear()
            self._stamp = None

    def _run(self):
        due_facts = due_processes = 0.0
        try:
            while not self._stopping.wait(INDEX_PAUSE):
                with self._eyes:
                    now = time.monotonic()
                    self.look_at_index()
                    if now >= due_facts:
                        self.look_at_facts()
                        due_facts = time.monotonic() + FACTS_PAUSE
                    if now >= due_processes:
                        self.look_at_processes()
                        due_processes = time.monotonic() + PROCESSES_PAUSE
        except Exception as error:
            self.failure = error

    def look_at_index(self):
        """Reads the index where it is another than at the last look."""
        since = time.monotonic()
        try:
            with open(self.folder.index_path, "rb") as file:
                status = os.fstat(file.fileno())
                stamp = (status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)
                if stamp == self._stamp:
                    return
                data = file.read()
            self._stamp = stamp
            jobs = parse_index(data)["jobs"]
        except FileNotFoundError:
            # Before the first job there is none.
            self.findings.expect(
                self._stamp is None, "index-parses", "status.json", "it was gone at one look"
            )
            return
        except OSError as error:
            if error.errno == errno.EIO:
                return
            raise
        except Unsound as error:
            self.findings.expect(False, "index-parses", "status.json", str(error))
            return
        self.findings.expect(True, "index-parses", "status.json", "")
        ids = [job["uuid"] for job in jobs]
        doubles = {uuid for uuid in ids if ids.count(uuid) > 1} if len(set(ids)) < len(ids) else ()
        self.findings.expect(not doubles, "ids-unique", "status.json", f"twice: {sorted(doubles)}")
        if not self.trusts_index:
            return
        for job in jobs:
            uuid, status = job["uuid"], job["status"]
            known = self.ledger.jobs.get(uuid)
            if status in FINAL:
                # A receipt may be ahead of the index, but the index does not go back.
                self._ended.add(uuid)
                if known is None or known.final != status:
                    self.ledger.saw(uuid, status, "the index", since, job.get("failure"))
            elif uuid in self._ended:
                text = f"the index said that it had ended, and now {status}"
                self.findings.expect(False, "final-unchanged", uuid, text)
            elif known is None or status not in known.seen:
                self.ledger.saw(uuid, status, "the index", since)

    def look_at_facts(self):
        """Notes new facts, and how many runs each job has lost."""
        for folder in FACTS:
            for uuid in self.folder.ids(folder):
                key = (folder, uuid)
                if key in self.facts or key in self.damaged:
                    continue
                job = self.ledger.jobs.get(uuid)
                if self.durable_at_once or (job is not None and job.final is not None):
                    data = self._read(folder, f"{uuid}.json")
                    if data is not None:
                        self.facts[key] = digest(data)
        for uuid in self.folder.ids("lease"):
            if ("lease", uuid) in self.damaged:
                continue
            try:
                lease = self.folder.document("lease", f"{uuid}.json")
            except OSError:
                continue
            if isinstance(lease, dict) and isinstance(lease.get("lost"), int):
                before = self.lost.get(uuid, 0)
                self.findings.expect(
                    lease["lost"] >= before,
                    "losses-never-decrease",
                    uuid,
                    f"{before} became {lease['lost']}",
                )
                self.lost[uuid] = max(before, lease["lost"])

    def check_facts(self, folder, uuid, data):
        """A fact is what it was when it was first seen."""
        before = self.facts.get((folder, uuid))
        if before is not None and (folder, uuid) not in self.damaged:
            holds = data is not None and digest(data) == before
            self.findings.expect(
                holds,
                "facts-unchanged",
                uuid,
                f"its {folder} {'is gone' if data is None else 'became another'}",
            )

    def look_at_processes(self):
        """Processes of jobs that ended a while ago; each must be met twice, so that one that is
        just ending is not.
        """
        now = time.monotonic()
        old = {}
        for pid, uuid in self.site.job_processes():
            job = self.ledger.jobs.get(uuid)
            ended = job is not None and job.final is not None
            late = ended and now - max(job.final_at, self.grace_from) > LINGER
            self.findings.expect(
                not (late and (pid, uuid) in self._suspects),
                "no-process-left",
                uuid,
                lambda pid=pid, job=job: (
                    f"process {pid} lives {now - job.final_at:.1f} s after the job was {job.final}"
                ),
            )
            if late:
                old[(pid, uuid)] = now
        self._suspects = old

    def power_went(self):
        """What was not seen to end may be gone, and leases may be older ones."""
        with self._eyes:
            self.lost.clear()
            self._ended.clear()
            self._stamp = None
            self.facts = {
                key: value
                for key, value in self.facts.items()
                if self.ledger.jobs[key[1]].final is not None
            }

    def _read(self, *names):
        try:
            return self.folder.read(*names)
        except OSError:
            return None
