"""What clients were told and saw, written down before anything else happens.

Each line is synced before the next step is taken, so that the ledger outlives whatever happens to
the driver and can be read beside a folder that was kept. In memory the same is held for the checks.
"""

import json
import os
import threading
import time

FINAL = ("done", "failed", "canceled")


class Job:
    """One id as its clients know it."""

    def __init__(self, uuid):
        self.uuid = uuid
        self.nonce = None
        # When it was answered 202; None for an id that was only met in the index.
        self.acknowledged = None
        # The final status that was seen first, and when.
        self.final = None
        self.final_at = None
        self.failure = None
        # When a client was answered `canceled`.
        self.canceled_at = None
        self.digest = None
        # Retention has removed it, as a client was told.
        self.gone = False
        self.seen = set()


class Submission:
    """One request that was sent, by the nonce in its body."""

    def __init__(self, nonce, body):
        self.nonce = nonce
        self.body = body
        # "sent", then "acknowledged", "refused" or "unanswered".
        self.fate = "sent"
        self.status = None
        self.uuid = None


class Ledger:
    """The log of one site, shared by all threads."""

    def __init__(self, path, findings):
        self.path = path
        self.findings = findings
        self.jobs = {}
        self.submissions = {}
        # Called whenever a job was seen to end.
        self.on_end = None
        self._lock = threading.RLock()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def close(self):
        os.close(self._file)

    def _write(self, event, **fields):
        line = json.dumps({"at": round(time.monotonic(), 6), "event": event, **fields}) + "\n"
        os.write(self._file, line.encode())
        os.fsync(self._file)

    def note(self, event, **fields):
        """Writes down what was done to the site."""
        with self._lock:
            self._write(event, **fields)

    def sent(self, nonce, body):
        with self._lock:
            self._write("sent", nonce=nonce, body=body)
            self.submissions[nonce] = Submission(nonce, body)

    def answered(self, nonce, status, uuid=None):
        """A submission was answered: with 202 and an id, or refused."""
        with self._lock:
            self._write("answered", nonce=nonce, status=status, uuid=uuid)
            submission = self.submissions[nonce]
            submission.status = status
            submission.fate = "refused" if uuid is None else "acknowledged"
            if uuid is not None:
                submission.uuid = uuid
                job = self._job(uuid)
                job.nonce, job.acknowledged = nonce, time.monotonic()
                job.seen.add("pending")

    def unanswered(self, nonce, why):
        with self._lock:
            self._write("unanswered", nonce=nonce, why=why)
            self.submissions[nonce].fate = "unanswered"

    def saw(self, uuid, status, where, since, failure=None):
        """Somebody who began to look at `since` saw a job in this status; a final one is never to
        become another.
        """
        with self._lock:
            job = self._job(uuid)
            if status not in job.seen:
                job.seen.add(status)
                self._write("seen", uuid=uuid, status=status, where=where, failure=failure)
            if job.final is not None:
                # Of two looks at one time, neither was first.
                if since > job.final_at:
                    text = f"was {job.final}, and {where} shows {status}"
                    behind = where == "the index" and status not in FINAL
                    self.findings.expect(
                        behind or status == job.final, "final-unchanged", uuid, text
                    )
            elif status in FINAL:
                job.final, job.final_at, job.failure = status, time.monotonic(), failure
                if self.on_end is not None:
                    self.on_end(job)
            return job

    def canceled(self, uuid, since):
        """A client was answered that the job is canceled."""
        with self._lock:
            job = self.saw(uuid, "canceled", "the answer to DELETE", since)
            if job.canceled_at is None:
                job.canceled_at = time.monotonic()
                self._write("canceled", uuid=uuid)

    def result(self, uuid, digest):
        """Somebody fetched a result; it is never to become another."""
        with self._lock:
            job = self._job(uuid)
            if job.digest is None:
                job.digest = digest
                self._write("result", uuid=uuid, sha256=digest)
            self.findings.expect(
                job.digest == digest, "facts-unchanged", uuid, "its result became another"
            )

    def gone(self, uuid):
        """A client was told that the job is no longer kept."""
        with self._lock:
            job = self._job(uuid)
            if not job.gone:
                job.gone = True
                self._write("gone", uuid=uuid)

    def acknowledged(self):
        """The jobs that were answered 202, in the order of the answers."""
        with self._lock:
            jobs = [job for job in self.jobs.values() if job.acknowledged is not None]
        return sorted(jobs, key=lambda job: job.acknowledged)

    def open_ids(self):
        """The ids that were answered 202 and not seen to end."""
        return [job.uuid for job in self.acknowledged() if job.final is None and not job.gone]

    def _job(self, uuid):
        if uuid not in self.jobs:
            self.jobs[uuid] = Job(uuid)
        return self.jobs[uuid]
