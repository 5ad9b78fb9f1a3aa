"""What all campaigns share: seeds, counts and time, a site under load, and its end.

A campaign plays many rounds. After some of them its site is brought to rest, judged and thrown
away, and the next one begins with the next seed, so that whatever is found can be played again
without all that went before.
"""

import random
import shutil
import sys
import tempfile
import time

from faults.findings import Findings
from faults.load import Load
from faults.program import Died, kill_all
from faults.site import Site
from faults.verdict import Rules, Verdict
from faults.watch import Watch

# Between two lines of progress where they do not replace each other, in seconds.
PROGRESS_PAUSE = 30.0


class Options:
    """What a run was asked for."""

    def __init__(self, programs, folder, seed, full=False, rounds=None, minutes=None, target=None):
        self.programs = programs
        # Where builds go.
        self.target = target
        self.folder = folder
        self.seed = seed
        self.full = full
        self.rounds = rounds
        self.ends = None if minutes is None else time.monotonic() + minutes * 60


class Campaign:
    """One kind of fault. A subclass says what a round is; `play` does the rest."""

    name = ""
    # Rounds of a quick and of a full run, and how many are played on one site.
    quick = 1
    full = 300
    per_site = 25
    # What is counted: one of them a round.
    what = "rounds"

    def __init__(self, options):
        self.options = options
        self.findings = Findings()
        self.rounds = 0
        self.jobs = 0
        self.seconds = 0.0
        # The seed and rounds of the site on which something was found, and where its folder is.
        self.found = None
        # Why nothing was done.
        self.skipped = None
        # How the driver itself failed, where it did.
        self.broke = None
        self.asked = options.rounds or (self.full if options.full else self.quick)
        self._told = time.monotonic()

    # What a subclass changes.

    def missing(self):
        """Why this machine cannot play the campaign; nothing where it can."""
        return None

    def make_site(self, home, dice):
        """The site, not yet started."""
        return self.site(home)

    def make_load(self, site, seed):
        """The clients, not yet started; nothing where a round is to do it all."""
        return Load(site, seed)

    def make_watch(self, site):
        return Watch(site)

    def rules(self, stage):
        """What the last checks of this campaign leave out or allow."""
        return Rules()

    def begin(self, stage):
        """Brings the site up."""
        stage.site.start()

    def round(self, stage):
        """Does the fault once."""
        raise NotImplementedError

    def rest(self, stage):
        """Mends whatever the rounds left broken, before the last checks."""

    def after(self, stage):
        """Makes checks of the campaign's own, once all services are down."""

    def close(self, stage):
        """Gives back what the site does not hold itself."""

    # What all share.

    def site(self, home, **changes):
        return Site(self.options.programs, home, self.findings, **changes)

    def play(self):
        """Plays the rounds until all are done, time is over, or something was found."""
        started = time.monotonic()
        self.skipped = self.missing()
        number = 0
        try:
            while not self.skipped and self.rounds < self.asked and not self.is_over():
                seed = self.options.seed + number
                self.play_site(seed, min(self.per_site, self.asked - self.rounds))
                number += 1
        finally:
            self.seconds = time.monotonic() - started

    def is_over(self):
        late = self.options.ends is not None and time.monotonic() > self.options.ends
        return late or bool(self.findings.violations)

    def play_site(self, seed, rounds):
        home = tempfile.mkdtemp(prefix=f"faults-{self.name}-{seed}-", dir=self.options.folder)
        stage = Stage(self, seed, home)
        began = self.rounds
        keep = True
        try:
            stage.set_up()
            while self.rounds - began < rounds and not self.is_over():
                self.round(stage)
                self.rounds += 1
                self.tell()
            stage.bring_to_rest()
            keep = bool(self.findings.violations)
        except Died as died:
            # Mostly this was noticed where it happened.
            self.findings.expect(bool(self.findings.violations), "service-up", self.name, str(died))
        except KeyboardInterrupt:
            keep = False
            raise
        finally:
            stage.clear(keep)
            if keep:
                self.found = (seed, min(rounds, self.rounds - began + 1), home)

    def tell(self):
        """A line of progress."""
        line = f"{self.name}: {self.rounds} of {self.asked} {self.what}"
        if sys.stderr.isatty():
            print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._told > PROGRESS_PAUSE:
            print(line, file=sys.stderr, flush=True)
            self._told = time.monotonic()


class Stage:
    """One site of a campaign while it is played on."""

    def __init__(self, campaign, seed, home):
        self.campaign = campaign
        self.seed = seed
        self.home = home
        self.findings = campaign.findings
        self.dice = random.Random(f"{campaign.name} {seed}")
        self.site = None
        self.watch = None
        self.load = None
        self._loaded = False
        # Whatever a campaign wants to remember between its rounds.
        self.notes = {}

    def set_up(self):
        self.site = self.campaign.make_site(self.home, self.dice)
        self.campaign.begin(self)
        self.watch = self.campaign.make_watch(self.site).start()
        self.load = self.campaign.make_load(self.site, self.seed)
        if self.load is not None:
            self.load.start()
            self._loaded = True

    def sleep(self, least, most):
        """Waits for a time that the seed chooses, in seconds."""
        time.sleep(self.dice.uniform(least, most))

    def bring_to_rest(self):
        """Ends the load, mends the site, and judges it, unless something was found already."""
        self.stop_load()
        self.campaign.rest(self)
        if not self.findings.violations:
            Verdict(self.site, self.watch, self.campaign.rules(self)).give()
            self.campaign.after(self)

    def power_comes_back(self, volume, services):
        """Ends all processes, mounts the volume again as after a power cut, and starts these
        services on what is left.
        """
        with self.watch.blind():
            self.site.kill_services()
            volume.come_back()
            self.watch.power_went()
            self.site.powered = True
            for service in services:
                self.site.up(service)
        self.site.ledger.note("power is back")

    def stop_load(self):
        if self._loaded:
            self._loaded = False
            self.load.stop()

    def clear(self, keep):
        """Ends every process and thread, and removes the folder unless it is to be kept."""
        for claimer in self.site.claimers if self.site is not None else ():
            claimer.close()
        kill_all()
        if self.site is not None:
            self.campaign.jobs += len(self.site.ledger.acknowledged())
        try:
            self.stop_load()
        finally:
            if self.watch is not None:
                self.watch.end()
            self.campaign.close(self)
            if self.site is not None:
                self.site.close(keep)
            elif not keep:
                shutil.rmtree(self.home, ignore_errors=True)


def until(look, patience, pause=0.02):
    """Waits until `look` finds something, and returns it; what it found last where `patience`
    seconds were not enough.
    """
    end = time.monotonic() + patience
    while True:
        found = look()
        if found or time.monotonic() > end:
            return found
        time.sleep(pause)
