"""`retention`: a worker is killed, or the power goes, while it removes what ended long ago."""

import datetime
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

from faults.load import cancel, look, submit
from faults.rounds import Campaign, until
from faults.verdict import Rules, rules_after_power_cuts
from faults.volume import Ext4, lacks_ext4
from faults.watch import Watch

# How long ended jobs are kept here: the shortest time that may be set. Most of the jobs say that
# they ended before.
KEEP = "1m"
LONG_AGO = datetime.timedelta(minutes=10)
# Jobs that end in one round, of which some are canceled, and jobs that wait and must not be
# removed.
ENDED = 60
CANCELED = 5
WAITING = 5
PATIENCE = 30.0
MEBIBYTES = 400


class Retention(Campaign):
    """One round: many jobs are old, a worker begins to remove them, and is stopped in the middle of
    it.
    """

    name = "retention"
    quick = 12
    full = 300
    per_site = 10
    what = "interrupted retentions"
    volume = None

    def make_site(self, home, dice):
        """Where the machine allows it, some sites are on a volume that can lose its power."""
        shared = None
        if dice.random() < 0.4 and lacks_ext4(self.options.folder) is None:
            self.volume = Ext4(
                os.path.join(home, "disk.img"), os.path.join(home, "disk"), MEBIBYTES, ()
            )
            shared = os.path.join(self.volume.path, "bcrlapi")
        site = self.site(home, shared=shared, settings={"BCRL_RETENTION__JOBS": KEEP})
        site.keeps = False
        return site

    def make_watch(self, site):
        return Watch(site, durable_at_once=self.volume is None)

    def close(self, stage):
        if self.volume is not None:
            self.volume.close()
            self.volume = None

    def make_load(self, site, seed):
        return None

    def begin(self, stage):
        super().begin(stage)
        stage.notes["old"] = set()
        # What it offers stays known; nobody runs anything until the end.
        stage.site.workers[0].kill()
        self.submit(stage, WAITING, "waits")

    def rules(self, stage):
        without = {"claims-in-order": "most jobs are ended by hand"}
        return Rules(without) if self.volume is None else rules_after_power_cuts(without)

    def round(self, stage):
        uuids = self.end_jobs(stage)
        # A worker would run what waits; so it is never alive for longer than it takes to see the
        # first file go.
        self.stop_while_removing(stage, uuids)
        self.check_halves(stage, uuids)

    def rest(self, stage):
        site = stage.site
        old = stage.notes["old"]
        site.up(site.workers[0])
        removed = until(lambda: not site.folder.ids("receipt") & old, PATIENCE)
        self.findings.expect(
            removed, "deleted-stay-deleted", "retention", f"not finished after {PATIENCE:.0f} s"
        )

    def submit(self, stage, count, word):
        """Submits side by side, so that it takes no time."""
        site = stage.site

        def one(number):
            nonce = f"{stage.seed}-{word}-{self.rounds}-{number}"
            return submit(site, nonce, {"nonce": nonce})

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(one, range(count)))
        return [answer.json()["uuid"] for answer in answers]

    def end_jobs(self, stage):
        """Many jobs come to an end: by a third party's hand, which also says when, and some are
        canceled now.
        """
        site, folder = stage.site, stage.site.folder
        uuids = self.submit(stage, ENDED, "old")
        canceled = set(stage.dice.sample(uuids, CANCELED))
        for uuid in canceled:
            cancel(site, uuid, site.address())
        done = set(uuids) - canceled
        ended = (datetime.datetime.now(datetime.timezone.utc) - LONG_AGO).isoformat(
            timespec="milliseconds"
        )
        nonces = {job.uuid: job.nonce for job in site.ledger.acknowledged()}
        for uuid in done:
            temporary = folder.at("response", f".tmp-{uuid}")
            with open(temporary, "w") as file:
                json.dump({"nonce": nonces[uuid]}, file)
            os.rename(temporary, folder.at("response", f"{uuid}.json"))

        def finish(document):
            for job in document["jobs"]:
                if job["uuid"] in done:
                    job.update(status="done", finished_date=ended)

        folder.edit(finish)
        self.findings.expect(
            until(lambda: set(uuids) <= folder.ids("receipt"), PATIENCE),
            "final-has-fact",
            "ends by hand",
            "receipts are missing",
        )
        for uuid in uuids:
            look(site, uuid, site.address())
        stage.notes["old"] |= done
        return sorted(done)

    def stop_while_removing(self, stage, uuids):
        """Kills the worker, or cuts the power, when a certain file of a job has just gone."""
        site, dice = stage.site, stage.dice
        worker = site.workers[0]
        folder_name = dice.choice(("request", "request", "receipt", "response", "log"))
        uuid = dice.choice(uuids)
        if folder_name in ("response", "log"):
            folder_name = "response" if uuid in site.folder.ids("response") else "request"
        path = site.folder.at(folder_name, f"{uuid}.json")
        delay = dice.choice((0.0, 0.0, dice.uniform(0.0, 0.004)))
        worker.spawn()
        end = time.monotonic() + PATIENCE
        while os.path.exists(path) and time.monotonic() < end:
            pass
        time.sleep(delay)
        site.ledger.note("stop", power=self.volume is not None, once_gone=path, delay=delay)
        if self.volume is not None:
            site.powered = False
            self.volume.cut_power()
            worker.kill()
            stage.power_comes_back(self.volume, site.apis)
        else:
            worker.kill()
        requests, receipts = site.folder.ids("request"), site.folder.ids("receipt")
        half = [uuid for uuid in uuids if (uuid in requests) != (uuid in receipts)]
        self.findings.note("jobs that were half removed", len(half))
        self.findings.note(
            f"{'kills' if self.volume is None else 'power cuts'} that left a job half removed",
            bool(half),
        )
        if self.volume is None and dice.random() < 0.5:
            site.apis[0].kill()
            site.up(site.apis[0])

    def check_halves(self, stage, uuids):
        """Each job is still there with its end, or gone with all its files."""
        site, folder = stage.site, stage.site.folder
        left = []

        def whole():
            left.clear()
            there = {
                name: folder.ids(name)
                for name in ("request", "receipt", "response", "log", "lease")
            }
            entries = folder.entries()
            for uuid in uuids:
                has = [name for name, ids in there.items() if uuid in ids]
                if uuid not in entries and has:
                    left.append(f"{uuid} has no entry, and is in {has}")
                # Its request may be gone already: the next retention goes on where this one was
                # stopped.
                if uuid in entries and "receipt" not in has:
                    left.append(f"{uuid} has an entry, and no receipt")
            return not left

        self.findings.expect(
            until(whole, PATIENCE), "acknowledged-kept", "half removed jobs", lambda: f"{left[:3]}"
        )
        for uuid in uuids:
            look(site, uuid, site.address())
        for job in site.ledger.acknowledged():
            if job.gone:
                self.findings.expect(
                    job.uuid not in folder.entries(),
                    "deleted-stay-deleted",
                    job.uuid,
                    "it came back",
                )
