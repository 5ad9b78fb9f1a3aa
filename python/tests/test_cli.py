"""The command line, as a crontab and a shell script use it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from .support import PYTHON, FolderTest, until

#: A program's first lines: it says that it runs, and waits for a file.
WAITS = """
import os, sys, time
open({said!r}, "w").write(str(os.getpid()))
while not os.path.exists({gate!r}):
    time.sleep(0.01)
"""


def lives(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class CommandTest(FolderTest):
    def setUp(self) -> None:
        super().setUp()
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(PYTHON),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BCRL_SHARED_DIR": str(self.root),
            "BCRL_WORKER__HEARTBEAT": "50ms",
            "BCRL_WORKER__LEASE": "3s",
            "BCRL_WORKER__NAME": "lab1",
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "bcrl", *arguments],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def call(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """What a command prints that ends with this code."""
        process = self.start(*arguments, stdin=subprocess.PIPE)
        out, error = process.communicate(given)
        self.assertEqual(process.returncode, code, out + error)
        return out if code in (0, 1) and out else error


class Steps(CommandTest):
    def claim(self) -> dict[str, Any]:
        claimed: dict[str, Any] = json.loads(self.call("claim", "--api", "soc"))
        return claimed

    def test_claim_and_finish(self) -> None:
        self.submit("add")
        uuid = self.submit(params='{"n": 1.50}')
        out = self.call("claim", "--api", "soc", "--body", "body.json")
        self.assertTrue(out.endswith(',"params":{"n": 1.50}}\n'), out)
        claimed = json.loads(out)
        self.assertEqual((claimed["uuid"], claimed["attempt"]), (uuid, 1))
        self.assertEqual((self.home / "body.json").read_text(), '{"n": 1.50}')
        self.call("claim", "--api", "soc", code=1)
        self.call("heartbeat", uuid, "--token", claimed["token"], "--percent", "40")
        self.assertEqual(self.document("progress", uuid)["percent"], 40)
        (self.home / "result.json").write_text('{"soc": 0.8700}')
        self.call("finish", uuid, "--token", claimed["token"], "--file", "result.json")
        response = (self.root / "response" / f"{uuid}.json").read_text()
        self.assertEqual((self.status(uuid), response), ("done", '{"soc": 0.8700}'))
        self.assertEqual(self.names("workers"), [])

    def test_the_shell_form_and_stdin(self) -> None:
        uuid = self.submit()
        out = self.call("claim", "--shell")
        self.assertRegex(out, rf"\Auuid={uuid} api=soc token=[0-9a-f]{{32}} attempt=1\n\Z")
        token = out.split("token=")[1][:32]
        self.assertIn("no JSON", self.call("finish", uuid, "--token", token, given="{", code=2))
        self.assertEqual(self.status(uuid), "processing")
        self.call("finish", uuid, "--token", token, given="[1]")
        self.assertIn("no longer", self.call("finish", uuid, "--token", token, given="[2]", code=5))
        self.assertEqual((self.root / "response" / f"{uuid}.json").read_text(), "[1]")

    def test_fail(self) -> None:
        uuid = self.submit()
        token = self.claim()["token"]
        message = ["--message", "the cell is gone"]
        self.call("fail", uuid, "--token", token, *message, "--reason", "bored", code=2)
        self.call("fail", uuid, "--token", token, *message, "--exit-code", "3")
        failure = {"reason": "exit_code", "message": "the cell is gone", "exit_code": 3}
        self.assertEqual(self.entry(uuid)["failure"], failure)

    def test_give_back_and_cancel(self) -> None:
        uuid = self.submit()
        token = self.claim()["token"]
        self.assertEqual(self.call("give-back", uuid, "--token", token), f"{uuid} pending\n")
        token = self.claim()["token"]
        self.cancel(uuid)
        beat = self.call("heartbeat", uuid, "--token", token, code=3)
        self.assertIn("wants", beat)
        self.assertEqual(self.call("give-back", uuid, "--token", token), f"{uuid} canceled\n")
        self.call("heartbeat", uuid, "--token", token, code=5)

    def test_heartbeats_while_another_process_lives(self) -> None:
        uuid = self.submit()
        token = self.claim()["token"]
        work = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        self.addCleanup(work.wait)
        self.addCleanup(work.kill)
        arguments = ["heartbeat", uuid, "--token", token, "--while", str(work.pid)]
        beating = self.start(*arguments, "--stop")
        (name,) = self.names("workers")
        file = self.root / "workers" / name
        until("some beats", lambda: json.loads(file.read_text())["counter"] > 4)
        self.cancel(uuid)
        self.assertEqual(work.wait(30), -signal.SIGTERM)
        self.assertEqual(beating.wait(30), 3)
        gone = str(work.pid)
        (self.root / "cancel" / uuid).unlink()
        self.call("heartbeat", uuid, "--token", token, "--while", gone)

    def test_heartbeats_end_with_the_job_and_stop_nobody_then(self) -> None:
        for how in (["finish"], ["fail", "--message", "no"], ["give-back"]):
            uuid = self.submit()
            claimed = self.claim()
            self.assertEqual(claimed["uuid"], uuid)
            on_it = [uuid, "--token", claimed["token"]]
            work = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            self.addCleanup(work.wait)
            self.addCleanup(work.kill)
            beating = self.start("heartbeat", *on_it, "--while", str(work.pid), "--stop")
            until("some beats", partial(self.has_beaten, claimed["worker"]))
            self.call(how[0], *on_it, *how[1:], given="1")
            self.assertEqual(beating.wait(30), 0, how)
            # The same, where the job was quicker than the first beat.
            late = ["heartbeat", *on_it, "--while", str(work.pid), "--stop"]
            self.call(*late, code=5 if how == ["give-back"] else 0)
            self.assertIsNone(work.poll(), "it goes on")
            if how == ["give-back"]:
                self.assertEqual(self.status(uuid), "pending")
            else:
                self.assertEqual(self.names("workers"), [])

    def has_beaten(self, worker: str) -> bool:
        return bool(self.document("workers", worker)["counter"] > 2)

    def test_what_cannot_be_written_is_given_back(self) -> None:
        uuid = self.submit()
        self.assertIn("nowhere", self.call("claim", "--body", "nowhere/body.json", code=4))
        self.assertEqual(self.status(uuid), "pending")

    def test_lists(self) -> None:
        first, second = self.submit("add"), self.submit()
        out = self.call("ls")
        self.assertEqual([line.split()[0] for line in out.splitlines()], [first, second])
        out = self.call("ls", "--api", "soc", "--status", "pending", "--json")
        listed = {"uuid": second, "api": "soc", "status": "pending"}
        listed["request_date"] = "2023-10-01T00:00:02.000+09:00"
        self.assertEqual(json.loads(out), listed)

    def test_check(self) -> None:
        self.assertIn("is fit: 0 jobs", self.call("check"))
        self.index_file.write_text("{")
        self.assertIn("cannot be used", self.call("check", code=1))

    def test_wrong_calls(self) -> None:
        for arguments in (
            [],
            ["dance"],
            ["run"],
            ["run", "--"],
            ["ls", "--", "cat"],
            ["claim", "--api", "../x"],
            ["finish", "x", "--token", "0" * 32],
            ["finish", "00000000-0000-0000-0000-000000000000", "--token", "x"],
            ["claim", "--heartbeat", "50s", "--lease", "60s"],
            ["claim", "--lease", "soon"],
        ):
            with self.subTest(arguments=arguments):
                said = self.call(*arguments, code=2)
                self.assertTrue(said.startswith("bcrl-folder: "), said)

    def test_trouble_with_the_folder(self) -> None:
        self.submit()
        with self.folder().store.exclusive():
            self.assertIn("not free", self.call("claim", "--lock-timeout", "50ms", code=4))
        self.index_file.write_text("{")
        self.assertIn("bcrl fsck", self.call("claim", code=4))
        self.environment["BCRL_SHARED_DIR"] = str(self.home / "shard")
        self.assertIn("no shared folder", self.call("ls", code=4))

    def test_help_names_every_command_and_exit_code(self) -> None:
        text = self.call("--help")
        for word in "run claim heartbeat finish fail give-back ls check".split():
            self.assertRegex(text, rf"(?m)^    {word}\b")
            self.assertIn("BCRL_SHARED_DIR", self.call(word, "--help"))
        for code in (0, 1, 2, 3, 4, 5, 130):
            self.assertRegex(text, rf"(?m)^  {code}  ")
        self.assertLessEqual(max(map(len, text.splitlines())), 88)


class Run(CommandTest):
    def run_on(self, program: str, *options: str, code: int = 0) -> str:
        """Runs a Python program on the next job; what is printed."""
        return self.call("run", *options, "--", sys.executable, "-c", program, code=code)

    def failure(self, uuid: str) -> dict[str, Any]:
        found: dict[str, Any] = self.entry(uuid)["failure"]
        return found

    def test_what_it_prints_is_the_result(self) -> None:
        uuid = self.submit(params='{"n": 1.500, "big": 12345678901234567890123}')
        program = "import sys; print(sys.stdin.read()); print('hello', file=sys.stderr)"
        self.assertEqual(self.run_on(program, "--api", "soc"), f"{uuid} done\n")
        response = (self.root / "response" / f"{uuid}.json").read_text()
        self.assertEqual(response, '{"n": 1.500, "big": 12345678901234567890123}\n')
        self.assertEqual((self.root / "log" / f"{uuid}.log").read_text(), "hello\n")
        receipt = self.document("receipt", uuid)
        self.assertEqual((receipt["exit_code"], receipt["attempt"]), (0, 1))
        self.assertGreater(receipt["run_ms"], 0)
        self.assertEqual(self.names("workers"), [])
        self.assertEqual(self.run_on(program), "", "nothing is waiting")

    def test_it_is_told_about_its_job(self) -> None:
        uuid = self.submit(params="[7]")
        program = (
            "import json, os\n"
            "e = os.environ\n"
            "r = json.load(open(e['BCRL_REQUEST']))\n"
            "print(json.dumps([e['BCRL_JOB'], e['BCRL_API'], e['BCRL_ATTEMPT'], r['params'],"
            " os.path.isdir(e['TMPDIR']), e['BCRL_SHARED_DIR']]))\n"
        )
        self.run_on(program)
        text = (self.root / "response" / f"{uuid}.json").read_text()
        self.assertEqual(json.loads(text), [uuid, "soc", "1", [7], True, str(self.root)])

    def test_how_it_ends_otherwise(self) -> None:
        for program, reason, message, code in (
            ("import sys; print(1); sys.exit('oh no')", "exit_code", "exited with 1.*oh no", 1),
            ("import os; os.kill(os.getpid(), 9)", "signal", "signal 9", None),
            ("pass", "no_result", "printed nothing", 0),
            ("print('NaN')", "invalid_output", "NaN", 0),
            ("print('1 2')", "invalid_output", "one JSON", 0),
        ):
            uuid = self.submit()
            self.assertEqual(self.run_on(program, code=1), f"{uuid} failed\n")
            failure = self.failure(uuid)
            self.assertEqual((failure["reason"], failure.get("exit_code")), (reason, code))
            self.assertRegex(re.sub("\n", " ", failure["message"]), message)

    def test_what_cannot_be_started(self) -> None:
        uuid = self.submit()
        self.call("run", "--", str(self.home / "nowhere"), code=1)
        failure = self.failure(uuid)
        self.assertEqual(failure["reason"], "spawn_error")
        self.assertNotIn("nowhere", failure["message"])

    def test_a_large_log_loses_its_middle(self) -> None:
        uuid = self.submit()
        program = (
            "import sys\nfor n in range(40000): print('%040d' % n, file=sys.stderr)\nprint(1)\n"
        )
        self.run_on(program)
        text = (self.root / "log" / f"{uuid}.log").read_text()
        self.assertTrue(text.startswith("0" * 40) and text.endswith("39999\n"))
        self.assertRegex(text, r"\n\[… \d+ bytes left out …\]\n")
        self.assertLess(len(text), (1 << 20) + 100)

    def test_too_long(self) -> None:
        uuid = self.submit()
        program = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
        self.run_on(program, "--timeout", "200ms", "--grace", "100ms", code=1)
        self.assertEqual(self.failure(uuid)["reason"], "timeout")

    def test_the_catalogs_limits_hold(self) -> None:
        api = {"name": "soc", "limits": {"timeout_s": 0, "retries": 1}}
        catalog = self.root / "catalog" / "app1.json"
        catalog.write_text(json.dumps({"version": 1, "apis": [api]}))
        uuid = self.submit()
        program = "import time; time.sleep(60)"
        self.assertEqual(self.run_on(program), f"{uuid} pending\n")
        lease = self.document("lease", uuid)
        self.assertEqual((lease["failed"], lease["attempts"][0]["outcome"]), (1, "timeout"))
        self.assertIn("retry_date", lease)
        self.assertEqual(self.run_on(program), "", "the pause is not over")

    def test_all_until_nothing_waits(self) -> None:
        jobs = [self.submit(params=str(n)) for n in range(3)]
        program = "import sys; n = int(sys.stdin.read()); print(n); sys.exit(n == 1)"
        out = self.run_on(program, "--all", code=1)
        words = ["done", "failed", "done"]
        expected = [f"{uuid} {word}" for uuid, word in zip(jobs, words)]
        self.assertEqual(out.splitlines(), expected)


class Ended(CommandTest):
    """A run that is ended from outside."""

    def setUp(self) -> None:
        super().setUp()
        self.uuid = self.submit()
        self.said, self.gate = self.home / "said", self.home / "gate"

    def waits(self, more: str = "", *options: str) -> tuple[subprocess.Popen[str], int]:
        """A run whose program waits, and the program's process id."""
        program = more + WAITS.format(said=str(self.said), gate=str(self.gate))
        run = self.start("run", *options, "--", sys.executable, "-c", program)
        pid = until("the program runs", lambda: self.said.exists() and self.said.read_text())
        return run, int(pid)

    def test_sigterm_ends_it_and_gives_the_job_back(self) -> None:
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            run, pid = self.waits()
            run.send_signal(number)
            out, error = run.communicate(timeout=30)
            self.assertEqual((run.returncode, out), (code, f"{self.uuid} pending\n"), error)
            self.assertFalse(lives(pid))
            self.assertEqual(self.status(self.uuid), "pending")
            self.assertEqual(self.document("lease", self.uuid)["lost"], 0)
            self.said.unlink()
        self.assertEqual(self.names("workers"), [])

    def test_a_program_that_saves_and_ends_is_done(self) -> None:
        save = "import signal, sys\nsignal.signal(15, lambda *_: (print('[1]'), sys.exit(0)))\n"
        run, _ = self.waits(save)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.communicate(timeout=30)[0], f"{self.uuid} done\n")

    def test_a_client_cancels(self) -> None:
        run, pid = self.waits()
        self.cancel(self.uuid)
        out, _ = run.communicate(timeout=30)
        self.assertEqual((run.returncode, out), (3, f"{self.uuid} canceled\n"))
        self.assertFalse(lives(pid))
        self.assertEqual(self.status(self.uuid), "canceled")

    def test_another_one_takes_over(self) -> None:
        run, pid = self.waits()
        token = self.entry(self.uuid)["token"]
        self.write_index(self.index_file.read_text().replace(token, "0" * 32))
        out, _ = run.communicate(timeout=30)
        self.assertEqual((run.returncode, out), (5, f"{self.uuid} lost\n"))
        self.assertFalse(lives(pid))
        self.assertEqual(self.entry(self.uuid)["token"], "0" * 32)
        self.assertEqual(self.names("receipt"), [])

    def test_killed_by_force_it_takes_all_with_it(self) -> None:
        daemon = self.home / "daemon"
        leaves = (
            "import os, signal, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            f"        open({str(daemon)!r}, 'w').write(str(os.getpid()))\n"
            "        os.closerange(0, 3)\n"
            "        time.sleep(600)\n"
            "    os._exit(0)\n"
            "os.wait()\n"
        )
        run, pid = self.waits(leaves)
        other = int(until("the daemon runs", lambda: daemon.exists() and daemon.read_text()))
        self.assertTrue(lives(pid) and lives(other))
        run.kill()
        run.wait()
        until("nothing is left of it", lambda: not lives(pid) and not lives(other))
        self.assertEqual(self.status(self.uuid), "processing")

    def test_nothing_is_left_of_one_that_ended(self) -> None:
        daemon = self.home / "daemon"
        program = (
            "import os, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            f"    open({str(daemon)!r}, 'w').write(str(os.getpid()))\n"
            "    time.sleep(600)\n"
            f"while not os.path.exists({str(daemon)!r}): time.sleep(0.01)\n"
            "print('[1]')\n"
        )
        out = self.call("run", "--", sys.executable, "-c", program)
        self.assertEqual(out, f"{self.uuid} done\n")
        self.assertFalse(lives(int(daemon.read_text())))

    def test_progress_is_shown_while_it_runs(self) -> None:
        tells = (
            "import os\n"
            "with open(os.environ['BCRL_PROGRESS'], 'a') as file:\n"
            '    file.write(\'{"percent":10}\\n{"percent":140,"message":"half"}\\n\')\n'
            "    file.write('nonsense\\n{\"perc')\n"
        )
        run, _ = self.waits(tells)
        file = self.root / "progress" / f"{self.uuid}.json"
        told = json.loads(until("progress", lambda: file.exists() and file.read_text()))
        self.assertEqual((told["percent"], told["message"], told["attempt"]), (100.0, "half", 1))
        self.gate.touch()
        run.communicate(timeout=30)
