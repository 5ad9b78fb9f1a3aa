"""`edits`: somebody edits `status.json` while all is running, by the rules of the protocol and
against them.
"""

from faults.campaigns.edits_against import EMPTY, EditsAgainst
from faults.campaigns.edits_by_rule import MEND_PATIENCE, EditsByRule
from faults.client import ask
from faults.folder import Unsound
from faults.ledger import FINAL
from faults.load import Load, submit
from faults.rounds import Campaign, until
from faults.site import CALM_BEAT
from faults.verdict import USUAL_REASONS, Rules


class Edits(EditsByRule, EditsAgainst, Campaign):
    """One round is one edit."""

    name = "edits"
    full = 300
    what = "edits"

    def __init__(self, options):
        self.by_rule, self.against = self.edits_by_rule(), self.edits_against()
        kinds = len(self.by_rule) + len(self.against)
        self.quick = kinds
        self.full = kinds * Edits.full
        self.per_site = kinds
        super().__init__(options)

    def make_site(self, home, dice):
        apis = dice.choice((1, 2))
        return self.site(home, apis=apis, workers=dice.choice((1, 2)), slots=3, settings=CALM_BEAT)

    def make_load(self, site, seed):
        return Load(site, seed, submitters=2, pause=0.3)

    def begin(self, stage):
        super().begin(stage)
        stage.notes.update(keys={}, top={}, left=[], outside=[])
        for n in range(8):
            self.submit_one(stage, f"first-{n}")

    def rules(self, stage):
        return Rules(
            without={"claims-in-order": "the entries are put into another order on purpose"},
            reasons=USUAL_REASONS,
            quarantine=lambda folder, name: folder == "index" or name.endswith("-status.json"),
            # An edit may take a job from a worker that is about to start it: its run publishes
            # nothing, but may begin although somebody else has ended the job.
            late_start=5.0,
        )

    def round(self, stage):
        """Every kind once, in the order of the dice, then over again."""
        left = stage.notes["left"]
        if not left:
            left.extend(self.by_rule + self.against)
            stage.dice.shuffle(left)
        edit = left.pop()
        stage.sleep(0.0, 0.3)
        # Now and then nobody commits anything, and the sweeps have to mend it.
        quiet = stage.dice.random() < 0.3
        if quiet:
            stage.load.hold()
        stage.site.ledger.note("edit", kind=edit.__name__, quiet=quiet)
        if edit in self.against:
            stage.watch.distrust_index()
            with stage.watch.blind():
                edit(stage)
                self.wait_until_mended(stage, edit.__name__)
            stage.watch.trust_index()
        else:
            edit(stage)
        self.check_well(stage, edit.__name__)
        stage.load.go_on()
        self.findings.note(f"edits: {edit.__name__.replace('_', ' ')}")

    def after(self, stage):
        self.check_keys(stage)
        for outside in stage.notes["outside"]:
            with open(outside) as file:
                text = "a link in the place of the index was written through"
                self.findings.expect(file.read() == EMPTY, "nothing-outside", outside, text)

    # What is looked at after each edit.

    def wait_until_mended(self, stage, kind):
        """The index is whole again, and has all that was promised before the edit."""
        due = [job.uuid for job in stage.site.ledger.acknowledged()]
        trouble = []

        def mended():
            trouble.clear()
            try:
                jobs = stage.site.folder.index()["jobs"]
            except (OSError, Unsound) as error:
                trouble.append(str(error))
                return False
            ids = [job["uuid"] for job in jobs]
            trouble.extend(f"{uuid} is missing" for uuid in set(due) - set(ids))
            words = {"pending", "processing", *FINAL}
            trouble.extend(
                f"{job['uuid']} is {job['status']}" for job in jobs if job["status"] not in words
            )
            # An end that was seen is shown again, once the facts were heard.
            for job in jobs:
                known = stage.site.ledger.jobs.get(job["uuid"])
                if known is not None and known.final not in (None, job["status"]):
                    trouble.append(f"{job['uuid']} was {known.final}, and is {job['status']}")
            if len(ids) != len(set(ids)):
                trouble.append("an id stands there twice")
            return not trouble

        self.findings.expect(
            until(mended, MEND_PATIENCE),
            "index-mended",
            kind,
            lambda: f"after {MEND_PATIENCE:.0f} s: {trouble[:3]}",
        )

    def check_well(self, stage, kind):
        """The services answer, accept, and know what was added by others."""
        site = stage.site
        site.check_services()
        health = ask(site.address(), "GET", "/readyz")
        self.findings.expect(
            health.status == 200, "service-up", kind, f"readyz: {health.status} {health.text()}"
        )
        self.submit_one(stage, f"after-{self.rounds}")
        self.check_keys(stage)

    def submit_one(self, stage, name):
        """A commit of the product's own, after which an index and the generation before it are
        there again.
        """
        nonce = f"{stage.seed}-{name}"
        answer = submit(stage.site, nonce, {"nonce": nonce, "naps": [0.05]}, (202,))
        return answer.json()["uuid"] if answer is not None and answer.status == 202 else None

    def check_keys(self, stage):
        document = stage.site.folder.index()
        for key, value in stage.notes["top"].items():
            self.findings.expect(
                document.get(key) == value,
                "foreign-kept",
                "status.json",
                f"{key} is {document.get(key)}",
            )
        entries = {job["uuid"]: job for job in document["jobs"]}
        for uuid, keys in stage.notes["keys"].items():
            for key, value in keys.items():
                now = entries.get(uuid, {}).get(key)
                self.findings.expect(
                    now == value, "foreign-kept", uuid, f"{key} was {value}, and is {now}"
                )
