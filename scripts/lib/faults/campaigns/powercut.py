"""`powercut`: the file system of the shared folder loses its power under load.

The folder is on ext4 in a file. The file system is shut down by its own ioctl without writing its
journal out: what had not reached the disk is lost, as after a power cut. All processes are killed,
the file system is checked and mounted again, which replays its journal, and the services are
started on what is left.
"""

import os
import shutil
import threading

from faults.client import ask
from faults.load import Load, Mix, look
from faults.rounds import Campaign, until
from faults.verdict import rules_after_power_cuts
from faults.volume import Ext4, lacks_ext4
from faults.watch import Watch

MEBIBYTES = 400
# How the file system is mounted: usual, without its help for careless renames, and without order
# between data and names.
MOUNTS = ((), ("noauto_da_alloc",), ("data=writeback", "noauto_da_alloc"), ("commit=1",))
PATIENCE = 20.0


class PowerCut(Campaign):
    """One round is one power cut; a site lives through several."""

    name = "powercut"
    quick = 16
    full = 300
    per_site = 10
    what = "power cuts"

    def missing(self):
        return lacks_ext4(self.options.folder)

    def make_site(self, home, dice):
        options = dice.choice(MOUNTS)
        self.findings.note(f"mounted with {','.join(options) or 'the usual options'}")
        self.volume = Ext4(
            os.path.join(home, "disk.img"), os.path.join(home, "disk"), MEBIBYTES, options
        )
        site = self.site(home, shared=os.path.join(self.volume.path, "bcrlapi"))
        site.trouble = {500, 502, 503, 507}
        return site

    def make_watch(self, site):
        return Watch(site, durable_at_once=False)

    def make_load(self, site, seed):
        # One client that submits: the next one's sync would make the first one's request durable as
        # well.
        return Load(site, seed, Mix(cancel=0.15), submitters=1, pause=0.05, allowed=(202, 503))

    def rules(self, stage):
        return rules_after_power_cuts()

    def close(self, stage):
        if self.findings.violations and stage.site is not None and os.path.isdir(stage.site.shared):
            shutil.copytree(stage.site.shared, stage.site.at("shared-as-found"), symlinks=True)
        self.volume.close()

    def round(self, stage):
        site, dice = stage.site, stage.dice
        stage.load.go_on()
        # Nobody but the API syncs anything where no worker is there.
        idle = dice.random() < 0.3
        if idle:
            site.workers[0].kill()
        self.wait_for_the_moment(stage, idle)
        stage.load.hold()
        stage.power_comes_back(self.volume, site.services())
        for job in site.ledger.acknowledged():
            look(site, job.uuid, site.address())
        ready = until(lambda: ask(site.address(), "GET", "/readyz").status == 200, PATIENCE)
        self.findings.expect(
            ready, "service-up", "readyz", f"not ready {PATIENCE:.0f} s after the power cut"
        )

    def wait_for_the_moment(self, stage, idle):
        """Cuts the power: at any time, or the moment somebody was told something."""
        site, dice = stage.site, stage.dice
        kinds = (
            ("any time", "accepted", "accepted")
            if idle
            else ("any time", "accepted", "ended", "canceled")
        )
        kind, count = dice.choice(kinds), dice.randrange(1, 6)
        cut = threading.Event()
        lock = threading.Lock()

        def power_goes():
            with lock:
                if not cut.is_set():
                    site.powered = False
                    self.volume.cut_power()
                    cut.set()

        def told(what):
            nonlocal count
            if what == kind:
                count -= 1
                if count <= 0:
                    power_goes()

        site.ledger.note("power is to go", kind=kind, count=count)
        stage.load.after_202 = lambda: told("accepted")
        site.ledger.on_end = lambda job: told("canceled" if job.final == "canceled" else "ended")
        if kind != "any time":
            cut.wait(5.0)
        stage.sleep(0.0, 1.5 if kind == "any time" else 0.0)
        power_goes()
        stage.load.after_202 = None
        site.ledger.on_end = None
        self.findings.note(f"power cuts: {kind}")
