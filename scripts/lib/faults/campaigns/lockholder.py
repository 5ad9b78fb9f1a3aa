"""`lockholder`: a process that is no part of the product takes the lock of the queue and does not
give it back.
"""

import signal
import subprocess
import sys
import time

from faults.client import NoAnswer, ask
from faults.folder import holders
from faults.load import Load, look, submit
from faults.program import adopt, state
from faults.rounds import Campaign, until

HOLD = """
import fcntl, sys
with open(sys.argv[1], "rb") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""
# A client is made to wait for 5 s; a busy machine may add to it.
ANSWER_PATIENCE = 20.0
# A read takes no lock.
READ_PATIENCE = 3.0


class LockHolder(Campaign):
    """Holders that are slow, stopped, killed, and killed while they are stopped."""

    name = "lockholder"
    quick = 2
    full = 60
    per_site = 10
    what = "holders"

    def make_load(self, site, seed):
        return Load(site, seed, submitters=2, pause=0.3)

    def round(self, stage):
        site, dice = stage.site, stage.dice
        stage.sleep(0.1, 0.6)
        known = [job.uuid for job in site.ledger.acknowledged()]
        kind = dice.choice(("slow", "stopped", "killed", "stopped and killed"))
        # Scripts that lock the data file are waited for as well.
        path = dice.choice((site.folder.lock_path, site.folder.lock_path, site.folder.index_path))
        if path == site.folder.index_path and not known:
            path = site.folder.lock_path
        holder = self.hold(path)
        site.ledger.note("lock held", kind=kind, path=path, pid=holder.pid)
        if kind.startswith("stopped"):
            holder.send_signal(signal.SIGSTOP)
            until(lambda: state(holder.pid) == "T", 10)
        if path == site.folder.lock_path or self.still_stands(holder, path):
            self.check_waiting(stage, holder, known, kind.startswith("stopped"))
        self.let_go(holder, kind)
        self.check_going_on(stage)
        self.findings.note(f"holders that were {kind}")

    @staticmethod
    def hold(path):
        """Starts a process that holds the lock of this file."""
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        adopt(holder)
        holder.stdout.readline()
        return holder

    @staticmethod
    def still_stands(holder, path):
        """Whether the file that is locked is still the index: it may have been replaced while it
        was waited for.
        """
        try:
            return holder.pid in holders(path)
        except FileNotFoundError:
            return False

    @staticmethod
    def let_go(holder, kind):
        if kind == "stopped":
            holder.send_signal(signal.SIGCONT)
        if kind.endswith("killed"):
            holder.kill()
        else:
            holder.stdin.close()
        holder.wait()
        holder.stdout.close()
        if not holder.stdin.closed:
            holder.stdin.close()

    def check_waiting(self, stage, holder, known, stopped):
        """While the lock is held: writes are put off, reads go on, the log names the holder."""
        site = stage.site
        began = time.monotonic()
        nonce = f"{stage.seed}-held-{self.rounds}"
        answer = submit(site, nonce, {"nonce": nonce}, (503,))
        took = time.monotonic() - began
        retry = answer is not None and answer.headers.get("Retry-After", "")
        holds = (
            answer is not None
            and answer.status == 503
            and retry.isdigit()
            and took < ANSWER_PATIENCE
        )
        got = answer and answer.status
        text = f"a submission got {got} with Retry-After {retry!r} after {took:.1f} s"
        self.findings.expect(holds, "lock-waits", nonce, text)
        for uuid in known[-3:]:
            began = time.monotonic()
            try:
                shown = look(site, uuid, site.address())
            except NoAnswer as why:
                shown = str(why)
            took = time.monotonic() - began
            text = f"a look got {shown} after {took:.1f} s"
            self.findings.expect(shown and took < READ_PATIENCE, "lock-waits", uuid, text)
        # Who waits for status.json holds the lock meanwhile, so it need not be the API that names
        # the holder.
        named = until(lambda: self.naming_lines(site, holder, stopped), ANSWER_PATIENCE, 0.2)
        text = "no log line names it" + (" and says that it is stopped" if stopped else "")
        self.findings.expect(named, "holder-named", f"process {holder.pid}", text)

    @staticmethod
    def naming_lines(site, holder, stopped):
        words = f"process {holder.pid} ("
        errors = (line.get("error", "") for line in site.log_lines())
        return [error for error in errors if words in error and (not stopped or "stopped" in error)]

    def check_going_on(self, stage):
        """All is well again: a submission is accepted, and nobody had to do anything."""
        site = stage.site
        nonce = f"{stage.seed}-free-{self.rounds}"
        answer = submit(site, nonce, {"nonce": nonce}, (202, 503))
        self.findings.expect(
            answer is not None and answer.status == 202,
            "lock-waits",
            nonce,
            "not accepted once it was free",
        )
        ready = ask(site.address(), "GET", "/readyz")
        self.findings.expect(
            ready.status == 200, "lock-waits", "readyz", f"{ready.status} {ready.text()}"
        )
        site.check_services()
