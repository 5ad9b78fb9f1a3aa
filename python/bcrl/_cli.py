"""The command line ``bcrl-folder``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time

from . import _check, _json, _options
from ._options import USAGE
from ._process import Stop
from ._run import LOST, run_job
from ._state import CANCELED, DONE, FAILED
from .errors import FolderError, InvalidResult, JobCanceled, JobLost
from .folder import Folder
from .job import Job

OK, NO, CANCEL, TROUBLE, GONE, INTERRUPTED = 0, 1, 3, 4, 5, 130


def main(arguments: list[str] | None = None) -> int:
    """Does what the command line says; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    given, command = _split(given)
    parser = _options.parser(_CALLS)
    options = parser.parse_args(given)
    if bool(command) != (options.call is _run):
        parser.error("run takes a command after --, and nothing else does")
    options.command = command
    logging.basicConfig(
        format="bcrl-folder: %(message)s",
        level=logging.INFO if options.verbose else logging.WARNING,
        stream=sys.stderr,
    )
    try:
        call: _options.Call = options.call
        return call(options)
    except BrokenPipeError:
        # Whoever read the list has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except JobCanceled as error:
        return _complain(error, CANCEL)
    except JobLost as error:
        return _complain(error, GONE)
    except InvalidResult as error:
        return _complain(error, USAGE)
    except (FolderError, OSError) as error:
        return _complain(error, TROUBLE)
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(error: Exception, code: int) -> int:
    print(f"bcrl-folder: {error}", file=sys.stderr)
    return code


def _split(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """The arguments before and behind ``--``."""
    if "--" not in arguments:
        return arguments, None
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def _run(options: argparse.Namespace) -> int:
    stop = Stop(grace=options.grace)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: stop.ask(number))
    code = OK
    with _folder(options) as folder:
        while stop.signal is None:
            job = folder.claim(options.api)
            if job is None:
                break
            limits = folder.limits(job.api)
            timeout = options.timeout or limits.timeout_s
            ended = run_job(folder.store, job, options.command, timeout, limits, stop)
            print(job.uuid, ended, flush=True)
            code = code or {DONE: OK, FAILED: NO, CANCELED: CANCEL, LOST: GONE}.get(ended, OK)
            if not options.all:
                break
    return code if stop.signal is None else 128 + stop.signal


def _claim(options: argparse.Namespace) -> int:
    job = _folder(options).claim_detached(options.api)
    if job is None:
        return NO
    try:
        if options.body:
            with open(options.body, "wb") as file:
                file.write(job.body)
        print(_shell(job) if options.shell else _document(job), flush=True)
    except OSError:
        # Nobody knows of it, so nobody would work on it.
        job.give_back()
        raise
    return OK


def _document(job: Job) -> str:
    members = {
        "uuid": job.uuid,
        "api": job.api,
        "token": job.token,
        "attempt": job.attempt,
        "worker": job.worker,
        "request_date": job.request_date,
    }
    return f'{_json.dumps(members)[:-1]},"params":{job.body.decode("utf-8")}}}'


def _shell(job: Job) -> str:
    # None of these can hold anything that a shell would take for more than text.
    return f"uuid={job.uuid} api={job.api} token={job.token} attempt={job.attempt}"


def _heartbeat(options: argparse.Namespace) -> int:
    folder = _folder(options)
    job = folder.resume(options.uuid, options.token)
    beaten = False
    try:
        folder.beat(job, options.percent, options.message)
        beaten = True
        if options.while_ is not None:
            _beat_while(folder, job, options.while_, options.heartbeat)
    except (JobCanceled, JobLost) as over:
        if options.while_ is not None and isinstance(over, JobLost) and job.ended_itself():
            # By finish, fail or give-back, which may have been quicker than the first beat.
            return OK
        if options.stop and options.while_ is not None and (beaten or job.cancel_requested):
            os.kill(options.while_, signal.SIGTERM)
        raise
    return OK


def _beat_while(folder: Folder, job: Job, process: int, pause: float) -> None:
    due = 0.0
    while _lives(process):
        if time.monotonic() >= due:
            folder.beat(job)
            due = time.monotonic() + pause
        job.check()
        time.sleep(min(1.0, pause))


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _finish(options: argparse.Namespace) -> int:
    if options.file == "-":
        result = sys.stdin.buffer.read()
    else:
        with open(options.file, "rb") as file:
            result = file.read()
    job = _folder(options).resume(options.uuid, options.token)
    job.finish_json(result, patience=options.patience)
    return OK


def _fail(options: argparse.Namespace) -> int:
    job = _folder(options).resume(options.uuid, options.token)
    job.fail(
        options.message,
        reason=options.reason,
        exit_code=options.exit_code,
        patience=options.patience,
    )
    return OK


def _give_back(options: argparse.Namespace) -> int:
    job = _folder(options).resume(options.uuid, options.token)
    print(job.uuid, job.give_back(patience=options.patience))
    return OK


def _ls(options: argparse.Namespace) -> int:
    for job in _folder(options).jobs(apis=options.api, statuses=options.status):
        if options.json:
            known = {name: value for name, value in vars(job).items() if value is not None}
            print(_json.dumps(known))
        else:
            print(f"{job.uuid}  {job.status:<10}  {job.api:<16}  {job.request_date}")
    return OK


def _check_folder(options: argparse.Namespace) -> int:
    folder = _folder(options)
    problems = list(_check.problems(folder.store))
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{folder.path} is fit: {len(folder.jobs())} jobs in the index")
    return NO if problems else OK


def _folder(options: argparse.Namespace) -> Folder:
    try:
        return Folder(
            options.folder,
            name=options.name,
            lock_timeout=options.lock_timeout,
            heartbeat=options.heartbeat,
            lease=options.lease,
        )
    except ValueError as error:
        sys.exit(_complain(error, USAGE))


_CALLS: dict[str, _options.Call] = {
    "run": _run,
    "claim": _claim,
    "heartbeat": _heartbeat,
    "finish": _finish,
    "fail": _fail,
    "give-back": _give_back,
    "ls": _ls,
    "check": _check_folder,
}
