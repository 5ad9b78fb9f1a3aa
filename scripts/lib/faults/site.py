"""A folder of its own, with an app, API servers and workers, and clients that were promised
something.
"""

import hashlib
import os
import random
import shutil
import time

from faults import apps
from faults.claimer import Claimer
from faults.folder import Folder
from faults.ledger import Ledger
from faults.program import Died, Program, processes_of

# Short enough that a dead worker's jobs are taken back within two seconds.
QUICK_BEAT = {
    "BCRL_WORKER__LEASE": "1500ms",
    "BCRL_WORKER__HEARTBEAT": "300ms",
    "BCRL_WORKER__SWEEP": "300ms",
}
# Long enough that a living worker is not taken for dead on a busy machine.
CALM_BEAT = {
    "BCRL_WORKER__LEASE": "6s",
    "BCRL_WORKER__HEARTBEAT": "500ms",
    "BCRL_WORKER__SWEEP": "500ms",
}


class Site:
    """One site. `shared` says where its shared folder is, if that is on a volume of its own."""

    def __init__(
        self,
        programs,
        home,
        findings,
        apis=1,
        workers=1,
        claimers=0,
        slots=4,
        shared=None,
        settings=None,
    ):
        self.home = home
        self.findings = findings
        self.app = "nap"
        # Whether every job is kept; not so where retention is at work.
        self.keeps = True
        # What a look at a job may be answered besides 200.
        self.trouble = {503}
        # Whether the volume of the shared folder has its power.
        self.powered = True
        # The ids of jobs whose files the driver itself damaged.
        self.damaged = set()
        for name in ("apps", "data", "cwd", "void", "logs"):
            os.makedirs(self.at(name))
        # A script may be another user, who is to reach its app and to write down its starts.
        os.chmod(home, 0o755)
        self.starts_path = self.at("starts")
        with open(self.starts_path, "w"):
            os.chmod(self.starts_path, 0o666)
        apps.make(self.at("apps"), self.app, self.starts_path)
        self.apps_digest = tree_digest(self.at("apps"))
        self.ledger = Ledger(self.at("ledger"), findings)
        # The folders that the product itself is to make.
        self.shared = shared or self.at("data", "shared", "bcrlapi")
        self.folder = Folder(self.shared)
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": self.at("void"),
            "TMPDIR": self.at("void"),
            "BCRL_DATA_DIR": self.at("data"),
            "BCRL_SHARED_DIR": self.shared,
            "BCRL_APPS_DIR": self.at("apps"),
            "BCRL_API__LISTEN": "127.0.0.1:0",
            "BCRL_API__RATE__SUBMITS": "off",
            "BCRL_API__RATE__REQUESTS": "off",
            "BCRL_LOG__FORMAT": "json",
            "BCRL_WORKER__CONCURRENCY": str(slots),
            "BCRL_WORKER__WRITABLE": self.starts_path,
            **QUICK_BEAT,
            **(settings or {}),
        }

        def program(kind, name):
            own = {**self.environment, "BCRL_WORKER__NAME": name}
            return Program(os.path.join(programs, kind), name, own, self.at("cwd"), self.at("logs"))

        self.apis = [program("bcrl-api", f"api{n + 1}") for n in range(apis)]
        self.workers = [program("bcrl-worker", f"app{n + 1}") for n in range(workers)]
        # Third parties that claim jobs besides.
        self.claimers = [Claimer(self, f"script{n + 1}") for n in range(claimers)]

    def at(self, *names):
        return os.path.join(self.home, *names)

    def services(self):
        return self.workers + self.apis

    def start(self):
        """Starts all services; the workers first, whose catalog the API needs before it accepts
        anything.
        """
        for service in self.services():
            self.up(service)
        for claimer in self.claimers:
            claimer.start()

    def up(self, service):
        """Starts a service; that it comes up is one of the promises."""
        try:
            service.start()
        except Died as died:
            self.findings.expect(False, "service-up", service.name, str(died))
            raise
        self.findings.expect(True, "service-up", service.name, "")

    def kill_services(self):
        for service in self.services():
            service.kill()

    def end_services(self):
        """Asks all services to end; that they do so with exit code 0 is one of the promises."""
        for claimer in self.claimers:
            claimer.close()
        for service in self.services():
            if service.process is not None and service.is_up():
                code = service.end()
                self.findings.expect(
                    code == 0,
                    "service-up",
                    service.name,
                    f"it ended with {code}: {service.last_words()}",
                )

    def check_services(self, but=()):
        """All services but these still run."""
        for service in self.services():
            if service not in but:
                self.findings.expect(
                    service.is_up(),
                    "service-up",
                    service.name,
                    lambda service=service: f"it has ended: {service.last_words()}",
                )

    def address(self, dice=random):
        """Where one of the APIs listens."""
        addresses = [api.address for api in self.apis if api.address is not None]
        return dice.choice(addresses) if addresses else None

    def starts(self):
        return apps.starts_of(self.starts_path)

    def job_processes(self):
        """The processes of jobs that run now: process id, and the id of their job."""
        found = processes_of(self.home + os.sep)
        return [
            (pid, environment["BCRL_JOB"])
            for pid, environment in found
            if "BCRL_JOB" in environment
        ]

    def log_lines(self, message=None):
        """All log lines of any start of any service, or those that have this message."""
        lines = [line for service in self.services() for line in service.all_log_lines()]
        return [line for line in lines if message is None or line.get("message") == message]

    def close(self, keep):
        """Waits for what is just ending, and removes the folder unless it is to be kept."""
        end = time.monotonic() + 10
        while self.job_processes() and time.monotonic() < end:
            time.sleep(0.05)
        self.ledger.close()
        if not keep:
            shutil.rmtree(self.home, ignore_errors=True)


def tree_digest(path):
    """One digest over all names and contents below a folder."""
    whole = hashlib.sha256()
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            full = os.path.join(folder, name)
            whole.update(os.fsencode(os.path.relpath(full, path)) + b"\0")
            with open(full, "rb") as file:
                whole.update(hashlib.sha256(file.read()).digest())
    return whole.hexdigest()
