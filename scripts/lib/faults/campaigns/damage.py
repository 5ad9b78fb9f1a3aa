"""`damage`: bits flip and files are cut, of every kind that the folder holds, while services run
and while they are down.
"""

import json
import os

from faults.client import ask
from faults.folder import UUID, Unsound, strict
from faults.ledger import FINAL
from faults.load import Load, Mix, look, submit
from faults.rounds import Campaign, until
from faults.site import CALM_BEAT
from faults.verdict import Rules

MEND_PATIENCE = 20.0
# Files that others than the product may change.
EDITABLE = ("catalog", "index", "last good generation")
CANARY = b"nobody writes here\n"


class Damage(Campaign):
    """One round damages one file of each kind, each in another way; half of the rounds while the
    services are down.
    """

    name = "damage"
    quick = 6
    full = 300
    per_site = 6
    what = "rounds of damage"

    # What a job's damaged file may be the reason for.
    REASONS = {
        "request": (
            "request_missing",
            "invalid_request",
            "exit_code",
            "invalid_output",
            "no_result",
        ),
        "lease": ("worker_lost",),
        "log": ("spawn_error",),
    }

    def make_site(self, home, dice):
        return self.site(home, workers=dice.choice((1, 2)), slots=3, settings=CALM_BEAT)

    def make_load(self, site, seed):
        mix = Mix(naps=((0.0, 0.6), (0.0, 0.2)), progress=0.5, fail=0.1)
        return Load(site, seed, mix, submitters=3, pause=0.25)

    def begin(self, stage):
        super().begin(stage)
        stage.notes["honest"] = {}
        stage.canary = stage.site.at("canary")
        with open(stage.canary, "wb") as file:
            file.write(CANARY)

    def rules(self, stage):
        def quarantine(folder, name):
            return (
                folder == "index"
                or name.endswith("-status.json")
                or (folder, uuid_in(name)) in stage.watch.damaged
            )

        return Rules(
            without={
                "claims-in-order": "a damaged index or lease forgets what was claimed",
                "runs-counted": "a damaged lease begins to count again",
                "last-run-ends": "a damaged lease begins to count again",
            },
            honest=stage.notes["honest"],
            quarantine=quarantine,
        )

    def round(self, stage):
        stage.sleep(0.3, 1.0)
        site = stage.site
        down = stage.dice.random() < 0.5
        if down:
            stage.load.hold()
            for service in site.services():
                if stage.dice.random() < 0.5:
                    service.kill()
                else:
                    service.end()
        with stage.watch.blind():
            stage.watch.distrust_index()
            self.damage_all(stage)
            if down:
                for service in site.services():
                    site.up(service)
            self.wait_until_mended(stage)
            stage.watch.trust_index()
        stage.load.go_on()
        self.check_well(stage)
        self.findings.note(
            "rounds while the services were down" if down else "rounds while the services ran"
        )

    def after(self, stage):
        with open(stage.canary, "rb") as file:
            holds = file.read() == CANARY
        self.findings.expect(holds, "nothing-outside", stage.canary, "a link was written through")

    # What is damaged.

    def damage_all(self, stage):
        """One file of each kind. A job loses one file only: of two copies one has to be left."""
        folder, taken = stage.site.folder, set(stage.site.damaged)
        entries = folder.entries()

        def job(folder_name, *statuses):
            """A job in one of these statuses that has a file in this folder, and was not damaged
            yet.
            """
            there = folder.ids(folder_name) - taken
            ids = sorted(
                uuid
                for uuid, entry in entries.items()
                if entry["status"] in statuses and uuid in there
            )
            if not ids:
                return None
            uuid = stage.dice.choice(ids)
            taken.add(uuid)
            return uuid

        for kind, folder_name, statuses in (
            ("request of a job that waits", "request", ("pending",)),
            ("request of a job that runs", "request", ("processing",)),
            ("request of a job that ended", "request", FINAL),
            ("lease", "lease", ("processing",)),
            ("response", "response", ("done",)),
            ("receipt of a job that is done", "receipt", ("done",)),
            ("progress", "progress", ("processing",)),
            ("log", "log", ("processing", *FINAL)),
        ):
            uuid = job(folder_name, *statuses)
            if uuid is not None:
                name = f"{uuid}.log" if folder_name == "log" else f"{uuid}.json"
                self.forgive(stage, folder_name, uuid)
                self.damage(stage, kind, folder_name, name)
        self.plant_response(stage, job("request", "pending", "processing"))
        self.plant_mark(stage, job("request", "processing"))
        self.damage_any(stage, "sign of life", "workers", ".json")
        self.damage_any(stage, "catalog", "catalog", ".json")
        self.damage(stage, "clock of retention", "", ".retention.json")
        # The index is made again from its last good generation and the facts; the end of a job
        # without a result stands nowhere else, so its receipt is damaged only while the index is
        # whole.
        kind = stage.dice.choice(
            ("receipt of another end", "index", "last good generation", "both generations")
        )
        if kind == "receipt of another end":
            uuid = job("receipt", "failed", "canceled")
            if uuid is not None:
                self.forgive(stage, "receipt", uuid)
                self.damage(stage, kind, "receipt", f"{uuid}.json")
        if kind in ("index", "both generations"):
            self.damage(stage, "index", "request", "status.json")
        if kind in ("last good generation", "both generations"):
            self.damage(stage, "last good generation", "request", ".status.prev.json")

    def forgive(self, stage, folder_name, uuid):
        """From now on this file may be another, and whatever it explains is an honest end."""
        stage.site.damaged.add(uuid)
        stage.watch.damaged.add((folder_name, uuid))
        stage.notes["honest"].setdefault(uuid, ())
        stage.notes["honest"][uuid] += self.REASONS.get(folder_name, ())
        if folder_name == "lease":
            stage.watch.lost.pop(uuid, None)

    def damage_any(self, stage, kind, folder_name, suffix):
        names = sorted(
            name
            for name in stage.site.folder.names(folder_name)
            if name.endswith(suffix) and name[0] != "."
        )
        if names:
            self.damage(stage, kind, folder_name, stage.dice.choice(names))

    def damage(self, stage, kind, *names):
        """Flips bits of a file, cuts it, empties it, puts noise or a link in its place."""
        path = stage.site.folder.at(*names)
        if os.path.islink(path) or not os.path.isfile(path):
            # It is gone by now, or an earlier round's link is still there.
            return
        try:
            way = self.change(stage, kind, path)
        except (FileNotFoundError, FileExistsError):
            # Somebody removed or replaced it in between.
            return
        stage.site.ledger.note("damage", kind=kind, way=way, path=path)
        self.findings.note(f"damaged: {kind}")

    def change(self, stage, kind, path):
        with open(path, "rb") as file:
            before = file.read()
        ways = [self.flip, self.flip, self.cut, self.cut, self.clear, self.noise, self.link]
        way = stage.dice.choice(ways)
        data = way(stage, before)
        while kind in EDITABLE and data is not None and is_json(data):
            # What is still JSON is an edit, and nobody could know that it is none.
            data = self.cut(stage, before)
        if data is None:
            os.unlink(path)
            os.symlink(stage.canary, path)
        else:
            overwrite(path, data)
        return way.__name__

    @staticmethod
    def flip(stage, data):
        changed = bytearray(data)
        for _ in range(stage.dice.choice((1, 1, 1, 8))):
            if changed:
                changed[stage.dice.randrange(len(changed))] ^= 1 << stage.dice.randrange(8)
        return bytes(changed)

    @staticmethod
    def cut(stage, data):
        return data[: stage.dice.randrange(len(data))] if data else data

    @staticmethod
    def clear(stage, data):
        return stage.dice.choice((b"", b"\0" * len(data)))

    @staticmethod
    def noise(stage, data):
        return stage.dice.randbytes(stage.dice.randrange(1, 2 * len(data) + 2))

    @staticmethod
    def link(stage, data):
        return None

    def plant_response(self, stage, uuid):
        """Half of a response of a job that has not ended, as from somebody who was killed while
        writing.
        """
        if uuid is None:
            return
        self.forgive(stage, "response", uuid)
        path = stage.site.folder.at("response", f"{uuid}.json")
        if not os.path.exists(path):
            with open(path, "w") as file:
                file.write(json.dumps({"nonce": "half"})[: stage.dice.randrange(14)])
            self.findings.note("damaged: response without a receipt")

    def plant_mark(self, stage, uuid):
        """A cancel mark with something in it; it is a mark all the same."""
        if uuid is not None:
            self.forgive(stage, "cancel", uuid)
            with open(stage.site.folder.at("cancel", uuid), "wb") as file:
                file.write(stage.dice.randbytes(100))
            self.findings.note("damaged: cancel mark")

    # What is looked at afterwards.

    def wait_until_mended(self, stage):
        """The index is whole again, with all that was promised before."""
        due = {job.uuid for job in stage.site.ledger.acknowledged()}
        trouble = []

        def mended():
            trouble.clear()
            try:
                entries = stage.site.folder.entries()
            except (OSError, Unsound, ValueError) as error:
                trouble.append(str(error))
                return False
            trouble.extend(f"{uuid} is missing" for uuid in due - set(entries))
            for uuid, entry in entries.items():
                known = stage.site.ledger.jobs.get(uuid)
                if known is not None and known.final not in (None, entry["status"]):
                    trouble.append(f"{uuid} was {known.final}, and is {entry['status']}")
            return not trouble

        holds = until(mended, MEND_PATIENCE)
        text = f"after {MEND_PATIENCE:.0f} s: {trouble[:3]}"
        self.findings.expect(holds, "index-mended", "status.json", text)

    def check_well(self, stage):
        """The services run, know their APIs, and accept jobs; a catalog may take a moment."""
        site = stage.site
        site.check_services()
        for uuid in site.damaged:
            # Whoever looks at a job first finds what is wrong with it; a second damage could then
            # undo no copy.
            look(site, uuid, site.address())
        health = ask(site.address(), "GET", "/healthz")
        self.findings.expect(
            health.status == 200, "service-up", "healthz", f"{health.status} {health.text()}"
        )
        tries = []

        def accepted():
            nonce = f"{stage.seed}-after-{self.rounds}-{len(tries)}"
            tries.append(submit(site, nonce, {"nonce": nonce}, (202, 404, 503)))
            return tries[-1] is not None and tries[-1].status == 202

        holds = until(accepted, MEND_PATIENCE, 0.3)
        text = f"after {MEND_PATIENCE:.0f} s: {tries[-1] and tries[-1].text()}"
        self.findings.expect(holds, "catalog-mended", "a submission", text)


def uuid_in(name):
    """The id in the name of a file that was put aside."""
    found = UUID.search(name)
    return found.group() if found else None


def is_json(data):
    try:
        strict(data)
    except ValueError:
        return False
    return True


def overwrite(path, data):
    """Changes a file in place, as a disk would, whoever may write to it; it is not made where it
    has gone.
    """
    flags = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW
    try:
        file = os.open(path, flags)
    except PermissionError:
        # Facts are for reading only, also for whom they belong to.
        mode = os.stat(path).st_mode & 0o7777
        os.chmod(path, mode | 0o200)
        file = os.open(path, flags)
        os.chmod(path, mode)
    with open(file, "wb") as opened:
        opened.write(data)
