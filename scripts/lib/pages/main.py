"""What may be asked for, and the tours one after the other."""

import argparse
import os
import sys
import tempfile
import time
import traceback

DESCRIPTION = """\
Opens the pages of bcrlapi in Chromium and does what people do there: fills forms, watches
jobs, looks at plots, downloads results; with and without JavaScript, with the keyboard
alone, at 320 pixels, in the light and in the dark, in Japanese and in English. Each page is
judged by axe (WCAG 2.2 AA), and photographed.

The services run for real: `bcrl up` on a free port, on a folder of its own, with the apps of
the repository. The exit code is 0 only if all held."""


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="scripts/pages",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", action="append", metavar="NAME", help="this tour; may be repeated")
    add(
        "--programs",
        metavar="FOLDER",
        help="where bcrl is (default: target/debug, built first)",
    )
    add("--shots", metavar="FOLDER", help="where pictures go (default: target/pages/shots)")
    add("--target", default="target", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def main(words):
    asked = arguments(words)
    # Whoever only asks for help needs no browser.
    from pages import tours
    from pages.site import Site

    shots = os.path.abspath(asked.shots or os.path.join(asked.target, "pages", "shots"))
    os.makedirs(shots, exist_ok=True)
    programs = os.path.abspath(asked.programs or os.path.join(asked.target, "debug"))
    chosen = [tour for tour in tours.ALL if not asked.only or tour.__name__ in asked.only]
    if not chosen:
        known = ", ".join(tour.__name__ for tour in tours.ALL)
        sys.exit(f"error: there is no such tour; there are {known}")
    failed = []
    for tour in chosen:
        started = time.monotonic()
        # A script may be another user, who is to reach its app.
        with tempfile.TemporaryDirectory(prefix="pages-") as home:
            os.chmod(home, 0o755)
            try:
                with Site(programs, home) as site:
                    tour(site, shots)
            except Exception:
                traceback.print_exc()
                failed.append(tour.__name__)
        word = "FAILED" if tour.__name__ in failed else "well"
        print(f"{tour.__name__}: {word}, {time.monotonic() - started:.1f} s", flush=True)
    print(f"pages: {len(chosen)} tours, {len(failed)} failed; pictures in {shots}")
    return 1 if failed else 0
