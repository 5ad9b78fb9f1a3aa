"""What may be asked for."""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

from faults import report
from faults.campaigns import ALL, BY_NAME
from faults.program import kill_all
from faults.rounds import Options
from faults.volume import make_private

PROGRAMS = ("bcrl-api", "bcrl-worker")

DESCRIPTION = """\
Breaks bcrlapi on purpose: real processes under load, faults at random moments, and checks
from outside.

  kills        API servers and workers are killed at random moments under load
  stops        workers are stopped for longer than their lease, then go on
  lockholder   somebody holds the lock of the queue, is stopped or killed with it
  diskfull     the shared folder's disk has no room left, down to the last byte
  edits        somebody edits status.json meanwhile, by the rules and against them
  damage       bits flip and files are cut, of every kind, while services run or are down
  retention    a worker is killed, or the power goes, while it removes old jobs
  powercut     a file system loses its power (a loop device with ext4; needs root)
  mutants      builds of the product with one protection taken out each: a campaign has to
               notice (built with --full; else it is looked whether their patches fit)

Every campaign counts what it did and what it checked. The exit code is 0 only if all checks
held. Otherwise it tells the seed, the check and the id, and keeps the folder with its logs
and the ledger of all that clients were told. docs/reliability.md says what each campaign
does, and what was found."""

EPILOG = """\
examples:
  scripts/faults --quick                                      a few rounds of each
  scripts/faults --full                                       the full counts: hours
  scripts/faults --full --only kills --minutes 30             as many kills as fit
  scripts/faults --full --only kills --seed 17 --rounds 60    the same choices again

With the same seed and rounds the same faults are chosen in the same order; at which
instruction they hit is up to the machine, so what was found once may take several tries to
be found again.

Programs are taken from the target folder, which is brought up to date first; with --programs
they are taken as they are. diskfull and powercut mount small file systems, in a mount
namespace of their own. Where the machine does not allow that they are skipped, and the
summary says so."""


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="scripts/faults",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--quick", action="store_true", help="a few rounds of each campaign")
    size.add_argument(
        "--full", action="store_true", help="3,000 kills, 300 of most others, and the mutants"
    )
    add = parser.add_argument
    add(
        "--only",
        action="append",
        choices=list(BY_NAME),
        metavar="NAME",
        help="this campaign; may be repeated",
    )
    add("--seed", type=int, help="repeats the choices of an earlier run (default: a new one)")
    add("--rounds", type=positive, help="so many rounds of each campaign")
    add("--minutes", type=float, help="no new round after so many minutes")
    add(
        "--programs",
        metavar="FOLDER",
        help="where bcrl-api and bcrl-worker are (default: target/debug, built first)",
    )
    add("--target", default="target", help=argparse.SUPPRESS)
    add("--folder", help="where the sites are made (default: the folder for temporary files)")
    return parser.parse_args(words)


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 is due")
    return number


def main(words):
    asked = arguments(words)
    make_private()
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    programs = os.path.abspath(asked.programs or os.path.join(asked.target, "debug"))
    folder = os.path.abspath(asked.folder or tempfile.gettempdir())
    chosen = [campaign for campaign in ALL if not asked.only or campaign.name in asked.only]
    print(f"faults: seed {seed}, programs of {programs}", flush=True)
    started = time.monotonic()
    played = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="faults-programs-", dir=folder) as copies:
            keep_programs(programs, copies)
            options = Options(
                copies,
                folder,
                seed,
                asked.full,
                asked.rounds,
                asked.minutes,
                os.path.abspath(asked.target),
            )
            for campaign in chosen:
                played.append(campaign(options))
                play(played[-1])
    except KeyboardInterrupt:
        kill_all()
        print("\ninterrupted; all processes were ended", file=sys.stderr)
        report.summary(played, chosen, time.monotonic() - started)
        return 130
    return report.summary(played, chosen, time.monotonic() - started)


def keep_programs(programs, copies):
    """Copies the programs, so that a build in the meantime does not change what is tested."""
    for name in PROGRAMS:
        path = os.path.join(programs, name)
        if not os.access(path, os.X_OK):
            sys.exit(f"error: {path} is missing; leave --programs out to have it built")
        shutil.copy2(path, copies)


def play(campaign):
    print(f"\n== {campaign.name}: {campaign.asked} {campaign.what}", flush=True)
    try:
        campaign.play()
    except Exception:
        campaign.broke = traceback.format_exc()
    finally:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        report.campaign(campaign)
