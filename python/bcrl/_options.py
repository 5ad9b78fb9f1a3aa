"""The options of ``bcrl-folder``, and what its ``--help`` says."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from typing import Callable, NoReturn

from . import _names
from ._state import REASONS, STATUSES
from ._version import __version__

#: Exit code for a wrong call.
USAGE = 2

#: What a command does with its options; returns the exit code.
Call = Callable[[argparse.Namespace], int]

ABOUT = """\
Take part in the queue of a bcrlapi shared folder, by the folder protocol: claim a
job, work on it, and say how it ended. Everything is done under the folder's lock and
checked against what the folder knows of the job.

One command does it all, and is the one for a crontab:

  bcrl-folder run --api soc -- python3 main.py

It claims the next job, gives its body to the command on stdin, and publishes what the
command prints. The other commands are the same in single steps, for scripts that need
them; between claim and finish, they have to show signs of life (see heartbeat --help).
"""

ENVIRONMENT = """\
The folder is --folder, else BCRL_SHARED_DIR, else BCRL_DATA_DIR/shared/bcrlapi, else
data/shared/bcrlapi. BCRL_WORKER__NAME, BCRL_WORKER__HEARTBEAT and BCRL_WORKER__LEASE
stand for --name, --heartbeat and --lease, as for the services.
"""

CODES = """\
exit codes:
  0    it worked; for run also: nothing was waiting
  1    claim: nothing is waiting; run: the job has failed; check: there is trouble
  2    the call is wrong, or the result is no JSON; nothing was changed
  3    a client wants the job to end, or it was canceled
  4    trouble with the folder: not there, damaged, full, locked for too long
  5    the job is no longer this run's: it was taken over, or ended by somebody else
  130  interrupted (143 by SIGTERM): a running job was given back for others to take
"""

RUN = """\
Claims the next job and runs COMMAND on it. COMMAND gets the request's body on stdin and
prints one JSON document on stdout, which is published to the letter if COMMAND exits
with 0; otherwise the job has failed, and its client is told the end of stderr. A main.py
that a worker runs is run by this as well.

Meanwhile this process shows that it lives. It ends COMMAND, with all that it started,
where a client cancels the job, it takes too long, or another one took the job over. On
SIGTERM and Ctrl-C it ends COMMAND and gives the job back; killed by force, it takes
COMMAND with it, and a worker on the folder takes the job over.

COMMAND runs as this user, in this folder and environment, with these variables besides:
  BCRL_JOB, BCRL_API, BCRL_ATTEMPT   the job, its API, which run of it this is
  BCRL_REQUEST                       a copy of the request file
  BCRL_PROGRESS                      a file; append lines {"percent":40,"message":"half"}
  TMPDIR                             a folder of its own, removed afterwards
What it writes to stderr becomes the job's log. Its memory is not limited.
"""

CLAIM = """\
Claims the next job for a script that works in several commands, and prints it as JSON:
uuid, api, token, attempt, worker, request_date and params, the request's body to the
letter. Exits with 1 where nothing is waiting.

