"""`mutants`: builds of the product with one protection taken out each. A campaign has to notice
what is missing.

This tests the campaigns: one that notices nothing when nothing is synced would prove nothing when
all is well.
"""

import os
import shutil
import subprocess
import sys

from faults.campaigns.edits import Edits
from faults.campaigns.powercut import PowerCut
from faults.campaigns.retention import Retention
from faults.campaigns.stops import Stops
from faults.patch import Misfit, apply_patch
from faults.rounds import Campaign, Options

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 4))
PATCHES = os.path.join(ROOT, "scripts", "lib", "faults", "mutants")
# What a build does not need.
LEFT_OUT = {"target", "data", ".git", ".venv", "__pycache__"}
LOST = (
    "acknowledged-kept",
    "all-ended",
    "honest-end",
    "final-unchanged",
    "final-has-fact",
    "facts-unchanged",
    "quarantine-reasoned",
)


class Mutant:
    """One protection that is taken out: its patch, who has to notice, by which checks, and within
    how many rounds.
    """

    def __init__(self, patch, campaign, checks, rounds):
        self.patch = patch
        self.campaign = campaign
        self.checks = checks
        self.rounds = rounds


MUTANTS = (
    Mutant("no-folder-sync", PowerCut, LOST, 60),
    Mutant("answer-before-sync", PowerCut, LOST, 60),
    Mutant("lock-on-the-data", Edits, ("foreign-kept", *LOST), 36),
    Mutant("no-token-check", Stops, ("late-aside", "last-run-ends", "facts-unchanged"), 45),
    Mutant(
        "facts-before-request",
        Retention,
        ("final-unchanged", "acknowledged-kept", "final-has-fact"),
        40,
    ),
)


class Mutants(Campaign):
    """One round is one mutant. A quick run only looks whether their patches fit the sources."""

    name = "mutants"
    quick = len(MUTANTS)
    full = len(MUTANTS)
    what = "mutants"

    def __init__(self, options):
        super().__init__(options)
        self.asked = min(self.asked, len(MUTANTS))
        self.place = os.path.join(options.target, "faults-mutants")

    def missing(self):
        if not os.path.isfile(os.path.join(ROOT, "Cargo.toml")):
            return "the sources are not here"
        return None

    def play_site(self, seed, rounds):
        for mutant in MUTANTS[: self.asked]:
            if self.is_over():
                return
            self.note_fit(mutant)
            if self.options.full and not self.findings.violations:
                self.hunt(mutant, seed)
            self.rounds += 1
            self.tell()

    def note_fit(self, mutant):
        try:
            apply_patch(patch_of(mutant), ROOT, None)
            trouble = None
        except Misfit as misfit:
            trouble = str(misfit)
        self.findings.expect(trouble is None, "patches-apply", mutant.patch, trouble)

    def hunt(self, mutant, seed):
        """Builds a mutant, and lets a campaign loose on it."""
        sources = os.path.join(self.place, "src")
        mirror(ROOT, sources)
        apply_patch(patch_of(mutant), ROOT, sources)
        print(f"mutants: building {mutant.patch}", file=sys.stderr, flush=True)
        self.build(sources)
        programs = os.path.join(self.place, "target", "debug")
        options = Options(
            programs,
            self.options.folder,
            seed,
            full=True,
            rounds=mutant.rounds,
            target=self.options.target,
        )
        options.ends = self.options.ends
        hunter = mutant.campaign(options)
        hunter.play()
        told = [
            violation
            for violation in hunter.findings.violations
            if violation.check in mutant.checks
        ]
        if hunter.found is not None:
            shutil.rmtree(hunter.found[2], ignore_errors=True)
        if hunter.skipped:
            self.findings.note(
                f"{mutant.patch}: NOT HUNTED, {mutant.campaign.name} was skipped: {hunter.skipped}"
            )
            return
        found = (
            ", ".join(sorted({violation.check for violation in hunter.findings.violations}))
            or "nothing"
        )
        text = f"{hunter.name} with seed {seed} found {found} in {hunter.rounds} {hunter.what}"
        self.findings.expect(bool(told), "mutant-caught", mutant.patch, text)
        self.findings.note(
            f"{mutant.patch}: {hunter.name} noticed by {found}, after rounds", hunter.rounds + 1
        )

    def build(self, sources):
        environment = {**os.environ, "CARGO_TARGET_DIR": os.path.join(self.place, "target")}
        words = ["cargo", "build", "--locked", "--package", "api", "--package", "worker", "--bins"]
        built = subprocess.run(words, cwd=sources, env=environment, capture_output=True, text=True)
        if built.returncode != 0:
            raise OSError(f"the mutant cannot be built:\n{built.stderr[-2000:]}")


def patch_of(mutant):
    with open(os.path.join(PATCHES, f"{mutant.patch}.patch")) as file:
        return file.read()


def mirror(source, target):
    """Makes `target` the same as `source`; files that are the same already keep their dates, so
    that builds are short.
    """
    wanted = set()
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        inner = os.path.relpath(folder, source)
        os.makedirs(os.path.join(target, inner), exist_ok=True)
        for name in names:
            path = os.path.normpath(os.path.join(inner, name))
            wanted.add(path)
            copy_if_other(os.path.join(source, path), os.path.join(target, path))
    for folder, _, names in os.walk(target):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, target) not in wanted:
                os.unlink(path)


def copy_if_other(source, target):
    if os.path.islink(source):
        return
    with open(source, "rb") as file:
        data = file.read()
    if os.path.isfile(target):
        with open(target, "rb") as file:
            if file.read() == data:
                return
    with open(target, "wb") as file:
        file.write(data)
