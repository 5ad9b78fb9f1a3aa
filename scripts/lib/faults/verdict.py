"""What must hold once the faults are over and everything has come to rest."""

import os
import time

from faults.client import ask
from faults.folder import FOLDERS
from faults.job_checks import JobChecks
from faults.ledger import FINAL
from faults.load import look
from faults.program import processes_of
from faults.site import tree_digest

# How long it may take until all jobs have ended, in seconds.
DRAIN_PATIENCE = 240.0
# Descriptors that a service may have open beside those that it had when it was ready: the index, a
# connection or two.
SPARE_DESCRIPTORS = 12
# Why a job of these campaigns may fail: by itself, or lost with its worker as often as is allowed.
USUAL_REASONS = ("exit_code", "worker_lost")
TEMPORARY_AGE = 11 * 60


class Rules:
    """What a campaign changes about the checks, each with its reason."""

    def __init__(
        self,
        without=None,
        reasons=USUAL_REASONS,
        honest=None,
        quarantine=None,
        unreasoned=False,
        late_start=0.0,
    ):
        # Checks that cannot be made, by name, and why not.
        self.without = without or {}
        # Why jobs may fail.
        self.reasons = reasons
        # Ids whose files the driver damaged: which reasons they may have besides; what they print
        # is not looked at.
        self.honest = honest or {}
        # Whether a file may have been put aside, by the folder it came from and its name in
        # quarantine; the folder is None where no service lived to tell. By default only late
        # results may be there.
        self.quarantine = quarantine or (lambda folder, name: False)
        # Whether a reason may have been lost.
        self.unreasoned = unreasoned
        # So many seconds after a job's end a run may begin that was claimed before it.
        self.late_start = late_start


def rules_after_power_cuts(without=None):
    """The rules where the power went: index and leases are not synced, and may be old or half.

    Facts may not.
    """
    why = "leases are not synced: after a power cut runs are counted from an older one"
    numbers = ("runs-counted", "last-run-ends", "claims-in-order")
    return Rules(
        without={**dict.fromkeys(numbers, why), **(without or {})},
        quarantine=lambda folder, name: folder in ("index", "lease", None),
        unreasoned=True,
    )


def plant_temporaries(site):
    """Leaves old temporary files in all folders, as a killed process would have; the sweeps are to
    remove them.
    """
    old = time.time() - TEMPORARY_AGE
    for folder in FOLDERS:
        if folder in ("log", "cancel"):
            continue
        path = site.folder.at(folder, ".tmp-planted-by-the-driver")
        with open(path, "w"):
            pass
        os.utime(path, (old, old))


def drain(site, watch):
    """Waits until every job has ended."""
    end = time.monotonic() + DRAIN_PATIENCE
    while True:
        try:
            left = [
                uuid for uuid, job in site.folder.entries().items() if job["status"] not in FINAL
            ]
            unknown = [
                job.uuid for job in site.ledger.acknowledged() if not job.gone and job.final is None
            ]
        except (OSError, ValueError):
            left, unknown = ["the index cannot be read"], []
        if not left and not unknown:
            break
        if watch.failure is not None:
            raise watch.failure
        if time.monotonic() > end:
            break
        # A client's look shows ends that the index shows late.
        for uuid in unknown[:5]:
            look(site, uuid, site.address())
        time.sleep(0.05)
    for uuid in left:
        site.findings.expect(
            False, "all-ended", uuid, f"it is still open after {DRAIN_PATIENCE:.0f} s"
        )
    for job in site.ledger.acknowledged():
        site.findings.expect(
            job.gone or job.final is not None,
            "all-ended",
            job.uuid,
            f"it did not end within {DRAIN_PATIENCE:.0f} s",
        )


