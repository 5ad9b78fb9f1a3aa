"""`kills`: API servers, workers and third parties are killed at random moments."""

from faults import claimer
from faults.rounds import Campaign

KINDS = {"api": "an API server", "app": "a worker", "script": "a script with the Python module"}


class Kills(Campaign):
    """SIGKILL of one or more services under load, again and again."""

    name = "kills"
    quick = 30
    full = 3000
    per_site = 60
    what = "kills"

    def make_site(self, home, dice):
        apis, workers = dice.choice(((1, 1), (1, 2), (2, 1), (2, 2)))
        claimers = int(claimer.is_there() and dice.random() < 0.5)
        return self.site(home, apis=apis, workers=workers, claimers=claimers, slots=5 - workers)

    def round(self, stage):
        """One kill; every fifth takes two services in one moment and counts once."""
        stage.sleep(0.02, 0.6)
        processes = stage.site.services() + stage.site.claimers
        victims = stage.dice.sample(processes, 2 if stage.dice.random() < 0.2 else 1)
        stage.site.ledger.note("kill", victims=[victim.name for victim in victims])
        for victim in victims:
            victim.kill()
            self.findings.note(f"kills of {KINDS[victim.name.rstrip('123456789')]}")
        # Now and then nobody is there for a while.
        if stage.dice.random() < 0.3:
            stage.sleep(0.0, 0.5)
        for victim in victims:
            if victim in stage.site.claimers:
                victim.start()
            else:
                stage.site.up(victim)
        stage.site.check_services()

    def after(self, stage):
        folder = stage.site.folder
        receipts = (folder.document("receipt", f"{uuid}.json") for uuid in folder.ids("receipt"))
        ended = [receipt.get("worker", "").startswith("script") for receipt in receipts if receipt]
        self.findings.note("jobs ended by the Python module", sum(ended))
