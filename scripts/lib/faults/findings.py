"""The names of the checks, how often each was made, and what did not hold."""

import collections
import threading

# What must hold after any fault. The first part is what the folder protocol promises, the second
# what each campaign adds to it.
CHECKS = {
    "acknowledged-kept": "an id that was answered 202 is there, or is past its retention",
    "refused-absent": "a submission that was refused left no job",
    "unanswered-once": "a submission without an answer made at most one job",
    "index-parses": "the index was whole JSON at every look",
    "ids-unique": "no id stood in the index twice",
    "done-has-response": "a job that is done has a valid response",
    "final-has-fact": "a final status has its receipt, which says the same",
    "facts-unchanged": "a request, response or receipt that was published did not change",
    "final-unchanged": "a final status that was seen did not change",
    "canceled-never-ran": "a job that was answered canceled did not start afterwards",
    "losses-never-decrease": "the count of a job's lost runs did not decrease",
    "claims-in-order": "a worker claimed pending jobs in the order of their entries",
    "foreign-kept": "fields that somebody else added to the index survived",
    "temporaries-swept": "temporary files older than ten minutes were removed",
    "quarantine-reasoned": "what was put aside has its reason beside it, and there was a reason",
    "nothing-outside": "nothing was written outside the folders",
    "no-process-left": "five seconds after a job's end none of its processes lives",
    "descriptors-steady": "the file descriptors of a service did not grow",
    "recovery-idempotent": "a recovery after a recovery changed nothing",
    "deleted-stay-deleted": "a job that retention removed did not come back",
    "answers-expected": "every answer was one that the API describes",
    "result-right": "a result is what the script printed for this very request",
    "honest-end": "a job failed only for a reason that had been given to it",
    "runs-counted": "each run of a job had a number of its own",
    "last-run-ends": "only the run that was claimed last ended its job",
    "ended-never-runs": "no run of a job began after its end was seen",
    "all-ended": "every job came to its end once the faults were over",
    "service-up": "no service ended by itself, and each came up again and went down in order",
    "rescued-in-time": "the jobs of a stopped worker were taken back in time",
    "late-aside": "a result that came too late was put aside, and published nowhere",
    "lock-waits": "while the lock was held, writes got 503 with Retry-After, and reads went on",
    "holder-named": "the log names the process that holds the lock",
    "full-refused": "on a full disk submissions were answered 507, and nothing of them was written",
    "full-ends": "on a full disk jobs that ran were still brought to their end",
    "full-cancels": "on a full disk a job that waited could be canceled",
    "room-again": "with room on the disk everything worked again",
    "index-mended": "a damaged index was mended within seconds",
    "catalog-mended": "a damaged catalog was published again, and its APIs accept jobs",
    "patches-apply": "every mutant's patch fits the sources",
    "mutant-caught": "a campaign noticed that a protection is missing",
}


class Violation:
    """One thing that did not hold."""

    def __init__(self, check, subject, text):
        self.check = check
        self.subject = subject
        self.text = text

    def __str__(self):
        return f"{self.check}: {self.subject}: {self.text} (must hold: {CHECKS[self.check]})"


class Findings:
    """Counts checks and keeps violations; all threads of a campaign share one."""

    KEPT = 6

    def __init__(self):
        self._lock = threading.Lock()
        self.made = collections.Counter()
        self.noted = collections.Counter()
        # Checks that were left out, by name, and why.
        self.left_out = {}
        self.violations = []
        self.untold = 0

    def expect(self, holds, check, subject, text):
        """Makes a check; `text` says what was found, and may be a function where it costs something
        to tell.
        """
        assert check in CHECKS, check
        with self._lock:
            self.made[check] += 1
            if not holds:
                if len(self.violations) < self.KEPT:
                    self.violations.append(
                        Violation(check, subject, text() if callable(text) else text)
                    )
                else:
                    self.untold += 1
        return holds

    def note(self, what, count=1):
        """Counts something that is worth telling in the summary."""
        with self._lock:
            self.noted[what] += count

    def add(self, other):
        """Takes over what another one found."""
        with self._lock:
            self.made.update(other.made)
            self.noted.update(other.noted)
            self.violations.extend(other.violations)
            self.untold += other.untold