The job is this script's for a lease (60 s), and longer as long as `bcrl-folder
heartbeat` is called; the token is needed for every further step.
"""

HEARTBEAT = """\
Shows that the one who works on a job lives, and says by its exit code whether to go on:
0 go on, 3 a client wants the job to end (call give-back), 5 it is no longer this run's.
Due at least three times in a lease (60 s). --while does that until a process has ended,
or the job has, by finish, fail or give-back:

  bcrl-folder heartbeat "$uuid" --token "$token" --while $$ --stop &
"""

GIVE_BACK = """\
Lets a claimed job wait again at its old place; nothing is counted. Where a client wants
the job to end, it is canceled instead.
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=24, width=88)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"bcrl-folder: {message}; see {self.prog} --help\n")


def parser(calls: Mapping[str, Call]) -> argparse.ArgumentParser:
    """The parser of the whole command line; ``calls`` are the commands by their names."""
    top = _Parser(
        prog="bcrl-folder",
        description=ABOUT,
        epilog=f"{ENVIRONMENT}\n{CODES}",
        formatter_class=_Help,
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    everywhere, on_a_job = _options_everywhere(), _options_on_a_job()
    for name, (about, more, needs_job, fill) in _COMMANDS.items():
        made = commands.add_parser(
            name,
            help=about,
            description=more or f"{about[0].upper()}{about[1:]}.",
            epilog=f"{ENVIRONMENT}\n{CODES}",
            parents=[everywhere, on_a_job] if needs_job else [everywhere],
            formatter_class=_Help,
        )
        made.set_defaults(call=calls[name])
        fill(made)
    return top


def _run(run: argparse.ArgumentParser) -> None:
    run.usage = "bcrl-folder run [OPTION]... -- COMMAND [ARGUMENT]..."
    _option_api(run)
    run.add_argument("--all", action="store_true", help="go on until nothing is waiting")
    run.add_argument(
        "--timeout",
        type=_seconds,
        metavar="TIME",
        help="longest run, such as 90s or 2h (default: what the API's catalog says, else 10m)",
    )
    run.add_argument(
        "--grace",
        type=_seconds,
        metavar="TIME",
        default=10.0,
        help="between SIGTERM and SIGKILL to COMMAND (10s)",
    )


def _claim(claim: argparse.ArgumentParser) -> None:
    _option_api(claim)
    claim.add_argument("--body", metavar="FILE", help="write the request's body there as well")
    claim.add_argument("--shell", action="store_true", help='print assignments, for eval "$(…)"')


def _heartbeat(beat: argparse.ArgumentParser) -> None:
    beat.add_argument("--percent", type=float, help="how far it is, from 0 to 100")
    beat.add_argument("--message", help="a word about it, at most 200 characters")
    beat.add_argument(
        "--while", type=int, metavar="PID", dest="while_", help="again and again while it lives"
    )
    beat.add_argument(
        "--stop", action="store_true", help="with --while: SIGTERM to PID when the job is to end"
    )


def _finish(finish: argparse.ArgumentParser) -> None:
    finish.add_argument("--file", metavar="FILE", default="-", help="the result, JSON (stdin)")
    _option_patience(finish)


def _fail(fail: argparse.ArgumentParser) -> None:
    fail.add_argument("--message", required=True, help="why, for its client")
    fail.add_argument(
        "--reason", choices=REASONS, default="exit_code", metavar="REASON", help=", ".join(REASONS)
    )
    fail.add_argument("--exit-code", type=int, help="the script's own, where it had one")
    _option_patience(fail)


def _ls(ls: argparse.ArgumentParser) -> None:
    _option_api(ls)
    ls.add_argument("--status", action="append", choices=STATUSES, help="only these")
    ls.add_argument("--json", action="store_true", help="one JSON object a line")


def _options_everywhere() -> _Parser:
    options = _Parser(add_help=False)
    group = options.add_argument_group("the folder and this worker")
    data = os.environ.get("BCRL_DATA_DIR", "data")
    default = os.environ.get("BCRL_SHARED_DIR") or os.path.join(data, "shared", "bcrlapi")
    group.add_argument("--folder", metavar="PATH", default=default, help="the shared folder")
    group.add_argument(
        "--name",
        default=os.environ.get("BCRL_WORKER__NAME") or _names.host_name(),
        help="the worker's name (the host's)",
    )
    group.add_argument(
        "--heartbeat",
        type=_seconds,
        metavar="TIME",
        default=os.environ.get("BCRL_WORKER__HEARTBEAT", "10s"),
        help="between two signs of life (10s)",
    )
    group.add_argument(
        "--lease",
        type=_seconds,
        metavar="TIME",
        default=os.environ.get("BCRL_WORKER__LEASE", "60s"),
        help="the site's worker.lease (60s)",
    )
    group.add_argument(
        "--lock-timeout",
        type=_seconds,
        metavar="TIME",
        default=5.0,
        help="how long the folder's lock is waited for (5s)",
    )
    group.add_argument("-v", "--verbose", action="store_true", help="say more on stderr")
    return options


def _options_on_a_job() -> _Parser:
    options = _Parser(add_help=False)
    options.add_argument("uuid", type=_said(_names.job_id), metavar="UUID", help="the job")
    options.add_argument(
        "--token", type=_said(_names.token), required=True, help="the run's, as claim printed it"
    )
    return options


def _option_api(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--api",
        action="append",
        type=_said(_names.api_name),
        help="only jobs of this API; may be given several times (default: all)",
    )


def _option_patience(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--patience",
        type=_seconds,
        metavar="TIME",
        help="wait so long for a lock or room on the disk (default: as long as it takes)",
    )


def _said(read: Callable[[str], str]) -> Callable[[str], str]:
    """The same reader, whose complaint reaches the one who typed."""

    def argument(text: str) -> str:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return argument


def _seconds(text: str) -> float:
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *(ms|s|m|h|)", text)
    if match is None or float(match.group(1)) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 500ms, 10s, 2m or 1h")
    return float(match.group(1)) * units[match.group(2)]


def _nothing(_: argparse.ArgumentParser) -> None:
    pass


#: Each command with what it does, in a line and at length, whether it is about one claimed job, and
#: its own options.
_COMMANDS: dict[str, tuple[str, str, bool, Callable[[argparse.ArgumentParser], None]]] = {
    "run": ("claim a job, run a command on it, publish what came of it", RUN, False, _run),
    "claim": ("claim the next job and print it", CLAIM, False, _claim),
    "heartbeat": ("show that a job is worked on", HEARTBEAT, True, _heartbeat),
    "finish": ("publish the result of a claimed job", "", True, _finish),
    "fail": ("end a claimed job without a result", "", True, _fail),
    "give-back": ("let a claimed job wait again", GIVE_BACK, True, _option_patience),
    "ls": ("list the jobs, the oldest first", "", False, _ls),
    "check": ("say whether folder, rights and locks are fit", "", False, _nothing),
}
