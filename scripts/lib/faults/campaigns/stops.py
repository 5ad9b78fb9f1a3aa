"""`stops`: a worker is stopped for longer than its lease, its jobs are taken back, and it goes on
as if nothing were.
"""

import math
import time

from faults import claimer
from faults.folder import holders
from faults.ledger import FINAL
from faults.load import Load, Mix
from faults.rounds import Campaign, until

# Lease and sweep of the site together, and what a busy machine may add, in seconds.
RESCUE_PATIENCE = 1.8 + 10.0


class Stops(Campaign):
    """SIGSTOP of a worker that runs jobs, SIGCONT once others have taken them back."""

    name = "stops"
    quick = 6
    full = 300
    per_site = 15
    what = "stopped workers"

    def make_site(self, home, dice):
        workers, claimers = dice.choice(((2, 0), (3, 0), (2, 1)))
        return self.site(home, workers=workers, claimers=claimers * claimer.is_there(), slots=3)

    def make_load(self, site, seed):
        # A second run takes longer, so that a first one that comes back late finds it under way.
        mix = Mix(naps=((0.1, 0.7), (0.8, 2.0)), cancel=0.02)
        return Load(site, seed, mix, submitters=2, pause=0.3)

    def round(self, stage):
        site, dice = stage.site, stage.dice
        stage.sleep(0.0, 0.5)
        victim = dice.choice(site.workers + site.claimers)
        if victim in site.claimers and not until(lambda: runs_of(site, victim), 5):
            # The workers left it nothing.
            victim = dice.choice(site.workers)
        if not until(lambda: runs_of(site, victim), 30):
            self.findings.expect(
                False, "all-ended", victim.name, "it claimed nothing within 30 s under load"
            )
            return
        # As long as it stands still, so do the processes of its jobs' ends.
        stage.watch.grace_from = math.inf
        victim.stop()
        runs = runs_of(site, victim)
        kind = "a worker" if victim in site.workers else "a script with the Python module"
        self.findings.note(f"stopped: {kind}")
        site.ledger.note("stop", victim=victim.name, runs=list(runs))
        if victim.pid in holders(site.folder.lock_path):
            # Then nobody can take anything back, and clients are told to come again.
            self.findings.note("stopped while holding the lock")
            stage.sleep(0.0, 7.0)
        else:

            def all_taken():
                return all(self.is_taken(site, uuid, token) for uuid, (token, _) in runs.items())

            taken = until(all_taken, RESCUE_PATIENCE)
            for uuid, (token, attempt) in runs.items():
                text = f"{RESCUE_PATIENCE:.0f} s after {victim.name} stopped run {attempt} counts"
                self.findings.expect(
                    taken or self.is_taken(site, uuid, token), "rescued-in-time", uuid, text
                )
                stage.notes[uuid] = attempt
            self.wait_before_going_on(stage, runs)
        victim.go_on()
        stage.watch.grace_from = time.monotonic()
        site.ledger.note("go on", victim=victim.name)
        self.findings.note("runs taken back", len(runs))

    @staticmethod
    def is_taken(site, uuid, token):
        entry = site.folder.entries().get(uuid, {})
        return entry.get("status") != "processing" or entry.get("token") != token

    @staticmethod
    def wait_before_going_on(stage, runs):
        """It goes on at once, while others run its jobs again, or once these have ended."""
        kind = stage.dice.choice(("at once", "meanwhile", "meanwhile", "too late"))
        if kind == "meanwhile":
            stage.sleep(0.1, 1.2)
        elif kind == "too late":
            until(
                lambda: all(stage.site.folder.entries()[uuid]["status"] in FINAL for uuid in runs),
                20,
            )

    def after(self, stage):
        """A run that was taken back has ended no job, whatever it printed."""
        folder = stage.site.folder
        late = [name for name in folder.names("quarantine/late") if name.endswith(".json")]
        self.findings.note("late results put aside", len(late))
        for uuid, attempt in stage.notes.items():
            receipt = folder.document("receipt", f"{uuid}.json") or {}
            by_a_run = (
                receipt.get("status") == "done"
                or receipt.get("failure", {}).get("reason") == "exit_code"
            )
            text = (
                f"run {attempt} was taken back, and the receipt says run {receipt.get('attempt')}"
            )
            holds = not by_a_run or receipt.get("attempt", 0) > attempt
            self.findings.expect(holds, "late-aside", uuid, text)


def runs_of(site, worker):
    """The runs that a worker has under way: token and number, by the id of their job."""
    runs = {}
    for uuid, entry in site.folder.entries().items():
        if entry["status"] != "processing" or "token" not in entry:
            continue
        lease = site.folder.document("lease", f"{uuid}.json")
        if (
            lease
            and lease["token"] == entry["token"]
            and lease["worker"].startswith(f"{worker.name}-")
        ):
            runs[uuid] = (entry["token"], lease["attempt"])
    return runs