class Verdict:
    """The checks of one site. The load has ended, and everything that was broken was mended."""

    def __init__(self, site, watch, rules):
        self.site = site
        self.watch = watch
        self.rules = rules
        self.folder = site.folder
        self.ledger = site.ledger

    def give(self):
        """Makes all checks; at the end all services are down."""
        self.site.findings.left_out.update(self.rules.without)
        plant_temporaries(self.site)
        drain(self.site, self.watch)
        for job in self.ledger.acknowledged():
            look(self.site, job.uuid, self.site.address())
        self.check_processes()
        self.check_temporaries()
        self.check_descriptors()
        self.site.check_services()
        self.watch.stop()
        JobChecks(self.site, self.watch, self.rules).make()
        self.check_quarantine()
        self.site.end_services()
        self.check_outside()
        self.check_recovery()

    def expect(self, holds, check, subject, text):
        if check not in self.rules.without:
            self.site.findings.expect(holds, check, subject, text)

    def check_processes(self):
        """Waits out the five seconds of the jobs that ended last."""
        ends = [job.final_at for job in self.ledger.jobs.values() if job.final_at is not None]
        end = max([*ends, self.watch.grace_from]) + 5.0
        while self.site.job_processes() and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(0.1 if time.monotonic() < end else 1.0)
        left = self.site.job_processes()
        self.expect(
            not left, "no-process-left", left[0][1] if left else "all jobs", f"processes {left}"
        )

    def check_temporaries(self):
        """The sweeps had some seconds for what was planted."""
        end = time.monotonic() + 20
        old = self._old_temporaries()
        while old and time.monotonic() < end:
            time.sleep(0.1)
            old = self._old_temporaries()
        self.expect(
            not old, "temporaries-swept", "the shared folder", f"{old} are older than ten minutes"
        )

    def _old_temporaries(self):
        found = []
        for folder in FOLDERS:
            for name in self.folder.names(folder):
                try:
                    age = time.time() - os.lstat(self.folder.at(folder, name)).st_mtime
                except FileNotFoundError:
                    continue
                if name.startswith(".tmp-") and age > 600:
                    found.append(f"{folder}/{name}")
        return found

    def check_descriptors(self):
        for service in self.site.services():
            end = time.monotonic() + 10
            most = service.descriptors_at_start + SPARE_DESCRIPTORS
            while service.descriptors() > most and time.monotonic() < end:
                time.sleep(0.1)
            now = service.descriptors()
            text = f"{service.descriptors_at_start} when it was ready, {now} now that it rests"
            self.expect(now <= most, "descriptors-steady", service.name, text)

    def check_quarantine(self):
        """What was put aside was named in a log, has its reason beside it, and something had been
        done to it.
        """
        came_from = {}
        for line in self.site.log_lines("a file was put aside"):
            came_from[line["quarantine.name"]] = os.path.basename(os.path.dirname(line["file"]))
        for line in self.site.log_lines("a part of the index was put aside"):
            came_from[line["quarantine.name"]] = "index"
        for folder in ("quarantine", "quarantine/late"):
            for name in set(self.folder.names(folder)) - {"late"}:
                if name.endswith(".reason") or name.startswith(".tmp-"):
                    continue
                reason = (self.folder.read(folder, f"{name}.reason") or b"").decode().strip()
                origin = came_from.get(name)
                allowed = folder == "quarantine/late" or self.rules.quarantine(origin, name)
                told = (
                    bool(reason and (origin or folder == "quarantine/late"))
                    or self.rules.unreasoned
                )
                text = f"it came from {origin or 'where no log says'}, its reason is {reason!r}"
                text += "" if allowed else ", and nothing of the kind had been done to it"
                self.expect(allowed and told, "quarantine-reasoned", f"{folder}/{name}", text)
        self.expect(True, "quarantine-reasoned", "the whole folder", "")

    def check_outside(self):
        """The site's own folders hold what the driver made, and of the product only what is its to
        write.
        """
        site = self.site
        void = [name for folder in ("cwd", "void") for name in os.listdir(site.at(folder))]
        self.expect(
            not void,
            "nothing-outside",
            "working folder, HOME and TMPDIR",
            f"{void} were made there",
        )
        self.expect(
            tree_digest(site.at("apps")) == site.apps_digest,
            "nothing-outside",
            "the apps' folder",
            "it was changed",
        )
        made = set(os.listdir(site.at("data"))) - {"Log", "scratch", "shared"}
        self.expect(not made, "nothing-outside", "the data folder", f"{made} were made there")
        runs = os.listdir(site.at("data", "scratch"))
        self.expect(not runs, "nothing-outside", "the scratch folder", f"{runs} were left there")
        strangers = set(os.listdir(site.shared)) - set(FOLDERS) - {".reserve", ".retention.json"}
        strangers = [name for name in strangers if not name.startswith(".tmp-")]
        self.expect(
            not strangers, "nothing-outside", "the shared folder", f"{strangers} were made there"
        )
        left = processes_of(site.at("data"))
        self.expect(
            not left, "no-process-left", "all services", f"{[pid for pid, _ in left]} live on"
        )

    def check_recovery(self):
        """Two starts in a row: the second one finds nothing to do."""
        api = self.site.apis[0]
        snapshots = []
        for _ in range(2):
            self.site.up(api)
            ask(api.address, "GET", "/api/v1/jobs?limit=1000")
            api.end()
            snapshots.append(self.folder.snapshot())
        first, second = snapshots
        differ = sorted(
            name for name in first.keys() | second.keys() if first.get(name) != second.get(name)
        )
        self.expect(
            not differ,
            "recovery-idempotent",
            "the shared folder",
            f"the second start changed {differ[:5]}",
        )
