"""The package and the services on one folder: each understands what the other one wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from bcrl import Folder, Job, JobCanceled, JobLost, _entry

from .crashes import claim_and_finish, claims_until_killed
from .services import WORKERS, ServiceTest
from .support import python, until

# Claims a job, says so, and goes on with it when it is told to.
CLAIMER = """
import sys
from bcrl import Folder, JobLost
with Folder(sys.argv[1], heartbeat=0.2, lease=3, name="lab1") as folder:
    job = folder.claim(["soc"])
    print(job.uuid, flush=True)
    sys.stdin.readline()
    try:
        job.finish({"by": "the script"})
        print("published", flush=True)
    except JobLost as error:
        print("lost:", error, flush=True)
"""


class OneFolder(ServiceTest):
    def opened(self) -> Folder:
        return Folder(self.root, heartbeat=0.2, lease=3.0, name="lab1")

    def claimed(self, folder: Folder) -> Job:
        job = folder.claim(["soc"])
        assert job is not None
        return job

    def claimer(self) -> subprocess.Popen[str]:
        """Another process that has claimed a job."""
        process = python(CLAIMER, str(self.root))
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual(len(process.stdout.readline()), 37)
        return process

    def test_a_job_from_submit_to_result(self) -> None:
        self.offer()
        uuid = self.post('{"n": 1.500, "big": 12345678901234567890123}')
        with self.opened() as folder:
            job = self.claimed(folder)
            self.assertEqual(job.uuid, uuid)
            self.assertEqual(job.body, b'{"n": 1.500, "big": 12345678901234567890123}')
            shown = self.job(uuid)
            self.assertEqual((shown["status"], shown["attempt"]), ("processing", 1))
            self.assertTrue(shown["worker"].startswith("lab1-"))
            job.progress(40, "half")
            shown = self.job(uuid)
            self.assertEqual(shown["progress"], {"percent": 40.0, "message": "half"})
            workers = self.get("/readyz")["workers"]
            self.assertEqual([(w["worker"], w["running"]) for w in workers], [(job.worker, 1)])
            job.finish_json(b'{"soc": 0.8700}')
        shown = self.job(uuid)
        self.assertEqual((shown["status"], shown["attempt"]), ("done", 1))
        self.assertIn("finished_date", shown)
        self.assertEqual(self.result(uuid), b'{"soc": 0.8700}')
        self.is_in_order()

    def test_a_failure_is_told_to_the_client(self) -> None:
        self.offer()
        uuid = self.post()
        with self.opened() as folder:
            self.claimed(folder).fail("no such cell: 電池", reason="invalid_request", exit_code=2)
        expected = {"reason": "invalid_request", "message": "no such cell: 電池", "exit_code": 2}
        self.assertEqual(self.job(uuid)["failure"], expected)
        self.assertEqual(self.http("GET", f"/api/v1/jobs/{uuid}/result")[0], 409)
        self.is_in_order()

    def test_a_cancel_is_seen_and_ends_the_job(self) -> None:
        self.offer()
        uuid = self.post()
        with self.opened() as folder:
            job = self.claimed(folder)
            shown = json.loads(self.http("DELETE", f"/api/v1/jobs/{uuid}")[1])
            self.assertTrue(shown["cancel_requested"])
            self.assertTrue(job.cancel_requested)
            with job:
                job.progress(50)
                self.fail("a canceled job goes on")
            self.assertEqual(job.ended, "canceled")
        self.assertEqual(self.job(uuid)["status"], "canceled")
        self.assertEqual(self.http("DELETE", f"/api/v1/jobs/{uuid}")[0], 409)
        with self.opened() as folder:
            self.assertIsNone(folder.claim(), "it never runs again")
        self.is_in_order()

    def test_given_back_it_waits_for_a_worker(self) -> None:
        self.offer()
        uuid = self.post()
        with self.opened() as folder:
            self.claimed(folder).give_back()
        self.assertEqual(self.job(uuid)["queue_position"], 1)
        self.worker()
        self.assertEqual(self.ended(uuid)["attempt"], 2)
        self.assertEqual(json.loads(self.result(uuid)), WORKERS)
        self.assertEqual(self.outcomes(uuid), ["given_back", "done"])
        self.is_in_order()

    def test_a_killed_claimers_job_is_rescued_by_a_worker(self) -> None:
        self.offer()
        uuid = self.post()
        # On one machine the freed lock shows the death: the lease is not waited for.
        self.environment["BCRL_WORKER__LEASE"] = "10m"
        claimer = self.claimer()
        self.worker()
        claimer.send_signal(signal.SIGKILL)
        self.ended(uuid)
        self.assertEqual(json.loads(self.result(uuid)), WORKERS)
        self.assertEqual(self.outcomes(uuid), ["worker_lost", "done"])
        self.is_in_order()

    def test_a_detached_claim_without_beats_is_rescued_after_its_lease(self) -> None:
        self.offer()
        uuid = self.post()
        folder = self.folder()
        job = folder.claim_detached(["soc"])
        assert job is not None
        self.worker()
        shown = self.ended(uuid)
        self.assertEqual((shown["status"], json.loads(self.result(uuid))), ("done", WORKERS))
        self.assertEqual(self.outcomes(uuid), ["worker_lost", "done"])
        with self.assertRaises(JobLost):
            folder.resume(uuid, job.token).finish(1)
        self.is_in_order()

    def test_beats_keep_a_job_for_longer_than_its_lease(self) -> None:
        self.offer()
        uuid = self.post()
        worker = self.worker
        with self.opened() as folder:
            job = self.claimed(folder)
            worker()
            file = self.root / "workers" / f"{job.worker}.json"
            # Well over the lease of 3 s, by the beats of 0.2 s.
            until("25 beats", lambda: json.loads(file.read_text())["counter"] > 25)
            self.assertTrue(job.still_mine())
            job.finish({"by": "the script"})
        self.assertEqual(self.result(uuid), b'{"by":"the script"}')
        self.assertEqual(self.outcomes(uuid), ["done"])
        self.is_in_order()

    def test_a_late_result_is_refused(self) -> None:
        self.offer()
        uuid = self.post()
        claimer = self.claimer()
        claimer.send_signal(signal.SIGSTOP)
        self.worker()
        self.ended(uuid)
        claimer.send_signal(signal.SIGCONT)
        out, _ = claimer.communicate("go\n")
        self.assertIn("lost:", out)
        self.assertEqual(json.loads(self.result(uuid)), WORKERS)
        self.assertEqual(self.outcomes(uuid), ["worker_lost", "done"])
        late = [name for name in self.names("quarantine/late") if name.endswith(".json")]
        text = (self.root / "quarantine" / "late" / late[0]).read_text()
        self.assertEqual((len(late), text), (1, '{"by":"the script"}'))
        self.is_in_order()

    def test_wherever_a_claimer_was_killed_a_worker_ends_its_job(self) -> None:
        self.offer()
        jobs: list[str] = []
        crashed = True
        while crashed:
            jobs.append(self.post(str(len(jobs)).join(('{"number":', "}"))))
            crashed = claims_until_killed(self.root, len(jobs), claim_and_finish)
            if self.status(jobs[-1]) == "pending":
                # Its turn comes with the worker; the next crash is to have a job of its own.
                self.folder().edit(lambda shown: shown[-1].update(status="processing"))
        self.assertGreater(len(jobs), 20)
        waiting = [uuid for uuid in jobs if self.entry(uuid).get("token") is None]
        waiting = [uuid for uuid in waiting if self.status(uuid) == "processing"]

        def wait_again(shown: list[dict[str, Any]]) -> None:
            for entry in shown:
                if entry["uuid"] in waiting and entry["status"] == "processing":
                    entry["status"] = "pending"

        self.folder().edit(wait_again)
        self.worker()
        for number, uuid in enumerate(jobs):
            self.assertEqual(self.ended(uuid)["status"], "done")
            mine = {"number": {"number": number}}
            self.assertIn(json.loads(self.result(uuid)), (mine, WORKERS))
            self.assertEqual(self.http("GET", f"/api/v1/jobs/{uuid}/log")[0] // 100, 2)
        self.assertEqual(self.names("quarantine/late"), [])
        # What was to be removed after the receipt lies about; nothing else is wrong.
        self.assertIn(self.fsck("--repair").returncode, (0, 1))
        self.is_in_order()

    def test_the_index_is_the_same_text_to_both(self) -> None:
        self.offer()
        for _ in range(6):
            self.post()
        # Both rewrite it: the API server cancels, the script claims and ends.
        with self.opened() as folder:
            self.claimed(folder).finish(1)
            self.claimed(folder).fail("no")
            self.claimed(folder).give_back()
            last = self.claimed(folder)
            uuids = [entry.uuid for entry in self.index()]
            self.http("DELETE", f"/api/v1/jobs/{uuids[-1]}")
            text = self.index_file.read_text(encoding="utf-8")
            for entry in self.index():
                state = _entry.state_of(entry)
                self.assertEqual(entry.with_state(state).line, entry.line)
            self.assertEqual(self.index().to_text(), text)
            last.finish(1)
        written = self.index_file.read_text(encoding="utf-8")
        self.http("DELETE", f"/api/v1/jobs/{uuids[3]}")
        changed = self.index_file.read_text(encoding="utf-8")
        self.assertEqual(self.other_lines(written, uuids[3]), self.other_lines(changed, uuids[3]))
        self.is_in_order()

    def other_lines(self, text: str, uuid: str) -> list[str]:
        return [line for line in text.splitlines() if uuid not in line]

    def test_somebodys_fields_survive_both(self) -> None:
        self.offer()
        first, second = self.post(), self.post()
        self.folder().edit(lambda jobs: [job.update(note=[1, {"電": 2.5}]) for job in jobs])
        text = self.index_file.read_text(encoding="utf-8")
        self.write_index(text.replace("2.5}", "2.500}").replace('{"jobs"', '{"owner":  1.0,"jobs"'))
        self.http("DELETE", f"/api/v1/jobs/{second}")
        with self.opened() as folder:
            self.claimed(folder).finish(1)
        third = self.post()
        after = self.index_file.read_text(encoding="utf-8")
        self.assertEqual(after.count('"note":[1,{"電":2.500}]'), 2)
        self.assertTrue(after.endswith('\n],\n"owner":1.0}\n'), after)
        statuses = [self.status(uuid) for uuid in (first, second, third)]
        self.assertEqual(statuses, ["done", "canceled", "pending"])
        self.is_in_order()

    def test_a_job_that_was_ended_by_hand_is_shown_with_its_receipt(self) -> None:
        self.offer()
        uuid = self.post()
        folder = self.folder()
        folder.edit(lambda jobs: jobs[0].update(status="processing"))
        self.assertEqual(self.job(uuid)["status"], "processing")
        response = self.root / "response" / f"{uuid}.json"
        response.write_text('{"by": "hand"}')
        response.chmod(0o440)
        folder.edit(lambda jobs: jobs[0].update(status="done"))
        self.assertEqual(self.job(uuid)["status"], "done")
        self.assertEqual(self.document("receipt", uuid)["status"], "done")
        self.assertEqual(self.result(uuid), b'{"by": "hand"}')
        self.assertEqual([job.status for job in folder.jobs()], ["done"])
        self.is_in_order()

    def test_many_at_once_lose_nothing(self) -> None:
        self.offer()
        posted: list[str] = []
        clients = [threading.Thread(target=self.post_many, args=(posted,)) for _ in range(3)]
        program = [sys.executable, "-m", "bcrl", "run", "--all", "--", "cat"]
        folder = os.path.dirname(os.path.dirname(__file__))
        environment = {**self.environment, "PYTHONPATH": folder}
        for client in clients:
            client.start()
        with self.opened() as opened:
            while any(client.is_alive() for client in clients) or opened.jobs(statuses=["pending"]):
                runs = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL)
                while job := opened.claim():
                    job.finish_json(job.body)
                self.assertEqual(runs.wait(), 0)
        self.assertEqual(len(posted), 45)
        for uuid in posted:
            self.assertEqual(self.job(uuid)["status"], "done")
            request = self.document("request", uuid)
            self.assertEqual(json.loads(self.result(uuid)), request["params"])
            self.assertEqual(self.outcomes(uuid), ["done"])
        self.assertEqual(sorted(entry.uuid for entry in self.index()), sorted(posted))
        self.is_in_order()

    def post_many(self, posted: list[str]) -> None:
        for number in range(15):
            posted.append(self.post(json.dumps({"n": number})))

    def test_what_is_canceled_just_before_the_claim_never_runs(self) -> None:
        self.offer()
        uuids = [self.post() for _ in range(10)]
        ran: list[str] = []
        calls = [("DELETE", f"/api/v1/jobs/{uuid}") for uuid in uuids]
        clients = [threading.Thread(target=self.http, args=call) for call in calls]
        with self.opened() as folder:
            for client in clients:
                client.start()
            while job := folder.claim():
                try:
                    with job:
                        job.check()
                        ran.append(job.uuid)
                        job.finish(1)
                except JobCanceled:
                    self.fail("the job's own statement ends it")
            for client in clients:
                client.join()
            while job := folder.claim():
                self.fail("something waits that was canceled")
        for uuid in uuids:
            expected = "done" if uuid in ran else "canceled"
            self.assertEqual(self.job(uuid)["status"], expected)
        self.is_in_order()
