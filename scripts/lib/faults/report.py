"""What is told at the end: of each campaign, and of all of them."""

import os
import platform
import subprocess

from faults.findings import CHECKS, Findings


def campaign(played):
    """How one campaign went."""
    if played.skipped:
        print(f"SKIPPED {played.name}: {played.skipped}", flush=True)
        return
    findings = played.findings
    print(f"{_did(played)}, {sum(findings.made.values())} checks, {played.seconds:.0f} s")
    for what, count in sorted(findings.noted.items()):
        print(f"  {what}: {count}")
    for check, why in sorted(findings.left_out.items()):
        print(f"  left out: {check}: {why}")
    for violation in findings.violations:
        print(f"  VIOLATION {violation}")
    if findings.untold:
        print(f"  and {findings.untold} more")
    if played.broke:
        print(f"  the driver itself failed:\n{played.broke}")
    if played.found:
        seed, rounds, home = played.found
        again = f"--only {played.name} --seed {seed} --rounds {rounds}"
        print(f"  folder: {home}\n  again:  scripts/faults --full {again}", flush=True)


def summary(played, chosen, seconds):
    """The last words: what was done, what was checked how often, what did not hold.

    Returns the exit code.
    """
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
    print(f"\n== summary: {seconds:.0f} s on {machine}, commit {commit()}")
    for one in played:
        print(f"  {_line(one)}")
    for one in chosen[len(played) :]:
        print(f"  {one.name}: NOT PLAYED")
    whole = Findings()
    for one in played:
        whole.add(one.findings)
    print("\nchecks made:")
    for check, meaning in CHECKS.items():
        if whole.made[check]:
            print(f"{whole.made[check]:9}  {check:22} {meaning}")
    print(f"  not made: {', '.join(check for check in CHECKS if not whole.made[check]) or 'none'}")
    failed = [one.name for one in played if one.findings.violations or one.broke]
    if failed or len(played) < len(chosen):
        print(f"\nscripts/faults: failed: {', '.join(failed) or 'not all was played'}")
        return 1
    skipped = [one.name for one in played if one.skipped]
    without = f", but SKIPPED: {', '.join(skipped)}" if skipped else ""
    print(f"\nscripts/faults: all checks held{without}")
    return 0


def _did(played):
    rounds = f"{played.rounds} of {played.asked} {played.what}"
    return f"{played.name}: {rounds}, {played.jobs} jobs accepted"


def _line(played):
    if played.skipped:
        return f"{played.name}: SKIPPED: {played.skipped}"
    violations = len(played.findings.violations) + played.findings.untold
    if violations:
        word = f"{violations} VIOLATIONS"
    elif played.broke:
        word = "the driver FAILED"
    else:
        word = "held" if played.rounds else "NOTHING DONE"
    return f"{_did(played)}, {played.seconds:.0f} s: {word}"


def commit():
    """The commit of the sources, with a plus where files were changed since."""
    here = os.path.dirname(os.path.abspath(__file__))

    def git(*words):
        words = ["git", "-C", here, *words]
        try:
            ran = subprocess.run(words, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return ran.stdout.strip()

    name = git("rev-parse", "--short", "HEAD")
    return "unknown" if name is None else name + ("+" if git("status", "--porcelain") else "")
